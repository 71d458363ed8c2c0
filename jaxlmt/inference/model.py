"""The same posterior for other samplers: an ordinary NumPyro model, and a log density on R^d."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from ..distributions import LogUniform, Normal, PerCoupling, SignedLogUniform, SymmetricAsinh, Uniform
from ..likelihood import analytic_terms, fixed_terms
from .target import Target, make_target


def numpyro_model(joint, prior, *, systematics="marginal"):
    """An ordinary NumPyro model of ``prior`` and ``joint``, for SVI or any NumPyro kernel.

    Sample sites are the free parameters under their names (``"eps_over_g"`` for a prior on the ratio) and
    the nuisances that are not eliminated; a SymmetricAsinh prior is sampled as ``"<name>_asinh"`` and a
    SignedLogUniform one as ``"<name>_size"`` with both signs summed. theta's free fields are deterministic
    sites. The likelihood is the factor ``"log_likelihood"``. Arguments as for :func:`jaxlmt.sample`.
    """
    target = make_target(joint, prior, systematics=systematics)

    def model():
        free = {name: _site(name, d) for name, d in prior.distributions.items()}
        parameters = {**joint.nominal, **{name: _site(name, d) for name, d in target.free.items()}}

        def log_likelihood(sign):
            signed = prior.names[prior.signed] if prior.signed is not None else None
            values = {name: value * sign if name == signed else value for name, value in free.items()}
            theta = prior.fill(values)
            analytic = joint.analytic and not any(name in target.free for name in joint.analytic)
            if analytic:
                terms = analytic_terms(joint, theta, parameters, target.marginal)
            else:
                terms = fixed_terms(joint, theta, parameters)
            return sum(terms.values()), theta

        total, theta = log_likelihood(1.0)
        if prior.signed is not None:
            total = jnp.logaddexp(total, log_likelihood(-1.0)[0]) - jnp.log(2.0)
        elif "eps_x" in prior.names and isinstance(prior.distributions["eps_x"], PerCoupling):
            numpyro.deterministic("eps_x", theta.eps_x)
        numpyro.factor("log_likelihood", total)

    return model


def _site(name, distribution):
    if isinstance(distribution, PerCoupling):
        label = "eps_over_g" if name == "eps_x" else f"{name}_over_g"
        return _site(label, distribution.ratio)
    if isinstance(distribution, Normal):
        return numpyro.sample(name, dist.Normal(distribution.mean, distribution.std))
    if isinstance(distribution, Uniform):
        return numpyro.sample(name, dist.Uniform(distribution.low, distribution.high))
    if isinstance(distribution, LogUniform) and distribution.sign == 1:
        return numpyro.sample(name, dist.LogUniform(distribution.low, distribution.high))
    if isinstance(distribution, LogUniform | SignedLogUniform):
        size = numpyro.sample(f"{name}_size", dist.LogUniform(distribution.low, distribution.high))
        return numpyro.deterministic(name, -size) if isinstance(distribution, LogUniform) else size
    assert isinstance(distribution, SymmetricAsinh)
    warped = numpyro.sample(f"{name}_asinh", dist.Uniform(*distribution.warped_bounds()))
    return numpyro.deterministic(name, distribution.unwarp(warped))


def _log_density(target, z):
    return target.log_density(z)


class LogDensity:
    """A log posterior density on R^d, for BlackJAX and other samplers: ``density(z)``, z of shape (d,).

    names: of the coordinates; dimension: d; theta(z): the :class:`jaxlmt.HiddenPhoton` at z. The value is
    ln(likelihood ratio x prior density in z), finite with finite gradients for every z.
    """

    def __init__(self, target: Target):
        self.target = target
        self.names, self.dimension = target.names, target.dimension

    def __call__(self, z):
        return _jitted_log_density(self.target, z)

    def theta(self, z):
        """Parameters at ``z`` (d,); the positive sign of a SignedLogUniform parameter."""
        return self.target.split(self.target.ridge(z)[0])[0]


_jitted_log_density = jax.jit(_log_density)


def log_density(joint, prior, *, systematics="marginal"):
    """The posterior as a :class:`LogDensity` on unconstrained coordinates. Arguments as for ``sample``."""
    return LogDensity(make_target(joint, prior, systematics=systematics))
