"""Fluxes of pions and muons at rest: normalisation, moments against quadrature, endpoints."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad

from jaxlmt import ARGON_40
from jaxlmt.processes.cevns import KINEMATICS
from jaxlmt.sources import spallation as source
from tests.validation import independent

SPECTRA = {
    "nu_e": (source.electron_neutrino_spectrum, independent.flux_nue),
    "anti-nu_mu": (source.muon_antineutrino_spectrum, independent.flux_numubar),
}
MASS = ARGON_40.mass


def bracket(recoil, energy, kinematics):
    """1 - E_R/E - M E_R/2E^2, without E_R/E in the paper."""
    linear = recoil / energy if kinematics == "exact" else 0.0
    return max(1 - linear - MASS * recoil / (2 * energy**2), 0.0)


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra(name):
    spectrum, reference = SPECTRA[name]
    energies = np.linspace(0.1, 52.8, 50)
    expected = [reference(energy) for energy in energies]
    np.testing.assert_allclose(spectrum(energies), expected, rtol=1e-13)


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_integrate_to_one(name):
    spectrum, _ = SPECTRA[name]
    total, _ = quad(lambda energy: float(spectrum(energy)), 0.0, 60.0, points=[source.MICHEL_ENDPOINT])
    assert total == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_vanish_outside(name):
    spectrum, _ = SPECTRA[name]
    outside = np.array([-1.0, 0.0, 0.5 * independent.M_MU, 53.0, 1e3])
    np.testing.assert_array_equal(spectrum(outside), 0.0)
    np.testing.assert_array_equal(jax.vmap(jax.grad(spectrum))(outside), 0.0)


def test_mean_energies_of_muon_decay():
    # In units of m_mu: nu_e 3/10, anti-nu_mu 7/20, the textbook means of the Michel spectra.
    for name, mean in (("nu_e", 0.3), ("anti-nu_mu", 0.35)):
        spectrum, _ = SPECTRA[name]
        value, _ = quad(lambda energy, f=spectrum: energy * float(f(energy)), 0.0, source.MICHEL_ENDPOINT)
        assert value == pytest.approx(mean * independent.M_MU, rel=1e-12)


def test_line():
    # Two-body decay at rest: |p| = E_nu and E_mu = sqrt(p^2 + m_mu^2) add up to m_pi.
    energy = source.LINE_ENERGY
    assert energy == pytest.approx(29.79, abs=0.005)
    assert energy + np.hypot(energy, independent.M_MU) == pytest.approx(independent.M_PI, rel=1e-14)


@pytest.mark.parametrize("kinematics", KINEMATICS)
def test_flux_moments_against_quadrature(kinematics):
    # on both sides of the two endpoints, and beyond
    recoils = np.array([1e-3, 0.1, 5.0, 20.0, 47.0, 47.5, 47.7, 48.0, 80.0, 120.0, 140.0, 149.0])
    moments = np.asarray(source.flux_moments(recoils, MASS, kinematics))
    assert moments.shape == (2, recoils.size)
    for recoil, moment in zip(1e-3 * recoils, moments.T):
        start = min(independent.neutrino_energy_min(recoil, MASS, kinematics), independent.E_END)
        line = bracket(recoil, independent.E_LINE, kinematics)
        for found, flux, extra in (
            (moment[0], independent.flux_nue, 0.0),
            (moment[1], independent.flux_numubar, line),
        ):
            expected = independent.integrate(
                lambda energy, f=flux, r=recoil: f(energy) * bracket(r, energy, kinematics),
                start,
                independent.E_END,
            )
            # near the endpoint the bracket cancels: 1e-16 of the flux
            assert found == pytest.approx(expected + extra, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("kinematics", KINEMATICS)
def test_flux_moments_at_the_ends(kinematics):
    ends = np.array([1e3 * independent.recoil_max(independent.E_END, MASS, kinematics)])
    for recoil in (ends * (1 + 1e-12), ends * 1.01, ends * 100):
        np.testing.assert_allclose(source.flux_moments(recoil, MASS, kinematics), 0.0, atol=1e-18)
    # no recoil: K = 1 and every flux counts fully, once for nu_e and twice for nu_mu and anti-nu_mu
    at_rest = source.flux_moments(np.array([1e-12]), MASS, kinematics)
    np.testing.assert_allclose(at_rest[:, 0], [1.0, 2.0], rtol=1e-9)


@pytest.mark.parametrize("kinematics", KINEMATICS)
def test_recoil_endpoints(kinematics):
    expected = [
        1e3 * independent.recoil_max(energy, MASS, kinematics)
        for energy in (independent.E_LINE, independent.E_END)
    ]
    np.testing.assert_allclose(source.recoil_endpoints_keV(MASS, kinematics), expected, rtol=1e-13)
    assert expected[0] == pytest.approx(47.6, abs=0.1)
    # the rate does have its kink there, where the line stops contributing: slope -1/E_line in all
    line = expected[0] * (1 + np.array([-2e-6, -1e-6, 1e-6, 2e-6]))
    values = np.asarray(source.flux_moments(line, MASS, kinematics)[1])
    slopes = np.diff(values)[[0, 2]] / np.diff(line)[[0, 2]]
    assert slopes[0] - slopes[1] == pytest.approx(-1 / expected[0], rel=1e-4)
