"""Relic density with the temperature of psi as a second unknown, for early kinetic decoupling near the pole.

Binder, Bringmann, Gustafsson, Hryczuk 1706.07433 (and 2103.01944, of resonances): psi keeps a Maxwellian,
of a temperature T_psi of its own once scattering psi nu -> psi nu, by exchange of A', fails to keep up with
the expansion. Its equation is that of the second moment, theta = <p^2>/(3 m): with q = theta a^2

    dq/dln a = (gamma/H)(q_eq - q) - C N w(T_psi) q + C_eq (N_eq^2/N) [(1 + w(T)) q_eq - q],

C = <sigma v>/(2 H a^3) at T_psi and C_eq at T, that of neutrinos. gamma is the rate of the momentum exchange.
w = <p^2 sigma v>/(<p^2> <sigma v>) - 1, in essence (1/3) dln<sigma v>/dln T: what annihilates more readily
when fast cools psi, and freezes out at a temperature below that of neutrinos.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..quadrature import spline, trailing, unit_gauss
from .boltzmann import (
    EXTRAPOLATION,
    coefficients,
    density_today,
    euler,
    euler_steps,
    log_equilibrium,
    log_sigma_v,
    spline_position,
)

# Momenta of neutrinos over T, with the weight k^2 f (1 - f) dk/(2 pi^2), and transfers over the largest.
_MOMENTUM = 40.0 * unit_gauss(24)[0]
_OCCUPATION = 1.0 / (np.exp(_MOMENTUM) + 1.0)
_MOMENTUM_WEIGHT = (
    40.0 * unit_gauss(24)[1] * _MOMENTUM**2 * _OCCUPATION * (1.0 - _OCCUPATION) / (2.0 * np.pi**2)
)
_TRANSFER, _TRANSFER_WEIGHT = unit_gauss(8)

_NEWTON = 2


def exchange_rate(x, theta):
    """gamma [MeV], dtheta/dt = gamma (theta_eq - theta), by neutrinos of T = m_psi/``x`` (n,); scalar theta.

    gamma = sum int d^3k/(2 pi)^3 f (1 - f) int dt (-t) dsigma/dt/(3 m T), 1706.07433, over neutrinos and
    antineutrinos that couple, for psi at rest but with the full propagator and kinematics: to 1e-5 for x > 3.
    The contact limit is 40% too high at x = 50, near the pole, and twice as high at x = 20.
    """
    charges = theta.charges
    coupling2 = theta.g_x**2 * (charges.e**2 + charges.mu**2 + charges.tau**2)
    energy = 2.0 * trailing(_MOMENTUM, x) / x[:, None]  # 2k/m, with which s = m^2 (1 + energy)
    recoil = energy / (1.0 + energy)
    share = recoil[..., None] * trailing(_TRANSFER, energy)  # -t/(s - m^2), up to the largest
    transfer = energy[..., None] * share  # -t/m^2
    squared = 1.0 + (1.0 - share) ** 2 - 2.0 * share / energy[..., None]
    integrand = transfer * squared / (transfer + 4.0 / (1.0 + theta.delta)) ** 2
    averaged = (energy * recoil * (integrand @ _TRANSFER_WEIGHT)) @ _MOMENTUM_WEIGHT
    scale = 2.0 * coupling2 * (theta.g_x * theta.dm_charge) ** 2 / (24.0 * np.pi) * theta.dm_mass
    return scale * averaged / x**2


def second_moment(temperature):
    """<p^2>/(3 m^2) of a thermal distribution at ``temperature``, T/m, up to (T/m)^3: T/m (1 + 5T/(2m))."""
    return temperature * (1.0 + 2.5 * temperature)


def log_temperature(moment):
    """ln(T/m): the inverse of :func:`second_moment`."""
    return jnp.log(2.0 * moment / (1.0 + jnp.sqrt(1.0 + 10.0 * moment)))


def excess_of_moment(slope, x):
    """w = <p^2 sigma v>/(<p^2> <sigma v>) - 1 at ``x`` = m/T, from ``slope`` = dln<sigma v>/dln x.

    A pair of energy s^(1/2) = 2m (1 + eps)^(1/2) has <p^2> = m^2 eps + (1 + b^2/3) (3/4) s^(1/2) T K_2/K_1,
    where b^2 = eps/(1 + eps) and the Bessel functions are of s^(1/2)/T; ``slope`` gives the average of the
    last factor, and so of eps. For x > 15 within 0.012, or 1%, of the relativistic average.
    """
    bessel = 2.0 * x + 3.0 + 3.75 / x - slope  # <s^(1/2) K_2/(T K_1)>
    energy = (bessel - 1.5 - 0.1875 / x) / (2.0 * x)
    eps = energy**2 - 1.0
    moment = eps + 0.75 * (1.0 + (1.0 - 1.0 / energy**2) / 3.0) * bessel / x**2
    return moment * x / (3.0 * (1.0 + 2.5 / x)) - 1.0


def _average(table, log_x):
    """(ln(<sigma v>/2), w) at a scalar ``log_x``, from the spline ``table`` (n, 1)."""
    at = lambda log_x: spline(table, spline_position(log_x))[0]  # noqa: E731
    value, slope = jax.jvp(at, (log_x,), (jnp.ones_like(log_x),))
    return value, excess_of_moment(slope, jnp.exp(log_x))


def relic_density_kinetic(theta, neutrino_decoupling, tables, matrices, scattering=1.0):
    """Omega h^2 of a scalar ``theta``, a pure kernel.

    tables, matrices: as for :func:`jaxlmt.darkmatter.boltzmann.relic_density_boltzmann`; scattering: what
    multiplies gamma, for large values of which the result is that of one temperature.
    """
    functions = (
        lambda x: log_sigma_v(x, theta),
        lambda x: log_equilibrium(x, theta.dm_mass),
        lambda x: jnp.log(jnp.maximum(exchange_rate(x, theta), 1e-300)),
        jnp.log,
    )
    now, sites = coefficients(theta, neutrino_decoupling, tables, matrices.grid, functions)
    sigma_v, density, exchange, log_x = now.smooth
    volume = 3.0 * now.log_scale
    per_sigma_v = jnp.exp(-now.log_hubble - volume)
    table = (matrices.spline @ sites[0])[:, None]
    average = jax.vmap(_average, (None, 0))

    def after(log_moment, number, point):
        """(dq/q, N) after an implicit step that ends at this ln q."""
        steps, log_scale, per_sigma_v, production, exchange, moment_eq, tilt_eq = point
        warm, tilt = average(table, -log_temperature(jnp.exp(log_moment - 2.0 * log_scale)))
        strength = steps * jnp.exp(warm) * per_sigma_v
        number = euler(number, strength, steps * production)
        colder = moment_eq * jnp.exp(-log_moment)
        heated = steps * production / number * ((1.0 + tilt_eq) * colder - 1.0)
        return steps * exchange * (colder - 1.0) + heated - strength * number * tilt, number

    def step(state, point):
        number, log_moment = state

        def residual(trial):
            return -jnp.expm1(log_moment - trial) - after(trial, number, point)[0]

        trial = log_moment
        for _ in range(_NEWTON):  # one would do for the order of the scheme; it is stable with more
            value, slope = jax.jvp(residual, (trial,), (jnp.ones_like(trial),))
            trial = trial - jnp.clip(value / jnp.maximum(slope, 0.1), -1.0, 1.0)
        return (after(trial, number, point)[1], trial), None

    equilibrium = density + volume
    moment_eq = second_moment(jnp.exp(-log_x)) * jnp.exp(2.0 * now.log_scale)
    production = jnp.exp(sigma_v + 2.0 * equilibrium) * per_sigma_v
    exchange = scattering * jnp.exp(exchange - now.log_hubble)
    tilt_eq = average(table, log_x)[1]
    start = jnp.exp(equilibrium[0]) * np.ones(4), jnp.log(moment_eq[0]) * np.ones(4)
    points = (
        euler_steps(now.log_scale),
        now.log_scale,
        per_sigma_v,
        production,
        exchange,
        moment_eq,
        tilt_eq,
    )
    (number, _), _ = jax.lax.scan(step, start, points)
    return density_today(theta.dm_mass, jnp.log(number) @ EXTRAPOLATION, now.log_entropy)
