"""Joint: its terms against independent numbers, its arithmetic, its errors, its memory and its programs."""

import contextlib
import json
import math
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import jaxlmt as lmt
from jaxlmt import constants
from tests.validation import independent

ROOT = Path(__file__).parents[1]
DETECTORS = ("cenns610", "ccm", "ess", "ess10")
SYSTEMATICS = ("fixed", "profiled", "marginal")
SIGMA = independent.SIGMA_SYS


def detector(name, **fields):
    return getattr(lmt, name)(**fields)


def everything():
    return [lmt.na64mu(), *map(detector, DETECTORS), lmt.gminus2()]


@pytest.fixture(scope="module")
def joint():
    """All experiments with Asimov data at BP1."""
    return lmt.Joint.asimov(everything(), lmt.benchmark("BP1"))


def families():
    """One experiment of each family: the four detectors share their programs."""
    return [lmt.na64mu(), lmt.ess10(), lmt.gminus2()]


@pytest.fixture(scope="module")
def small():
    return lmt.Joint.asimov(families(), lmt.benchmark("BP1"))


def neighbour(seed, *, size=()):
    """A theta of all free, away from every benchmark."""
    rng = np.random.default_rng(seed)
    coupling = 10.0 ** rng.uniform(-4.0, -2.5, size)
    mass = 10.0 ** rng.uniform(0.3, 2.7, size)
    return lmt.HiddenPhoton(coupling, mass, coupling * rng.uniform(-0.2, 0.2, size))


def signal(name, theta, sin2_theta_w=0.23857, kinematics="exact"):
    charges = tuple(float(getattr(theta.charges, k)) for k in ("e", "mu", "tau"))
    point = float(theta.g_x), float(theta.mass), float(theta.eps_x), charges
    return np.array(independent.spallation_counts(*point, name, sin2_theta_w, kinematics))


# ------------------------------------------------------------------------------------------------ the sum
@pytest.mark.parametrize("systematics", SYSTEMATICS)
def test_terms_sum_to_the_likelihood(joint, systematics):
    theta = neighbour(1)
    terms = joint.terms(theta, systematics=systematics)
    assert joint.names == ("na64mu", *DETECTORS, "gminus2")
    assert set(terms) == set(joint.names)
    assert all(value.shape == () and value < 0.0 for value in terms.values())
    total = joint.log_likelihood(theta, systematics=systematics)
    assert float(total) == pytest.approx(math.fsum(map(float, terms.values())), rel=1e-14)
    assert total.dtype == np.float64


def test_terms_do_not_know_of_each_other(joint):
    theta = neighbour(2)
    terms = joint.terms(theta, systematics="marginal")
    for observation in joint.observations[-3:]:
        alone = lmt.Joint([observation]).log_likelihood(theta, systematics="marginal")
        assert float(alone) == pytest.approx(float(terms[observation.name]), rel=1e-12)


def test_some_of_the_experiments_alone(joint):
    theta = neighbour(3)
    terms = joint.terms(theta, systematics="profiled")
    some = joint.only("ess", "na64mu")
    assert some.names == ("na64mu", "ess")  # in the order of the whole
    assert {k: float(v) for k, v in some.terms(theta, systematics="profiled").items()} == {
        name: pytest.approx(float(terms[name]), rel=1e-12) for name in ("na64mu", "ess")
    }
    assert set(some.nominal) == {"ess.signal_norm", "sin2_theta_w", "na64mu.signal_norm"}
    assert some.analytic == ("ess.signal_norm",)
    assert joint.only(*joint.names).names == joint.names
    assert joint.only("ess", "ess").names == ("ess",)


@pytest.mark.parametrize("names", [("ess1",), ("na64mu", "ess1"), (3,), (None,), (["ess"],)], ids=str)
def test_unknown_experiments_are_named(joint, names):
    with pytest.raises(
        ValueError, match=rf"name must be one of 'na64mu', .*got {re.escape(repr(names[-1]))}"
    ):
        joint.only(*names)


def test_no_experiment_at_all_is_no_likelihood(joint):
    with pytest.raises(ValueError, match="at least one experiment"):
        joint.only()


@pytest.mark.parametrize("name", lmt.BENCHMARKS)
@pytest.mark.parametrize("systematics", ["fixed", "profiled"])
def test_asimov_data_are_described_perfectly(name, systematics):
    truth = lmt.benchmark(name)
    joint = lmt.Joint.asimov(everything(), truth)
    for experiment, value in joint.terms(truth, systematics=systematics).items():
        # rounding of the mean, n eps, squared over n
        assert abs(float(value)) < 1e-22, experiment
    without = joint.terms(lmt.HiddenPhoton(1e-9, truth.mass, 0.0), systematics=systematics)
    assert all(float(value) < -0.05 for value in without.values())
    # and the marginal one lacks nothing but its volume
    marginal = joint.terms(truth, systematics="marginal")
    assert float(marginal["na64mu"]) == pytest.approx(0.0, abs=1e-22)
    for name in DETECTORS:
        theory, sm = signal(name, truth), signal(name, lmt.HiddenPhoton(0.0, 15.0, 0.0))
        stt = np.sum(theory**2 / (theory + 0.1 * sm))
        assert float(marginal[name]) == pytest.approx(-0.5 * math.log1p(SIGMA[name] ** 2 * stt), rel=1e-7)


def test_asimov_at_other_nuisances():
    truth, nuisances = lmt.benchmark("BP4"), {"ess10.signal_norm": 1.07, "sin2_theta_w": 0.231}
    joint = lmt.Joint.asimov([lmt.na64mu(), lmt.ess10(), lmt.ess()], truth, nuisances)
    terms = joint.terms(truth, nuisances)
    assert all(abs(float(value)) < 1e-22 for value in terms.values())
    nominal = joint.terms(truth)
    assert float(nominal["na64mu"]) == pytest.approx(0.0, abs=1e-22)
    assert float(nominal["ess10"]) < -1e-3 and float(nominal["ess"]) < -1e-3
    background = 0.1 * signal("ess10", lmt.HiddenPhoton(0.0, 15.0, 0.0))
    expected = 1.07 * signal("ess10", truth, 0.231) + background
    np.testing.assert_allclose(joint.observations[1].counts, expected, rtol=1e-8)


# -------------------------------------------------------------------------------------- independent numbers
@pytest.mark.parametrize("preset", [None, "paper"])
@pytest.mark.parametrize("name", DETECTORS)
def test_eq_34(name, preset):
    """Fixed, profiled and marginal chi^2 with every ingredient from the independent calculation."""
    choices = (0.23122, "paper") if preset else (0.23857, "exact")
    sm = signal(name, lmt.HiddenPhoton(0.0, 15.0, 0.0), *choices)
    background = 0.1 * sm
    observed = signal(name, lmt.benchmark("BP2"), *choices) * np.linspace(0.9, 1.08, sm.size)
    joint = lmt.Joint([detector(name, preset=preset).observe(observed + background)])
    assert joint.analytic == (f"{name}.signal_norm",)
    for theta in (lmt.benchmark("BP2"), lmt.HiddenPhoton(1e-3, 40.0, 3e-5, lmt.LMU)):
        theory = signal(name, theta, *choices)
        data = observed, theory, background, SIGMA[name]
        expected = {
            "fixed": independent._chi2_of_a(0.0, *data[:3]),
            "profiled": independent.chi2_eq34(*data),
            "marginal": independent.chi2_eq34_marginal(*data),
        }
        for systematics, chi2 in expected.items():
            value = -2.0 * float(joint.log_likelihood(theta, systematics=systematics))
            # counts to 1e-8, of which chi^2 is the square of a difference of a tenth
            assert value == pytest.approx(chi2, rel=1e-6)
        norm = {f"{name}.signal_norm": 1.03}
        moved = -2.0 * float(joint.log_likelihood(theta, norm))
        assert moved == pytest.approx(independent._chi2_of_a(0.03, *data[:3]), rel=1e-6)


def test_poisson_variant():
    """statistic="poisson": every bin's ratio in 50 digits; no closed form, so nothing is eliminated."""
    experiment = lmt.ess10(statistic="poisson")
    truth, theta = lmt.benchmark("BP1"), neighbour(3)
    background = 0.1 * signal("ess10", lmt.HiddenPhoton(0.0, 15.0, 0.0))
    counts = np.array([7.0, 0.0, 3.0, 31.0, 2.0])
    joint = lmt.Joint([experiment.observe(counts)])
    assert joint.analytic == () and set(joint.nuisances) == {"ess10.signal_norm"}
    for norm in (1.0, 0.8):
        mean = norm * signal("ess10", theta) + background
        expected = math.fsum(map(independent.poisson_log_ratio, counts, mean))
        for systematics in SYSTEMATICS:
            value = joint.log_likelihood(theta, {"ess10.signal_norm": norm}, systematics=systematics)
            assert float(value) == pytest.approx(expected, rel=1e-7)
    assert abs(float(lmt.Joint.asimov([experiment], truth).log_likelihood(truth))) < 1e-20


def test_poisson_of_na64mu():
    """Counts far from the expectation, zeros included, against mpmath and the experiment's own mean."""
    experiment = lmt.na64mu(background=0.3)
    counts = np.array([0.0, 1.0, 2.0, 0.0, 5.0, 12.0, 3.0, 4.0, 40.0])
    joint = lmt.Joint([experiment.observe(counts)])
    for seed in range(3):
        theta = neighbour(seed)
        mean = np.asarray(experiment.expected(theta)) + 0.3
        expected = math.fsum(map(independent.poisson_log_ratio, counts, mean))
        assert float(joint.log_likelihood(theta)) == pytest.approx(expected, rel=1e-12)


# 2025: 116592071.5(14.5) - 116592033(62), which is the 38(63) in print
@pytest.mark.parametrize(
    "measurement,value,error", [("2021", 251e-11, 59e-11), ("2025", 38.5e-11, 63.673e-11)]
)
def test_gminus2_is_a_gaussian(measurement, value, error):
    experiment = lmt.gminus2(measurement=measurement)
    for theta in (lmt.benchmark("BP4"), neighbour(4)):
        law = stats.norm(independent.delta_a_mu(float(theta.g_x), float(theta.mass)), error)
        joint = lmt.Joint([experiment.observe()])
        expected = law.logpdf(value) - law.logpdf(law.mean())
        for systematics in SYSTEMATICS:
            total = joint.log_likelihood(theta, systematics=systematics)
            assert float(total) == pytest.approx(expected, rel=1e-8)
    assert lmt.Joint([experiment.observe(-1e-9)]).observations[0].counts[0] == -1e-9


# ----------------------------------------------------------------------------------------------- random data
def test_draws_are_poisson():
    """Mean, variance and whole distribution of 40000 draws; 4.5 sigma of each, at a fixed seed."""
    n = 40_000
    for experiment in (lmt.na64mu(), lmt.ess10(), lmt.ccm()):
        observation = lmt.Joint.asimov([experiment], lmt.benchmark("BP1")).observations[0]
        mean = np.asarray(observation.counts)
        data = experiment.draw(np.random.default_rng(3), np.broadcast_to(mean, (n, mean.size)))
        assert data.dtype == np.float64 and (data == np.rint(data)).all() and data.min() >= 0.0
        np.testing.assert_allclose(data.mean(axis=0), mean, atol=0.0, rtol=4.5 / math.sqrt(n * mean.min()))
        pull = (data.mean(axis=0) - mean) / np.sqrt(mean / n)
        assert np.abs(pull).max() < 4.5
        fourth = mean * (1.0 + 3.0 * mean)  # fourth central moment of a Poisson number
        pull = (data.var(axis=0) - mean) / np.sqrt((fourth - mean**2) / n)
        assert np.abs(pull).max() < 4.5
        correlation = np.corrcoef(data.T) - np.eye(mean.size)
        assert np.abs(correlation).max() < 4.5 / math.sqrt(n)
    law = stats.poisson(3.7)
    few = lmt.na64mu().draw(np.random.default_rng(4), np.full((n, 1), 3.7)).ravel()
    observed = np.bincount(few.astype(int), minlength=13)
    expected = n * np.append(law.pmf(np.arange(12)), law.sf(11))
    assert stats.chisquare(np.append(observed[:12], observed[12:].sum()), expected).pvalue > 1e-5


def test_draws_of_gminus2_are_gaussian():
    experiment = lmt.gminus2()
    mean = np.full((20_000, 1), 2e-9)
    data = experiment.draw(np.random.default_rng(5), mean).ravel()
    assert stats.kstest(data, stats.norm(2e-9, 59e-11).cdf).pvalue > 1e-5
    assert data.min() < 0.0  # a Gaussian number, not a count


def test_toys_follow_their_keys():
    experiments, truth = everything(), lmt.benchmark("BP1")
    one, again, other = (lmt.Joint.toy(jax.random.key(k), experiments, truth) for k in (1, 1, 2))
    for a, b, c in zip(one.observations, again.observations, other.observations, strict=True):
        np.testing.assert_array_equal(a.counts, b.counts)
        assert (np.asarray(a.counts) != np.asarray(c.counts)).any()
    keys = jax.random.split(jax.random.key(7), 1500)
    mean = np.asarray(lmt.na64mu().asimov(truth).counts)
    data = np.array([lmt.na64mu().toy(key, truth).counts for key in keys])
    assert np.abs((data.mean(axis=0) - mean) / np.sqrt(mean / keys.size)).max() < 4.5
    spread = (data.var(axis=0) - mean) / np.sqrt((mean + 2.0 * mean**2) / keys.size)
    assert np.abs(spread).max() < 4.5
    # neighbouring toys share nothing
    shifted = np.corrcoef(data[:-1, 4], data[1:, 4])[0, 1]
    assert abs(shifted) < 4.5 / math.sqrt(keys.size)


def test_experiments_of_a_toy_are_independent():
    """Equal means in two experiments still give different numbers."""
    fields = {"mass_tonne": 1.0, "bin_edges": (20, 40, 60, 80, 100), "protons_on_target": 2.8e23}
    fields |= {"neutrinos_per_proton": 0.3, "baseline_m": 20.0}
    twins = [lmt.spallation(name, **fields) for name in ("left", "right")]
    toy = lmt.Joint.toy(jax.random.key(0), twins, lmt.benchmark("BP1"))
    left, right = (np.asarray(o.counts) for o in toy.observations)
    assert (left != right).any()
    nuisances = {"left.signal_norm": 2.0}
    scaled = lmt.Joint.toy(jax.random.key(0), twins, lmt.benchmark("BP1"), nuisances)
    assert scaled.observations[0].counts.sum() > 1.8 * left.sum()
    np.testing.assert_array_equal(scaled.observations[1].counts, right)


def test_mean_deviance_of_toys():
    """-2 ln L at the truth is chi^2-like: as many on average as there are bins, in the Gaussian regime."""
    experiment, truth = lmt.ess(), lmt.benchmark("BP3")
    deviances = []
    for key in jax.random.split(jax.random.key(11), 400):
        deviances.append(-2.0 * float(lmt.Joint([experiment.toy(key, truth)]).log_likelihood(truth)))
    # 4 bins, variance 8, plus O(1/n) corrections: n is thousands here
    assert abs(np.mean(deviances) - 4.0) < 4.5 * math.sqrt(8.0 / 400)


# ------------------------------------------------------------------------------------------- corners of data
def value_and_gradient(joint, theta, systematics="fixed", nuisances=None):
    def function(theta, nuisances):
        return joint.log_likelihood(theta, nuisances, systematics=systematics)

    nuisances = joint.nominal if nuisances is None else nuisances
    floats = jax.tree.map(float, (theta, nuisances))
    return jax.value_and_grad(function, argnums=(0, 1))(*floats)


@pytest.mark.parametrize("systematics", SYSTEMATICS)
def test_empty_bins(systematics):
    experiments = [lmt.na64mu(), lmt.ess10()]
    joint = lmt.Joint([e.observe(np.zeros(e.n_bins)) for e in experiments])
    theta = lmt.benchmark("BP2")
    if systematics == "marginal":
        value, gradient = value_and_gradient(joint, theta, systematics)
        assert np.isfinite(value) and np.isfinite(jax.tree.leaves(gradient)).all()
    terms = joint.terms(theta, systematics=systematics)
    assert float(terms["na64mu"]) == pytest.approx(-float(np.sum(experiments[0].expected(theta))), rel=1e-12)
    sm = signal("ess10", lmt.HiddenPhoton(0.0, 15.0, 0.0))
    # N_obs = -N_bkg after subtraction, and a variance of one count in every bin
    data = -0.1 * sm, signal("ess10", theta), 1.0 + 0.1 * sm, SIGMA["ess10"]
    expected = {
        "fixed": independent._chi2_of_a(0.0, *data[:3]),
        "profiled": independent.chi2_eq34(*data),
        "marginal": independent.chi2_eq34_marginal(*data),
    }
    assert -2.0 * float(terms["ess10"]) == pytest.approx(expected[systematics], rel=1e-7)


@pytest.mark.parametrize("systematics", ["fixed", "marginal"])
def test_without_a_signal(systematics):
    """g_x = eps_x = 0: no muon is missing, and one that is, is impossible; CEvNS is the Standard Model's."""
    none = lmt.HiddenPhoton(0.0, 15.0, 0.0)
    experiment = lmt.na64mu()
    empty = lmt.Joint([experiment.observe(np.zeros(9))])
    value, gradient = value_and_gradient(empty, none, systematics)
    assert float(value) == 0.0 and np.isfinite(jax.tree.leaves(gradient)).all()
    counts = np.zeros(9)
    counts[4] = 1.0
    value, gradient = value_and_gradient(lmt.Joint([experiment.observe(counts)]), none, systematics)
    assert float(value) == -np.inf and np.isfinite(jax.tree.leaves(gradient)).all()
    background = lmt.Joint([lmt.na64mu(background=0.5).observe(counts)])
    expected = math.fsum(independent.poisson_log_ratio(n, 0.5) for n in counts)
    assert float(background.log_likelihood(none, systematics=systematics)) == pytest.approx(
        expected, rel=1e-13
    )

    sm = lmt.ess10().asimov(none)
    np.testing.assert_allclose(sm.counts, 1.1 * signal("ess10", none), rtol=1e-8)
    value, gradient = value_and_gradient(lmt.Joint(sm), none, systematics)
    assert np.isfinite(value) and np.isfinite(jax.tree.leaves(gradient)).all()


def test_only_one_sign_of_charge_matters(joint):
    """g and eps both flipped in sign of charge: the bremsstrahlung squares, CEvNS sees the product."""
    theta = neighbour(6)
    flipped = lmt.HiddenPhoton(theta.g_x, theta.mass, -theta.eps_x, lmt.LeptonCharges(0.0, -1.0, 1.0))
    assert float(joint.log_likelihood(flipped)) == pytest.approx(
        float(joint.log_likelihood(theta)), rel=1e-12
    )


# ---------------------------------------------------------------------------------------- shared nuisances
def test_shared_nuisance():
    prior = lmt.Normal(0.2386, 0.0015)
    detectors = [lmt.ess10(sin2_theta_w=prior), lmt.ess(sin2_theta_w=lmt.Normal(0.2386, 0.0015))]
    truth = lmt.benchmark("BP1")
    joint = lmt.Joint.asimov(detectors, truth)
    assert set(joint.nuisances) == {"sin2_theta_w", "ess10.signal_norm", "ess.signal_norm"}
    assert joint.nominal["sin2_theta_w"] == 0.2386
    # one value moves both experiments
    for x in (0.225, 0.2386, 0.25):
        terms = joint.terms(truth, {"sin2_theta_w": x})
        for name in ("ess10", "ess"):
            sm = signal(name, lmt.HiddenPhoton(0.0, 15.0, 0.0), 0.2386)
            data = signal(name, truth, 0.2386), signal(name, truth, x), 0.1 * sm
            expected = independent._chi2_of_a(0.0, *data)
            assert -2.0 * float(terms[name]) == pytest.approx(expected, rel=1e-5, abs=1e-9)
    # and has one constraint
    point = {"sin2_theta_w": 0.2411, "ess10.signal_norm": 0.9, "ess.signal_norm": 1.2}
    expected = stats.norm(0.2386, 0.0015).logpdf(0.2411) + stats.norm(1.0, 0.05).logpdf([0.9, 1.2]).sum()
    assert float(joint.log_constraint(point)) == pytest.approx(expected, rel=1e-13)
    centre = stats.norm(0.2386, 0.0015).logpdf(0.2386) + 2.0 * stats.norm(1.0, 0.05).logpdf(1.0)
    assert float(joint.log_constraint()) == pytest.approx(centre, rel=1e-13)


@pytest.mark.parametrize(
    "other",
    [
        lmt.Normal(0.2386, 0.003),
        lmt.Normal(0.2387, 0.0015),
        lmt.Uniform(0.2386 - 0.0015, 0.2386 + 0.0015),
        0.2386,
        None,
    ],
)
def test_shared_nuisance_must_agree(other):
    one = lmt.ess10(sin2_theta_w=lmt.Normal(0.2386, 0.0015))
    with pytest.raises(ValueError, match="'sin2_theta_w' is shared"):
        lmt.Joint.asimov([one, lmt.ess(sin2_theta_w=other)], lmt.benchmark("BP1"))
    if other is not None:  # either order, and numbers too
        with pytest.raises(ValueError, match="'sin2_theta_w' is shared"):
            lmt.Joint.asimov([lmt.ess(sin2_theta_w=other), one], lmt.benchmark("BP1"))


def test_fixed_values_must_agree_too():
    with pytest.raises(ValueError, match=r"'sin2_theta_w' is shared.*0\.23122.*ccm.*0\.23857"):
        lmt.Joint.asimov([lmt.ess(preset="paper"), lmt.ccm()], lmt.benchmark("BP1"))


# ------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    "counts",
    [
        [1.0, 2.0, 3.0, 4.0],
        [1.0] * 6,
        [[1.0] * 5],
        5.0,
        [],
        [1.0, 2.0, np.nan, 4.0, 5.0],
        [1.0, 2.0, np.inf, 4.0, 5.0],
        [1.0, 2.0, -1e-12, 4.0, 5.0],
        ["a"] * 5,
        None,
    ],
)
def test_bad_counts(counts):
    with pytest.raises(ValueError, match="counts of ess10"):
        lmt.ess10().observe(counts)


@pytest.mark.parametrize("datum", [np.nan, np.inf, [1e-9, 2e-9], "a"])
def test_bad_delta_a_mu(datum):
    with pytest.raises(ValueError, match="data of gminus2"):
        lmt.gminus2().observe(datum)


def test_bad_observations():
    experiment = lmt.ess10()
    observation = experiment.observe(np.ones(5))
    with pytest.raises(ValueError, match=r"observations.*empty"):
        lmt.Joint([])
    with pytest.raises(ValueError, match=r"distinct names.*'ess10' twice"):
        lmt.Joint([observation, experiment.observe(np.zeros(5))])
    with pytest.raises(ValueError, match="observations must be experiments with data"):
        lmt.Joint([experiment])
    with pytest.raises(ValueError, match="observations must be experiments with data"):
        lmt.Joint([np.ones(5)])
    assert lmt.Joint(observation).names == lmt.Joint(iter([observation])).names == ("ess10",)
    for make in (lmt.Joint.asimov, lambda *a: lmt.Joint.toy(jax.random.key(0), *a)):
        with pytest.raises(ValueError, match="experiments must be experiments"):
            make([observation], lmt.benchmark("BP1"))
        with pytest.raises(ValueError, match="empty"):
            make([], lmt.benchmark("BP1"))
        with pytest.raises(ValueError, match=r"nuisance.*'ess10\.signal_norm'.*ess10\.signal_nrm"):
            make([experiment], lmt.benchmark("BP1"), {"ess10.signal_nrm": 1.0})


def test_bad_arguments_of_the_likelihood(small):
    theta = lmt.benchmark("BP1")
    with pytest.raises(ValueError, match=r"nuisance must be one of .*did you mean 'sin2_theta_w'"):
        small.log_likelihood(theta, {"sin2_theta": 0.23})
    with pytest.raises(ValueError, match="nuisance"):
        small.log_constraint({"ess.signal_norm": 1.0})
    with pytest.raises(ValueError, match="systematics must be one of 'fixed', 'profiled', 'marginal'"):
        small.log_likelihood(theta, systematics="marginalised")
    for bad in (np.nan, np.inf, "a", None):
        for field in ("g_x", "mass", "eps_x"):
            fields = {"g_x": 1e-3, "mass": 15.0, "eps_x": 0.0, field: bad}
            with pytest.raises(ValueError, match="theta"):
                small.log_likelihood(lmt.HiddenPhoton(**fields))
    for fields in ({"g_x": -1e-3}, {"mass": 0.0}, {"mass": -1.0}, {"mass": np.array([1.0, 0.0])}):
        name = next(iter(fields))
        with pytest.raises(ValueError, match=rf"theta\.{name}"):
            small.log_likelihood(lmt.HiddenPhoton(**{"g_x": 1e-3, "mass": 15.0, "eps_x": 0.0, **fields}))
    with pytest.raises(ValueError, match=r"theta\.charges\.tau"):
        small.log_likelihood(lmt.HiddenPhoton(1e-3, 15.0, 0.0, lmt.LeptonCharges(0.0, 1.0, np.nan)))
    with pytest.raises(TypeError, match=r"HiddenPhoton.*tuple"):
        small.log_likelihood((1e-3, 15.0, 0.0))
    with pytest.raises(ValueError, match="at least one point"):
        small.log_likelihood(lmt.HiddenPhoton(np.zeros(0), 15.0, 0.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, "a", None, [0.23, np.nan]], ids=repr)
def test_bad_nuisances(small, bad):
    """Nuisances are parameters too, and the message names the one that is wrong."""
    with pytest.raises(ValueError, match="sin2_theta_w"):
        small.log_likelihood(lmt.benchmark("BP1"), {"sin2_theta_w": bad})


FLOAT32 = """
import json, jax, jaxlmt as lmt
factories = {name: getattr(lmt, name) for name in ("na64mu", "ess10", "ess", "ccm", "cenns610", "gminus2")}
fields = dict(mass_tonne=1.0, bin_edges=(20, 40), protons_on_target=1e23)
fields |= dict(neutrinos_per_proton=0.1, baseline_m=20.0)
factories["spallation"] = lambda: lmt.spallation("x", **fields)
factories["Joint"] = lambda: lmt.Joint([])
found = {}
for name, factory in factories.items():
    try:
        factory()
        found[name] = "accepted"
    except RuntimeError as error:
        found[name] = str(error)
    except Exception as error:
        found[name] = repr(error)
lmt.enable_x64()  # a refusal is not remembered
experiment = lmt.ess10()
observation = experiment.observe([1.0] * 5)
jax.config.update("jax_enable_x64", False)
try:
    lmt.Joint([observation])
    found["later"] = "accepted"
except RuntimeError as error:
    found["later"] = str(error)
print(json.dumps(found))
"""


def python(script):
    """Standard output of ``script`` in a fresh interpreter, without this one's switches of JAX."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    environment["PYTHONPATH"] = str(ROOT)
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=550
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_float32_is_refused():
    found = json.loads(python(FLOAT32))
    assert set(found) >= {"na64mu", "ess10", "gminus2", "spallation", "Joint", "later"}
    for name, message in found.items():
        assert re.search(r"enable_x64", message), f"{name}: {message}"


# ------------------------------------------------------------------------------- finite everywhere, gradients
@jax.jit
def _terms_and_gradient(joint, theta, nuisances):
    def total(theta, nuisances):
        terms = {s: joint.terms(theta, nuisances, systematics=s) for s in ("fixed", "marginal")}
        return sum(sum(t.values()) for t in terms.values()), terms

    return jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(theta, nuisances)


BOX = {
    "coupling": st.floats(-6.0, -1.0),
    "mass": st.floats(-1.0, 4.0),
    "ratio": st.floats(-1.0, 1.0),
    "charges": st.sampled_from([lmt.LMU_LTAU, lmt.LMU]),
}


@given(**BOX)
@example(coupling=-6.0, mass=4.0, ratio=0.0, charges=lmt.LMU)
@example(coupling=-1.0, mass=-1.0, ratio=1.0, charges=lmt.LMU_LTAU)
@example(coupling=-6.0, mass=-1.0, ratio=-1.0, charges=lmt.LMU_LTAU)
@example(coupling=-3.0, mass=math.log10(2 * 105.6583755), ratio=-1 / 70, charges=lmt.LMU)
@example(coupling=-3.0, mass=math.log10(2 * 0.51099895069), ratio=-1 / 70, charges=lmt.LMU)
@settings(max_examples=150, deadline=None)
def test_finite_over_the_whole_box(small, coupling, mass, ratio, charges):
    g = 10.0**coupling
    theta = lmt.HiddenPhoton(g, 10.0**mass, ratio * g, charges)
    (value, terms), gradient = _terms_and_gradient(small, jax.tree.map(np.float64, theta), small.nominal)
    assert np.isfinite(value)
    assert np.isfinite(jax.tree.leaves(gradient)).all()
    # a weak coupling makes the data unlikely by a finite amount, which rounding must not blur
    mean = np.asarray(lmt.na64mu().expected(theta))
    counts = np.asarray(small.observations[0].counts)
    expected = math.fsum(map(independent.poisson_log_ratio, counts, mean))
    assert float(terms["fixed"]["na64mu"]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("lepton", ["ELECTRON", "MUON", "TAU"])
def test_finite_at_thresholds(small, lepton):
    """M_A' = 2 m_l to the last bit, and the neighbouring numbers."""
    threshold = 2.0 * getattr(constants, f"MASS_{lepton}")
    for mass in (threshold, np.nextafter(threshold, 0.0), np.nextafter(threshold, np.inf)):
        for charges in (lmt.LMU_LTAU, lmt.LMU):
            theta = jax.tree.map(np.float64, lmt.HiddenPhoton(1e-3, mass, -1e-3 / 70, charges))
            (value, _), gradient = _terms_and_gradient(small, theta, small.nominal)
            assert np.isfinite(value) and np.isfinite(jax.tree.leaves(gradient)).all()


@pytest.mark.parametrize("systematics", SYSTEMATICS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradient_is_the_slope(small, seed, systematics):
    """Against Richardson-extrapolated differences in the logarithm of every parameter."""
    theta = neighbour(seed)
    theta = lmt.HiddenPhoton(theta.g_x, theta.mass, theta.eps_x, lmt.LeptonCharges(0.3, 1.1, -0.7))
    leaves, structure = jax.tree.flatten((theta, small.nominal))
    leaves = np.array(leaves, float)
    value, gradient = value_and_gradient(small, theta, systematics)
    analytic = {"ess10.signal_norm"} if systematics != "fixed" else set()
    scale = 1.0 + abs(float(value))

    def along(steps):  # all points in one batch
        points = leaves * np.exp(steps)
        batch = jax.tree.unflatten(structure, list(points.T))
        return np.asarray(small.log_likelihood(*batch, systematics=systematics))

    h = 1e-3
    steps = np.eye(leaves.size)
    difference = [along(k * h * steps) - along(-k * h * steps) for k in (1.0, 2.0)]
    expected = (8.0 * difference[0] - difference[1]) / (12.0 * h)
    got = np.array(jax.tree.leaves(gradient), float) * leaves
    names = [
        jax.tree_util.keystr(path)
        for path, _ in jax.tree_util.tree_flatten_with_path((theta, small.nominal))[0]
    ]
    assert len(names) == leaves.size
    for name, a, b in zip(names, got, expected, strict=True):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-7 * scale), name
        if any(n in name for n in analytic):
            assert a == 0.0


# ------------------------------------------------------------------------------------------------- batches
@pytest.mark.parametrize("systematics", SYSTEMATICS)
def test_batch_vmap_and_loop_agree(small, systematics):
    theta = neighbour(9, size=5)
    nuisances = {"ess10.signal_norm": np.linspace(0.9, 1.1, 5)}
    batched = small.log_likelihood(theta, nuisances, systematics=systematics)
    assert batched.shape == (5,)

    def one(g, mass, eps, norm):
        point = lmt.HiddenPhoton(g, mass, eps)
        return small.log_likelihood(point, {"ess10.signal_norm": norm}, systematics=systematics)

    columns = theta.g_x, theta.mass, theta.eps_x, nuisances["ess10.signal_norm"]
    np.testing.assert_allclose(jax.vmap(one)(*columns), batched, rtol=1e-11)
    loop = [float(one(*map(float, row))) for row in zip(*columns, strict=True)]
    np.testing.assert_allclose(loop, batched, rtol=1e-11)
    jitted = jax.jit(jax.vmap(one))(*columns)
    np.testing.assert_allclose(jitted, batched, rtol=1e-11)


def test_leaves_broadcast(small):
    g, mass = np.array([[1e-4], [5e-4], [2e-3]]), np.array([5.0, 50.0])
    theta = lmt.HiddenPhoton(g, mass, -g / 70)
    total = small.log_likelihood(theta)
    assert total.shape == (3, 2)
    terms = small.terms(theta)
    assert {k: v.shape for k, v in terms.items()} == {"na64mu": (3, 2), "ess10": (3, 2), "gminus2": (3, 2)}
    for i in range(3):
        for j in range(2):
            point = lmt.HiddenPhoton(g[i, 0], mass[j], -g[i, 0] / 70)
            assert float(total[i, j]) == pytest.approx(float(small.log_likelihood(point)), rel=1e-11)
    charges = lmt.LeptonCharges(0.0, 1.0, np.array([-1.0, 0.0]))
    both = small.log_likelihood(lmt.HiddenPhoton(1e-3, 300.0, 0.0, charges))
    single = [small.log_likelihood(lmt.HiddenPhoton(1e-3, 300.0, 0.0, c)) for c in (lmt.LMU_LTAU, lmt.LMU)]
    np.testing.assert_allclose(both, single, rtol=1e-11)


def test_chunks_leave_no_seam(small):
    """More points than a chunk holds, and not a multiple: the last ones are as good as the first."""
    n = 2 * 2048 + 3
    theta = neighbour(10, size=n)
    total = np.asarray(small.log_likelihood(theta))
    assert total.shape == (n,)
    picked = np.array([0, 1, 2047, 2048, 4095, 4096, n - 1])
    few = lmt.HiddenPhoton(theta.g_x[picked], theta.mass[picked], theta.eps_x[picked])
    np.testing.assert_allclose(total[picked], small.log_likelihood(few), rtol=1e-11)
    assert np.unique(total).size == n


def test_pytree_and_pickle(small):
    theta = neighbour(12)
    leaves, structure = jax.tree.flatten(small)
    assert all(np.asarray(leaf).dtype == np.float64 for leaf in leaves)
    for copy in (jax.tree.unflatten(structure, leaves), pickle.loads(pickle.dumps(small))):
        assert copy.names == small.names
        assert float(copy.log_likelihood(theta)) == float(small.log_likelihood(theta))
    assert repr(small) == "Joint(na64mu, ess10, gminus2)"
    # data are arguments: the slope in them is the likelihood's, -chi^2/2 = -(n - mu)^2/2n in a Gaussian bin
    slope = jax.grad(lambda j: j.log_likelihood(theta))(small)
    counts = np.asarray(small.observations[0].counts)
    mean = np.asarray(lmt.na64mu().expected(theta))
    np.testing.assert_allclose(slope.observations[0].counts, np.log(mean / counts), rtol=1e-10)


MEMORY = """
import numpy as np, jaxlmt as lmt

def memory(name):  # KiB; ru_maxrss would begin with that of the process that started this one
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith(name + ":")).split()[1])

lmt.enable_x64()
experiments = [lmt.na64mu(), lmt.ess10(), lmt.ess(), lmt.gminus2()]
joint = lmt.Joint.asimov(experiments, lmt.benchmark("BP1"))

def points(n):
    rng = np.random.default_rng(0)
    g = 10.0 ** rng.uniform(-5, -2, n)
    return lmt.HiddenPhoton(g, 10.0 ** rng.uniform(0, 3, n), g * rng.uniform(-0.3, 0.3, n))

np.asarray(joint.log_likelihood(points(5000), systematics="marginal"))  # compiled and warm
theta = points(1_000_000)
before = memory("VmRSS")  # now: the peak so far is the compiler's
total = np.asarray(joint.log_likelihood(theta, systematics="marginal"))
after = memory("VmHWM")
assert total.shape == (1_000_000,) and np.isfinite(total).all()
print((after - before) / 2**20)
"""


@pytest.mark.slow
def test_a_million_evaluations_fit_in_memory():
    growth = float(python(MEMORY))  # GiB
    print(f"peak memory: {growth:.3f} GiB above what was there before")
    assert 0.0 < growth < 1.0


# --------------------------------------------------------------------------------------- one program for all
EVENTS = []
WATCHED = ("/jax/core/compile/backend_compile_duration", "/jax/core/compile/jaxpr_trace_duration")
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration, **_: EVENTS.append(event) if event in WATCHED else None
)


@contextlib.contextmanager
def no_compilation():
    """Fails if anything is traced or compiled inside."""
    before = len(EVENTS)
    yield
    assert EVENTS[before:] == []


def test_the_counter_counts():
    before = len(EVENTS)
    jax.jit(lambda x: jnp.sin(x) + 0.12345)(1.0)
    assert {WATCHED[0], WATCHED[1]} <= set(EVENTS[before:])


@pytest.mark.parametrize("systematics", SYSTEMATICS)
def test_nothing_is_compiled_twice(systematics):
    experiments = families()
    joints = [lmt.Joint.asimov(experiments, lmt.benchmark(name)) for name in ("BP1", "BP3")]
    toy = lmt.Joint.toy(jax.random.key(3), experiments, lmt.benchmark("BP2"))
    thetas = [
        lmt.HiddenPhoton(1, 15, 0),
        lmt.HiddenPhoton(5e-4, 15.0, -1e-5),
        lmt.HiddenPhoton(np.float64(5e-4), np.float64(15.0), np.float64(-1e-5)),
        lmt.HiddenPhoton(np.float32(5e-4), np.int64(15), np.float16(0)),
        lmt.HiddenPhoton(jnp.asarray(5e-4), jnp.asarray(15.0), jnp.asarray(-1e-5)),
        lmt.HiddenPhoton(jnp.asarray(5e-4), 15, np.array(-1e-5), lmt.LMU),
        lmt.HiddenPhoton(5e-4, 15.0, -1e-5, lmt.LeptonCharges(0, 1, np.float64(0.5))),
    ]
    nuisances = [
        None,
        {},
        {"sin2_theta_w": 0.23},
        {"ess10.signal_norm": 1},
        {"sin2_theta_w": jnp.asarray(0.24)},
    ]
    joints[0].log_likelihood(thetas[1], systematics=systematics)
    with no_compilation():
        values = [joint.log_likelihood(thetas[1], systematics=systematics) for joint in (*joints, toy)]
        values += [joints[1].log_likelihood(theta, systematics=systematics) for theta in thetas]
        values += [toy.log_likelihood(thetas[1], n, systematics=systematics) for n in nuisances]
        observed = [e.observe(np.full(e.n_bins, 7)) for e in experiments[:2]]
        observed = lmt.Joint([*observed, experiments[2].observe()])
        values += [observed.log_likelihood(thetas[2], systematics=systematics)]
        jax.block_until_ready(values)
        lmt.Joint.asimov(experiments, lmt.benchmark("BP4"), {"sin2_theta_w": 0.24})
        lmt.Joint.toy(jax.random.key(8), experiments, lmt.benchmark("BP4"))
    assert len(set(map(float, values))) == 10  # and they are different numbers


def test_other_numbers_of_an_experiment_compile_nothing():
    """A detector of another mass, a prior of another width: the same program."""
    truth = lmt.benchmark("BP1")
    first = lmt.Joint.asimov([lmt.ess10()], truth)
    first.log_likelihood(truth, systematics="marginal")
    changed = lmt.ess10(mass_tonne=0.02, signal_norm=lmt.Normal(1.0, 0.1), sin2_theta_w=0.231)
    with no_compilation():
        second = lmt.Joint.asimov([changed], truth)
        value = second.log_likelihood(lmt.benchmark("BP2"), systematics="marginal")
    assert float(value) != float(first.log_likelihood(lmt.benchmark("BP2"), systematics="marginal"))


def test_batches_and_gradients_compile_once():
    joints = [lmt.Joint.asimov(families(), lmt.benchmark(n)) for n in ("BP1", "BP2")]
    theta = neighbour(13, size=6)
    joints[0].log_likelihood(theta)
    value_and_gradient(joints[0], lmt.benchmark("BP1"))
    with no_compilation():
        np.asarray(joints[1].log_likelihood(neighbour(14, size=6)))
        value_and_gradient(joints[1], lmt.benchmark("BP3"))


def test_classes_of_nuisance_priors_do_not_share_a_program():
    """jit must tell a Gaussian normalisation, which has a closed form, from a flat one, which has none.

    See test_distributions.test_classes_have_distinct_tree_structures: where the structures compare equal, the
    wrong program runs whenever seven bits of two hashes agree.
    """
    truth = lmt.benchmark("BP1")
    normal, flat = (
        lmt.Joint.asimov([lmt.ess10(signal_norm=p)], truth)
        for p in (lmt.Normal(1.0, 0.05), lmt.Uniform(0.5, 1.5))
    )
    assert normal.analytic and not flat.analytic
    assert jax.tree.structure(normal) != jax.tree.structure(flat)
