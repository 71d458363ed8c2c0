"""By adaptive quadrature, one point at a time: the calculation that the tests compare with."""

import functools

import numpy as np

from tests.validation import independent as exact

from . import physics


@functools.cache
def background(name):
    """A tenth of the Standard Model's counts."""
    return [0.1 * n for n in exact.spallation_counts(0.0, 1.0, 0.0, exact.LMU_LTAU, name)]


def log_likelihood(counts, g_x, mass, eps_x):
    """Arrays (n,) in, (n,) out."""
    return np.array([_one(counts, *map(float, theta)) for theta in zip(g_x, mass, eps_x)])


def _one(counts, *theta):
    theta = *theta, exact.LMU_LTAU
    pull = (counts["gminus2"][0] - exact.delta_a_mu(*theta[:2])) / physics.SIGMA_DELTA_A
    total = -0.5 * pull**2
    predicted = exact.na64mu_counts(*theta, "ww")
    total += sum(map(exact.poisson_log_ratio, counts["na64mu"], predicted))
    for name in exact.DETECTORS:
        theory, noise = exact.spallation_counts(*theta, name), background(name)
        observed = [n - b for n, b in zip(counts[name], noise)]
        total -= 0.5 * exact.chi2_eq34(observed, theory, noise, exact.SIGMA_SYS[name])
    return total
