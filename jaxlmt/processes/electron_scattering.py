"""Neutrino-electron scattering with Z, W and A' exchange.

2104.03297, eq 36, is the Standard Model's formula with both chiral couplings shifted by the same d:

    d sigma/dE_R = (2 G_F^2 m_e/pi) [(g_L + d)^2 + (g_R + d)^2 (1 - E_R/E_nu)^2
                                     - (g_L + d)(g_R + d) m_e E_R/E_nu^2],
    d = g_x Q_alpha (eps e + g_x Q_e) / (2 sqrt2 G_F (2 m_e E_R + M^2)).

The paper's models have Q_e = 0; an electron with a charge of its own couples to the A' directly, with the
sign that eq 9's Lagrangian gives it. The electron is free and at rest: :mod:`jaxlmt.detection.xenon` knows
how many of an atom's electrons count as that.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import ELECTRIC_CHARGE, FERMI_CONSTANT, MASS_ELECTRON, MEV2_TO_CM2
from ..mixing import mixing
from ..validation import check_theta, choose, is_traced, number, to_float64, values
from .cevns import FLAVOURS, maximum_recoil_energy, minimum_neutrino_energy


def minimum_energy(recoil_energy_keV):
    """Smallest neutrino energy [MeV] that gives an electron a recoil of ``recoil_energy_keV``."""
    return minimum_neutrino_energy(1e-3 * recoil_energy_keV, MASS_ELECTRON, "exact")


def maximum_recoil_keV(neutrino_energy):
    """Endpoint [keV] of the electron's recoil: the inverse of :func:`minimum_energy`."""
    return 1e3 * maximum_recoil_energy(neutrino_energy, MASS_ELECTRON, "exact")


def couplings(sin2_theta_w):
    """(g_L, g_R), each (3,) for nu_e, nu_mu, nu_tau; W exchange adds one to g_L of nu_e."""
    right = jnp.asarray(sin2_theta_w) * jnp.ones(3)
    return right + np.array([0.5, -0.5, -0.5]), right


def mediator_shift(theta, eps, charges, recoil_energy_keV):
    """d, what the A' adds to g_L and to g_R; dimensionless, sign included.

    ``eps`` at q^2 = -2 m_e E_R; ``charges`` Q_alpha of the neutrinos; all broadcast with the leaves of theta.
    """
    electron = ELECTRIC_CHARGE * eps + theta.g_x * theta.charges.e
    propagator = 1.0 / (2e-3 * MASS_ELECTRON * recoil_energy_keV + theta.mass**2)
    return theta.g_x * charges * electron / (2.0 * np.sqrt(2.0) * FERMI_CONSTANT) * propagator


def moments(recoil_energy_keV, neutrino_energy):
    """(m0, m1, m2) [cm^2 per keV and electron], stacked on a new first axis; zero beyond the endpoint.

    d sigma/dE_R = m0 (g_L + d)^2 + m1 (g_R + d)^2 + m2 (g_L + d)(g_R + d). recoil_energy_keV (>= 0) and
    neutrino_energy (> 0) [MeV] broadcast. At the endpoint the cross section ends with a step.
    """
    recoil, energy = jnp.broadcast_arrays(1e-3 * jnp.asarray(recoil_energy_keV), jnp.asarray(neutrino_energy))
    scale = 2.0 * FERMI_CONSTANT**2 * MASS_ELECTRON / np.pi * MEV2_TO_CM2 * 1e-3
    is_open = recoil <= maximum_recoil_energy(energy, MASS_ELECTRON, "exact")
    fraction = recoil / energy
    shapes = [jnp.ones_like(fraction), (1.0 - fraction) ** 2, -MASS_ELECTRON * fraction / energy]
    return scale * jnp.where(is_open[None], jnp.stack(shapes), 0.0)


@functools.partial(jax.jit, static_argnames="flavour")
def _cross_section(recoil, energy, theta, sin2_theta_w, flavour):
    left, right = (coupling[FLAVOURS.index(flavour)] for coupling in couplings(sin2_theta_w))
    eps = mixing(theta, -2e-3 * MASS_ELECTRON * recoil)
    shift = mediator_shift(theta, eps, getattr(theta.charges, flavour), recoil)
    left, right = left + shift, right + shift
    m0, m1, m2 = moments(recoil, energy)
    return m0 * left**2 + m1 * right**2 + m2 * left * right


def electron_cross_section(recoil_energy_keV, neutrino_energy, theta, *, flavour, sin2_theta_w=0.23857):
    """d sigma/dE_R [cm^2 per keV] of a neutrino on a free electron; 0 beyond the kinematic endpoint.

    recoil_energy_keV (> 0) [keV] and neutrino_energy (> 0) [MeV] broadcast with the leaves of ``theta``;
    flavour: ``"e"``, ``"mu"`` or ``"tau"``. Raises ValueError for invalid arguments. Source: 2104.03297,
    eq 36.
    """
    choose("flavour", flavour, FLAVOURS)
    theta = check_theta(theta)
    if not is_traced(recoil_energy_keV):
        values("recoil_energy_keV", recoil_energy_keV, low=0.0, low_open=True)
    if not is_traced(neutrino_energy):
        values("neutrino_energy", neutrino_energy, low=0.0, low_open=True)
    if not is_traced(sin2_theta_w):
        number("sin2_theta_w", sin2_theta_w, low=0.0, high=1.0)
    return _cross_section(*to_float64((recoil_energy_keV, neutrino_energy, theta, sin2_theta_w)), flavour)
