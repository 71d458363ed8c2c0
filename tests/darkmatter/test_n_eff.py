"""N_eff: the paper's masses, another route to the same number, gradients, what is refused."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad

import jaxlmt as lmt
from jaxlmt.darkmatter.n_eff import effective_neutrinos, radiation_over_photons
from jaxlmt.darkmatter.thermodynamics import FERMION, Species


def at(mass, ratio=0.51, **options):
    return float(lmt.n_eff(lmt.DarkMatter(5e-4, mass, ratio * mass), **options))


@pytest.mark.parametrize(
    ("n_nu", "n_eff", "mass"), [(3.0, 3.4, 22.2), (3.0, 3.2, 26.8), (3.044, 3.4, 23.0), (3.044, 3.2, 28.4)]
)
def test_masses_of_the_paper(n_nu, n_eff, mass):
    """2107.14528, section 3.3, for m_psi = 0.51 m_X, and the same with today's N_nu; to the digit printed."""
    assert at(mass - 0.05, n_nu=n_nu) > n_eff > at(mass + 0.05, n_nu=n_nu)


def test_entropy_bookkeeping():
    """T_nu from the entropy of the neutrino sector before and after, N_eff from the energy of neutrinos."""
    mass, decoupling = 18.0, 2.3

    def entropy(m, degrees, sign):  # (rho + p)/T^4 by energy
        z = m / decoupling
        integrand = lambda y: (4 * y**2 - z**2) * np.sqrt(y**2 - z**2) / (np.exp(y) + sign) / 3  # noqa: E731
        return degrees * quad(integrand, z, z + 60, epsrel=1e-11, limit=200)[0] / (2 * np.pi**2)

    neutrinos = entropy(0.0, 6, 1)
    hot = neutrinos + entropy(mass, 3, -1) + entropy(0.51 * mass, 4, 1)
    expected = 3.0 * (hot / neutrinos) ** (4 / 3)  # of T_nu^4 relative to that without X and psi
    assert at(mass, n_nu=3.0) == pytest.approx(expected, rel=1e-10)


def test_limits():
    """Light particles count in full, heavy ones not at all; only m/T_nu,D matters."""
    assert at(1e-6) == pytest.approx(3.044 * (1 + (3 * 8 / 7 + 4) / (2 * 3.044)) ** (4 / 3), rel=1e-9)
    assert at(1e3) == pytest.approx(3.044, rel=1e-12)
    assert at(30.0, neutrino_decoupling=3.45) == pytest.approx(at(20.0), rel=1e-13)
    assert float(radiation_over_photons(3.046)) == pytest.approx(1.6918, abs=1e-4)
    one_more = effective_neutrinos([Species(0.0, 2.0, FERMION)], 2.3, 3.0)
    assert float(one_more) == pytest.approx(3 * (4 / 3) ** (4 / 3), rel=1e-13)


def test_gradients_and_shapes():
    theta = lmt.DarkMatter(5e-4, 20.0, 10.2)

    def value(theta, decoupling, n_nu):
        return lmt.n_eff(theta, neutrino_decoupling=decoupling, n_nu=n_nu)

    slope, decoupling, n_nu = jax.grad(value, (0, 1, 2))(theta, 2.3, 3.044)
    for found, step in (
        (slope.mass, lambda h: value(lmt.DarkMatter(5e-4, 20.0 + h, 10.2), 2.3, 3.044)),
        (slope.dm_mass, lambda h: value(lmt.DarkMatter(5e-4, 20.0, 10.2 + h), 2.3, 3.044)),
        (decoupling, lambda h: value(theta, 2.3 + h, 3.044)),
        (n_nu, lambda h: value(theta, 2.3, 3.044 + h)),
    ):
        assert float(found) == pytest.approx(float(step(1e-4) - step(-1e-4)) / 2e-4, rel=1e-6)
    assert float(slope.g_x) == float(slope.dm_charge) == 0.0
    masses = np.array([10.0, 20.0, 40.0])
    many = lmt.n_eff(lmt.DarkMatter(5e-4, masses, 0.51 * masses), n_nu=np.array([[3.0], [3.044]]))
    assert many.shape == (2, 3)
    assert float(many[1, 1]) == pytest.approx(at(20.0), rel=1e-14)


def test_invalid_arguments():
    theta = lmt.DarkMatter(5e-4, 20.0, 10.2)
    with pytest.raises(ValueError, match=r"neutrino_decoupling must be finite and > 0; got 0\.0"):
        lmt.n_eff(theta, neutrino_decoupling=0.0)
    with pytest.raises(ValueError, match=r"n_nu must be finite and > 0; got -1\.0"):
        lmt.n_eff(theta, n_nu=-1.0)
    with pytest.raises(ValueError, match=r"theta\.dm_mass must be finite and > 0"):
        lmt.n_eff(lmt.DarkMatter(5e-4, 20.0, 0.0))
    with pytest.raises(TypeError, match="DarkMatter"):
        lmt.n_eff(lmt.benchmark("BP1"))
