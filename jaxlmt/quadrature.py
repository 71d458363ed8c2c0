"""Quadrature rules, interpolation and splines: what is built once, with NumPy, and how it is applied."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial.legendre import leggauss, legvander


@functools.cache
def _unit_rule(n):
    nodes, weights = leggauss(n)
    nodes, weights = 0.5 * (nodes + 1.0), 0.5 * weights
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights


def unit_gauss(n):
    """Gauss-Legendre nodes and weights on [0, 1]; two read-only arrays of shape (n,)."""
    return _unit_rule(int(n))


def trailing(vector, array):
    """``vector`` (n,) with as many leading axes of length one as ``array`` has axes, to stand after them."""
    return vector.reshape((1,) * jnp.ndim(array) + (-1,))


def spread(value, n):
    """``value`` (...,) repeated along a new last axis, (..., n), as a product with ones.

    The derivative then sums over that axis by a product too. XLA runs what it fuses into a sum one element
    at a time; a product it leaves alone, so that on a CPU everything before it stays vectorised.
    """
    return jnp.asarray(value)[..., None] @ np.ones((1, n))


def panels(breaks, n):
    """Composite Gauss-Legendre rule with ``n`` nodes on each interval between sorted ``breaks``.

    Returns nodes and weights of shape (len(breaks) - 1, n).
    """
    breaks = np.asarray(breaks, float)
    if breaks.ndim != 1 or breaks.size < 2 or not np.all(np.diff(breaks) > 0):
        raise ValueError(f"breaks must be a strictly increasing 1-D array, got {breaks!r}")
    x, w = unit_gauss(n)
    width = np.diff(breaks)[:, None]
    return breaks[:-1, None] + width * x, width * w


def chebyshev_nodes(low, high, n):
    """Chebyshev points of the first kind on [low, high], shape (n,), increasing."""
    k = np.arange(n)
    return 0.5 * (low + high) - 0.5 * (high - low) * np.cos(np.pi * (k + 0.5) / n)


def lagrange_projection(points, nodes):
    """Matrix P with f(points) = P @ f(nodes) for polynomials of degree < len(nodes).

    ``nodes`` are Chebyshev points of the first kind (:func:`chebyshev_nodes`), whose barycentric
    weights are (-1)^k sin(pi (k + 1/2) / n). Shapes (m,), (n,) -> (m, n).
    """
    points, nodes = np.asarray(points, float), np.asarray(nodes, float)
    k = np.arange(nodes.size)
    weights = (-1.0) ** k * np.sin(np.pi * (k + 0.5) / nodes.size)
    difference = points[:, None] - nodes
    exact = difference == 0.0
    terms = weights / np.where(exact, 1.0, difference)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    hit = exact.any(axis=1)
    matrix[hit] = exact[hit]
    return matrix


def propagator_nodes(log_range, tolerance=1e-17):
    """Chebyshev nodes in ln s for which the square of 1/(s + M^2) is good to ``tolerance``, whatever M.

    Its poles lie at a distance of pi from the axis, so that the error falls as rho^(-n); a surplus of digits
    is for bins in which Z and A' cancel, and for slopes. The branch points of a running mixing, at
    s = -4 m_l^2, lie at the same distance.
    """
    distance = 2.0 * np.pi / log_range
    rho = distance + np.sqrt(1.0 + distance**2)
    return int(np.ceil(-np.log(tolerance) / np.log(rho))) + 2


SPLINE_ORDER = 6  # quintic


@functools.cache
def _pieces():
    """Of a B-spline on integer knots: rising powers of the local coordinate (rows) on each of its pieces."""
    from scipy.interpolate import BSpline, PPoly  # 0.1 s, not for the import of the package

    padded = PPoly.from_spline(BSpline.basis_element(np.arange(SPLINE_ORDER + 1), extrapolate=False)).c
    return padded[::-1, SPLINE_ORDER - 1 : 1 - SPLINE_ORDER]


def spline_sites(intervals):
    """Positions in [0, intervals] at which :func:`spline_coefficients` wants a function, (intervals + 5,).

    The knots, which are the whole numbers, and two more at either end.
    """
    ends = np.array([0.5, 1.5])
    return np.sort(np.concatenate([np.arange(intervals + 1.0), ends, intervals - ends]))


def spline_coefficients(values):
    """Coefficients of the quintic spline through ``values`` (intervals + 5, n) at its sites, same shape."""
    from scipy.interpolate import make_interp_spline

    intervals = len(values) - SPLINE_ORDER + 1
    knots = np.arange(1.0 - SPLINE_ORDER, intervals + SPLINE_ORDER)
    return make_interp_spline(spline_sites(intervals), values, k=SPLINE_ORDER - 1, t=knots, axis=0).c


def spline(coefficients, position):
    """The spline at a scalar ``position`` in [0, intervals], its knots being whole numbers: (n,).

    coefficients: (intervals + 5, n), from :func:`spline_coefficients`. A product of six weights with six
    neighbouring rows: little to fetch, and no more for the gradient than for the value.
    """
    last = coefficients.shape[0] - SPLINE_ORDER
    interval = jnp.clip(position.astype(int), 0, last)
    local = position - interval.astype(position.dtype)
    powers = [jnp.ones_like(local)]
    for _ in range(SPLINE_ORDER - 1):
        powers.append(powers[-1] * local)
    weights = jnp.stack(powers) @ _pieces()[:, ::-1]
    return weights @ jax.lax.dynamic_slice_in_dim(coefficients, interval, SPLINE_ORDER)


def gauss_projection(points, n):
    """Matrix P with f(points) = P @ f(nodes) for polynomials of degree < n, at :func:`unit_gauss`'s n nodes.

    points: in [0, 1], shape (m,) -> (m, n). What it leaves out of f is orthogonal to lower polynomials.
    """
    nodes, weights = unit_gauss(n)
    at_points, at_nodes = (legvander(2.0 * np.asarray(x) - 1.0, n - 1) for x in (points, nodes))
    return at_points * (2.0 * np.arange(n) + 1.0) @ (at_nodes.T * weights)


def map_chunks(function, arguments, chunk):
    """Apply a batched ``function`` to the leading axis of ``arguments`` in chunks, inside jit.

    Memory stays that of one chunk, and on a CPU the intermediates stay in cache. ``arguments`` is a
    pytree whose leaves share a leading axis of any length >= 1; the result has that axis too.
    """
    size = jax.tree.leaves(arguments)[0].shape[0]
    if size <= chunk:
        return function(arguments)
    chunks = -(-size // chunk)

    def split(a):  # the last chunk is filled up with copies, so that one program serves all
        filled = jnp.concatenate([a, jnp.broadcast_to(a[-1:], (chunks * chunk - size, *a.shape[1:]))])
        return filled.reshape(chunks, chunk, *a.shape[1:])

    result = jax.lax.map(function, jax.tree.map(split, arguments))
    return jax.tree.map(lambda a: a.reshape(chunks * chunk, *a.shape[2:])[:size], result)
