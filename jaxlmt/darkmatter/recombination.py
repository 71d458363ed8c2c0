"""Energy that annihilating dark matter gives the plasma after recombination, which the CMB bounds.

Drees & Zhao 2107.14528, eq 3.14. Only charged leptons ionise: e+e- through the mixing, and muons above m_mu.
Psi is at rest by then: it left equilibrium with neutrinos near T = m_psi/50 and has cooled as the square of
the scale factor since, to m_psi/T_psi = 1e13 or more. The average is taken at the end of the kernel's range,
1e10: the same thing where Gamma/M or |delta| exceeds 1e-10, which Gamma/M does for g_x above 6e-5.
"""

import jax

from ..constants import MEV2_TO_CM2, SPEED_OF_LIGHT_CM
from ..model import batch
from ..processes.annihilation import thermal_average
from ..validation import check_dark_matter, is_traced, to_float64, values

AT_REST = 1e10  # m_psi/T_psi
EFFICIENCY_E = 0.3  # f_eff of e+e- at 10 MeV; 2107.14528, below eq 4.1
EFFICIENCY_MU = 0.35 * EFFICIENCY_E  # the electron's share of the energy of a muon's decay, 7/20

_UNIT = MEV2_TO_CM2 * SPEED_OF_LIGHT_CM * 1e3  # MeV^-3 in cm^3 s^-1 GeV^-1


def ionising_power(theta, f_e, f_mu):
    """sum of f_eff <sigma v>/(2 m_psi) over e and mu [cm^3 s^-1 GeV^-1]: a pure kernel."""
    absorbed = f_e * thermal_average(AT_REST, theta, "e") + f_mu * thermal_average(AT_REST, theta, "mu")
    return 0.5 * absorbed / theta.dm_mass * _UNIT


@jax.jit
def _ionising_power(theta, f_e, f_mu):
    return ionising_power(*batch((theta, f_e, f_mu)))


def ionising_annihilation(theta, *, f_e=EFFICIENCY_E, f_mu=EFFICIENCY_MU):
    """f_eff <sigma v>/(2 m_psi) at recombination [cm^3 s^-1 GeV^-1]: what the CMB bounds, by 4.1e-28.

    theta: a :class:`jaxlmt.DarkMatter` that is all dark matter, half psi, half psibar (hence the 2).
    f_e, f_mu (>= 0): f_eff, the share of the energy that ionises, of e+e- and of muon pairs. Neutrinos have
    none. All broadcast. Source: Drees & Zhao 2107.14528, eq 3.14. Raises ValueError for invalid arguments.
    """
    theta = check_dark_matter(theta)
    for name, value in (("f_e", f_e), ("f_mu", f_mu)):
        if not is_traced(value):
            values(name, value, low=0.0)
    return _ionising_power(theta, *to_float64((f_e, f_mu)))
