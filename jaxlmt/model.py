"""The hidden photon of a gauged lepton number: parameters, benchmarks, mixing, widths.

Conventions (Amaral et al. 2104.03297, eqs 5-12): the interaction is
L = -(g_x j_x - e eps_x j_em) A', so that the mixing induced by Lmu-Ltau charges is negative,
eps_x = -g_x/70. All functions take ``theta`` first and broadcast over array-valued leaves.
"""

from dataclasses import field
from math import log, pi

import jax
import jax.numpy as jnp
import numpy as np

from .constants import ELECTRIC_CHARGE, HBARC_MEV_CM, MASS_ELECTRON, MASS_MUON, MASS_TAU
from .pytrees import pytree
from .validation import check_theta, choose, to_float64


@pytree
class LeptonCharges:
    """U(1)_X charges of the three lepton generations; numbers, so that they can be fitted."""

    e: float
    mu: float
    tau: float


LMU_LTAU = LeptonCharges(0.0, 1.0, -1.0)
LMU = LeptonCharges(0.0, 1.0, 0.0)

MODELS = {"lmu-ltau": LMU_LTAU, "lmu": LMU}


@pytree
class HiddenPhoton:
    """Parameters of the hidden photon A', an immutable pytree.

    g_x: gauge coupling (>= 0); mass: M_A' [MeV] (> 0); eps_x: kinetic mixing with the photon, of
    either sign (negative for Lmu-Ltau); charges: U(1)_X charges of the leptons.
    Leaves may be numbers, arrays that broadcast, or (in a prior) distributions.
    """

    g_x: float
    mass: float
    eps_x: float
    charges: LeptonCharges = field(default=LMU_LTAU)


MIXING_RATIO_PAPER = -1.0 / 70.0  # eps_x/g_x of Lmu-Ltau as rounded in eq 11
MIXING_RATIO_ONE_LOOP = ELECTRIC_CHARGE / (6.0 * pi**2) * log(MASS_MUON / MASS_TAU)  # eq 11, exact

_BENCHMARKS = {  # Table 1: M_A' [MeV], g_x
    "BP1": (15.0, 5e-4),
    "BP2": (25.0, 6e-4),
    "BP3": (50.0, 6e-4),
    "BP4": (100.0, 1e-3),
}
BENCHMARKS = tuple(_BENCHMARKS)


def benchmark(name, *, mixing_ratio=MIXING_RATIO_PAPER, charges=LMU_LTAU):
    """Benchmark point ``"BP1"`` ... ``"BP4"`` of 2104.03297, Table 1, as a :class:`HiddenPhoton`.

    mixing_ratio: eps_x/g_x, the paper's -1/70 unless given. Raises ValueError for other names.
    """
    mass, g_x = _BENCHMARKS[choose("benchmark", name, BENCHMARKS)]
    return HiddenPhoton(g_x=g_x, mass=mass, eps_x=mixing_ratio * g_x, charges=charges)


def lmu_mixing_ratio(new_physics_mass):
    """eps_x/g_x that heavy fermions of ``new_physics_mass`` [MeV] leave in U(1)_Lmu, eq 12."""
    ratio = ELECTRIC_CHARGE / (6.0 * pi**2)
    return ratio * (log(MASS_MUON) - np.log(np.asarray(new_physics_mass, float)))


def batch(theta):
    """Broadcast the leaves of ``theta`` to floating-point arrays of one shape, as ``jax.vmap`` wants them."""
    leaves, structure = jax.tree.flatten(theta)
    return jax.tree.unflatten(structure, jnp.broadcast_arrays(*(jnp.asarray(leaf, float) for leaf in leaves)))


def pair_width(coupling, mass, fermion_mass):
    """Gamma(A' -> f fbar) [MeV] of a Dirac fermion with vector ``coupling``; zero below threshold.

    Drees & Zhao 2107.14528, eq 2.4. At threshold exactly the lower-side gradient, zero, is returned.
    """
    ratio = (fermion_mass / mass) ** 2
    is_open = ratio < 0.25
    ratio = jnp.where(is_open, ratio, 0.0)
    width = coupling**2 * mass / (12.0 * pi) * (1.0 + 2.0 * ratio) * jnp.sqrt(1.0 - 4.0 * ratio)
    return jnp.where(is_open, width, 0.0)


def channel_widths(theta):
    """{channel: Gamma [MeV]}, a pure kernel; channels nu_e, nu_mu, nu_tau, e, mu, tau (pairs).

    Drees & Zhao 2107.14528, eq 2.4. Hadronic decays, which need eps_x^2 above 2 m_pi, are left out (below
    1e-4 of the total).
    """
    q, scale = theta.charges, theta.g_x**2 * theta.mass / (24.0 * pi)
    # e eps_x is kept for electrons alone, whose own charge is zero in both models; for muons and taus
    # it changes the coupling by 0.4% at eps_x = -g_x/70 and is dropped, as in the paper.
    electron = theta.g_x * q.e + ELECTRIC_CHARGE * theta.eps_x
    return {
        "nu_e": q.e**2 * scale,
        "nu_mu": q.mu**2 * scale,
        "nu_tau": q.tau**2 * scale,
        "e": pair_width(electron, theta.mass, MASS_ELECTRON),
        "mu": pair_width(theta.g_x * q.mu, theta.mass, MASS_MUON),
        "tau": pair_width(theta.g_x * q.tau, theta.mass, MASS_TAU),
    }


def widths(theta):
    """(invisible, visible) [MeV]: neutrino pairs, charged-lepton pairs. Pure kernel."""
    each = channel_widths(theta)
    return each["nu_e"] + each["nu_mu"] + each["nu_tau"], each["e"] + each["mu"] + each["tau"]


def inverse_decay_length(theta, energy):
    """1/l_A' [1/cm] in the laboratory for A' of total ``energy`` [MeV]; 0 where energy <= mass."""
    invisible, visible = widths(theta)
    moves = energy > theta.mass
    momentum2 = jnp.where(moves, energy**2 - theta.mass**2, 1.0)
    rate = theta.mass * (invisible + visible) / HBARC_MEV_CM
    return jnp.where(moves, rate / jnp.sqrt(momentum2), 0.0)


@jax.jit
def _channel_widths(theta):
    return channel_widths(theta)


@jax.jit
def _branching_ratios(theta):
    # g_x cancels where only the ratio eps_x/g_x enters; scaling it out keeps g_x -> 0 finite.
    scale = jnp.where(theta.g_x == 0.0, 1.0, theta.g_x)
    each = channel_widths(HiddenPhoton(theta.g_x / scale, theta.mass, theta.eps_x / scale, theta.charges))
    total = sum(each.values())
    decays = total > 0.0
    return {k: jnp.where(decays, v / jnp.where(decays, total, 1.0), 0.0) for k, v in each.items()}


@jax.jit
def _decay_length(theta, energy):
    return 1.0 / inverse_decay_length(theta, energy)


def partial_widths(theta):
    """{channel: partial width [MeV]} for the pairs nu_e, nu_mu, nu_tau, e, mu, tau; 0 below threshold.

    Drees & Zhao 2107.14528, eq 2.4. Any positive mass [MeV]; raises ValueError for invalid parameters.
    """
    return _channel_widths(check_theta(theta))


def total_width(theta):
    """Gamma_A' [MeV]: neutrinos and charged leptons. Raises ValueError for invalid parameters."""
    return sum(partial_widths(theta).values())


def branching_ratios(theta):
    """{channel: branching ratio}, channels as in :func:`partial_widths`; all 0 for an A' that cannot decay.

    Any positive mass [MeV]; raises ValueError for invalid parameters.
    """
    return _branching_ratios(check_theta(theta))


def invisible_branching_ratio(theta):
    """BR(A' -> nu nubar), summed over flavours; 1 up to e+e- below 2 m_mu, then 1/2 (Lmu-Ltau) or 1/3.

    1 for an A' that cannot decay. Any positive mass [MeV]; raises ValueError for invalid parameters.
    """
    each = branching_ratios(theta)
    return 1.0 - (each["e"] + each["mu"] + each["tau"])


def decay_length(theta, energy):
    """Laboratory decay length |k|/(M Gamma) [cm] at A' total ``energy`` [MeV]; infinite at rest.

    2104.03297, eq 23. Raises ValueError for invalid parameters.
    """
    return _decay_length(check_theta(theta), to_float64(energy))
