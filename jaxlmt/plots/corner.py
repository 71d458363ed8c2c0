"""All one- and two-dimensional marginals of a posterior, or of several on the same axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import results
from .density import Axis, density_1d, density_2d
from .style import (
    BANDS,
    BLUE,
    COLOURS,
    GREY,
    INK,
    ORANGE,
    check_levels,
    exponent_of,
    figure,
    label,
    style,
    symbol,
    tick_positions,
    tick_text,
    times,
)


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
    levels = check_levels(levels)
    posterior = results.draws(container)
    if isinstance(variables, str):
        variables = [variables]
    names = _default_variables(posterior) if variables is None else list(variables)
    _check_variables(names, posterior)
    points = _truth_values(truth, names, posterior)
    table = results.summary(container, prob=levels[0], limit_prob=levels[-1], bounds=bounds, variables=names)
    box = results.attributes(container).get("bounds", {}) if bounds is None else bounds
    axes = [Axis(name, posterior[name], table[name], box.get(name), points.get(name)) for name in names]
    with style():
        return _draw_corner(axes, levels, table.diagnostics)


def _check_variables(names: Sequence[str], posterior: Mapping[str, np.ndarray]) -> None:
    for name in names:
        if name not in posterior:
            raise ValueError(f"variables: got {name!r}; the posterior has {sorted(posterior)}")
        if np.ptp(posterior[name]) == 0:
            raise ValueError(f"variables: {name!r} is fixed in this posterior; choose others")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"variables: got {names}; it needs at least one that varies, each of them once")


def _default_variables(posterior: Mapping[str, np.ndarray]) -> list[str]:
    varying = [name for name in posterior if np.ptp(posterior[name]) > 0]
    model = [name for name, shown in results.DISPLAY.items() if name in varying and not shown.nuisance]
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


def _triangle(axes: Sequence[Axis]):
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


def _draw_corner(axes: Sequence[Axis], levels: Sequence[float], quality):
    made, panels, anchor = _triangle(axes)
    colours = BANDS[: len(levels)]
    for ax, horizontal, vertical in panels:
        if horizontal is vertical:
            _draw_marginal(ax, vertical, levels, colours)
        else:
            _draw_pair(ax, horizontal, vertical, levels, colours)
    prediction = any([_draw_prediction(*panel) for panel in panels])
    _draw_key(made, axes, levels, colours, prediction, quality, anchor)
    return made


def _draw_prediction(ax, horizontal: Axis, vertical: Axis) -> bool:
    """What Lmu-Ltau predicts, where a panel can show it."""
    if (horizontal.name, vertical.name) != ("g_x", "eps_x"):
        return False
    g = np.geomspace(*horizontal.limits, 200)
    ax.plot(g, -g / 70, "--", color=INK, lw=1.2, zorder=4)
    return True


def _draw_marginal(ax, axis: Axis, levels, colours) -> None:
    u, density = density_1d(axis)
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
    exponent = tick_positions(*axis.limits, axis.log)[2]
    if axis.log and axis.row.limit is not None:  # the axis may span decades
        exponent = exponent_of(axis.row.limit)
    ax.set_title(_quote(axis.row, levels[-1], exponent), fontsize=11, pad=6)


def _region(axis: Axis, level: float) -> tuple[float, float]:
    """What a one-dimensional panel shades, in u: the HPD interval, or the side a limit leaves."""
    if axis.row.open == "both":
        return axis.edges
    if axis.row.open == "low":
        return axis.edges[0], float(np.quantile(axis.u, level))
    if axis.row.open == "high":
        return float(np.quantile(axis.u, 1 - level)), axis.edges[1]
    return results.hdi(axis.u, level)


def _regions(horizontal: Axis, vertical: Axis, levels):
    """(x, y, density [y, x], its values on the boundaries of the HPD regions, the largest region first)."""
    u, v, density, at_draws = density_2d(horizontal, vertical)
    thresholds = np.quantile(at_draws, [1 - level for level in reversed(levels)])
    return horizontal.back(u), vertical.back(v), density, thresholds


def _draw_pair(ax, horizontal: Axis, vertical: Axis, levels, colours) -> None:
    x, y, density, thresholds = _regions(horizontal, vertical, levels)
    peak = density.max()
    for threshold, colour in zip(thresholds, reversed(colours), strict=True):
        ax.contourf(x, y, density, [threshold, 2 * peak], colors=[colour], zorder=1)
        ax.contour(x, y, density, [threshold], colors=[BLUE], linewidths=0.8, zorder=2)
    _draw_truth(ax, horizontal, vertical, ORANGE)


def _draw_truth(ax, horizontal: Axis, vertical: Axis, colour: str) -> None:
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


def _scale(ax, axis: Axis, which: str, *, show: bool, panel: float) -> None:
    """Scale, range, ticks and label of one side of a panel of so many inches."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

    low, high = axis.limits
    ticks, minor, exponent, power = tick_positions(low, high, axis.log)
    if axis.log:
        getattr(ax, f"set_{which}scale")("log")
    getattr(ax, f"set_{which}lim")(low, high)
    side = ax.xaxis if which == "x" else ax.yaxis
    text = [rf"$10^{{{round(math.log10(tick))}}}$" if power else tick_text(tick, exponent) for tick in ticks]
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


def _quote(row: results.Row, limit_prob: float, exponent: int) -> str:
    """A row of a summary as LaTeX: `$M_{A^\\prime} = 101_{-9}^{+12}$ MeV`, or its limit.

    exponent: the power of ten taken out, that of the axis.
    """
    name, unit = symbol(row.name), f" {row.unit}" if row.unit else ""
    if row.open == "both":
        return f"{name} unconstrained"
    if row.limit is not None:
        number = f"{row.limit / 10.0**exponent:.3g}"
        sign = "<" if row.open == "low" else ">"
        return f"{name} ${sign} {number}{times(exponent)}${unit} ({100 * limit_prob:g}%)"
    low, high = row.interval
    minus, plus = row.median - low, high - row.median
    smaller = min(x for x in (minus, plus, high - low) if x > 0) / 10.0**exponent
    decimals = max(0, 1 - math.floor(math.log10(smaller)))
    if min(minus, plus) <= 0:  # so skewed that the median lies outside
        ends = [f"{x / 10.0**exponent:.{decimals}f}" for x in (low, high)]
        return f"{name} $\\in [{ends[0]}, {ends[1]}]{times(exponent)}${unit}"
    centre, minus, plus = (f"{x / 10.0**exponent:.{decimals}f}" for x in (row.median, minus, plus))
    number = rf"{centre}_{{-{minus}}}^{{+{plus}}}"
    if exponent:
        number = f"({number})" + times(exponent)
    return f"{name} $= {number}${unit}"


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
    levels = check_levels(levels)
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
            runs[name].append(Axis(v, posteriors[name][v], row, box, points.get(v)))
        same = [run[-1] for run in runs.values()]
        view = min(axis.view[0] for axis in same), max(axis.view[1] for axis in same)
        for axis in same:
            axis.view = view
    failed = [name for name, table in tables.items() if not table.diagnostics.passed]
    with style():
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


def _draw_comparison(runs: Mapping[str, Sequence[Axis]], levels: Sequence[float], failed: Sequence[str]):
    from matplotlib.patches import Patch

    axes = next(iter(runs.values()))
    made, panels, anchor = _triangle(axes)
    numbers = {axis.name: i for i, axis in enumerate(axes)}
    alphas = np.linspace(0.35, 0.10, len(levels))
    for ax, horizontal, vertical in panels:
        i, j = numbers[horizontal.name], numbers[vertical.name]
        for run, colour in zip(runs.values(), COLOURS, strict=False):
            if i == j:
                u, density = density_1d(run[i])
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
    return made
