"""The relic density with scipy: adaptive quadrature told where the pole is, and a bracketing root finder.

The same formula as ``jaxlmt.relic_density(method="formula")``, neutrinos and electrons only (a muon pair is
out of reach for the masses compared), one point at a time.
"""

from itertools import pairwise
from math import asinh, exp, log, pi, sinh, sqrt

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import kve

ALPHA, MASS_ELECTRON = 1.0 / 137.035999, 0.51099895069
PLANCK_MASS = 1.220890e22  # MeV
ACCURACY = {"epsabs": 0.0, "epsrel": 1e-8, "limit": 200}


def width(g_x, mass, dm_mass, charge):
    """Gamma [MeV] of Lmu-Ltau below the muon threshold, eps_x = -g_x/70, and of psi."""

    def pair(coupling, fermion):
        r = (fermion / mass) ** 2
        return coupling**2 * mass / (12 * pi) * (1 + 2 * r) * sqrt(1 - 4 * r) if 4 * r < 1 else 0.0

    electric = sqrt(4 * pi * ALPHA) * g_x / 70
    return 2 * g_x**2 * mass / (24 * pi) + pair(electric, MASS_ELECTRON) + pair(g_x * charge, dm_mass)


def bessel_k(order, w):
    """exp(w) K_n(w), by its asymptotic series where scipy gives up."""
    return kve(order, w) if w < 1e5 else sqrt(pi / (2 * w)) * (1 + (4 * order**2 - 1) / (8 * w))


def sigma_v(x, g_x, mass, dm_mass, charge, gamma):
    """<sigma v> [MeV^-2] at x, eq 3.2, over u = (s - 4 m^2)^(1/2) in units of the thermal width."""
    t = dm_mass / x
    gap = (2 * dm_mass - mass) * (2 * dm_mass + mass)
    electric2 = 4 * pi * ALPHA * (g_x / 70) ** 2
    scale = 2 * sqrt(dm_mass * t)

    def integrand(u):
        u2 = (scale * u) ** 2
        s = 4 * dm_mass**2 + u2
        energy = sqrt(s)
        final = g_x**2 * s + electric2 * (s + 2 * MASS_ELECTRON**2) * sqrt(1 - 4 * MASS_ELECTRON**2 / s)
        thermal = bessel_k(1, energy / t) * exp(-u2 / (energy + 2 * dm_mass) / t)
        return 2 * u2 * final * (s + 2 * dm_mass**2) / ((u2 + gap) ** 2 + (gamma * mass) ** 2) * thermal

    last = 8.0 + 40.0 / sqrt(x)
    breaks = {0.0, 1.0, 3.0, last}
    if gap < 0:  # around the pole, in steps that grow with the distance
        pole, sharp = sqrt(-gap) / scale, gamma * mass / (2 * sqrt(-gap) * scale)
        steps = sharp * np.array([1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7])
        breaks |= {pole, *(pole + steps), *(pole - steps)}
    else:
        pole = sqrt(max(gap, gamma * mass)) / scale
        breaks |= {pole, 10 * pole}
    breaks = sorted(b for b in breaks if 0.0 <= b <= last)
    total = sum(quad(integrand, *ends, **ACCURACY)[0] for ends in pairwise(breaks))
    scale *= (g_x * charge) ** 2 / (12 * pi)
    return scale * total / (8 * dm_mass**4 * t * bessel_k(2, x) ** 2)


def relic_density(g_x, mass, dm_mass, charge=1.0, g_star=10.75):
    """Omega h^2, corrected normalisation."""
    point = g_x, mass, dm_mass, charge, width(g_x, mass, dm_mass, charge)
    rate = 0.076 * PLANCK_MASS * dm_mass / sqrt(g_star)
    x_f = brentq(lambda x: x + 0.5 * log(x) - log(rate * sigma_v(x, *point)), 1.0, 200.0, rtol=1e-9)
    cold = 0.1 * max(abs(4 * dm_mass**2 / mass**2 - 1), point[-1] / mass)

    def integrand(v):
        return cold * np.cosh(v) * sigma_v(1 / (cold * sinh(v)), *point)

    integral = quad(integrand, 1e-12, asinh(1 / (x_f * cold)), epsabs=0.0, epsrel=1e-7)[0]
    return 2 * 1.07e6 / (integral * sqrt(g_star) * PLANCK_MASS)
