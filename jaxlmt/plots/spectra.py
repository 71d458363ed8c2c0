"""The data of every experiment and what the posterior expects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .. import results
from .style import BANDS, INK, MEDIAN, ORANGE, figure, number_axis, style

_NOTHING = 0.01  # counts


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
    single bin is a measured value: a point with its interval, the bands below. Bins at the upper end in
    which nothing is seen or expected, below 0.01 counts, are left out. Returns a Figure;
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
    with style():
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
        self._leave_out_what_is_empty()
        has_model = self.standard_model is not None and self.bins > 1
        self.ratio = has_model and bool(np.all(self.standard_model > 0))

    def _leave_out_what_is_empty(self):
        """Bins above the last one, but for the first two, in which anything is seen or expected."""
        arrays = [*self.quantiles, self.observed, self.truth, self.standard_model]
        most = np.max([a for a in arrays if a is not None], axis=0)
        stop = max(2, 1 + int(np.max(np.nonzero(most > _NOTHING)[0], initial=0)))
        if stop >= self.bins:
            return
        self.bins, self.edges = stop, self.edges[: stop + 1]
        self.quantiles = self.quantiles[:, :stop]
        for name in ("observed", "truth", "standard_model", "errors"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name)[..., :stop])

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
    number_axis(ax, low, high, panel.xlabel)
    ax.tick_params(which="both", direction="in", labelsize=10)


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
