"""Discovery reach of counting experiments: the exposure, or the threshold, that the median outcome needs.

The median outcome is the expected one (Asimov data): counts per tonne year, all new physics included, against
those of the Standard Model with background, both times the exposure (2104.03297, section 5).
"""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from ..experiments.base import Experiment, evaluate
from ..statistics import log_tail, poisson_terms
from ..validation import check_theta, is_traced, number, switch, to_float64, values

_STEPS = 20  # secant steps from the lower end of a bracket; seven give all digits for sigma >= 0.3
_DIGITS = 1e-10  # relative, of a threshold


def discovery_exposure(experiment, theta, *, sigma=5.0, nuisances=None, deficit=False):
    """Exposure [t yr] at which the median significance of an excess over the Standard Model is ``sigma``.

    experiment: one that counts and has a field ``exposure`` [t yr], to which its counts are proportional,
    background included; they are summed over its bins. theta: a :class:`jaxlmt.HiddenPhoton`; the Standard
    Model is the same with g_x = 0; array leaves broadcast, as do those of nuisances, a dict with nominal
    values where missing. sigma: > 0, one-tailed. deficit: if True, fewer counts than the Standard Model's are
    a discovery too, by the lower tail, P(N <= n_obs). Infinite, with gradient 0, where there is no excess
    (or, with ``deficit``, no difference); 0 where there is no background at all. Raises ValueError for
    invalid arguments. Source: 2104.03297, eq 38; see :func:`jaxlmt.significance`.

    ``jax.grad``, ``vmap`` and ``jit`` apply, in theta and nuisances, and in fields of the experiment: its
    background, say, by ``jax.grad(lambda b: discovery_exposure(replace(experiment, background=b), theta))``.
    A threshold is folded into an experiment: evaluate a grid of them, or see :func:`discovery_threshold`.
    """
    if not isinstance(experiment, Experiment) or not hasattr(experiment, "exposure"):
        raise ValueError(f"experiment must be one that counts and has an exposure; got {experiment!r}")
    fixed = experiment, _sigma(sigma), np.asarray(switch("deficit", deficit))
    return evaluate(_discovery_exposure, fixed, check_theta(theta), experiment.parameters(nuisances))


def required_exposure(total, background, *, sigma=5.0, deficit=False):
    """Exposure at which the median significance is ``sigma``, given rates per unit exposure.

    total: expected counts per unit exposure, new physics and background included; background: those without
    new physics, the Standard Model's included; both >= 0 and of shapes that broadcast, as the result. To
    1e-11 for differences of 1e-4 of the background or more; the rest as for :func:`discovery_exposure`. Its
    gradients are those of the root, by implicit differentiation.
    """
    sigma, deficit = _sigma(sigma), np.asarray(switch("deficit", deficit))
    return _required_exposure(_rate("total", total), _rate("background", background), sigma, deficit)


def discovery_threshold(rates, thresholds, exposure, *, sigma=5.0, deficit=False):
    """The highest threshold at which ``exposure`` is enough for a median significance of ``sigma``.

    rates: a function of thresholds (n,), in whatever unit, that returns (total, background) per unit exposure
    as :func:`required_exposure` takes them, (n,) each. thresholds: (n >= 2,), increasing, the range that is
    searched; ``rates`` is called once with all of them, then with one at a time, about ten times, between the
    two neighbours where the exposure that is needed passes ``exposure`` (> 0, in the same unit), so that a
    region narrower than the grid may be missed. Infinite where the highest threshold still does, NaN where
    none does. A number, not traced; the slope of the exposure in a threshold that is traced is that of
    :func:`required_exposure`. Raises ValueError for invalid arguments. Source: 2104.03297, Fig 11.
    """
    thresholds = values("thresholds", thresholds)
    if thresholds.ndim != 1 or thresholds.size < 2 or not np.all(np.diff(thresholds) > 0.0):
        raise ValueError(f"thresholds must be at least two increasing numbers; got {thresholds!r}")
    exposure = number("exposure", exposure, low=0.0, low_open=True)

    def excess(at):  # ln of needed over given exposure
        total, background = rates(at)
        for name, rate in (("total", total), ("background", background)):
            values(f"{name} rate", rate, shape=at.shape, low=0.0)
        needed = np.asarray(required_exposure(total, background, sigma=sigma, deficit=deficit))
        return np.log(np.maximum(needed, np.finfo(float).tiny) / exposure)

    curve = excess(thresholds)
    enough = np.flatnonzero(curve <= 0.0)
    if not enough.size:
        return math.nan
    if enough[-1] == curve.size - 1:
        return math.inf
    low, high = thresholds[enough[-1] : enough[-1] + 2]

    def bounded(threshold):  # where nothing is enough, the needed exposure is infinite
        return min(float(excess(np.array([threshold]))[0]), 50.0)

    return float(brentq(bounded, low, high, rtol=_DIGITS))


def _sigma(sigma):
    if not is_traced(sigma):
        number("sigma", sigma, low=0.0, low_open=True)
    return to_float64(sigma)


def _rate(argument, rate):
    return to_float64(rate) if is_traced(rate) else values(argument, rate, low=0.0)


def _discovery_exposure(experiment, sigma, deficit, theta, parameters):
    nothing = replace(theta, g_x=jnp.zeros_like(theta.g_x))
    total, background = (jnp.sum(experiment.predict(t, parameters)) for t in (theta, nothing))
    rates = total / experiment.exposure, background / experiment.exposure
    return exposure_kernel(*rates, sigma, deficit)


def exposure_kernel(total, background, sigma, deficit):
    """:func:`required_exposure` without checks; arrays that broadcast, ``deficit`` among them."""
    total, background, sigma, deficit = jnp.broadcast_arrays(total, background, sigma, deficit)
    rate = -poisson_terms(total, background)  # half of the median deviance per exposure
    differs = (rate > 0.0) & ((total > background) | deficit)
    solvable = differs & (background > 0.0)
    safe = (jnp.where(solvable, value, other) for value, other in ((total, 2.0), (background, 1.0)))
    exposure = _root(*safe, sigma)
    return jnp.where(solvable, exposure, jnp.where(differs, 0.0, jnp.inf))


def _log_p(total, background, exposure):
    """ln of the median p-value, of whichever is expected, excess or deficit; nearly linear in exposure."""
    is_excess = total > background
    return log_tail(total * exposure + jnp.where(is_excess, 0.0, 1.0), background * exposure, is_excess)


@jax.custom_jvp
def _root(total, background, sigma):
    """Exposure with a median significance of ``sigma`` > 0, for total != background > 0 of one shape.

    With D the deviance there, p is below exp(-D/2) (Chernoff) and above the tail of a unit Gaussian beyond
    sqrt(D) (as Zubkov and Serov show for whole counts): together a bracket, of 20% at 5 sigma. ln p is convex
    in the exposure and nearly linear, so that secants lead to the root, the first with the slope of -D/2; a
    step that leaves the bracket is replaced. Tangents take half the steps, but twice the compilation.
    """
    rate = -poisson_terms(total, background)
    log_p = jax.scipy.special.log_ndtr(-sigma)
    # a little wider: without expected counts the root of a deficit is the upper end itself, up to rounding
    low, high = 0.499 * sigma**2 / rate, -1.001 * log_p / rate

    def step(_, state):
        exposure, low, high, before, value_before, slope = state
        value = _log_p(total, background, exposure) - log_p
        moved = exposure - before
        is_secant = jnp.abs(moved) > 1e-7 * exposure  # closer, one feels rounding; the last slope is as good
        slope = jnp.where(is_secant, (value - value_before) / jnp.where(is_secant, moved, 1.0), slope)
        low, high = jnp.where(value > 0.0, exposure, low), jnp.where(value > 0.0, high, exposure)
        further = exposure - value / slope
        inside = (further >= low) & (further <= high)
        return jnp.where(inside, further, 0.5 * (low + high)), low, high, exposure, value, slope

    return jax.lax.fori_loop(0, _STEPS, step, (low, low, high, low, rate, -rate))[0]


@_root.defjvp
def _root_jvp(primals, tangents):
    total, background, sigma = primals
    exposure = _root(*primals)
    wanted = jax.jvp(lambda s: jax.scipy.special.log_ndtr(-s), (sigma,), (tangents[2],))[1]
    _, change = jax.linearize(_log_p, total, background, exposure)
    zero = jnp.zeros_like(exposure)
    moved = wanted - change(tangents[0], tangents[1], zero)
    return exposure, moved / change(zero, zero, jnp.ones_like(exposure))


_required_exposure = jax.jit(exposure_kernel)
