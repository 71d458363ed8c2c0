"""A published number as an experiment of one bin: measured with a Gaussian error, or bounded from above."""

import abc
import functools
import tomllib
from dataclasses import field
from importlib import resources

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from ..pytrees import pytree
from ..statistics import gaussian_log_ratio
from ..validation import values
from .base import Experiment, Observation, frozen


@pytree
class Measurement(Experiment):
    """``measured`` +- ``sigma``; :meth:`observe` without an argument takes the measured value.

    Subclasses say what is predicted: ``rate``, (1,).
    """

    name: str = field(metadata={"static": True})
    measured: float
    sigma: np.ndarray
    bin_edges: np.ndarray
    background: np.ndarray
    nominal: dict
    nuisances: dict

    value_label = ""

    @abc.abstractmethod
    def rate(self, theta, parameters):
        """What is measured, (1,), as predicted: a pure kernel of scalar leaves."""

    @property
    def error_bar(self):
        """What a picture shows around the datum, (1,), in its units."""
        return self.sigma

    def residual(self, counts, mean):
        """What :attr:`sigma` is the error of, (1,): zero where datum and prediction agree."""
        return counts - mean

    def log_likelihood(self, counts, theta, parameters):
        residual = self.residual(counts, self.predict(theta, parameters))
        return gaussian_log_ratio(residual, jnp.zeros_like(residual), self.sigma**2)

    def draw(self, generator, mean):
        return generator.normal(mean, self.sigma)

    def observe(self, value=None):
        """This experiment with ``value`` as its datum; the published one unless given."""
        value = self.measured if value is None else value
        return Observation(self, values(f"data of {self.name}", np.atleast_1d(value), shape=(1,)))


class UpperBound:
    """Mixin for a :class:`Measurement`: what exceeds the datum costs, -2 ln L = ((rate - datum)/sigma)^2.

    It states a limit as if the published analysis had found its best value, or anything below, ``measured``,
    and a Gaussian above: ``sigma`` = :func:`sigma_of_limit`, so that the published limit is met at its
    confidence level. Nothing is learnt below; a posterior that leans on a bound shows it as a shoulder.
    """

    def residual(self, counts, mean):
        return jnp.minimum(super().residual(counts, mean), 0.0)


class Logarithmic:
    """Mixin for a :class:`Measurement` of something positive: its logarithm is Gaussian, ``sigma`` relative.

    Predictions from 1e-300 to 1e300 keep their slope; what lies beyond counts as the end.
    """

    @property
    def error_bar(self):
        return self.measured * self.sigma

    def residual(self, counts, mean):
        return jnp.log(counts) - jnp.log(jnp.clip(mean, 1e-300, 1e300))

    def draw(self, generator, mean):
        return mean * np.exp(generator.normal(0.0, self.sigma, np.shape(mean)))

    def observe(self, value=None):
        """This experiment with ``value`` > 0 as its datum; the published one unless given."""
        if value is not None:
            values(f"data of {self.name}", value, low=0.0, low_open=True)
        return super().observe(value)


def sigma_of_limit(limit, level, best=0.0):
    """Standard deviation of the Gaussian above ``best`` that leaves 1 - ``level`` beyond ``limit``."""
    return (limit - best) / ndtri(level)


def published(made, *, name, measured, sigma, nominal=None, nuisances=None, **fields):
    """A :class:`Measurement` of the class ``made``: one bin, no background; fields: those of its own."""
    return made(
        name=name,
        measured=float(measured),
        sigma=frozen([sigma]),
        bin_edges=frozen([0.0, 1.0]),
        background=frozen([0.0]),
        nominal={} if nominal is None else nominal,
        nuisances={} if nuisances is None else nuisances,
        **fields,
    )


@functools.cache
def table(name):
    """The table ``data/<name>.toml`` of published numbers, as a dict."""
    text = resources.files("jaxlmt").joinpath(f"data/{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
