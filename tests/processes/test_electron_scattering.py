"""Neutrino-electron scattering against eq 36 as printed, term by term, in 30 digits."""

from math import log, pi

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants as codata
from scipy.integrate import quad

import jaxlmt as lmt
from jaxlmt.processes import electron_scattering as electron
from tests.validation import independent
from tests.validation.independent import log_slope

M_E = independent.M_E
FLAVOURS = ("e", "mu", "tau")


def endpoint_keV(energy):
    return 1e3 * 2 * energy**2 / (M_E + 2 * energy)


def eq36(recoil_keV, energy, g, mass, eps, charge, sin2, flavour="mu"):
    """The three braces of eq 36, one after the other; cm^2/keV. For nu_e, g_L -> 1 + g_L."""
    with mpmath.workdps(30):
        er, en, g, mass, eps, charge, s2 = (
            mpmath.mpf(float(x)) for x in (1e-3 * recoil_keV, energy, g, mass, eps, charge, sin2)
        )
        m, gf, e = (mpmath.mpf(x) for x in (M_E, independent.G_F, independent.E_CHARGE))
        if recoil_keV > endpoint_keV(energy):
            return 0.0
        left, right = s2 - mpmath.mpf(1) / 2 + (flavour == "e"), s2
        sm = left**2 + right**2 * (1 - er / en) ** 2 - left * right * m * er / en**2
        denominator = 2 * er * m + mass**2
        interference = g * eps * e * charge / (mpmath.sqrt(2) * gf * denominator)
        interference *= (left + right) * (1 - m * er / (2 * en**2)) - right * er / en * (2 - er / en)
        new = (g * eps * e * charge) ** 2 / (4 * gf**2 * denominator**2)
        new *= 1 - er / en * (1 - (er - m) / (2 * en))
        unit = mpmath.mpf(independent.HBAR_C_CM) ** 2 / 1000
        return float(2 * gf**2 * m / mpmath.pi * (sm + interference + new) * unit)


def cross_section(recoil_keV, energy, theta, flavour="mu", **options):
    return electron.electron_cross_section(recoil_keV, energy, theta, flavour=flavour, **options)


# ----------------------------------------------------------------------------------------- values
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("charges", [(0.0, 1.0, -1.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.37)])
def test_eq_36(flavour, charges):
    charge = charges[FLAVOURS.index(flavour)]
    for recoil, energy in ((0.1, 0.3), (1.0, 0.42), (5.0, 0.862), (30.0, 1.44), (200.0, 0.862), (30.0, 10.0)):
        for mass, eps in ((0.01, -1e-9), (15.0, -7e-6), (15.0, 3e-5), (100.0, -1e-5), (1e4, 1e-2)):
            theta = lmt.HiddenPhoton(5e-4, mass, eps, lmt.LeptonCharges(*charges))
            found = float(cross_section(recoil, energy, theta, flavour, sin2_theta_w=0.23122))
            expected = eq36(recoil, energy, 5e-4, mass, eps, charge, 0.23122, flavour)
            sm = eq36(recoil, energy, 0.0, mass, 0.0, 0.0, 0.23122, flavour)
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-13 * sm)


@settings(deadline=None, max_examples=150)
@given(
    st.floats(log(0.01), log(1e3)),
    st.floats(log(0.05), log(18.8)),
    st.floats(log(1e-6), log(1e-1)),
    st.floats(log(0.1), log(1e4)),
    st.floats(-0.3, 0.3),
    st.floats(-2.0, 2.0),
    st.sampled_from(FLAVOURS),
)
def test_the_whole_box(log_recoil, log_energy, log_g, log_mass, ratio, charge, flavour):
    recoil, energy, g, mass = np.exp([log_recoil, log_energy, log_g, log_mass])
    charges = {"e": 0.0, "mu": 1.0, "tau": -1.0} | ({flavour: charge} if flavour != "e" else {})
    theta = lmt.HiddenPhoton(g, mass, ratio * g, lmt.LeptonCharges(**charges))
    value, gradient = VALUE_AND_GRADIENT[flavour](recoil, energy, theta)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))
    if abs(recoil / endpoint_keV(energy) - 1) < 1e-12:
        return  # on one side of the step or the other
    arguments = (recoil, energy, g, mass, ratio * g, charges[flavour], 0.23857, flavour)
    # What is not negative is a sum of terms of either sign, each exact to rounding.
    parts = np.abs(electron.moments(recoil, energy))
    left, right = (float(c[FLAVOURS.index(flavour)]) for c in electron.couplings(0.23857))
    shift = abs(float(electron.mediator_shift(theta, ratio * g, charges[flavour], recoil)))
    size = float(parts.sum()) * max(abs(left) + shift, right + shift) ** 2
    assert float(value) == pytest.approx(eq36(*arguments), rel=1e-12, abs=1e-14 * size)


VALUE_AND_GRADIENT = {
    flavour: jax.jit(
        jax.value_and_grad(
            lambda recoil, energy, theta, flavour=flavour: cross_section(recoil, energy, theta, flavour),
            (0, 1, 2),
        )
    )
    for flavour in FLAVOURS
}


def test_total_cross_section_of_the_standard_model():
    """At E >> m: sigma = (2 G_F^2 m E/pi)(g_L^2 + g_R^2/3); 't Hooft 1971."""
    gev = codata.physical_constants["Fermi coupling constant"][0]
    hbarc = codata.hbar * codata.c / codata.e * 1e-9 * 1e2
    energy, theta = 1e4, lmt.HiddenPhoton(0.0, 15.0, 0.0)
    for flavour, left in (("e", 0.5 + 0.23857), ("mu", -0.5 + 0.23857)):
        total = quad(
            lambda recoil, flavour=flavour: float(cross_section(recoil, energy, theta, flavour)),
            1e-3,
            endpoint_keV(energy),
            epsrel=1e-10,
        )[0]
        expected = 2 * gev**2 * (M_E * 1e-3) * (energy * 1e-3) / pi * (left**2 + 0.23857**2 / 3) * hbarc**2
        assert total == pytest.approx(expected, rel=1e-4)  # m/E


def test_signs_of_the_interference():
    """The quadratic term dominates for BP1; where it is small, eps < 0 raises nu_mu (g_L + g_R < 0)."""
    sm = float(cross_section(10.0, 0.862, lmt.HiddenPhoton(0.0, 15.0, 0.0), "mu"))
    for flavour in ("mu", "tau"):
        assert float(cross_section(2.0, 0.862, lmt.benchmark("BP1"), flavour)) > sm
    weak = lmt.HiddenPhoton(1e-5, 15.0, -1e-6)
    assert float(cross_section(10.0, 0.862, weak, "mu")) > sm > float(cross_section(10.0, 0.862, weak, "tau"))
    assert float(cross_section(10.0, 0.862, weak, "e")) == float(
        cross_section(10.0, 0.862, lmt.HiddenPhoton(0.0, 15.0, 0.0), "e")
    )


def test_an_electron_with_a_charge():
    """B-L and the like: g_V -> g_V + g^2 Q_nu Q_e/(sqrt2 G_F (2 m E + M^2)) (1803.00060)."""
    g, mass, recoil, charge = 1e-6, 0.5, 3.0, -1.0
    theta = lmt.HiddenPhoton(g, mass, 0.0, lmt.LeptonCharges(charge, charge, charge))
    shift = electron.mediator_shift(theta, 0.0, charge, recoil)
    expected = g**2 * charge**2 / (np.sqrt(2) * independent.G_F * (2 * M_E * recoil * 1e-3 + mass**2))
    assert 2.0 * float(shift) == pytest.approx(expected, rel=1e-13)
    # and a mixing that cancels the charge decouples the electron
    dark = lmt.HiddenPhoton(g, mass, -g * charge / independent.E_CHARGE, lmt.LeptonCharges(*(charge,) * 3))
    assert abs(float(electron.mediator_shift(dark, dark.eps_x, charge, recoil))) < 1e-15 * float(shift)


def test_running_mixing():
    theta = lmt.HiddenPhoton(1e-3, 15.0, -1e-5, running=True)
    for recoil in (1.0, 30.0):
        eps = independent.mixing(-2e-3 * M_E * recoil, 1e-3, -1e-5, (0.0, 1.0, -1.0)).real
        expected = eq36(recoil, 0.862, 1e-3, 15.0, eps, -1.0, 0.23857, "tau")
        assert float(cross_section(recoil, 0.862, theta, "tau")) == pytest.approx(expected, rel=1e-11)


# ---------------------------------------------------------------------------------------- moments
def test_moments_make_the_cross_section():
    recoil, energy = np.array([[0.5, 5.0, 40.0]]), np.array([[0.2], [0.862]])
    parts = electron.moments(recoil, energy)
    assert parts.shape == (3, 2, 3)
    theta = lmt.benchmark("BP2")
    left, right = electron.couplings(0.23857)
    assert left.shape == right.shape == (3,)
    for index, flavour in enumerate(FLAVOURS):
        charge = (0.0, 1.0, -1.0)[index]
        shift = electron.mediator_shift(theta, theta.eps_x, charge, recoil)
        gl, gr = left[index] + shift, right[index] + shift
        found = parts[0] * gl**2 + parts[1] * gr**2 + parts[2] * gl * gr
        np.testing.assert_allclose(found, cross_section(recoil, energy, theta, flavour), rtol=1e-13)


def test_couplings():
    left, right = electron.couplings(0.23)
    np.testing.assert_allclose(left, [0.73, -0.27, -0.27], rtol=1e-15)
    np.testing.assert_allclose(right, [0.23, 0.23, 0.23], rtol=1e-15)
    np.testing.assert_allclose(jax.jacobian(electron.couplings)(0.23), np.ones((2, 3)), rtol=1e-15)


@pytest.mark.parametrize("energy", [0.05, 0.42341, 0.862, 18.8])
def test_endpoint(energy):
    end = float(electron.maximum_recoil_keV(energy))
    assert end == pytest.approx(endpoint_keV(energy), rel=1e-14)
    assert float(electron.minimum_energy(end)) == pytest.approx(energy, rel=1e-13)
    parts = electron.moments(np.array([end * (1 - 1e-9), end * (1 + 1e-9)]), energy)
    assert np.all(parts[:2, 0] > 0.0) and parts[2, 0] < 0.0
    assert np.all(parts[:, 1] == 0.0)
    gradient = jax.grad(lambda e: jnp.sum(electron.moments(e, energy)))(2.0 * end)
    assert float(gradient) == 0.0


# -------------------------------------------------------------------------------------- gradients
@pytest.mark.parametrize(("recoil", "energy"), [(0.3, 0.3), (15.0, 0.862), (25.0, 8.0)])
@pytest.mark.parametrize(("mass", "eps"), [(0.3, -1e-8), (20.0, 3e-5), (3e3, -1e-2)])
@pytest.mark.parametrize("flavour", ["e", "tau"])
def test_gradient_against_differences(recoil, energy, mass, eps, flavour):
    g, charge = 1e-3, -1.2 if flavour == "tau" else 0.0

    def function(recoil, energy, g, mass, eps, sin2):
        theta = lmt.HiddenPhoton(g, mass, eps, lmt.LeptonCharges(0.0, 1.0, -1.2))
        return cross_section(recoil, energy, theta, flavour, sin2_theta_w=sin2)

    def reference(recoil, energy, g, mass, eps, sin2):
        return eq36(recoil, energy, g, mass, eps, charge, sin2, flavour)

    arguments = (recoil, energy, g, mass, eps, 0.23)
    gradient = jax.grad(function, tuple(range(6)))(*arguments)
    found = [float(slope) * x for slope, x in zip(gradient, arguments)]
    expected = [log_slope(reference, arguments, index, 0.03) for index in range(6)]
    scale = max(map(abs, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10 * scale)


def test_gradient_in_charges():
    theta = lmt.HiddenPhoton(5e-4, 15.0, -7e-6, lmt.LeptonCharges(0.1, 1.0, -1.0))
    slope = jax.grad(lambda t: cross_section(3.0, 0.862, t, "tau"))(theta).charges
    for name in ("e", "tau"):
        step = 1e-4

        def at(offset, name=name):
            charges = {"e": 0.1, "mu": 1.0, "tau": -1.0}
            charges[name] += offset
            moved = lmt.HiddenPhoton(5e-4, 15.0, -7e-6, lmt.LeptonCharges(**charges))
            return float(cross_section(3.0, 0.862, moved, "tau"))

        # a quadratic in either charge: central differences are exact but for rounding
        assert float(getattr(slope, name)) == pytest.approx((at(step) - at(-step)) / (2 * step), rel=1e-8)
    assert float(slope.mu) == 0.0


# -------------------------------------------------------------------------------------- interface
def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        cross_section(10, 1, lmt.HiddenPhoton(1e-3, 15, 0))
        jax.eval_shape(jax.grad(lambda theta: cross_section(10.0, 1.0, theta)), lmt.benchmark("BP1"))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.0, 1.0), {}, "recoil_energy_keV must be finite and > 0; got 0.0"),
        ((1.0, -1.0), {}, r"neutrino_energy must be finite and > 0; got -1\.0"),
        ((1.0, 1.0), {"flavour": "x"}, "flavour must be one of 'e', 'mu', 'tau'; got 'x'"),
        ((1.0, 1.0), {"sin2_theta_w": 1.5}, "sin2_theta_w must be a finite number"),
    ],
)
def test_invalid_arguments(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        cross_section(*arguments, lmt.benchmark("BP1"), **options)
