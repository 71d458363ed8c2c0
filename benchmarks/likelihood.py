"""Cost per point of the joint log-likelihood and its gradient, against the same physics without JAX."""

import numpy as np

import jaxlmt as lmt
from jaxlmt.inference.target import make_target, potentials_and_gradients

from . import problem
from .reference import adaptive, folded, unfolded

TITLE = "Log-likelihood of six experiments"
COLUMNS = ("", "points", "compile or fold [s]", "per point [us]", "over ours")
POINTS, FEW = 100_000, 2_000


def rows():
    """Ours, then NumPy folded, NumPy on grids, adaptive quadrature; medians of five."""
    joint = problem.joint()
    counts = {o.name: np.asarray(o.counts) for o in joint.observations}
    many, few = problem.points(POINTS), problem.points(FEW)
    theta, target = lmt.HiddenPhoton(*many), make_target(joint, lmt.default_prior())
    z = np.random.default_rng(1).normal(size=(POINTS, target.dimension))
    rare = [a[:1] for a in few]
    measured = (
        ("log-likelihood", POINTS, lambda: joint.log_likelihood(theta, systematics="profiled")),
        ("log density and gradient", POINTS, lambda: potentials_and_gradients(target, z)),
        ("NumPy, folded, in batches", FEW, lambda: folded.log_likelihood(counts, *few)),
        ("NumPy on grids, in batches", FEW, lambda: unfolded.log_likelihood(counts, *few)),
        ("adaptive quadrature", 1, lambda: adaptive.log_likelihood(counts, *rare)),
    )
    ours = None
    for label, n, function in measured:
        first, again = problem.timed(function)
        ours = again / n if ours is None else ours
        yield label, n, f"{first:.2f}", f"{again / n * 1e6:.3g}", f"{again / n / ours:.3g}"
