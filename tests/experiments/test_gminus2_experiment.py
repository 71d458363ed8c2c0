"""The measured magnetic moment as an experiment: published numbers, likelihood, data."""

import pickle
from dataclasses import fields
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import jaxlmt as lmt
from jaxlmt.experiments import base
from jaxlmt.experiments.gminus2 import measurements
from tests.validation import independent

DIFFERENCE = {"2021": 251e-11, "2025": 38e-11}  # as published
ERROR = {"2021": 59e-11, "2025": 63e-11}


@pytest.mark.parametrize("name", DIFFERENCE)
def test_published_numbers(name):
    experiment = lmt.gminus2(measurement=name)
    assert experiment.measured == pytest.approx(DIFFERENCE[name], abs=0.51e-11)
    assert experiment.sigma.shape == (1,)
    assert experiment.sigma[0] == pytest.approx(ERROR[name], abs=0.7e-11)
    np.testing.assert_array_equal(experiment.observe().counts, [experiment.measured])


def test_table_is_consistent():
    table = measurements()
    assert set(table) == set(DIFFERENCE)
    for entry in table.values():
        difference = entry["experiment"] - entry["standard_model"]
        assert entry["delta_a_mu"] == pytest.approx(difference, abs=1e-14)
        error = sqrt(entry["experiment_sigma"] ** 2 + entry["standard_model_sigma"] ** 2)
        assert entry["sigma"] == pytest.approx(error, abs=0.5e-11)  # 2021 is published as 59, not 59.4
    entry = table["2021"]  # the average of the two experiments, by weight
    weights = np.array([entry["fermilab_sigma"], entry["brookhaven_sigma"]]) ** -2
    average = weights @ [entry["fermilab"], entry["brookhaven"]] / weights.sum()
    assert entry["experiment"] == pytest.approx(average, abs=0.5e-11)
    assert entry["experiment_sigma"] == pytest.approx(weights.sum() ** -0.5, abs=0.5e-11)


def test_default_is_2021_and_cached():
    assert lmt.gminus2().measured == 251e-11
    assert lmt.gminus2("2025") is lmt.gminus2("2025")
    assert lmt.gminus2("2021") is not lmt.gminus2("2025")


@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_expected(name):
    mass, g = independent.BENCHMARKS[name]
    experiment = lmt.gminus2()
    found = experiment.expected(lmt.benchmark(name))
    assert found.shape == (1,) and experiment.n_bins == 1
    np.testing.assert_allclose(found, [independent.delta_a_mu(g, mass)], rtol=1e-12)


@pytest.mark.parametrize("name", DIFFERENCE)
def test_likelihood_is_gaussian(name):
    experiment = lmt.gminus2(name)
    joint = lmt.Joint([experiment.observe()])
    for g, mass in ((0.0, 15.0), (5e-4, 15.0), (1e-3, 100.0), (3e-3, 1.0)):
        mean = independent.delta_a_mu(g, mass)
        gauss = norm(mean, experiment.sigma[0])
        expected = gauss.logpdf(experiment.measured) - gauss.logpdf(mean)
        found = float(joint.log_likelihood(lmt.HiddenPhoton(g, mass, 0.0)))
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradient():
    experiment, theta = lmt.gminus2(), lmt.benchmark("BP2")
    jacobian = jax.jacfwd(experiment.expected)(theta)
    expected = 2 * independent.delta_a_mu(theta.g_x, theta.mass) / theta.g_x
    np.testing.assert_allclose(jacobian.g_x, [expected], rtol=1e-12)
    np.testing.assert_array_equal(jacobian.eps_x, [0.0])


def test_other_data():
    experiment = lmt.gminus2()
    np.testing.assert_array_equal(experiment.observe(-1e-10).counts, [-1e-10])  # either sign is data
    truth = lmt.benchmark("BP1")
    np.testing.assert_array_equal(experiment.asimov(truth).counts, experiment.expected(truth))
    assert abs(float(lmt.Joint.asimov([experiment], truth).log_likelihood(truth))) < 1e-25
    with pytest.raises(ValueError, match=r"data of gminus2 must have shape \(1,\)"):
        experiment.observe([1e-9, 2e-9])
    with pytest.raises(ValueError, match="data of gminus2 must be finite; got nan"):
        experiment.observe(np.nan)


def test_toys_are_gaussian():
    experiment, truth = lmt.gminus2(), lmt.benchmark("BP1")
    keys = jax.random.split(jax.random.key(3), 500)
    pulls = np.array([experiment.toy(key, truth).counts[0] for key in keys])
    pulls = (pulls - float(experiment.expected(truth)[0])) / experiment.sigma[0]
    assert abs(pulls.mean()) < 4.5 / sqrt(500)
    assert abs(pulls.var() - 1.0) < 4.5 * sqrt(2 / 500)
    assert experiment.toy(keys[0], truth).counts[0] == experiment.toy(keys[0], truth).counts[0]


def test_arrays_vmap_and_types():
    experiment = lmt.gminus2()
    theta = lmt.HiddenPhoton(np.geomspace(1e-4, 1e-3, 3)[:, None], np.array([1.0, 100.0]), -1e-5)
    values = experiment.expected(theta)
    assert values.shape == (3, 2, 1)
    mapped = jax.vmap(jax.vmap(experiment.expected))(lmt.batch(theta))
    np.testing.assert_allclose(mapped, values, rtol=1e-14)
    sizes, results = set(), set()
    for mass in (15, 15.0, np.float32(15), np.float64(15), np.array(15), jnp.asarray(15.0)):
        for name in DIFFERENCE:
            results.add(float(lmt.gminus2(name).expected(lmt.HiddenPhoton(5e-4, mass, 0))[0]))
            sizes.add(base._evaluate._cache_size())
    assert len(sizes) == len(results) == 1


def test_pytree():
    experiment = lmt.gminus2()
    assert [f.name for f in fields(experiment) if f.metadata.get("static")] == ["name"]
    again = pickle.loads(pickle.dumps(experiment))
    np.testing.assert_array_equal(again.observe().counts, experiment.observe().counts)


def test_invalid_measurement():
    with pytest.raises(ValueError, match=r"measurement must be one of '2021', '2025'; got '2020' \(did you"):
        lmt.gminus2("2020")
