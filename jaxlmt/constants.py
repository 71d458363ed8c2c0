"""Numbers of nature and unit conversions, each with its source.

Natural units with MeV throughout: masses and energies in MeV, lengths in cm where the name says so.
"""

from math import pi, sqrt

# CODATA 2022 (Mohr et al., 2409.03701) unless another source is named.
ALPHA = 1.0 / 137.035999  # fine-structure constant at zero momentum transfer
ELECTRIC_CHARGE = sqrt(4.0 * pi * ALPHA)  # e, natural Heaviside-Lorentz units
FERMI_CONSTANT = 1.1663787e-11  # G_F [MeV^-2]; MuLan, 1211.0960
HBARC_MEV_CM = 197.3269804593025e-13  # hbar c [MeV cm], exact in the SI
HBARC_MEV_FM = 197.3269804593025  # hbar c [MeV fm]
MEV2_TO_CM2 = HBARC_MEV_CM**2  # a cross section of 1 MeV^-2 in cm^2
SPEED_OF_LIGHT_CM = 2.99792458e10  # cm/s, exact
SECONDS_PER_YEAR = 365.25 * 86400.0  # Julian year
AVOGADRO = 6.02214076e23  # per mol, exact
ATOMIC_MASS_UNIT = 931.49410372  # MeV

PLANCK_MASS = 1.220890e22  # MeV, (hbar c/G)^(1/2)
# Today's Universe: entropy of photons at 2.7255 K and three neutrinos; 3 (100 km/s/Mpc)^2/(8 pi G). PDG 2024.
ENTROPY_TODAY_CM3 = 2891.2  # per cm^3
CRITICAL_DENSITY_MEV_CM3 = 1.053672e-2  # h^2 MeV/cm^3
CMB_TEMPERATURE = 2.7255  # K; Fixsen, 0911.1955
BOLTZMANN = 8.617333262e-11  # k [MeV/K], exact in the SI

MASS_ELECTRON = 0.51099895069  # MeV
MASS_MUON = 105.6583755  # MeV
MASS_PROTON = 938.27208943  # MeV
MASS_TAU = 1776.93  # MeV; PDG 2024
MASS_PION = 139.57039  # MeV, charged pion; PDG 2024
