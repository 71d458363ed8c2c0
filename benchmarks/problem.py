"""What is measured: the likelihood of ``jaxlmt reconstruct``, random points, and how a time is taken."""

import statistics
import time

import jax
import numpy as np

import jaxlmt as lmt

REPEATS = 5


def joint():
    """(g-2)_mu as measured, and the data that BP1 gives on average at NA64mu and four CEvNS detectors."""
    lmt.enable_x64()
    truth = lmt.benchmark("BP1")
    detectors = [lmt.na64mu(), lmt.cenns610(), lmt.ccm(), lmt.ess(), lmt.ess10()]
    return lmt.Joint([lmt.gminus2().observe(), *(d.asimov(truth) for d in detectors)])


def points(n):
    """g_x, M_A' [MeV] and eps_x, (n,) each, at random in the default box of the prior."""
    random = np.random.default_rng(0)
    coupling = np.exp(random.uniform(np.log(1e-5), np.log(1e-2), n))
    mass = np.exp(random.uniform(np.log(1.0), np.log(1e3), n))
    return coupling, mass, coupling * random.uniform(-0.3, 0.3, n)


def timed(function, repeats=REPEATS):
    """(seconds of the first call less that of a later one, median seconds of ``repeats`` later ones)."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - started)
    typical = statistics.median(seconds[1:])
    return max(seconds[0] - typical, 0.0), typical
