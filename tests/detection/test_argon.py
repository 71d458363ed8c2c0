"""Response of liquid argon: quenching and the efficiency of CENNS-10."""

import jax
import numpy as np
import pytest
from scipy.optimize import brentq

from jaxlmt.detection import argon
from tests.validation import independent


def test_quenching():
    # Q_F = 0.246 + 7.8e-4 E: 10 keV_nr are 2.538 keV_ee, 100 keV_nr are 32.4
    np.testing.assert_allclose(
        argon.quenched_energy_keV(np.array([0.0, 10.0, 100.0])), [0.0, 2.538, 32.4], rtol=1e-14
    )


def test_half_efficiency_at_the_printed_energy():
    half = brentq(lambda energy: float(argon.cenns10_efficiency(energy)) - 0.5, 1.0, 50.0, xtol=1e-12)
    assert half == pytest.approx(15.5, abs=0.05)  # keV_nr
    assert float(argon.quenched_energy_keV(half)) == pytest.approx(4.0, rel=1e-12)  # keV_ee


def test_efficiency_agrees_with_the_independent_code():
    energies = np.linspace(0.0, 150.0, 61)
    expected = [independent.cenns_efficiency(1e-3 * energy) for energy in energies]
    np.testing.assert_allclose(argon.cenns10_efficiency(energies), expected, rtol=1e-12, atol=1e-16)


def test_efficiency_rises_from_nothing_to_one():
    energies = np.linspace(0.0, 150.0, 1001)
    efficiency = np.asarray(argon.cenns10_efficiency(energies))
    assert np.all(np.diff(efficiency) >= -1e-15)  # rounding on the plateau
    assert 0.0 < efficiency[0] < 1e-3
    assert 1.0 - 1e-12 < efficiency[-1] <= 1.0


def test_efficiency_gradient():
    # d/dE of (1 + tanh(E_ee - 4))/2 is 2 eff (1 - eff) dE_ee/dE
    for energy in (1.0, 15.5, 40.0):
        efficiency = independent.cenns_efficiency(1e-3 * energy)
        expected = 2 * efficiency * (1 - efficiency) * (0.246 + 2 * 7.8e-4 * energy)
        assert float(jax.grad(argon.cenns10_efficiency)(energy)) == pytest.approx(expected, rel=1e-9)


def test_full_efficiency():
    energies = np.array([[0.0, 1.0, 200.0]])
    np.testing.assert_array_equal(argon.full_efficiency(energies), np.ones((1, 3)))
    assert set(argon.EFFICIENCIES) == {"full", "cenns10"}
    assert argon.EFFICIENCIES["cenns10"] is argon.cenns10_efficiency
