"""Log-likelihood terms, each relative to a perfect description of the data, so that their maximum is 0.

-2 times a term is a deviance: Baker-Cousins for Poisson counts, chi^2 for Gaussian ones.
"""

import jax.numpy as jnp


def poisson_log_ratio(counts, mean):
    """Sum over bins of ln Poisson(n | mu) - ln Poisson(n | n); shapes (bins,), (bins,) -> ().

    -n (r - ln(1 + r)) with r = (mu - n)/n keeps its digits at the optimum; it is -mu for n = 0.
    A bin with n > 0 and mu = 0 gives -inf (gradient 0). Real-valued (Asimov) counts are allowed.
    """
    seen = counts > 0.0
    possible = mean > 0.0
    safe_counts = jnp.where(seen, counts, 1.0)
    safe_mean = jnp.where(possible, mean, 1.0)
    excess = (safe_mean - safe_counts) / safe_counts
    near = jnp.abs(excess) < 0.5
    far_log = jnp.log(jnp.where(near, 1.0, safe_mean / safe_counts))  # log1p has no digits near -1
    terms = -safe_counts * (excess - jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), far_log))
    terms = jnp.where(seen, jnp.where(possible, terms, -jnp.inf), -mean)
    return jnp.sum(terms)


def gaussian_log_ratio(observed, mean, variance):
    """-chi^2/2 of independent Gaussian bins; shapes (bins,) -> ()."""
    return -0.5 * jnp.sum((observed - mean) ** 2 / variance)


def normalisation_given(observed, mean, variance, norm, norm_std):
    """(mean, standard deviation) of the normalisation of :func:`normalisation_pull`, given the rest."""
    precision = 1.0 + norm_std**2 * jnp.sum(mean**2 / variance)
    pull = jnp.sum(mean * (observed - norm * mean) / variance) * norm_std**2 / precision
    return norm + pull, norm_std / jnp.sqrt(precision)


def normalisation_pull(observed, mean, variance, norm, norm_std):
    """Log-likelihood with a free normalisation, in closed form: 2104.03297, eq 34.

    ``mean`` (bins,) is multiplied by a nuisance with Gaussian constraint ``norm`` +- ``norm_std``. Returns
    (profile, volume): the maximum over it of -chi^2/2, constraint included, and the term to add for the
    *marginal* likelihood, -ln(1 + norm_std^2 S_tt)/2 with S_tt = sum mean^2/variance. The sum is taken
    at the minimum: the expanded form cancels.
    """
    best, _ = normalisation_given(observed, mean, variance, norm, norm_std)
    chi2 = jnp.sum((observed - best * mean) ** 2 / variance) + ((best - norm) / norm_std) ** 2
    return -0.5 * chi2, -0.5 * jnp.log1p(norm_std**2 * jnp.sum(mean**2 / variance))
