"""Muon bremsstrahlung of a hidden photon in the field of a nucleus, mu Z -> mu Z A'.

Notation of Amaral et al. (2104.03297, eqs 14-20): x = E_A'/E0, m the muon mass, M the A' mass, t the
photon virtuality, V = M^2 (1-x)/x + m^2 x the virtuality of the intermediate muon. Two kernels share

    d sigma/dx = (alpha^2 g^2 / 4 pi) beta (1-x)/V * J(x, M),    beta = sqrt(1 - M^2/(x E0)^2)

and differ in the dimensionless J, the effective photon flux folded with the mu gamma -> mu A' kernel:

* ``"ww"``: Weizsaecker-Williams with the angle-dependent lower limit of t. The integral over the
  emission angle is done in closed form and one over t is left, substituted t = (V s/a)^2.
* ``"paper"``: the paper's, chi over fixed limits, t_min = (M^2/2 E0)^2 and t_max = M^2, and its printed
  prefactor, which is smaller than the one derived by pi. It reproduces the paper's figures.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import ALPHA, MASS_ELECTRON, MASS_MUON, MASS_PROTON, MEV2_TO_CM2
from ..quadrature import trailing, unit_gauss
from ..validation import check_theta, choose, is_traced, number, to_float64, values

KERNELS = ("ww", "paper")

_NODES = 64  # Gauss nodes in ln s ("ww") or ln t ("paper"); both are converged to 1e-12
_PROTON_MOMENT = 2.79


def form_factor(t, z, a):
    """Electric form factor G2(t) of an atom, elastic plus inelastic; dimensionless, of order Z^2.

    t: photon virtuality [MeV^2], any shape, >= 0; z, a: charge and mass number.
    Source: Bjorken et al., 0906.0580, eqs A18-A19.
    """
    screening = (111.0 * z ** (-1.0 / 3.0) / MASS_ELECTRON) ** 2 * t
    size = t / (0.164e6 * a ** (-2.0 / 3.0))
    elastic = (z * screening / (1.0 + screening) / (1.0 + size)) ** 2
    screening_in = (773.0 * z ** (-2.0 / 3.0) / MASS_ELECTRON) ** 2 * t
    magnetic = 1.0 + t * (_PROTON_MOMENT**2 - 1.0) / (4.0 * MASS_PROTON**2)
    dipole = (1.0 + t / 0.71e6) ** 4
    inelastic = z * (screening_in / (1.0 + screening_in) * magnetic / dipole) ** 2
    return elastic + inelastic


def muon_virtuality(x, mass):
    """V = M^2 (1-x)/x + m_mu^2 x [MeV^2], eq 20."""
    return mass**2 * (1.0 - x) / x + MASS_MUON**2 * x


def flux_integral_ww(x, mass, beam_energy, z, a):
    """J(x, M) of the ``"ww"`` kernel, dimensionless; x and mass broadcast, beam_energy in MeV."""
    x, mass = jnp.broadcast_arrays(jnp.asarray(x), jnp.asarray(mass))
    v = muon_virtuality(x, mass)
    reach = 2.0 * beam_energy * (1.0 - x)
    log_s_max = jnp.log(jnp.maximum(reach * jnp.sqrt(mass**2 + MASS_MUON**2) / v, 1.0))
    nodes, weights = (trailing(part, x) for part in unit_gauss(_NODES))
    log_s = log_s_max[..., None] * nodes
    s = jnp.exp(log_s)
    flat = 2.0 * (2.0 - 2.0 * x + x**2) / (1.0 - x)
    kappa = 4.0 * x * (mass**2 + 2.0 * MASS_MUON**2) / v
    square = (s - 1.0) ** 2
    angular = square * (s + 2.0) / (3.0 * s) - 0.5 * (s - 1.0) * (s + 1.0) + log_s
    photon = form_factor((v / reach)[..., None] ** 2 * s**2, z, a)
    integrand = 2.0 / s**2 * photon * (flat[..., None] * square + kappa[..., None] * angular)
    return log_s_max * jnp.sum(weights * integrand, axis=-1)


def photon_flux_paper(mass, beam_energy, z, a):
    """chi of eq 15 with t_min = (M^2/2 E0)^2, t_max = M^2; dimensionless, shape of ``mass``."""
    mass = jnp.asarray(mass)
    log_range = jnp.log(jnp.maximum(2.0 * beam_energy / mass, 1.0)) * 2.0
    nodes, weights = (trailing(part, mass) for part in unit_gauss(_NODES))
    fraction = jnp.exp(-log_range[..., None] * nodes)  # t / t_max
    lowest = (mass / (2.0 * beam_energy))[..., None] ** 2
    photon = form_factor(mass[..., None] ** 2 * fraction, z, a)
    return log_range * jnp.sum(weights * photon * (1.0 - lowest / fraction), axis=-1)


def flux_integral_paper(x, mass, beam_energy, z, a):
    """J(x, M) of the ``"paper"`` kernel: eqs 16-20 with C4 corrected and the printed prefactor."""
    x, mass = jnp.broadcast_arrays(jnp.asarray(x), jnp.asarray(mass))
    v = muon_virtuality(x, mass)
    shape = (2.0 - 2.0 * x + x**2) - x * (1.0 - x) * (mass**2 + 2.0 * MASS_MUON**2) / (3.0 * v)
    return 2.0 / np.pi * photon_flux_paper(mass, beam_energy, z, a) * shape / (1.0 - x)


FLUX_INTEGRALS = {"ww": flux_integral_ww, "paper": flux_integral_paper}


def velocity(x, mass, beam_energy):
    """beta = sqrt(1 - M^2/(x E0)^2), 0 where M >= x E0."""
    fraction = (mass / (x * beam_energy)) ** 2
    is_open = fraction < 1.0
    return jnp.where(is_open, jnp.sqrt(1.0 - jnp.where(is_open, fraction, 0.0)), 0.0)


def cross_section_scale(x, mass):
    """What multiplies (g Q_mu)^2 beta J in d sigma/dx [cm^2]; a pure kernel."""
    return ALPHA**2 / (4.0 * np.pi) * MEV2_TO_CM2 * (1.0 - x) / muon_virtuality(x, mass)


def cross_section_from_flux(x, theta, flux, beam_energy):
    """d sigma/dx [cm^2] from the flux integral J(x, M); a pure kernel."""
    coupling2 = (theta.g_x * theta.charges.mu) ** 2
    return cross_section_scale(x, theta.mass) * coupling2 * velocity(x, theta.mass, beam_energy) * flux


@functools.partial(jax.jit, static_argnames="kernel")
def _cross_section(x, theta, beam_energy, z, a, kernel):
    flux = FLUX_INTEGRALS[kernel](x, theta.mass, beam_energy, z, a)
    return cross_section_from_flux(x, theta, flux, beam_energy)


def bremsstrahlung_cross_section(x, theta, *, kernel="ww", beam_energy=160e3, z=82.0, a=207.2):
    """d sigma/dx [cm^2 per unit x] of mu Z -> mu Z A' at energy fraction x = E_A'/E0, 0 < x < 1.

    x broadcasts with the leaves of ``theta``; beam_energy in MeV; z, a of the target (lead).
    kernel: ``"ww"`` or ``"paper"`` (module docstring). Valid for A' masses of 0.1 MeV to 10 GeV; zero
    where M >= x E0. Raises ValueError for invalid arguments. Source: 2104.03297, eqs 14-20, corrected.
    """
    choose("kernel", kernel, KERNELS)
    theta = check_theta(theta)
    if not is_traced(x):
        x = values("x", x, low=0.0, low_open=True)
        if np.any(x >= 1.0):
            raise ValueError(f"x must lie below 1; got {float(np.max(x))!r}")
    beam_energy = number("beam_energy", beam_energy, low=0.0, low_open=True)
    z, a = number("z", z, low=1.0), number("a", a, low=1.0)
    return _cross_section(*to_float64((x, theta, beam_energy, z, a)), kernel)
