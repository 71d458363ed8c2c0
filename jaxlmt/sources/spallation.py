"""Neutrinos of pions and muons decaying at rest (2104.03297, eq 31).

pi+ -> mu+ nu_mu gives a line, mu+ -> e+ nu_e anti-nu_mu two Michel spectra; each integrates to one.
"""

import jax.numpy as jnp

from ..constants import MASS_MUON, MASS_PION
from ..processes.cevns import kinematic_bracket, maximum_recoil_energy, minimum_neutrino_energy
from ..quadrature import trailing, unit_gauss

LINE_ENERGY = (MASS_PION**2 - MASS_MUON**2) / (2.0 * MASS_PION)  # nu_mu, 29.79 MeV
MICHEL_ENDPOINT = 0.5 * MASS_MUON  # 52.83 MeV


def electron_neutrino_spectrum(energy):
    """nu_e of muon decay at rest [1/MeV] at ``energy`` [MeV]; zero outside (0, m_mu/2)."""
    inside = (energy > 0.0) & (energy < MICHEL_ENDPOINT)
    return jnp.where(inside, 192.0 * energy**2 / MASS_MUON**3 * (0.5 - energy / MASS_MUON), 0.0)


def muon_antineutrino_spectrum(energy):
    """anti-nu_mu of muon decay at rest [1/MeV] at ``energy`` [MeV]; zero outside (0, m_mu/2)."""
    inside = (energy > 0.0) & (energy < MICHEL_ENDPOINT)
    return jnp.where(inside, 64.0 * energy**2 / MASS_MUON**3 * (0.75 - energy / MASS_MUON), 0.0)


def flux_moments(recoil_energy_keV, target_mass, kinematics):
    """int dE_nu phi_alpha(E_nu) K(E_R, E_nu) for alpha = e, mu, per decay; shape (2, n).

    recoil_energy_keV: shape (n,); K is :func:`jaxlmt.processes.cevns.kinematic_bracket`. Muon
    neutrinos and antineutrinos are summed. The integrands are cubics in E_nu, so that two Gauss nodes
    are exact.
    """
    recoil = 1e-3 * recoil_energy_keV
    start = jnp.minimum(minimum_neutrino_energy(recoil, target_mass, kinematics), MICHEL_ENDPOINT)
    nodes, weights = (trailing(part, start) for part in unit_gauss(2))
    width = (MICHEL_ENDPOINT - start)[:, None]
    energy = start[:, None] + width * nodes
    bracket = weights * width * kinematic_bracket(recoil[:, None], energy, target_mass, kinematics)
    line = kinematic_bracket(recoil, LINE_ENERGY, target_mass, kinematics)
    return jnp.stack(
        [
            jnp.sum(bracket * electron_neutrino_spectrum(energy), axis=1),
            jnp.sum(bracket * muon_antineutrino_spectrum(energy), axis=1) + line,
        ]
    )


def recoil_endpoints_keV(target_mass, kinematics):
    """Recoil energies [keV] at which the rate has a kink: endpoints of the line and of muon decay."""
    return [
        1e3 * maximum_recoil_energy(energy, target_mass, kinematics)
        for energy in (LINE_ENERGY, MICHEL_ENDPOINT)
    ]
