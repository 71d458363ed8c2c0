"""Memory that a million evaluations take."""

import resource
import sys
from functools import partial

import numpy as np

import jaxlmt as lmt
from jaxlmt.inference.target import make_target, potentials_and_gradients

from . import problem

TITLE = "Memory of a million points"
COLUMNS = ("", "seconds", "growth of the process [MiB]")
POINTS = 1_000_000


def _peak():
    """Largest resident memory so far [MiB]."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def rows():
    """Gradients, then values: how far each raises the peak; compilation left out."""
    joint = problem.joint()
    target = make_target(joint, lmt.default_prior())
    theta = problem.points(POINTS)
    z = np.random.default_rng(1).normal(size=(POINTS, target.dimension))
    cases = (
        ("log density and gradient", lambda n: potentials_and_gradients(target, z[:n])),
        ("log-likelihood", lambda n: joint.log_likelihood(lmt.HiddenPhoton(*(a[:n] for a in theta)))),
    )
    for label, function in cases:
        problem.timed(partial(function, 1000), repeats=1)
        before = _peak()
        _, seconds = problem.timed(partial(function, POINTS), repeats=1)
        yield label, f"{seconds:.2f}", f"{_peak() - before:.0f}"
