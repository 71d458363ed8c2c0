"""What single experiments exclude in the plane of mass and coupling, each by its own likelihood."""

import numpy as np
from scipy.special import ndtri

from ..likelihood import Joint
from ..model import STANDARD_MODEL
from ..plots.plane import level, region, write

EXCLUDED = float(ndtri(0.95)) ** 2  # of -2 ln L above the Standard Model's: 95%, one-sided
DASHED, DASHDOTTED = (0, (5, 2)), (0, (6, 1.5, 1, 1.5))


def excess(experiment, theta, nothing=STANDARD_MODEL):
    """-2 ln L of the measured data, less that of ``nothing``, on a grid of ``theta``."""
    joint = Joint([experiment.observe()])
    return -2.0 * np.asarray(joint.log_likelihood(theta) - joint.log_likelihood(nothing))


def grid(points, x_range, y_range):
    """(x, y) in equal steps of the logarithm: (points,) and (points, 1)."""
    return np.geomspace(*x_range, points), np.geomspace(*y_range, points)[:, None]


def exclude(ax, x, y, value, text, at, *, colour, angle=0.0, dashes=None, at_level=EXCLUDED):
    """Shade where ``value`` exceeds ``at_level``, or with ``dashes`` draw the edge alone; write ``text``."""
    if dashes is None:
        region(ax, x, y[:, 0], value, low=at_level, high=np.inf, colour=colour, alpha=0.18, edge=1.3)
    else:
        level(ax, x, y[:, 0], value, at=at_level, colour=colour, dashes=dashes)
    write(ax, text, *at, colour=colour, angle=angle)


def magnetic_moment(ax, experiment, x, colour, text, at, *, angle=0.0):
    """The couplings within two and within one standard deviation of the measured Delta a_mu."""
    for sigmas, alpha in ((2.0, 0.22), (1.0, 0.25)):
        low, high = experiment.coupling_band(x, sigmas)
        ax.fill_between(x, np.asarray(low), np.asarray(high), color=colour, alpha=alpha, lw=0, zorder=1)
    write(ax, text, *at, colour=colour, angle=angle)
