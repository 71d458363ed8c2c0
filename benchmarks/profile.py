"""Profile likelihoods on a grid, programs compiled anew in every run."""

import statistics
import time

import jax

import jaxlmt as lmt

from . import problem

TITLE = "Profile likelihood on 400 x 400 points, cold"
COLUMNS = ("", "median [s]", "runs [s]")
POINTS = 400


def rows():
    """The mixing tied, then free with sampled normalisations, both profiled in every point."""
    joint, tied = problem.joint(), lmt.TiedToCoupling(-1.0 / 70.0)
    cases = (
        ("eps tied, pulls in closed form", lmt.default_prior(mixing=tied), "profiled", problem.REPEATS),
        ("eps and sampled pulls profiled", lmt.default_prior(), "sampled", 1),
    )
    for label, prior, systematics, repeats in cases:
        seconds = []
        for _ in range(repeats):
            jax.clear_caches()
            started = time.perf_counter()
            lmt.profile(joint, prior, points=POINTS, systematics=systematics)
            seconds.append(time.perf_counter() - started)
        yield label, f"{statistics.median(seconds):.1f}", ", ".join(f"{s:.1f}" for s in seconds)
