"""The function that is sampled, fitted and gridded: a log-density on R^d, with everything as arguments.

Coordinates: z (d,) -> y = ridge(z) -> (theta, nuisances). y are the unconstrained coordinates of prior and
nuisances, one each; the ridge is the identity until :mod:`.coordinates` has found a better one.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from ..distributions import Normal
from ..likelihood import Joint, analytic_terms, fixed_terms
from ..pytrees import pytree
from ..validation import choose, to_float64
from .priors import Prior
from .ridge import Ridge, identity

GPU_FACTOR = 64  # chunks of a CPU that a GPU takes at once
GRADIENT_CHUNK = 384  # points a chunk: what stays in cache, and all 48 x 8 trials of a search at once
MEANING_CHUNK = 512


@pytree
class Target:
    """Log-likelihood, prior and coordinates of one inference problem: a pytree, passed to every program.

    free: priors of the nuisances that are coordinates of their own (the others are eliminated in closed
    form or fixed). marginal: 1 for marginal, 0 for profile likelihood. prior_weight: 1 for a posterior, 0
    for a likelihood on the prior's box.
    """

    joint: Joint
    prior: Prior
    free: dict
    marginal: float
    prior_weight: float
    ridge: Ridge

    @property
    def names(self):
        """Names of the coordinates: free parameters, then nuisances."""
        return (*self.prior.names, *self.free)

    @property
    def dimension(self):
        """Number of coordinates."""
        return len(self.names)

    def split(self, y, sign=1.0):
        """(theta, complete nuisance parameters) at unconstrained coordinates ``y`` (d,)."""
        n = len(self.prior.names)
        sampled = {k: p.from_real(c) for (k, p), c in zip(self.free.items(), y[n:], strict=True)}
        return self.prior.from_real(y[:n], sign), {**self.joint.nominal, **sampled}

    def log_likelihood(self, y, sign=1.0):
        """Scalar, at unconstrained coordinates; nuisance constraints of ``free`` excluded."""
        theta, parameters = self.split(y, sign)
        return sum(self.terms_at(theta, parameters).values())

    def terms_at(self, theta, parameters, names=None):
        """{experiment: log-likelihood} at theta and complete nuisance parameters; names: of some
        experiments."""
        joint = self.joint if names is None else self.joint.only(*names)
        if any(name in self.free for name in self.joint.analytic) or not self.joint.analytic:
            return fixed_terms(joint, theta, parameters)
        return analytic_terms(joint, theta, parameters, self.marginal)

    def terms(self, y, sign=1.0):
        """{experiment: log-likelihood} at unconstrained coordinates."""
        return self.terms_at(*self.split(y, sign))

    def log_prior(self, y):
        """Log density of prior (weighted) and nuisance constraints in ``y``.

        A Gaussian nuisance keeps its constraint whatever the weight: it is auxiliary data.
        """
        n = len(self.prior.names)
        total = self.prior_weight * self.prior.log_density_real(y[:n])
        for prior, coordinate in zip(self.free.values(), y[n:], strict=True):
            weight = 1.0 if isinstance(prior, Normal) else self.prior_weight
            total += weight * prior.log_density_real(coordinate)
        return total

    def log_density(self, z):
        """Log of likelihood times prior in ``z``.

        Of a SignedLogUniform parameter both signs are summed, or the better one is taken in a likelihood.
        """
        y, log_jacobian = self.ridge(z)
        log_likelihood = self.log_likelihood(y)
        if self.prior.signed is not None:
            other = self.log_likelihood(y, -1.0)
            best, mean = (
                jnp.maximum(log_likelihood, other),
                jnp.logaddexp(log_likelihood, other) - jnp.log(2.0),
            )
            log_likelihood = jnp.where(self.prior_weight > 0.0, mean, best)
        return log_likelihood + self.log_prior(y) + self.prior_weight * log_jacobian


def make_target(joint, prior, *, systematics="marginal", posterior=True):
    """A :class:`Target`. systematics: ``"marginal"`` or ``"profiled"`` in closed form, or ``"sampled"``.

    Nuisances that have no closed form are coordinates in every case. Raises ValueError for wrong types.
    """
    choose("systematics", systematics, ("marginal", "profiled", "sampled"))
    if not isinstance(joint, Joint):
        raise ValueError(f"joint must be a jaxlmt.Joint; got {joint!r}")
    if not isinstance(prior, Prior):
        raise ValueError(f"prior must be a jaxlmt.Prior; got {prior!r}")
    eliminated = () if systematics == "sampled" else joint.analytic
    nuisances = sorted(joint.nuisances.items())  # as JAX orders a dict, traced or not
    free = {name: to_float64(prior) for name, prior in nuisances if name not in eliminated}
    weights = np.float64(systematics == "marginal"), np.float64(posterior)
    axis = prior.names.index("mass") if "mass" in prior.names else 0
    start = identity(len(prior.names) + len(free), axis)
    joint = jax.device_put(to_float64(joint))  # once, not with every call of a program
    return Target(joint, prior, free, *weights, start)


def as_likelihood(target):
    """The same coordinates with the profile likelihood: what ``fit`` maximises."""
    return replace(target, marginal=np.float64(0.0), prior_weight=np.float64(0.0))


def in_chunks(program, arrays, chunk):
    """``program(*chunk of every array)``, chunk by chunk: NumPy arrays of the same leading length.

    The last chunk is filled up with copies, so that one compiled program serves all; a GPU gets more points
    at once. A thread for every core, because one program of this size keeps only one of them busy.
    """
    on_cpu = jax.default_backend() == "cpu"
    chunk = chunk if on_cpu else GPU_FACTOR * chunk
    n = len(arrays[0])
    filled = [np.concatenate([a, np.broadcast_to(a[-1:], (-n % chunk, *a.shape[1:]))]) for a in arrays]
    parts = [[a[i : i + chunk] for a in filled] for i in range(0, len(filled[0]), chunk)]
    results = [program(*parts[0])]  # compiles, once
    if len(parts) > 1:
        with ThreadPoolExecutor(os.cpu_count() if on_cpu else 1) as pool:
            results += pool.map(lambda part: jax.block_until_ready(program(*part)), parts[1:])
    return jax.tree.map(lambda *a: np.concatenate([np.asarray(part) for part in a])[:n], *results)


@jax.jit
def _chunk(target, z):
    return jax.vmap(jax.value_and_grad(lambda point: -target.log_density(point)))(z)


def potentials_and_gradients(target, z):
    """-log density and its gradient at ``z`` (n, d): NumPy arrays (n,), (n, d).

    Works in chunks of one size, so that every caller shares one compiled program.
    """
    return in_chunks(functools.partial(_chunk, target), [np.asarray(z, float)], GRADIENT_CHUNK)


@jax.jit
def _meanings(target, z, uniform, normal):
    def one(z, uniform, normal):
        y, _ = target.ridge(z)
        sign = _draw_sign(target, y, uniform)
        theta, parameters = target.split(y, sign)
        mean = {}
        for observation, deviate in zip(target.joint.observations, normal, strict=True):
            experiment, counts = observation.experiment, observation.counts
            drawn = experiment.analytic_given(counts, theta, parameters).items()
            norms = {name: centre + std * deviate for name, (centre, std) in drawn if name not in target.free}
            mean[experiment.name] = experiment.predict(theta, {**parameters, **norms})
        free = {name: parameters[name] for name in target.free}
        return sign, theta, free, target.terms(y, sign), mean

    return jax.vmap(one)(z, uniform, normal)


def _draw_sign(target, y, uniform):
    if target.prior.signed is None:
        return 1.0
    odds = target.log_likelihood(y, 1.0) - target.log_likelihood(y, -1.0)
    return jnp.where(uniform < jax.nn.sigmoid(odds), 1.0, -1.0)


def meanings(target, z, uniform, normal):
    """What points z (n, d) mean: (sign, theta, free nuisances, terms of the likelihood, expected data).

    Every leaf has a leading axis n; terms and expected data are dicts by experiment. uniform (n,) decides
    the sign of a SignedLogUniform parameter by the odds of the two (0.5: the likelier one), normal (n,
    n_observations) are the pulls of the nuisances that were eliminated, in standard deviations of what
    the data leave of them (0: their best values).
    """
    return in_chunks(functools.partial(_meanings, target), [z, uniform, normal], MEANING_CHUNK)
