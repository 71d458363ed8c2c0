"""Muon bremsstrahlung against nested adaptive quadrature, its limits and its gradients."""

import functools
from math import exp, inf, log, pi, sqrt

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxlmt as lmt
from jaxlmt.processes import bremsstrahlung as brems
from tests.validation import independent
from tests.validation.independent import log_slope

E0 = 160e3
# The paper's kernel is a product with one integral, which independent.py has once; "ww" it has nested.
REFERENCE = {"ww": independent.dsigma_dx_ww, "paper": independent.dsigma_dx_paper}
FAST = {"ww": independent.dsigma_dx_ww_1d, "paper": independent.dsigma_dx_paper}

POINTS = [(x, mass) for x in (0.01, 0.3, 0.6, 0.9375, 0.99) for mass in (0.1, 15.0, 100.0, 1e3, 1e4)]


def cross_section(x, g, mass, charge=1.0, kernel="ww", **target):
    theta = lmt.HiddenPhoton(g, mass, -g / 70, lmt.LeptonCharges(0.0, charge, -1.0))
    return float(lmt.bremsstrahlung_cross_section(x, theta, kernel=kernel, **target))


# ------------------------------------------------------------------------------------- values
@pytest.mark.parametrize("kernel", brems.KERNELS)
@pytest.mark.parametrize(("x", "mass"), POINTS)
def test_cross_section(kernel, x, mass):
    expected = REFERENCE[kernel](x, 5e-4, mass, -1.5)
    found = cross_section(x, 5e-4, mass, -1.5, kernel)
    if mass >= x * E0:
        assert found == expected == 0.0
    else:
        assert found == pytest.approx(expected, rel=1e-10, abs=0.0)


@pytest.mark.parametrize("kernel", brems.KERNELS)
@pytest.mark.parametrize("target", [(1e5, 26, 55.845), (160e3, 6, 12.011), (40e3, 1, 1.008)])
def test_other_beams_and_targets(kernel, target):
    beam, z, a = target
    for x, mass in ((0.4, 3.0), (0.8, 300.0)):
        expected = REFERENCE[kernel](x, 1e-3, mass, 1.0, beam, z, a)
        found = cross_section(x, 1e-3, mass, kernel=kernel, beam_energy=beam, z=z, a=a)
        assert found == pytest.approx(expected, rel=1e-10, abs=0.0)


value_and_gradients = {
    kernel: jax.jit(
        jax.value_and_grad(functools.partial(lmt.bremsstrahlung_cross_section, kernel=kernel), (0, 1))
    )
    for kernel in brems.KERNELS
}


@settings(deadline=None, max_examples=150)
@given(
    st.floats(0.01, 0.99),
    st.floats(log(1e-6), log(1e-1)),
    st.floats(log(0.1), log(1e4)),
    st.sampled_from((-1, 1)),
    st.sampled_from([lmt.LMU, lmt.LMU_LTAU]),
    st.sampled_from(brems.KERNELS),
)
@example(0.01, log(1e-3), log(1600.0), 1, lmt.LMU, "ww")  # at the threshold M = x E0
@example(0.05, log(1e-3), log(8e3 * (1 - 1e-12)), -1, lmt.LMU, "paper")
def test_the_whole_box(x, log_g, log_mass, sign, charges, kernel):
    g, mass = exp(log_g), exp(log_mass)
    theta = lmt.HiddenPhoton(g, mass, sign * g / 70, charges)
    value, gradients = value_and_gradients[kernel](x, theta)
    expected = FAST[kernel](x, g, mass)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradients))
    # beta = sqrt(1 - (M/x E0)^2) loses digits within 1e-6 of the threshold.
    distance = abs(1 - mass / (x * E0))
    if distance > 1e-12:
        assert float(value) == pytest.approx(expected, rel=1e-11 + 1e-15 / distance, abs=0.0)


def test_zero_beyond_the_threshold():
    theta = lmt.HiddenPhoton(1e-3, 5e3, 0.0)
    for kernel in brems.KERNELS:

        def function(theta, kernel=kernel):
            return lmt.bremsstrahlung_cross_section(0.03, theta, kernel=kernel)

        value, gradient = jax.value_and_grad(function)(theta)
        assert float(value) == 0.0
        assert all(float(leaf) == 0.0 for leaf in jax.tree.leaves(gradient))


# ---------------------------------------------------------------------------------- gradients
@pytest.mark.parametrize("kernel", brems.KERNELS)
@pytest.mark.parametrize(("x", "mass"), [(0.02, 1.0), (0.4, 0.1), (0.5, 15.0), (0.7, 200.0), (0.93, 8e3)])
def test_gradient_against_differences(kernel, x, mass):
    g, charge = 5e-4, -1.5
    theta = lmt.HiddenPhoton(g, mass, -g / 70, lmt.LeptonCharges(0.0, charge, -1.0))

    def function(x, theta):
        return lmt.bremsstrahlung_cross_section(x, theta, kernel=kernel)

    value = float(function(x, theta))
    by_x, by_theta = jax.grad(function, (0, 1))(x, theta)
    found = [
        float(by_x) * x,
        float(by_theta.g_x) * g,
        float(by_theta.mass) * mass,
        float(by_theta.charges.mu) * charge,
    ]
    arguments = (x, g, mass, charge)
    widths = (min(0.1, -0.1 * log(x)), 0.1, 0.1, 0.1)  # x stays away from 1
    expected = [log_slope(FAST[kernel], arguments, i, width) for i, width in enumerate(widths)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * value)
    assert float(by_theta.eps_x) == float(by_theta.charges.e) == float(by_theta.charges.tau) == 0.0


# ---------------------------------------------------------------------------------- ingredients
def test_form_factor():
    t = np.geomspace(1e-12, 1e8, 41)  # MeV^2
    for z, a in ((82, 207.2), (6, 12.011), (1, 1.008)):
        expected = [independent.form_factor(value, z, a) for value in t]
        np.testing.assert_allclose(brems.form_factor(t, float(z), a), expected, rtol=1e-12)
    # screened at small t; Z^2 and the inelastic Z between the atom and the nucleus; Z^2 (d/t)^2 at large t
    assert brems.form_factor(0.0, 82.0, 207.2) == 0.0
    assert brems.form_factor(1.0, 82.0, 207.2) == pytest.approx(82**2 + 82, rel=1e-2)
    nucleus = 0.164e6 * 207.2 ** (-2 / 3)
    assert brems.form_factor(1e8, 82.0, 207.2) == pytest.approx((82 * nucleus / 1e8) ** 2, rel=1e-3)


def test_muon_virtuality_is_eq_20():
    expected = 30.0**2 * 0.4 / 0.6 + independent.M_MU**2 * 0.6
    assert brems.muon_virtuality(0.6, 30.0) == pytest.approx(expected, rel=1e-14)


def test_velocity():
    assert float(brems.velocity(0.5, 40e3, E0)) == pytest.approx(sqrt(0.75), rel=1e-14)
    assert float(brems.velocity(0.5, 80e3, E0)) == 0.0
    assert float(brems.velocity(0.5, 90e3, E0)) == 0.0


@pytest.mark.parametrize("mass", [0.1, 1.0, 15.0, 1e3, 1e4])
def test_photon_flux_of_the_paper(mass):
    expected = independent.chi_paper(mass)
    assert float(brems.photon_flux_paper(mass, E0, 82.0, 207.2)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("mass", [0.1, 15.0, 100.0, 1e4])
def test_ww_lies_where_its_exact_ingredients_put_it(mass):
    # chi decreases with t_min, so the nested integral is bounded by chi at its two ends.
    x, z, a = 0.6, 82.0, 207.2
    _, v, reach, t_max = independent.beam_kinematics(x, mass, E0)
    flux = float(brems.flux_integral_ww(x, mass, E0, z, a))
    largest = independent.chi((v / reach) ** 2, t_max, z, a)
    shape = float(constant_flux_shape(x, mass))
    assert 0.1 * largest * shape < flux < largest * shape


def constant_flux_shape(x, mass, z=82.0, a=207.2):
    """J/chi of a constant photon flux chi, from the package: undo the paper's 1/pi and its chi."""
    paper = brems.flux_integral_paper(x, mass, E0, z, a)
    return pi * paper / brems.photon_flux_paper(mass, E0, z, a)


@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("mass", [1.0, 30.0, 500.0])
def test_shape_at_constant_flux_is_eq_16_term_by_term(x, mass):
    theta = lmt.HiddenPhoton(1e-3, mass, 0.0)
    flux = 7.0 * constant_flux_shape(x, mass)
    found = float(brems.cross_section_from_flux(x, theta, flux, E0))
    expected = independent.dsigma_dx_constant_chi(x, 1e-3, mass, 7.0)
    assert found == pytest.approx(expected, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
def test_bethe_heitler(x):
    # M -> 0 and g = e, with chi of an unscreened point charge between V = m^2 x and t = m^2.
    mass, z = 1e-5, 3
    chi = 2 * z**2 * (log(2 * E0 * (1 - x) / (independent.M_MU * x)) - 0.5)
    theta = lmt.HiddenPhoton(independent.E_CHARGE, mass, 0.0)
    found = float(brems.cross_section_from_flux(x, theta, chi * constant_flux_shape(x, mass), E0))
    assert found == pytest.approx(independent.bethe_heitler_dsigma_dx(x, E0, z), rel=1e-10, abs=0.0)


# ----------------------------------------------------------------------------------- interface
def test_arrays_and_vmap():
    x = np.linspace(0.1, 0.9, 5)[:, None]
    theta = lmt.HiddenPhoton(1e-3, np.array([[1.0, 100.0]]), -1e-5)
    for kernel in brems.KERNELS:
        values = lmt.bremsstrahlung_cross_section(x, theta, kernel=kernel)
        expected = [[cross_section(v, 1e-3, m, kernel=kernel) for m in (1.0, 100.0)] for v in x[:, 0]]
        np.testing.assert_allclose(values, expected, rtol=1e-13)

        def function(x, mass, kernel=kernel):
            return lmt.bremsstrahlung_cross_section(x, lmt.HiddenPhoton(1e-3, mass, -1e-5), kernel=kernel)

        mapped = jax.vmap(jax.vmap(function, (None, 0)), (0, None))(x[:, 0], theta.mass[0])
        np.testing.assert_allclose(mapped, expected, rtol=1e-13)


def test_leaf_types_do_not_retrace():
    sizes, values = set(), set()
    for mass in (15, 15.0, np.float32(15), np.float64(15), np.array(15)):
        values.add(cross_section(0.5, 1e-3, mass, beam_energy=160000 if isinstance(mass, int) else 160e3))
        sizes.add(brems._cross_section._cache_size())
    assert len(sizes) == len(values) == 1


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        for kernel in brems.KERNELS:
            lmt.bremsstrahlung_cross_section(0.5, lmt.HiddenPhoton(1e-3, 15, 0), kernel=kernel)
            function = functools.partial(lmt.bremsstrahlung_cross_section, 0.5, kernel=kernel)
            jax.eval_shape(jax.grad(function), lmt.benchmark("BP1"))  # traces, which is all it takes


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (0.0, {}, "x must be finite and > 0; got 0.0"),
        (1.0, {}, "x must lie below 1; got 1.0"),
        (np.array([0.5, 2.0]), {}, "x must lie below 1; got 2.0"),
        (0.5, {"kernel": "WW"}, "kernel must be one of 'ww', 'paper'; got 'WW'"),
        (0.5, {"beam_energy": -1.0}, "beam_energy must be a finite number"),
        (0.5, {"z": 0.0}, "z must be a finite number"),
        (0.5, {"a": inf}, "a must be a finite number"),
    ],
)
def test_invalid_arguments(x, options, message):
    with pytest.raises(ValueError, match=message):
        lmt.bremsstrahlung_cross_section(x, lmt.benchmark("BP1"), **options)
