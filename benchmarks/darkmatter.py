"""Relic density by formula and Boltzmann equation: ours in batches, and scipy one point at a time."""

import functools
import os
import time

if hasattr(os, "sched_setaffinity"):  # one core, before anything makes threads
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import numpy as np

import jaxlmt as lmt
from tests.validation import relic

from . import problem
from .reference import darkmatter

TITLE = "Relic density, on one core"
COLUMNS = ("", "points", "compile [s]", "per point [us]", "over ours")
POINTS = 1000


def points(n):
    """g_x, M_A', m_psi, q_psi, (n,) each: m_psi from 0.2 to 0.7 M_A', across the pole."""
    random = np.random.default_rng(0)
    coupling = np.exp(random.uniform(np.log(1e-4), np.log(1e-3), n))
    mass = random.uniform(10.0, 60.0, n)
    return coupling, mass, mass * random.uniform(0.2, 0.7, n), random.uniform(0.5, 2.0, n)


@functools.partial(jax.jit, static_argnames="method")
def gradient(theta, method):
    """Gradients of Omega h^2 at every point."""
    return jax.grad(lambda theta: lmt.relic_density(theta, method=method).sum())(theta)


def boltzmann(g_x, mass, dm_mass, charge):
    """The calculation that the tests compare with, at the accuracy of ours: 1e-6, by scipy's BDF."""
    return relic.relic_density(relic.Point(g_x, mass, dm_mass, charge), rtol=1e-6, points=800, method="BDF")


def by_scipy(function, n):
    """Seconds a point."""
    started = time.perf_counter()
    for point in zip(*(parameter[:n] for parameter in points(POINTS))):
        function(*point)
    return (time.perf_counter() - started) / n


def rows():
    """For either method value, gradient and scipy; for the formula the mass that gives 0.12."""
    lmt.enable_x64()
    theta = lmt.batch(lmt.DarkMatter(*points(POINTS)))
    for method, reference, n in (("formula", darkmatter.relic_density, 20), ("boltzmann", boltzmann, 10)):
        measured = {
            method: functools.partial(lmt.relic_density, theta, method=method),
            "its gradient": functools.partial(gradient, theta, method),
        }
        if method == "formula":
            wanted = functools.partial(lmt.dm_mass_for_relic_density, theta, branch="above")
            measured["m_psi above the pole for 0.12"] = wanted
        base = None
        for label, function in measured.items():
            first, again = problem.timed(function)
            base = again if base is None else base
            yield label, POINTS, f"{first:.2f}", f"{again / POINTS * 1e6:.3g}", f"{again / base:.3g}"
        each = by_scipy(reference, n)
        yield f"{method}, scipy", n, "", f"{each * 1e6:.3g}", f"{each / base * POINTS:.0f}"
