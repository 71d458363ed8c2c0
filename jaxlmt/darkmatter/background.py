"""The expanding universe: entropy and Hubble rate, with one temperature and then two.

Above the decoupling of neutrinos photons, charged leptons, neutrinos, A' and psi share one temperature and
one conserved entropy. Below, photons and charged leptons keep theirs, and neutrinos, A' and psi theirs
(Drees & Zhao 2107.14528, section 3.3), so that the two temperatures move apart. Radiation only: matter, which
takes over at 1 eV, is left out.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import MASS_ELECTRON, MASS_MUON, PLANCK_MASS
from ..quadrature import spline, spline_coefficients, spline_sites
from .thermodynamics import (
    FERMION,
    NEUTRINO_ENERGY,
    NEUTRINO_ENTROPY,
    PHOTON_ENERGY,
    PHOTON_ENTROPY,
    Species,
    energy_and_pressure,
)

NEUTRINO_DEGREES = 6.0
CHARGED_LEPTONS = (Species(MASS_ELECTRON, 4.0, FERMION), Species(MASS_MUON, 4.0, FERMION))

_LOW, _HIGH = np.log(1e-2), np.log(1e4)  # of ln T [MeV]; below, nothing changes any more
_INTERVALS = 160


class Plasma(NamedTuple):
    """Photons, electrons and muons as splines.

    state: ln(s/T^3) and ln(rho/T^4) against ln T; temperature: ln(T/s^(1/3)) against ln s, between the
    values of ``log_entropy``, (2,).
    """

    state: np.ndarray
    temperature: np.ndarray
    log_entropy: np.ndarray


@functools.cache
def plasma():
    """The :class:`Plasma`, made once; to 1e-10 at any temperature up to 10 GeV (without taus and hadrons)."""
    with jax.ensure_compile_time_eval():
        sites = spline_sites(_INTERVALS) / _INTERVALS
        log_t = _LOW + (_HIGH - _LOW) * sites
        state = spline_coefficients(_charged_gas(log_t))
        ends = _charged_gas(np.array([_LOW, _HIGH]))[:, 0] + 3.0 * np.array([_LOW, _HIGH])
        log_entropy = ends[0] + (ends[1] - ends[0]) * sites
        log_t = log_entropy / 3.0
        for _ in range(80):  # ln(s/T^3) changes slowly
            log_t = (log_entropy - _charged_gas(log_t)[:, 0]) / 3.0
        return Plasma(state, spline_coefficients((log_t - log_entropy / 3.0)[:, None]), ends)


def _charged_gas(log_t):
    energy, entropy = 2.0 * PHOTON_ENERGY, 2.0 * PHOTON_ENTROPY
    for lepton in CHARGED_LEPTONS:
        rho, pressure = energy_and_pressure(lepton.mass * np.exp(-log_t), lepton.sign)
        energy, entropy = energy + lepton.degrees * rho, entropy + lepton.degrees * (rho + pressure)
    return np.log(np.stack([entropy, energy], axis=-1))


def _look_up(coefficients, fraction):
    """The spline at each of ``fraction`` (n,), 0 to 1 from end to end and constant beyond: (n, columns)."""
    position = (coefficients.shape[0] - 5) * jnp.clip(fraction, 0.0, 1.0)
    return jax.vmap(spline, (None, 0))(coefficients, position)


def plasma_state(tables, log_t):
    """(ln s, rho) of the plasma [MeV^3, MeV^4] at ``log_t``, (n,)."""
    state = _look_up(tables.state, (log_t - _LOW) / (_HIGH - _LOW))
    return state[:, 0] + 3.0 * log_t, jnp.exp(state[:, 1] + 4.0 * log_t)


def plasma_temperature(tables, log_entropy):
    """ln T of the plasma with ``log_entropy`` = ln s, (n,)."""
    low, high = tables.log_entropy
    return _look_up(tables.temperature, (log_entropy - low) / (high - low))[:, 0] + log_entropy / 3.0


def neutrino_state(hidden, t):
    """(s, rho) of neutrinos and the ``hidden`` species in equilibrium with them at temperature ``t``."""
    entropy, energy = NEUTRINO_DEGREES * NEUTRINO_ENTROPY, NEUTRINO_DEGREES * NEUTRINO_ENERGY
    for kind in hidden:
        rho, pressure = energy_and_pressure(kind.mass / t, kind.sign)
        entropy, energy = entropy + kind.degrees * (rho + pressure), energy + kind.degrees * rho
    return entropy * t**3, energy * t**4


class Expansion(NamedTuple):
    """ln a, 0 at decoupling, and ln H [MeV], both (n,)."""

    log_scale: jax.Array
    log_hubble: jax.Array


def expansion(tables, hidden, t, neutrino_decoupling):
    """(together, apart, ln s): the universe before and after decoupling, and s a^3 of the plasma after it.

    Both are an :class:`Expansion` at temperatures ``t`` (n,) [MeV] of the neutrinos, smooth functions of it
    on both sides of ``neutrino_decoupling`` (scalar), where they meet. hidden: sequence of :class:`Species`
    with scalar masses. A pure kernel.
    """
    t = jnp.concatenate([t, jnp.reshape(neutrino_decoupling, (1,))])
    entropy, energy = neutrino_state(hidden, t)
    log_entropy, log_t = jnp.log(entropy), jnp.log(t)

    log_plasma, plasma_energy = plasma_state(tables, log_t)
    together = _expansion(jnp.log(entropy + jnp.exp(log_plasma)), energy + plasma_energy)
    log_photon = plasma_temperature(tables, log_entropy - log_entropy[-1] + log_plasma[-1])
    apart = _expansion(log_entropy, energy + plasma_state(tables, log_photon)[1])
    return together, apart, log_plasma[-1]


def _expansion(log_entropy, energy):
    """Of a conserved entropy and all energy, the last of which are those at a = 1."""
    log_hubble = 0.5 * jnp.log(8.0 * np.pi / 3.0 * energy) - np.log(PLANCK_MASS)
    return Expansion((log_entropy[-1] - log_entropy[:-1]) / 3.0, log_hubble[:-1])
