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
from ..quadrature import spread
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


class _Final(NamedTuple):
    """Pairs that share a threshold: massless ones, and those of one charged lepton; None if there are none.

    neutrinos, charged: coupling^2, of neutrinos as in :func:`couplings_squared`; mass2: that of the charged
    lepton, threshold2: of the heaviest that is taken to be open from the threshold on, both over m_psi^2.
    """

    neutrinos: jax.Array | None
    charged: jax.Array | None
    mass2: jax.Array | None
    threshold2: jax.Array | None


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

    To 1e-11 for x up to 1e10, in every channel; within 1e-3 of m_f = m_psi, where the thresholds of both
    meet, to 1e-7. In a sum electrons have that accuracy above m_psi = 1 MeV. A running mixing is taken at
    q^2 = 4 m_psi^2.
    """
    m2 = theta.dm_mass**2
    couplings2 = couplings_squared(theta, 4.0 * m2, channel)
    final = [
        _Final(None, couplings2[name], mass**2 / m2, mass**2 / m2)
        for name, mass in _MASSES.items()
        if name in couplings2
    ]
    if channel == "total":  # neutrinos and electrons together, both as if light
        zero = jnp.zeros_like(m2)
        final = [pair._replace(neutrinos=zero) for pair in final]
        final[0] = final[0]._replace(neutrinos=couplings2["nu"], threshold2=zero)
    elif "nu" in couplings2:
        final = [_Final(couplings2["nu"], None, None, None)]
    scale = (theta.g_x * theta.dm_charge) ** 2 / (12.0 * np.pi * m2)
    leaves, structure = jax.tree.flatten((x, final, theta.delta, relative_width(theta), scale))
    x, final, delta, gamma, scale = jax.tree.unflatten(structure, jnp.broadcast_arrays(*leaves))
    each = jax.tree.map(lambda *leaves: jnp.stack(leaves), *final)
    total = jax.vmap(lambda one: _integral(x, one, delta, gamma))(each).sum(axis=0)
    return scale / scaled_k(2, x) ** 2 * total


def _integral(x, final, delta, gamma):
    """What multiplies g^2 q^2/(12 pi m_psi^2 x K2e(x)^2). In units of m_psi, and all arrays of one shape."""
    light = final.charged is None
    heavier2 = jnp.ones_like(x) if light else jnp.maximum(final.threshold2, 1.0)
    photon2 = 4.0 / (1.0 + delta)  # M^2
    gap = photon2 * delta + 4.0 * (heavier2 - 1.0)  # 4 mu^2 - M^2
    width = photon2 * gamma  # M Gamma
    thermal2 = 4.0 * jnp.sqrt(heavier2) / x
    if light:
        scale2, (sinh2, weight) = thermal2, _grids(_REACH)
    else:  # with an a of 2 |m_f^2 - m_psi^2|^(1/2) or less the other threshold stays away from the axis
        apart2 = 4.0 * jnp.abs(final.threshold2 - 1.0)
        scale2 = jnp.clip(apart2, _CLOSEST**2 * thermal2, thermal2)
        sinh2, weight = _grids(_REACH - np.log(_CLOSEST))
    scale2 = jax.lax.stop_gradient(scale2)  # a^2: the choice of points is nothing to differentiate
    part, half = _pole(x, final, heavier2, gap, width, scale2)

    points = sinh2.shape[-1]
    half = half[..., None]
    u2 = scale2[..., None] * jnp.where(half, sinh2[1], sinh2[0])
    weight = jnp.where(half, weight[1], weight[0])
    arguments = x, final, heavier2, gap, width
    x_, final_, heavier2_, gap, width = jax.tree.map(lambda leaf: spread(leaf, points), arguments)
    values = weight * _regular(u2, x_, final_, heavier2_) / ((u2 + gap) ** 2 + width**2)
    return (0.25 * x * scale2) ** 1.5 * (values @ np.ones(points) + part)


def _pole(x, final, heavier2, gap, width, scale2):
    """(contribution of the poles, whether the grid of half-integers is the one farther from them)."""
    near = gap < 0.5 * scale2  # |Im p| < pi/4; farther poles contribute less than rounding
    gap = jnp.where(near, gap, 0.0)
    root = [part / jnp.sqrt(scale2) for part in _root(-gap, width)]  # of u/a = sinh(p)
    re, im = _arcsinh(root, -gap / scale2, width / scale2)
    phase, growth = 2.0 * np.pi / _STEP * re, jnp.exp(2.0 * np.pi / _STEP * im)
    half = jnp.cos(phase) > 0.0
    growth = jnp.where(half, -growth, growth)
    between = jax.lax.complex(1.0 - growth * jnp.cos(phase), growth * jnp.sin(phase))  # 2i/(cot + i)
    regular = _regular(jax.lax.complex(-gap, width), x, final, heavier2)
    residue = (jax.lax.complex(*root) * regular / between).real
    return jnp.where(near, 2.0 * np.pi * residue / (width * scale2), 0.0), half


def _regular(u2, x, final, heavier2):
    """The integrand without poles and measure, at real or complex ``u2``."""
    s = 4.0 * heavier2 + u2
    energy = _square_root(s)
    heavier = jnp.sqrt(heavier2)
    excess = u2 / (energy + 2.0 * heavier) + 2.0 * (heavier - 1.0)  # s^(1/2) - 2
    spectrum = 0.0 if final.neutrinos is None else final.neutrinos * s
    if final.charged is not None:  # phase space of the lighter of psi and lepton
        mass2 = final.mass2
        lighter2 = jnp.where(mass2 > heavier2, mass2, jnp.minimum(mass2, 1.0))
        space = _square_root((u2 + 4.0 * (heavier2 - lighter2)) / s)
        spectrum = spectrum + final.charged * (s + 2.0 * mass2) * space
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
    ``"e"``, ``"mu"``, ``"tau"`` or the sum of all, ``"total"``. Zero below the thresholds; A' pairs, open
    above m_psi = M, and hadrons are left out. Raises ValueError for invalid arguments.
    Source: Drees & Zhao 2107.14528, eq 2.3.
    """
    choose("channel", channel, CHANNELS)
    theta = check_dark_matter(theta)
    if not is_traced(s):
        values("s", s, low=0.0, low_open=True)
    return _cross_section(*to_float64((s, theta)), channel)


def sigma_v(theta, x, *, channel="total"):
    """<sigma v> [cm^3/s] at ``x`` = m_psi/T >= 1, which broadcasts with the leaves of ``theta``.

    The average over Maxwell-Boltzmann distributions of psi and psibar, to 1e-11 at any distance from the
    pole, for m_psi above 1 MeV; to 1e-7 for a charged lepton within 1e-3 of the mass of psi. channel: as in
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
