"""Annihilation of dark matter through the hidden photon, psi psibar -> A' -> f fbar, and its thermal average.

Drees & Zhao 2107.14528, eqs 2.3 and 3.2. Near the pole, m_psi = M/2, the resonance is 1e-8 of the range of
energies wide, so that no grid finds it. With s = 4 mu^2 + u^2, mu the larger of m_psi and m_f, the integrand
of the average is an even function of u, analytic near the real axis but for the four poles
u^2 = -(4 mu^2 - M^2) +- i M Gamma. In u = a sinh(tau) with a = 2 (mu T)^(1/2), the width of the thermal
factor, the same few points of the trapezoidal rule do for any temperature, once the exact contribution of the
poles is added: for a step h

    int f dtau = h sum_n f((n - theta) h) + 4 pi Re[Res_p f (cot(pi (p/h + theta)) + i)],

with p the pole of the first quadrant. Of the two grids, theta = 0 and 1/2, that one is taken whose points
are farther from it. Nothing cancels, and delta = 4 m_psi^2/M^2 - 1 enters as it is.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..bessel import scaled_k
from ..constants import (
    ELECTRIC_CHARGE,
    MASS_ELECTRON,
    MASS_MUON,
    MASS_TAU,
    MEV2_TO_CM2,
    SPEED_OF_LIGHT_CM,
)
from ..mixing import imaginary_mixing, mixing
from ..model import channel_widths
from ..validation import check_dark_matter, choose, is_traced, to_float64, values

CHANNELS = ("total", "nu", "nu_e", "nu_mu", "nu_tau", "e", "mu", "tau")
MEV2_TO_CM3_PER_S = MEV2_TO_CM2 * SPEED_OF_LIGHT_CM  # sigma v of 1 MeV^-2

_MASSES = {"e": MASS_ELECTRON, "mu": MASS_MUON, "tau": MASS_TAU}

_STEP = 0.14  # the rule converges as exp(-pi^2/(2 h))
_REACH = 3.92  # of tau: up to where the thermal factor is 1e-16 for x = 1
_CLOSEST = 0.1  # how far a may be reduced where m_f is near m_psi


@functools.cache
def _grids(reach):
    """sinh(tau)^2 and weight of the measure, (2, n): the whole and the half-integer grid of positive tau."""
    tau = _STEP * (np.arange(1, round(reach / _STEP) + 1) - np.array([[0.0], [0.5]]))
    return np.sinh(tau) ** 2, 2.0 * _STEP * np.sinh(tau) ** 2 * np.cosh(tau)


class _Pair(NamedTuple):
    """A pair f fbar: coupling^2 of what is a Dirac fermion, and m_f^2/m_psi^2, None if massless."""

    coupling2: jax.Array
    mass2: jax.Array | None


def relative_width(theta):
    """Gamma/M of the hidden photon; 1 where it cannot decay, as nothing annihilates through it then."""
    gamma = sum(channel_widths(theta).values()) / theta.mass
    return jnp.where(gamma > 0.0, gamma, 1.0)


def couplings_squared(theta, q2, channel):
    """{"nu", "e", "mu", "tau": coupling^2 to a Dirac fermion}, of those in ``channel``; mixing at ``q2``.

    Of a chiral neutrino, half its own. As in :func:`jaxlmt.model.channel_widths` the mixing is kept for
    electrons alone.
    """
    q = theta.charges
    neutrinos = {"nu_e": q.e, "nu_mu": q.mu, "nu_tau": q.tau}
    found = {}
    if channel in ("total", "nu"):
        found["nu"] = 0.5 * theta.g_x**2 * (q.e**2 + q.mu**2 + q.tau**2)
    elif channel in neutrinos:
        found["nu"] = 0.5 * (theta.g_x * neutrinos[channel]) ** 2
    if channel in ("total", "e"):
        electron = (theta.g_x * q.e + ELECTRIC_CHARGE * mixing(theta, q2)) ** 2
        if theta.running:
            electron = electron + (ELECTRIC_CHARGE * imaginary_mixing(theta, q2)) ** 2
        found["e"] = electron
    for name in ("mu", "tau"):
        if channel in ("total", name):
            found[name] = (theta.g_x * getattr(q, name)) ** 2
    return found


def cross_section(s, theta, channel):
    """sigma(s) [MeV^-2], eq 2.3, at ``s`` [MeV^2]; zero below the thresholds. A pure kernel."""
    m2 = theta.dm_mass**2
    moves = s > 4.0 * m2
    s = jnp.where(moves, s, 5.0 * m2)
    excess = s - theta.mass**2
    propagator2 = excess**2 + (relative_width(theta) * theta.mass**2) ** 2
    total = 0.0
    for name, coupling2 in couplings_squared(theta, s, channel).items():
        mf2 = _MASSES.get(name, 0.0) ** 2
        is_open = s > 4.0 * mf2
        momentum2 = jnp.where(is_open, s - 4.0 * mf2, 1.0)
        term = coupling2 * jnp.sqrt(momentum2) * (s + 2.0 * mf2)
        total = total + jnp.where(is_open, term, 0.0)
    scale = (theta.g_x * theta.dm_charge) ** 2 / (12.0 * np.pi)
    sigma = scale * total * (s + 2.0 * m2) / (jnp.sqrt(s - 4.0 * m2) * s * propagator2)
    return jnp.where(moves, sigma, 0.0)


def thermal_average(x, theta, channel):
    """<sigma v> [MeV^-2], eq 3.2, at ``x`` = m_psi/T >= 1, which broadcasts with theta. A pure kernel.

    To 1e-12, in every channel; within 1e-3 of m_f = m_psi, where the thresholds of both meet, to 1e-7. In a
    sum electrons have that accuracy above m_psi = 1 MeV. A running mixing is taken at q^2 = 4 m_psi^2.
    """
    m2 = theta.dm_mass**2
    couplings2 = couplings_squared(theta, 4.0 * m2, channel)
    pairs = {
        name: _Pair(coupling2, _MASSES[name] ** 2 / m2 if name in _MASSES else None)
        for name, coupling2 in couplings2.items()
    }
    groups = [tuple(pairs.pop(name) for name in ("nu", "e") if name in pairs)] if "nu" in pairs else []
    groups += [(pair,) for pair in pairs.values()]
    scale = (theta.g_x * theta.dm_charge) ** 2 / (12.0 * np.pi * m2)
    numbers = x, groups, theta.delta, relative_width(theta), scale
    leaves, structure = jax.tree.flatten(numbers)
    x, groups, delta, gamma, scale = jax.tree.unflatten(structure, jnp.broadcast_arrays(*leaves))
    return scale / scaled_k(2, x) ** 2 * sum(_integral(x, group, delta, gamma) for group in groups)


def _integral(x, pairs, delta, gamma):
    """What multiplies g^2 q^2/(12 pi m_psi^2 x K2e(x)^2), of ``pairs`` with one threshold, that of the first.

    All in units of m_psi, and all arrays of one shape.
    """
    mass2 = pairs[0].mass2
    heavier2 = jnp.ones_like(x) if mass2 is None else jnp.maximum(mass2, 1.0)
    photon2 = 4.0 / (1.0 + delta)  # M^2
    gap = photon2 * delta + 4.0 * (heavier2 - 1.0)  # 4 mu^2 - M^2
    width = photon2 * gamma  # M Gamma
    thermal2 = scale2 = 4.0 * jnp.sqrt(heavier2) / x  # a^2
    sinh2, weight = _grids(_REACH)
    if (
        mass2 is not None
    ):  # a = 2 (mu^2 - lighter^2)^(1/2) makes the other threshold analytic; less keeps it off
        apart2 = 4.0 * jnp.abs(mass2 - 1.0)
        scale2 = jnp.clip(apart2, _CLOSEST**2 * thermal2, thermal2)
        sinh2, weight = _grids(_REACH - np.log(_CLOSEST))
    part, half = _pole(x, pairs, heavier2, gap, width, scale2)

    half = half[..., None]
    u2 = scale2[..., None] * jnp.where(half, sinh2[1], sinh2[0])
    weight = jnp.where(half, weight[1], weight[0])
    along = jax.tree.map(lambda leaf: leaf[..., None], (x, pairs, heavier2))
    resonance = (u2 + gap[..., None]) ** 2 + width[..., None] ** 2
    values = weight * _regular(u2, *along) / resonance
    return (0.25 * x * scale2) ** 1.5 * (values @ np.ones(weight.shape[-1]) + part)


def _pole(x, pairs, heavier2, gap, width, scale2):
    """(contribution of the poles, whether the grid of half-integers is the one farther from them)."""
    near = gap < 0.5 * scale2  # |Im p| < pi/4; farther poles contribute less than rounding
    gap = jnp.where(near, gap, 0.0)
    root = [part / jnp.sqrt(scale2) for part in _root(-gap, width)]  # of u/a = sinh(p)
    re, im = _arcsinh(root, -gap / scale2, width / scale2)
    phase, growth = 2.0 * np.pi / _STEP * re, jnp.exp(2.0 * np.pi / _STEP * im)
    half = jnp.cos(phase) > 0.0
    growth = jnp.where(half, -growth, growth)
    between = jax.lax.complex(1.0 - growth * jnp.cos(phase), growth * jnp.sin(phase))  # 2i/(cot + i)
    regular = _regular(jax.lax.complex(-gap, width), x, pairs, heavier2)
    residue = (jax.lax.complex(*root) * regular / between).real
    return jnp.where(near, 2.0 * np.pi * residue / (width * scale2), 0.0), half


def _regular(u2, x, pairs, heavier2):
    """The integrand without poles and measure, at real or complex ``u2``."""
    s = 4.0 * heavier2 + u2
    energy = _square_root(s)
    heavier = jnp.sqrt(heavier2)
    excess = u2 / (energy + 2.0 * heavier) + 2.0 * (heavier - 1.0)  # s^(1/2) - 2
    spectrum = 0.0
    for coupling2, mass2 in pairs:
        if mass2 is None:
            spectrum = spectrum + coupling2 * s
        else:  # phase space of the lighter of psi and f; what is closed at the threshold opens above
            lighter2 = jnp.where(mass2 > heavier2, mass2, jnp.minimum(mass2, 1.0))
            space = _square_root((u2 + 4.0 * (heavier2 - lighter2)) / s)
            spectrum = spectrum + coupling2 * (s + 2.0 * mass2) * space
    return spectrum * (s + 2.0) * scaled_k(1, x * energy) / _square_root(energy) * jnp.exp(-x * excess)


def _square_root(z):
    """Of a real number, 0 if that is negative; or of a complex one above the real axis, both parts exact."""
    if jnp.iscomplexobj(z):
        return jax.lax.complex(*_root(z.real, z.imag))
    positive = z > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, z, 1.0)), 0.0)


def _root(re, im):
    """(Re, Im) of (re + i im)^(1/2), im >= 0: both to rounding, however small."""
    large = jnp.sqrt(0.5 * (jnp.sqrt(re**2 + im**2) + jnp.abs(re)))
    small = 0.5 * im / large
    return jnp.where(re < 0.0, small, large), jnp.where(re < 0.0, large, small)


def _arcsinh(root, re, im):
    """(Re p, Im p) of sinh(p) = ``root`` (Re, Im), whose square is re + i im, with re > -1/2 and im > 0.

    sinh(Re p)^2 = (|w| + |1 + w| - 1)/2 and sin(Im p)^2 = (|w| - |1 + w| + 1)/2 with w the square: the larger
    is computed, and the other follows from sinh(p).
    """
    square = re**2 + im**2
    difference = (2.0 * re + square) / (jnp.sqrt((1.0 + re) ** 2 + im**2) + 1.0)  # |1 + w| - 1
    real = re >= 0.0
    large2 = 0.5 * (jnp.sqrt(square) + jnp.where(real, difference, -difference))
    large = jnp.sqrt(large2)
    small = jnp.where(real, root[1], root[0]) / jnp.sqrt(jnp.where(real, 1.0 + large2, 1.0 - large2))
    return jnp.arcsinh(jnp.where(real, large, small)), jnp.arcsin(jnp.where(real, small, large))


@functools.partial(jax.jit, static_argnames="channel")
def _cross_section(s, theta, channel):
    return MEV2_TO_CM2 * cross_section(s, theta, channel)


@functools.partial(jax.jit, static_argnames="channel")
def _sigma_v(x, theta, channel):
    return MEV2_TO_CM3_PER_S * thermal_average(x, theta, channel)


def annihilation_cross_section(s, theta, *, channel="total"):
    """sigma(psi psibar -> f fbar) [cm^2] at ``s`` [MeV^2], which broadcasts with the leaves of ``theta``.

    theta: a :class:`DarkMatter`; channel: ``"nu"`` (the sum of ``"nu_e"``, ``"nu_mu"``, ``"nu_tau"``),
    ``"e"``, ``"mu"``, ``"tau"`` or the sum of all, ``"total"``. Zero below the thresholds; A' pairs, open above
    m_psi = M, and hadrons are left out. Raises ValueError for invalid arguments.
    Source: Drees & Zhao 2107.14528, eq 2.3.
    """
    choose("channel", channel, CHANNELS)
    theta = check_dark_matter(theta)
    if not is_traced(s):
        values("s", s, low=0.0, low_open=True)
    return _cross_section(*to_float64((s, theta)), channel)


def sigma_v(theta, x, *, channel="total"):
    """<sigma v> [cm^3/s] at ``x`` = m_psi/T >= 1, which broadcasts with the leaves of ``theta``.

    The average over Maxwell-Boltzmann distributions of psi and psibar, to 1e-12 at any distance from the pole,
    for m_psi above 1 MeV; to 1e-7 for a charged lepton within 1e-3 of the mass of psi. channel: as in
    :func:`annihilation_cross_section`. Raises ValueError for invalid arguments.
    Source: Drees & Zhao 2107.14528, eq 3.2.
    """
    choose("channel", channel, CHANNELS)
    theta = check_dark_matter(theta)
    if not is_traced(x):
        values("x", x, low=1.0)
    return _sigma_v(*to_float64((x, theta)), channel)


def halo_sigma_v(theta, *, velocity=1e-3, channel="total"):
    """<sigma v> [cm^3/s] today, in a halo of Maxwellian velocities.

    velocity: v0/c in (0, 1], the most probable speed of one particle, f ~ exp(-v^2/v0^2); relative ones then
    follow exp(-v^2/(2 v0^2)). This is :func:`sigma_v` at x = 2/v0^2, up to a relative v0^2. The paper has
    "typically 1e-3"; 220 km/s are 7.3e-4. channel: as in :func:`annihilation_cross_section`.
    Raises ValueError for invalid arguments.
    """
    if not is_traced(velocity):
        velocity = values("velocity", velocity, low=0.0, low_open=True)
        if np.any(velocity > 1.0):
            raise ValueError(f"velocity must not exceed 1; got {float(np.max(velocity))!r}")
    return sigma_v(theta, 2.0 / velocity**2, channel=channel)
