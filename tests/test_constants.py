"""Every constant against scipy.constants (CODATA 2018 or 2022) or the PDG numbers in ``particle``."""

from math import pi, sqrt

import pytest
from particle import Particle
from scipy import constants as codata

from jaxlmt import constants

# CODATA's 2018 and 2022 adjustments, of which scipy ships one or the other, differ by 1.4e-9.
CODATA = 2e-9


def physical(name):
    return codata.physical_constants[name][0]


SECOND_SOURCE = {  # name: (value, relative tolerance)
    "ALPHA": (physical("fine-structure constant"), CODATA),
    "ELECTRIC_CHARGE": (codata.e / sqrt(codata.epsilon_0 * codata.hbar * codata.c), CODATA),
    "FERMI_CONSTANT": (1e-6 * physical("Fermi coupling constant"), 1e-12),
    # 10 digits of an exact number, cut off rather than rounded.
    "HBARC_MEV_CM": (codata.hbar * codata.c / codata.e * 1e-6 * 1e2, 4e-10),
    "HBARC_MEV_FM": (codata.hbar * codata.c / codata.e * 1e-6 * 1e15, 4e-10),
    "MEV2_TO_CM2": ((codata.hbar * codata.c / codata.e * 1e-6 * 1e2) ** 2, 8e-10),
    "PLANCK_MASS": (physical("Planck mass energy equivalent in GeV") * 1e3, 1e-6),
    "BOLTZMANN": (physical("Boltzmann constant in eV/K") * 1e-6, 1e-9),
    # 410.73 photons per cm^3 (PDG): 2 zeta(3)/pi^2 (k T/hbar c)^3.
    "CMB_TEMPERATURE": ((410.73 * pi**2 / 2.4041138063) ** (1 / 3) * 0.22898484, 2e-4),
    # 3 H^2/(8 pi G) c^2 for 100 km/s/Mpc
    "CRITICAL_DENSITY_MEV_CM3": (
        3 * (1e5 / (codata.parsec * 1e6)) ** 2 / (8 * pi * codata.G) * codata.c**2 / codata.e * 1e-12,
        3e-5,  # G
    ),
    # (2 pi^2/45) (kT)^3 (2 + 21/4 * 4/11 with N_eff = 3.045)
    "ENTROPY_TODAY_CM3": (2 * pi**2 / 45 * (2 + 21 / 4 * 4 / 11) * (2.7255 / 0.22898484) ** 3, 1e-3),
    "AVOGADRO": (codata.N_A, 1e-15),
    "SPEED_OF_LIGHT_CM": (codata.c * 100.0, 1e-15),
    "SECONDS_PER_YEAR": (codata.Julian_year, 1e-15),
    "ATOMIC_MASS_UNIT": (physical("atomic mass constant energy equivalent in MeV"), CODATA),
    "MASS_ELECTRON": (physical("electron mass energy equivalent in MeV"), CODATA),
    "MASS_MUON": (physical("muon mass energy equivalent in MeV"), CODATA),
    "MASS_PROTON": (physical("proton mass energy equivalent in MeV"), CODATA),
    "MASS_TAU": (Particle.from_name("tau-").mass, 1e-5),  # error 5e-5
    "MASS_PION": (Particle.from_name("pi+").mass, 1e-6),  # error 1.3e-6
}

PDG = {"MASS_ELECTRON": "e-", "MASS_MUON": "mu-", "MASS_PROTON": "p"}


def test_every_constant_has_a_second_source():
    names = {name for name in vars(constants) if name.isupper()}
    assert names == set(SECOND_SOURCE)


@pytest.mark.parametrize("name", SECOND_SOURCE)
def test_constant(name):
    expected, tolerance = SECOND_SOURCE[name]
    assert getattr(constants, name) == pytest.approx(expected, rel=tolerance, abs=0.0)


@pytest.mark.parametrize("name", PDG)
def test_masses_agree_with_the_pdg(name):
    expected = Particle.from_name(PDG[name]).mass
    assert getattr(constants, name) == pytest.approx(expected, rel=CODATA, abs=0.0)


def test_units_of_a_cross_section():
    # The Thomson cross section, 8 pi/3 (alpha/m_e)^2, in cm^2.
    natural = 8.0 * pi / 3.0 * (constants.ALPHA / constants.MASS_ELECTRON) ** 2
    expected = 1e4 * physical("Thomson cross section")
    assert natural * constants.MEV2_TO_CM2 == pytest.approx(expected, rel=1e-8, abs=0.0)
