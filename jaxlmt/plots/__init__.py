"""Publishable figures: of a posterior, of what it says about the data, of profile likelihoods.

Every function returns a `matplotlib.figure.Figure` without pyplot: it needs no display, may be made
in a thread, and shows itself when a notebook cell returns it. Axes are in data coordinates, so that
a caller may draw into them.
"""

from .contours import contours
from .corner import common_variables, compare, corner
from .spectra import spectra
from .style import figure, figure_class, label

__all__ = ["common_variables", "compare", "contours", "corner", "figure", "label", "spectra"]


def __getattr__(name: str):
    if name == "Figure":  # made on first use, because matplotlib takes half a second
        return figure_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
