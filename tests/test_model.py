"""The model: benchmarks, mixing, widths, branching ratios, decay length, and its behaviour as a pytree."""

import pickle
from dataclasses import replace
from math import exp, log, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxlmt as lmt
from jaxlmt import model
from tests.validation import independent
from tests.validation.independent import log_slope

MODELS = {"lmu-ltau": lmt.LMU_LTAU, "lmu": lmt.LMU}
THRESHOLDS = [2 * mass for mass in independent.LEPTON_MASSES]
CLOSE = (-1e-1, -1e-3, -1e-6, 1e-6, 1e-3, 1e-1)  # M/2m - 1

masses = st.floats(log(0.1), log(1e4)).map(exp)
couplings = st.floats(log(1e-6), log(1e-1)).map(exp)
ratios = st.builds(lambda sign, size: sign * exp(size), st.sampled_from((-1, 1)), st.floats(log(1e-6), 0.0))
charges = st.sampled_from([lmt.LMU_LTAU, lmt.LMU])
thetas = st.builds(lambda g, m, r, q: lmt.HiddenPhoton(g, m, r * g, q), couplings, masses, ratios, charges)


def numbers(theta):
    """The arguments of independent functions: g, mass, eps, charges."""
    q = theta.charges
    return theta.g_x, theta.mass, theta.eps_x, (q.e, q.mu, q.tau)


def log_slopes(function, theta, *rest):
    """x df/dx for x = g, mass, eps; the fit in mass keeps away from the nearest threshold."""
    arguments = (*numbers(theta), *rest)
    distance = min(abs(log(theta.mass / threshold)) for threshold in THRESHOLDS)
    widths = (0.1, min(0.1, 0.2 * distance), 0.1)
    return [log_slope(function, arguments, index, width) for index, width in enumerate(widths)]


def scaled(gradient, theta):
    """The same from a gradient: g df/dg, M df/dM, eps df/deps."""
    return [float(getattr(gradient, name)) * getattr(theta, name) for name in ("g_x", "mass", "eps_x")]


def all_masses():
    grid = np.geomspace(0.1, 1e4, 23).tolist()
    return grid + [threshold * (1 + step) for threshold in THRESHOLDS for step in CLOSE]


# ------------------------------------------------------------------------------- parameters
@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_benchmarks_are_table_1(name):
    mass, g_x = independent.BENCHMARKS[name]
    theta = lmt.benchmark(name)
    assert (theta.mass, theta.g_x) == (mass, g_x)
    assert theta.eps_x == pytest.approx(-g_x / 70, rel=1e-15)
    assert numbers(theta)[3] == independent.LMU_LTAU


def test_benchmark_options():
    theta = lmt.benchmark("BP2", mixing_ratio=0.1, charges=lmt.LMU)
    assert theta.eps_x == pytest.approx(6e-5, rel=1e-15)
    assert theta.charges is lmt.LMU
    assert lmt.BENCHMARKS == ("BP1", "BP2", "BP3", "BP4")
    with pytest.raises(ValueError, match=r"one of 'BP1', 'BP2', 'BP3', 'BP4'; got 'BP5' \(did you mean 'BP"):
        lmt.benchmark("BP5")
    with pytest.raises(ValueError, match="running must be True or False; got None"):
        lmt.benchmark("BP1", running=None)


def test_charges():
    assert numbers(lmt.HiddenPhoton(1.0, 1.0, 1.0))[3] == (0.0, 1.0, -1.0)
    assert numbers(lmt.HiddenPhoton(1.0, 1.0, 1.0, lmt.LMU))[3] == (0.0, 1.0, 0.0)
    assert model.MODELS == MODELS


def test_mixing_constants():
    e, log_ratio = independent.E_CHARGE, log(independent.M_MU / independent.M_TAU)
    assert lmt.MIXING_RATIO_ONE_LOOP == pytest.approx(e / (6 * pi**2) * log_ratio, rel=1e-14)
    assert 1 / lmt.MIXING_RATIO_ONE_LOOP == pytest.approx(-69.29, abs=0.005)
    assert lmt.MIXING_RATIO_PAPER == pytest.approx(-1 / 70, rel=1e-15)


def test_mixing_of_lmu():
    assert lmt.lmu_mixing_ratio(1e5) == pytest.approx(-0.035, abs=5e-4)  # 100 GeV
    assert lmt.lmu_mixing_ratio(1e19) == pytest.approx(-0.20, abs=5e-3)  # 1e16 GeV
    scales = np.array([1e3, 1e5, 1e12])
    expected = [independent.E_CHARGE / (6 * pi**2) * log(independent.M_MU / scale) for scale in scales]
    np.testing.assert_allclose(lmt.lmu_mixing_ratio(scales), expected, rtol=1e-14)
    # eq 11 is the same with the tau in place of new physics
    assert lmt.lmu_mixing_ratio(independent.M_TAU) == pytest.approx(lmt.MIXING_RATIO_ONE_LOOP, rel=1e-13)


# ----------------------------------------------------------------- widths and branching ratios
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mixing_ratio", [-1 / 70, 0.3])
def test_widths_and_branching_ratios_at_all_thresholds(name, mixing_ratio):
    for mass in all_masses():
        theta = lmt.HiddenPhoton(2e-4, mass, mixing_ratio * 2e-4, MODELS[name])
        g, mass, eps, q = numbers(theta)
        invisible, visible = model.widths(theta)
        # 1 - 4 (m/M)^2 loses digits at a threshold, the factored form of the reference does not.
        tolerance = 1e-13 + 1e-15 / min(abs(mass / threshold - 1) for threshold in THRESHOLDS)
        assert invisible == pytest.approx(independent.width_neutrinos(g, mass, q), rel=1e-13)
        expected = independent.width_visible(g, mass, eps, q)
        assert visible == pytest.approx(expected, rel=tolerance, abs=0.0)
        total = independent.width_neutrinos(g, mass, q) + expected
        assert lmt.total_width(theta) == pytest.approx(total, rel=tolerance)
        expected = independent.invisible_branching_ratio(g, mass, eps, q)
        assert lmt.invisible_branching_ratio(theta) == pytest.approx(expected, rel=tolerance)


def test_widths_with_an_electron_charge():
    q = lmt.LeptonCharges(0.5, -1.0, 2.0)
    theta = lmt.HiddenPhoton(1e-3, 5e3, -4e-4, q)
    g, mass, eps, q = numbers(theta)
    invisible, visible = model.widths(theta)
    assert invisible == pytest.approx(independent.width_neutrinos(g, mass, q), rel=1e-13)
    assert visible == pytest.approx(independent.width_visible(g, mass, eps, q), rel=1e-13)


@pytest.mark.parametrize("q", [(0.0, 1.0, -1.0), (0.0, 1.0, 0.0), (0.5, -1.0, 2.0)])
@pytest.mark.parametrize("ratio", [-1 / 70, 1e-3, 0.0])
def test_widths_with_a_running_mixing(ratio, q):
    for mass in all_masses():
        theta = lmt.HiddenPhoton(2e-4, mass, ratio * 2e-4, lmt.LeptonCharges(*q), running=True)
        invisible, visible = model.widths(theta)
        expected = independent.width_visible(*numbers(theta), running=True)
        # Of the widths and, as a square root, of the mixing just below a threshold.
        tolerance = 1e-11 + 1e-15 / min(abs(mass / threshold - 1) for threshold in THRESHOLDS)
        assert invisible == pytest.approx(independent.width_neutrinos(2e-4, mass, q), rel=1e-13)
        assert visible == pytest.approx(expected, rel=tolerance, abs=0.0)
        lost = 1.0 - independent.invisible_branching_ratio(*numbers(theta), running=True)
        found = 1.0 - lmt.invisible_branching_ratio(theta)
        assert found == pytest.approx(lost, rel=tolerance, abs=1e-14)
        energy = 3.0 * mass
        length = independent.decay_length_cm(*numbers(theta), energy, running=True)
        assert lmt.decay_length(theta, energy) == pytest.approx(length, rel=tolerance)


def test_running_mixing_survives_a_vanishing_coupling():
    tiny = lmt.HiddenPhoton(1e-200, 300.0, 1e-202, running=True)
    normal = lmt.HiddenPhoton(1e-3, 300.0, 1e-5, running=True)
    expected = float(lmt.branching_ratios(normal)["e"])
    assert float(lmt.branching_ratios(tiny)["e"]) == pytest.approx(expected, rel=1e-13)
    assert float(lmt.invisible_branching_ratio(lmt.HiddenPhoton(0.0, 15.0, 1e-4, running=True))) == 0.0


def test_pair_width_is_zero_up_to_the_threshold():
    assert float(model.pair_width(1e-3, 2 * lmt.constants.MASS_MUON, lmt.constants.MASS_MUON)) == 0.0
    assert float(model.pair_width(1e-3, 100.0, lmt.constants.MASS_MUON)) == 0.0
    massless = float(model.pair_width(1e-3, 100.0, 0.0))
    assert massless == pytest.approx(1e-6 * 100.0 / (12 * pi), rel=1e-14)


@pytest.mark.parametrize("name", MODELS)
def test_branching_ratio_below_the_muon_threshold_is_one_up_to_electrons(name):
    q2 = {"lmu-ltau": 2.0, "lmu": 1.0}[name]
    for mass in (1.1, 15.0, 211.0):
        theta = lmt.HiddenPhoton(1e-3, mass, -1e-3 / 70, MODELS[name])
        r = (independent.M_E / mass) ** 2
        electrons = (independent.E_CHARGE / 70) ** 2 / 12 * (1 + 2 * r) * sqrt(1 - 4 * r)
        lost = 1.0 - float(lmt.invisible_branching_ratio(theta))
        assert lost == pytest.approx(electrons / (q2 / 24 + electrons), rel=1e-10)
        assert lost < 4e-5
    theta = lmt.HiddenPhoton(1e-3, 1.0, -1e-3 / 70, MODELS[name])  # below 2 m_e
    assert float(lmt.invisible_branching_ratio(theta)) == 1.0


def test_branching_ratios_far_above_threshold():
    def ratio(mass, q):
        return float(lmt.invisible_branching_ratio(lmt.HiddenPhoton(1e-3, mass, 0.0, q)))

    # The mass dependence, (1+2r) sqrt(1-4r) = 1 - 6 r^2 + ..., leaves less than 1e-4 here.
    assert ratio(2e3, lmt.LMU_LTAU) == pytest.approx(1 / 2, abs=1e-4)
    assert ratio(2e3, lmt.LMU) == pytest.approx(1 / 3, abs=1e-4)
    assert ratio(1e5, lmt.LMU_LTAU) == pytest.approx(1 / 3, abs=1e-6)
    assert ratio(1e5, lmt.LMU) == pytest.approx(1 / 3, abs=1e-6)


def test_branching_ratio_without_interaction():
    assert float(lmt.invisible_branching_ratio(lmt.HiddenPhoton(0.0, 15.0, 0.0))) == 1.0
    assert float(lmt.invisible_branching_ratio(lmt.HiddenPhoton(0.0, 15.0, 1e-4))) == 0.0
    # g -> 0 at fixed eps/g: no underflow of g^2
    tiny = lmt.HiddenPhoton(1e-200, 300.0, 1e-202)
    normal = lmt.HiddenPhoton(1e-3, 300.0, 1e-5)
    expected = float(lmt.invisible_branching_ratio(normal))
    assert float(lmt.invisible_branching_ratio(tiny)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("mass", [1.5, 30.0, 211.2, 212.0, 300.0, 1e3, 3.5e3, 3.6e3, 9e3])
def test_branching_ratio_gradient_against_differences(mass, running):
    theta = lmt.HiddenPhoton(1e-3, mass, -2e-4, lmt.LMU_LTAU, running=running)
    gradient = jax.grad(lmt.invisible_branching_ratio)(theta)
    expected = log_slopes(independent.invisible_branching_ratio, theta, running)
    np.testing.assert_allclose(scaled(gradient, theta), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("function", [lmt.total_width, lmt.invisible_branching_ratio])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_gradient_exactly_at_a_threshold_is_that_of_the_lower_side(function, threshold):
    def slope(mass):
        return float(jax.grad(lambda m: function(lmt.HiddenPhoton(1e-3, m, -2e-4)))(mass))

    at, below = slope(threshold), slope(threshold * (1 - 1e-9))
    assert np.isfinite(at)
    assert at == pytest.approx(below, rel=1e-8)
    assert abs(slope(threshold * (1 + 1e-6))) > abs(below)  # and the upper side is steep


@settings(deadline=None, max_examples=100)
@given(thetas)
def test_branching_ratio_and_gradient_are_finite_in_the_whole_box(theta):
    value, gradient = jax.value_and_grad(lmt.invisible_branching_ratio)(theta)
    expected = independent.invisible_branching_ratio(*numbers(theta))
    assert float(value) == pytest.approx(expected, rel=1e-7)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))


# ------------------------------------------------------------------------------ decay length
@pytest.mark.parametrize("name", MODELS)
def test_decay_length(name):
    for mass in (0.1, 15.0, 211.0, 300.0, 4e3, 1e4):
        theta = lmt.HiddenPhoton(3e-5, mass, -3e-6, MODELS[name])
        for energy in (mass * 1.001, 6e4, 1.5e5):
            expected = independent.decay_length_cm(*numbers(theta), energy)
            assert float(lmt.decay_length(theta, energy)) == pytest.approx(expected, rel=2e-13)
            assert float(model.inverse_decay_length(theta, energy)) == pytest.approx(1 / expected, rel=2e-13)


def test_decay_length_at_rest_and_below():
    theta = lmt.benchmark("BP1")
    assert float(lmt.decay_length(theta, 15.0)) == np.inf
    slope = jax.grad(lambda t: model.inverse_decay_length(t, 10.0))(theta)
    assert all(float(leaf) == 0.0 for leaf in jax.tree.leaves(slope))


def test_decay_length_gradient_against_differences():
    theta, energy = lmt.HiddenPhoton(1e-4, 300.0, 2e-5, lmt.LMU), 8e4
    gradient = jax.grad(lambda t: lmt.decay_length(t, energy))(theta)
    expected = log_slopes(independent.decay_length_cm, theta, energy)
    np.testing.assert_allclose(scaled(gradient, theta), expected, rtol=1e-9)


@settings(deadline=None, max_examples=50)
@given(thetas, st.floats(1e3, 1.6e5))
def test_inverse_decay_length_and_gradient_are_finite_in_the_whole_box(theta, energy):
    value, gradient = jax.value_and_grad(model.inverse_decay_length)(theta, energy)
    assert value >= 0.0
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))


# ------------------------------------------------------------------------------------- pytree
def test_gradient_is_a_hidden_photon():
    gradient = jax.grad(lmt.total_width)(lmt.benchmark("BP1"))
    assert isinstance(gradient, lmt.HiddenPhoton)
    assert isinstance(gradient.charges, lmt.LeptonCharges)
    # dGamma/dg of the neutrinos, 2 Gamma/g, and of e+e-
    g, mass, eps, q = numbers(lmt.benchmark("BP1"))
    assert float(gradient.g_x) == pytest.approx(2 / g * independent.width_neutrinos(g, mass, q), rel=1e-12)
    expected = 2 / eps * independent.width_visible(g, mass, eps, q)
    assert float(gradient.eps_x) == pytest.approx(expected, rel=1e-12)
    expected = 2 * independent.width_neutrinos(g, mass, (0, 0, 1)) * -1
    assert float(gradient.charges.tau) == pytest.approx(expected, rel=1e-12)


def test_leaves_are_numbers():
    leaves, structure = jax.tree.flatten(lmt.benchmark("BP1"))
    assert len(leaves) == 6
    rebuilt = jax.tree.unflatten(structure, leaves)
    assert numbers(rebuilt) == numbers(lmt.benchmark("BP1"))
    assert jax.tree.structure(lmt.HiddenPhoton(1, 2, 3, lmt.LMU)) == structure


def test_running_is_part_of_the_structure():
    fixed, running = lmt.benchmark("BP1"), lmt.benchmark("BP1", running=True)
    assert fixed.running is False and running.running is True
    assert len(jax.tree.leaves(running)) == 6
    assert jax.tree.structure(running) != jax.tree.structure(fixed)
    assert jax.tree.structure(replace(fixed, running=np.True_)) == jax.tree.structure(running)
    kept = [
        replace(running, g_x=1e-3),
        jax.tree.map(lambda leaf: 2.0 * leaf, running),
        lmt.batch(replace(running, mass=np.array([1.0, 2.0]))),
        pickle.loads(pickle.dumps(running)),
        jax.jit(lambda theta: theta)(running),
        jax.vmap(lambda theta: theta)(lmt.batch(replace(running, mass=np.array([1.0, 2.0])))),
        jax.grad(lmt.total_width)(running),
    ]
    assert all(theta.running is True for theta in kept)
    with pytest.raises(TypeError, match="positional"):
        lmt.HiddenPhoton(5e-4, 15.0, -1e-5, lmt.LMU, True)


def test_replace_and_immutability():
    theta = replace(lmt.benchmark("BP1"), g_x=1e-3)
    assert numbers(theta) == (1e-3, 15.0, -5e-4 / 70, independent.LMU_LTAU)
    with pytest.raises(AttributeError):
        theta.g_x = 1.0


def test_pickle():
    theta = lmt.HiddenPhoton(np.array([1e-4, 2e-4]), 15.0, -1e-6, lmt.LeptonCharges(0.0, 1.0, 0.5))
    again = pickle.loads(pickle.dumps(theta))
    np.testing.assert_array_equal(again.g_x, theta.g_x)
    assert (again.mass, again.eps_x, again.charges.tau) == (15.0, -1e-6, 0.5)


def test_vmap_equals_a_loop_and_array_leaves():
    theta = lmt.HiddenPhoton(np.geomspace(1e-5, 1e-2, 5), 300.0, -1e-6)
    mapped = jax.vmap(lmt.total_width)(lmt.batch(theta))
    loop = [float(lmt.total_width(replace(theta, g_x=g))) for g in theta.g_x]
    np.testing.assert_allclose(mapped, loop, rtol=1e-14)
    np.testing.assert_allclose(lmt.total_width(theta), loop, rtol=1e-14)
    in_axes = lmt.HiddenPhoton(0, None, None, None)
    np.testing.assert_allclose(jax.vmap(lmt.total_width, (in_axes,))(theta), loop, rtol=1e-14)


def test_broadcasting_of_a_grid():
    theta = lmt.HiddenPhoton(np.geomspace(1e-5, 1e-2, 4)[:, None], np.geomspace(1.0, 1e3, 3)[None], -1e-6)
    ratios = lmt.invisible_branching_ratio(theta)
    assert ratios.shape == (4, 3)
    theta = lmt.HiddenPhoton(theta.g_x[2, 0], theta.mass[0, 1], -1e-6)
    assert float(ratios[2, 1]) == pytest.approx(float(lmt.invisible_branching_ratio(theta)), rel=1e-14)


def test_batch():
    theta = lmt.batch(lmt.HiddenPhoton(np.array([[1e-4], [2e-4]]), np.array([[15.0, 20.0, 30.0]]), -1e-6))
    assert all(leaf.shape == (2, 3) for leaf in jax.tree.leaves(theta))
    np.testing.assert_array_equal(theta.mass, [[15.0, 20.0, 30.0]] * 2)
    np.testing.assert_array_equal(theta.charges.tau, -np.ones((2, 3)))
    assert lmt.batch(lmt.benchmark("BP1")).mass.shape == ()


def test_batch_of_integers_is_differentiable():
    theta = lmt.batch(lmt.HiddenPhoton(np.array([1e-4, 2e-4]), 15, -1e-6))
    gradient = jax.vmap(jax.grad(lmt.total_width))(theta)
    assert gradient.mass.shape == (2,)


def test_leaf_types_do_not_retrace():
    before = None
    for mass in (15, 15.0, np.float32(15), np.float64(15), np.int32(15), jnp.asarray(15.0), np.array(15)):
        theta = lmt.HiddenPhoton(5e-4, mass, -1e-5)
        values = [float(f(theta)) for f in (lmt.total_width, lmt.invisible_branching_ratio)]
        values.append(float(lmt.decay_length(theta, 1000 if isinstance(mass, int) else 1e3)))
        jitted = (model._channel_widths, model._branching_ratios, model._decay_length)
        sizes = [function._cache_size() for function in jitted]
        assert before is None or (sizes, values) == before
        before = (sizes, values)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("g_x", -1e-4, r"theta\.g_x must be finite and >= 0"),
        ("mass", 0.0, r"theta\.mass must be finite and > 0"),
        ("mass", np.nan, r"theta\.mass must be finite"),
        ("mass", np.array([1.0, -1.0]), r"theta\.mass .* got -1\.0"),
        ("eps_x", np.inf, r"theta\.eps_x must be finite"),
        ("charges", lmt.LeptonCharges(0.0, np.nan, 0.0), r"theta\.charges\.mu must be finite"),
        ("g_x", "large", r"theta must hold numbers"),
        ("running", "yes", r"theta\.running must be True or False; got 'yes'"),
        ("running", 1, r"theta\.running must be True or False; got 1"),
    ],
)
@pytest.mark.parametrize("function", [lmt.total_width, lmt.invisible_branching_ratio])
def test_invalid_parameters(function, field, value, message):
    with pytest.raises(ValueError, match=message):
        function(replace(lmt.benchmark("BP1"), **{field: value}))


def test_theta_must_be_a_hidden_photon():
    with pytest.raises(TypeError, match="HiddenPhoton; got dict"):
        lmt.total_width({"g_x": 1.0})


@pytest.mark.parametrize("charges", [(0.0, 1.0, -1.0), (0.0, 1.0, 0.0), (0.3, -2.0, 0.7)])
@pytest.mark.parametrize("mass", [0.5, 15.0, 211.0, 212.0, 3553.0, 3554.0, 1e4])
def test_channels_against_the_reference(mass, charges):
    g, eps = 7e-4, -2e-5
    theta = lmt.HiddenPhoton(g, mass, eps, lmt.LeptonCharges(*charges))
    couplings = (g * charges[0] + independent.E_CHARGE * eps, g * charges[1], g * charges[2])
    masses = (independent.M_E, independent.M_MU, independent.M_TAU)
    expected = {
        **{n: (q * g) ** 2 * mass / (24 * pi) for n, q in zip(("nu_e", "nu_mu", "nu_tau"), charges)},
        **{n: independent.width_lepton(c, mass, m) for n, c, m in zip(("e", "mu", "tau"), couplings, masses)},
    }
    found, ratios, total = lmt.partial_widths(theta), lmt.branching_ratios(theta), sum(expected.values())
    assert set(found) == set(ratios) == set(expected)
    for name, width in expected.items():
        assert float(found[name]) == pytest.approx(width, rel=1e-10, abs=1e-300), name
        assert float(ratios[name]) == pytest.approx(width / total, rel=1e-10, abs=1e-300), name
