"""Relic density by the formula: ours in batches, and scipy's quadrature one point at a time."""

import os
import time

if hasattr(os, "sched_setaffinity"):  # one core, before anything makes threads
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import numpy as np

import jaxlmt as lmt

from . import problem
from .reference import darkmatter

TITLE = "Relic density, on one core"
COLUMNS = ("", "points", "compile [s]", "per point [us]", "over ours")
POINTS, SCIPY_POINTS = 1000, 20


def points(n):
    """g_x, M_A', m_psi, q_psi, (n,) each: m_psi from 0.2 to 0.7 M_A', across the pole."""
    random = np.random.default_rng(0)
    coupling = np.exp(random.uniform(np.log(1e-4), np.log(1e-3), n))
    mass = random.uniform(10.0, 60.0, n)
    return coupling, mass, mass * random.uniform(0.2, 0.7, n), random.uniform(0.5, 2.0, n)


def rows():
    """Value, its gradient, the mass that gives the observed density, and scipy."""
    lmt.enable_x64()
    theta = lmt.DarkMatter(*points(POINTS))
    gradient = jax.jit(lambda theta: jax.grad(lambda theta: lmt.relic_density(theta).sum())(theta))
    arrays = lmt.batch(theta)
    measured = (
        ("formula", lambda: lmt.relic_density(theta)),
        ("its gradient", lambda: gradient(arrays)),
        ("m_psi above the pole for 0.12", lambda: lmt.dm_mass_for_relic_density(theta, branch="above")),
    )
    base = None
    for label, function in measured:
        first, again = problem.timed(function)
        base = again if base is None else base
        yield label, POINTS, f"{first:.2f}", f"{again / POINTS * 1e6:.3g}", f"{again / base:.3g}"
    started = time.perf_counter()
    for point in zip(*(parameter[:SCIPY_POINTS] for parameter in points(POINTS))):
        darkmatter.relic_density(*point)
    each = (time.perf_counter() - started) / SCIPY_POINTS
    yield "scipy", SCIPY_POINTS, "", f"{each * 1e6:.3g}", f"{each / base * POINTS:.0f}"
