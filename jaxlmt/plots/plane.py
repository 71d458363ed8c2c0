"""The plane of a mass and a coupling: regions, lines and their names, written where they are."""

import numpy as np

from .style import figure, frame, style


def plane(x_label, y_label, x_range, y_range, *, size=(7.4, 5.8)):
    """(figure, axes) with logarithmic axes over the two ranges."""
    with style():
        made = figure(*size)
        ax = made.add_axes((0.105, 0.10, 0.875, 0.875))
        ax.set(xscale="log", yscale="log", ylim=y_range)
        frame(ax, x_label, y_label, x_range)
    return made, ax


def region(ax, x, y, value, *, low, high, colour, alpha=0.25, edge=0.0, zorder=2):
    """Shade where ``low`` < ``value`` < ``high``; value (len(y), len(x)), edge: width of the line around it.

    Either bound may be infinite, and then has no line.
    """
    value = np.clip(np.nan_to_num(value, nan=-1e300), -1e300, 1e300)
    levels = [max(low, -1e301), min(high, 1e301)]
    ax.contourf(x, y, value, levels=levels, colors=[colour], alpha=alpha, zorder=zorder)
    finite = [level for level in (low, high) if np.isfinite(level)]
    if edge:
        ax.contour(x, y, value, levels=finite, colors=[colour], linewidths=edge, zorder=zorder + 1)


def level(ax, x, y, value, *, at, colour, dashes="-", width=1.6, zorder=4):
    """A line where ``value`` (len(y), len(x)) is ``at``."""
    lines = {"colors": [colour], "linestyles": [dashes], "linewidths": width, "zorder": zorder}
    ax.contour(x, y, np.asarray(value), levels=[at], **lines)


def write(ax, text, x, y, *, colour, angle=0.0, size=10.5, **options):
    """``text`` at a point of the plane, with a white rim so that it is read on anything."""
    from matplotlib.patheffects import withStroke

    with style():
        ax.text(
            x,
            y,
            text,
            color=colour,
            rotation=angle,
            fontsize=size,
            zorder=9,
            path_effects=[withStroke(linewidth=2.6, foreground="white", alpha=0.85)],
            **{"ha": "center", "va": "center", **options},
        )
