"""Elastic scattering of the dark fermion psi on electrons, by exchange of the hidden photon."""

from math import pi

import jax

from ..constants import ALPHA, ELECTRIC_CHARGE, MASS_ELECTRON, MEV2_TO_CM2
from ..mixing import mixing
from ..model import batch
from ..validation import check_dark_matter

_Q2 = (ALPHA * MASS_ELECTRON) ** 2  # at which cross sections on bound electrons are quoted [MeV^2]


def cross_section(theta):
    """sigma(psi e -> psi e) [cm^2] at |q| = alpha m_e: a pure kernel. Drees & Zhao 2107.14528, eq 3.9."""
    reduced = theta.dm_mass * MASS_ELECTRON / (theta.dm_mass + MASS_ELECTRON)
    to_electrons = theta.g_x * theta.charges.e + ELECTRIC_CHARGE * mixing(theta, -_Q2)
    amplitude = to_electrons * theta.dm_charge * theta.g_x / (theta.mass**2 + _Q2)
    return reduced**2 / pi * amplitude**2 * MEV2_TO_CM2


@jax.jit
def _cross_section(theta):
    return cross_section(batch(theta))


def dm_electron_cross_section(theta):
    """sigma(psi e -> psi e) [cm^2] at the reference momentum transfer alpha m_e, without form factor.

    theta: a :class:`jaxlmt.DarkMatter`; its leaves broadcast. Any positive masses; for M_A' >> 4 keV it is
    the same at every momentum transfer. Drees & Zhao 2107.14528, eq 3.9 (3.10 has mu_e = m_e). Raises
    ValueError for invalid parameters, TypeError for a model without dark matter.
    """
    return _cross_section(check_dark_matter(theta))
