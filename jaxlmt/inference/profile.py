"""The profile likelihood on a grid of two parameters, all others at their best in every point.

What has a closed form (eq 34's pulls) is eliminated. The rest is minimised in every grid point by Newton
steps. A likelihood may have several minima, such as two signs of the mixing: on a coarse grid the search
starts from the best ones of a lattice over the box of every other parameter, on the fine grid from those
that the coarse one has found, and in the end a point takes over what a neighbour has found if that is
lower.
"""

from dataclasses import dataclass
from itertools import product

import jax
import numpy as np
from scipy.ndimage import minimum_filter

from ..distributions import Box, PerCoupling, SignedLogUniform, SymmetricAsinh
from ..model import HiddenPhoton
from ..validation import choose, number, values
from .intervals import ONE_SIGMA, delta_chi2, interval, last_crossing
from .newton import Deviance, deviances, minimise_points
from .target import as_likelihood, make_target

_SPACING, _FEWEST = 8, 25  # fine grid points between coarse ones, coarse ones at least on either axis
_LATTICE = 400  # starting points at most in every coarse grid point
_KEPT = 3  # minima of the lattice that a coarse grid point follows
_WORTH = 30.0  # a second minimum of -2 ln L is left behind above this plus twice the first
_LOWER = 1e-4  # what a neighbour's minimum must gain in -2 ln L to be taken over
# The best fit: minima that are tried, patterns at most, size of the last one in grid spacings.
_CANDIDATES, _PATTERNS, _FINEST = 6, 60, 1e-5


@dataclass(frozen=True)
class Profile:
    """-2 ln L on a grid of two parameters, relative to the best fit in its range, all other parameters
    profiled.

    x, y: names of the parameters; x_values (n_x,), y_values (n_y,): increasing, their physical values;
    delta (n_x, n_y): -2 ln L less that of the best fit, >= 0; profiled: {name: (n_x, n_y)}, the other
    parameters at their best; theta, nuisances: the best fit, nuisances without a closed form;
    minus_two_log_likelihood: there, relative to a perfect description of the data, constraints included.
    """

    x: str
    y: str
    x_values: np.ndarray
    y_values: np.ndarray
    delta: np.ndarray
    profiled: dict
    theta: HiddenPhoton
    nuisances: dict
    minus_two_log_likelihood: float

    def interval(self, name, level=ONE_SIGMA, *, dof=1):
        """:class:`Interval` of one of the two parameters, the other one profiled too.

        level: probability; dof: 1 for the parameter alone, 2 for the extent of the two-parameter region.
        """
        axis = (self.x, self.y).index(choose("name", name, (self.x, self.y)))
        curve = self.delta.min(axis=1 - axis)
        return interval(name, (self.x_values, self.y_values)[axis], curve, level, dof)

    def upper_limit(self, level=0.9, *, dof=2):
        """The largest ``y`` inside the region of probability ``level`` at every ``x``, (n_x,).

        dof: 2 for the two-parameter region (-2 ln L relative to its minimum anywhere), 1 for ``x`` taken as
        known (relative to the minimum there). Infinite where the region reaches the end of the grid, NaN
        where it is empty. Monotone interpolation between the grid points.
        """
        threshold = delta_chi2(level, dof)
        delta = self.delta if dof == 2 else self.delta - self.delta.min(axis=1, keepdims=True)
        return np.array([last_crossing(self.y_values, column, threshold) for column in delta])


def profile(
    joint,
    prior,
    *,
    x="mass",
    y="g_x",
    x_range=None,
    y_range=None,
    points=200,
    systematics="profiled",
):
    """-2 ln L on a grid of two parameters, minimised over all others: :class:`Profile`.

    joint: a :class:`jaxlmt.Joint`; prior: a :class:`jaxlmt.Prior`, of which the box and the ties are used,
    never the density; x, y: free parameters of the prior with a box, ``"eps_over_g"`` where the prior is on
    the ratio; x_range, y_range: (low, high) inside the box, the whole box unless given; points: of either
    axis, a number or a pair; systematics: ``"profiled"`` eliminates Gaussian normalisations in closed form,
    ``"sampled"`` minimises over them as over the rest. The grid is even in the coordinate in which the
    prior is flat; the best fit is searched between its points too. Raises ValueError for invalid arguments.
    Source: 2104.03297, eqs 28 to 34.
    """
    target = as_likelihood(make_target(joint, prior, systematics=systematics))
    deviance = Deviance(target)
    labels = dict(zip(_labels(prior, target), deviance.distributions.values(), strict=True))
    pair = np.broadcast_to(points, 2) if np.size(points) in (1, 2) else [points]
    flat = [
        _axis(*given, labels, int(number("points", n, low=3, whole=True)))
        for given, n in zip((("x", x, x_range), ("y", y, y_range)), pair, strict=True)
    ]
    if x == y:
        raise ValueError(f"x and y must be two parameters; got {x!r} twice")
    axes = [list(labels).index(name) for name in (x, y)]
    grid = np.zeros((flat[0].size, flat[1].size, len(labels)))
    grid[..., axes[0]], grid[..., axes[1]] = flat[0][:, None], flat[1]
    t, sign, value = _search(deviance, grid, axes)
    best_t, best_sign, best = _polish(deviance, t, sign, value, axes)
    physical = {name: _physical(d, t[..., i]) for i, (name, d) in enumerate(labels.items())}
    if prior.signed is not None:
        signed = list(labels)[prior.signed]
        physical[signed] = physical[signed] * sign
    theta, parameters = jax.tree.map(float, _split(deviance, best_t, best_sign))
    return Profile(
        x=x,
        y=y,
        x_values=physical.pop(x)[:, 0],
        y_values=physical.pop(y)[0],
        delta=value - best,
        profiled=physical,
        theta=theta,
        nuisances={name: parameters[name] for name in target.free},
        minus_two_log_likelihood=best,
    )


@jax.jit
def _split(deviance, t, sign):
    return deviance.split(t, sign)


def _labels(prior, target):
    """Names of the coordinates as a user knows them."""
    ratio = isinstance(prior.distributions.get("eps_x"), PerCoupling)
    return ["eps_over_g" if ratio and name == "eps_x" else name for name in target.names]


def _axis(argument, name, given, labels, n):
    """``n`` values of the parameter in the coordinate in which its prior is flat."""
    distribution = labels[choose(argument, name, labels)]
    if not isinstance(distribution, Box) or isinstance(distribution, SignedLogUniform):
        raise ValueError(f"{argument} must be a parameter with a box prior of one sign; got {name!r}")
    low, high = (float(edge) for edge in distribution.warped_bounds())
    if given is not None:
        ends = values(f"{argument}_range", given, shape=(2,))
        box = distribution.bounds
        if not box[0] * (1 - 1e-12) <= ends[0] < ends[1] <= box[1] * (1 + 1e-12):
            raise ValueError(
                f"{argument}_range must be two increasing values inside the box of {name}, "
                f"[{box[0]:g}, {box[1]:g}]; got {given!r}"
            )
        low, high = sorted(float(distribution.warp(end)) for end in ends)
    grid = np.linspace(low, high, n)
    return grid if _physical(distribution, grid[0]) < _physical(distribution, grid[-1]) else grid[::-1]


def _physical(distribution, t):
    inverse = distribution.unwarp if isinstance(distribution, Box) else distribution.from_real
    return np.asarray(inverse(t))


def _polish(deviance, t, sign, value, axes):
    """(t (d,), sign, -2 ln L) at the best fit: from the lowest minima of the grid, by a pattern of points
    that shrinks around the lowest one of them. The grid's range is not left."""
    which = list(axes)
    inner = tuple(i for i in range(t.shape[-1]) if i not in axes)
    ends = t[0, 0, which], t[-1, -1, which]
    low, high = np.minimum(*ends), np.maximum(*ends)
    spacing = (high - low) / (np.array(value.shape) - 1)
    minima = np.flatnonzero(value <= minimum_filter(value, size=3, mode="nearest"))
    minima = minima[np.argsort(value.reshape(-1)[minima])][:_CANDIDATES]
    best, signs, height = (a.reshape(-1, *a.shape[2:])[minima] for a in (t, sign, value))
    pattern = np.array(list(product(np.linspace(-1.0, 1.0, 7), repeat=2)))
    reach = np.ones(len(best))
    rows = np.arange(len(best))
    for _ in range(_PATTERNS):
        trial = np.repeat(best[:, None], len(pattern), axis=1)
        trial[..., which] += pattern * spacing * reach[:, None, None]
        trial[..., which] = np.clip(trial[..., which], low, high)
        flat = trial.reshape(-1, t.shape[-1]), np.repeat(signs, len(pattern))
        moved, lower = (
            minimise_points(deviance, *flat, inner) if inner else (flat[0], deviances(deviance, *flat))
        )
        moved, lower = moved.reshape(trial.shape), lower.reshape(trial.shape[:2])
        lowest = np.argmin(lower, axis=1)
        gain = height - lower[rows, lowest]
        best = np.where((gain > 0.0)[:, None], moved[rows, lowest], best)
        height = np.minimum(height, lower[rows, lowest])
        at_edge = (np.abs(pattern[lowest]).max(axis=1) > 0.9) & (gain > 0.0)
        reach = np.where(at_edge, reach, 0.5 * reach)
        if reach.max() < _FINEST:
            break
    first = int(np.argmin(height))
    return best[first], signs[first], float(height[first])


def _search(deviance, grid, axes):
    """(t (n_x, n_y, d), sign, -2 ln L (n_x, n_y)) at the lowest minimum of every point of ``grid``."""
    shape, d = grid.shape[:2], grid.shape[2]
    inner = tuple(i for i in range(d) if i not in axes)
    points = grid.reshape(-1, d)
    if not inner:
        ones = np.ones(len(points))
        return grid, ones.reshape(shape), deviances(deviance, points, ones).reshape(shape)
    rows, columns = (_coarse(n) for n in shape)
    branches = _branches(deviance, grid[np.ix_(rows, columns)].reshape(-1, d), inner)
    found = _from_corners(deviance, points, inner, branches, _corners(rows, columns, shape))
    t, sign, value = _spread(deviance, points, inner, found, shape)
    return t.reshape(grid.shape), sign.reshape(shape), value.reshape(shape)


def _coarse(n):
    nodes = min(n, max(_FEWEST, -(-n // _SPACING) + 1))
    return np.unique(np.linspace(0, n - 1, nodes).round().astype(int))


def _corners(rows, columns, shape):
    """Indices of the four coarse points around every fine one, (n, 4)."""
    cells = [
        np.clip(np.searchsorted(coarse, np.arange(n), "right") - 1, 0, coarse.size - 2)
        for coarse, n in zip((rows, columns), shape, strict=True)
    ]
    i, j = np.meshgrid(*cells, indexing="ij")
    pairs = [(i + a) * columns.size + (j + b) for a, b in product((0, 1), (0, 1))]
    return np.stack(pairs, axis=-1).reshape(-1, 4)


def _lattice(deviance, inner):
    """Starting points (*lattice, k) along the coordinates ``inner``, and their signs (*lattice)."""
    distributions = list(deviance.distributions.values())
    free = len(deviance.target.prior.names)
    lines = [_line(distributions[i], alone=i >= free) for i in inner]
    while np.prod([line.size for line in lines]) > _LATTICE:
        longest = max(range(len(lines)), key=lambda i: lines[i].size)
        lines[longest] = lines[longest][::2]
    signs = [1.0] if deviance.target.prior.signed is None else [1.0, -1.0]
    *mesh, sign = np.meshgrid(*lines, signs, indexing="ij")
    return np.stack(mesh, axis=-1), sign


def _line(distribution, *, alone):
    """Starting values of one coordinate; ``alone``: a nuisance, which starts at its centre."""
    if not isinstance(distribution, Box):
        return np.zeros(1) if alone else np.linspace(-3.0, 3.0, 13)
    low, high = (float(edge) for edge in distribution.warped_bounds())
    if alone:
        return np.array([0.5 * (low + high)])
    if isinstance(distribution, SymmetricAsinh):  # the data may know it far better than the size of its box
        half = float(distribution.bound) * 10.0 ** (-0.5 * np.arange(12.0))
        return np.asarray(distribution.warp(np.concatenate([-half, [0.0], half[::-1]])))
    return np.linspace(low, high, 13)


def _branches(deviance, points, inner):
    """The lowest minima from every coarse point: t (n, kept, d), sign and -2 ln L (n, kept), sorted.

    Infinite where there are fewer.
    """
    which = list(inner)
    starts, signs = _lattice(deviance, inner)
    n, size = len(points), signs.size
    t = np.repeat(points[:, None], size, axis=1)
    t[..., which] = starts.reshape(size, -1)
    sign = np.broadcast_to(signs.reshape(-1), (n, size))
    value = deviances(deviance, t.reshape(-1, t.shape[-1]), sign.reshape(-1)).reshape(n, *signs.shape)
    reach = (1, *(3 for _ in inner), 1)  # neighbours along every coordinate, not across the sign
    is_minimum = value <= minimum_filter(value, size=reach, mode="nearest")
    value = np.where(is_minimum, value, np.inf).reshape(n, size)
    order = np.argsort(value, axis=1)[:, :_KEPT]
    at = np.arange(n)[:, None], order
    t, sign, value = t[at], sign[at].copy(), value[at]
    use = np.isfinite(value)
    t[use], value[use] = minimise_points(deviance, t[use], sign[use], inner)
    for later in range(1, value.shape[1]):  # the same minimum twice is one
        for earlier in range(later):
            near = np.abs(t[:, later, which] - t[:, earlier, which]).max(axis=1) < 1e-3
            value[near & (sign[:, later] == sign[:, earlier]), later] = np.inf
    order = np.argsort(value, axis=1)
    at = np.arange(n)[:, None], order
    return t[at], sign[at], value[at]


def _from_corners(deviance, points, inner, branches, corners):
    """The lowest minimum of every point downhill from the minima at its corners: (t, sign, -2 ln L)."""
    n, which = len(points), list(inner)
    t, sign, value = points.copy(), np.ones(n), np.full(n, np.inf)
    height = branches[2][corners]  # (n, 4, kept)
    for rank in range(height.shape[-1]):
        worth = np.any(height[..., rank] < 2.0 * height[..., 0].min(axis=1, keepdims=True) + _WORTH, axis=1)
        rows = np.flatnonzero(worth & np.isfinite(height[..., rank]).any(axis=1))
        if not rows.size:
            continue
        starts = np.repeat(points[rows, None], 4, axis=1)
        starts[..., which] = branches[0][corners[rows], rank][..., which]
        signs = branches[1][corners[rows], rank]
        trial = deviances(deviance, starts.reshape(-1, points.shape[1]), signs.reshape(-1)).reshape(-1, 4)
        best = np.arange(rows.size), np.argmin(trial, axis=1)
        _take(deviance, rows, starts[best], signs[best], inner, (t, sign, value))
    return t, sign, value


def _take(deviance, rows, starts, signs, inner, found):
    """Go downhill from ``starts`` and keep in ``found`` (t, sign, value) what is lower; the rows that
    changed."""
    t, sign, value = found
    moved, lower = minimise_points(deviance, starts, signs, inner)
    better = lower < value[rows]
    kept = rows[better]
    t[kept], sign[kept], value[kept] = moved[better], signs[better], lower[better]
    return kept


def _spread(deviance, points, inner, found, shape):
    """Let every point try the minima of its neighbours until none gains: (t, sign, -2 ln L)."""
    which = list(inner)
    t, sign, value = found
    index = np.arange(len(points)).reshape(shape)
    changed = np.ones(shape, bool)
    for _ in range(max(shape)):
        pairs = []
        for axis, step in product((0, 1), (1, -1)):  # (point, its neighbour that has changed)
            here, there = [slice(None)] * 2, [slice(None)] * 2
            here[axis], there[axis] = (
                (slice(1, None), slice(-1)) if step == 1 else (slice(-1), slice(1, None))
            )
            mask = changed[tuple(there)]
            pairs.append(np.stack([index[tuple(here)][mask], index[tuple(there)][mask]]))
        here, there = np.concatenate(pairs, axis=1)
        if not here.size:
            break
        trial = points[here].copy()
        trial[:, which] = t[there][:, which]
        lower = deviances(deviance, trial, sign[there]) < value[here] - _LOWER
        rows, first = np.unique(here[lower], return_index=True)
        changed = np.zeros(shape, bool)
        if rows.size:
            kept = _take(
                deviance, rows, trial[lower][first], sign[there][lower][first], inner, (t, sign, value)
            )
            changed.reshape(-1)[kept] = True
    return t, sign, value
