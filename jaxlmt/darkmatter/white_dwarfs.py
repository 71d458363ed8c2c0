"""Neutrino pairs that the hidden photon lets a white dwarf emit, beside those of the Standard Model.

Plasmons decay to neutrinos through the vector coupling of electrons. The Standard Model's is that of nu_e,
C_V G_F/sqrt(2) with C_V = 1; the A' adds G_l/2 for every other flavour, G_l = Q_l g_x eps_x e/M^2: Drees &
Zhao 2107.14528, eqs 3.15-3.17. The propagator is that of an A' much heavier than plasmons, whose mass is the
plasma frequency w, some tens of keV: (w/M)^2 is 1e-3 for w = 30 keV and M = 1 MeV. Where M comes near w, A'
are made on shell, and the emission is larger than what is returned here.
"""

import jax

from ..constants import ELECTRIC_CHARGE, FERMI_CONSTANT
from ..model import batch
from ..validation import check_theta


def extra_emission(theta):
    """Emission through the A' over that of the Standard Model: a pure kernel, shape of the leaves.

    The amplitudes of nu_mu and nu_tau through the Z, 4% of that of nu_e, are left out as in the paper.
    """
    q = theta.charges
    to_electrons = theta.g_x * q.e + ELECTRIC_CHARGE * theta.eps_x
    contact = theta.g_x * to_electrons / (theta.mass**2 * FERMI_CONSTANT)
    return 0.5 * (q.mu**2 + q.tau**2) * contact**2


@jax.jit
def _extra_emission(theta):
    return extra_emission(batch(theta))


def white_dwarf_emission(theta):
    """Neutrino emission of a hot white dwarf through the A', in units of the Standard Model's: 1 doubles it.

    For Lmu-Ltau it is (G_D/G_F)^2 of Drees & Zhao 2107.14528, eqs 3.15-3.18: 1 at g_x = 5.17e-4 (M_A'/10 MeV)
    with eps_x = -g_x/69.29. The leaves of ``theta`` broadcast. Valid for an A' heavier than plasmons, which
    have some tens of keV: from about 1 MeV on. Raises ValueError for invalid parameters.
    """
    return _extra_emission(check_theta(theta))
