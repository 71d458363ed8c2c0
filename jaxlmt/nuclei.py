"""Nuclei as targets of coherent scattering: masses and the Helm form factor."""

from dataclasses import dataclass

import jax.numpy as jnp

from .constants import ATOMIC_MASS_UNIT, HBARC_MEV_FM, MASS_ELECTRON


@dataclass(frozen=True)
class Isotope:
    """One nuclide. z, a: charge and mass number; atomic_mass_u: mass of the neutral atom [u]."""

    name: str
    z: int
    a: int
    atomic_mass_u: float

    @property
    def neutrons(self):
        """Number of neutrons."""
        return self.a - self.z

    @property
    def mass(self):
        """Nuclear mass [MeV]; the binding of the electrons (15 keV in argon) is left out."""
        return self.atomic_mass_u * ATOMIC_MASS_UNIT - self.z * MASS_ELECTRON


ARGON_40 = Isotope("40Ar", 18, 40, 39.96238312204)  # AME2020

ISOTOPES = {isotope.name: isotope for isotope in (ARGON_40,)}


def helm_form_factor(recoil_energy_keV, isotope):
    """Helm form factor F(q) at recoil energy E_R [keV], q^2 = 2 M_N E_R; F(0) = 1.

    Lewin & Smith, Astropart. Phys. 6 (1996) 87, eqs 9-11: s = 0.9 fm, a = 0.52 fm,
    c = 1.23 A^(1/3) - 0.60 fm. Any shape, E_R >= 0.
    """
    skin = 0.9
    radius2 = (1.23 * isotope.a ** (1.0 / 3.0) - 0.60) ** 2
    radius2 += 7.0 / 3.0 * jnp.pi**2 * 0.52**2 - 5.0 * skin**2
    q2 = 2.0 * isotope.mass * recoil_energy_keV * 1e-3 / HBARC_MEV_FM**2  # fm^-2
    y2 = q2 * radius2
    small = y2 < 0.25
    series = 1.0 - y2 / 10.0 + y2**2 / 280.0 - y2**3 / 15120.0 + y2**4 / 1330560.0 - y2**5 / 172972800.0
    y = jnp.sqrt(jnp.where(small, 0.25, y2))
    bessel = 3.0 * (jnp.sin(y) - y * jnp.cos(y)) / y**3
    return jnp.where(small, series, bessel) * jnp.exp(-0.5 * q2 * skin**2)
