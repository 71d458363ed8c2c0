"""Coherent scattering against the three printed terms of eq 33, its kinematics and its gradients."""

import functools
from math import exp, log, pi, sqrt

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import constants as codata

import jaxlmt as lmt
from jaxlmt.processes import cevns
from tests.validation import independent
from tests.validation.independent import log_slope

ARGON = lmt.ARGON_40
XENON_131 = lmt.Isotope("131Xe", 54, 131, 130.90508406)
CHARGES = {"e": 0, "mu": 1, "tau": 2}  # place in LeptonCharges
HELM = 1.2e-11  # twice the 5.6e-12 that Helm's series leaves out just below its switch, 8.6 keV on argon


def reference(recoil_keV, energy, g, mass, eps, charge, sin2, kinematics="exact", isotope=ARGON):
    """Eq 33 in cm^2/keV."""
    nucleus = (isotope.mass, isotope.z, isotope.neutrons)
    arguments = (1e-3 * recoil_keV, energy, g, mass, eps, charge, sin2, kinematics)
    return 1e-3 * independent.cevns_dsigma_dE(*arguments, *nucleus)


def cross_section(recoil_keV, energy, theta, flavour="mu", isotope=ARGON, **options):
    return lmt.cevns_cross_section(recoil_keV, energy, theta, flavour=flavour, isotope=isotope, **options)


# ------------------------------------------------------------------------------------- values
@pytest.mark.parametrize("kinematics", cevns.KINEMATICS)
@pytest.mark.parametrize("isotope", [ARGON, XENON_131], ids=lambda i: i.name)
@pytest.mark.parametrize("flavour", cevns.FLAVOURS)
def test_cross_section(flavour, isotope, kinematics):
    charges = (0.2, 1.0, -1.0)
    charge = charges[CHARGES[flavour]]
    for recoil, energy in ((0.1, 5.0), (5.0, 20.0), (20.0, 30.0), (20.0, 52.0), (200.0, 40.0)):
        for mass, product in ((0.1, -1e-12), (15.0, -4e-9), (100.0, 2e-8), (1e4, -1e-3)):
            theta = lmt.HiddenPhoton(1e-3, mass, 1e3 * product, lmt.LeptonCharges(*charges))
            found = cross_section(recoil, energy, theta, flavour, isotope, kinematics=kinematics)
            arguments = (recoil, energy, 1e-3, mass, 1e3 * product, charge, 0.23857, kinematics)
            expected = reference(*arguments, isotope)
            sm = reference(recoil, energy, 0.0, mass, 0.0, charge, 0.23857, kinematics, isotope)
            # The three terms of the reference cancel where the square is small.
            assert float(found) == pytest.approx(expected, rel=HELM, abs=1e-14 * sm)


@pytest.mark.parametrize("charges", [(0.0, 1.0, -1.0), (0.0, 1.0, 0.0), (0.5, 1.0, -2.0)])
@pytest.mark.parametrize("isotope", [ARGON, XENON_131], ids=lambda i: i.name)
def test_running_mixing(isotope, charges):
    recoils = np.array([0.01, 0.5, 5.0, 20.0, 60.0])
    theta = lmt.HiddenPhoton(1e-3, 15.0, -1e-5, lmt.LeptonCharges(*charges), running=True)
    for flavour in cevns.FLAVOURS:
        found = cross_section(recoils, 40.0, theta, flavour, isotope)
        for recoil, value in zip(recoils, found, strict=True):
            eps = independent.mixing(-2e-3 * isotope.mass * recoil, 1e-3, -1e-5, charges).real
            arguments = (recoil, 40.0, 1e-3, 15.0, eps, charges[CHARGES[flavour]], 0.23857, "exact", isotope)
            assert float(value) == pytest.approx(reference(*arguments), rel=HELM)


def test_standard_model_size():
    # G_F^2/4pi Q^2 M (1 - ...) in cm^2/keV; at 30 MeV on argon, from SI constants
    energy, recoil = 30.0, 1e-3
    gev = codata.physical_constants["Fermi coupling constant"][0]
    hbarc_gev_cm = codata.hbar * codata.c / codata.e * 1e-9 * 1e2
    mass = ARGON.mass * 1e-3
    charge = 22 - (1 - 4 * 0.23857) * 18
    expected = (gev * charge) ** 2 * mass / (4 * pi) * hbarc_gev_cm**2 * 1e-6
    found = cross_section(recoil, energy, lmt.HiddenPhoton(0.0, 15.0, 0.0))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_interference_has_the_sign_of_the_paper():
    theta = lmt.benchmark("BP1")  # eps < 0: destructive for nu_mu, constructive for nu_tau, none for nu_e
    sm = float(cross_section(10.0, 30.0, lmt.HiddenPhoton(0.0, 15.0, 0.0)))
    assert float(cross_section(10.0, 30.0, theta, "mu")) < sm
    assert float(cross_section(10.0, 30.0, theta, "tau")) > sm
    assert float(cross_section(10.0, 30.0, theta, "e")) == sm
    assert float(cross_section(10.0, 30.0, lmt.benchmark("BP1", charges=lmt.LMU), "tau")) == sm


def test_cancellation_keeps_its_digits_and_is_never_negative():
    # Q/2 + kappa = delta exactly: the cross section must be delta^2, not a difference of large terms.
    recoil, energy, mass = 10.0, 30.0, 15.0
    weak = 22 - (1 - 4 * 0.23857) * 18
    momentum2 = 2e-3 * ARGON.mass * recoil + mass**2
    unit = independent.E_CHARGE * 18 / (sqrt(2) * independent.G_F * momentum2)
    sm = float(cross_section(recoil, energy, lmt.HiddenPhoton(0.0, mass, 0.0)))
    for delta in (1e-2, 1e-5, 1e-8):
        theta = lmt.HiddenPhoton(1.0, mass, (delta - 0.5 * weak) / unit)
        expected = sm * (delta / (0.5 * weak)) ** 2
        found = float(cross_section(recoil, energy, theta))
        assert found >= 0.0
        assert found == pytest.approx(expected, rel=1e-14 / delta * 0.5 * weak * 10)


# --------------------------------------------------------------------------------- kinematics
@pytest.mark.parametrize("kinematics", cevns.KINEMATICS)
@pytest.mark.parametrize("energy", [1.0, 29.79, 52.8])
def test_endpoint(energy, kinematics):
    mass = ARGON.mass
    end = float(cevns.maximum_recoil_energy(energy, mass, kinematics))
    assert end == pytest.approx(independent.recoil_max(energy, mass, kinematics), rel=1e-14)
    start = float(cevns.minimum_neutrino_energy(end, mass, kinematics))
    assert start == pytest.approx(energy, rel=1e-13)  # each the inverse of the other
    assert start == pytest.approx(independent.neutrino_energy_min(end, mass, kinematics), rel=1e-14)
    at_end = float(cevns.kinematic_bracket(end, energy, mass, kinematics))
    assert at_end == pytest.approx(0.0, abs=1e-15)
    # the zero of the same bracket: linear up to the endpoint, no step, zero and not negative beyond
    near = float(cevns.kinematic_bracket(end * (1 - 1e-6), energy, mass, kinematics))
    assert near == pytest.approx(1e-6, rel=1e-8)
    theta = lmt.benchmark("BP1")
    beyond, gradient = jax.value_and_grad(lambda e: cross_section(e, energy, theta, kinematics=kinematics))(
        1e3 * end * (1 + 1e-9)
    )
    assert float(beyond) == float(gradient) == 0.0


def test_exact_endpoint_is_two_body_kinematics():
    # Backward scattering in the laboratory, T = 2 E^2/(M + 2E), from energy and momentum conservation.
    energy, mass = 40.0, ARGON.mass
    recoil = float(cevns.maximum_recoil_energy(energy, mass, "exact"))
    outgoing = energy - recoil
    momentum = sqrt(recoil * (2 * mass + recoil))
    assert momentum == pytest.approx(energy + outgoing, rel=1e-12)


# ---------------------------------------------------------------------------------- gradients
@pytest.mark.parametrize("kinematics", cevns.KINEMATICS)
@pytest.mark.parametrize(("recoil", "energy"), [(0.3, 8.0), (15.0, 35.0), (60.0, 50.0)])
@pytest.mark.parametrize(("mass", "eps"), [(0.3, -1e-6), (20.0, 3e-5), (3e3, -1e-2)])
def test_gradient_against_differences(recoil, energy, mass, eps, kinematics):
    g, charge, sin2 = 1e-3, -1.2, 0.23

    def function(recoil, energy, g, mass, eps, charge, sin2):
        theta = lmt.HiddenPhoton(g, mass, eps, lmt.LeptonCharges(0.0, 1.0, charge))
        return cross_section(recoil, energy, theta, "tau", sin2_theta_w=sin2, kinematics=kinematics)

    arguments = (recoil, energy, g, mass, eps, charge, sin2)
    gradient = jax.grad(function, tuple(range(7)))(*arguments)

    def expected(index):
        return log_slope(lambda *a: reference(*a, kinematics), arguments, index, 0.03)

    found = [float(slope) * x for slope, x in zip(gradient, arguments)]
    scale = max(abs(expected(index)) for index in range(7))
    np.testing.assert_allclose(found, [expected(i) for i in range(7)], rtol=1e-8, atol=1e-10 * scale)


@functools.partial(jax.jit, static_argnums=(3, 4))
def value_and_gradients(recoil, energy, theta, flavour, kinematics):
    function = functools.partial(cross_section, flavour=flavour, kinematics=kinematics)
    return jax.value_and_grad(function, (0, 1, 2))(recoil, energy, theta)


@settings(deadline=None, max_examples=150)
@given(
    st.floats(log(0.1), log(150.0)),
    st.floats(1.0, 52.8),
    st.floats(log(1e-6), log(1e-1)),
    st.floats(log(0.1), log(1e4)),
    st.floats(log(1e-6), 0.0),
    st.sampled_from((-1, 1)),
    st.sampled_from([(name, q) for name in cevns.FLAVOURS for q in (lmt.LMU, lmt.LMU_LTAU)]),
    st.sampled_from(cevns.KINEMATICS),
)
@example(log(1.0), 30.0, log(1e-1), log(0.1), 0.0, -1, ("mu", lmt.LMU_LTAU), "exact")
def test_the_whole_box(log_recoil, energy, log_g, log_mass, log_ratio, sign, model, kinematics):
    recoil, g, mass = exp(log_recoil), exp(log_g), exp(log_mass)
    flavour, charges = model
    theta = lmt.HiddenPhoton(g, mass, sign * g * exp(log_ratio), charges)
    value, gradients = value_and_gradients(recoil, energy, theta, flavour, kinematics)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradients))
    arguments = (recoil, energy, g, mass, theta.eps_x, getattr(charges, flavour), 0.23857, kinematics)
    sm = reference(recoil, energy, 0.0, mass, 0.0, 0.0, 0.23857, kinematics)
    end = 1e3 * independent.recoil_max(energy, ARGON.mass, kinematics)
    near_endpoint = 1e-15 / max(abs(1 - recoil / end), 1e-15)
    assert float(value) == pytest.approx(reference(*arguments), rel=HELM + near_endpoint, abs=1e-13 * sm)


# ----------------------------------------------------------------------------------- interface
def test_weak_charge():
    assert cevns.weak_charge(ARGON, 0.25) == 22
    assert cevns.weak_charge(ARGON, 0.23122) == pytest.approx(independent.weak_charge(18, 22, 0.23122))


def test_arrays_broadcast():
    recoil, energy = np.array([[1.0, 5.0, 10.0]]), np.array([[20.0], [40.0]])
    values = cross_section(recoil, energy, lmt.benchmark("BP1"))
    expected = [
        [reference(r, e, 5e-4, 15.0, -5e-4 / 70, 1.0, 0.23857) for r in recoil[0]] for e in (20.0, 40.0)
    ]
    np.testing.assert_allclose(values, expected, rtol=HELM)
    theta = lmt.HiddenPhoton(5e-4, np.array([10.0, 15.0, 20.0]), -5e-4 / 70)
    assert float(cross_section(5.0, 20.0, theta)[1]) == pytest.approx(expected[0][1], rel=HELM)


def test_leaf_types_do_not_retrace():
    sizes, values = set(), set()
    for mass in (15, 15.0, np.float32(15), np.float64(15), np.array(15)):
        values.add(
            float(cross_section(10, 30 if isinstance(mass, int) else 30.0, lmt.HiddenPhoton(1e-3, mass, 0)))
        )
        sizes.add(cevns._cross_section._cache_size())
    assert len(sizes) == len(values) == 1


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        cross_section(10, 30, lmt.HiddenPhoton(1e-3, 15, 0))
        jax.eval_shape(jax.grad(lambda theta: cross_section(10.0, 30.0, theta)), lmt.benchmark("BP1"))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.0, 30.0), {}, "recoil_energy_keV must be finite and > 0; got 0.0"),
        ((1.0, -30.0), {}, r"neutrino_energy must be finite and > 0; got -30\.0"),
        ((1.0, 30.0), {"flavour": "x"}, "flavour must be one of 'e', 'mu', 'tau'; got 'x'"),
        ((1.0, 30.0), {"kinematics": "none"}, "kinematics must be one of 'exact', 'paper'; got 'none'"),
        ((1.0, 30.0), {"sin2_theta_w": 1.5}, "sin2_theta_w must be a finite number"),
    ],
)
def test_invalid_arguments(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        cross_section(*arguments, lmt.benchmark("BP1"), **options)
