"""Regions of two parameters from profile likelihoods."""

from collections.abc import Mapping

import numpy as np

from ..experiments.gminus2 import GMinus2
from ..inference.intervals import ONE_SIGMA, TWO_SIGMA, delta_chi2
from ..inference.profile import Profile
from ..validation import check_theta, choose
from .style import BLUE, GREEN, GREY, INK, ORANGE, check_levels, figure, frame, label, style

PALETTE = (BLUE, ORANGE, "#CC79A7", "#E69F00", "#56B4E9", "#882255", GREY)
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))
LIMIT, LIMIT_DASHES = 0.9, (0, (6, 1.5, 1, 1.5))


def contours(
    scans,
    *,
    levels=(ONE_SIGMA, TWO_SIGMA),
    filled=None,
    limits=(),
    truth=None,
    best=False,
    band=None,
    title="",
    ax=None,
):
    """Regions of two parameters from one profile likelihood or several, in one picture.

    scans: a :class:`jaxlmt.Profile`, or {label: Profile}, one to seven with the same two parameters;
    levels: one to three increasing probabilities, solid, dashed and dotted; filled: label of the scan
    whose regions are filled instead of outlined, a single one by default; limits: label or labels of
    scans of which only the 90% upper limit on y is drawn, dash-dotted; truth: a
    :class:`jaxlmt.HiddenPhoton`, drawn as a star; best: mark the best fits with crosses; band: a (g-2)_mu
    experiment (:func:`jaxlmt.gminus2`), whose 2 sigma band is shaded where the parameters are mass and
    g_x; ax: axes to draw into. A region that is not closed inside the grid ends at the frame. Returns a
    Figure. Raises ValueError for invalid arguments.
    """
    levels = check_levels(levels)
    scans = {"": scans} if isinstance(scans, Profile) else scans
    limits = [limits] if isinstance(limits, str) or np.ndim(limits) == 0 else limits
    first = _check_scans(scans)
    filled = next(iter(scans)) if filled is None and len(scans) == 1 else filled
    for argument, name in (("filled", filled), *(("limits", name) for name in limits)):
        if name is not None:
            choose(argument, name, scans)
    _check_band(band, first)
    if truth is not None:
        check_theta(truth, "truth")
    with style():
        made = figure(5.4, 4.4) if ax is None else ax.figure
        ax = made.add_axes((0.13, 0.13, 0.84, 0.80)) if ax is None else ax
        _scales(ax, first)
        colours = _colours(scans, filled)
        handles = [] if band is None else [_draw_band(ax, first, band)]
        thresholds = [delta_chi2(level, 2) for level in levels]
        for name, scan in scans.items():
            if name in limits:
                limit = scan.upper_limit(LIMIT)
                ax.plot(scan.x_values, limit, color=colours[name], lw=1.4, ls=LIMIT_DASHES, zorder=4)
            else:
                _draw_regions(ax, scan, thresholds, colours[name], fill=name == filled)
            if best:
                ax.plot(*_point(scan.theta, scan), marker="x", ms=6, mew=1.4, color=colours[name], zorder=6)
        handles += _key(scans, colours, filled, limits, levels)
        if truth is not None:
            star = {"marker": "*", "ms": 13, "mfc": "white", "mec": INK, "mew": 1.0, "ls": "", "zorder": 7}
            handles += ax.plot(*_point(truth, first), label="truth", **star)
        ax.set_title(title, fontsize=12, pad=6)
        ax.legend(
            handles=handles, fontsize=9.5, handlelength=2.2, frameon=True, framealpha=0.9, edgecolor="none"
        )
    return made


def _check_scans(scans):
    if not isinstance(scans, Mapping):
        raise ValueError(f"scans must be a jaxlmt.Profile or a dict of them; got {scans!r}")
    if not 1 <= len(scans) <= len(PALETTE):
        raise ValueError(f"scans must be one to {len(PALETTE)} profiles; got {len(scans)}")
    for name, scan in scans.items():
        if not isinstance(scan, Profile):
            raise ValueError(f"scans must be jaxlmt.Profile objects; got {scan!r} for {name!r}")
    first = next(iter(scans.values()))
    for scan in scans.values():
        if (scan.x, scan.y) != (first.x, first.y):
            raise ValueError(
                f"scans must share their parameters, {first.x} and {first.y}; got {scan.x} and {scan.y}"
            )
    return first


def _check_band(band, scan):
    if band is None:
        return
    if not isinstance(band, GMinus2):
        raise ValueError(f"band must be a (g-2)_mu experiment such as jaxlmt.gminus2(); got {band!r}")
    if (scan.x, scan.y) != ("mass", "g_x"):
        raise ValueError(f"band needs the plane of mass and g_x; got {scan.x} and {scan.y}")


def _scales(ax, scan):
    if scan.x_values[0] > 0.0:
        ax.set_xscale("log")
    if scan.y_values[0] > 0.0:
        ax.set_yscale("log")
    frame(ax, label(scan.x), label(scan.y), scan.x_values[[0, -1]])
    ax.set_ylim(*scan.y_values[[0, -1]])


def _colours(scans, filled):
    """{label: colour}; what is filled beside outlines is black, so that it stands out."""
    palette = iter(PALETTE)
    return {name: INK if name == filled and len(scans) > 1 else next(palette) for name in scans}


def _draw_regions(ax, scan, thresholds, colour, *, fill):
    grid = scan.x_values, scan.y_values, np.minimum(scan.delta.T, 4.0 * thresholds[-1])
    if fill:
        for threshold in thresholds:  # the inner ones lie upon the outer ones
            ax.contourf(*grid, levels=[-1.0, threshold], colors=[colour], alpha=0.22, zorder=2)
    dashes = list(DASHES[: len(thresholds)])
    ax.contour(*grid, levels=thresholds, colors=[colour], linewidths=1.4, linestyles=dashes, zorder=4)


def _draw_band(ax, scan, experiment):
    """The couplings within two standard deviations of the measured (g-2)_mu."""
    bottom, top = experiment.coupling_band(scan.x_values)
    shade = {"color": GREEN, "alpha": 0.25, "lw": 0, "zorder": 1}
    return ax.fill_between(scan.x_values, bottom, top, label=r"$(g-2)_\mu,\ 2\sigma$", **shade)


def _key(scans, colours, filled, limits, levels):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = []
    for name in scans:
        if name and name == filled:
            handles.append(Patch(facecolor=colours[name], alpha=0.4, label=name))
        elif name:
            handles.append(Line2D([], [], color=colours[name], lw=1.6, label=name))
    for level, dashes in zip(levels, DASHES, strict=False):
        handles.append(Line2D([], [], color=GREY, lw=1.2, ls=dashes, label=f"{100 * level:.3g}%"))
    if limits:
        handles.append(Line2D([], [], color=GREY, lw=1.2, ls=LIMIT_DASHES, label=f"{100 * LIMIT:g}% limit"))
    return handles


def _point(theta, scan):
    """Where ``theta`` lies in the plane of ``scan``."""
    return [_value(theta, scan.nuisances, name) for name in (scan.x, scan.y)]


def _value(theta, nuisances, name):
    if name in nuisances:
        return nuisances[name]
    if name == "eps_over_g":
        return theta.eps_x / theta.g_x
    for part in name.split("."):
        theta = getattr(theta, part)
    return theta
