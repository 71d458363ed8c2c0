"""Effective draws a second: our sampler against emcee on the same jitted log density."""

import statistics
import time

import emcee
import jax
import numpy as np

import jaxlmt as lmt
from jaxlmt.inference.fit import STARTS, covariance_from, curvature, minimise, starting_points
from jaxlmt.inference.target import make_target

from . import problem

TITLE = "Sampling the posterior of three parameters"
COLUMNS = ("", "compile [s]", "search [s]", "sampling [s]", "smallest ESS", "ESS a second", "ours over it")
WALKERS, STEPS, BURN, SINGLE = 64, 3000, 500, 50


@jax.jit
def _density(target, z):
    return target.log_density(z)


@jax.jit
def _densities(target, z):
    return jax.vmap(target.log_density)(z)


def _nuts(joint, prior, key):
    """(whole, search, sampling seconds, smallest bulk ESS) of one call of :func:`jaxlmt.sample`."""
    started = time.perf_counter()
    posterior = lmt.sample(joint, prior, key=key, progress=False)
    whole = time.perf_counter() - started
    seconds = lmt.results.attributes(posterior)["seconds"]
    ess = min(lmt.diagnostics(posterior).ess_bulk.values())
    return whole, seconds["fit"], seconds["sample"], ess


def _emcee(target, optimum, seed, steps, *, vectorised):
    """(seconds, the sampler) after ``steps`` from a cloud like the posterior around its mode."""
    random = np.random.default_rng(seed)
    factor = np.linalg.cholesky(covariance_from(curvature(target, optimum.y)))
    start = optimum.y + random.normal(size=(WALKERS, optimum.y.size)) @ factor.T
    function = _densities if vectorised else _density
    sampler = emcee.EnsembleSampler(
        *start.shape, lambda z: np.asarray(function(target, z)), vectorize=vectorised
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    started = time.perf_counter()
    sampler.run_mcmc(start, steps)
    return time.perf_counter() - started, sampler


def _effective(sampler):
    """Smallest effective number of the draws after BURN."""
    return (STEPS - BURN) * WALKERS / np.max(sampler.get_autocorr_time(discard=BURN, tol=0))


def rows():
    """Medians of five runs with warm programs. emcee starts from our optimum and its covariance, for free."""
    joint, prior = problem.joint(), lmt.default_prior()
    first, *_ = _nuts(joint, prior, jax.random.key(0))
    ours = [_nuts(joint, prior, jax.random.key(i)) for i in range(problem.REPEATS)]
    compiling = first - statistics.median(run[0] for run in ours)
    search, sampling, ess = (statistics.median(column) for column in list(zip(*ours))[1:])
    speed = statistics.median(run[3] / (run[1] + run[2]) for run in ours)
    yield _row("jaxlmt.sample, 4 chains of 5400", compiling, search, sampling, ess, speed, speed)

    target = jax.device_put(make_target(joint, prior))
    optimum = minimise(target, starting_points(target, jax.random.key(0), STARTS))
    started = time.perf_counter()
    _emcee(target, optimum, 0, 1, vectorised=True)
    compiling = time.perf_counter() - started
    runs = [_emcee(target, optimum, i, STEPS, vectorised=True) for i in range(problem.REPEATS)]
    sampling = statistics.median(run[0] for run in runs)
    ess = statistics.median(_effective(run[1]) for run in runs)
    label = f"emcee, {WALKERS} walkers of {STEPS}"
    yield _row(f"{label}, half of them a call", compiling, 0.0, sampling, ess, ess / sampling, speed)

    # As emcee is used unless told otherwise: the same chains, timed on a few steps.
    started = time.perf_counter()
    _emcee(target, optimum, 0, 1, vectorised=False)
    compiling = time.perf_counter() - started
    short = [_emcee(target, optimum, i, SINGLE, vectorised=False)[0] for i in range(problem.REPEATS)]
    sampling = statistics.median(short) * STEPS / SINGLE
    yield _row(f"{label}, one a call", compiling, 0.0, sampling, ess, ess / sampling, speed)


def _row(label, compiling, search, sampling, ess, speed, ours):
    seconds = (f"{value:.2f}" for value in (compiling, search, sampling))
    return label, *seconds, f"{ess:.0f}", f"{speed:.0f}", f"{ours / speed:.1f}"
