"""Response of liquid-argon detectors to nuclear recoils."""

import jax.numpy as jnp


def quenched_energy_keV(recoil_energy_keV):
    """Electron-equivalent energy [keV_ee] of a nuclear recoil [keV_nr] in liquid argon.

    CENNS-10 (2003.10630): Q_F = 0.246 + 7.8e-4 E_R/keV, quoted in 2104.03297, section 4.
    """
    return (0.246 + 7.8e-4 * recoil_energy_keV) * recoil_energy_keV


def full_efficiency(recoil_energy_keV):
    """Efficiency one at every recoil energy [keV_nr]."""
    return jnp.ones_like(recoil_energy_keV)


def cenns10_efficiency(recoil_energy_keV):
    """Efficiency of CENNS-10 at a recoil energy [keV_nr]: 50% at 4 keV_ee = 15.5 keV_nr.

    0.5 (1 + tanh(E_ee - 4 keV_ee)) as in 2104.03297, section 4, with E_R there read as E_ee.
    """
    return 0.5 * (1.0 + jnp.tanh(quenched_energy_keV(recoil_energy_keV) - 4.0))


EFFICIENCIES = {"full": full_efficiency, "cenns10": cenns10_efficiency}
