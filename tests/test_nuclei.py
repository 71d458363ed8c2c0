"""Nuclei against atomic mass tables, and the Helm form factor against its definition."""

import jax
import mpmath
import numpy as np
import pytest
from particle import Particle
from scipy.integrate import quad

from jaxlmt.nuclei import ARGON_40, ISOTOPES, XENON, XENON_131, Isotope, helm_form_factor
from tests.validation import independent

HBARC = independent.HBAR_C_FM


def radius(isotope):
    """Lewin-Smith radius [fm]: R^2 = c^2 + 7 pi^2 a^2/3 - 5 s^2."""
    c = 1.23 * isotope.a ** (1 / 3) - 0.60
    return np.sqrt(c**2 + 7 * np.pi**2 * 0.52**2 / 3 - 5 * 0.9**2)


def switch_keV(isotope, y=0.5):
    """Recoil energy at which q R = y."""
    return 1e3 * (y * HBARC / radius(isotope)) ** 2 / (2 * isotope.mass)


def helm_mpmath(recoil_keV, isotope):
    """3 j1(y)/y exp(-q^2 s^2/2) with Bessel functions of half-integer order, in 30 digits."""
    with mpmath.workdps(30):
        q = mpmath.sqrt(2 * mpmath.mpf(isotope.mass) * mpmath.mpf(recoil_keV) / 1000) / mpmath.mpf(HBARC)
        y = q * mpmath.mpf(radius(isotope))
        j1 = mpmath.sqrt(mpmath.pi / (2 * y)) * mpmath.besselj(mpmath.mpf(3) / 2, y)
        return 3 * j1 / y * mpmath.exp(-((q * mpmath.mpf("0.9")) ** 2) / 2)


@pytest.mark.parametrize("isotope", [ARGON_40, XENON_131], ids=lambda i: i.name)
def test_helm_across_the_switch_to_the_series(isotope):
    at = switch_keV(isotope)
    energies = np.concatenate([np.geomspace(1e-4, 1e3, 29), at * (1 + np.array([-1e-3, -1e-9, 1e-9, 1e-3]))])
    expected = [float(helm_mpmath(energy, isotope)) for energy in energies]
    # The first term left out of the series, y^10/172972800, is 5.6e-12 at the switch.
    np.testing.assert_allclose(helm_form_factor(energies, isotope), expected, rtol=6e-12, atol=1e-15)


def test_helm_agrees_with_the_independent_code():
    energies = np.geomspace(1e-3, 300.0, 60)
    expected = [independent.helm(1e-3 * energy, ARGON_40.mass) for energy in energies]
    np.testing.assert_allclose(helm_form_factor(energies, ARGON_40), expected, rtol=6e-12)


def test_helm_is_a_uniform_sphere_folded_with_a_gaussian():
    # The Fourier transform of a uniform ball, int_0^1 3 r^2 sin(y r)/(y r) dr, by quadrature.
    for energy in (0.05, 5.0, 60.0, 400.0):
        q = np.sqrt(2 * ARGON_40.mass * 1e-3 * energy) / HBARC
        y = q * radius(ARGON_40)
        ball = quad(lambda r, y=y: 3 * r**2 * np.sinc(y * r / np.pi), 0.0, 1.0, epsabs=1e-14)[0]
        expected = ball * np.exp(-((0.9 * q) ** 2) / 2)
        assert float(helm_form_factor(energy, ARGON_40)) == pytest.approx(expected, rel=1e-11)


def test_helm_at_rest():
    assert float(helm_form_factor(0.0, ARGON_40)) == 1.0
    slope = jax.grad(helm_form_factor)(0.0, ARGON_40)
    # F = 1 - q^2 (R^2/10 + s^2/2) + ..., q^2 linear in E.
    expected = -2e-3 * ARGON_40.mass / HBARC**2 * (radius(ARGON_40) ** 2 / 10 + 0.9**2 / 2)
    assert float(slope) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("isotope", [ARGON_40, XENON_131], ids=lambda i: i.name)
def test_helm_gradient_is_right_and_continuous(isotope):
    at = switch_keV(isotope)
    energies = np.concatenate([at * (1 + np.array([-1e-9, 1e-9])), [0.1 * at, 10 * at, 30 * at]])
    gradients = jax.vmap(jax.grad(helm_form_factor), (0, None))(energies, isotope)
    # At the switch the slope of the series lacks 5 y^8/172972800, 1.1e-9 of it.
    for energy, gradient, tolerance in zip(energies, gradients, (1.2e-9, 1e-11, 1e-11, 1e-11, 1e-11)):
        expected = float(mpmath.diff(lambda e: helm_mpmath(e, isotope), mpmath.mpf(energy), h=1e-8))
        assert float(gradient) == pytest.approx(expected, rel=tolerance)
    below, above = gradients[:2]
    assert float(above) == pytest.approx(float(below), rel=1.2e-9)


def test_argon_mass_from_two_tables():
    assert ARGON_40.atomic_mass_u == pytest.approx(independent.AR40_ATOMIC_U, rel=1e-10)
    atomic = Particle.from_nucleus_info(z=18, a=40).mass  # of the neutral atom
    assert ARGON_40.mass + 18 * independent.M_E == pytest.approx(atomic, rel=1e-9)


@pytest.mark.parametrize("isotope", [isotope for isotope, _ in XENON], ids=lambda i: i.name)
def test_masses_of_xenon(isotope):
    atomic = Particle.from_nucleus_info(z=54, a=isotope.a).mass
    assert isotope.mass + 54 * independent.M_E == pytest.approx(atomic, rel=1e-9)
    assert isotope.z == 54 and isotope.name == f"{isotope.a}Xe"


def test_natural_xenon():
    """Shares of one, and the standard atomic weight of xenon, 131.293(6)."""
    isotopes, shares = zip(*XENON)
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)
    weight = sum(share * isotope.atomic_mass_u for isotope, share in XENON)
    assert weight == pytest.approx(131.293, abs=1e-3)
    assert len({isotope.a for isotope in isotopes}) == 9 and XENON_131 in isotopes


def test_isotope_counts():
    assert (ARGON_40.z, ARGON_40.a, ARGON_40.neutrons) == (18, 40, 22)
    assert XENON_131.neutrons == 77
    assert all(name == isotope.name for name, isotope in ISOTOPES.items())
    assert hash(Isotope("x", 1, 2, 3.0)) == hash(Isotope("x", 1, 2, 3.0))
