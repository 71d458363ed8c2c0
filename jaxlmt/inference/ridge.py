"""A triangular map of R^d whose pieces are cubic splines in one coordinate, with its exact Jacobian."""

from dataclasses import field

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from ..pytrees import pytree

REACH = 6.0  # the map is tabulated for |z[axis]| <= REACH, and continued as a shift beyond
KNOTS = np.linspace(-REACH, REACH, 49)


@pytree
class Ridge:
    """The map z -> y. spline: (4, 48, m) cubic coefficients in z[axis], in falling powers, of the columns
    [y_axis, centre (d-1), log scale (d-1), lower triangle ((d-1)(d-2)/2)]; axis: index, static."""

    spline: np.ndarray
    axis: int = field(metadata={"static": True})

    def __call__(self, z):
        """(y (d,), ln |det dy/dz|) for z (d,)."""
        d = z.shape[0]
        others = np.array([i for i in range(d) if i != self.axis], int)
        along = z[self.axis]
        inside = jnp.clip(along, -REACH, REACH)
        step = 2.0 * REACH / (KNOTS.size - 1)
        interval = jnp.clip(((inside + REACH) / step).astype(int), 0, KNOTS.size - 2)
        local = inside + REACH - interval * step
        a, b, c, e = jnp.asarray(self.spline)[:, interval]
        column = ((a * local + b) * local + c) * local + e
        slope = (3.0 * a[0] * local + 2.0 * b[0]) * local + c[0]

        centre, log_scale, entries = jnp.split(column[1:], [d - 1, 2 * (d - 1)])
        lower = jnp.eye(d - 1).at[np.tril_indices(d - 1, -1)].set(entries)
        y = jnp.zeros(d).at[self.axis].set(column[0] + slope * (along - inside))
        y = y.at[others].set(centre + jnp.exp(log_scale) * (lower @ z[others]))
        return y, jnp.log(slope) + jnp.sum(log_scale)


def _columns(d):
    return 1 + 2 * (d - 1) + (d - 1) * (d - 2) // 2


def from_columns(columns, axis):
    """The :class:`Ridge` through ``columns`` (49, m), given at KNOTS of the axis.

    The first column must increase. It is a cubic spline like the others, with two continuous derivatives,
    unless that would overshoot and turn back; then it is a monotone one, with one.
    """
    spline = CubicSpline(KNOTS, columns, axis=0)
    fine = np.linspace(-REACH, REACH, 40 * KNOTS.size)
    coefficients = spline.c.copy()
    if np.any(spline.derivative()(fine)[:, 0] <= 0.05 * np.gradient(columns[:, 0], KNOTS).min()):
        coefficients[..., 0] = PchipInterpolator(KNOTS, columns[:, 0]).c
    return Ridge(coefficients, axis)


def identity(dimension, axis):
    """The :class:`Ridge` that maps z to itself, of the same shape as any other."""
    columns = np.zeros((KNOTS.size, _columns(dimension)))
    columns[:, 0] = KNOTS
    return from_columns(columns, axis)
