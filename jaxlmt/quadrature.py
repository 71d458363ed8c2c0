"""Quadrature rules and Chebyshev interpolation, built once with NumPy, outside every traced function."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial.legendre import leggauss


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
