"""What all pictures share: style, palette, figures without pyplot, labels and ticks."""

from __future__ import annotations

import io
import math
import threading
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

import numpy as np

from .. import results
from ..validation import values

# Okabe and Ito's palette: distinct for every kind of colour vision, and in grey
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
BANDS = ("#0072B2", "#8CC3E6", "#D3E8F5")  # innermost region first
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", GREY)  # of what stands side by side
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
def style():
    import matplotlib as mpl

    with _lock, mpl.rc_context(STYLE):
        yield


@cache
def figure_class():
    from matplotlib.figure import Figure as Base

    class Figure(Base):
        """A matplotlib figure in our style, that a notebook shows whatever backend is active."""

        def draw(self, renderer):
            with style():  # ticks and their texts are made when they are drawn first
                super().draw(renderer)

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    # pickled by this name: the package makes the class on first use
    Figure.__module__, Figure.__qualname__ = __package__, "Figure"
    return Figure


def figure(width: float, height: float):
    """An empty figure of width x height inches at 160 dpi, with an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    made = figure_class()(figsize=(width, height), dpi=160, facecolor="white")
    FigureCanvasAgg(made)
    return made


def label(name: str, *, exponent: int = 0) -> str:
    """Axis label of a variable, `$\\epsilon_x$ [$10^{-6}$]` for exponent -6 (units in MeV).

    A name that `results.DISPLAY` does not know is its own label.
    """
    unit = results.DISPLAY[name].unit if name in results.DISPLAY else ""
    factor = rf"$10^{{{exponent}}}$" if exponent else ""
    inside = r"$\,$".join(part for part in (factor, unit) if part)
    return f"{symbol(name)}  [{inside}]" if inside else symbol(name)


def symbol(name: str) -> str:
    if name not in results.DISPLAY:
        return name
    # matplotlib sets a superscript prime too small and too far away
    return f"${results.DISPLAY[name].symbol}$".replace(r"^\prime", "\N{PRIME}")


def check_levels(levels) -> tuple[float, ...]:
    found = tuple(np.atleast_1d(values("levels", levels)).tolist())
    increasing = all(a < b for a, b in pairwise(found))
    if not 1 <= len(found) <= 3 or not increasing or found[0] <= 0 or found[-1] >= 1:
        raise ValueError(f"levels: got {levels!r}; allowed are one to three increasing numbers inside (0, 1)")
    return found


def tick_positions(low: float, high: float, log: bool):
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
    exponent = exponent_of(max(abs(t) for t in major))
    power = bool(exponent) and log and high / low > 5 and steps == (1,)
    return major, minor, exponent, power


def tick_text(value: float, exponent: int) -> str:
    return f"{value / 10.0**exponent:.6g}".replace("-", "\N{MINUS SIGN}")


def exponent_of(size: float) -> int:
    """Power of ten taken out of a number for display: none for 0.02 ... 10^4, else 2 ... 20."""
    if 0.02 <= size < 1e4 or size == 0:
        return 0
    return math.floor(math.log10(size / 2) + 1e-9)


def times(exponent: int) -> str:
    return rf"\times 10^{{{exponent}}}" if exponent else ""


def number_axis(ax, low: float, high: float, text: str) -> None:
    """Ticks of a linear x axis without an offset text: the power of ten joins the label."""
    from matplotlib.ticker import FixedFormatter, FixedLocator

    ticks, minor, exponent, _ = tick_positions(low, high, False)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(FixedLocator(minor))
    ax.xaxis.set_major_formatter(FixedFormatter([tick_text(tick, exponent) for tick in ticks]))
    power = rf"[$10^{{{exponent}}}$]" if exponent else ""
    ax.set_xlabel("  ".join(part for part in (text, power) if part), fontsize=11)


def frame(ax, x: str, y: str, limits) -> None:
    """Labels, range of x and ticks that point inwards on all four sides."""
    ax.set_xlim(*limits)
    ax.set_xlabel(x, fontsize=12)
    ax.set_ylabel(y, fontsize=12)
    ax.tick_params(which="both", direction="in", top=True, right=True, labelsize=10)


def plain_decades(ax) -> None:
    """Ticks of a logarithmic y axis at 1, 2 and 5 times powers of ten, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def plain_ticks(axis, ticks) -> None:
    """Ticks of an x or y axis where they are told to be, as plain numbers, and no others."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def line_key(**properties):
    """A line that is drawn in a legend alone."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **properties)
