"""One-loop contribution of the hidden photon to the muon's anomalous magnetic moment."""

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import MASS_MUON
from ..quadrature import spread, trailing
from ..validation import check_theta, to_float64, values

# With u = 1/(1 + exp(-y)) the trapezoidal rule in y converges as exp(-pi^2/h) for every mass: the
# layers of width M/m_mu at u = 0 and (m_mu/M)^2 at u = 1 are both resolved.
_STEP = 0.3
_Y = np.arange(-33.0, 25.0, _STEP)
_U = 1.0 / (1.0 + np.exp(-_Y))
_ONE_MINUS_U = 1.0 / (1.0 + np.exp(_Y))
_NUMERATOR = _STEP * _U**3 * _ONE_MINUS_U**2  # u^2 (1-u) du


def loop_integral(mass):
    """int_0^1 du u^2 (1-u) / (u^2 + (1-u) M^2/m_mu^2), eq 13; 1/2 for M = 0. Shape of ``mass`` [MeV]."""
    ratio = spread((jnp.asarray(mass) / MASS_MUON) ** 2, _Y.size)
    u2, one_minus_u = (trailing(part, mass) for part in (_U**2, _ONE_MINUS_U))
    return (1.0 / (u2 + one_minus_u * ratio)) @ _NUMERATOR


def magnetic_moment(theta):
    """Delta a_mu, a pure kernel: 2104.03297, eq 13, with the muon's charge squared."""
    coupling2 = (theta.g_x * theta.charges.mu) ** 2
    return coupling2 / (4.0 * jnp.pi**2) * loop_integral(theta.mass)


_magnetic_moment = jax.jit(magnetic_moment)
_loop_integral = jax.jit(loop_integral)


def delta_a_mu(theta):
    """Delta a_mu of the hidden photon, dimensionless, to 1e-12 for masses of 1e-3 to 1e6 MeV.

    2104.03297, eq 13 (= Drees & Zhao 2107.14528, eq 2.6). Raises ValueError for invalid parameters.
    """
    return _magnetic_moment(check_theta(theta))


def coupling_from_delta_a_mu(delta, mass, *, muon_charge=1.0):
    """|g_x| at which Delta a_mu equals ``delta`` (> 0) for A' ``mass`` [MeV]: the inverse of eq 13.

    Broadcasts; the (g-2)_mu band at mass M runs between the values at mean -+ n sigma. Raises
    ValueError for values that are not positive.
    """
    delta = values("delta", delta, low=0.0, low_open=True)
    mass = values("mass", mass, low=0.0, low_open=True)
    charge = values("muon_charge", muon_charge)
    if np.any(charge == 0.0):
        raise ValueError(f"muon_charge must not be 0; got {muon_charge!r}")
    return 2.0 * np.pi * jnp.sqrt(delta / _loop_integral(to_float64(mass))) / np.abs(charge)
