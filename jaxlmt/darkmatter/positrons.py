"""Positrons from dark matter that annihilates near the centre of the Galaxy, and the 511 keV line they make.

Drees & Zhao 2107.14528, eq 4.1: the line needs <sigma v>(psi psibar -> e+e-)/2 between 1e-3 and 1 fb times
(m_psi/MeV)^2, as what counts is how many pairs annihilate. The range is theirs, wide on purpose. Energetic
positrons make MeV photons too, which bound m_psi to some 20 MeV where psi makes the whole line (Beacom, Bell,
Bertone astro-ph/0409403); that is no part of it.
"""

import jax

from ..constants import MEV2_TO_CM2
from ..model import batch
from ..processes.annihilation import thermal_average
from ..validation import check_dark_matter, is_traced, to_float64, values

HALO_VELOCITY = 1e-3  # v0/c near the centre; 2107.14528, below eq 4.1

_UNIT = MEV2_TO_CM2 * 1e39  # MeV^-2 in fb


def injection(theta, halo_velocity):
    """<sigma v>(e+e-)/(2 m_psi^2) [fb/MeV^2]: a pure kernel."""
    return 0.5 * _UNIT * thermal_average(2.0 / halo_velocity**2, theta, "e") / theta.dm_mass**2


@jax.jit
def _injection(theta, halo_velocity):
    return injection(*batch((theta, halo_velocity)))


def positron_injection(theta, *, halo_velocity=HALO_VELOCITY):
    """<sigma v>(psi psibar -> e+e-)/(2 m_psi^2) in the Galaxy [fb/MeV^2]; the 511 keV line needs 1e-3 to 1.

    theta: a :class:`jaxlmt.DarkMatter` that is all dark matter, half psi, half psibar (hence the 2).
    halo_velocity: v0/c > 0, with velocities following exp(-v^2/v0^2), as in :func:`jaxlmt.halo_sigma_v`. Both
    broadcast. Source: Drees & Zhao 2107.14528, eq 4.1. Raises ValueError for invalid arguments.
    """
    theta = check_dark_matter(theta)
    if not is_traced(halo_velocity):
        values("halo_velocity", halo_velocity, low=0.0, low_open=True)
    return _injection(theta, to_float64(halo_velocity))
