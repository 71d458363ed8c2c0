"""One-dimensional priors: of parameters (inference.Prior) and of nuisances (experiments).

Each distribution maps the real line to its support: ``from_real(y)``, with ``log_density_real(y)`` the
log of the normalised density *in y*. Box priors are flat in a coordinate ``warp(value)``, which is what
pictures and quality checks use. All are immutable pytrees with numeric leaves.
"""

from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from .pytrees import pytree
from .validation import number

_TINY = 1e-300


class Distribution:
    """Base of all priors; instances appear as leaves of a prior in place of numbers.

    ``bounds`` are the (lowest, highest) value, as floats.
    """


class Box(Distribution):
    """A prior of compact support that is flat in ``warp(value)``; subclasses define the coordinate.

    ``part(low, high)`` is the same prior on a part of its support.
    """

    def from_real(self, y):
        """Value at the unconstrained coordinate ``y``: the logistic map onto the box."""
        low, high = self.warped_bounds()
        # Built from the nearer edge, so that values and gradients keep their digits at both.
        share = jax.nn.sigmoid(-jnp.abs(y)) * (high - low)
        return self.unwarp(jnp.where(y < 0.0, low + share, high - share))

    def to_real(self, value):
        """Inverse of :meth:`from_real`; values outside or at the edge go to the nearest finite one."""
        low, high = self.warped_bounds()
        share = jnp.clip((self.warp(value) - low) / (high - low), 1e-12, 1.0 - 1e-12)
        return jnp.log(share) - jnp.log1p(-share)

    def log_density_real(self, y):
        """Log density in ``y``: that of the logistic distribution."""
        return -jnp.abs(y) - 2.0 * jnp.log1p(jnp.exp(-jnp.abs(y)))

    def log_prob(self, value):
        """Log density in ``value``; -inf outside the box."""
        low, high = self.warped_bounds()
        value = jnp.asarray(value, float)
        warped = self.warp(value)
        inside = (warped >= low) & (warped <= high)
        slope = jax.grad(lambda v: jnp.sum(self.warp(v)))(jnp.where(inside, value, self.unwarp(low)))
        return jnp.where(inside, jnp.log(jnp.abs(slope)) - jnp.log(high - low), -jnp.inf)


@pytree
class Uniform(Box):
    """Flat in the value, on [low, high]."""

    low: float
    high: float

    def warp(self, value):
        return value

    def unwarp(self, warped):
        return warped

    def warped_bounds(self):
        return self.low, self.high

    def part(self, low, high):
        return Uniform(low, high)

    @property
    def bounds(self):
        return float(self.low), float(self.high)

    @property
    def flat_in(self):
        return "linear"


@pytree
class LogUniform(Box):
    """Flat in ln|value|, on [low, high] for ``sign=1``, on [-high, -low] for ``sign=-1``; 0 < low < high."""

    low: float
    high: float
    sign: int = field(default=1, metadata={"static": True})

    def warp(self, value):
        return jnp.log(jnp.maximum(self.sign * value, _TINY))  # the wrong sign lies below the box

    def unwarp(self, warped):
        return self.sign * jnp.exp(warped)

    def warped_bounds(self):
        return jnp.log(self.low), jnp.log(self.high)

    def part(self, low, high):
        return LogUniform(low, high) if self.sign > 0 else LogUniform(-high, -low, sign=-1)

    @property
    def bounds(self):
        edges = float(self.low), float(self.high)
        return edges if self.sign > 0 else (-edges[1], -edges[0])

    @property
    def flat_in(self):
        return "log"


class _FlatInAsinh(Box):
    def warp(self, value):
        return jnp.arcsinh(value / self.scale)

    def unwarp(self, warped):
        return self.scale * jnp.sinh(warped)

    def part(self, low, high):
        return AsinhUniform(self.scale, low, high)

    @property
    def flat_in(self):
        return f"asinh:{float(self.scale):.17g}"


@pytree
class SymmetricAsinh(_FlatInAsinh):
    """Flat in asinh(value/scale), on [-bound, bound]: logarithmic in size, linear through zero.

    Proper, with both signs in one mode and neither hole nor cliff at zero.
    """

    scale: float
    bound: float

    def warped_bounds(self):
        edge = jnp.arcsinh(self.bound / self.scale)
        return -edge, edge

    @property
    def bounds(self):
        return -float(self.bound), float(self.bound)


@pytree
class AsinhUniform(_FlatInAsinh):
    """Flat in asinh(value/scale), on [low, high]: logarithmic in size, linear through zero."""

    scale: float
    low: float
    high: float

    def warped_bounds(self):
        return jnp.arcsinh(self.low / self.scale), jnp.arcsinh(self.high / self.scale)

    @property
    def bounds(self):
        return float(self.low), float(self.high)


@pytree
class SignedLogUniform(Box):
    """Flat in ln|value| on [low, high], both signs equally probable.

    The sampler moves in ln|value| alone: both signs are summed in the likelihood, and the sign of each
    draw is then drawn from its exact conditional probability.
    """

    low: float
    high: float

    def warp(self, value):
        return jnp.log(jnp.abs(value))

    def unwarp(self, warped):
        return jnp.exp(warped)

    def warped_bounds(self):
        return jnp.log(self.low), jnp.log(self.high)

    def log_prob(self, value):
        return super().log_prob(value) - jnp.log(2.0)

    @property
    def bounds(self):
        return -float(self.high), float(self.high)

    @property
    def flat_in(self):
        return "log"


@pytree
class Normal(Distribution):
    """Gaussian with ``mean`` and standard deviation ``std`` > 0."""

    mean: float
    std: float

    def from_real(self, y):
        return self.mean + self.std * y

    def to_real(self, value):
        return (value - self.mean) / self.std

    def log_density_real(self, y):
        return -0.5 * y**2 - 0.5 * jnp.log(2.0 * jnp.pi)

    def log_prob(self, value):
        return self.log_density_real(self.to_real(value)) - jnp.log(self.std)

    @property
    def bounds(self):
        return -np.inf, np.inf

    @property
    def flat_in(self):
        return "linear"


@pytree
class TiedToCoupling(Distribution):
    """Not free: the value is ``ratio`` times g_x, such as eps_x = -g_x/70."""

    ratio: float


@pytree
class PerCoupling(Distribution):
    """The value divided by g_x follows ``ratio``, a box prior: for instance a prior on eps_x/g_x."""

    ratio: Box


def check_distribution(argument, value):
    """Raise ValueError, naming ``argument``, unless ``value`` is a distribution with proper numbers."""
    if isinstance(value, PerCoupling):
        if not isinstance(value.ratio, Box):
            raise ValueError(f"{argument}: PerCoupling takes a box prior; got {value.ratio!r}")
        check_distribution(f"{argument}.ratio", value.ratio)
    elif isinstance(value, TiedToCoupling):
        number(f"{argument}.ratio", value.ratio)
    elif isinstance(value, Normal):
        number(f"{argument}.mean", value.mean)
        number(f"{argument}.std", value.std, low=0.0, low_open=True)
    elif isinstance(value, SymmetricAsinh):
        number(f"{argument}.scale", value.scale, low=0.0, low_open=True)
        number(f"{argument}.bound", value.bound, low=0.0, low_open=True)
    elif isinstance(value, AsinhUniform):
        number(f"{argument}.scale", value.scale, low=0.0, low_open=True)
        low = number(f"{argument}.low", value.low)
        number(f"{argument}.high", value.high, low=low, low_open=True)
    elif isinstance(value, Uniform):
        low = number(f"{argument}.low", value.low)
        number(f"{argument}.high", value.high, low=low, low_open=True)
    elif isinstance(value, LogUniform | SignedLogUniform):
        low = number(f"{argument}.low", value.low, low=0.0, low_open=True)
        number(f"{argument}.high", value.high, low=low, low_open=True)
        if getattr(value, "sign", 1) not in (1, -1):
            raise ValueError(f"{argument}.sign must be 1 or -1; got {value.sign!r}")
    else:
        raise ValueError(f"{argument} must be a number or a distribution; got {value!r}")
