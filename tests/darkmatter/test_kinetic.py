"""psi with a temperature of its own: against SciPy, the limit of strong scattering, and the known effect."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt.darkmatter.background import plasma
from jaxlmt.darkmatter.boltzmann import interpolation, relic_density_boltzmann
from jaxlmt.darkmatter.kinetic import (
    excess_of_moment,
    exchange_rate,
    log_temperature,
    relic_density_kinetic,
    second_moment,
)
from jaxlmt.validation import to_float64
from tests.validation import relic

_tables = plasma(), interpolation()
_warm = jax.jit(lambda theta, scattering: relic_density_kinetic(theta, 2.3, *_tables, scattering))
_cold = jax.jit(lambda theta: relic_density_boltzmann(theta, 2.3, *_tables))


def at(delta, g=5e-4, mass=15.0):
    return to_float64(lmt.DarkMatter.from_delta(g, mass, delta))


@pytest.mark.parametrize("x", [3.0, 20.0, 50.0, 300.0])
@pytest.mark.parametrize("delta", [-0.5, 0.03])
def test_exchange_rate(x, delta):
    point = relic.Point(5e-4, 15.0, delta=delta)
    found = exchange_rate(jnp.array([x]), at(delta))[0]
    assert float(found) == pytest.approx(relic.exchange_rate(point, point.m / x), rel=1e-5)


def test_contact_limit():
    """Heavy A', slow neutrinos: gamma in closed form."""
    mass, m, g = 1e3, 1e3, 1e-3
    theta = to_float64(lmt.DarkMatter(g, mass, m))
    x = 1e5
    moment = 6 * 31 / 32 * 120 * 1.0173430619844491  # int k^6 f (1 - f) dk = 6 int k^5 f dk
    expected = 4 * g**4 / mass**4 * 2 / (3 * np.pi) * moment * (m / x) ** 7 / (2 * np.pi**2) / (3 * m * m / x)
    assert float(exchange_rate(jnp.array([x]), theta)[0]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("delta", [-0.5, -0.1, 0.03, 0.2])
def test_excess_of_moment(delta):
    """w against the relativistic average, at temperatures at which it matters."""
    point = relic.Point(5e-4, 15.0, delta=delta)
    x = np.array([15.0, 20.0, 40.0, 100.0])
    up, down = (np.log(point.sigma_v(x * factor)) for factor in (1.0001, 1.0 / 1.0001))
    expected = point.sigma_v(x, moment=True) / point.sigma_v(x) - 1.0
    np.testing.assert_allclose(excess_of_moment((up - down) / 2e-4, x), expected, rtol=0.01, atol=0.012)


def test_temperature():
    t = np.array([1e-8, 1e-3, 0.05, 1.0])
    np.testing.assert_allclose(np.exp(log_temperature(second_moment(t))), t, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("delta", "rtol"), [(-0.5, 0.05), (-0.1, 5e-3), (-0.02, 3e-3), (0.01, 4e-4), (0.03, 2e-4)]
)
def test_against_scipy(delta, rtol):
    """With the relativistic w, its only difference; far below the pole Omega is sensitive to that."""
    expected = relic.relic_density_kinetic(relic.Point(5e-4, 15.0, delta=delta), rtol=1e-6)
    assert float(_warm(at(delta), 1.0)) == pytest.approx(expected, rel=rtol)


@pytest.mark.parametrize("delta", [-0.5, -0.1, 0.03, 0.2])
def test_strong_scattering(delta):
    """Of one temperature, then."""
    theta = at(delta)
    assert float(_warm(theta, 1e8)) == pytest.approx(float(_cold(theta)), rel=1e-4)


def test_sign():
    """A cooler psi misses the pole from below, and comes nearer to it from above; less so away from it."""
    effect = [float(_warm(at(d), 1.0)) / float(_cold(at(d))) for d in (-0.02, 1e-3, 0.03, 0.2, 0.8)]
    assert effect[0] > 1.2
    assert 0.4 < effect[1] < 0.6
    assert effect[1] < effect[2] < effect[3] < effect[4] < 1.0
    assert 0.85 < effect[2] < 0.9


@pytest.mark.slow
def test_finite():
    """Values and gradients over the documented range."""
    many = jax.jit(jax.vmap(jax.value_and_grad(lambda theta: relic_density_kinetic(theta, 2.3, *_tables))))
    rng = np.random.default_rng(4)
    corners = [
        (g, m, d) for g in (1e-6, 1e-1) for m in (1.0, 1000.0) for d in (-0.96, -1e-9, 0.0, 1e-9, 15.0)
    ]
    corner = np.array(corners).T
    n = 64 - corner.shape[1]
    delta = 4.0 * rng.uniform(0.1, 2.0, n) ** 2 - 1.0
    inside = [10.0 ** rng.uniform(-6, -1, n), 10.0 ** rng.uniform(0, 3, n), delta]
    points = np.concatenate([corner, inside], axis=1)
    value, slope = many(to_float64(lmt.batch(lmt.DarkMatter.from_delta(*points))))
    assert np.all(value > 0.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((value, slope)))
