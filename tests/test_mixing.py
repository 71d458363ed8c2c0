"""Running mixing: the loop function against hypergeometric functions, eps(q^2) against its integral."""

import pickle
from dataclasses import replace
from math import log, pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxlmt as lmt
from jaxlmt import mixing, model
from tests.validation import independent

E, M_E, M_MU, M_TAU = independent.E_CHARGE, independent.M_E, independent.M_MU, independent.M_TAU
THRESHOLDS = [(2 * mass) ** 2 for mass in independent.LEPTON_MASSES]  # of q^2
ONE_LOOP = lmt.HiddenPhoton(1.0, 15.0, lmt.MIXING_RATIO_ONE_LOOP, running=True)  # eps per g_x
LOOPS = {f.__name__: f for f in (mixing.loop_real, mixing.loop_imaginary)}
DERIVATIVES = {  # compiled: the value and two derivatives
    name: jax.jit(jax.vmap(lambda z, f=f: (f(z), jax.grad(f)(z), jax.grad(jax.grad(f))(z))))
    for name, f in LOOPS.items()
}
XENON_131 = lmt.Isotope("131Xe", 54, 131, 130.90508406)


def recoil(energy_keV, isotope=lmt.ARGON_40):
    """q^2 [MeV^2] of a nuclear recoil."""
    return -2e-3 * isotope.mass * energy_keV


def random_z():
    """Over 1e-8 ... 1e8 of either sign, and around zero and where one form of I takes over from another."""
    rng = np.random.default_rng(5)
    size = 10.0 ** rng.uniform(-8, 8, 24)
    close = 10.0 ** rng.uniform(-9, -1, 6)
    switches = [s + sign * close for s in (0.0, -0.5, 0.5, 4.0) for sign in (-1, 1)]
    exact = [-0.5, 0.5, np.nextafter(-0.5, 0), np.nextafter(0.5, 0), -1e8, 1e8, 1.0, 2.0, 8.0]
    return np.concatenate([size, -size, *switches, exact])


# -------------------------------------------------------------------------------- loop function
def test_loop_and_its_slope():
    z = random_z()
    values, slopes = zip(*(independent.loop_mpmath(float(point)) for point in z), strict=True)
    values, slopes = np.array(values), np.array(slopes)
    real, slope, _ = DERIVATIVES["loop_real"](z)
    np.testing.assert_allclose(real, values.real, rtol=1e-13, atol=0.0)
    np.testing.assert_allclose(slope, slopes.real, rtol=1e-13, atol=0.0)
    imaginary, slope, _ = DERIVATIVES["loop_imaginary"](z)
    # At z + i0, which the series of the reference may leave on the other side of its cut.
    np.testing.assert_allclose(imaginary, -np.abs(values.imag), rtol=1e-13, atol=0.0)
    # Far above threshold Im I is flat: there z dI/dz is compared with I.
    np.testing.assert_allclose(np.abs(z * slope), np.abs(z * slopes.imag), rtol=1e-13, atol=1e-15)
    assert np.all(np.asarray(imaginary)[z <= 4.0] == 0.0) and np.all(np.asarray(imaginary)[z > 4.0] < 0.0)


def test_loop_against_its_integral():
    for z in (-3e4, -12.0, -0.7, -0.1, 0.3, 0.6, 3.9, 4.1, 30.0, 1e6):
        expected = independent.loop(z)
        assert float(mixing.loop_real(z)) == pytest.approx(expected.real, rel=1e-11)
        assert float(mixing.loop_imaginary(z)) == pytest.approx(expected.imag, rel=1e-11, abs=0.0)


def test_loop_at_zero_and_at_the_threshold():
    real, slope, _ = DERIVATIVES["loop_real"](np.array([0.0]))
    assert (float(real[0]), float(slope[0])) == pytest.approx((0.0, -1 / 30), rel=1e-15)
    z = np.array(
        [4.0, np.nextafter(4.0, 0.0), np.nextafter(4.0, 5.0)]
    )  # the rounding of q^2/m^2 does not matter
    real, slope, _ = DERIVATIVES["loop_real"](z)
    np.testing.assert_allclose(real, -4 / 9, rtol=1e-14)
    np.testing.assert_allclose(slope, 1 / 6, rtol=1e-7)
    np.testing.assert_array_equal(DERIVATIVES["loop_imaginary"](z)[:2], np.zeros((2, 3)))
    _, slope, _ = DERIVATIVES["loop_real"](np.array([4.0 + 1e-8, 4.0 - 1e-8]))
    assert float(slope[0]) == pytest.approx(1 / 6, rel=1e-7) and float(slope[1]) < -1e3


@settings(deadline=None, max_examples=500)
@given(st.floats(-1e9, 1e9))
@example(0.0)
@example(5e-324)
@example(-5e-324)
@example(4.0)
def test_loop_is_finite_with_two_derivatives(z):
    for derivatives in DERIVATIVES.values():
        assert np.all(np.isfinite(derivatives(np.array([z]))))


def test_loop_keeps_the_shape_and_the_type():
    z = np.linspace(-9.0, 9.0, 12).reshape(3, 4)
    with jax.numpy_dtype_promotion("strict"):
        for loop in (mixing.loop_real, mixing.loop_imaginary):
            found = loop(z)
            assert found.shape == (3, 4) and found.dtype == np.float64
            np.testing.assert_array_equal(found[1, 2], loop(z[1, 2]))


# ------------------------------------------------------------------------------------ eps(q^2)
@pytest.mark.parametrize("q2", [-1e12, -1e7, -1e4, -1.0, -1e-6, 0.0, 1.0, 1e4, 4.4e4])
def test_one_loop_integral_of_lmu_ltau(q2):
    """Eq 10 at q^2, its logarithms in one: normalisation and sign of the loops relative to eps(0)."""

    def integrand(x):
        muon, tau = (m**2 - x * (1 - x) * q2 for m in (M_MU, M_TAU))
        return x * (1 - x) * log(muon / tau)

    breaks = [min(0.4, M_TAU**2 / abs(q2)), min(0.4, M_MU**2 / abs(q2))] if q2 else []
    expected = E / (2 * pi**2) * 2 * independent.integrate(integrand, 0.0, 0.5, breaks)
    assert float(lmt.kinetic_mixing(ONE_LOOP, q2)) == pytest.approx(expected, rel=1e-10)


def test_mixing_of_lmu_ltau_vanishes_at_short_distances():
    """There muon and tau screen each other."""
    assert float(lmt.kinetic_mixing(ONE_LOOP, 0.0)) == pytest.approx(-1 / 69.286, rel=2e-5)
    assert abs(float(lmt.kinetic_mixing(ONE_LOOP, -1e12))) < 1e-4 * abs(lmt.MIXING_RATIO_ONE_LOOP)


@pytest.mark.parametrize("scale", [1e5, 1e19])  # 100 GeV, 1e16 GeV
def test_one_loop_integral_of_lmu(scale):
    """Eq 12 at q^2 = 0: -0.035 and -0.20 (PHYSICS.md); at q^2 the muon alone, cut off at M_NP."""
    theta = lmt.HiddenPhoton(1.0, 15.0, lmt.lmu_mixing_ratio(scale), lmt.LMU, running=True)
    assert float(lmt.kinetic_mixing(theta, 0.0)) == pytest.approx({1e5: -0.035, 1e19: -0.20}[scale], rel=0.03)
    for q2 in (-1e6, -2e3, 1e4):
        expected = independent.integrate(
            lambda x, q2=q2: x * (1 - x) * log((M_MU**2 - x * (1 - x) * q2) / scale**2), 0.0, 1.0, (0.5,)
        )
        expected *= E / (2 * pi**2)
        assert float(lmt.kinetic_mixing(theta, q2)) == pytest.approx(expected, rel=1e-10)


def test_size_at_recoils_and_on_shell():
    """The numbers of PHYSICS.md, section 1."""
    zero = lmt.MIXING_RATIO_ONE_LOOP
    lost = [1 - float(lmt.kinetic_mixing(ONE_LOOP, recoil(energy))) / zero for energy in (20, 50, 100, 148)]
    assert lost == pytest.approx([0.005, 0.011, 0.022, 0.032], abs=5e-4)
    assert 1 - float(lmt.kinetic_mixing(ONE_LOOP, recoil(1.0, XENON_131))) / zero == pytest.approx(
        1e-3, abs=5e-4
    )
    gained = [
        float(lmt.kinetic_mixing_squared(ONE_LOOP, m**2)) ** 0.5 / abs(zero) - 1 for m in (100, 2 * M_MU)
    ]
    assert gained == pytest.approx([0.035, 0.47], abs=5e-3)


@pytest.mark.parametrize("charges", [(0.0, 1.0, -1.0), (0.0, 1.0, 0.0), (0.7, -0.4, 1.3)])
def test_all_charges_against_the_reference(charges):
    theta = lmt.HiddenPhoton(3e-4, 15.0, 2e-6, lmt.LeptonCharges(*charges), running=True)
    for q2 in (-1e7, -3e3, -0.1, 0.05, 3.0, 4e4, 5e4, 1e8):
        expected = independent.mixing(q2, 3e-4, 2e-6, charges)
        assert float(lmt.kinetic_mixing(theta, q2)) == pytest.approx(expected.real, rel=1e-10)
        found = float(lmt.kinetic_mixing_squared(theta, q2))
        assert found == pytest.approx(abs(expected) ** 2, rel=1e-10)


@pytest.mark.parametrize("mass", [250.0, 1e3, 3e3, 8e3])
def test_imaginary_part_is_unitarity(mass):
    """Cutting the loop gives the decays: Im eps(M^2) = -(e/g) sum_l Gamma(l+l-)/(Q_l M)."""
    g, charges = 2e-3, lmt.LeptonCharges(0.0, 0.8, -0.6)
    theta = lmt.HiddenPhoton(g, mass, -1e-5, charges, running=True)
    widths = lmt.partial_widths(theta)
    expected = -E / (g * mass) * sum(float(widths[n]) / q for n, q in (("mu", 0.8), ("tau", -0.6)))
    found = float(mixing.imaginary_mixing(theta, mass**2))
    assert found == pytest.approx(expected, rel=1e-12)
    squared = float(lmt.kinetic_mixing_squared(theta, mass**2) - lmt.kinetic_mixing(theta, mass**2) ** 2)
    assert squared == pytest.approx(expected**2, rel=1e-9)


def test_mixing_that_does_not_run():
    theta = lmt.benchmark("BP1")
    q2 = np.array([-1e4, 0.0, THRESHOLDS[1], 1e6])
    np.testing.assert_array_equal(lmt.kinetic_mixing(theta, q2), np.full(4, theta.eps_x))
    np.testing.assert_allclose(lmt.kinetic_mixing_squared(theta, q2), np.full(4, theta.eps_x**2), rtol=1e-15)
    running = replace(theta, running=True)
    assert float(lmt.kinetic_mixing(running, 0.0)) == theta.eps_x
    assert np.all(np.asarray(lmt.kinetic_mixing(running, q2))[[0, 2, 3]] != theta.eps_x)
    # and the switch costs nothing: no loop is traced
    for function in (model._mixing, model._mixing_squared, model._channel_widths):
        arguments = (theta,) if function is model._channel_widths else (theta, 1.0)
        assert "asinh" not in str(jax.make_jaxpr(function)(*arguments))
    assert "asinh" in str(jax.make_jaxpr(model._channel_widths)(running))


def test_broadcasting():
    couplings, q2 = np.geomspace(1e-5, 1e-3, 3)[:, None], np.array([[-1e4, 0.0, 50.0, 1e5]])
    for running in (False, True):
        theta = lmt.HiddenPhoton(couplings, 15.0, -1e-6, running=running)
        for function in (lmt.kinetic_mixing, lmt.kinetic_mixing_squared):
            found = function(theta, q2)
            assert found.shape == (3, 4)
            one = function(replace(theta, g_x=couplings[2, 0]), q2[0, 3])
            assert float(found[2, 3]) == pytest.approx(float(one), rel=1e-14)
            assert function(replace(theta, g_x=1e-4), 3).shape == ()


# ------------------------------------------------------------------------------------ gradients
@pytest.mark.parametrize("q2", [-1e4, 1e4, 5e4, 2e7])
def test_gradient(q2):
    theta = lmt.HiddenPhoton(3e-4, 15.0, 2e-6, lmt.LeptonCharges(0.3, 1.0, -1.0), running=True)
    slopes = [
        jax.grad(f, argnums=(0, 1))(theta, q2) for f in (lmt.kinetic_mixing, lmt.kinetic_mixing_squared)
    ]
    loops = [independent.loop(q2 / m**2) for m in (M_E, M_MU, M_TAU)]
    value, unit = independent.mixing(q2, 3e-4, 2e-6, (0.3, 1.0, -1.0)), E / (2 * pi**2)
    by_q2 = [independent.loop_mpmath(q2 / m**2)[1] / m**2 for m in (M_E, M_MU, M_TAU)]
    by_q2 = [
        complex(slope.real, -abs(slope.imag) * np.sign(z)) for slope, z in zip(by_q2, by_q2, strict=True)
    ]
    expected = {
        "g_x": (value - 2e-6) / 3e-4,
        "mass": 0.0,
        "eps_x": 1.0,
        "e": 3e-4 * unit * loops[0],
        "mu": 3e-4 * unit * loops[1],
        "tau": 3e-4 * unit * loops[2],
    }
    for (by_theta, _), derivative in zip(
        slopes, (lambda d: d.real, lambda d: 2 * (value.conjugate() * d).real)
    ):
        found = {n: getattr(by_theta if hasattr(by_theta, n) else by_theta.charges, n) for n in expected}
        for name, slope in expected.items():
            assert float(found[name]) == pytest.approx(derivative(complex(slope)), rel=1e-9, abs=1e-18), name


@pytest.mark.parametrize("q2", [-1e4, 1e4, 5e4, 2e7])
@pytest.mark.parametrize("function", [lmt.kinetic_mixing, lmt.kinetic_mixing_squared])
def test_gradient_in_q2(function, q2):
    charges = (0.3, 1.0, -1.0)
    theta = lmt.HiddenPhoton(3e-4, 15.0, 2e-6, lmt.LeptonCharges(*charges), running=True)

    def reference(q2):
        value = independent.mixing(q2, 3e-4, 2e-6, charges)
        return value.real if function is lmt.kinetic_mixing else abs(value) ** 2

    distance = min(abs(log(abs(q2) / threshold)) for threshold in THRESHOLDS)
    expected = independent.log_slope(reference, (q2,), 0, min(0.1, 0.2 * distance))
    assert q2 * float(jax.grad(function, argnums=1)(theta, q2)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", model.MODELS)
def test_gradient_of_widths_at_the_thresholds(name):
    """Finite, whatever the loops do there."""
    masses = np.array([*(2 * m for m in independent.LEPTON_MASSES), 1e-3, 1e4])
    masses = np.concatenate([masses, np.nextafter(masses, 0.0), np.nextafter(masses, 1e5)])
    theta = lmt.batch(lmt.HiddenPhoton(1e-3, masses, -1e-4, model.MODELS[name], running=True))
    jacobians = jax.vmap(jax.jacrev(lmt.branching_ratios))(theta)
    assert np.all(np.isfinite(jax.tree.leaves(jacobians)))


@settings(deadline=None, max_examples=100)
@given(
    st.floats(-6.0, -1.0),
    st.floats(-1.0, 4.0),
    st.floats(-1.0, 1.0),
    st.sampled_from([lmt.LMU, lmt.LMU_LTAU, lmt.LeptonCharges(1.0, -1.0, 0.5)]),
)
@example(-3.0, float(np.log10(2 * M_MU)), 0.0, lmt.LMU)
def test_branching_ratio_and_gradient_are_finite_in_the_whole_box(log_g, log_mass, ratio, charges):
    g = 10.0**log_g
    theta = lmt.HiddenPhoton(g, 10.0**log_mass, ratio * g, charges, running=True)
    value, gradient = jax.value_and_grad(lmt.invisible_branching_ratio)(theta)
    assert 0.0 <= value <= 1.0
    assert np.all(np.isfinite(jax.tree.leaves(gradient)))


# ------------------------------------------------------------------------------------ interface
def test_leaf_types_do_not_retrace():
    before = None
    for q2 in (-100, -100.0, np.float32(-100), np.float64(-100), np.int32(-100), jnp.asarray(-100.0)):
        theta = lmt.HiddenPhoton(5e-4, 15 if isinstance(q2, int) else 15.0, -1e-5, running=True)
        values = [float(f(theta, q2)) for f in (lmt.kinetic_mixing, lmt.kinetic_mixing_squared)]
        sizes = [function._cache_size() for function in (model._mixing, model._mixing_squared)]
        assert before is None or (sizes, values) == before
        before = (sizes, values)


@pytest.mark.parametrize("function", [lmt.kinetic_mixing, lmt.kinetic_mixing_squared])
def test_invalid_arguments(function):
    for q2, message in ((np.nan, "q2 must be finite; got nan"), ("low", "q2 must be numbers; got 'low'")):
        with pytest.raises(ValueError, match=message):
            function(ONE_LOOP, q2)
    with pytest.raises(ValueError, match=r"theta\.running must be True or False; got 'yes'"):
        function(replace(ONE_LOOP, running="yes"), 0.0)
    with pytest.raises(TypeError, match="HiddenPhoton; got float"):
        function(1.0, 0.0)


# ------------------------------------------------------------------------------------ inference
RUNNING_PRIORS = {
    "free": lmt.default_prior(running=True),
    "tied": lmt.default_prior(mixing=lmt.TiedToCoupling(-1 / 70), running=True),
    "signed": lmt.default_prior(mixing=lmt.PerCoupling(lmt.SignedLogUniform(1e-5, 0.3)), running=True),
}


@pytest.fixture(scope="module")
def joint():
    """(g-2)_mu for g_x, and two detectors of known efficiency, at BP4 with a running mixing."""
    truth = lmt.benchmark("BP4", running=True)
    experiments = [lmt.gminus2(), lmt.ess10(signal_norm=1.0), lmt.ess(signal_norm=1.0)]
    return lmt.Joint.asimov(experiments, truth)


# What the same data ask of a mixing that does not run: between its loss at 100 keV and none.
LESS = (0.978, 0.999)


@pytest.mark.parametrize("name", RUNNING_PRIORS)
def test_prior_keeps_the_switch(name):
    prior = pickle.loads(pickle.dumps(RUNNING_PRIORS[name]))
    y = jnp.asarray([0.3, -0.2, 0.5][: len(prior.names)])
    theta = prior.from_real(y)
    assert theta.running is True and prior.theta.running is True
    np.testing.assert_allclose(prior.to_real(theta), y, rtol=1e-12)
    assert jax.tree.map(lambda leaf: leaf, prior).theta.running is True
    assert prior.describe()["eps_x"].endswith(" at q^2 = 0, running")
    fixed = lmt.default_prior()
    assert fixed.from_real(jnp.zeros(3)).running is False
    assert "running" not in str(fixed.describe())
    if name == "tied":  # eps(0) follows the coupling
        assert float(lmt.kinetic_mixing(theta, 0.0)) == pytest.approx(-float(theta.g_x) / 70, rel=1e-15)


def test_prior_refuses_another_switch():
    with pytest.raises(ValueError, match=r"theta\.running must be True or False; got 1"):
        lmt.default_prior(running=1)


@pytest.mark.parametrize("name", RUNNING_PRIORS)
def test_log_density_is_likelihood_times_prior(name, joint):
    prior = RUNNING_PRIORS[name]
    density = lmt.log_density(joint, prior)
    z = np.array([0.4, 0.1, -0.3])[: density.dimension]
    signs = (1.0, -1.0) if prior.signed is not None else (1.0,)
    likelihoods = [
        float(joint.log_likelihood(prior.from_real(z, sign), systematics="marginal")) for sign in signs
    ]
    expected = np.logaddexp.reduce(likelihoods) - log(len(signs)) + float(prior.log_density_real(z))
    assert float(density(z)) == pytest.approx(expected, rel=1e-12)
    assert density.theta(z).running is True


def test_fit_of_a_running_mixing(joint):
    truth = lmt.benchmark("BP4")
    prior = lmt.Prior(replace(RUNNING_PRIORS["free"].theta, mass=truth.mass))
    best = lmt.fit(joint, prior)
    assert best.theta.running is True and 0.0 <= best.minus_two_log_likelihood < 1e-6
    assert best.theta.g_x == pytest.approx(truth.g_x, rel=1e-3)
    assert best.theta.g_x * best.theta.eps_x == pytest.approx(truth.g_x * truth.eps_x, rel=1e-3)
    other = lmt.fit(joint, lmt.Prior(replace(prior.theta, running=False)))
    ratio = (other.theta.g_x * other.theta.eps_x) / (best.theta.g_x * best.theta.eps_x)
    assert LESS[0] < ratio < LESS[1]


def test_grid_and_numpyro_model_know_the_switch(joint):
    mass, ratio = 100.0, lmt.PerCoupling(lmt.Uniform(-0.05, 0.02))
    priors = {
        running: lmt.Prior(lmt.HiddenPhoton(1e-3, mass, ratio, running=running)) for running in (False, True)
    }
    means = {
        running: lmt.grid_posterior(joint, prior).mean("eps_over_g") for running, prior in priors.items()
    }
    assert LESS[0] < means[False] / means[True] < LESS[1]
    from numpyro.infer.util import log_density

    for prior in priors.values():
        free = {"eps_over_g": jnp.asarray(-0.02)}
        found, _ = log_density(lmt.numpyro_model(joint, prior), (), {}, free)
        theta = prior.fill({"eps_x": -0.02})
        expected = float(joint.log_likelihood(theta, systematics="marginal")) - log(0.07)
        assert float(found) == pytest.approx(expected, rel=1e-12)
