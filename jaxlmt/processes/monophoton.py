"""A single photon and nothing else from e+ e-: gamma A' with an A' that is not seen, and gamma nu nubar.

Both are a cross section at what is left of the energy squared s, s (1-x) with x = 2 E_gamma/sqrt(s), times
the spectrum of one photon at an angle theta to the beams (massless electrons),

    R(x) = (alpha/pi x) int d cos theta [(1 + (1-x)^2)/sin^2 theta - x^2/2].

For the A', where x = 1 - M^2/s, this is Drees & Zhao 2107.14528, eq 5.1, with the factor 1/s that it lacks.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import ALPHA, ELECTRIC_CHARGE, FERMI_CONSTANT, MEV2_TO_CM2
from ..mixing import imaginary_mixing, mixing
from ..validation import check_theta, is_traced, number, to_float64
from .electron_scattering import couplings


def radiator(x, cos_max):
    """R(x), the spectrum in x of photons with |cos theta| < ``cos_max``; dimensionless, 0 < x <= 1."""
    angles = 2.0 * jnp.arctanh(cos_max)  # int d cos theta/sin^2 theta
    return ALPHA / (np.pi * x) * ((1.0 + (1.0 - x) ** 2) * angles - x**2 * cos_max)


def electron_coupling2(theta):
    """Square of the coupling of an A' on its mass shell to electrons: of mixing, and of a charge Q_e."""
    coupling = theta.g_x * theta.charges.e + ELECTRIC_CHARGE * mixing(theta, theta.mass**2)
    if not theta.running:
        return coupling**2
    return coupling**2 + (ELECTRIC_CHARGE * imaginary_mixing(theta, theta.mass**2)) ** 2


def cross_section(theta, energy, cos_max):
    """(sigma [cm^2] of e+ e- -> gamma A', x of the photon); a pure kernel. Zero, at x = 1, where M >= energy.

    energy: sqrt(s) [MeV].
    """
    x = (1.0 - theta.mass / energy) * (1.0 + theta.mass / energy)
    is_open = x > 0.0
    x = jnp.where(is_open, x, 1.0)
    sigma = np.pi * electron_coupling2(theta) / energy**2 * radiator(x, cos_max) * MEV2_TO_CM2
    return jnp.where(is_open, sigma, 0.0), x


def neutrino_spectrum(x, energy, cos_max, sin2_theta_w=0.23857):
    """d sigma/dx [cm^2] of e+ e- -> gamma nu nubar, all flavours, at ``x`` of any shape; a pure kernel.

    Z and W as contact interactions: at sqrt(s) = ``energy`` [MeV] far below the Z.
    """
    left, right = couplings(sin2_theta_w)
    strength = FERMI_CONSTANT**2 / (6.0 * np.pi) * jnp.sum(left**2 + right**2)
    return strength * energy**2 * (1.0 - x) * radiator(x, cos_max) * MEV2_TO_CM2


@jax.jit
def _cross_section(theta, energy, cos_max):
    return cross_section(theta, energy, cos_max)[0]


def monophoton_cross_section(theta, *, energy, cos_max=0.985):
    """sigma [cm^2] of e+ e- -> gamma A' with |cos theta| < ``cos_max`` for the photon, however the A' decays.

    energy: sqrt(s) [MeV], a number; cos_max: in the centre-of-mass frame. Broadcasts over the leaves of
    ``theta``. Zero for M >= energy; near it the photon is soft and the cross section grows as
    1/(s - M^2). A mixing that runs is the one at q^2 = M^2, complex. Raises ValueError for invalid
    arguments. Source: Drees & Zhao 2107.14528, eq 5.1, corrected, integrated.
    """
    if not is_traced(energy):
        number("energy", energy, low=0.0, low_open=True)
    return _cross_section(check_theta(theta), *to_float64((energy, check_cos_max(cos_max))))


def check_cos_max(cos_max):
    """``cos_max`` as a number in (0, 1); ValueError for others."""
    if number("cos_max", cos_max, low=0.0, low_open=True, high=1.0) == 1.0:
        raise ValueError(f"cos_max must lie below 1, where the cross section diverges; got {cos_max!r}")
    return float(cos_max)
