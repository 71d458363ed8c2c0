"""One published number: a Gaussian, or a bound that costs on one side alone."""

from math import exp

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import jaxlmt as lmt
from jaxlmt.experiments.measurement import Logarithmic, Measurement, UpperBound, published, sigma_of_limit
from jaxlmt.pytrees import pytree


@pytree
class Coupling(Measurement):
    def rate(self, theta, parameters):
        return (theta.g_x * parameters["scale"])[None]


@pytree
class CouplingBound(UpperBound, Coupling):
    pass


@pytree
class LogCoupling(Logarithmic, Coupling):
    pass


@pytree
class LogCouplingBound(UpperBound, Logarithmic, Coupling):
    pass


def made(kind, measured, sigma):
    return published(kind, name="coupling", measured=measured, sigma=sigma, nominal={"scale": 2.0})


def photon(g_x):
    return lmt.HiddenPhoton(g_x, 10.0, 0.0)


def test_a_measurement_is_gaussian():
    joint = lmt.Joint([made(Coupling, 3e-3, 1e-3).observe()])
    for g_x in (0.0, 1e-3, 4e-3):
        expected = norm(2 * g_x, 1e-3).logpdf(3e-3) - norm(0, 1e-3).logpdf(0.0)
        assert float(joint.log_likelihood(photon(g_x))) == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_a_bound_costs_above_alone():
    joint = lmt.Joint([made(CouplingBound, 3e-3, 1e-3).observe()])
    assert float(joint.log_likelihood(photon(1.4e-3))) == 0.0
    assert float(joint.log_likelihood(photon(2.5e-3))) == pytest.approx(-2.0, rel=1e-12)
    for g_x, slope in ((1e-3, 0.0), (1.5e-3, 0.0), (2.5e-3, -4e3)):
        gradient = jax.grad(joint.log_likelihood)(photon(g_x))
        assert float(gradient.g_x) == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("level, best", [(0.9, 0.0), (0.95, 1.2)])
def test_the_limit_is_met_at_its_level(level, best):
    """Of a flat density above the best value, 2 (1 - level) lies beyond the limit: of the whole Gaussian
    1 - level."""
    limit, sigma = 2.0, sigma_of_limit(2.0, level, best)
    tail, _ = quad(lambda x: exp(-0.5 * ((x - best) / sigma) ** 2), limit, np.inf, epsabs=0, epsrel=1e-12)
    whole, _ = quad(lambda x: exp(-0.5 * ((x - best) / sigma) ** 2), -np.inf, np.inf, epsabs=0, epsrel=1e-12)
    assert tail / whole == pytest.approx(1.0 - level, rel=1e-9)


def test_data_of_a_bound():
    bound = made(CouplingBound, 3e-3, 1e-3)
    np.testing.assert_array_equal(bound.observe().counts, [3e-3])
    np.testing.assert_array_equal(bound.asimov(photon(1e-3)).counts, [2e-3])
    with pytest.raises(ValueError, match=r"data of coupling must be finite; got nan"):
        bound.observe(np.nan)


def test_a_logarithm_is_gaussian():
    joint = lmt.Joint([made(LogCoupling, 3e-3, 0.1).observe()])
    for g_x in (1e-8, 1.5e-3, 4e-3):
        expected = -0.5 * (np.log(3e-3 / (2 * g_x)) / 0.1) ** 2
        assert float(joint.log_likelihood(photon(g_x))) == pytest.approx(expected, rel=1e-12, abs=1e-20)
        slope = jax.grad(joint.log_likelihood)(photon(g_x)).g_x
        assert float(slope) == pytest.approx(np.log(3e-3 / (2 * g_x)) / 0.1**2 / g_x, rel=1e-9, abs=1e-9)
    value, gradient = jax.value_and_grad(joint.log_likelihood)(photon(0.0))
    assert np.isfinite(value) and value < -1e6 and float(gradient.g_x) == 0.0


def test_a_bound_on_a_logarithm():
    joint = lmt.Joint([made(LogCouplingBound, 3e-3, 0.1).observe()])
    assert float(joint.log_likelihood(photon(1e-9))) == 0.0
    assert float(joint.log_likelihood(photon(3e-3))) == pytest.approx(-50 * np.log(2) ** 2, rel=1e-12)


def test_data_of_a_logarithm():
    term = made(LogCoupling, 3e-3, 0.1)
    keys = jax.random.split(jax.random.key(1), 400)
    drawn = np.log([term.toy(key, photon(1e-3)).counts[0] / 2e-3 for key in keys]) / 0.1
    assert abs(drawn.mean()) < 4.5 / 20 and abs(drawn.var() - 1.0) < 4.5 * np.sqrt(2 / 400)
    with pytest.raises(ValueError, match=r"data of coupling must be finite and > 0; got 0.0"):
        term.observe(0.0)
