"""An ideal gas in equilibrium: energy, pressure and entropy of massive particles, no chemical potential.

Everything is per internal degree of freedom, in units of powers of the temperature T, and a function of
``ratio`` = m/T >= 0, of any shape, and of the statistics, :data:`FERMION` or :data:`BOSON`.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ..quadrature import spread, trailing

FERMION, BOSON = 1.0, -1.0  # the sign in exp(E/T) +- 1
PHOTON_ENERGY = np.pi**2 / 30.0  # rho/T^4 of a massless boson
PHOTON_ENTROPY = 2.0 * np.pi**2 / 45.0  # s/T^3
NEUTRINO_ENERGY, NEUTRINO_ENTROPY = 7.0 / 8.0 * PHOTON_ENERGY, 7.0 / 8.0 * PHOTON_ENTROPY

# With p/T = sqrt(1 + ratio/10) exp(u - exp(-u)) the trapezoidal rule in u converges as exp(-pi^2/h), or
# nearly: the momenta at which the integrands are singular, i ratio and i sqrt(ratio^2 + (n pi)^2), stay
# where they are as the mass grows from 0, and the factor follows the Gaussian of a heavy particle.
_STEP = 0.16
_U = np.arange(-2.4, 3.9, _STEP)
_MOMENTUM = np.exp(_U - np.exp(-_U))
_WEIGHT = _STEP * _MOMENTUM * (1.0 + np.exp(-_U)) / (2.0 * np.pi**2)


class Species(NamedTuple):
    """A kind of particle: mass [MeV], internal degrees of freedom (antiparticles included), statistics."""

    mass: float
    degrees: float
    sign: float


def energy_and_pressure(ratio, sign):
    """(rho, p)/T^4, each of the shape of ``ratio``; relative error below 1e-12 for ratio < 10, 1e-10 to 1e4.

    Zero where exp(-ratio) underflows.
    """
    ratio = jnp.asarray(ratio)
    scale = 1.0 + 0.1 * ratio
    momentum2 = spread(scale, _U.size) * trailing(_MOMENTUM**2, ratio)
    energy = jnp.sqrt(momentum2 + spread(ratio, _U.size) ** 2)
    boltzmann = jnp.exp(-energy)
    occupied = momentum2 * boltzmann / (1.0 + sign * boltzmann)
    scale = jnp.sqrt(scale)
    return scale * ((occupied * energy) @ _WEIGHT), scale * ((occupied * momentum2 / energy) @ _WEIGHT) / 3.0


def entropy(ratio, sign):
    """s/T^3, to the accuracy of :func:`energy_and_pressure`."""
    energy, pressure = energy_and_pressure(ratio, sign)
    return energy + pressure


def relative_entropy(ratio, sign):
    """F of Drees & Zhao 2107.14528, eq 3.13: the entropy over that of a massless fermion.

    1 for a massless fermion, 8/7 for a massless boson.
    """
    return entropy(ratio, sign) / NEUTRINO_ENTROPY
