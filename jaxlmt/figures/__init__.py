"""The figures of the papers, each one function; ``jaxlmt figure`` and the notebooks call :func:`draw`."""

from ..processes.bremsstrahlung import KERNELS
from ..validation import choose, number
from .amaral import FIGURES as _AMARAL
from .drees_zhao import FIGURES as _DREES_ZHAO
from .xenon import FIGURES as _XENON

FIGURES = {**_AMARAL, **_XENON, **_DREES_ZHAO}
DATA = ("asimov", "toy")


def draw(name, *, kernel="paper", data="asimov", seed=0, points=160):
    """(matplotlib figure, note) of the figure ``name``: ``"8"`` of 2104.03297, ``"dz3"`` of 2107.14528.

    kernel: ``"paper"`` for all choices of the paper, ``"ww"`` for those of jaxlmt; data: ``"asimov"``, what
    a benchmark is expected to give, or ``"toy"``, random counts with ``seed``; points: of either axis of a
    scan, 10 to 2000. The note says what differs from the printed figure, and why. Raises ValueError for
    unknown names or options, RuntimeError in float32.
    """
    check(name, kernel=kernel, data=data, seed=seed, points=points)
    return FIGURES[str(name)](kernel, data, int(seed), int(points))


def check(name, *, kernel, data, seed, points):
    """Raise the ValueError of :func:`draw` for wrong arguments, without drawing."""
    choose("figure", str(name), FIGURES)
    choose("kernel", kernel, KERNELS)
    choose("data", data, DATA)
    number("seed", seed, low=0, whole=True)
    number("points", points, low=10, high=2000, whole=True)
