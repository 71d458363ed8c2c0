"""Gauss-Legendre rules, panels, interpolation, splines and the chunked map."""

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Chebyshev, Polynomial
from scipy.integrate import quad
from scipy.interpolate import BarycentricInterpolator

from jaxlmt.quadrature import (
    chebyshev_nodes,
    gauss_projection,
    lagrange_projection,
    map_chunks,
    panels,
    spline,
    spline_coefficients,
    spline_sites,
    spread,
    trailing,
    unit_gauss,
)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 24, 64])
def test_unit_gauss_is_exact_up_to_its_degree(n):
    nodes, weights = unit_gauss(n)
    for power in range(2 * n):
        assert weights @ nodes**power == pytest.approx(float(Fraction(1, power + 1)), rel=1e-13)
    if n <= 8:  # and not beyond: the error for x^2n is known in closed form
        error = math.factorial(n) ** 4 / ((2 * n + 1) * math.factorial(2 * n) ** 2)
        assert 1.0 / (2 * n + 1) - weights @ nodes ** (2 * n) == pytest.approx(error, rel=1e-3, abs=1e-16)


def test_unit_gauss_is_built_once_and_read_only():
    nodes, weights = unit_gauss(16)
    assert unit_gauss(np.int64(16))[0] is nodes
    assert nodes.dtype == weights.dtype == np.float64
    for array in (nodes, weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_panels_integrate_a_function_with_kinks():
    breaks = [0.0, 0.3, 1.0, 4.0]
    nodes, weights = panels(breaks, 12)
    assert nodes.shape == weights.shape == (3, 12)
    for row, low, high in zip(nodes, breaks[:-1], breaks[1:]):
        assert low < row.min() and row.max() < high

    def kinked(t):
        return np.exp(-t) * np.abs(t - 0.3) + np.maximum(t - 1.0, 0.0)

    pieces = [quad(kinked, low, high, epsabs=0.0)[0] for low, high in itertools.pairwise(breaks)]
    assert np.sum(weights * kinked(nodes)) == pytest.approx(math.fsum(pieces), rel=1e-13)


@pytest.mark.parametrize("breaks", [[0.0], [[0.0, 1.0]], [0.0, 1.0, 1.0], [1.0, 0.0], [0.0, np.nan]])
def test_panels_refuse_breaks_that_do_not_increase(breaks):
    with pytest.raises(ValueError, match="strictly increasing"):
        panels(breaks, 4)


@pytest.mark.parametrize("n", [1, 5, 32])
def test_chebyshev_nodes_are_the_roots_of_t_n(n):
    nodes = chebyshev_nodes(-2.0, 6.0, n)
    assert np.all(np.diff(nodes) > 0)
    np.testing.assert_allclose(Chebyshev.basis(n, domain=[-2.0, 6.0])(nodes), 0.0, atol=1e-13)


def test_lagrange_projection_is_exact_for_polynomials():
    nodes = chebyshev_nodes(-1.0, 3.0, 9)
    points = np.linspace(-1.0, 3.0, 41)
    polynomial = Polynomial([0.3, -1.0, 0.5, 2.0, -0.7, 0.1, 0.05, -0.2, 0.03])
    projection = lagrange_projection(points, nodes)
    assert projection.shape == (41, 9)
    np.testing.assert_allclose(projection @ polynomial(nodes), polynomial(points), rtol=0.0, atol=3e-12)


def test_lagrange_projection_agrees_with_scipy():
    nodes = chebyshev_nodes(0.0, 2.0, 12)
    points = np.linspace(0.0, 2.0, 30)
    expected = BarycentricInterpolator(nodes, np.cos(3.0 * nodes))(points)
    np.testing.assert_allclose(lagrange_projection(points, nodes) @ np.cos(3.0 * nodes), expected, atol=1e-13)


def test_lagrange_projection_at_its_own_nodes_is_the_identity():
    nodes = chebyshev_nodes(0.0, 1.0, 7)
    assert np.array_equal(lagrange_projection(nodes, nodes), np.eye(7))


def test_trailing_appends_axes_without_rank_promotion():
    vector = np.arange(3.0)
    assert trailing(vector, 1.0).shape == (3,)
    assert trailing(vector, np.ones((2, 4))).shape == (1, 1, 3)


@pytest.mark.parametrize("size", [1, 4, 5, 8, 11])
def test_map_chunks_equals_one_call(size):
    rng = np.random.default_rng(size)
    arguments = {"a": rng.normal(size=size), "b": rng.normal(size=(size, 3))}

    def function(part):
        return {"sum": part["a"][:, None] + part["b"], "product": part["a"] * part["b"][:, 0]}

    result = jax.jit(lambda part: map_chunks(function, part, 4))(arguments)
    expected = function(arguments)
    for name in expected:
        assert result[name].shape == expected[name].shape
        np.testing.assert_array_equal(result[name], expected[name])


def test_map_chunks_never_sees_more_than_a_chunk():
    sizes = []

    def function(part):
        sizes.append(part.shape)
        return jnp.sum(part, axis=1)

    assert map_chunks(function, jnp.ones((10, 2)), 4).shape == (10,)
    assert set(sizes) == {(4, 2)}


def test_map_chunks_has_gradients_and_ignores_the_filling():
    x = np.linspace(0.1, 1.1, 7)
    gradient = jax.grad(lambda v: jnp.sum(map_chunks(jnp.sin, v, 3)))(x)
    np.testing.assert_allclose(gradient, np.cos(x), rtol=1e-14)


# -------------------------------------------------------------------------------- projection, splines, spread
@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_gauss_projection(n):
    points, (nodes, _) = np.linspace(0.0, 1.0, 7), unit_gauss(n)
    projection = gauss_projection(points, n)
    polynomial = Polynomial(np.random.default_rng(n).normal(size=n))
    np.testing.assert_allclose(projection @ polynomial(nodes), polynomial(points), rtol=1e-11, atol=1e-12)
    beyond = Polynomial.basis(n)  # sampled exactly at the nodes, but not between them
    assert np.max(np.abs(projection @ beyond(nodes) - beyond(points))) > 1e-8


def spline_of(function, intervals):
    coefficients = spline_coefficients(function(spline_sites(intervals)))
    return jax.jit(lambda position: spline(coefficients, position))


def test_splines_are_exact_for_quintics():
    quintics = [Polynomial(c) for c in np.random.default_rng(0).normal(size=(3, 6))]
    curve = spline_of(lambda p: np.stack([q(p / 20.0) for q in quintics], axis=1), 20)
    for position in (0.0, 0.3, 1.0, 7.5, 19.999, 20.0):
        expected = [q(position / 20.0) for q in quintics]
        np.testing.assert_allclose(curve(position), expected, rtol=1e-11, atol=1e-11)
        expected = [q.deriv()(position / 20.0) / 20.0 for q in quintics]
        np.testing.assert_allclose(jax.jacfwd(curve)(position), expected, rtol=1e-10, atol=1e-11)


def test_splines_go_through_their_sites_and_converge_as_the_sixth_power():
    errors = []
    for intervals in (40, 80):
        scale = 2.0 * np.pi / intervals
        curve = spline_of(lambda p, scale=scale: np.sin(scale * p)[:, None], intervals)
        sites = spline_sites(intervals)
        assert sites.shape == (intervals + 5,) and sites[0] == 0.0 and sites[-1] == intervals
        np.testing.assert_allclose(jax.vmap(curve)(sites)[:, 0], np.sin(scale * sites), atol=1e-13)
        between = np.arange(5.0, intervals - 5.0) + 0.37
        errors.append(np.max(np.abs(jax.vmap(curve)(between)[:, 0] - np.sin(scale * between))))
    assert 50.0 < errors[0] / errors[1] < 80.0


def test_spread():
    value = np.array([[1.5], [-2.0]])
    np.testing.assert_array_equal(spread(value, 3), np.broadcast_to(value[..., None], (2, 1, 3)))
    assert spread(2.0, 4).shape == (4,)
    assert float(jax.grad(lambda v: jnp.sum(spread(v, 4) ** 2))(3.0)) == 24.0
