"""Neutrino tridents, nu_mu N -> nu_mu N mu+ mu-, with Z, W and A' exchange.

Equivalent photons (W. Altmannshofer et al., 1406.2332): the nucleus is a beam of real photons,

    sigma = int ds/s int dt/t (Z^2 alpha/pi) F^2(t) sigma(nu gamma -> nu mu+ mu-)(s),   t >= (s/2E)^2.

The muon's coupling to the neutrino's current is g_V - g_A gamma5 with g_A = 1/2 and

    g_V = 1/2 + 2 s_W^2 + v^2 (g_x Q_mu)^2/(K^2 + M^2),   v^2 = 1/(sqrt2 G_F),

K^2 > 0 the momentum transfer of the neutrino. For fixed K^2 everything else is a number: with l the squared
mass of the pair, u = l + K^2 = y s and x = K^2/u,

    d sigma/dK^2 ~ sum_{V, A} g^2 int du/u [(1 + (1-y)^2) F_2 - y^2 F_L],

F_2 and F_L the structure functions of a real photon that turns into mu+ mu- at lowest order, muon mass
included; in a total cross section the two currents do not interfere. So the ratio to the Standard Model is
one sum over K^2, exact in M from the contact limit to a massless A'.

Left out: the virtuality of the photon in sigma, the spread of the beam's energy, scattering off single
nucleons, the experiments' cuts, which enter the ratio in the second order only, and the mixing in the muon's
coupling, as elsewhere (0.4% at eps_x = -g_x/70). Antineutrinos have the same cross section.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import FERMI_CONSTANT, MASS_MUON
from ..nuclei import IRON_56, OXYGEN_16, SILICON_28, helm_form_factor
from ..quadrature import spread, trailing, unit_gauss
from ..validation import check_theta, choose, is_traced, number, require_x64, to_float64

AXIAL = 0.5
HIGGS_VEV2 = 1.0 / (np.sqrt(2.0) * FERMI_CONSTANT)  # v^2 [MeV^2], v = 246.22 GeV


class Beam(NamedTuple):
    """Mean energy of the neutrinos [MeV], and the nuclei that they meet with their shares by number."""

    energy: float
    target: tuple


# Energies as in 1406.2332. CCFR: iron; CHARM-II: glass.
BEAMS = {
    "ccfr": Beam(160e3, ((IRON_56, 1.0),)),
    "charm2": Beam(20e3, ((SILICON_28, 1.0), (OXYGEN_16, 2.0))),
}

# Trapezoidal rules in ln K^2 and in the rapidity eta of the muons, l = 4 m^2 cosh^2 eta, of which everything
# is an analytic function: they converge as exp(-c/step).
_LOG_STEP, _LOWEST = 0.2, 1e-8  # K^2 [MeV^2] from which on; for masses above 0.1 MeV nothing is below
_RAPIDITY = 0.08 * np.arange(1, 90)
_PHOTON_NODES = 96  # Gauss nodes in the logarithm of the photon's momentum
_LARGEST_MOMENTUM = 1500.0  # MeV, where F^2 of the lightest nucleus is 1e-20


def structure_functions(momentum2, pair2):
    """pi/(x alpha) times (F_2, F_L) of the vector current, then of the axial one.

    momentum2: K^2 > 0; pair2: l >= 4 m_mu^2 [MeV^2]; they broadcast. Those of the vector current are well
    known (V. M. Budnev et al., Phys. Rept. 15 (1975) 181); the axial ones have terms of m_mu^2/K^2 besides.
    """
    total = momentum2 + pair2
    x, r = momentum2 / total, 4.0 * MASS_MUON**2 / total
    beta = jnp.sqrt(1.0 - 4.0 * MASS_MUON**2 / pair2)
    log = 2.0 * jnp.arctanh(beta)
    both = (x**2 + (1.0 - x) ** 2 + (1.0 - 3.0 * x) * r - 0.5 * r**2) * log
    both = both - (1.0 - 8.0 * x * (1.0 - x) + (1.0 - x) * r) * beta
    along = 4.0 * x * ((1.0 - x) * beta - 0.5 * r * log)
    more = 4.0 * MASS_MUON**2 / momentum2 * log
    mixed = r * ((2.0 * (1.0 - x) - r) * log - 2.0 * (1.0 - x) * beta)
    return (both, along), (both + more, along + more + mixed)


def _photons(lowest, target):
    """2 int dq/q Z^2 F^2(q) {-2 ln z - 2 (1-z) + (1-z^2)/2, (1-z^2)/2}, z = lowest/q: the integrals over the
    photons of 1 + (1-y)^2 and of y^2, over ds/s. Shape of ``lowest`` [MeV], in front of it two."""
    nodes, weights = (trailing(part, lowest) for part in unit_gauss(_PHOTON_NODES))
    width = spread(jnp.maximum(jnp.log(_LARGEST_MOMENTUM / lowest), 0.0), _PHOTON_NODES)
    log = width * nodes
    z = jnp.exp(-log)
    t = (lowest[..., None] / z) ** 2
    flux = sum(
        share * (isotope.z * helm_form_factor(1e3 * t / (2.0 * isotope.mass), isotope)) ** 2
        for isotope, share in target
    )
    flux = 2.0 * width * weights * flux
    longitudinal = 0.5 * (1.0 - z) * (1.0 + z)
    transverse = 2.0 * log - 2.0 * (1.0 - z) + longitudinal
    return jnp.sum(flux * transverse, axis=-1), jnp.sum(flux * longitudinal, axis=-1)


@functools.partial(jax.jit, static_argnums=1)
def _weights(momentum2, target, energy):
    """K^2 d sigma/dK^2 of the vector and axial current at ``momentum2`` (n,), up to a constant: (2, n)."""
    eta = _RAPIDITY[None]
    momentum2 = spread(momentum2, _RAPIDITY.size)
    pair2 = 4.0 * MASS_MUON**2 * jnp.cosh(eta) ** 2 + 0.0 * momentum2
    total = pair2 + momentum2
    both, along = _photons(total / (2.0 * energy), target)
    jacobian = momentum2**2 / total**2 * pair2 * jnp.tanh(eta)
    currents = structure_functions(momentum2, pair2)
    return jnp.stack([jnp.sum(jacobian * (f2 * both - fl * along), axis=1) for f2, fl in currents])


class Fold(NamedTuple):
    """A beam folded: momentum2 (n,), K^2 [MeV^2]; vector, axial (n,): weights of g_V^2 and g_A^2."""

    momentum2: np.ndarray
    vector: np.ndarray
    axial: np.ndarray


@functools.cache
def fold(beam):
    """The :class:`Fold` of the :class:`Beam` ``beam``, of a total of one for g_V = 1 in the vector part."""
    require_x64()
    largest = 2.0 * beam.energy * _LARGEST_MOMENTUM
    momentum2 = np.exp(np.arange(np.log(_LOWEST), np.log(largest), _LOG_STEP))
    with jax.ensure_compile_time_eval():
        weights = np.asarray(_weights(momentum2, beam.target, beam.energy))
    made = Fold(momentum2, *(weights / weights[0].sum()))
    for part in made:
        part.setflags(write=False)
    return made


def ratio(theta, folded, sin2_theta_w):
    """sigma/sigma_SM: a pure kernel; the leaves of ``theta`` broadcast with sin2_theta_w."""
    coupling = 0.5 + 2.0 * sin2_theta_w
    momentum2 = trailing(folded.momentum2, theta.mass)
    propagator = 1.0 / (momentum2 + spread(theta.mass**2, folded.momentum2.size))
    first, second = propagator @ folded.vector, propagator**2 @ folded.vector
    shift = HIGGS_VEV2 * (theta.g_x * theta.charges.mu) ** 2
    standard = coupling**2 + AXIAL**2 * folded.axial.sum()
    return 1.0 + shift * (2.0 * coupling * first + shift * second) / standard


_ratio = jax.jit(ratio)


def trident_ratio(theta, *, beam="ccfr", sin2_theta_w=0.23857):
    """sigma/sigma_SM of nu_mu N -> nu_mu N mu+ mu- with the hidden photon.

    beam: ``"ccfr"``, 160 GeV on iron, or ``"charm2"``, 20 GeV on glass. Broadcasts over the leaves of
    ``theta``; to 1e-9 for A' masses above 0.1 MeV. Raises ValueError for invalid arguments. Source:
    1406.2332, in equivalent photons (module docstring).
    """
    folded = fold(BEAMS[choose("beam", beam, BEAMS)])
    if not is_traced(sin2_theta_w):
        number("sin2_theta_w", sin2_theta_w, low=0.0, high=1.0)
    return _ratio(check_theta(theta), folded, to_float64(sin2_theta_w))
