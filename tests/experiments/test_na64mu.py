"""NA64mu against adaptive quadrature of the independent cross section, over the whole documented box.

Accuracy promised: 1e-9 of the expected counts. Measured over 150 points: 7e-12 ("ww"), 9e-13 ("paper"), and
1e-10 in the slopes, where the differences themselves are good to a few 1e-10 near a threshold.
"""

import pickle
from dataclasses import fields, replace
from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxlmt as lmt
from jaxlmt.experiments import base
from tests.validation import independent
from tests.validation.independent import log_slope

KERNELS = ("ww", "paper")
THRESHOLDS = [2 * mass for mass in independent.LEPTON_MASSES]


def numbers(theta):
    """The arguments of independent functions: g, mass, eps, charges."""
    q = theta.charges
    return theta.g_x, theta.mass, theta.eps_x, (q.e, q.mu, q.tau)


def random_points(seed, n):
    """Points of the documented box; every fifth lies close to the muon or tau threshold."""
    rng = np.random.default_rng(seed)
    points = []
    for index in range(n):
        g = 10 ** rng.uniform(-6, -1)
        mass = 10 ** rng.uniform(-1, 4)
        if index % 5 == 4:
            mass = THRESHOLDS[rng.integers(1, 3)] * (1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-5.5, -1))
        eps = rng.choice([-1, 1]) * g * 10 ** rng.uniform(-4, 0)
        charges = (lmt.LMU_LTAU, lmt.LMU)[index % 2]
        points.append(lmt.HiddenPhoton(float(g), float(mass), float(eps), charges))
    return points


def describe(theta):
    model = "lmu" if theta.charges is lmt.LMU else "lmu-ltau"
    return f"{model} g={theta.g_x:.3g} M={theta.mass:.8g} eps={theta.eps_x:.3g}"


def compare(theta, kernel, rtol=1e-9, **options):
    """Expected counts against the reference at relative ``rtol``; nothing else is a background here."""
    names = {"bin_edges_GeV": "edges_GeV", "target_z": "Z", "target_a": "A", "target_density": "density"}
    names |= {"muons_on_target": "mot", "target_length_cm": "length_cm", "detector_length_m": "det_m"}
    other = {names.get(name, name): value for name, value in options.items()}
    if "beam_energy_GeV" in other:
        other["E0"] = 1e3 * other.pop("beam_energy_GeV")
    expected = independent.na64mu_counts(*numbers(theta), kernel, running=theta.running, **other)
    found = lmt.na64mu(kernel=kernel, **options).expected(theta)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0.0)


# ------------------------------------------------------------------------------------- values
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("theta", random_points(1, 12), ids=describe)
def test_expected_counts(theta, kernel):
    compare(theta, kernel)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("theta", random_points(2, 60), ids=describe)
def test_expected_counts_at_many_points(theta, kernel):
    compare(theta, kernel)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("mass", [0.1, 1e4, *THRESHOLDS[1:]])
def test_expected_counts_at_the_edges_of_the_box(mass, kernel):
    for g in (1e-6, 1e-1):
        compare(lmt.HiddenPhoton(g, mass, -g / 70), kernel)


def test_decays_inside_the_detector():
    # Above 2 m_mu with a decay length (3 m) like the detector's: eq 27 in its full glory.
    for charges in (lmt.LMU, lmt.LMU_LTAU):
        theta = lmt.HiddenPhoton(1e-6, 300.0, 1e-8, charges)
        assert 100.0 < float(lmt.decay_length(theta, 1e5)) < 1000.0
        for length in (0.0, 5.0, 50.0):
            compare(theta, "paper", detector_length_m=length)
            compare(theta, "ww", detector_length_m=length)


@pytest.mark.parametrize("mass", [150.0, 215.0, 300.0, 4e3])
def test_running_mixing(mass):
    # The decays to e+e- take |eps(M^2)|^2; a coupling so small that they happen around the detector.
    g = 3e-6 if mass < 1e3 else 3e-7
    for charges in (lmt.LMU, lmt.LMU_LTAU, lmt.LeptonCharges(0.1, 1.0, -1.0)):
        theta = lmt.HiddenPhoton(g, mass, 0.3 * g, charges, running=True)
        compare(theta, "paper")
        fixed = lmt.na64mu(kernel="paper").expected(replace(theta, running=False))
        assert np.all(np.abs(lmt.na64mu(kernel="paper").expected(theta) / fixed - 1.0) > 1e-5)


def test_fields_against_the_reference():
    theta = lmt.HiddenPhoton(1e-3, 250.0, -1e-4)
    for kernel in KERNELS:
        compare(theta, kernel, bin_edges_GeV=(5, 12.5, 30, 31))
        compare(theta, kernel, beam_energy_GeV=120.0)
        compare(theta, kernel, target_z=26.0, target_a=55.845, target_density=7.874)
        compare(theta, kernel, muons_on_target=3e12, efficiency=0.7, target_length_cm=40.0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("edges", [(10, 100), (10, 40, 100), (5, 50, 120)])
@pytest.mark.parametrize("mass", [15.0, 300.0, 3e3])
def test_wide_bins(mass, edges, kernel):
    # NA64mu's own selection is one bin; the docstring promises its accuracy for all edges.
    compare(lmt.HiddenPhoton(1e-3, mass, -1e-5), kernel, bin_edges_GeV=edges)


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_nan_where_the_kernel_has_no_phase_space(kernel):
    # At 15 GeV an A' of 10 GeV cannot be made in most of the window: no counts, and no NaN.
    experiment = lmt.na64mu(kernel=kernel, beam_energy_GeV=15.0, bin_edges_GeV=(1, 5, 10))

    def total(mass):
        return jnp.sum(experiment.expected(lmt.HiddenPhoton(1e-3, mass, -1e-5)))

    value, slope = jax.value_and_grad(total)(1e4)
    assert np.isfinite(value) and np.isfinite(slope)
    assert experiment.expected(lmt.HiddenPhoton(1e-3, 1e4, -1e-5))[1] == 0.0


# ---------------------------------------------------------------------------------- gradients
def compare_gradient(theta, kernel, rtol=1e-8):
    """g d/dg, M d/dM and eps d/deps of every bin, relative to the counts or the slope, the larger one.

    The fits keep away from thresholds, where the counts have a square root, and reach them to 1e-11.
    """
    experiment = lmt.na64mu(kernel=kernel)
    counts, jacobian = experiment.expected(theta), jax.jacfwd(experiment.expected)(theta)
    distance = min(abs(log(theta.mass / threshold)) for threshold in THRESHOLDS)
    widths = {"g_x": 0.1, "mass": min(0.1, 0.2 * distance), "eps_x": 0.1}
    arguments = (*numbers(theta), kernel)
    for index, (name, width) in enumerate(widths.items()):
        expected = log_slope(independent.na64mu_counts, arguments, index, width)
        found = np.asarray(getattr(jacobian, name)) * getattr(theta, name)
        scale = np.maximum(np.abs(expected), counts)
        np.testing.assert_allclose(found / scale, expected / scale, rtol=0.0, atol=rtol, err_msg=name)


@pytest.mark.parametrize("theta", random_points(3, 5), ids=describe)
def test_gradient_paper_kernel(theta):
    compare_gradient(theta, "paper")


@pytest.mark.parametrize("theta", random_points(4, 5)[3:], ids=describe)
def test_gradient_ww_kernel(theta):
    compare_gradient(theta, "ww")


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("theta", random_points(5, 30), ids=describe)
def test_gradient_at_many_points(theta, kernel):
    compare_gradient(theta, kernel)


@pytest.mark.parametrize("charge", ["e", "mu", "tau"])
def test_gradient_in_the_charges(charge):
    experiment = lmt.na64mu(kernel="paper")
    values = {"e": 0.3, "mu": 0.9, "tau": -1.2}
    theta = lmt.HiddenPhoton(2e-6, 300.0, -1e-7, lmt.LeptonCharges(**values))

    def reference(g, mass, eps, e, mu, tau):
        return independent.na64mu_counts(g, mass, eps, (e, mu, tau), "paper")

    arguments = (theta.g_x, theta.mass, theta.eps_x, *values.values())
    expected = log_slope(reference, arguments, 3 + list(values).index(charge), 0.1)
    jacobian = getattr(jax.jacfwd(experiment.expected)(theta).charges, charge)
    scale = np.asarray(experiment.expected(theta))
    np.testing.assert_allclose(
        jacobian * values[charge] / scale, expected / scale, rtol=1e-8, atol=1e-9, err_msg=charge
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_gradient_exactly_at_a_threshold_is_that_of_the_lower_side(kernel, threshold):
    experiment = lmt.na64mu(kernel=kernel)

    def slope(mass):
        return jax.jacfwd(lambda m: experiment.expected(lmt.HiddenPhoton(1e-3, m, -1e-5)))(mass)

    np.testing.assert_allclose(slope(threshold), slope(threshold * (1 - 1e-10)), rtol=1e-7)


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_coupling(kernel):
    experiment = lmt.na64mu(kernel=kernel)
    for eps in (0.0, -1e-4, 1e-4):
        for mass in (0.1, 15.0, 2 * independent.M_MU, 300.0, 1e4):
            theta = lmt.HiddenPhoton(0.0, mass, eps)
            np.testing.assert_array_equal(experiment.expected(theta), np.zeros(9))
            jacobian = jax.jacfwd(experiment.expected)(theta)
            for leaf in jax.tree.leaves(jacobian):
                np.testing.assert_array_equal(leaf, np.zeros(9))


@jax.jit
def counts_and_jacobian(experiment, theta):
    return experiment.expected(theta), jax.jacfwd(experiment.expected)(theta)


@settings(deadline=None, max_examples=200)
@given(
    st.floats(log(1e-6), log(1e-1)),
    st.floats(log(0.1), log(1e4)),
    st.floats(log(1e-6), 0.0),
    st.sampled_from((-1, 1)),
    st.sampled_from([lmt.LMU, lmt.LMU_LTAU]),
    st.sampled_from(KERNELS),
)
@example(log(1e-6), log(THRESHOLDS[1]), 0.0, 1, lmt.LMU, "ww")
@example(log(1e-1), log(1e4), 0.0, -1, lmt.LMU_LTAU, "ww")
@example(log(1e-6), log(0.1), log(1e-6), -1, lmt.LMU, "paper")
def test_finite_in_the_whole_box(log_g, log_mass, log_ratio, sign, charges, kernel):
    g = exp(log_g)
    theta = lmt.HiddenPhoton(g, exp(log_mass), sign * g * exp(log_ratio), charges)
    counts, jacobian = counts_and_jacobian(lmt.na64mu(kernel=kernel), theta)
    assert np.all(np.isfinite(counts)) and np.all(np.asarray(counts) > 0.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(jacobian))


# ------------------------------------------------------------------------------ dependence on fields
def test_linear_fields():
    theta = lmt.benchmark("BP4")
    base_counts = lmt.na64mu().expected(theta)
    for options, factor in (
        ({"muons_on_target": 3e11}, 3.0),
        ({"efficiency": 0.6}, 2.0),
        ({"target_density": 22.7}, 2.0),
        ({"target_length_cm": 40.0}, 2.0),  # below 2 m_mu nothing visible decays
        ({"signal_norm": 1.5}, 1.5),
    ):
        counts = lmt.na64mu(**options).expected(theta)
        np.testing.assert_allclose(counts, factor * base_counts, rtol=1e-13)


def test_signal_norm_is_a_traced_nuisance():
    experiment = lmt.na64mu(signal_norm=lmt.Normal(1.0, 0.1))
    assert list(experiment.nuisances) == ["na64mu.signal_norm"]
    assert experiment.nominal["na64mu.signal_norm"] == 1.0
    theta = lmt.benchmark("BP1")
    nominal = experiment.expected(theta)
    np.testing.assert_allclose(
        experiment.expected(theta, {"na64mu.signal_norm": 0.7}), 0.7 * nominal, rtol=1e-14
    )
    slope = jax.jacfwd(lambda norm: experiment.expected(theta, {"na64mu.signal_norm": norm}))(1.0)
    np.testing.assert_allclose(slope, nominal, rtol=1e-14)
    with pytest.raises(ValueError, match=r"'na64mu\.signal_norm'; got 'norm'"):
        experiment.expected(theta, {"norm": 1.0})


def test_background_is_added_to_the_data_not_to_the_signal():
    theta = lmt.benchmark("BP1")
    experiment = lmt.na64mu(background=np.arange(9.0))
    np.testing.assert_array_equal(experiment.background, np.arange(9.0))
    np.testing.assert_array_equal(experiment.expected(theta), lmt.na64mu().expected(theta))
    np.testing.assert_allclose(
        experiment.asimov(theta).counts, experiment.expected(theta) + np.arange(9.0), rtol=1e-14
    )
    np.testing.assert_array_equal(lmt.na64mu(background=2.0).background, np.full(9, 2.0))


def test_toy_is_poisson_about_the_expectation():
    experiment, theta = lmt.na64mu(background=1.0), lmt.benchmark("BP4")
    toys = np.array([experiment.toy(key, theta).counts for key in jax.random.split(jax.random.key(1), 300)])
    mean = np.asarray(experiment.expected(theta)) + 1.0
    assert np.array_equal(toys, np.round(toys))
    pulls = (toys.mean(axis=0) - mean) / np.sqrt(mean / 300)
    assert np.all(np.abs(pulls) < 4.5)
    assert np.all(np.abs(toys.var(axis=0) / mean - 1.0) < 5 * np.sqrt((2 + 1 / mean) / 300))
    again = experiment.toy(jax.random.split(jax.random.key(1), 300)[7], theta)
    np.testing.assert_array_equal(again.counts, toys[7])


# ----------------------------------------------------------------------------------- interface
def test_shapes_and_broadcasting():
    experiment = lmt.na64mu()
    assert experiment.n_bins == 9
    assert experiment.expected(lmt.benchmark("BP1")).shape == (9,)
    theta = lmt.HiddenPhoton(np.geomspace(1e-4, 1e-3, 3)[:, None], np.array([1.0, 100.0, 300.0, 1e3]), -1e-5)
    counts = experiment.expected(theta)
    assert counts.shape == (3, 4, 9)
    mapped = jax.vmap(jax.vmap(experiment.expected))(lmt.batch(theta))
    np.testing.assert_allclose(mapped, counts, rtol=1e-13)
    one = experiment.expected(lmt.HiddenPhoton(theta.g_x[2, 0], theta.mass[1], -1e-5))
    np.testing.assert_allclose(counts[2, 1], one, rtol=1e-13)
    nuisances = {"na64mu.signal_norm": np.array([0.5, 1.0])}
    counts = experiment.expected(lmt.benchmark("BP1"), nuisances)
    np.testing.assert_allclose(counts[0], 0.5 * counts[1], rtol=1e-14)
    with pytest.raises(ValueError, match="at least one point"):
        experiment.expected(lmt.HiddenPhoton(np.zeros(0), 1.0, 0.0))


def test_more_points_than_a_chunk():
    experiment = lmt.na64mu(kernel="paper")
    masses = np.geomspace(0.1, 1e4, base.CPU_CHUNK + 5)
    counts = experiment.expected(lmt.HiddenPhoton(1e-3, masses, -1e-5))
    for index in (0, 100, base.CPU_CHUNK, base.CPU_CHUNK + 4):
        one = experiment.expected(lmt.HiddenPhoton(1e-3, masses[index], -1e-5))
        np.testing.assert_allclose(counts[index], one, rtol=1e-13)


def test_leaf_types_and_new_experiments_do_not_retrace():
    results, sizes = [], set()
    for mass in (15, 15.0, np.float32(15), np.float64(15), np.int32(15), np.array(15), jnp.asarray(15.0)):
        experiment = lmt.na64mu(muons_on_target=1e11 + float(mass))  # another object, the same program
        results.append(np.asarray(experiment.expected(lmt.HiddenPhoton(5e-4, mass, -1e-5))))
        sizes.add(base._evaluate._cache_size())
    assert len(sizes) == 1
    assert all(np.array_equal(result, results[0]) for result in results)


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        experiment = lmt.na64mu(kernel="paper")
        parameters = experiment.parameters()
        jax.eval_shape(lambda theta: experiment.rate(theta, parameters), lmt.benchmark("BP1"))


def test_factories_are_cached():
    assert lmt.na64mu() is lmt.na64mu(kernel="ww") is lmt.na64mu(bin_edges_GeV=list(range(10, 101, 10)))
    assert lmt.na64mu(preset="paper") is lmt.na64mu(kernel="paper")
    assert lmt.na64mu() is not lmt.na64mu(efficiency=0.4)
    background = np.arange(9.0)
    assert lmt.na64mu(background=background) is lmt.na64mu(background=tuple(background))


def test_pytree():
    experiment = lmt.na64mu()
    static = [f.name for f in fields(experiment) if f.metadata.get("static")]
    assert static == ["name", "kernel"]  # names alone; every array is a leaf
    again = pickle.loads(pickle.dumps(experiment))
    np.testing.assert_array_equal(
        again.expected(lmt.benchmark("BP1")), experiment.expected(lmt.benchmark("BP1"))
    )
    assert jax.tree.structure(replace(experiment, background=np.ones(9))) == jax.tree.structure(experiment)
    with pytest.raises(ValueError, match="read-only"):
        experiment.table[0] = 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "exact"}, "kernel must be one of 'ww', 'paper'; got 'exact'"),
        ({"preset": "2021"}, "preset must be one of 'paper'; got '2021'"),
        ({"efficiency": 1.5}, r"efficiency must be a finite number in \[0, 1\]; got 1.5"),
        ({"muons_on_target": 0}, "muons_on_target must be a finite number"),
        ({"target_density": np.nan}, "target_density must be a finite number"),
        ({"bin_edges_GeV": (10, 160)}, "bin_edges_GeV must end below the beam energy, 160.0 GeV; got 160"),
        ({"bin_edges_GeV": (20, 10)}, "bin_edges_GeV must be at least two strictly increasing edges"),
        ({"background": -1.0}, "background must be finite and >= 0"),
        ({"signal_norm": -1.0}, r"na64mu\.signal_norm must be a finite number"),
    ],
)
def test_invalid_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        lmt.na64mu(**options)
