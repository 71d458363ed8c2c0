"""One published number: a Gaussian, or a bound that costs on one side alone."""

from math import exp

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import jaxlmt as lmt
from jaxlmt.experiments.measurement import Measurement, UpperBound, published, sigma_of_limit
from jaxlmt.pytrees import pytree


@pytree
class Coupling(Measurement):
    def rate(self, theta, parameters):
        return (theta.g_x * parameters["scale"])[None]


@pytree
class CouplingBound(UpperBound, Coupling):
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
