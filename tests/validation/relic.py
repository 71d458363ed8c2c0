"""Relic density of psi with SciPy: the Boltzmann equation on a two-temperature background, one point a call.

Independent of the package: own integrands, Bessel functions, quadrature and solver. Drees & Zhao 2107.14528,
eqs 2.3, 2.4, 3.1 and 3.2. MeV throughout.
"""

import functools
import math

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.special import k0e, k1e

from .independent import E_CHARGE, M_E, M_MU, M_TAU

PLANCK_MASS = 1.220890e22  # G^(-1/2)
TODAY = 2.7255 * 8.617333262e-11  # T_0
HUBBLE_100 = 1e5 / 3.0856775814913673e22 * 6.582119569e-22  # 100 km/s/Mpc
CRITICAL = 3 * HUBBLE_100**2 * PLANCK_MASS**2 / (8 * math.pi)  # rho_crit/h^2
PHOTONS = (math.pi**2 / 15, 4 * math.pi**2 / 45)  # rho/T^4, s/T^3
NEUTRINOS = (21 / 4 * math.pi**2 / 30, 21 / 4 * 2 * math.pi**2 / 45)
UNIT, UNIT_WEIGHTS = np.polynomial.legendre.leggauss(12)


def gauss(edges):
    """Nodes and weights of 12 a piece, flat."""
    half = np.diff(edges)[:, None] / 2
    return (np.asarray(edges)[:-1, None] + half * (1 + UNIT)).ravel(), (half * UNIT_WEIGHTS).ravel()


def k2e(x):
    """exp(x) K_2(x); scipy's own gives up beyond 1e9."""
    return k0e(x) + 2 / x * k1e(x)


def pair_width(coupling, mass, delta):
    """Gamma(A' -> f fbar) by delta = 4 m_f^2/mass^2 - 1."""
    return coupling**2 * mass / (12 * math.pi) * (1.5 + delta / 2) * math.sqrt(-delta) if delta < 0 else 0.0


class Point:
    """A parameter point of Lmu-Ltau; ``delta`` in place of ``m_psi``; ``dark_decays`` as in the package."""

    def __init__(self, g, m_x, m_psi=None, q=1.0, *, delta=None, dark_decays=True, decoupling=2.3):
        self.m_x, self.coupling2, self.decoupling = m_x, (g * q) ** 2, decoupling
        self.delta = (2 * m_psi / m_x) ** 2 - 1 if delta is None else delta
        self.m = m_x / 2 * math.sqrt(1 + self.delta) if m_psi is None else m_psi
        # Two flavours of neutrinos, left-handed, are as good as one Dirac fermion.
        self.final = [(g, 0.0), (E_CHARGE * g / 70, M_E), (g, M_MU), (g, M_TAU)]
        self.width = sum(pair_width(c, m_x, (2 * m / m_x) ** 2 - 1) for c, m in self.final)
        if dark_decays:
            self.width += pair_width(g * q, m_x, self.delta)

    def sigma_v(self, x):
        """<sigma v>, eq 3.2, at an array of x = m_psi/T, on panels that close in on the pole."""
        m = self.m
        end = 40 * m / x.min()  # of sqrt(s) - 2 m
        end = math.sqrt(end * (end + 4 * m))
        edges = {0.0, *np.geomspace(1e-7 * m, end, 50)}
        pole2 = -self.delta * self.m_x**2  # of u^2 = s - 4 m^2
        if pole2 > 0:
            pole = math.sqrt(pole2)
            gap = np.geomspace(0.3 * self.width * self.m_x / pole, end, 50)
            edges |= {pole, *(pole + gap), *(pole - gap)}
        edges |= {2 * math.sqrt(f**2 - m**2) for _, f in self.final if f > m}
        u, weight = gauss(sorted(e for e in edges if 0 <= e <= end))
        s = 4 * m**2 + u**2
        root = np.sqrt(s)
        flux = sum(
            c**2 * np.sqrt(np.maximum(s - 4 * f**2, 0)) * (s**2 + 2 * (m**2 + f**2) * s + 4 * f**2 * m**2)
            for c, f in self.final
        )
        flux *= self.coupling2 / (12 * math.pi) / s / ((u**2 - pole2) ** 2 + (self.width * self.m_x) ** 2)
        y = np.outer(x / m, root)
        bessel = k1e(y) * np.exp(-np.outer(x / m, u**2 / (root + 2 * m)))
        return x / (8 * m**5) / k2e(x) ** 2 * (bessel @ (2 * weight * u**2 * root * flux))


def gas(ratio, sign):
    """(rho/T^4, s/T^3) of one degree of freedom at an array of m/T."""
    p, weight = gauss([0.0, *np.geomspace(1e-3, 1.0, 8), 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    scale = np.sqrt(1 + ratio)[:, None]
    p, weight = p * scale, weight * scale
    energy = np.hypot(p, ratio[:, None])
    density = weight * p**2 / (np.exp(np.minimum(energy, 700)) + sign) / (2 * math.pi**2)
    rho, pressure = (density * energy).sum(1), (density * p**2 / (3 * energy)).sum(1)
    return rho, rho + pressure


@functools.cache
def universal():
    """Splines of ln(m/T) for fermions and bosons: rho/T^4 and s/T^3."""
    grid = np.linspace(math.log(1e-4), math.log(200.0), 1500)
    return {sign: [CubicSpline(grid, f) for f in gas(np.exp(grid), sign)] for sign in (1, -1)}


def species(kind, mass, sign, temperature):
    """The same from the splines, ``kind`` 0 or 1; nothing for m > 200 T."""
    z = np.clip(mass / temperature, 1e-4, 200.0)
    return np.where(z < 200.0, universal()[sign][kind](np.log(z)), 0.0) * temperature ** (4 - kind)


def electromagnetic(kind, t):
    """Energy (``kind`` 0) or entropy density of photons, electrons and muons."""
    return PHOTONS[kind] * t ** (4 - kind) + 4 * species(kind, M_E, 1, t) + 4 * species(kind, M_MU, 1, t)


class Background:
    """a^3 and H as functions of the temperature of the neutrinos."""

    def __init__(self, point):
        self.point, self.decoupling = point, point.decoupling
        self.reference = [self.dark(1, self.decoupling), electromagnetic(1, self.decoupling)]
        grid = np.linspace(math.log(1e-13), math.log(2 * self.decoupling), 4000)
        self.photon = CubicSpline(np.log(electromagnetic(1, np.exp(grid))), grid)

    def dark(self, kind, t):
        """Of neutrinos, A' and psi."""
        hidden = 3 * species(kind, self.point.m_x, -1, t) + 4 * species(kind, self.point.m, 1, t)
        return NEUTRINOS[kind] * t ** (4 - kind) + hidden

    def __call__(self, t, coupled):
        """(a^3, H), a = 1 at decoupling."""
        if coupled:
            volume = sum(self.reference) / (self.dark(1, t) + electromagnetic(1, t))
            photon = t
        else:
            volume = self.reference[0] / self.dark(1, t)
            photon = np.exp(self.photon(np.log(self.reference[1] / volume)))
        rho = self.dark(0, t) + electromagnetic(0, photon)
        return volume, np.sqrt(8 * math.pi / 3 * rho) / PLANCK_MASS

    def equilibrium(self, t, volume):
        """ln of the equilibrium number of psi and psibar in a comoving volume."""
        m = self.point.m
        return np.log(4 * m**2 * t * k2e(m / t) / (2 * math.pi**2) * volume) - m / t


def relic_density(point, *, start=1.0, end=1e10, rtol=1e-10, points=400, method="Radau"):
    """Omega h^2 with psi in equilibrium at x = ``start``, one temperature until neutrinos decouple.

    The unknown is ln(N/N_eq) up to x = 60, ln N beyond.
    """
    background = Background(point)
    kink, switch = math.log(point.m / point.decoupling), math.log(60.0)
    breaks = sorted({math.log(start), kink, switch, math.log(end)})
    breaks = [b for b in breaks if math.log(start) <= b <= math.log(end)]
    grid = np.linspace(breaks[0], breaks[-1], points)
    log_sigma_v = CubicSpline(grid, np.log(point.sigma_v(np.exp(grid))))
    log_number = None
    for low, high in zip(breaks[:-1], breaks[1:]):
        grid = np.linspace(low, high, 1500)
        t = point.m * np.exp(-grid)
        volume, hubble = background(t, coupled=high <= kink)
        growth = CubicSpline(grid, np.log(volume)).derivative()(grid) / 3  # dln a/dln x
        log_rate = CubicSpline(grid, log_sigma_v(grid) + np.log(growth / (2 * volume * hubble)))
        log_equal = CubicSpline(grid, background.equilibrium(t, volume))
        falling = log_equal.derivative()
        log_number = log_equal(low) if log_number is None else log_number

        def excess(lnx, y):  # dN/dlnx = -rate (N^2 - N_eq^2)
            return -2 * np.exp(log_rate(lnx) + log_equal(lnx)) * np.sinh(y) - falling(lnx)

        def slope(lnx, y):
            return np.exp(log_rate(lnx) + y) * np.expm1(2 * (log_equal(lnx) - y))

        early = high <= switch
        initial = log_number - log_equal(low) if early else log_number
        solution = solve_ivp(excess if early else slope, (low, high), [initial], method, rtol=rtol, atol=rtol)
        assert solution.success, solution.message
        log_number = solution.y[0, -1] + log_equal(high) if early else solution.y[0, -1]
    today = PHOTONS[1] * TODAY**3 / background.reference[1]  # 1/a^3
    return point.m * math.exp(log_number) * today / CRITICAL
