"""Relic density from the Boltzmann equation for the number of psi and psibar, Drees & Zhao 2107.14528, eq 3.1.

With N = n a^3 it reads dN/dln a = -<sigma v>/(2 H a^3) (N^2 - N_eq^2), on the two-temperature background of
:mod:`jaxlmt.darkmatter.background`. An implicit Euler step of it is a quadratic equation, whose positive
root never fails however stiff it is. Euler's error has an expansion in powers of the step: the equation is
solved on a fixed grid in ln x and on three coarser ones of every 2nd, 4th and 8th point, and ln N is
extrapolated to vanishing steps. The coefficients are computed once for all.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..bessel import scaled_k
from ..constants import BOLTZMANN, CMB_TEMPERATURE, HBARC_MEV_CM, MEGAPARSEC_CM, PLANCK_MASS, SPEED_OF_LIGHT_CM
from ..processes.annihilation import thermal_average
from ..quadrature import spline, spline_coefficients, spline_sites
from .background import expansion
from .n_eff import hidden_species
from .thermodynamics import PHOTON_ENTROPY

HUBBLE_100 = 1e7 / SPEED_OF_LIGHT_CM / MEGAPARSEC_CM * HBARC_MEV_CM  # 100 km/s/Mpc [MeV]
CRITICAL_DENSITY = 3.0 / (8.0 * np.pi) * (HUBBLE_100 * PLANCK_MASS) ** 2  # rho_crit/h^2 [MeV^4]
PHOTON_ENTROPY_TODAY = 2.0 * PHOTON_ENTROPY * (BOLTZMANN * CMB_TEMPERATURE) ** 3  # MeV^3

_STRIDES = np.array([1, 2, 4, 8])
_COARSE, _FINE = 96, 768  # steps of the coarsest and the finest grid
_CENTRE, _WIDTH = 3.0, 0.7  # ln x = centre + width sinh(s): points crowd where psi freezes out
_START, _END = (np.arcsinh((np.log(x) - _CENTRE) / _WIDTH) for x in (1.0, 1e10))
_S = np.linspace(_START, _END, _COARSE + 1)
_FRACTIONS = np.arange(8.0) / 8.0
_EXTRAPOLATION = np.linalg.solve(np.vander(_STRIDES, increasing=True).T.astype(float), np.eye(4)[0])
_SMOOTH = 128  # intervals of the splines that coefficients come from


class Grid(NamedTuple):
    """Points in ln x. ``moved`` (16,) of those of the finest grid, from ``first`` on, are not at their places.

    ``late`` (769,): whether neutrinos have decoupled.
    """

    moved: jax.Array
    first: jax.Array
    late: jax.Array


def _log_x(s):
    return _CENTRE + _WIDTH * jnp.sinh(s)


SITES = np.asarray(_CENTRE + _WIDTH * np.sinh(_START + (_END - _START) * spline_sites(_SMOOTH) / _SMOOTH))


@functools.cache
def interpolation():
    """Matrix (769, n) from values at :data:`SITES` of ln x to those at the points of the finest grid."""
    with jax.ensure_compile_time_eval():
        coefficients = spline_coefficients(np.eye(len(SITES)))
        points = np.linspace(0.0, _SMOOTH, _FINE + 1)
        return np.asarray(jax.vmap(spline, (None, 0))(coefficients, points))


def fitted_grid(log_kink):
    """The :class:`Grid` with ``log_kink``, the ln x at which the equation has a kink, on it, a scalar.

    The nearest point of the coarsest grid moves there, and with it those between its neighbours, unless it
    is an end.
    """
    s_kink = jnp.arcsinh((log_kink - _CENTRE) / _WIDTH)
    position = (s_kink - _START) / (_S[1] - _S[0])
    nearest = jnp.round(position)
    inside = (nearest >= 1.0) & (nearest <= _COARSE - 1.0)
    node = jnp.clip(nearest, 1.0, _COARSE - 1.0)
    low = _START + (node - 1.0) * (_S[1] - _S[0])
    high = low + 2.0 * (_S[1] - _S[0])
    middle = jnp.where(inside, s_kink, 0.5 * (low + high))
    moved = jnp.concatenate([low + (middle - low) * _FRACTIONS, middle + (high - middle) * _FRACTIONS])
    border = jnp.where(inside, nearest, position)  # of the coarsest grid
    return Grid(_log_x(moved), 8 * (node.astype(int) - 1), np.arange(_FINE + 1.0) / 8.0 > border)


def on_grid(grid, values, matrix):
    """``values`` (n + 16, k) at :data:`SITES` and at the moved points, on the whole grid: (769, k)."""
    regular, moved = values[: len(SITES)], values[len(SITES) :]
    return jax.lax.dynamic_update_slice_in_dim(matrix @ regular, moved, grid.first, axis=0)


def log_equilibrium(x, mass):
    """ln n_eq of psi and psibar [MeV^3], Maxwell-Boltzmann as in <sigma v>, at ``x`` = mass/T."""
    return jnp.log(2.0 / np.pi**2 * mass**3 * scaled_k(2, x)) - 1.5 * jnp.log(x) - x


def freeze_out(log_scale, log_rate, log_equilibrium):
    """ln N at the end of dN/dln a = -rate (N^2 - N_eq^2) that starts in equilibrium, a pure kernel.

    All (769,) on the grid, of which every 8th point, and no other, may be a kink.
    """
    points = np.arange(_FINE + 1)
    earlier = np.maximum(points[:, None] - _STRIDES, 0)
    steps = jnp.where(points[:, None] % _STRIDES == 0, log_scale[:, None] - log_scale[earlier], 0.0)
    strengths = steps * jnp.exp(log_rate)[:, None]

    def step(number, now):
        strength, equilibrium2 = now
        source = number + strength * equilibrium2
        # Of strength N^2 + N = source; where a coarser grid has no point the strength is 0, and N stays.
        return 2.0 * source / (1.0 + jnp.sqrt(1.0 + 4.0 * strength * source)), None

    start = jnp.exp(log_equilibrium[0]) * np.ones(4)
    number, _ = jax.lax.scan(step, start, (strengths, jnp.exp(2.0 * log_equilibrium)))
    return jnp.log(number) @ _EXTRAPOLATION


def relic_density_boltzmann(theta, neutrino_decoupling, tables, matrix):
    """Omega h^2 of a scalar ``theta``, a pure kernel.

    tables: :func:`jaxlmt.darkmatter.background.plasma`; matrix: :func:`interpolation`.
    """
    mass = theta.dm_mass
    grid = fitted_grid(jnp.log(mass / neutrino_decoupling))
    log_x = jnp.concatenate([SITES, grid.moved])
    x = jnp.exp(log_x)
    together, apart, log_entropy = expansion(tables, hidden_species(theta), mass / x, neutrino_decoupling)
    log_sigma_v = jnp.log(0.5 * thermal_average(x, theta, "total"))
    early, late = (
        (log_sigma_v - now.log_hubble - 3.0 * now.log_scale, now.log_scale) for now in (together, apart)
    )
    columns = jnp.stack([*early, *late, log_equilibrium(x, mass)], axis=-1)
    *both, log_density = on_grid(grid, columns, matrix).T
    log_rate, log_scale = (jnp.where(grid.late, *pair) for pair in zip(both[2:], both[:2], strict=True))
    log_number = freeze_out(log_scale, log_rate, log_density + 3.0 * log_scale)
    return mass * jnp.exp(log_number - log_entropy) * PHOTON_ENTROPY_TODAY / CRITICAL_DENSITY
