"""Confidence regions from a curve of -2 ln L: thresholds, where they are crossed, and what has no bound."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.stats import chi2

from ..validation import number

ONE_SIGMA, TWO_SIGMA = 0.682689492137086, 0.954499736103642  # of a Gaussian; 2.30 and 6.18 for two parameters


@dataclass(frozen=True)
class Interval:
    """The values of one parameter with -2 ln L below a threshold: ``pieces`` of (low, high), increasing.

    open_low, open_high: whether the lowest or highest piece reaches the end of the range that was scanned,
    so that the data give no bound on that side. level: probability.
    """

    name: str
    level: float
    pieces: tuple
    open_low: bool
    open_high: bool

    @property
    def closed(self):
        """True if the data bound the parameter on both sides."""
        return bool(self.pieces) and not (self.open_low or self.open_high)

    def __str__(self):
        parts = []
        for i, (low, high) in enumerate(self.pieces):
            no_low = self.open_low and i == 0
            no_high = self.open_high and i == len(self.pieces) - 1
            if no_low and no_high:
                parts.append("not bounded")
            elif no_low:
                parts.append(f"< {high:.4g} (open below)")
            elif no_high:
                parts.append(f"> {low:.4g} (open above)")
            else:
                parts.append(f"{low:.4g} ... {high:.4g}")
        return f"{self.name} {' or '.join(parts) or 'nowhere'} at {self.level:.4g}"


def delta_chi2(level, dof):
    """The value of -2 ln L, relative to the best fit, that bounds a region of probability ``level``."""
    number("dof", dof, low=1, high=2, whole=True)
    return float(chi2.ppf(_probability(level), dof))


def _probability(level):
    level = number("level", level, low=0.0, low_open=True)
    if level >= 1.0:
        raise ValueError(f"level must be a probability below 1; got {level!r}")
    return level


def _scaled(grid):
    # positive parameters are scanned on a logarithmic scale, and interpolated on it
    return (np.log(grid), np.exp) if grid[0] > 0.0 else (grid, np.asarray)


def _crossings(grid, curve, threshold):
    """Where the curve passes ``threshold``, increasing: monotone interpolation between grid points."""
    scaled, back = _scaled(grid)
    # cut far above the threshold, where the curve may be infinite
    smooth = PchipInterpolator(scaled, np.minimum(curve, 4.0 * threshold + 10.0) - threshold)
    inside = curve < threshold
    changes = np.flatnonzero(inside[1:] != inside[:-1])
    return [float(back(brentq(smooth, scaled[i], scaled[i + 1]))) for i in changes]


def last_crossing(grid, curve, threshold):
    """The end of the highest region below ``threshold``: infinite at the end of the grid, NaN for none."""
    if curve[-1] < threshold:
        return np.inf
    if not np.any(curve < threshold):
        return np.nan
    return _crossings(grid, curve, threshold)[-1]


def interval(name, grid, curve, level, dof):
    """The :class:`Interval` of a parameter with ``curve`` of -2 ln L, relative to the best fit, on
    ``grid``."""
    threshold = delta_chi2(level, dof)
    open_low, open_high = bool(curve[0] < threshold), bool(curve[-1] < threshold)
    ends = _crossings(grid, curve, threshold)
    ends = [grid[0]] * open_low + ends + [grid[-1]] * open_high
    pieces = tuple((float(a), float(b)) for a, b in zip(ends[::2], ends[1::2], strict=True))
    return Interval(name, float(level), pieces, open_low, open_high)
