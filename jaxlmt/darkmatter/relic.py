"""The relic density of dark matter, and what mass or charge of psi gives a wanted one.

``METHODS`` are the levels of accuracy, each a module of this room.
"""

import functools
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..derivatives import slopes_with_value
from ..model import DarkMatter
from ..processes.annihilation import MEV2_TO_CM3_PER_S, halo_sigma_v, relative_width, sigma_v
from ..quadrature import map_chunks
from ..roots import increasing_root
from ..validation import check_dark_matter, choose, is_traced, number, to_float64, values
from . import formula
from .background import plasma
from .boltzmann import interpolation, relic_density_boltzmann
from .kinetic import relic_density_kinetic
from .n_eff import NEUTRINO_DECOUPLING

METHODS = ("formula", "boltzmann", "kinetic")
BRANCHES = ("below", "above")
OBSERVED = 0.12  # Omega h^2, as in the paper

_CHUNK = 16  # points whose intermediates stay in cache
_STEPS = 28  # of the inverse, of which secants need a few
_FOUND = 1e-6  # relative, of Omega h^2, a step before the last
_RATIO_RANGE = 0.05, 1.0  # of m_psi/M: beyond, psi psibar -> A' A' is open
_CHARGE_RANGE = 1e-6, 1e3


class FreezeOut(NamedTuple):
    """Where annihilation ends: ``x`` = m_psi/T_f, and ``sigma_v`` = <sigma v> [cm^3/s] there."""

    x: jax.Array
    sigma_v: jax.Array


def _each(kernel, *arguments):
    """``kernel`` of scalars at every point of ``arguments``, which broadcast."""
    leaves, structure = jax.tree.flatten(arguments)
    leaves = jnp.broadcast_arrays(*(jnp.asarray(leaf, float) for leaf in leaves))
    flat = jax.tree.unflatten(structure, [leaf.ravel() for leaf in leaves])
    if leaves[0].size == 0:
        return leaves[0]
    result = map_chunks(jax.vmap(lambda point: kernel(*point)), flat, _CHUNK)
    return jax.tree.map(lambda part: part.reshape(leaves[0].shape), result)


@jax.jit
def _freeze_out(theta, g_star):
    def kernel(theta, g_star):
        past = formula.history(theta, g_star)
        return FreezeOut(past.x_f, MEV2_TO_CM3_PER_S * past.sigma_v)

    return _each(kernel, theta, g_star)


@jax.jit
def _relic_density(theta, g_star, normalisation):
    return _each(formula.relic_density, theta, g_star, normalisation)


_EVOLVED = {
    name: slopes_with_value(0, 1)(kernel)
    for name, kernel in (("boltzmann", relic_density_boltzmann), ("kinetic", relic_density_kinetic))
}


@functools.partial(jax.jit, static_argnums=0)
def _evolved(method, theta, neutrino_decoupling, tables, matrices):
    kernel = _EVOLVED[method]
    return _each(lambda *point: kernel(*point, tables, matrices), theta, neutrino_decoupling)


def _with_delta(theta, delta):
    settings = {"running": theta.running, "dark_decays": theta.dark_decays}
    fixed = theta.dm_charge, theta.eps_x, theta.charges
    return DarkMatter.from_delta(theta.g_x, theta.mass, delta, *fixed, **settings)


def _solve(density, target, low, high, coordinate, nothing):
    """coordinate(y) where ``density`` of it, increasing with y from ``low`` to ``high``, is ``target``."""

    def excess(y):
        return jnp.log(density(coordinate(y))) - jnp.log(target)

    y, residual = increasing_root(excess, low, high, iterations=_STEPS)
    return jnp.where(residual < _FOUND, coordinate(y), nothing)


@jax.jit
def _delta(theta, target, g_star, normalisation, above):
    def kernel(theta, target, g_star, normalisation, above):
        def density(delta):
            return formula.relic_density(_with_delta(theta, delta), g_star, normalisation)

        # Coming from below, Omega falls until the missing part of the resonance, Gamma/(pi M |delta|),
        # outgrows that of the thermal tail, 2 (x_f |delta|/pi)^(1/2); from here on it rises.
        gamma = relative_width(_with_delta(theta, 0.0))
        turn = jax.lax.stop_gradient((gamma / jnp.sqrt(20.0 * np.pi)) ** (2.0 / 3.0))
        lowest, highest = (4.0 * ratio**2 - 1.0 for ratio in _RATIO_RANGE)
        is_above = above > 0.0
        first = jnp.where(is_above, jnp.log(1e-3 * turn), -jnp.log(1.0 / turn - 1.0))
        last = jnp.where(is_above, jnp.log(highest + turn), -np.log(-1.0 / lowest - 1.0))

        def coordinate(y):  # of [lowest, -turn], falling, or [-turn, highest]
            return jnp.where(is_above, jnp.exp(y) - turn, -jax.nn.sigmoid(y))

        return _solve(density, target, first, last, coordinate, -1.0)

    return _each(kernel, theta, target, g_star, normalisation, above)


@jax.jit
def _charge(theta, target, g_star, normalisation):
    def kernel(theta, target, g_star, normalisation):
        def density(charge):
            return formula.relic_density(replace(theta, dm_charge=charge), g_star, normalisation)

        low, high = (-np.log(charge) for charge in reversed(_CHARGE_RANGE))
        return _solve(density, target, low, high, lambda y: jnp.exp(-y), 0.0)

    return _each(kernel, theta, target, g_star, normalisation)


def _g_star(g_star):
    return g_star if is_traced(g_star) else number("g_star", g_star, low=0.0, low_open=True)


def _factor(normalisation):
    return formula.NORMALISATIONS[choose("normalisation", normalisation, formula.NORMALISATIONS)]


def _target(omega_h2):
    return omega_h2 if is_traced(omega_h2) else values("omega_h2", omega_h2, low=0.0, low_open=True)


def freeze_out(theta, *, g_star=10.75):
    """(x, sigma_v): x_f = m_psi/T_f of eq 3.3, and <sigma v> [cm^3/s] there, in all channels.

    theta: a :class:`DarkMatter`, of any shape; g_star: effective number of relativistic degrees of freedom,
    constant. x is 1 where the equation has no root above, because psi annihilates too little ever to be in
    equilibrium; any mass and charge. Raises ValueError for invalid arguments.
    Source: Drees & Zhao 2107.14528, eq 3.3.
    """
    return _freeze_out(*to_float64((check_dark_matter(theta), _g_star(g_star))))


def relic_density(
    theta,
    *,
    method="formula",
    normalisation="corrected",
    g_star=10.75,
    neutrino_decoupling=NEUTRINO_DECOUPLING,
):
    """Omega h^2 of psi and psibar, of the shape of ``theta``, a :class:`DarkMatter`.

    method:
    ``"formula"``: the approximate solution of eqs 3.3, 3.7 and 3.8 with constant ``g_star``, evaluated to
    1e-9 at any distance from the pole. It is 3% above the solution with that g_star above the pole, and up to
    60% below (m_psi = 0.3 M); against ``"boltzmann"`` 18% too low to 12% too high (docs/differences.md).
    normalisation: ``"corrected"``, 2 x 1.07e9/GeV/(J g_*^(1/2) M_Pl), or ``"printed"``, as eq 3.8 has it,
    without the 2 of a Dirac particle and with g_*.
    ``"boltzmann"``: eq 3.1, from equilibrium at T = m_psi to 1e-10 m_psi, on a background with two
    temperatures (:mod:`jaxlmt.darkmatter.boltzmann`), which part at ``neutrino_decoupling`` [MeV] (> 0); to
    5e-6.
    ``"kinetic"``: the same with the temperature of psi as a second unknown
    (:mod:`jaxlmt.darkmatter.kinetic`), to 1e-3 of the solution of its equations.

    All channels of :func:`sigma_v` are summed, forbidden ones too; mu pairs above the muon's mass, but not A'
    pairs, open above m_psi = M. Matter, which rules below 1 eV, is left out. Without freeze-out a finite
    number that only says "far too much": by the formula (:func:`freeze_out` gives x = 1) at most that of a
    relativistic relic, 2e4 m_psi/MeV, by the others what equilibrium at T = m_psi leaves.
    Raises ValueError for invalid arguments.
    """
    choose("method", method, METHODS)
    theta, g_star, factor = check_dark_matter(theta), _g_star(g_star), _factor(normalisation)
    if not is_traced(neutrino_decoupling):
        values("neutrino_decoupling", neutrino_decoupling, low=0.0, low_open=True)
    if method == "formula":
        return _relic_density(*to_float64((theta, g_star, factor)))
    return _evolved(method, *to_float64((theta, neutrino_decoupling)), plasma(), interpolation())


def boost_factor(theta, *, velocity=1e-3, channel="total", g_star=10.75):
    """<sigma v> in a halo today over that at freeze-out, both of the same ``channel``; eq 4.7 estimates it.

    velocity, channel: as in :func:`halo_sigma_v`; g_star: as in :func:`freeze_out`. Raises ValueError for
    invalid arguments.
    """
    today = halo_sigma_v(theta, velocity=velocity, channel=channel)
    return today / sigma_v(theta, freeze_out(theta, g_star=g_star).x, channel=channel)


def delta_for_relic_density(theta, *, branch, omega_h2=OBSERVED, normalisation="corrected", g_star=10.75):
    """delta = 4 m_psi^2/M^2 - 1 at which Omega h^2 is ``omega_h2``, the rest as in ``theta``; differentiable.

    branch: ``"below"`` or ``"above"`` the pole, or rather the minimum of Omega, which lies at
    delta = -(Gamma/M)^(2/3)/4. Searched for m_psi from 0.05 M to M; -1, which no model takes, where there is
    none. The mass of psi in ``theta`` is not used. normalisation, g_star: as in :func:`relic_density`.
    Broadcasts. Raises ValueError for invalid arguments.
    """
    choose("branch", branch, BRANCHES)
    arguments = check_dark_matter(theta), _target(omega_h2), _g_star(g_star), _factor(normalisation)
    return _delta(*to_float64((*arguments, branch == "above")))


def dm_mass_for_relic_density(theta, **options):
    """m_psi [MeV] at which Omega h^2 is right: :func:`delta_for_relic_density`, with its options, as a mass.

    0, which no model takes, where there is none. Near the pole delta keeps the digits that this loses.
    """
    delta = delta_for_relic_density(theta, **options)
    found = delta > -1.0
    ratio = 0.5 * jnp.sqrt(1.0 + jnp.where(found, delta, 0.0))
    return jnp.where(found, ratio * to_float64(theta.mass), 0.0)


def dm_charge_for_relic_density(theta, *, omega_h2=OBSERVED, normalisation="corrected", g_star=10.75):
    """|q_psi| at which Omega h^2 is ``omega_h2``, the rest as in ``theta``; differentiable.

    Searched from 1e-6 to 1000 (perturbation theory ends at q_psi g_x of about 3); 0, which no model takes,
    where there is none. The charge in ``theta`` is not used. normalisation, g_star: as in
    :func:`relic_density`. Broadcasts. Raises ValueError for invalid arguments.
    """
    arguments = check_dark_matter(theta), _target(omega_h2), _g_star(g_star), _factor(normalisation)
    return _charge(*to_float64(arguments))
