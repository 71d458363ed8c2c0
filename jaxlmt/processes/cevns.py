"""Coherent elastic neutrino-nucleus scattering with Z and A' exchange, as one square.

2104.03297, eq 33, is (G_F^2 M_N/pi) K F^2 (Q/2 + kappa_alpha)^2 with the kinematic bracket K, the weak
charge Q = N - (1 - 4 sin^2 theta_W) Z and kappa_alpha = g eps e Z Q_alpha/(sqrt2 G_F (2 M_N E_R + M^2)).
Written so it cannot turn negative and keeps its digits where Z and A' cancel. For eps_x < 0 the A'
interferes destructively for nu_mu and constructively for nu_tau; antineutrinos have the same sign.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import ELECTRIC_CHARGE, FERMI_CONSTANT, MEV2_TO_CM2
from ..mixing import mixing
from ..nuclei import helm_form_factor
from ..validation import check_theta, choose, is_traced, number, to_float64, values

KINEMATICS = ("exact", "paper")
FLAVOURS = ("e", "mu", "tau")


def weak_charge(isotope, sin2_theta_w):
    """Q_nuN = N - (1 - 4 sin^2 theta_W) Z."""
    return isotope.neutrons - (1.0 - 4.0 * sin2_theta_w) * isotope.z


def propagator(recoil_energy_keV, mass, isotope):
    """u = 1/(2 M_N E_R + M_A'^2) [MeV^-2]."""
    return 1.0 / (2e-3 * isotope.mass * recoil_energy_keV + mass**2)


def mediator_strength(theta, eps, charge, isotope):
    """kappa_alpha/u [MeV^2], sign included: ``eps`` at q^2 = -2 M_N E_R, ``charge`` of the neutrino."""
    prefactor = ELECTRIC_CHARGE * isotope.z / (np.sqrt(2.0) * FERMI_CONSTANT)
    return prefactor * theta.g_x * eps * charge


def kinematic_bracket(recoil_energy, neutrino_energy, target_mass, kinematics):
    """K(E_R, E_nu), all energies in MeV; 0 beyond the endpoint.

    ``"exact"``: 1 - E_R/E_nu - M E_R/(2 E_nu^2), exact for spin 0 and zero at its own endpoint.
    ``"paper"``: without E_R/E_nu, as eq 33, zero at E_nu = sqrt(M E_R/2).
    """
    bracket = 1.0 - target_mass * recoil_energy / (2.0 * neutrino_energy**2)
    if kinematics == "exact":
        bracket = bracket - recoil_energy / neutrino_energy
    return jnp.maximum(bracket, 0.0)


def minimum_neutrino_energy(recoil_energy, target_mass, kinematics):
    """Smallest E_nu [MeV] that gives a recoil ``recoil_energy`` [MeV]; the zero of the bracket."""
    if kinematics == "exact":
        return 0.5 * (recoil_energy + jnp.sqrt(recoil_energy**2 + 2.0 * target_mass * recoil_energy))
    return jnp.sqrt(0.5 * target_mass * recoil_energy)


def maximum_recoil_energy(neutrino_energy, target_mass, kinematics):
    """Endpoint [MeV] of the recoil spectrum: the inverse of :func:`minimum_neutrino_energy`."""
    if kinematics == "exact":
        return 2.0 * neutrino_energy**2 / (target_mass + 2.0 * neutrino_energy)
    return 2.0 * neutrino_energy**2 / target_mass


def coherent_prefactor(recoil_energy_keV, isotope):
    """(G_F^2 M_N/pi) F^2 [cm^2 per keV]: what multiplies K (Q/2 + kappa)^2."""
    prefactor = FERMI_CONSTANT**2 * isotope.mass / np.pi * MEV2_TO_CM2 * 1e-3
    return prefactor * helm_form_factor(recoil_energy_keV, isotope) ** 2


@functools.partial(jax.jit, static_argnames=("charge_name", "isotope", "kinematics"))
def _cross_section(recoil, energy, theta, sin2_theta_w, charge_name, isotope, kinematics):
    eps = mixing(theta, -2e-3 * isotope.mass * recoil)
    strength = mediator_strength(theta, eps, getattr(theta.charges, charge_name), isotope)
    amplitude = 0.5 * weak_charge(isotope, sin2_theta_w)
    amplitude = amplitude + strength * propagator(recoil, theta.mass, isotope)
    bracket = kinematic_bracket(1e-3 * recoil, energy, isotope.mass, kinematics)
    return coherent_prefactor(recoil, isotope) * bracket * amplitude**2


def cevns_cross_section(
    recoil_energy_keV,
    neutrino_energy,
    theta,
    *,
    flavour,
    isotope,
    sin2_theta_w=0.23857,
    kinematics="exact",
):
    """d sigma/dE_R [cm^2 per keV] of coherent scattering; 0 beyond the kinematic endpoint.

    recoil_energy_keV (> 0) [keV] and neutrino_energy (> 0) [MeV] broadcast with the leaves of ``theta``;
    flavour: ``"e"``, ``"mu"`` or ``"tau"``; isotope: a :class:`jaxlmt.nuclei.Isotope`; kinematics:
    ``"exact"`` or ``"paper"``. Raises ValueError for invalid arguments. Source: 2104.03297, eq 33.
    """
    choose("flavour", flavour, FLAVOURS)
    choose("kinematics", kinematics, KINEMATICS)
    theta = check_theta(theta)
    if not is_traced(recoil_energy_keV):
        values("recoil_energy_keV", recoil_energy_keV, low=0.0, low_open=True)
    if not is_traced(neutrino_energy):
        values("neutrino_energy", neutrino_energy, low=0.0, low_open=True)
    if not is_traced(sin2_theta_w):
        number("sin2_theta_w", sin2_theta_w, low=0.0, high=1.0)
    arguments = to_float64((recoil_energy_keV, neutrino_energy, theta, sin2_theta_w))
    return _cross_section(*arguments, flavour, isotope, kinematics)
