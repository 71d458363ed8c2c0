"""Publishable figures of a posterior: what the parameters are, and what they say about the data.

Every function returns a `matplotlib.figure.Figure` without pyplot: it needs no display, may be made
in a thread, and shows itself when a notebook cell returns it. Axes are in data coordinates, so that
a caller may draw into them.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np

from . import results

__all__ = ["compare", "corner", "figure", "label", "spectra"]

# Okabe and Ito's palette: distinct for every kind of colour vision, and in grey
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
BANDS = ("#0072B2", "#8CC3E6", "#D3E8F5")  # innermost region first
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", GREY)  # of posteriors that are compared
MEDIAN = "#002F4D"
INK = "#1A1A1A"

STYLE = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 11,
    "axes.linewidth": 0.8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "text.usetex": False,
    "path.simplify": True,
}

_lock = threading.RLock()  # matplotlib's rcParams are shared by all threads


@contextmanager
def _style():
    import matplotlib as mpl

    with _lock, mpl.rc_context(STYLE):
        yield


@cache
def _figure_class():
    from matplotlib.figure import Figure as Base

    class Figure(Base):
        """A matplotlib figure that a notebook shows, whatever backend is active."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    Figure.__module__, Figure.__qualname__ = __name__, "Figure"
    return Figure


def __getattr__(name: str):
    if name == "Figure":  # made on first use, because matplotlib takes half a second
        return _figure_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def figure(width: float, height: float):
    """An empty figure of width x height inches at 160 dpi, with an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    made = _figure_class()(figsize=(width, height), dpi=160, facecolor="white")
    FigureCanvasAgg(made)
    return made


def label(name: str, *, exponent: int = 0) -> str:
    """Axis label of a variable, `$\\epsilon_x$ [$10^{-6}$]` for exponent -6 (units in MeV).

    A name that `results.DISPLAY` does not know is its own label.
    """
    unit = results.DISPLAY[name].unit if name in results.DISPLAY else ""
    factor = rf"$10^{{{exponent}}}$" if exponent else ""
    inside = r"$\,$".join(part for part in (factor, unit) if part)
    return f"{_symbol(name)}  [{inside}]" if inside else _symbol(name)


def _symbol(name: str) -> str:
    if name not in results.DISPLAY:
        return name
    # matplotlib sets a superscript prime too small and too far away
    return f"${results.DISPLAY[name].symbol}$".replace(r"^\prime", "\N{PRIME}")


# --- corner ---------------------------------------------------------------------------------------


def corner(
    container,
    *,
    truth=None,
    variables: Sequence[str] | None = None,
    levels: Sequence[float] = (0.68, 0.95),
    bounds: Mapping[str, Sequence[float]] | None = None,
):
    """All one- and two-dimensional marginals of a posterior.

    truth      dict {variable: value} or an object with these attributes (g_x, mass, eps_x,
               charges.tau, ...), in the units of the variables; drawn as a star and lines
    variables  which posterior variables, in this order; default: the model's parameters that vary
    levels     one to three increasing probabilities of the HPD regions
    bounds     prior box {name: (low, high)}; default: the container's attribute `bounds`

    The two-dimensional regions are those of highest density on the axes shown, of a Gaussian kernel
    estimate that knows the edges of the prior box; they hold exactly these fractions of the draws.
    The titles are those of `results.summary`: median and interval at the first level, or a limit at
    the last one where the posterior is open at an edge of its box. Returns a Figure; raises
    ValueError for unknown variables, bad levels or nothing to plot.
    """
    levels = _check_levels(levels)
    posterior = results.draws(container)
    if isinstance(variables, str):
        variables = [variables]
    names = _default_variables(posterior) if variables is None else list(variables)
    _check_variables(names, posterior)
    points = _truth_values(truth, names, posterior)
    table = results.summary(container, prob=levels[0], limit_prob=levels[-1], bounds=bounds, variables=names)
    box = results.attributes(container).get("bounds", {}) if bounds is None else bounds
    axes = [_Axis(name, posterior[name], table[name], box.get(name), points.get(name)) for name in names]
    with _style():
        return _draw_corner(axes, levels, table.diagnostics)


def _check_variables(names: Sequence[str], posterior: Mapping[str, np.ndarray]) -> None:
    for name in names:
        if name not in posterior:
            raise ValueError(f"variables: got {name!r}; the posterior has {sorted(posterior)}")
        if np.ptp(posterior[name]) == 0:
            raise ValueError(f"variables: {name!r} is fixed in this posterior; choose others")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"variables: got {names}; it needs at least one that varies, each of them once")


def _check_levels(levels) -> tuple[float, ...]:
    found = tuple(float(level) for level in np.atleast_1d(np.asarray(levels, np.float64)))
    increasing = all(a < b for a, b in pairwise(found))
    if not 1 <= len(found) <= 3 or not increasing or found[0] <= 0 or found[-1] >= 1:
        raise ValueError(f"levels: got {levels!r}; allowed are one to three increasing numbers inside (0, 1)")
    return found


def _default_variables(posterior: Mapping[str, np.ndarray]) -> list[str]:
    varying = [name for name in posterior if np.ptp(posterior[name]) > 0]
    model = [name for name in results.DISPLAY if name in varying and name != "sin2_theta_w"]
    if "eps_x" in model:
        if "eps_over_g" in model:
            model.remove("eps_over_g")
        if "g_x" in model:  # a mixing tied to the coupling says nothing of its own
            ratio = posterior["eps_x"] / posterior["g_x"]
            if np.ptp(ratio) <= 1e-9 * np.max(np.abs(ratio)):
                model.remove("eps_x")
    return model or varying


def _truth_values(truth, names: Sequence[str], posterior: Mapping) -> dict[str, float]:
    if truth is None:
        return {}
    if isinstance(truth, Mapping):
        for name in truth:
            if name not in posterior and name not in results.DISPLAY:
                raise ValueError(f"truth: got {name!r}; the posterior has {sorted(posterior)}")
        return {name: float(truth[name]) for name in names if name in truth}
    found = {}
    for name in names:
        value = truth
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is not None:
            found[name] = float(value)
    if "eps_over_g" in names and "eps_over_g" not in found and hasattr(truth, "eps_x"):
        found["eps_over_g"] = float(truth.eps_x) / float(truth.g_x)
    if not found:
        raise ValueError(f"truth: got {truth!r}; it has none of the attributes {list(names)}")
    return found


class _Axis:
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


def _effective(*axes: _Axis) -> float:
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


def _density_1d(axis: _Axis):
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


def _closed(axis: _Axis, edges: np.ndarray) -> tuple[bool, bool]:
    return bool(edges[0] == axis.edges[0]), bool(edges[-1] == axis.edges[1])


def _density_2d(first: _Axis, second: _Axis):
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


def _triangle(axes: Sequence[_Axis]):
    """(figure, panels, anchor): the lower triangle of panels with scales, ticks and labels, still empty.

    panels are (axes of matplotlib, horizontal, vertical); anchor is the upper right corner, for a legend.
    """
    n = len(axes)
    panel = 2.05 if n > 1 else 3.4
    # a single panel leaves no triangle for the legend: it goes to the right
    left, right, bottom, top = 0.80 if n > 1 else 0.25, 0.18 if n > 1 else 2.1, 0.60, 0.42
    width, height = left + n * panel + right, bottom + n * panel + top
    made = figure(width, height)
    grid = made.add_gridspec(
        n,
        n,
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=0.09,
        hspace=0.09,
    )
    panels = []
    for i, vertical in enumerate(axes):
        for j, horizontal in enumerate(axes[: i + 1]):
            ax = made.add_subplot(grid[i, j])
            ax.set_label(vertical.name if i == j else f"{horizontal.name}|{vertical.name}")
            if i != j:
                _scale(ax, vertical, "y", show=j == 0, panel=panel)
            _scale(ax, horizontal, "x", show=i == n - 1, panel=panel)
            ax.tick_params(which="both", direction="in", top=i != j, right=i != j)
            if i == j:
                ax.tick_params(which="both", left=False, labelleft=False)
            panels.append((ax, horizontal, vertical))
    return made, panels, (1 - right / width, 1 - top / height)


def _draw_corner(axes: Sequence[_Axis], levels: Sequence[float], quality):
    made, panels, anchor = _triangle(axes)
    colours = BANDS[: len(levels)]
    for ax, horizontal, vertical in panels:
        if horizontal is vertical:
            _draw_marginal(ax, vertical, levels, colours)
        else:
            _draw_pair(ax, horizontal, vertical, levels, colours)
    prediction = any([_draw_prediction(*panel) for panel in panels])
    _draw_key(made, axes, levels, colours, prediction, quality, anchor)
    made.draw_without_rendering()  # make every tick now, while the style holds
    return made


def _draw_prediction(ax, horizontal: _Axis, vertical: _Axis) -> bool:
    """What Lmu-Ltau predicts, where a panel can show it."""
    if (horizontal.name, vertical.name) != ("g_x", "eps_x"):
        return False
    g = np.geomspace(*horizontal.limits, 200)
    ax.plot(g, -g / 70, "--", color=INK, lw=1.2, zorder=4)
    return True


def _draw_marginal(ax, axis: _Axis, levels, colours) -> None:
    u, density = _density_1d(axis)
    x = axis.back(u)
    shades = list(zip(levels, colours, strict=True))
    if axis.row.open == "both":  # no region is preferred
        shades = [(1.0, BANDS[-1])]
    for level, colour in reversed(shades):
        low, high = _region(axis, level)
        inside = np.linspace(max(low, u[0]), min(high, u[-1]), 400)
        ax.fill_between(axis.back(inside), np.interp(inside, u, density), color=colour, lw=0, zorder=1)
    ax.plot(x, density, color=INK, lw=1.0, zorder=3)
    if axis.truth is not None:
        ax.axvline(axis.truth, color=ORANGE, lw=1.2, ls=(0, (4, 2)), zorder=4)
    ax.set_ylim(0, 1.12 * density.max())
    exponent = _ticks(*axis.limits, axis.log)[2]
    if axis.log and axis.row.limit is not None:  # the axis may span decades
        exponent = _exponent(axis.row.limit)
    ax.set_title(_quote(axis.row, levels[-1], exponent), fontsize=11, pad=6)


def _region(axis: _Axis, level: float) -> tuple[float, float]:
    """What a one-dimensional panel shades, in u: the HPD interval, or the side a limit leaves."""
    if axis.row.open == "both":
        return axis.edges
    if axis.row.open == "low":
        return axis.edges[0], float(np.quantile(axis.u, level))
    if axis.row.open == "high":
        return float(np.quantile(axis.u, 1 - level)), axis.edges[1]
    return results.hdi(axis.u, level)


def _regions(horizontal: _Axis, vertical: _Axis, levels):
    """(x, y, density [y, x], its values on the boundaries of the HPD regions, the largest region first)."""
    u, v, density, at_draws = _density_2d(horizontal, vertical)
    thresholds = np.quantile(at_draws, [1 - level for level in reversed(levels)])
    return horizontal.back(u), vertical.back(v), density, thresholds


def _draw_pair(ax, horizontal: _Axis, vertical: _Axis, levels, colours) -> None:
    x, y, density, thresholds = _regions(horizontal, vertical, levels)
    peak = density.max()
    for threshold, colour in zip(thresholds, reversed(colours), strict=True):
        ax.contourf(x, y, density, [threshold, 2 * peak], colors=[colour], zorder=1)
        ax.contour(x, y, density, [threshold], colors=[BLUE], linewidths=0.8, zorder=2)
    _draw_truth(ax, horizontal, vertical, ORANGE)


def _draw_truth(ax, horizontal: _Axis, vertical: _Axis, colour: str) -> None:
    """Lines and a star at the truth, and the line of no mixing."""
    if horizontal.truth is not None:
        ax.axvline(horizontal.truth, color=colour, lw=0.8, ls=(0, (4, 2)), zorder=3)
    if vertical.truth is not None:
        ax.axhline(vertical.truth, color=colour, lw=0.8, ls=(0, (4, 2)), zorder=3)
    if horizontal.truth is not None and vertical.truth is not None:
        ax.plot(horizontal.truth, vertical.truth, "*", ms=12, mfc=colour, mec="white", mew=0.8, zorder=5)
    if vertical.name.startswith("eps") and vertical.limits[0] < 0 < vertical.limits[1]:
        ax.axhline(0.0, color=GREY, lw=0.6, zorder=0.5)


def _draw_key(made, axes, levels, colours, prediction, quality, anchor) -> None:
    """Legend, and what is wrong with the draws, in the empty upper triangle."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, edgecolor=BLUE, lw=0.8, label=f"{100 * level:g}% credible")
        for level, colour in zip(levels, colours, strict=True)
    ]
    handles += _reference_handles(any(axis.truth is not None for axis in axes), prediction, ORANGE)
    title = None if quality.passed else "not converged: see the summary"
    _legend(made, handles, len(axes), anchor, title)


def _reference_handles(truth: bool, prediction: bool, colour: str) -> list:
    from matplotlib.lines import Line2D

    dashed = {"color": colour, "lw": 1.0, "ls": (0, (4, 2))}
    star = Line2D([], [], **dashed, marker="*", ms=12, mec="white", mew=0.8, label="truth")
    line = Line2D([], [], color=INK, lw=1.2, ls="--", label=r"$L_\mu-L_\tau$ prediction $\epsilon_x=-g_x/70$")
    return [handle for handle, wanted in ((star, truth), (line, prediction)) if wanted]


def _legend(made, handles, n: int, anchor, title: str | None) -> None:
    size = 11 if n > 2 else 9
    legend = made.legend(
        handles=handles,
        fontsize=size,
        loc="upper left" if n == 1 else "upper right",
        bbox_to_anchor=anchor,
        borderaxespad=0.2,
        labelspacing=0.6,
        title=title,
    )
    legend.get_title().set(color=ORANGE, fontsize=size)


def _scale(ax, axis: _Axis, which: str, *, show: bool, panel: float) -> None:
    """Scale, range, ticks and label of one side of a panel of so many inches."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

    low, high = axis.limits
    ticks, minor, exponent, power = _ticks(low, high, axis.log)
    if axis.log:
        getattr(ax, f"set_{which}scale")("log")
    getattr(ax, f"set_{which}lim")(low, high)
    side = ax.xaxis if which == "x" else ax.yaxis
    text = [rf"$10^{{{round(math.log10(tick))}}}$" if power else _tick_text(tick, exponent) for tick in ticks]
    side.set_major_locator(FixedLocator(ticks))
    side.set_minor_locator(FixedLocator(minor))
    side.set_major_formatter(FixedFormatter(text) if show else NullFormatter())
    side.set_minor_formatter(NullFormatter())
    ax.tick_params(axis=which, labelsize=10)
    if show:
        name = label(axis.name, exponent=0 if power else exponent)
        shrink = 2.05 / panel  # labels keep their distance in inches
        if which == "x":
            ax.set_xlabel(name, fontsize=12)
            side.set_label_coords(0.5, -0.17 * shrink)
        else:
            ax.set_ylabel(name, fontsize=12)
            side.set_label_coords(-0.26 * shrink, 0.5)


def _ticks(low: float, high: float, log: bool):
    """(major, minor, exponent, power): tick positions in (low, high), what their labels are divided
    by (10^exponent), and whether they are written as powers of ten instead."""
    from matplotlib.ticker import MaxNLocator

    if log and high / low > 5:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        room = math.log10(high / low)
        steps = (1, 2, 5) if room < 1.3 else (1, 3) if room < 2.6 else (1,)
        every = max(1, round(room / 4))
        major = [s * 10.0**k for k in decades if k % every == 0 for s in steps]
        minor = [s * 10.0**k for k in decades for s in range(1, 10)]
    else:
        locator = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3)
        major = list(locator.tick_values(low, high))
        step = (major[1] - major[0]) / 5
        minor = list(np.arange(math.floor(low / step), math.ceil(high / step) + 1) * step)
    within = 1e-9 * (high - low)
    major = [t for t in major if low - within <= t <= high + within]
    minor = [t for t in minor if low < t < high and not np.any(np.isclose(t, major, rtol=1e-6))]
    # labels of neighbouring panels would meet at the corners
    span = math.log(high / low) if log else high - low
    place = [(math.log(t / low) if log else t - low) / span for t in major]
    if len(major) > 2:
        major = [t for t, p in zip(major, place, strict=True) if 0.03 < p < 0.97 or p == 0]
    exponent = _exponent(max(abs(t) for t in major))
    power = bool(exponent) and log and high / low > 5 and steps == (1,)
    return major, minor, exponent, power


def _tick_text(value: float, exponent: int) -> str:
    return f"{value / 10.0**exponent:.6g}".replace("-", "\N{MINUS SIGN}")


def _quote(row: results.Row, limit_prob: float, exponent: int) -> str:
    """A row of a summary as LaTeX: `$M_{A^\\prime} = 101_{-9}^{+12}$ MeV`, or its limit.

    exponent: the power of ten taken out, that of the axis.
    """
    symbol, unit = _symbol(row.name), f" {row.unit}" if row.unit else ""
    if row.open == "both":
        return f"{symbol} unconstrained"
    if row.limit is not None:
        number = f"{row.limit / 10.0**exponent:.3g}"
        sign = "<" if row.open == "low" else ">"
        return f"{symbol} ${sign} {number}{_times(exponent)}${unit} ({100 * limit_prob:g}%)"
    low, high = row.interval
    minus, plus = row.median - low, high - row.median
    smaller = min(x for x in (minus, plus, high - low) if x > 0) / 10.0**exponent
    decimals = max(0, 1 - math.floor(math.log10(smaller)))
    if min(minus, plus) <= 0:  # so skewed that the median lies outside
        ends = [f"{x / 10.0**exponent:.{decimals}f}" for x in (low, high)]
        return f"{symbol} $\\in [{ends[0]}, {ends[1]}]{_times(exponent)}${unit}"
    centre, minus, plus = (f"{x / 10.0**exponent:.{decimals}f}" for x in (row.median, minus, plus))
    number = rf"{centre}_{{-{minus}}}^{{+{plus}}}"
    if exponent:
        number = f"({number})" + _times(exponent)
    return f"{symbol} $= {number}${unit}"


def _exponent(size: float) -> int:
    """Power of ten taken out of a number for display: none for 0.02 ... 10^4, else 2 ... 20."""
    if 0.02 <= size < 1e4 or size == 0:
        return 0
    return math.floor(math.log10(size / 2) + 1e-9)


def _times(exponent: int) -> str:
    return rf"\times 10^{{{exponent}}}" if exponent else ""


# --- comparison -----------------------------------------------------------------------------------


def compare(
    containers: Mapping[str, object],
    *,
    truth=None,
    variables: Sequence[str] | None = None,
    levels: Sequence[float] = (0.68, 0.95),
):
    """The marginals of several posteriors on the same axes, one colour each.

    containers  {label: posterior}, one to six; labels are the legend
    truth       as in `corner`, drawn in black
    variables   which, in this order; default: the model's parameters that vary in all of them
    levels      one to three increasing probabilities of the HPD regions, the outermost palest

    Regions and densities are those of `corner`; one-dimensional densities are scaled to the same
    height. Returns a Figure; raises ValueError as `corner` does, and where nothing varies in all.
    """
    levels = _check_levels(levels)
    if not 1 <= len(containers) <= len(COLOURS):
        raise ValueError(f"containers: got {len(containers)}; it must be one to {len(COLOURS)} posteriors")
    posteriors = {name: results.draws(container) for name, container in containers.items()}
    names = [variables] if isinstance(variables, str) else variables
    if names is None:
        names = common_variables(posteriors)
    for posterior in posteriors.values():
        _check_variables(names, posterior)
    first = next(iter(posteriors.values()))
    points = _truth_values(truth, names, first)
    tables = {name: results.summary(c, variables=names) for name, c in containers.items()}
    runs = {name: [] for name in containers}
    for v in names:
        log = all(table[v].scale == "log" for table in tables.values())
        for name, table in tables.items():
            row = replace(table[v], scale="log" if log else "linear")
            box = results.attributes(containers[name]).get("bounds", {}).get(v)
            runs[name].append(_Axis(v, posteriors[name][v], row, box, points.get(v)))
        same = [run[-1] for run in runs.values()]
        view = min(axis.view[0] for axis in same), max(axis.view[1] for axis in same)
        for axis in same:
            axis.view = view
    failed = [name for name, table in tables.items() if not table.diagnostics.passed]
    with _style():
        return _draw_comparison(runs, levels, failed)


def common_variables(posteriors: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """What varies in every one of {label: {variable: draws}}: the model's parameters, or all that do.

    Raises ValueError that lists what each has if there is nothing.
    """
    chosen = {name: _default_variables(posterior) for name, posterior in posteriors.items()}
    everything = {n: [v for v in p if np.ptp(p[v]) > 0] for n, p in posteriors.items()}
    for lists in (chosen, everything):
        first, *others = lists.values()
        common = [name for name in first if all(name in other for other in others)]
        if common:
            return common
    each = "; ".join(f"{name}: {', '.join(names) or 'none'}" for name, names in everything.items())
    raise ValueError(f"no parameter varies in all posteriors ({each})")


def _draw_comparison(runs: Mapping[str, Sequence[_Axis]], levels: Sequence[float], failed: Sequence[str]):
    from matplotlib.patches import Patch

    axes = next(iter(runs.values()))
    made, panels, anchor = _triangle(axes)
    numbers = {axis.name: i for i, axis in enumerate(axes)}
    alphas = np.linspace(0.35, 0.10, len(levels))
    for ax, horizontal, vertical in panels:
        i, j = numbers[horizontal.name], numbers[vertical.name]
        for run, colour in zip(runs.values(), COLOURS, strict=False):
            if i == j:
                u, density = _density_1d(run[i])
                x, height = run[i].back(u), density / density.max()
                ax.fill_between(x, height, color=colour, alpha=0.12, lw=0, zorder=1)
                ax.plot(x, height, color=colour, lw=1.4, zorder=3)
                continue
            x, y, density, thresholds = _regions(run[i], run[j], levels)
            for threshold, alpha in zip(thresholds, reversed(alphas), strict=True):
                region = [threshold, 2 * density.max()]
                ax.contourf(x, y, density, region, colors=[colour], alpha=alpha, zorder=1)
                ax.contour(x, y, density, [threshold], colors=[colour], linewidths=1.0, zorder=2)
        if i == j:
            ax.set_ylim(0, 1.12)
            if vertical.truth is not None:
                ax.axvline(vertical.truth, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=4)
        else:
            _draw_truth(ax, horizontal, vertical, INK)
    prediction = any([_draw_prediction(*panel) for panel in panels])
    handles = [
        Patch(facecolor=(colour, alphas[0]), edgecolor=colour, lw=1.4, label=name)
        for name, colour in zip(runs, COLOURS, strict=False)
    ]
    if len(axes) > 1:
        handles += [
            Patch(facecolor=(INK, alpha), edgecolor=INK, lw=0.8, label=f"{100 * level:g}% credible")
            for level, alpha in zip(levels, alphas, strict=True)
        ]
    handles += _reference_handles(any(axis.truth is not None for axis in axes), prediction, INK)
    title = f"not converged: {', '.join(failed)}" if failed else None
    _legend(made, handles, len(axes), anchor, title)
    made.draw_without_rendering()
    return made


# --- spectra --------------------------------------------------------------------------------------


def spectra(
    container,
    *,
    bin_edges: Mapping[str, np.ndarray] | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
    experiments: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    background: Mapping[str, np.ndarray] | None = None,
    standard_model: Mapping[str, np.ndarray] | None = None,
    sigma: Mapping[str, np.ndarray] | None = None,
):
    """The data of every experiment and what the posterior expects, one panel each.

    All arguments are dicts over experiments; bins as in the container.

    bin_edges       (bins + 1,) increasing; required for every experiment with more than one bin
    truth           (bins,) expected counts of the true model, dashed
    experiments     which, in this order; default all of the group expected
    labels          (xlabel, ylabel, title)
    background      (bins,) or scalar counts, added to the data under the root of the error bar
    standard_model  (bins,) expected counts without new physics, dotted; where none is zero, a lower
                    strip shows everything divided by them
    sigma           (bins,) error bars to use instead of sqrt(counts + background)

    The bands hold 68% and 95% of the posterior of the expected counts in each bin (central), the
    dark line is the median. A bin with counts + background = 0 has the 84% upper limit 1.83 as its
    error bar. Counts are on a log axis when they span more than a factor 30. An experiment with a
    single bin is a measured value: a point with its interval, the bands below. Returns a Figure;
    raises ValueError for unknown experiments, missing edges or shapes that do not fit.
    """
    given = {
        "bin_edges": bin_edges,
        "truth": truth,
        "labels": labels,
        "background": background,
        "standard_model": standard_model,
        "sigma": sigma,
    }
    given = {argument: dict(values or {}) for argument, values in given.items()}
    predictive = results.group(container, "expected")
    known = [str(name) for name in predictive.data_vars]
    if isinstance(experiments, str):
        experiments = [experiments]
    names = known if experiments is None else list(experiments)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"experiments: got {experiments!r}; it needs at least one, each once")
    for argument, values in (("experiments", dict.fromkeys(names)), *given.items()):
        for name in values:
            if name not in known:
                raise ValueError(f"{argument}: got the experiment {name!r}; expected has {known}")
    observed = {}
    if "observed_data" in container:
        data = results.group(container, "observed_data")
        observed = {str(name): data[name].values for name in data.data_vars}
    panels = [_Panel(name, predictive[name], observed.get(name), given) for name in names]
    with _style():
        return _draw_spectra(panels)


class _Panel:
    """One experiment: its arrays, checked, and the quantiles of its expected counts."""

    def __init__(self, name, predictive, observed, given):
        values = predictive.transpose("chain", "draw", ...).values
        self.name, self.bins = name, values.shape[-1]
        values = values.reshape(-1, self.bins)
        if not np.all(np.isfinite(values)):
            raise ValueError(f"container: expected[{name!r}] has values not finite")
        self.quantiles = np.quantile(values, [0.025, 0.16, 0.5, 0.84, 0.975], axis=0)
        self.observed = None if observed is None else np.asarray(observed, np.float64)

        def per_bin(argument):
            if name not in given[argument]:
                return None
            array = np.asarray(given[argument][name], np.float64)
            if array.shape not in ((), (self.bins,)) or not np.all(np.isfinite(array)):
                raise ValueError(
                    f"{argument}[{name!r}]: got {given[argument][name]!r}; it must be a finite "
                    f"number or an array of shape ({self.bins},)"
                )
            return np.broadcast_to(array, (self.bins,))

        self.truth, self.standard_model = per_bin("truth"), per_bin("standard_model")
        background, sigma = per_bin("background"), per_bin("sigma")
        for argument, array in (("background", background), ("sigma", sigma)):
            if array is not None and np.any(array < 0):
                raise ValueError(f"{argument}[{name!r}]: got {array}; it must not be negative")
        self.errors = None
        if self.observed is not None:
            if sigma is not None:
                self.errors = np.stack([sigma, sigma])
            elif self.bins > 1 or background is not None:
                total = self.observed + (0.0 if background is None else background)
                if np.any(total < 0):
                    raise ValueError(
                        f"background[{name!r}]: counts + background = {total} must not be "
                        "negative; give sigma instead"
                    )
                self.errors = np.stack([np.sqrt(total), np.where(total > 0, np.sqrt(total), 1.83)])
            else:
                raise ValueError(
                    f"sigma: {name!r} has a single bin; give its error (or its background, if it is a count)"
                )
        self.edges = None
        if self.bins > 1:
            edges = np.asarray(given["bin_edges"].get(name, ()), np.float64)
            if edges.shape != (self.bins + 1,) or not np.all(np.diff(edges) > 0):
                raise ValueError(
                    f"bin_edges[{name!r}]: got {given['bin_edges'].get(name)!r}; it must be "
                    f"{self.bins + 1} increasing edges"
                )
            self.edges = edges
        text = given["labels"].get(name)
        if text is None:
            text = ("", "counts per bin" if self.bins > 1 else "", name)
        if isinstance(text, str) or len(text) != 3:
            raise ValueError(f"labels[{name!r}]: got {text!r}; it must be (xlabel, ylabel, title)")
        self.xlabel, self.ylabel, self.title = text
        has_model = self.standard_model is not None and self.bins > 1
        self.ratio = has_model and bool(np.all(self.standard_model > 0))

    def curves(self):
        """Everything drawn, for the range of the axis."""
        found = [*self.quantiles]
        found += [c for c in (self.truth, self.standard_model) if c is not None]
        if self.observed is not None:
            found += [self.observed - self.errors[0], self.observed + self.errors[1]]
        return np.array(found)


def _draw_spectra(panels: Sequence[_Panel]):
    binned = [panel for panel in panels if panel.bins > 1]
    single = [panel for panel in panels if panel.bins == 1]
    columns = 2 if len(binned) == 4 else min(max(len(binned), 1), 3)
    rows = math.ceil(len(binned) / columns)
    ratio = any(panel.ratio for panel in binned)
    left, right, key = 0.76, 0.15, 0.42
    tall, strip = 2.2, 1.25 if ratio else 0.0
    cell = 0.32 + tall + strip + 0.55  # title, panel, strip, label
    line = 1.25
    column = 3.3 if columns > 1 else 4.6
    width = columns * (left + column) + right
    height = key + rows * cell + len(single) * line + 0.08
    made = figure(width, height)

    def place(x, y, w, h, name, **options):
        """Axes in inches, y down from the top to the upper side."""
        box = (x / width, 1 - (y + h) / height, w / width, h / height)
        return made.add_axes(box, label=name, **options)

    for i, panel in enumerate(binned):
        row, col = divmod(i, columns)
        x, y = col * (left + column) + left, key + row * cell + 0.32
        ax = place(x, y, column, tall if panel.ratio else tall + strip, panel.name)
        below = None
        if panel.ratio:
            below = place(x, y + tall + 0.06, column, strip - 0.06, f"{panel.name}|ratio", sharex=ax)
        _draw_counts(ax, below, panel)
    for i, panel in enumerate(single):
        y = key + rows * cell + i * line + 0.28
        inset = left + (0.0 if columns == 1 else 0.5 * column)
        _draw_value(place(inset, y, width - inset - right - (inset - left), line - 0.8, panel.name), panel)
    _draw_spectra_key(made, panels, key / height)
    made.draw_without_rendering()
    return made


def _draw_counts(ax, below, panel: _Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    edges = panel.edges
    _draw_steps(ax, panel, np.ones(panel.bins))
    curves = panel.curves()
    core = np.array(
        [c for c in (*panel.quantiles, panel.standard_model, panel.truth, panel.observed) if c is not None]
    )
    positive = core[core > 0]
    if np.all(core > 0) and positive.max() > 30 * positive.min():
        ax.set_yscale("log")
        lowest = np.min(curves[curves > 0])
        ax.set_ylim(max(0.6 * lowest, 0.1 * positive.min()), 2.0 * curves.max())
    else:
        lowest = min(0.0, curves.min())
        ax.set_ylim(1.08 * lowest, 1.12 * curves.max())
        ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlim(edges[0], edges[-1])
    ax.set_title(panel.title, fontsize=12, pad=5)
    ax.set_ylabel(panel.ylabel, fontsize=11)
    bottom = ax
    if below is not None:
        model = panel.standard_model
        _draw_steps(below, panel, model)
        reach = _strip_reach(panel)
        below.set_ylim(1 - reach, 1 + reach)
        below.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], prune="both"))
        below.set_ylabel("ratio to SM", fontsize=10)
        ax.tick_params(labelbottom=False)
        bottom = below
    bottom.set_xlabel(panel.xlabel, fontsize=11)
    for one in (ax, below):
        if one is not None:
            one.tick_params(which="both", direction="in", top=True, right=True, labelsize=10)
            inches = one.get_position().width * one.figure.get_figwidth()
            one.yaxis.set_label_coords(-0.43 / inches, 0.5)


def _strip_reach(panel: _Panel) -> float:
    """Half height of the strip around 1: all that is predicted and the best measured bin.

    The error bars of nearly empty bins may leave it, so that a few per cent remain visible.
    """
    model = panel.standard_model
    predicted = [panel.quantiles] if panel.truth is None else [panel.quantiles, panel.truth]
    reach = 1.6 * max(0.005, *(float(np.abs(one / model - 1).max()) for one in predicted))
    if panel.observed is not None:
        ends = np.stack([panel.observed - panel.errors[0], panel.observed + panel.errors[1]])
        reach = max(reach, 1.1 * float(np.abs(ends / model - 1).max(axis=0).min()))
        points = 1.15 * np.abs(panel.observed / model - 1).max()
        reach = max(reach, min(float(points), 2 * reach))
    return reach


def _draw_steps(ax, panel: _Panel, unit: np.ndarray) -> None:
    """Bands, lines and points of a panel, divided by unit."""
    edges, centres = panel.edges, 0.5 * (panel.edges[1:] + panel.edges[:-1])
    q = panel.quantiles / unit
    for low, high, colour in ((q[0], q[4], BANDS[1]), (q[1], q[3], BANDS[0])):
        ax.stairs(high, edges, baseline=low, fill=True, color=colour, lw=0, zorder=1)
    ax.stairs(q[2], edges, baseline=None, color=MEDIAN, lw=1.0, zorder=2)
    if panel.standard_model is not None:
        ax.stairs(
            panel.standard_model / unit, edges, baseline=None, color=INK, lw=1.2, ls=(0, (1, 1.5)), zorder=3
        )
    if panel.truth is not None:
        ax.stairs(panel.truth / unit, edges, baseline=None, color=ORANGE, lw=1.3, ls=(0, (4, 2)), zorder=4)
    if panel.observed is not None:
        ax.errorbar(
            centres,
            panel.observed / unit,
            yerr=panel.errors / unit,
            fmt="o",
            ms=4,
            color=INK,
            mec="white",
            mew=0.5,
            elinewidth=1.0,
            capsize=0,
            zorder=5,
        )


def _draw_value(ax, panel: _Panel) -> None:
    """A single measured number along x, the posterior's bands below its point."""
    q = panel.quantiles[:, 0]
    for low, high, colour in ((q[0], q[4], BANDS[1]), (q[1], q[3], BANDS[0])):
        ax.fill_betweenx([0.0, 0.42], low, high, color=colour, lw=0)
    ax.plot([q[2]] * 2, [0.0, 0.42], color=MEDIAN, lw=1.0)
    if panel.observed is not None:
        ax.errorbar(
            panel.observed,
            [0.72],
            xerr=panel.errors,
            fmt="o",
            ms=5,
            color=INK,
            mec="white",
            mew=0.5,
            elinewidth=1.2,
            capsize=3,
        )
    if panel.standard_model is not None:
        ax.axvline(panel.standard_model[0], color=INK, lw=1.2, ls=(0, (1, 1.5)))
    if panel.truth is not None:
        ax.axvline(panel.truth[0], color=ORANGE, lw=1.3, ls=(0, (4, 2)))
    curves = panel.curves()
    pad = 0.08 * np.ptp(curves) or 1.0
    low, high = float(curves.min() - pad), float(curves.max() + pad)
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.set_title(panel.title, fontsize=12, pad=4)
    _number_axis(ax, low, high, panel.xlabel)
    ax.tick_params(which="both", direction="in", labelsize=10)


def _number_axis(ax, low: float, high: float, text: str) -> None:
    """Ticks of a linear x axis without an offset text: the power of ten joins the label."""
    from matplotlib.ticker import FixedFormatter, FixedLocator

    ticks, minor, exponent, _ = _ticks(low, high, False)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(FixedLocator(minor))
    ax.xaxis.set_major_formatter(FixedFormatter([_tick_text(tick, exponent) for tick in ticks]))
    power = rf"[$10^{{{exponent}}}$]" if exponent else ""
    ax.set_xlabel("  ".join(part for part in (text, power) if part), fontsize=11)


def _draw_spectra_key(made, panels: Sequence[_Panel], top: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = []
    if any(panel.observed is not None for panel in panels):
        handles.append(Line2D([], [], color=INK, marker="o", ms=5, lw=0, mec="white", mew=0.5, label="data"))
    handles += [
        Patch(facecolor=BANDS[0], lw=0, label="posterior 68%"),
        Patch(facecolor=BANDS[1], lw=0, label="95%"),
    ]
    if any(panel.truth is not None for panel in panels):
        handles.append(Line2D([], [], color=ORANGE, lw=1.3, ls=(0, (4, 2)), label="truth"))
    if any(panel.standard_model is not None for panel in panels):
        handles.append(Line2D([], [], color=INK, lw=1.2, ls=(0, (1, 1.5)), label="Standard Model"))
    made.legend(
        handles=handles,
        ncols=len(handles),
        loc="upper center",
        bbox_to_anchor=(0.5, 1.0),
        fontsize=10.5,
        columnspacing=1.4,
        handlelength=1.8,
        borderaxespad=0.3,
    )
