"""The hidden photon of a gauged lepton number, with or without dark matter: parameters, benchmarks, widths.

Conventions (Amaral et al. 2104.03297, eqs 5-12): the interaction is
L = -(g_x j_x - e eps_x j_em) A', so that the mixing induced by Lmu-Ltau charges is negative,
eps_x = -g_x/70. All functions take ``theta`` first and broadcast over array-valued leaves.
"""

from dataclasses import field, replace
from math import log, pi

import jax
import jax.numpy as jnp
import numpy as np

from .constants import ELECTRIC_CHARGE, HBARC_MEV_CM, MASS_ELECTRON, MASS_MUON, MASS_TAU
from .distributions import Distribution, TiedToCoupling
from .mixing import imaginary_mixing, mixing
from .pytrees import pytree
from .validation import check_theta, choose, is_traced, switch, to_float64, values


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
    running: static. If True, eps_x is the mixing at q^2 = 0, and the loops of charged leptons change it
    elsewhere (:func:`kinetic_mixing`); if False, it is the same at every q^2.
    """

    g_x: float
    mass: float
    eps_x: float
    charges: LeptonCharges = field(default=LMU_LTAU)
    running: bool = field(default=False, kw_only=True, metadata={"static": True})

    def hidden_widths(self):
        """{channel: Gamma [MeV]} of decays beyond the Standard Model: none."""
        return {}


# An A' without coupling, too heavy to have been in the primordial plasma.
STANDARD_MODEL = HiddenPhoton(0.0, 1e4, 0.0)

MIXING_RATIO_PAPER = -1.0 / 70.0  # eps_x/g_x of Lmu-Ltau as rounded in eq 11
MIXING_RATIO_ONE_LOOP = ELECTRIC_CHARGE / (6.0 * pi**2) * log(MASS_MUON / MASS_TAU)  # eq 11, exact

_BENCHMARKS = {  # Table 1: M_A' [MeV], g_x
    "BP1": (15.0, 5e-4),
    "BP2": (25.0, 6e-4),
    "BP3": (50.0, 6e-4),
    "BP4": (100.0, 1e-3),
}
BENCHMARKS = tuple(_BENCHMARKS)


class _WithDarkMatter:
    """What the two parametrisations of the dark fermion share."""

    def __post_init__(self):
        if self.eps_x is None:
            prior = isinstance(self.g_x, Distribution)
            predicted = TiedToCoupling(MIXING_RATIO_PAPER) if prior else MIXING_RATIO_PAPER * self.g_x
            object.__setattr__(self, "eps_x", predicted)

    def hidden_widths(self):
        """{"psi": Gamma(A' -> psi psibar) [MeV]}, zero where closed; nothing with ``dark_decays=False``."""
        if not self.dark_decays:
            return {}
        return {"psi": _pair_width(self.g_x * self.dm_charge, self.mass, self.delta)}


@pytree
class DarkMatter(_WithDarkMatter):
    """A hidden photon and a Dirac fermion psi of the same gauge group, Drees & Zhao 2107.14528, eq 2.1.

    g_x, mass, eps_x, charges, running: as in :class:`HiddenPhoton`, which it can stand for everywhere (their
    g_X, m_X, and -eps_A); eps_x is -g_x/70 unless given. dm_mass: m_psi [MeV] (> 0); dm_charge: q_psi (not
    0).
    dark_decays: static. If False, A' -> psi psibar is left out of the width, as in the paper.
    Near the pole, m_psi = mass/2, :meth:`from_delta` keeps the digits that m_psi loses.
    """

    g_x: float
    mass: float
    dm_mass: float
    dm_charge: float = 1.0
    eps_x: float | None = None
    charges: LeptonCharges = field(default=LMU_LTAU)
    running: bool = field(default=False, kw_only=True, metadata={"static": True})
    dark_decays: bool = field(default=True, kw_only=True, metadata={"static": True})

    @property
    def delta(self):
        """4 m_psi^2/M_A'^2 - 1, positive above the pole: without cancellation, the masses taken as exact."""
        return (2.0 * self.dm_mass - self.mass) * (2.0 * self.dm_mass + self.mass) / self.mass**2

    @staticmethod
    def from_delta(g_x, mass, delta, dm_charge=1.0, eps_x=None, charges=LMU_LTAU, **settings):
        """The same model with ``delta`` = 4 m_psi^2/M_A'^2 - 1 (> -1) as its parameter in place of m_psi."""
        return ResonantDarkMatter(g_x, mass, delta, dm_charge, eps_x, charges, **settings)


@pytree
class ResonantDarkMatter(_WithDarkMatter):
    """:class:`DarkMatter` with ``delta`` = 4 m_psi^2/M_A'^2 - 1 (> -1) in place of the mass of psi.

    What a prior mirrors that searches on both sides of the pole.
    """

    g_x: float
    mass: float
    delta: float
    dm_charge: float = 1.0
    eps_x: float | None = None
    charges: LeptonCharges = field(default=LMU_LTAU)
    running: bool = field(default=False, kw_only=True, metadata={"static": True})
    dark_decays: bool = field(default=True, kw_only=True, metadata={"static": True})

    @property
    def dm_mass(self):
        """m_psi [MeV]."""
        return 0.5 * self.mass * jnp.sqrt(1.0 + self.delta)


def benchmark(name, *, mixing_ratio=MIXING_RATIO_PAPER, charges=LMU_LTAU, running=False):
    """Benchmark point ``"BP1"`` ... ``"BP4"`` of 2104.03297, Table 1, as a :class:`HiddenPhoton`.

    mixing_ratio: eps_x/g_x, the paper's -1/70 unless given; running: as in :class:`HiddenPhoton`. Raises
    ValueError for other names.
    """
    mass, g_x = _BENCHMARKS[choose("benchmark", name, BENCHMARKS)]
    return HiddenPhoton(g_x, mass, mixing_ratio * g_x, charges, running=switch("running", running))


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
    return _pair_width(coupling, mass, (2.0 * fermion_mass / mass) ** 2 - 1.0)


def _pair_width(coupling, mass, delta):
    """The same as a function of delta = 4 m_f^2/M^2 - 1, which is exact near threshold."""
    is_open = delta < 0.0
    delta = jnp.where(is_open, delta, -1.0)
    width = coupling**2 * mass / (12.0 * pi) * (1.5 + 0.5 * delta) * jnp.sqrt(-delta)
    return jnp.where(is_open, width, 0.0)


def channel_widths(theta):
    """{channel: Gamma [MeV]}, a pure kernel; channels nu_e, nu_mu, nu_tau, e, mu, tau (pairs), and psi.

    Drees & Zhao 2107.14528, eq 2.4. Hadronic decays, which need eps_x^2 above 2 m_pi, are left out (below
    1e-4 of the total).
    """
    q, scale = theta.charges, theta.g_x**2 * theta.mass / (24.0 * pi)
    # The mixing is kept for electrons alone, whose own charge is zero in both models; for muons and taus
    # it changes the coupling by 0.4% at eps_x = -g_x/70 and is dropped, as in the paper.
    on_shell = theta.mass**2
    coupling = theta.g_x * q.e + ELECTRIC_CHARGE * mixing(theta, on_shell)
    electron = pair_width(coupling, theta.mass, MASS_ELECTRON)
    if theta.running:
        coupling = ELECTRIC_CHARGE * imaginary_mixing(theta, on_shell)
        electron = electron + pair_width(coupling, theta.mass, MASS_ELECTRON)
    return {
        "nu_e": q.e**2 * scale,
        "nu_mu": q.mu**2 * scale,
        "nu_tau": q.tau**2 * scale,
        "e": electron,
        "mu": pair_width(theta.g_x * q.mu, theta.mass, MASS_MUON),
        "tau": pair_width(theta.g_x * q.tau, theta.mass, MASS_TAU),
        **theta.hidden_widths(),
    }


CHARGED = ("e", "mu", "tau")


def widths(theta):
    """(invisible, visible) [MeV]: neutrino and dark pairs, charged-lepton pairs. Pure kernel."""
    each = channel_widths(theta)
    visible = [each[name] for name in CHARGED]
    return sum(width for name, width in each.items() if name not in CHARGED), sum(visible)


def inverse_decay_length(theta, energy):
    """1/l_A' [1/cm] in the laboratory for A' of total ``energy`` [MeV]; 0 where energy <= mass."""
    invisible, visible = widths(theta)
    moves = energy > theta.mass
    momentum2 = jnp.where(moves, energy**2 - theta.mass**2, 1.0)
    rate = theta.mass * (invisible + visible) / HBARC_MEV_CM
    return jnp.where(moves, rate / jnp.sqrt(momentum2), 0.0)


@jax.jit
def _mixing(theta, q2):
    shape = jnp.broadcast_shapes(*(jnp.shape(leaf) for leaf in jax.tree.leaves((theta, q2))))
    return jnp.broadcast_to(mixing(theta, q2), shape)


@jax.jit
def _mixing_squared(theta, q2):
    imaginary = imaginary_mixing(theta, q2) if theta.running else 0.0
    return _mixing(theta, q2) ** 2 + imaginary**2


@jax.jit
def _channel_widths(theta):
    return channel_widths(theta)


@jax.jit
def _branching_ratios(theta):
    # g_x cancels where only the ratio eps_x/g_x enters; scaling it out keeps g_x -> 0 finite.
    scale = jnp.where(theta.g_x == 0.0, 1.0, theta.g_x)
    each = channel_widths(replace(theta, g_x=theta.g_x / scale, eps_x=theta.eps_x / scale))
    total = sum(each.values())
    decays = total > 0.0
    return {k: jnp.where(decays, v / jnp.where(decays, total, 1.0), 0.0) for k, v in each.items()}


@jax.jit
def _decay_length(theta, energy):
    return 1.0 / inverse_decay_length(theta, energy)


def kinetic_mixing(theta, q2):
    """eps(q^2), the real part, at ``q2`` [MeV^2] of any sign, which broadcasts with the leaves of ``theta``.

    With ``theta.running``, eps_x plus the loops of charged leptons (:mod:`jaxlmt.mixing`), to 1e-13 of
    the larger; else eps_x. Exactly at a threshold, q^2 = 4 m_l^2, the gradient is that of the upper side.
    Raises ValueError for invalid arguments. Source: 2104.03297, eq 10, at q^2 != 0.
    """
    return _mixing(*_check_mixing(theta, q2))


def kinetic_mixing_squared(theta, q2):
    """Squared modulus of eps(q^2), with the imaginary part that a running mixing has above thresholds.

    What an on-shell A' has, at q2 = theta.mass**2. Arguments as for :func:`kinetic_mixing`; exactly at a
    threshold the gradient of the imaginary part is that of the lower side, zero.
    """
    return _mixing_squared(*_check_mixing(theta, q2))


def _check_mixing(theta, q2):
    return check_theta(theta), to_float64(q2) if is_traced(q2) else values("q2", q2)


def partial_widths(theta):
    """{channel: partial width [MeV]} for the pairs nu_e, nu_mu, nu_tau, e, mu, tau; 0 below threshold. With
    :class:`DarkMatter` psi is one of them.

    Drees & Zhao 2107.14528, eq 2.4; e+e- with the mixing at q^2 = M_A'^2, complex where it runs. Any positive
    mass [MeV]; raises ValueError for invalid parameters.
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

    psi psibar is invisible too. 1 for an A' that cannot decay. Any positive mass [MeV]; raises ValueError for
    invalid parameters.
    """
    each = branching_ratios(theta)
    return 1.0 - sum(each[name] for name in CHARGED)


def decay_length(theta, energy):
    """Laboratory decay length |k|/(M Gamma) [cm] at A' total ``energy`` [MeV]; infinite at rest.

    2104.03297, eq 23. Raises ValueError for invalid parameters.
    """
    return _decay_length(check_theta(theta), to_float64(energy))
