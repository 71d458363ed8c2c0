"""Freeze-out by the approximate formula, Drees & Zhao 2107.14528, eqs 3.3, 3.7 and 3.8, at constant g_*.

Pure kernels of a scalar theta. x = m_psi/T; M_Pl is the Planck mass, not the reduced one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import zeta

from ..constants import CRITICAL_DENSITY_MEV_CM3, ENTROPY_TODAY_CM3, PLANCK_MASS
from ..derivatives import slopes_with_value
from ..processes.annihilation import relative_width, thermal_average
from ..quadrature import unit_gauss
from ..roots import increasing_root

NORMALISATIONS = {  # of eq 3.8: factor and power of g_* with which 1.07e9 GeV^-1/(J M_Pl) is multiplied
    "corrected": (2.0, -0.5),  # psi is a Dirac particle, and Hubble's rate is as g_*^(1/2)
    "printed": (1.0, -1.0),
}

_X_RANGE = 1.0, 200.0  # where x_f is looked for
_STEPS = 14  # to find it: the right-hand side of eq 3.3 is a logarithm
_NODES = 36  # of temperature
_FOUND = 1e-6  # how well eq 3.3 is fulfilled a step before the last
_DIFFERENCE = 1e-3 * np.array([0.0, -2.0, -1.0, 1.0, 2.0])  # for d<sigma v>/dln x
_SLOPE = np.array([1.0, -8.0, 8.0, -1.0]) / 12e-3
_TINY = 1e-120  # MeV^-2, instead of no annihilation at all


class History(NamedTuple):
    """What the formula knows: x_f, whether psi was in equilibrium at all, <sigma v> at x_f and J [MeV^-2]."""

    x_f: jax.Array
    frozen: jax.Array
    sigma_v: jax.Array
    integral: jax.Array


def history(theta, g_star, channel="total"):
    """``History``: eqs 3.3 and 3.7; J to 1e-9.

    Eq 3.3 has one root above x = 1, if any; its fixed-point iteration would diverge for m_psi < M/3. Without
    one psi annihilates too little ever to have been in equilibrium, and x_f is 1.

    J = int <sigma v> dt over the temperature t = 1/x from zero on, in v = arsinh(t/c): well below
    max(|delta|, Gamma/M), a tenth of which is c, <sigma v> is a series in t or vanishes, and above it goes
    over into a power. All temperatures are one call of the kernel, and x_f and the end of the integral are
    differentiated by hand: one program less to compile.
    """
    rate = 0.076 * PLANCK_MASS * theta.dm_mass / jnp.sqrt(g_star)

    def excess(x, average):
        return x + 0.5 * jnp.log(x) - jnp.log(rate * jnp.maximum(average, _TINY))

    fixed = jax.lax.stop_gradient(theta)
    x, residual = increasing_root(
        lambda x: jax.lax.stop_gradient(excess(x, thermal_average(x, fixed, channel))),
        *_X_RANGE,
        start=20.0,
        iterations=_STEPS,
    )
    x, frozen = jax.lax.stop_gradient((x, residual < _FOUND))
    cold = 0.1 * jnp.sqrt(fixed.delta**2 + relative_width(fixed) ** 2)
    nodes, weights = unit_gauss(_NODES)
    range_ = jnp.arcsinh(1.0 / (x * cold))
    v = range_ * nodes
    at = jnp.concatenate([1.0 / (cold * jnp.sinh(v)), x * (1.0 + _DIFFERENCE)])
    average = thermal_average(at, theta, channel)
    over_temperature, around = average[:_NODES], average[_NODES:]

    there = jnp.maximum(around[0], _TINY)
    slope = jax.lax.stop_gradient(1.0 + (0.5 - around[1:] @ _SLOPE / there) / x)
    x_f = jnp.where(frozen, x - excess(x, there) / slope, _X_RANGE[0])
    integral = range_ * cold * jnp.sum(weights * jnp.cosh(v) * over_temperature)
    integral = integral - jnp.where(frozen, there * (x_f - x) / x**2, 0.0)
    return History(x_f, frozen, there, integral)


def relativistic_density(theta, g_star):
    """Omega h^2 of psi and psibar that stopped annihilating before they were non-relativistic."""
    per_entropy = (
        45.0 * zeta(3.0) / (2.0 * np.pi**4) * 3.0 / g_star
    )  # n/s of four fermionic degrees of freedom
    return theta.dm_mass * per_entropy * ENTROPY_TODAY_CM3 / CRITICAL_DENSITY_MEV_CM3


@slopes_with_value(0, 1, 2)
def relic_density(theta, g_star, normalisation):
    """Omega h^2 of psi and psibar, eq 3.8; where x_f is 1, at most that of a relativistic relic.

    normalisation: one of ``NORMALISATIONS``.
    """
    past = history(theta, g_star)
    integral = jnp.maximum(past.integral, _TINY)
    factor, power = normalisation
    omega = 1.07e6 * factor * g_star**power / (integral * PLANCK_MASS)  # 1.07e9/GeV
    bounded = jnp.minimum(omega, relativistic_density(theta, g_star))
    return jnp.where(past.frozen, omega, bounded)
