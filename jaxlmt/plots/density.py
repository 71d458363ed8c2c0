"""Densities of draws on axes that know the edges of the prior box: kernel estimates in one and two
dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import results


class Axis:
    """One variable: its draws in the coordinate shown (u: linear, or the natural log), its range.

    edges are the prior box in u, infinite where there is none.
    """

    def __init__(self, name, values, row, bounds, truth):
        self.name, self.row, self.truth = name, row, truth
        self.log = row.scale == "log"
        self.u = self.to(np.ravel(np.asarray(values, np.float64)))
        low, high = (None, None) if bounds is None else bounds
        self.edges = (
            -math.inf if low is None or (self.log and low <= 0) else float(self.to(low)),
            math.inf if high is None else float(self.to(high)),
        )
        # a few draws in the box may round to just outside it
        self.u = np.clip(self.u, *self.edges)
        self.sigma = _core_scale(self.u)
        wide = results.hdi(self.u, 0.97)
        pad = 0.25 * (wide[1] - wide[0])
        low = max(wide[0] - pad, self.u.min() - 0.6 * pad)
        high = min(wide[1] + pad, self.u.max() + 0.6 * pad)
        if truth is not None and not (self.log and truth <= 0):
            low = min(low, float(self.to(truth)) - 0.3 * pad)
            high = max(high, float(self.to(truth)) + 0.3 * pad)
        self.view = (max(low, self.edges[0]), min(high, self.edges[1]))

    def to(self, x):
        return np.log(x) if self.log else x

    def back(self, u):
        return np.exp(u) if self.log else u

    @property
    def limits(self) -> tuple[float, float]:
        """The range shown, in data coordinates."""
        return float(self.back(self.view[0])), float(self.back(self.view[1]))

    def grid(self, bandwidth: float, most: int):
        """Cell edges over the range shown and a margin, ending at the prior box, and the step."""
        margin = 4 * bandwidth
        low = max(self.view[0] - margin, self.edges[0])
        high = min(self.view[1] + margin, self.edges[1])
        cells = int(np.clip(math.ceil(5 * (high - low) / bandwidth), 64, most))
        return np.linspace(low, high, cells + 1)


def _core_scale(u: np.ndarray) -> float:
    """Standard deviation of the core: tails and a second, separate mode do not widen it."""
    low, high = results.hdi(u, 0.5)
    core = (high - low) / 1.349
    spread = float(np.std(u))
    return min(core, spread) if core > 0 else spread


def _effective(*axes: Axis) -> float:
    sizes = [axis.row.ess_bulk for axis in axes]
    number = min(sizes) if all(math.isfinite(size) for size in sizes) else axes[0].u.size
    return max(min(number, axes[0].u.size), 10.0)


def _smooth(counts: np.ndarray, pads: Sequence[int], closed: Sequence, kernel) -> np.ndarray:
    """Counts convolved with a Gaussian, divided by the part of the kernel inside the prior box.

    pads: empty cells around each axis; closed: per axis, whether (low, high) is an edge of the box;
    kernel: Fourier transform of the Gaussian as a function of the frequencies per cell.
    """
    inside = np.ones_like(counts)
    for axis, (pad, (low, high)) in enumerate(zip(pads, closed, strict=True)):
        widths = [(0, 0)] * counts.ndim
        widths[axis] = (pad, pad)
        counts = np.pad(counts, widths)
        # beyond an edge that is only the end of the grid the space goes on, and nothing is divided
        inside = np.pad(inside, widths, constant_values=1.0)
        ends = [slice(None)] * counts.ndim
        for is_edge, end in ((low, slice(0, pad)), (high, slice(-pad, None))):
            if is_edge:
                ends[axis] = end
                inside[tuple(ends)] = 0.0
    shape = counts.shape
    frequencies = [np.fft.fftfreq(size) for size in shape[:-1]] + [np.fft.rfftfreq(shape[-1])]
    transform = kernel(*np.meshgrid(*frequencies, indexing="ij"))
    crop = tuple(slice(pad, -pad) for pad in pads)

    def blur(array):
        blurred = np.fft.irfftn(np.fft.rfftn(array) * transform, s=shape, axes=range(len(shape)))
        return np.maximum(blurred[crop], 0.0)

    if not np.any(closed):
        return blur(counts)
    return blur(counts) / np.maximum(blur(inside), 1e-3)


def density_1d(axis: Axis):
    """(u, density in u): a kernel estimate at cell edges, zero outside the prior box."""
    bandwidth = axis.sigma * _effective(axis) ** -0.2
    edges = axis.grid(bandwidth, 2048)
    step = edges[1] - edges[0]
    counts = np.histogram(axis.u, edges)[0].astype(np.float64)
    width = bandwidth / step
    density = _smooth(
        counts,
        [math.ceil(5 * width)],
        [_closed(axis, edges)],
        lambda k: np.exp(-0.5 * (2 * np.pi * width * k) ** 2),
    )
    density /= axis.u.size * step
    return _to_edges(edges, density)


def _to_edges(edges: np.ndarray, density: np.ndarray):
    """Cell values with the two ends of the grid added, so that a curve reaches the prior edge."""
    centres = 0.5 * (edges[1:] + edges[:-1])
    return (
        np.concatenate([edges[:1], centres, edges[-1:]]),
        np.pad(density, [(1, 1)] + [(0, 0)] * (density.ndim - 1), mode="edge"),
    )


def _closed(axis: Axis, edges: np.ndarray) -> tuple[bool, bool]:
    return bool(edges[0] == axis.edges[0]), bool(edges[-1] == axis.edges[1])


def density_2d(first: Axis, second: Axis):
    """(u, v, density [v, u], density at every draw) of a pair, up to a constant factor.

    A Gaussian kernel with the correlation of the core of the draws, so that a narrow oblique ridge
    stays narrow, and wider where draws are few (Abramson 1982), so that tails are smooth.
    """
    pair = (first, second)
    z = [np.clip((axis.u - np.median(axis.u)) / axis.sigma, -2.5, 2.5) for axis in pair]
    rho = float(np.clip(np.corrcoef(*z)[0, 1], -0.95, 0.95))
    factor = _effective(*pair) ** (-1 / 6)
    bandwidths = [factor * axis.sigma for axis in pair]
    # the kernel must be resolved across the ridge, too
    narrowing = max(math.sqrt(1 - rho**2), 0.5)
    grids = [axis.grid(b * narrowing, 420) for axis, b in zip(pair, bandwidths, strict=True)]
    closed = [_closed(axis, edges) for axis, edges in zip(pair, grids, strict=True)]
    widths = [b / (edges[1] - edges[0]) for b, edges in zip(bandwidths, grids, strict=True)]
    cells = [np.searchsorted(e, axis.u, "right") - 1 for axis, e in zip(pair, grids, strict=True)]
    for axis, edges, cell in zip(pair, grids, cells, strict=True):
        cell[axis.u == edges[-1]] -= 1  # a draw on the last edge belongs to the last cell
    shape = tuple(len(edges) - 1 for edges in grids)
    known = np.all([(c >= 0) & (c < n) for c, n in zip(cells, shape, strict=True)], axis=0)
    rows, columns = cells[0][known], cells[1][known]

    def estimate(chosen: np.ndarray, stretch: float) -> np.ndarray:
        counts = np.zeros(shape)
        np.add.at(counts, (rows[chosen], columns[chosen]), 1.0)
        a, b = (2 * np.pi * stretch * width for width in widths)
        return _smooth(
            counts,
            [math.ceil(4 * stretch * width) for width in widths],
            closed,
            lambda k, q: np.exp(-0.5 * ((a * k) ** 2 + 2 * rho * a * b * k * q + (b * q) ** 2)),
        )

    pilot = estimate(np.ones(rows.size, bool), 1.0)[rows, columns]
    wanted = 1.1 * np.sqrt(np.quantile(pilot, 0.7) / pilot)
    stretches = np.geomspace(0.9, 6.0, 6)
    nearest = np.argmin(np.abs(np.log(wanted[:, None] / stretches)), axis=1)
    density = sum(
        estimate(nearest == i, stretch) for i, stretch in enumerate(stretches) if np.any(nearest == i)
    )
    at_draws = np.zeros(first.u.size)
    at_draws[known] = density[rows, columns]
    u, density = _to_edges(grids[0], density)
    v, density = _to_edges(grids[1], density.T)
    return u, v, density, at_draws
