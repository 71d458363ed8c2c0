"""The three levels of the relic density through the public function: against each other, shapes, refusals."""

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from tests.validation import relic


@pytest.mark.parametrize(
    ("ratio", "low", "high"), [(0.35, 1.34, 1.40), (0.5075, 1.02, 1.04), (0.6, 1.02, 1.04)]
)
def test_formula(ratio, low, high):
    """Its own error, against the equation it solves: 3% above the pole, 36% at m_psi = 0.35 m_X."""
    point = relic.Point(5e-4, 15.0, 15.0 * ratio)
    background = relic.OneTemperature(point, 10.75)
    exact = relic.relic_density(point, rtol=1e-7, background=background)
    assert low < float(lmt.relic_density(lmt.DarkMatter(5e-4, 15.0, 15.0 * ratio))) / exact < high


def test_two_temperatures():
    """What constant g_* is wrong by has the other sign: 17% low above the pole, right by chance at 0.35."""
    theta = lmt.DarkMatter(5e-4, 15.0, 15.0 * np.array([0.35, 0.5075, 0.6]))
    over = lmt.relic_density(theta) / lmt.relic_density(theta, method="boltzmann")
    np.testing.assert_allclose(over, [0.994, 0.828, 0.876], atol=2e-3)


@pytest.mark.slow
def test_shapes_and_gradient():
    theta = lmt.DarkMatter(5e-4, 15.0, np.array([[5.25], [7.6]]))
    decoupling = np.array([2.3, 3.0])
    found = lmt.relic_density(theta, method="boltzmann", neutrino_decoupling=decoupling)
    assert found.shape == (2, 2)
    slope = jax.grad(lambda t: lmt.relic_density(t, method="boltzmann"))(lmt.DarkMatter(5e-4, 15.0, 7.6))
    assert slope.dm_mass > 0.0 > slope.g_x


def test_invalid_arguments():
    theta = lmt.DarkMatter(5e-4, 15.0, 7.6)
    with pytest.raises(ValueError, match="method must be one of 'formula', 'boltzmann', 'kinetic'"):
        lmt.relic_density(theta, method="exact")
    with pytest.raises(ValueError, match="neutrino_decoupling must be finite and > 0"):
        lmt.relic_density(theta, method="kinetic", neutrino_decoupling=-1.0)
