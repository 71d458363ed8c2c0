"""A minute's walk through the package with pytest and NumPy alone: CI runs it at the lower bounds of the
dependencies."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt


@pytest.fixture(scope="module")
def joint():
    truth = lmt.benchmark("BP1")
    simulated = [lmt.na64mu(), lmt.cenns610(), lmt.ccm(), lmt.ess(), lmt.ess10()]
    return lmt.Joint([lmt.gminus2().observe(), *(e.asimov(truth) for e in simulated)])


@pytest.fixture(scope="module")
def posterior():
    joint = lmt.Joint([lmt.gminus2().observe()])
    return lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), draws=200, warmup=100)


def test_public_names_can_be_loaded():
    assert lmt.__version__
    for name in lmt.__all__:
        assert getattr(lmt, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lmt.nothing


def test_kernel_and_gradient():
    theta = lmt.benchmark("BP1")
    assert float(lmt.delta_a_mu(theta)) == pytest.approx(251e-11, abs=59e-11)
    # Delta a_mu is g_x^2 times a function of the mass.
    slope = jax.grad(lmt.delta_a_mu)(theta)
    assert float(slope.g_x) == pytest.approx(2.0 * float(lmt.delta_a_mu(theta)) / 5e-4, rel=1e-10)
    assert float(slope.mass) < 0.0


def test_likelihood_and_gradient(joint):
    truth = lmt.benchmark("BP1")
    value, slope = jax.value_and_grad(joint.log_likelihood)(truth)
    terms = joint.terms(truth)
    assert float(value) == pytest.approx(sum(map(float, terms.values())), rel=1e-12)
    for name in joint.names[1:]:  # Asimov data at the truth
        assert abs(float(terms[name])) < 1e-9, name
    step = 1e-4 * 15.0
    upper, lower = (
        float(joint.log_likelihood(lmt.HiddenPhoton(5e-4, 15.0 + h, -5e-4 / 70.0))) for h in (step, -step)
    )
    assert float(slope.mass) == pytest.approx((upper - lower) / (2.0 * step), rel=1e-4)
    scan = joint.log_likelihood(lmt.HiddenPhoton(5e-4, np.array([10.0, 15.0, 20.0]), -5e-4 / 70.0))
    assert scan.shape == (3,) and float(scan[1]) == pytest.approx(float(value), rel=1e-12)


def test_fit(joint):
    best = lmt.fit(joint, lmt.default_prior())
    assert best.minus_two_log_likelihood <= -2.0 * float(joint.log_likelihood(lmt.benchmark("BP1"))) + 1e-9
    assert best.minus_two_log_likelihood >= 0.0
    assert best.theta.g_x == pytest.approx(5e-4, rel=0.05)
    assert best.covariance.shape == (3, 3) and np.all(np.diag(best.covariance) > 0.0)


def test_sample_and_summary(posterior):
    draws = lmt.results.draws(posterior)
    assert set(draws) == {"g_x", "mass", "eps_x", "eps_over_g"}
    assert all(values.shape == (4, 200) and np.isfinite(values).all() for values in draws.values())
    moment = lmt.delta_a_mu(lmt.HiddenPhoton(draws["g_x"], draws["mass"], draws["eps_x"]))
    assert float(np.mean(moment)) == pytest.approx(251e-11, abs=30e-11)
    summary = lmt.summary(posterior)
    assert 0.9 < summary.diagnostics.worst_rhat < 1.2
    low, high = summary["g_x"].wide_interval
    assert 1e-5 < low < summary["g_x"].median < high < 1e-2
    assert "g_x" in str(summary) and "R-hat" in str(summary)


def test_file(posterior, tmp_path):
    back = lmt.load(lmt.save(posterior, tmp_path / "posterior.nc"))
    for name, values in lmt.results.draws(posterior).items():
        assert np.array_equal(values, lmt.results.draws(back)[name])
    assert lmt.results.attributes(back) == lmt.results.attributes(posterior)


def test_picture(posterior, tmp_path):
    path = tmp_path / "corner.png"
    lmt.plots.corner(posterior, truth=lmt.benchmark("BP1")).savefig(path)
    assert path.stat().st_size > 10_000
