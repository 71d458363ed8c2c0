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
COLUMNS = ("", "compile [s]", "search [s]", "sampling [s]", "smallest ESS", "ESS a second", "over emcee")
WALKERS, STEPS, BURN = 64, 3000, 500


@jax.jit
def _density(target, z):
    return jax.vmap(target.log_density)(z)


def _nuts(joint, prior, key):
    """(whole, search, sampling seconds, smallest ESS) of one call of :func:`jaxlmt.sample`."""
    started = time.perf_counter()
    posterior = lmt.sample(joint, prior, key=key, progress=False)
    whole = time.perf_counter() - started
    seconds = lmt.results.attributes(posterior)["seconds"]
    return whole, seconds["fit"], seconds["sample"], lmt.diagnostics(posterior).smallest_ess


def _emcee(target, centre, factor, seed):
    """(sampling seconds, smallest ESS): all steps count as time, those after BURN as draws."""
    random = np.random.default_rng(seed)
    start = centre + random.normal(size=(WALKERS, centre.size)) @ factor.T
    sampler = emcee.EnsembleSampler(
        WALKERS, centre.size, lambda z: np.asarray(_density(target, z)), vectorize=True
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    started = time.perf_counter()
    sampler.run_mcmc(start, STEPS)
    seconds = time.perf_counter() - started
    tau = sampler.get_autocorr_time(discard=BURN, tol=0)
    return seconds, (STEPS - BURN) * WALKERS / np.max(tau)


def rows():
    """Medians of five runs with warm programs. emcee starts at our optimum and its covariance, for free."""
    joint, prior = problem.joint(), lmt.default_prior()
    first, *_ = _nuts(joint, prior, jax.random.key(0))
    ours = [_nuts(joint, prior, jax.random.key(i)) for i in range(problem.REPEATS)]
    compiling = first - statistics.median(run[0] for run in ours)
    search, sampling, ess = (statistics.median(column) for column in list(zip(*ours))[1:])
    speed = statistics.median(run[3] / (run[1] + run[2]) for run in ours)

    target = jax.device_put(make_target(joint, prior))
    optimum = minimise(target, starting_points(target, jax.random.key(0), STARTS))
    factor = np.linalg.cholesky(covariance_from(curvature(target, optimum.y)))
    started = time.perf_counter()
    for walkers in (WALKERS, WALKERS // 2):  # the shapes that emcee asks for
        jax.block_until_ready(_density(target, np.zeros((walkers, optimum.y.size))))
    their_compiling = time.perf_counter() - started
    theirs = [_emcee(target, optimum.y, factor, i) for i in range(problem.REPEATS)]
    seconds, their_ess = (statistics.median(column) for column in zip(*theirs))
    their_speed = statistics.median(run[1] / run[0] for run in theirs)
    yield (
        "jaxlmt.sample, 4 chains of 5400",
        *(f"{v:.2f}" for v in (compiling, search, sampling)),
        *(f"{ess:.0f}", f"{speed:.0f}", f"{speed / their_speed:.1f}"),
    )
    yield (
        f"emcee, {WALKERS} walkers of {STEPS}",
        *(f"{their_compiling:.2f}", "", f"{seconds:.2f}"),
        *(f"{their_ess:.0f}", f"{their_speed:.0f}", "1"),
    )
