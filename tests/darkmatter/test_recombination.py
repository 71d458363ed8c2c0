"""Energy that annihilation gives the plasma: closed form at rest, the paper's bound, muons, gradients."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt

CM3_PER_S = 3.8937937e-22 * 2.99792458e10  # of 1 MeV^-2
LIMIT = 4.1e-28  # cm^3/s/GeV
FEMTOBARN = 2.99792458e10 * 1e-39  # cm^3/s


def at_rest(g, mass, delta, charge, coupling, m_f=0.0):
    """sigma v [MeV^-2] of two psi at rest: eq 2.3 times 2 (s - 4 m_psi^2)^(1/2)/s^(1/2), at s = 4 m_psi^2."""
    m2 = mass**2 * (1 + delta) / 4
    gamma = 2 * g**2 / (24 * np.pi)  # neutrinos, the rest being 2e-5 of it, of a closed decay to psi
    pole = (mass**2 * delta) ** 2 + (gamma * mass**2) ** 2
    phase = np.sqrt(1 - m_f**2 / m2) * (1 + m_f**2 / (2 * m2))
    return (g * charge * coupling) ** 2 / (12 * np.pi) * phase * (4 * m2 + 2 * m2) * 2 / pole


@pytest.mark.parametrize("delta", [1e-6, 0.03, 0.5, 3.0])
def test_electrons_at_rest(delta):
    g, mass = 5e-4, 17.0
    theta = lmt.DarkMatter.from_delta(g, mass, delta, 0.7)
    coupling = np.sqrt(4 * np.pi / 137.036) * g / 70
    sigma_v = at_rest(g, mass, delta, 0.7, coupling, 0.511) * CM3_PER_S
    expected = 0.3 * sigma_v / 2 / (float(theta.dm_mass) / 1e3)
    assert float(lmt.ionising_annihilation(theta)) == pytest.approx(expected, rel=1e-4)


def test_bound_of_the_paper():
    """Eq 4.2 before rounding: <sigma v>/2 <= 0.0456 fb m/MeV; eq 4.1 can then be met up to 45.6 MeV."""
    bound = LIMIT / 0.3 * 1e-3 / FEMTOBARN  # fb per MeV of mass
    assert bound == pytest.approx(0.0456, abs=5e-5)
    lowest = 1e-3  # fb/MeV^2
    assert bound / lowest == pytest.approx(45.6, abs=0.05)
    # and the two functions have that ratio: power over injection goes with the mass
    for mass in (20.0, 45.6, 80.0):
        theta = lmt.DarkMatter.from_delta(5e-4, 2 * mass, 0.02)
        m = float(theta.dm_mass)
        needed = float(lmt.positron_injection(theta, halo_velocity=1e-5)) * m**2  # fb
        allowed = bound * m
        power = float(lmt.ionising_annihilation(theta))
        assert power / LIMIT == pytest.approx(needed / allowed, rel=1e-6)


def test_muons_open_above_their_mass():
    below, above = (lmt.DarkMatter(5e-4, 300.0, m) for m in (105.0, 106.5))
    for theta in (below, above):
        without = float(lmt.ionising_annihilation(theta, f_mu=0.0))
        extra = float(lmt.ionising_annihilation(theta)) - without
        if theta is below:
            assert abs(extra) < 1e-9 * without
        else:
            assert extra > 100 * without


def test_shapes_and_gradients():
    delta = np.array([-0.6, -1e-3, -1e-8, 0.0, 1e-8, 1e-3, 0.3])
    theta = lmt.DarkMatter.from_delta(np.array([[5e-5], [5e-4]]), 20.0, delta)
    assert lmt.ionising_annihilation(theta).shape == (2, 7)
    for d in delta:
        point = lmt.DarkMatter.from_delta(5e-4, 20.0, d)
        value, gradient = jax.value_and_grad(lambda t: 1e28 * lmt.ionising_annihilation(t))(point)
        assert np.isfinite(value) and all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))
    beyond = 1e28 * lmt.ionising_annihilation(point)  # delta = 0.3, where A' does not decay to psi
    assert float(gradient.dm_charge) == pytest.approx(2 * float(beyond), rel=1e-12)
    assert float(gradient.eps_x) == pytest.approx(2 * float(beyond) / float(point.eps_x), rel=1e-4)


def test_invalid_arguments():
    with pytest.raises(ValueError, match=r"f_e must be finite and >= 0; got -0.1"):
        lmt.ionising_annihilation(lmt.DarkMatter(5e-4, 20.0, 11.0), f_e=-0.1)
    with pytest.raises(TypeError, match=r"must be a jaxlmt.DarkMatter; got HiddenPhoton"):
        lmt.ionising_annihilation(lmt.benchmark("BP1"))
