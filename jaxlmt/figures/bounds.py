"""What single experiments exclude in the plane of mass and coupling, each by its own likelihood."""

import numpy as np
from scipy.special import ndtri

from ..likelihood import Joint
from ..model import DarkMatter
from ..plots.plane import level, region, write
from ..plots.style import BLUE

EXCLUDED = float(ndtri(0.95)) ** 2  # of -2 ln L above the Standard Model's: 95%, one-sided
NOTHING = DarkMatter(0.0, 1e4, 1e4)  # the Standard Model, for experiments that ask for psi too
DASHED = (0, (5, 2))
CYAN, PURPLE, WINE = "#56B4E9", "#CC79A7", "#882255"
HUBBLE, RADIATION = 3.2, 3.4  # N_eff that eases the tension of H_0, and the most that BBN allows; 2107.14528


def excess(experiment, theta):
    """-2 ln L of the measured data, less that of the Standard Model, on a grid of ``theta``."""
    joint = Joint([experiment.observe()])
    return -2.0 * np.asarray(joint.log_likelihood(theta) - joint.log_likelihood(NOTHING))


def grid(points, x_range, y_range):
    """(x, y) in equal steps of the logarithm: (points,) and (points, 1)."""
    return np.geomspace(*x_range, points), np.geomspace(*y_range, points)[:, None]


def exclude(ax, x, y, value, text, at, *, colour, angle=0.0, dashes=None):
    """Shade where ``value`` exceeds EXCLUDED, or with ``dashes`` draw the edge alone; write ``text``."""
    above = np.log(np.clip(value / EXCLUDED, 1e-2, 1e2))  # powers of mass and coupling become straight
    if dashes is None:
        region(ax, x, y[:, 0], above, low=0.0, high=np.inf, colour=colour, alpha=0.18, edge=1.3)
    else:
        level(ax, x, y[:, 0], above, at=0.0, colour=colour, dashes=dashes)
    write(ax, text, *at, colour=colour, angle=angle)


def hubble(ax, x, y, n_eff, at):
    """Shade where N_eff, (len(y), len(x), 1), eases the tension of the Hubble constant and is allowed."""
    region(ax, x, y[:, 0], np.asarray(n_eff)[..., 0], low=HUBBLE, high=RADIATION, colour=CYAN, alpha=0.45)
    write(ax, "$H_0$", *at, colour=BLUE)


def magnetic_moment(ax, experiment, x, colour, text, at, *, sigmas=(2.0, 1.0)):
    """The couplings within each of ``sigmas`` standard deviations of the measured Delta a_mu."""
    for each in sigmas:
        low, high = experiment.coupling_band(x, each)
        ax.fill_between(x, np.asarray(low), np.asarray(high), color=colour, alpha=0.24, lw=0, zorder=1)
    write(ax, text, *at, colour=colour)
