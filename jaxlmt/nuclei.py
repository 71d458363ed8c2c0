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

OXYGEN_16 = Isotope("16O", 8, 16, 15.99491461926)  # targets of neutrino beams: AME2020
SILICON_28 = Isotope("28Si", 14, 28, 27.97692653442)
IRON_56 = Isotope("56Fe", 26, 56, 55.93493554)

XENON_131 = Isotope("131Xe", 54, 131, 130.905084128)  # masses of xenon: AME2020

# Natural xenon with shares by number: IUPAC 2013 (Meija et al., Pure Appl. Chem. 88 (2016) 293).
XENON = (
    (Isotope("124Xe", 54, 124, 123.9058852), 0.00095),
    (Isotope("126Xe", 54, 126, 125.904297422), 0.00089),
    (Isotope("128Xe", 54, 128, 127.903530753), 0.01910),
    (Isotope("129Xe", 54, 129, 128.904780857), 0.26401),
    (Isotope("130Xe", 54, 130, 129.903509346), 0.04071),
    (XENON_131, 0.21232),
    (Isotope("132Xe", 54, 132, 131.904155083), 0.26909),
    (Isotope("134Xe", 54, 134, 133.905393030), 0.10436),
    (Isotope("136Xe", 54, 136, 135.907214474), 0.08857),
)

ISOTOPES = {isotope.name: isotope for isotope in (ARGON_40, *(isotope for isotope, _ in XENON))}


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
