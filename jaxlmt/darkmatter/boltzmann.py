"""Relic density from the Boltzmann equation for psi and psibar, Drees & Zhao 2107.14528, eq 3.1.

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
from ..constants import BOLTZMANN, CMB_TEMPERATURE, CRITICAL_DENSITY_MEV_CM3, HBARC_MEV_CM
from ..processes.annihilation import thermal_average
from ..quadrature import spline, spline_coefficients, spline_sites
from .background import expansion
from .n_eff import hidden_species
from .thermodynamics import PHOTON_ENTROPY

CRITICAL_DENSITY = CRITICAL_DENSITY_MEV_CM3 * HBARC_MEV_CM**3  # rho_crit/h^2 [MeV^4]
PHOTON_ENTROPY_TODAY = 2.0 * PHOTON_ENTROPY * (BOLTZMANN * CMB_TEMPERATURE) ** 3  # MeV^3

_STRIDES = np.array([1, 2, 4, 8])
_COARSE, _FINE = 96, 768  # steps of the coarsest and the finest grid
_CENTRE, _WIDTH = 3.0, 0.7  # ln x = centre + width sinh(s): points crowd where psi freezes out
_START, _END = (np.arcsinh((np.log(x) - _CENTRE) / _WIDTH) for x in (1.0, 1e10))
_S = np.linspace(_START, _END, _COARSE + 1)
_FRACTIONS = np.arange(8.0) / 8.0
EXTRAPOLATION = np.linalg.solve(np.vander(_STRIDES, increasing=True).T.astype(float), np.eye(4)[0])
_SMOOTH = 128  # intervals of the splines that coefficients come from


class Grid(NamedTuple):
    """Points in ln x: ``moved`` (16,) of the finest grid, from ``first`` on, are not at their places.

    ``late`` (769,): whether neutrinos have decoupled.
    """

    moved: jax.Array
    first: jax.Array
    late: jax.Array


def _log_x(s):
    return _CENTRE + _WIDTH * jnp.sinh(s)


SITES = np.asarray(_CENTRE + _WIDTH * np.sinh(_START + (_END - _START) * spline_sites(_SMOOTH) / _SMOOTH))


class Interpolation(NamedTuple):
    """Matrices from values at :data:`SITES` to the finest grid, (769, n), and to a :func:`spline`, (n, n)."""

    grid: np.ndarray
    spline: np.ndarray


@functools.cache
def interpolation():
    """The :class:`Interpolation`, made once."""
    with jax.ensure_compile_time_eval():
        coefficients = spline_coefficients(np.eye(len(SITES)))
        points = np.linspace(0.0, _SMOOTH, _FINE + 1)
        return Interpolation(np.asarray(jax.vmap(spline, (None, 0))(coefficients, points)), coefficients)


def spline_position(log_x):
    """Where :func:`spline` finds the values at ``log_x``."""
    s = jnp.arcsinh((log_x - _CENTRE) / _WIDTH)
    return _SMOOTH * jnp.clip((s - _START) / (_END - _START), 0.0, 1.0)


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


def on_grid(regular, moved, first):
    """Values at the points of the finest grid, (769, ...), the ``moved`` ones of a :class:`Grid` put in."""
    return jax.lax.dynamic_update_slice_in_dim(regular, moved, first, axis=0)


def log_x_grid(log_kink):
    """ln x at all points, (769,), of :func:`fitted_grid`."""
    grid = fitted_grid(log_kink)
    regular = _log_x(np.linspace(_START, _END, _FINE + 1))
    return on_grid(regular, grid.moved, grid.first)


class Coefficients(NamedTuple):
    """On the grid, (769,): ln a and ln H [MeV]; then each of the smooth functions that were asked for.

    log_entropy: ln of the conserved s a^3 of photons and electrons.
    """

    log_scale: jax.Array
    log_hubble: jax.Array
    smooth: tuple[jax.Array, ...]
    log_entropy: jax.Array


def coefficients(theta, neutrino_decoupling, tables, matrix, functions):
    """The :class:`Coefficients` of a scalar ``theta``, and the values of the ``functions`` of x at the sites.

    What is smooth on both sides of the kink is computed at few points and interpolated, but for the points
    that moved, where it is computed.
    """
    mass = theta.dm_mass
    grid = fitted_grid(jnp.log(mass / neutrino_decoupling))
    x = jnp.exp(jnp.concatenate([SITES, grid.moved]))
    together, apart, log_entropy = expansion(tables, hidden_species(theta), mass / x, neutrino_decoupling)
    values = jnp.stack([*together, *apart, *(function(x) for function in functions)], axis=-1)
    regular, moved = values[: len(SITES)], values[len(SITES) :]
    found = on_grid(matrix @ regular, moved, grid.first).T
    log_scale, log_hubble = jnp.where(grid.late, found[2:4], found[:2])
    return Coefficients(log_scale, log_hubble, tuple(found[4:]), log_entropy), tuple(regular[:, 4:].T)


def log_sigma_v(x, theta):
    """ln(<sigma v>/2) [MeV^-2]; finite where nothing annihilates."""
    return jnp.log(jnp.maximum(0.5 * thermal_average(x, theta, "total"), 1e-300))


def log_equilibrium(x, mass):
    """ln n_eq of psi and psibar [MeV^3], Maxwell-Boltzmann as in <sigma v>, at ``x`` = mass/T."""
    return jnp.log(2.0 / np.pi**2 * mass**3 * scaled_k(2, x)) - 1.5 * jnp.log(x) - x


def euler_steps(log_scale):
    """Steps in ln a to each point of the grid, (769, 4), on the four grids; 0 where one has no point."""
    points = np.arange(_FINE + 1)[:, None]
    earlier = np.maximum(points - _STRIDES, 0)
    return jnp.where(points % _STRIDES == 0, log_scale[:, None] - log_scale[earlier], 0.0)


def euler(number, strength, source):
    """N after a step of N' = -rate N^2 + production: ``strength`` rate h, ``source`` production h."""
    source = number + source
    return 2.0 * source / (1.0 + jnp.sqrt(1.0 + 4.0 * strength * source))


def evolve(log_scale, log_rate, log_equilibrium):
    """ln N at the end of dN/dln a = -rate (N^2 - N_eq^2) that starts in equilibrium, a pure kernel.

    All (769,) on the grid, of which every 8th point, and no other, may be a kink.
    """

    def step(number, now):
        strength, equilibrium2 = now
        return euler(number, strength, strength * equilibrium2), None

    strengths = euler_steps(log_scale) * jnp.exp(log_rate)[:, None]
    start = jnp.exp(log_equilibrium[0]) * np.ones(4)
    number, _ = jax.lax.scan(step, start, (strengths, jnp.exp(2.0 * log_equilibrium)))
    return jnp.log(number) @ EXTRAPOLATION


def density_today(mass, log_number, log_entropy):
    """Omega h^2 of particles of ``mass``, from N and the entropy of photons in the same comoving volume."""
    return mass * jnp.exp(log_number - log_entropy) * PHOTON_ENTROPY_TODAY / CRITICAL_DENSITY


def relic_density_boltzmann(theta, neutrino_decoupling, tables, matrices):
    """Omega h^2 of a scalar ``theta``, a pure kernel.

    tables: :func:`jaxlmt.darkmatter.background.plasma`; matrices: :func:`interpolation`. To 5e-6 of the
    solution of the same equations (2e-5 within 1e-8 of the pole), finite for every theta.
    """
    functions = (lambda x: log_sigma_v(x, theta), lambda x: log_equilibrium(x, theta.dm_mass))
    now, _ = coefficients(theta, neutrino_decoupling, tables, matrices.grid, functions)
    sigma_v, density = now.smooth
    volume = 3.0 * now.log_scale
    log_number = evolve(now.log_scale, sigma_v - now.log_hubble - volume, density + volume)
    return density_today(theta.dm_mass, log_number, now.log_entropy)
