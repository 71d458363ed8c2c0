"""Tension between data sets: what the paper says of its benchmarks, closed forms, scipy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import jaxlmt as lmt
from jaxlmt import HiddenPhoton, LogUniform, Prior, TiedToCoupling

DETECTORS = (lmt.cenns610, lmt.ccm, lmt.ess, lmt.ess10)
# Every detector has a shape, and thus a program, of its own: one is enough for every day.
SOME = [pytest.param(d, id=d.__name__, marks=[pytest.mark.slow] * (d is not lmt.ess10)) for d in DETECTORS]
COUPLING = Prior(HiddenPhoton(LogUniform(1e-5, 1e-2), 15.0, 0.0))


def tied(ratio):
    return lmt.default_prior(mixing=TiedToCoupling(ratio))


def against_na64mu(name, *detectors, ratio):
    experiments = [lmt.na64mu(preset="paper"), *(detector(preset="paper") for detector in detectors)]
    joint = lmt.Joint.asimov(experiments, lmt.benchmark(name))
    groups = [["na64mu"], [experiment.name for experiment in experiments[1:]]]
    return lmt.tension(joint, tied(ratio), groups=groups)


def moments(*measurements):
    """Measurements of (g-2)_mu, {name: (central value, sigma)}, as data sets of one number each."""
    made = []
    for name, mean, sigma in measurements:
        made.append(replace(lmt.gminus2(), name=name, measured=mean, sigma=np.array([sigma])))
    return lmt.Joint([experiment.observe() for experiment in made])


# --------------------------------------------------------------------------------------- the paper's data
@pytest.mark.parametrize("detector", SOME)
@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_tension_is_zero_at_the_truth_and_grows_away_from_it(name, detector):
    """NA64mu finds g and M, a detector g eps: they agree for the true eps = -g/70 alone (figs 8 and 9)."""
    none, some, more = (against_na64mu(name, detector, ratio=r) for r in (-1 / 70, -1 / 30, -1 / 10))
    assert 0.0 <= none.value < 1e-6 and none.dof == 2
    assert none.p_value == pytest.approx(1.0, abs=1e-6) and none.sigma < 1e-2
    assert 0.2 < some.value < more.value and 3.0 < more.value
    assert more.p_value < some.p_value < none.p_value
    truth = lmt.benchmark(name)
    for best in (none.together, none.apart["na64mu"]):
        assert best.theta.mass == pytest.approx(truth.mass, rel=1e-2)
        assert best.theta.g_x == pytest.approx(truth.g_x, rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_all_detectors_together_are_in_more_tension_than_each(name):
    together = against_na64mu(name, *DETECTORS, ratio=-1 / 10).value
    assert together > 5.0
    assert together > max(against_na64mu(name, detector, ratio=-1 / 10).value for detector in DETECTORS)


# ------------------------------------------------------------------------------------------- closed forms
def test_two_measurements_of_one_number():
    """(a - b)^2 / (s_a^2 + s_b^2) with one degree of freedom, as for any two Gaussian numbers."""
    found = lmt.tension(moments(("a", 251e-11, 59e-11), ("b", 38e-11, 64e-11)), COUPLING)
    expected = (251 - 38) ** 2 / (59**2 + 64**2)
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.dof == 1
    assert found.sigma == pytest.approx(np.sqrt(expected), rel=1e-6)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(np.sqrt(expected)), rel=1e-6)
    assert list(found.apart) == ["a", "b"]
    mean = np.average([251e-11, 38e-11], weights=[59**-2.0, 64**-2.0])
    assert float(lmt.delta_a_mu(found.together.theta)) == pytest.approx(mean, rel=1e-4)
    assert float(lmt.delta_a_mu(found.apart["b"].theta)) == pytest.approx(38e-11, rel=1e-4)
    assert str(found) == f"a against b: {expected:.3g} for 1 degrees of freedom, 2.4 sigma"


def test_groups_of_measurements():
    """Three numbers: one by one their scatter around the weighted mean; grouped only that between groups."""
    data = (("a", 200e-11, 50e-11), ("b", 260e-11, 40e-11), ("c", 90e-11, 30e-11))
    joint = moments(*data)
    means, weights = np.array([m for _, m, _ in data]), np.array([s**-2.0 for *_, s in data])

    def scatter(which):
        return np.sum(weights[which] * (means[which] - np.average(means[which], weights=weights[which])) ** 2)

    single = lmt.tension(joint, COUPLING)
    assert single.value == pytest.approx(scatter([0, 1, 2]), rel=1e-6)
    assert single.dof == 2
    assert single.p_value == pytest.approx(np.exp(-0.5 * single.value), rel=1e-12)  # chi^2 of two
    paired = lmt.tension(joint, COUPLING, groups=[["a", "b"], "c"])
    assert paired.value == pytest.approx(scatter([0, 1, 2]) - scatter([0, 1]), rel=1e-6)
    assert paired.dof == 1 and set(paired.apart) == {"a + b", "c"}
    some = lmt.tension(joint, COUPLING, groups=[["c"], ["a"]])  # and b is left out
    assert some.value == pytest.approx(scatter([0, 2]), rel=1e-6)
    assert list(some.apart) == ["c", "a"]


def test_degrees_of_freedom():
    """A number counts as one, bins as no more than there are parameters (hep-ph/0304176)."""
    joint = lmt.Joint.asimov([lmt.na64mu(preset="paper"), lmt.gminus2()], lmt.benchmark("BP2"))
    found = lmt.tension(joint, tied(-1 / 70))
    assert found.dof == 1  # 2 + 1 - 2
    assert found.value < 1e-6
    assert found.p_value == pytest.approx(stats.chi2.sf(found.value, 1))
    assert stats.chi2.isf(found.p_value, 1) == pytest.approx(found.sigma**2, abs=1e-9)


def test_agreement_without_degrees_of_freedom_is_no_tension():
    """Two numbers and two parameters: nothing is left to disagree."""
    prior = Prior(HiddenPhoton(LogUniform(1e-5, 1e-2), LogUniform(1.0, 1e3), 0.0))
    found = lmt.tension(moments(("a", 251e-11, 59e-11), ("b", 251e-11, 40e-11)), prior)
    assert (found.dof, found.p_value, found.sigma) == (0, 1.0, 0.0)


# --------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    "groups, named",
    [
        ([["na64mu"], ["gminus"]], "groups must be one of 'na64mu', 'gminus2'.*did you mean 'gminus2'"),
        ([["na64mu"], [3]], "groups must be one of .*got 3"),
        ([["na64mu"]], "at least two lists of names"),
        ([["na64mu", "gminus2"]], "at least two lists of names"),
        ([], "at least two lists of names"),
        (5, "at least two lists of names; got 5"),
        ("na64mu", "at least two lists of names; got 'na64mu'"),
        ([["na64mu"], []], "at least two lists of names"),
        ([["na64mu"], ["na64mu"]], "every experiment once"),
        ([["na64mu", "gminus2"], ["gminus2"]], "every experiment once"),
    ],
    ids=str,
)
def test_bad_groups_are_named(groups, named):
    joint = lmt.Joint.asimov([lmt.na64mu(), lmt.gminus2()], lmt.benchmark("BP1"))
    with pytest.raises(ValueError, match=named):
        lmt.tension(joint, tied(-1 / 70), groups=groups)


def test_one_experiment_cannot_disagree_with_itself():
    joint = lmt.Joint([lmt.gminus2().observe()])
    with pytest.raises(ValueError, match="at least two lists of names"):
        lmt.tension(joint, COUPLING)


def test_wrong_types_are_named():
    joint = lmt.Joint.asimov([lmt.na64mu(), lmt.gminus2()], lmt.benchmark("BP1"))
    with pytest.raises(ValueError, match=r"joint must be a jaxlmt.Joint"):
        lmt.tension([joint], COUPLING)
    with pytest.raises(ValueError, match=r"prior must be a jaxlmt.Prior"):
        lmt.tension(joint, None)
    with pytest.raises(ValueError, match=r"key must be a jax.random.key"):
        lmt.tension(joint, COUPLING, key=3)
