"""Running of the kinetic mixing: the loops of charged leptons between photon and hidden photon.

eps(q^2) = eps_x + (e g_x/2 pi^2) sum_l Q_l I(q^2/m_l^2),   I(z) = int_0^1 dx x(1-x) ln(1 - z x(1-x)),

is 2104.03297, eq 10, at q^2 != 0, with the sign of its eq 11; eps_x is the mixing at q^2 = 0, and I(0) = 0.
It is real below the threshold q^2 = 4 m_l^2 of every lepton in the loop. All functions are pure kernels.
"""

from math import factorial, pi

import jax.numpy as jnp

from .constants import ELECTRIC_CHARGE, MASS_ELECTRON, MASS_MUON, MASS_TAU

_SMALL = 0.5  # |z| below which the series is summed; its terms fall as (z/4)^n
_SERIES = [-(factorial(n + 1) ** 2) / factorial(2 * n + 3) / n for n in range(18, 0, -1)]  # -B(n+2, n+2)/n
_ROUNDING = 1e-15  # z this close to 4 is at the threshold


def loop_real(z):
    """Re I(z) for real ``z`` of any sign and shape.

    I(4) = -4/9, where the slope is that of the upper side, 1/6; on the lower side it is infinite.
    """
    z = jnp.asarray(z)
    z = jnp.where(jnp.abs(z - 4.0) < _ROUNDING, z + 4.0 * _ROUNDING, z)
    is_small, is_below = jnp.abs(z) < _SMALL, (z > 0.0) & (z < 4.0)

    small = jnp.where(is_small, z, 0.0)
    series = jnp.zeros_like(small)
    for coefficient in _SERIES:  # Horner, unrolled at trace time
        series = (series + coefficient) * small

    below = jnp.where(is_below & ~is_small, z, 2.0)
    root = jnp.sqrt((4.0 - below) / below)
    angle = root * jnp.arctan(1.0 / root)
    # ln|(1 + b)/(1 - b)| = 2 arsinh(w) keeps its digits where b vanishes and where it tends to one.
    beyond = jnp.where(is_below | is_small, 8.0, z)
    w = 0.5 * jnp.sqrt(jnp.where(beyond < 0.0, -beyond, beyond - 4.0))
    rapidity = jnp.sqrt((beyond - 4.0) / beyond) * jnp.arcsinh(w)

    z = jnp.where(is_below, below, beyond)
    closed = -5.0 / 18.0 - 2.0 / (3.0 * z) + (1.0 + 2.0 / z) / 3.0 * jnp.where(is_below, angle, rapidity)
    return jnp.where(is_small, series, closed)


def loop_imaginary(z):
    """Im I(z) = -(pi/6)(1 + 2/z)(1 - 4/z)^(1/2), for q^2 + i0; zero, and flat, up to and at z = 4."""
    z = jnp.asarray(z)
    is_open = z > 4.0 + _ROUNDING
    z = jnp.where(is_open, z, 8.0)
    return jnp.where(is_open, -pi / 6.0 * (1.0 + 2.0 / z) * jnp.sqrt((z - 4.0) / z), 0.0)


def lepton_loops(loop, q2):
    """``loop`` (one of the two above) of e, mu and tau at ``q2`` [MeV^2]: (3, *shape of q2)."""
    return loop(jnp.stack([q2 / mass**2 for mass in (MASS_ELECTRON, MASS_MUON, MASS_TAU)]))


def _shift(theta, loops):
    q = theta.charges
    scale = ELECTRIC_CHARGE / (2.0 * pi**2) * theta.g_x
    return scale * (q.e * loops[0] + q.mu * loops[1] + q.tau * loops[2])


def mixing(theta, q2, loops=None):
    """Re eps(q^2) at ``q2`` [MeV^2], which broadcasts with the leaves of ``theta``.

    Without running it is eps_x, whatever q2, and nothing else enters the program. loops: the
    :func:`lepton_loops` of loop_real at q2, where they are known beforehand.
    """
    if not theta.running:
        return theta.eps_x
    return theta.eps_x + _shift(theta, lepton_loops(loop_real, q2) if loops is None else loops)


def imaginary_mixing(theta, q2):
    """Im eps(q^2) of a running mixing, from the leptons whose threshold lies below ``q2`` [MeV^2]."""
    return _shift(theta, lepton_loops(loop_imaginary, q2))
