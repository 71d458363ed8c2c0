"""Coordinates in which a curved, thin posterior is nearly a standard normal distribution.

A triangular map z -> y: the axis coordinate (the mass, if free) follows its approximate marginal
distribution, and the others are centred on the ridge, their conditional mode along the axis, and scaled
with the Cholesky factor of their conditional covariance. The map is smooth and one to one and its Jacobian
is exact, so that it affects the speed of the sampler, never the posterior; box edges stay exact because
it acts on the unconstrained coordinates.
"""

from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtri

from .fit import STARTS, covariance_from, minimise
from .ridge import KNOTS, REACH, from_columns
from .target import potentials_and_gradients

_NODES = STARTS  # conditional modes along the axis, as many as there are searches: one program
_DEPTH = 25.0  # how far below the maximum of the log density the ridge is followed


def follow_ridge(target, optimum):
    """The :class:`Ridge` of ``target`` around ``optimum`` (both in coordinates without a map).

    Conditional modes and covariances are found at nodes along the axis, first over the whole box and then
    over the part that matters.
    """
    axis, d = target.ridge.axis, target.dimension
    low, high = -12.0, 12.0
    for _ in range(4):
        nodes = np.linspace(low, high, _NODES)
        start = np.repeat(optimum.y[None], _NODES, axis=0)
        start[:, axis] = nodes
        modes, potential = minimise(target, start, frozen=axis, max_iterations=60, every=True)
        log_density = np.maximum(potential.min() - potential, -2.0 * _DEPTH)
        kept = np.flatnonzero(log_density > -_DEPTH)
        first, last = max(kept[0] - 1, 0), min(kept[-1] + 1, _NODES - 1)
        if last - first > 0.7 * _NODES:
            break
        low, high = nodes[first], nodes[last]
    return from_columns(_tabulate(target, axis, d, nodes, modes, log_density), axis)


def _tabulate(target, axis, d, nodes, modes, log_density):
    others = [i for i in range(d) if i != axis]
    factors = np.linalg.cholesky(_conditional_covariances(target, modes, others))
    log_scale = np.log(np.diagonal(factors, axis1=1, axis2=2))
    lower = factors * np.exp(-log_scale)[:, :, None]

    row, column = np.tril_indices(d - 1, -1)
    table = np.concatenate([modes[:, others], log_scale, lower[:, row, column]], axis=1)
    # Smoothed, because a sampler's step is as short as the map is rough; twice, because the axis needs the
    # smooth scales and the smoothing needs the axis.
    for _ in range(2):
        axis_of, z_of_node = _axis_map(nodes, log_density + table[:, d - 1 : 2 * (d - 1)].sum(axis=1))
        fits = _smooth(z_of_node, table)
        table = fits(z_of_node)
    return np.concatenate([axis_of[:, None], fits(KNOTS)], axis=1)


def _axis_map(nodes, log_marginal):
    """y at KNOTS such that z is normal where y has the given marginal density, and z at the nodes."""
    fine = np.linspace(nodes[0], nodes[-1], 4001)
    spline = CubicSpline(nodes, log_marginal)(fine)
    weight = np.exp(spline - spline.max())
    cumulative = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
    above = (np.cumsum(weight[::-1])[::-1] - 0.5 * weight) / weight.sum()
    # each half from its own tail, which keeps its digits
    z = np.where(cumulative < 0.5, ndtri(np.maximum(cumulative, 1e-300)), -ndtri(np.maximum(above, 1e-300)))
    return _monotone(z, fine), np.interp(nodes, fine, z)


def _smooth(z, table, *, bandwidth=0.5):
    """The columns of ``table`` at ``z`` as smooth functions of z: local linear regression.

    Nodes weigh by the posterior mass between their neighbours, so that the tails are ruled by the bulk.
    """
    mass = np.gradient(z) * (np.exp(-0.5 * z**2) + 1e-4) * (np.abs(z) < 5.0)

    def at(points):
        distance = (z[None] - np.clip(points, -4.0, 4.0)[:, None]) / bandwidth
        weight = np.exp(-0.5 * distance**2) * mass
        sums = [np.sum(weight * distance**k, axis=1, keepdims=True) for k in range(3)]
        # The slope is damped a little, for a kernel that sees one node alone.
        first = sums[2] + 1e-3 * sums[0]
        return weight * (first - sums[1] * distance) / (sums[0] * first - sums[1] ** 2) @ table

    return at


def _monotone(z_of_fine, fine):
    """y at KNOTS in z, increasing, continued linearly beyond the range that ``fine`` covers."""
    useful = np.abs(z_of_fine) < REACH
    useful &= np.concatenate([[True], np.diff(z_of_fine) > 1e-12])
    z, y = z_of_fine[useful], fine[useful]
    result = np.interp(KNOTS, z, y)
    for end, outside in ((0, KNOTS < z[0]), (-1, KNOTS > z[-1])):
        near = np.abs(z - z[end]) < 0.5
        slope = np.ptp(y[near]) / max(np.ptp(z[near]), 1e-9)
        result[outside] = y[end] + slope * (KNOTS[outside] - z[end])
    return result


def _conditional_covariances(target, modes, others, *, step=1e-4):
    """(n, d-1, d-1) inverse Hessians of the other coordinates at every mode, by central differences."""
    n, d = modes.shape
    if not others:
        return np.zeros((n, 0, 0))
    offsets = step * np.eye(d)[others]
    points = modes[:, None, None] + np.stack([offsets, -offsets])
    _, gradients = potentials_and_gradients(target, points.reshape(-1, d))
    gradients = gradients.reshape(n, 2, len(others), d)[..., others]
    hessians = (gradients[:, 0] - gradients[:, 1]) / (2.0 * step)
    hessians = 0.5 * (hessians + hessians.transpose(0, 2, 1))
    return np.stack([covariance_from(hessian) for hessian in hessians])


def straighten(target, optimum):
    """``target`` in the coordinates of :func:`follow_ridge`."""
    return replace(target, ridge=follow_ridge(target, optimum))
