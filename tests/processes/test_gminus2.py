"""The one-loop magnetic moment against adaptive quadrature in double precision and in 30 digits."""

from math import exp, log, pi

import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxlmt as lmt
from jaxlmt.processes import gminus2
from tests.validation import independent

MASSES = (1e-3, 0.1, 1.0, 15.0, 105.0, 211.3, 1e3, 1e4, 1e6)


def loop_mpmath(mass, derivative=False):
    """int u^2 (1-u)/(u^2 + (1-u) w) du with w = (M/m_mu)^2, or M d/dM of it, in 30 digits."""
    with mpmath.workdps(30):
        w = (mpmath.mpf(mass) / mpmath.mpf(independent.M_MU)) ** 2

        def integrand(u):
            value = u**2 * (1 - u) / (u**2 + (1 - u) * w)
            return -2 * w * (1 - u) / (u**2 + (1 - u) * w) * value if derivative else value

        scales = [mpmath.sqrt(w) * mpmath.mpf(10) ** k for k in range(-3, 4)]
        scales += [1 - mpmath.mpf(10) ** k / w for k in range(-3, 4)]
        inside = sorted(scale for scale in scales if 0 < scale < 1)
        return float(mpmath.quad(integrand, [0, *inside, 1]))


@pytest.mark.parametrize("mass", MASSES)
def test_delta_a_mu(mass):
    theta = lmt.HiddenPhoton(3e-4, mass, 0.0)
    expected = independent.delta_a_mu(3e-4, mass)
    assert float(lmt.delta_a_mu(theta)) == pytest.approx(expected, rel=1e-12)
    assert float(gminus2.loop_integral(mass)) == pytest.approx(loop_mpmath(mass), rel=1e-12)


def test_limits_in_closed_form():
    # 1/2 for a light A'; m^2/(3 M^2) for a heavy one, next order (m/M)^4 ln
    assert float(gminus2.loop_integral(0.0)) == pytest.approx(0.5, rel=1e-13)
    mass = 1e6
    heavy = (independent.M_MU / mass) ** 2 / 3
    assert float(gminus2.loop_integral(mass)) == pytest.approx(heavy, rel=1e-6)
    theta = lmt.HiddenPhoton(1e-3, 1e-3, 0.0)
    assert float(lmt.delta_a_mu(theta)) == pytest.approx(1e-6 / (8 * pi**2), rel=1e-4)


@pytest.mark.parametrize("charge", [0.0, 1.0, -2.0])
def test_the_charge_of_the_muon_enters_squared(charge):
    theta = lmt.HiddenPhoton(3e-4, 20.0, 1e-5, lmt.LeptonCharges(0.3, charge, 0.7))
    expected = independent.delta_a_mu(3e-4, 20.0, charge)
    assert float(lmt.delta_a_mu(theta)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mass", MASSES)
def test_gradient(mass):
    g, charge = 3e-4, -1.3
    theta = lmt.HiddenPhoton(g, mass, 1e-5, lmt.LeptonCharges(0.0, charge, -1.0))
    gradient = jax.grad(lmt.delta_a_mu)(theta)
    value = independent.delta_a_mu(g, mass, charge)
    assert float(gradient.g_x) == pytest.approx(2 * value / g, rel=1e-12)
    assert float(gradient.charges.mu) == pytest.approx(2 * value / charge, rel=1e-12)
    expected = (charge * g) ** 2 / (4 * pi**2) * loop_mpmath(mass, derivative=True) / mass
    assert float(gradient.mass) == pytest.approx(expected, rel=1e-11)
    assert float(gradient.eps_x) == float(gradient.charges.e) == float(gradient.charges.tau) == 0.0


@settings(deadline=None, max_examples=100)
@given(
    st.floats(log(1e-6), log(1e-1)), st.floats(log(0.1), log(1e4)), st.sampled_from([lmt.LMU, lmt.LMU_LTAU])
)
def test_the_whole_box(log_g, log_mass, charges):
    theta = lmt.HiddenPhoton(exp(log_g), exp(log_mass), 0.0, charges)
    value, gradient = jax.value_and_grad(lmt.delta_a_mu)(theta)
    assert float(value) == pytest.approx(independent.delta_a_mu(theta.g_x, theta.mass), rel=1e-12)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))
    assert float(gradient.mass) < 0.0 < float(gradient.g_x)


def test_coupling_is_the_inverse():
    masses = np.geomspace(0.1, 1e4, 7)
    couplings = lmt.coupling_from_delta_a_mu(251e-11, masses)
    found = [independent.delta_a_mu(g, mass) for g, mass in zip(couplings.tolist(), masses.tolist())]
    np.testing.assert_allclose(found, 251e-11, rtol=1e-12)
    halved = lmt.coupling_from_delta_a_mu(251e-11, masses, muon_charge=-2.0)
    np.testing.assert_allclose(halved, couplings / 2, rtol=1e-14)
    assert lmt.coupling_from_delta_a_mu(np.full((2, 1), 1e-9), np.ones((1, 3))).shape == (2, 3)


def test_array_leaves_broadcast():
    theta = lmt.HiddenPhoton(np.array([[1e-4], [2e-4]]), np.array([[1.0, 10.0, 100.0]]), 0.0)
    values = lmt.delta_a_mu(theta)
    expected = [[independent.delta_a_mu(g, m) for m in (1.0, 10.0, 100.0)] for g in (1e-4, 2e-4)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(jax.vmap(lmt.delta_a_mu))(lmt.batch(theta)), values, rtol=1e-14)


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        lmt.delta_a_mu(lmt.HiddenPhoton(1e-3, 15, 0))
        jax.grad(lmt.delta_a_mu)(lmt.HiddenPhoton(1e-3, 15.0, 0.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0), "delta must be finite and > 0; got 0.0"),
        ((1e-9, -1.0), "mass must be finite and > 0; got -1.0"),
        ((np.nan, 1.0), "delta must be finite"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        lmt.coupling_from_delta_a_mu(*arguments)
    with pytest.raises(ValueError, match="muon_charge must not be 0"):
        lmt.coupling_from_delta_a_mu(1e-9, 1.0, muon_charge=0.0)
