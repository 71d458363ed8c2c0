"""Relic density of psi with SciPy: the Boltzmann equation on a two-temperature background, one point a call.

Independent of the package: own integrands, Bessel functions, quadrature and solver. Drees & Zhao 2107.14528,
eqs 2.3, 2.4, 3.1 and 3.2. MeV throughout.
"""

import functools
import itertools
import math

import numpy as np
from scipy.integrate import quad, solve_ivp
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

    def sigma_v(self, x, *, moment=False):
        """<sigma v>, eq 3.2, at an array of x = m_psi/T, on panels that close in on the pole.

        moment: <p^2 sigma v>/<p^2> instead. A pair of total energy E = (P^2 + s)^(1/2) has p^2 = E_1^2 - m^2,
        E_1 = (E + b P c)/2, c uniform in [-1, 1] and b the velocity in the centre-of-mass system.
        """
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
        growth = np.exp(-np.outer(x / m, u**2 / (root + 2 * m)))
        bessel = k1e(y) * growth
        factor = x / (8 * m**5) / k2e(x) ** 2
        if moment:
            k2, b2 = u**2 / 4, u**2 / s
            bessel = k2 * bessel + 0.75 * (1 + b2 / 3) * root * k2e(y) * growth * (m / x)[:, None]
            factor = factor * x / (3 * m**2) / (k1e(x) / k2e(x) + 4 / x)  # K_3/K_2
        return factor * (bessel @ (2 * weight * u**2 * root * flux))


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

    def pieces(self, start, end, points=1500):
        """Splines over ln x on both sides of decoupling, split at x = 60 too."""
        kink = math.log(self.point.m / self.decoupling)
        breaks = [b for b in sorted({start, kink, math.log(60.0), end}) if start <= b <= end]
        for low, high in itertools.pairwise(breaks):
            yield Piece(self, np.linspace(low, high, points), coupled=high <= kink)


class OneTemperature(Background):
    """The same with one temperature and a constant number of degrees of freedom throughout."""

    def __init__(self, point, g_star):
        self.point, self.decoupling, self.g_star = point, point.decoupling, g_star
        per_entropy = 2891.2 * (1.973269804e-11) ** 3  # s today [MeV^3]
        conserved = 2 * math.pi**2 / 45 * g_star * self.decoupling**3
        self.reference = [0.0, conserved * PHOTONS[1] * TODAY**3 / per_entropy]  # of photons

    def __call__(self, t, coupled):
        hubble = np.sqrt(4 * math.pi**3 / 45 * self.g_star) * t**2 / PLANCK_MASS
        return (self.decoupling / t) ** 3, hubble


class Piece:
    """Splines over ln x: ln(dln a/dln x), ln(1/(2 a^3 H)), ln N_eq, ln a."""

    def __init__(self, background, grid, coupled):
        self.low, self.high = grid[[0, -1]]
        t = background.point.m * np.exp(-grid)
        volume, hubble = background(t, coupled)
        self.log_scale = CubicSpline(grid, np.log(volume) / 3)
        self.log_growth = CubicSpline(grid, np.log(self.log_scale.derivative()(grid)))
        self.log_hubble = CubicSpline(grid, np.log(hubble))
        self.log_per_sigma_v = CubicSpline(grid, -np.log(2 * volume * hubble))
        self.log_equal = CubicSpline(grid, background.equilibrium(t, volume))
        self.falling = self.log_equal.derivative()

    def log_rate(self, lnx, log_sigma_v):
        """ln of the rate in dN/dln x = -rate (N^2 - N_eq^2)."""
        return log_sigma_v(lnx) + self.log_growth(lnx) + self.log_per_sigma_v(lnx)

    def excess(self, lnx, y, log_sigma_v):
        """Slope of y = ln(N/N_eq)."""
        return -2 * np.exp(self.log_rate(lnx, log_sigma_v) + self.log_equal(lnx)) * np.sinh(y) - self.falling(
            lnx
        )

    def slope(self, lnx, y, log_sigma_v):
        """Slope of y = ln N."""
        return np.exp(self.log_rate(lnx, log_sigma_v) + y) * np.expm1(2 * (self.log_equal(lnx) - y))


def density(point, background, log_number):
    """Omega h^2."""
    today = PHOTONS[1] * TODAY**3 / background.reference[1]  # 1/a^3
    return point.m * math.exp(log_number) * today / CRITICAL


def relic_density(point, *, rtol=1e-10, points=1500, method="Radau", background=None):
    """Omega h^2 with psi in equilibrium at x = 1, one temperature until neutrinos decouple.

    The unknown is ln(N/N_eq) up to x = 60, ln N up to 1e10. ``points`` of splines, of <sigma v> and the rest.
    """
    background = Background(point) if background is None else background
    grid = np.linspace(0.0, math.log(1e10), points)
    log_sigma_v = CubicSpline(grid, np.log(point.sigma_v(np.exp(grid))))
    log_number = None
    for piece in background.pieces(0.0, math.log(1e10), points):
        early = piece.high <= math.log(60.0)
        log_number = piece.log_equal(piece.low) if log_number is None else log_number
        initial = log_number - piece.log_equal(piece.low) if early else log_number
        slope = piece.excess if early else piece.slope
        options = {"method": method, "rtol": rtol, "atol": rtol, "args": (log_sigma_v,)}
        solution = solve_ivp(slope, (piece.low, piece.high), [initial], **options)
        assert solution.success, solution.message
        log_number = solution.y[0, -1] + (piece.log_equal(piece.high) if early else 0.0)
    return density(point, background, log_number)


def exchange_rate(point, t):
    """gamma of dT_psi/dt = gamma (T - T_psi), psi at rest, by nu_mu, nu_tau and their antiparticles."""

    def moment(k):  # int (-t) dsigma/dt dt
        s = point.m**2 + 2 * point.m * k
        largest = 4 * (point.m * k) ** 2 / s

        def integrand(transfer):
            u = 2 * point.m**2 - s + transfer
            invariants = (s - point.m**2) ** 2 + (u - point.m**2) ** 2 - 2 * transfer * point.m**2
            squared = 2 * invariants / (transfer + point.m_x**2) ** 2
            return transfer * squared / (16 * math.pi * (s - point.m**2) ** 2)

        return quad(integrand, 0, largest, epsabs=0, epsrel=1e-10)[0]

    def integrand(k):
        return k**2 / (2 * math.pi**2) * moment(k) / (math.exp(k / t) + 2 + math.exp(-k / t))

    coupling2 = point.final[0][0] ** 2 * point.coupling2
    total = quad(integrand, 0, 60 * t, epsabs=0, epsrel=1e-8, limit=200, points=[5 * t, 15 * t])[0]
    return 4 * coupling2 * total / (3 * point.m * t)


def relic_density_kinetic(point, *, start=8.0, rtol=1e-7, points=800):
    """The same from x = ``start`` with T_psi as a second unknown: y = ln(N/N_eq), z = ln(T_psi/T).

    T_psi is that of a thermal distribution with the same <p^2>, to a relative (T/m)^2.
    """
    background, m = Background(point), point.m
    grid = np.linspace(0.0, math.log(1e12), points)
    x = np.exp(grid)
    log_sigma_v = CubicSpline(grid, np.log(point.sigma_v(x)))
    tilt = CubicSpline(grid, point.sigma_v(x, moment=True) / point.sigma_v(x) - 1)
    rates = np.array([exchange_rate(point, m / value) for value in x[::4]])
    log_exchange = CubicSpline(grid[::4], np.log(rates))

    def temperature(moment):
        return 2 * moment / (1 + np.sqrt(1 + 10 * moment / m))

    state = None
    for piece in background.pieces(math.log(start), math.log(1e8), points):
        early = piece.high <= math.log(60.0)

        def slope(lnx, state, piece=piece, early=early):
            y, z = state
            t = m * math.exp(-lnx)
            equal = t * (1 + 2.5 * t / m)
            warm = min(math.log(m / temperature(equal * math.exp(z))), grid[-1])
            log_number = y + piece.log_equal(lnx) if early else y
            ratio2 = math.exp(2 * (piece.log_equal(lnx) - log_number))
            base = math.exp(piece.log_per_sigma_v(lnx) + log_number)
            now, cold = base * math.exp(log_sigma_v(warm)), base * math.exp(log_sigma_v(lnx)) * ratio2
            exchange = math.exp(log_exchange(lnx) - piece.log_hubble(lnx))
            heat = (exchange + cold * (1 + tilt(lnx))) * math.expm1(-z) + cold * tilt(lnx) - now * tilt(warm)
            growth = math.exp(piece.log_growth(lnx))
            expansion = 1 + 2.5 * t / m / (1 + 2.5 * t / m)  # of ln equal, in -ln x
            dy = growth * (cold - now) - (piece.falling(lnx) if early else 0.0)
            return [dy, growth * (heat - 2) + expansion]

        def jacobian(lnx, state, slope=slope):  # differences of scipy's own choice are too small here
            steps = np.diag([1e-6, 1e-6])
            return np.transpose(
                [np.subtract(slope(lnx, state + h), slope(lnx, state - h)) / 2e-6 for h in steps]
            )

        initial = [0.0, 0.0] if state is None else state - [piece.log_equal(piece.low) if early else 0.0, 0.0]
        span = (piece.low, piece.high)
        solution = solve_ivp(slope, span, initial, "Radau", rtol=rtol, atol=rtol, jac=jacobian)
        assert solution.success, solution.message
        state = solution.y[:, -1] + [piece.log_equal(piece.high) if early else 0.0, 0.0]
    return density(point, background, state[0])
