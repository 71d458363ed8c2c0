"""Positrons near the galactic centre: against the average over velocities, done by quadrature."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.integrate import quad

import jaxlmt as lmt

FB = 3.8937937e-22 * 1e39  # of 1 MeV^-2


def halo_average(g, mass, delta, v0):
    """<sigma v>(e+e-)/(2 m_psi^2), non-relativistic: eq 4.6 twice (both flavours) times (e eps/g)^2, over
    relative velocities exp(-v^2/(2 v0^2))."""
    gamma = 2 * g**2 / (24 * np.pi)
    m = mass / 2 * np.sqrt(1 + delta)

    def rate(v):
        nu = 2 * g**4 / (8 * np.pi * mass**2) / ((delta + v**2 / 4) ** 2 + gamma**2)
        return nu * v**2 * np.exp(-(v**2) / (2 * v0**2))

    norm = np.sqrt(np.pi / 2) * v0**3
    breaks = v0 * np.array([0.0, 0.5, 1.0, 2.0, 4.0, 12.0])
    total = sum(quad(rate, a, b, epsabs=0, epsrel=1e-9, limit=400)[0] for a, b in pairwise(breaks))
    electron = 4 * np.pi / 137.036 / 70**2
    return FB * electron * total / norm / (2 * m**2)


@pytest.mark.parametrize("v0", [1e-3, 7.3e-4])
@pytest.mark.parametrize("delta", [1e-7, 1e-6, 1e-4, 1e-2])
def test_average_over_velocities(delta, v0):
    """Near the pole eq 4.6 is exact up to delta and v^2; m_e adds (m_e/m)^4."""
    theta = lmt.DarkMatter.from_delta(5e-4, 20.0, delta)
    expected = halo_average(5e-4, 20.0, delta, v0)
    found = float(lmt.positron_injection(theta, halo_velocity=v0))
    assert found == pytest.approx(expected, rel=2.0 * delta + 1e-4)


def test_below_the_pole_there_is_none():
    """The average falls after decoupling where m_psi < M/2, far below what the line needs."""
    assert float(lmt.positron_injection(lmt.DarkMatter(5e-4, 20.0, 6.5))) < 1e-5
    assert 1e-3 < float(lmt.positron_injection(lmt.DarkMatter.from_delta(4.5e-4, 23.0, 0.01))) < 1.0


def test_gradients():
    for delta in (-0.3, -1e-7, 0.0, 1e-7, 0.1):
        point = lmt.DarkMatter.from_delta(5e-4, 20.0, delta)
        gradient = jax.grad(lmt.positron_injection)(point)
        assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))


def test_invalid_arguments():
    with pytest.raises(ValueError, match=r"halo_velocity must be finite and > 0; got 0.0"):
        lmt.positron_injection(lmt.DarkMatter(5e-4, 20.0, 11.0), halo_velocity=0.0)
