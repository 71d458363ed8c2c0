"""Independent reference calculations: numpy, scipy and mpmath only, never the package.

Units: MeV for masses and energies unless a name ends in _keV or _GeV; cross sections in cm^2.
Equation numbers are those of Amaral et al., 2104.03297, with the corrections of PHYSICS.md.
Each function is scalar in, scalar (or short list) out: slow, plain and accurate to about 1e-10.
"""

import functools
import itertools
import math
import time

import mpmath
import numpy as np
from numpy.polynomial.chebyshev import chebder, chebinterpolate, chebval
from scipy.integrate import quad
from scipy.optimize import brentq

# Constants: CODATA 2022, PDG 2024, AME 2020.
ALPHA = 1 / 137.035999
E_CHARGE = math.sqrt(4 * math.pi * ALPHA)
G_F = 1.1663787e-11  # MeV^-2
HBAR_C_CM = 197.3269804593025e-13  # MeV cm
HBAR_C_FM = 197.3269804593025  # MeV fm
MEV2_CM2 = HBAR_C_CM**2  # (hbar c)^2 in MeV^2 cm^2
M_E = 0.51099895069
M_MU = 105.6583755
M_TAU = 1776.93
M_PI = 139.57039
M_P = 938.27208943
MU_P = 2.79  # proton magnetic moment as in Bjorken et al., 0906.0580
N_A = 6.02214076e23
U_MASS = 931.49410372
AR40_ATOMIC_U = 39.96238312204
AR40_NUCLEAR = AR40_ATOMIC_U * U_MASS - 18 * M_E  # electron binding ignored
LEPTON_MASSES = (M_E, M_MU, M_TAU)

BENCHMARKS = {"BP1": (15.0, 5e-4), "BP2": (25.0, 6e-4), "BP3": (50.0, 6e-4), "BP4": (100.0, 1e-3)}
LMU_LTAU = (0.0, 1.0, -1.0)
EPSREL = 1e-11


def integrate(f, lower, upper, breaks=(), epsrel=EPSREL):
    """int f over [lower, upper], adaptive, split at those of `breaks` that lie inside."""
    if not upper > lower:
        return 0.0
    edges = [lower, *sorted(b for b in set(breaks) if lower < b < upper), upper]
    pairs = itertools.pairwise(edges)
    return math.fsum(quad(f, a, b, epsabs=0, epsrel=epsrel, limit=400)[0] for a, b in pairs)


def integrate_sqrt_ends(f, lower, upper, breaks=()):
    """The same for f with square roots at the split points: x = a + (b - a) u^2 (3 - 2u)."""
    if not upper > lower:
        return 0.0
    edges = [lower, *sorted(b for b in set(breaks) if lower < b < upper), upper]

    def piece(a, b):
        def mapped(u):
            return f(a + (b - a) * u * u * (3 - 2 * u)) * 6 * u * (1 - u) * (b - a)

        return integrate(mapped, 0.0, 1.0, (0.5,))

    return math.fsum(piece(a, b) for a, b in itertools.pairwise(edges))


# ---------------------------------------------------------------------- muon magnetic moment
def delta_a_mu(g, mass, q_mu=1.0):
    """Eq 13 with the charge squared: q^2 alpha_x/pi int u^2 (1-u)/(u^2 + (1-u) M^2/m_mu^2) du.

    Below u = 1/2 in ln u, above it in ln(1-u), split at the layers u ~ M/m, 1-u ~ (m/M)^2.
    """
    ratio = (mass / M_MU) ** 2
    low, high = math.log(1e-30), math.log(0.5)

    def near_zero(t):
        u = math.exp(t)
        return u * u**2 * (1 - u) / (u**2 + (1 - u) * ratio)

    def near_one(t):
        w = math.exp(t)
        return w * w * (1 - w) ** 2 / ((1 - w) ** 2 + w * ratio)

    layer = [math.log(mass / M_MU) + k for k in (-12, -4, 0, 4)]
    grid = [-40.0, -20.0, -10.0, -5.0, -2.0]
    part = integrate(near_zero, low, high, layer + grid)
    layer = [-math.log(ratio) + k for k in (-12, -4, 0, 4)]
    part += integrate(near_one, low, high, layer + grid)
    return q_mu**2 * g**2 / (4 * math.pi**2) * part


def delta_a_mu_mpmath(g, mass, q_mu=1.0, digits=30):
    """Eq 13 by tanh-sinh quadrature in 30 digits, a second route to delta_a_mu."""
    with mpmath.workdps(digits):
        ratio = (mpmath.mpf(mass) / mpmath.mpf(M_MU)) ** 2
        points = {mpmath.mpf(0), mpmath.mpf(1) / 2, mpmath.mpf(1)}
        for k in range(-3, 4):
            points |= {mpmath.sqrt(ratio) * 10**k, 1 - mpmath.mpf(10) ** k / ratio}
        points = sorted(p for p in points if 0 <= p <= 1)
        value = mpmath.quad(lambda u: u**2 * (1 - u) / (u**2 + (1 - u) * ratio), points)
        return float(q_mu**2 * mpmath.mpf(g) ** 2 / (4 * mpmath.pi**2) * value)


# ------------------------------------------------------------------------------ kinetic mixing
@functools.lru_cache(maxsize=65536)
def loop(z):
    """I(z) = int_0^1 x(1-x) ln(1 - z x(1-x)) dx at z + i0, complex, from the integral itself.

    Twice the half up to x = 1/2. Above z = 4 the logarithm is that of z (x - x0)(x0 + b - x), split at its
    zero x0 and mapped by |x - x0| ~ v^3 there; between x0 and 1/2 it has the imaginary part -pi.
    """
    if z <= 4:
        breaks = [10.0**k / abs(z) for k in (-1, 0, 1, 2)] if abs(z) > 10 else []
        return complex(integrate(lambda x: 2 * x * (1 - x) * math.log1p(-z * x * (1 - x)), 0, 0.5, breaks))
    b = math.sqrt((z - 4) / z)
    zero = 2 / (z * (1 + b))

    def piece(length):
        def mapped(v):
            step = length * v**3
            x = zero + step
            return 2 * x * (1 - x) * math.log(z * abs(step) * (b - step)) * 3 * length * v**2

        return integrate(mapped, 0.0, 1.0)

    imaginary = -math.pi * integrate(lambda x: 2 * x * (1 - x), zero, 0.5)
    return complex(piece(0.5 - zero) - piece(-zero), imaginary)


def loop_mpmath(z, digits=40):
    """(I(z), dI/dz) by a second route: the series -sum B(n+2, n+2) z^n/n as hypergeometric functions."""
    with mpmath.workdps(digits):
        z = mpmath.mpf(z)
        value = -z / 30 * mpmath.hyp3f2(1, 1, 3, 2, mpmath.mpf(7) / 2, z / 4)
        slope = -mpmath.hyp2f1(1, 3, mpmath.mpf(7) / 2, z / 4) / 30
        return complex(value), complex(slope)


def mixing(q2, g, eps, charges):
    """Eq 10 at q^2 [MeV^2] with eps at q^2 = 0: eps + (e g/2 pi^2) sum Q_l I(q^2/m_l^2), complex."""
    pairs = zip(charges, LEPTON_MASSES, strict=True)
    loops = sum(q * loop(q2 / m**2) for q, m in pairs if q)
    return eps + E_CHARGE * g / (2 * math.pi**2) * loops


# ---------------------------------------------------------------------------- decay widths
def width_neutrinos(g, mass, charges):
    """Sum over flavours of q^2 g^2 M / 24 pi, MeV."""
    return sum(q**2 for q in charges) * g**2 * mass / (24 * math.pi)


def width_lepton(coupling, mass, lepton_mass):
    """|coupling|^2 M/12 pi (1 + 2r) sqrt(1 - 4r), r = (m_l/M)^2; zero below threshold, MeV."""
    if mass <= 2 * lepton_mass:
        return 0.0
    r = (lepton_mass / mass) ** 2
    root = math.sqrt((mass - 2 * lepton_mass) * (mass + 2 * lepton_mass)) / mass
    return abs(coupling) ** 2 * mass / (12 * math.pi) * (1 + 2 * r) * root


def width_visible(g, mass, eps, charges, running=False):
    """All charged-lepton pairs; electrons couple with g q_e + e eps(M^2), mu and tau with g q."""
    q_e, q_mu, q_tau = charges
    eps = mixing(mass**2, g, eps, charges) if running else eps
    couplings = (g * q_e + E_CHARGE * eps, g * q_mu, g * q_tau)
    pairs = zip(couplings, LEPTON_MASSES, strict=True)
    return sum(width_lepton(c, mass, m) for c, m in pairs)


def invisible_branching_ratio(g, mass, eps, charges, running=False):
    """Gamma(nu nu) / Gamma."""
    invisible = width_neutrinos(g, mass, charges)
    return invisible / (invisible + width_visible(g, mass, eps, charges, running))


def decay_length_cm(g, mass, eps, charges, energy, running=False):
    """Eq 23: |k|/(M Gamma) hbar c, with the total width."""
    gamma = width_neutrinos(g, mass, charges) + width_visible(g, mass, eps, charges, running)
    momentum = math.sqrt((energy - mass) * (energy + mass))
    return momentum / (mass * gamma) * HBAR_C_CM


# -------------------------------------------------------------------------- muon bremsstrahlung
def form_factor_scales(Z, A):
    """The scales of t in MeV^2 where G2 bends: 1/a^2, d, 1/a'^2, 0.71 GeV^2."""
    atomic, inelastic = M_E / (111 * Z ** (-1 / 3)), M_E / (773 * Z ** (-2 / 3))
    return atomic**2, 0.164e6 * A ** (-2 / 3), inelastic**2, 0.71e6


def form_factor(t, Z, A):
    """Bjorken et al. 0906.0580: elastic plus inelastic G2(t), t in MeV^2."""
    t_atomic, d, t_inelastic, dipole = form_factor_scales(Z, A)
    elastic = (Z * (t / (t_atomic + t)) / (1 + t / d)) ** 2
    magnetic = (1 + t * (MU_P**2 - 1) / (4 * M_P**2)) / (1 + t / dipole) ** 4
    return elastic + Z * (t / (t_inelastic + t) * magnetic) ** 2


def point_charge(t, Z, A):
    """G2 = Z^2, no screening: for the Bethe-Heitler limit."""
    return Z**2


def chi(t_min, t_max, Z=82, A=207.2, g2=form_factor):
    """Eq 15: int (t - t_min)/t^2 G2(t) dt, as an integral over ln(t/t_min)."""
    if t_min >= t_max:
        return 0.0
    breaks = [math.log(s / t_min) for s in form_factor_scales(Z, A)]

    def integrand(tau):
        return -math.expm1(-tau) * g2(t_min * math.exp(tau), Z, A)

    return integrate(integrand, 0.0, math.log(t_max / t_min), breaks)


def beam_kinematics(x, mass, E0):
    """beta, V, a, t_max; beta^2 = 1 - (M/(x E0))^2 is None at or below threshold."""
    energy = x * E0
    beta = math.sqrt((energy - mass) * (energy + mass)) / energy if energy > mass else None
    V = mass**2 * (1 - x) / x + M_MU**2 * x
    return beta, V, 2 * E0 * (1 - x), mass**2 + M_MU**2


def dsigma_dx_ww(x, g, mass, q_mu=1.0, E0=160e3, Z=82, A=207.2, g2=form_factor):
    """WW with t_min(U) = (U/a)^2, as the nested double integral over U and t; cm^2.

    dsigma/dx = (alpha^2 g^2/4 pi) beta (1-x) int_V dU A(U)/U^2 chi(t_min(U)), v = ln(U/V).
    """
    beta, V, a, t_max = beam_kinematics(x, mass, E0)
    if beta is None or a * math.sqrt(t_max) <= V:
        return 0.0
    a0 = 2 * (2 - 2 * x + x**2) / (1 - x)
    slope = 4 * (mass**2 + 2 * M_MU**2) * x

    def integrand(v):
        U = V * math.exp(v)
        bracket = a0 - slope * V * math.expm1(v) / U**2
        return bracket / U * chi((U / a) ** 2, t_max, Z, A, g2)

    breaks = [math.log(a * math.sqrt(s) / V) for s in form_factor_scales(Z, A)] + [1.0, 3.0, 8.0]
    value = integrate(integrand, 0.0, math.log(a * math.sqrt(t_max) / V), breaks, 1e-10)
    return MEV2_CM2 * (ALPHA * g * q_mu) ** 2 / (4 * math.pi) * beta * (1 - x) * value


def kappa_bracket(s):
    """(s-1)^2 (s+2)/(3s) - (s^2-1)/2 + ln s, as a series where it cancels (it is O((s-1)^3))."""
    e = s - 1
    if e < 0.05:
        return math.fsum((-1) ** n * (2 / 3 - 1 / n) * e**n for n in range(3, 18))
    return e**2 * (s + 2) / (3 * s) - (s * s - 1) / 2 + math.log(s)


def dsigma_dx_ww_1d(x, g, mass, q_mu=1.0, E0=160e3, Z=82, A=207.2, g2=form_factor):
    """The same with the U integral done exactly: one integral over ln s, t = (V s/a)^2; cm^2."""
    beta, V, a, t_max = beam_kinematics(x, mass, E0)
    if beta is None or a * math.sqrt(t_max) <= V:
        return 0.0
    a0 = 2 * (2 - 2 * x + x**2) / (1 - x)
    kappa = 4 * x * (mass**2 + 2 * M_MU**2) / V

    def integrand(v):
        s = math.exp(v)
        braces = a0 * (s - 1) ** 2 + kappa * kappa_bracket(s)
        return 2 / s**2 * g2((V * s / a) ** 2, Z, A) * braces

    breaks = [math.log(a * math.sqrt(t) / V) for t in form_factor_scales(Z, A)] + [1.0, 3.0, 8.0]
    value = integrate(integrand, 0.0, math.log(a * math.sqrt(t_max) / V), breaks)
    return MEV2_CM2 * (ALPHA * g * q_mu) ** 2 / (4 * math.pi) * beta * (1 - x) / V * value


def dsigma_dx_constant_chi(x, g, mass, chi_value, q_mu=1.0, E0=160e3):
    """Eq 16 corrected: (alpha^2 g^2 chi beta/2 pi)[C2/V + C3/2V^2 + C4/3V^3]/(1-x); cm^2.

    C2, C3: eqs 17, 18 as printed; C4 = 2 (1-x)^2 (M^2 + 2m^2)(M^2 (1-x) + m^2 x^2), not eq 19.
    """
    beta, V, _, _ = beam_kinematics(x, mass, E0)
    if beta is None:
        return 0.0
    c2 = (1 - x) + (1 - x) ** 3
    c3 = -2 * x * (1 - x) ** 2 * mass**2 - 4 * M_MU**2 * x * (1 - x) ** 2
    c4 = 2 * (1 - x) ** 2 * (mass**2 + 2 * M_MU**2) * (mass**2 * (1 - x) + (M_MU * x) ** 2)
    bracket = (c2 / V + c3 / (2 * V**2) + c4 / (3 * V**3)) / (1 - x)
    return MEV2_CM2 * (ALPHA * g * q_mu) ** 2 * chi_value * beta / (2 * math.pi) * bracket


@functools.lru_cache(maxsize=64)
def chi_paper(mass, E0=160e3, Z=82, A=207.2):
    """The paper's constant flux factor: eq 15 over t in [(M^2/2E0)^2, M^2]."""
    return chi((mass**2 / (2 * E0)) ** 2, mass**2, Z, A)


def dsigma_dx_paper(x, g, mass, q_mu=1.0, E0=160e3, Z=82, A=207.2):
    """Eq 16 as printed in its prefactor: the constant-chi form divided by pi; cm^2."""
    value = dsigma_dx_constant_chi(x, g, mass, chi_paper(mass, E0, Z, A), q_mu, E0)
    return value / math.pi


def bethe_heitler_dsigma_dx(x, E0, Z=1):
    """Unscreened Bethe-Heitler for muons, the M -> 0, g^2 = 4 pi alpha limit; cm^2.

    (4 alpha r^2 Z^2/x) [1 + (1-x)^2 - 2(1-x)/3] [ln(2 E E'/(m k)) - 1/2], r = alpha/m.
    """
    log = math.log(2 * E0 * (1 - x) / (M_MU * x))
    shape = 1 + (1 - x) ** 2 - 2 * (1 - x) / 3
    radius = ALPHA * HBAR_C_CM / M_MU
    return 4 * ALPHA * (Z * radius) ** 2 / x * shape * (log - 0.5)


KERNELS = {"ww": dsigma_dx_ww_1d, "ww_2d": dsigma_dx_ww, "paper": dsigma_dx_paper}


def ww_edges(mass, E0):
    """The x where a sqrt(t_max) = V: 2 E0 T (1-x) x = M^2 (1-x) + m^2 x^2, T = sqrt(t_max)."""
    scale = 2 * E0 * math.sqrt(mass**2 + M_MU**2)
    qa, qb, qc = M_MU**2 + scale, -(mass**2) - scale, mass**2
    root = math.sqrt(max(0.0, qb * qb - 4 * qa * qc))
    return 2 * qc / (-qb + root), (-qb + root) / (2 * qa)


def na64mu_counts(
    g,
    mass,
    eps,
    charges,
    kernel,
    edges_GeV=(10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
    E0=160e3,
    mot=1e11,
    efficiency=0.3,
    Z=82,
    A=207.2,
    density=11.35,
    length_cm=20,
    det_m=5,
    running=False,
):
    """Eq 27: expected counts in bins of the outgoing muon energy E' = E0 (1-x)."""
    dsigma_dx = KERNELS[kernel]
    invisible = invisible_branching_ratio(g, mass, eps, charges, running)
    visible = 1 - invisible
    detector_cm = length_cm + 100 * det_m

    def integrand(x):
        energy = x * E0
        if energy <= mass:
            return 0.0
        length = decay_length_cm(g, mass, eps, charges, energy, running)
        seen = invisible + visible * math.exp(-detector_cm / length)
        return dsigma_dx(x, g, mass, charges[1], E0, Z, A) * seen

    factor = mot * density * N_A / A * length_cm * efficiency
    threshold = mass / E0
    counts = []
    for low, high in itertools.pairwise(edges_GeV):
        x_low, x_high = max(1 - 1e3 * high / E0, threshold), 1 - 1e3 * low / E0
        value = integrate_sqrt_ends(integrand, x_low, x_high, ww_edges(mass, E0))
        counts.append(factor * value)
    return counts


# ----------------------------------------------------------------------------------- CEvNS
def helm(E_R, M_N=AR40_NUCLEAR, A=40):
    """Helm form factor F (not squared), Lewin-Smith parameters, q^2 = 2 M_N E_R."""
    q = math.sqrt(2 * M_N * E_R) / HBAR_C_FM  # 1/fm
    skin, diffuse, c = 0.9, 0.52, 1.23 * A ** (1 / 3) - 0.60
    y = q * math.sqrt(c**2 + 7 / 3 * (math.pi * diffuse) ** 2 - 5 * skin**2)
    if y < 1:  # 3 j1(y)/y = sum 3 (-y^2/2)^k / (k! (2k+3)!!)
        term, sphere = 1.0, 1.0
        for k in range(1, 14):
            term *= -(y**2) / (2 * k * (2 * k + 3))
            sphere += term
    else:
        sphere = 3 * (math.sin(y) - y * math.cos(y)) / y**3
    return sphere * math.exp(-((q * skin) ** 2) / 2)


def weak_charge(Z, N, sin2_theta_w):
    """Q_nuN = N - (1 - 4 sin^2 theta_W) Z."""
    return N - (1 - 4 * sin2_theta_w) * Z


def recoil_max(E_nu, M_N, kinematics):
    """Recoil endpoint: 2 E^2/(M + 2E) exactly, 2 E^2/M in the paper's approximation."""
    return 2 * E_nu**2 / (M_N + (2 * E_nu if kinematics == "exact" else 0.0))


def neutrino_energy_min(E_R, M_N, kinematics):
    """(E_R + sqrt(E_R^2 + 2 M E_R))/2 exactly, sqrt(M E_R/2) in the paper's approximation."""
    if kinematics == "exact":
        return (E_R + math.sqrt(E_R**2 + 2 * M_N * E_R)) / 2
    return math.sqrt(M_N * E_R / 2)


def cevns_dsigma_dE(
    E_R,
    E_nu,
    g,
    mass,
    eps,
    charge,
    sin2_theta_w,
    kinematics="exact",
    M_N=AR40_NUCLEAR,
    Z=18,
    N=22,
):
    """Eq 33 in its three printed terms, cm^2/MeV; `charge` is the neutrino's own Q^x."""
    if kinematics == "exact":
        bracket = 1 - E_R / E_nu - M_N * E_R / (2 * E_nu**2)
    elif kinematics == "paper":
        bracket = 1 - M_N * E_R / (2 * E_nu**2)
    else:
        raise ValueError(f"kinematics must be 'exact' or 'paper', got {kinematics!r}")
    if bracket <= 0:
        return 0.0
    q_weak = weak_charge(Z, N, sin2_theta_w)
    coupling, propagator = g * eps * E_CHARGE * Z * charge, 2 * M_N * E_R + mass**2
    braces = q_weak**2 / 4
    braces += coupling * q_weak / (math.sqrt(2) * G_F * propagator)
    braces += coupling**2 / (2 * G_F**2 * propagator**2)
    return MEV2_CM2 * G_F**2 * M_N / math.pi * bracket * braces * helm(E_R, M_N, Z + N) ** 2


E_LINE = (M_PI**2 - M_MU**2) / (2 * M_PI)  # nu_mu from pi+ at rest, 29.79 MeV
E_END = M_MU / 2  # endpoint of the delayed spectra


def flux_numubar(E_nu):
    """Eq 31 over eta: anti-nu_mu from mu+ at rest, 1/MeV, integrates to 1."""
    return 64 * E_nu**2 / M_MU**3 * (0.75 - E_nu / M_MU) if 0 <= E_nu <= E_END else 0.0


def flux_nue(E_nu):
    """Eq 31 over eta: nu_e from mu+ at rest, 1/MeV, integrates to 1."""
    return 192 * E_nu**2 / M_MU**3 * (0.5 - E_nu / M_MU) if 0 <= E_nu <= E_END else 0.0


def cenns_efficiency(E_R):
    """CENNS610: 0.5 (1 + tanh(E_ee - 4)), E_ee = (0.246 + 7.8e-4 E) E with E in keV_nr."""
    E_keV = 1e3 * E_R
    return 0.5 * (1 + math.tanh((0.246 + 7.8e-4 * E_keV) * E_keV - 4))


# Table 2 as resolved in PHYSICS.md, one year; edges in keV_nr.
FOUR_BINS = (20.0, 40.0, 60.0, 80.0, 100.0)
DETECTORS = {
    "cenns610": dict(tonne=0.61, edges_keV=FOUR_BINS, npot=1.5e23, r=0.08, L_m=28.4, tanh=True),
    "ccm": dict(tonne=7.0, edges_keV=FOUR_BINS, npot=0.177e23, r=0.0425, L_m=20.0, tanh=False),
    "ess": dict(tonne=1.0, edges_keV=FOUR_BINS, npot=2.8e23, r=0.3, L_m=20.0, tanh=False),
    "ess10": dict(tonne=0.01, edges_keV=(0.1, *FOUR_BINS), npot=2.8e23, r=0.3, L_m=20.0, tanh=False),
}
SIGMA_SYS = {"cenns610": 0.085, "ccm": 0.05, "ess": 0.05, "ess10": 0.05}


def spallation_rate(E_R, g, mass, eps, charges, sin2_theta_w, kinematics, running=False):
    """sum over nu_e, anti-nu_mu, nu_mu of int dE_nu (flux/eta) dsigma/dE_R, cm^2/MeV."""
    q_e, q_mu, _ = charges
    eps = mixing(-2 * AR40_NUCLEAR * E_R, g, eps, charges).real if running else eps
    E_min = neutrino_energy_min(E_R, AR40_NUCLEAR, kinematics)

    def dsigma(E_nu, charge):
        return cevns_dsigma_dE(E_R, E_nu, g, mass, eps, charge, sin2_theta_w, kinematics)

    rate = integrate(lambda E: flux_nue(E) * dsigma(E, q_e), E_min, E_END)
    rate += integrate(lambda E: flux_numubar(E) * dsigma(E, q_mu), E_min, E_END)
    return rate + (dsigma(E_LINE, q_mu) if E_min < E_LINE else 0.0)


def spallation_counts(
    g, mass, eps, charges, detector, sin2_theta_w=0.23857, kinematics="exact", running=False
):
    """Eq 32: expected CEvNS events per recoil bin in one year; `detector` names or is a dict."""
    det = DETECTORS[detector] if isinstance(detector, str) else detector
    n_targets = det["tonne"] * 1e6 * N_A / AR40_ATOMIC_U
    eta = det["r"] * det["npot"] / (4 * math.pi * (100 * det["L_m"]) ** 2)

    def integrand(E_R):
        rate = spallation_rate(E_R, g, mass, eps, charges, sin2_theta_w, kinematics, running)
        return rate * (cenns_efficiency(E_R) if det["tanh"] else 1.0)

    scale = mass**2 / (2 * AR40_NUCLEAR)  # where the propagator bends
    breaks = [recoil_max(E, AR40_NUCLEAR, kinematics) for E in (E_LINE, E_END)]
    breaks += [scale * f for f in (0.1, 1.0, 10.0)] + [1e-3, 5e-3]
    edges = [1e-3 * e for e in det["edges_keV"]]
    return [
        n_targets * eta * integrate(integrand, low, high, breaks) for low, high in itertools.pairwise(edges)
    ]


# ------------------------------------------------------------------------------ statistics
def _chi2_of_a(a, observed, theory, background):
    """The sum of eq 34 at fixed a; a multiplies the theory, sigma^2 = N_obs + N_bkg."""
    rows = zip(observed, theory, background, strict=True)
    return math.fsum((n - t * (1 + a)) ** 2 / (n + b) for n, t, b in rows)


def chi2_eq34_minimum(observed, theory, background, sigma_sys):
    """(chi2, a) of eq 34: a from the root of the derivative by brentq, not in closed form."""

    def slope(a):
        rows = zip(observed, theory, background, strict=True)
        return a / sigma_sys**2 - math.fsum(t * (n - t * (1 + a)) / (n + b) for n, t, b in rows)

    half = 1.0
    while slope(-half) > 0 or slope(half) < 0:
        half *= 4
    a = brentq(slope, -half, half, xtol=1e-15, rtol=1e-15, maxiter=500)
    return _chi2_of_a(a, observed, theory, background) + (a / sigma_sys) ** 2, a


def chi2_eq34(observed, theory, background, sigma_sys):
    """Eq 34: the chi^2 minimised over the normalisation nuisance a."""
    return chi2_eq34_minimum(observed, theory, background, sigma_sys)[0]


def chi2_eq34_marginal(observed, theory, background, sigma_sys):
    """-2 ln int da N(a; 0, sigma_sys) exp(-chi2_stat(a)/2), by quadrature about the minimum.

    In 30 digits, because total - best loses digits when the counts are large.
    """
    _, centre = chi2_eq34_minimum(observed, theory, background, sigma_sys)
    with mpmath.workdps(30):
        rows = zip(observed, theory, background, strict=True)
        rows = [tuple(mpmath.mpf(float(v)) for v in row) for row in rows]
        sigma = mpmath.mpf(sigma_sys)

        def total(a):
            stat = sum((n - t * (1 + a)) ** 2 / (n + b) for n, t, b in rows)
            return stat + (a / sigma) ** 2

        centre, step = mpmath.mpf(centre), sigma
        best = total(centre)
        while total(centre + step) - best > 1:  # one standard deviation, roughly
            step /= 1.5
        points = [centre + 2 * k * step for k in range(-7, 8)]
        value = mpmath.quad(lambda a: mpmath.exp((best - total(a)) / 2), points)
        return float(best - 2 * mpmath.log(value / (mpmath.sqrt(2 * mpmath.pi) * sigma)))


def poisson_log_ratio(n, mu):
    """ln [Poisson(n; mu)/Poisson(n; n)] = n ln(mu/n) + n - mu, in 50 digits (n may be real)."""
    if n == 0:
        return -float(mu)
    if mu == 0:
        return -math.inf
    with mpmath.workdps(50):
        n, mu = mpmath.mpf(n), mpmath.mpf(mu)
        return float(n * mpmath.log(mu / n) + n - mu)


# ---------------------------------------------------------------------------------- slopes
def log_slope(function, arguments, index, width):
    """x df/dx in x = arguments[index], from a Chebyshev fit of degree 10 over x exp(-width ... width)."""

    def along(points):
        head, x, tail = arguments[:index], arguments[index], arguments[index + 1 :]
        return np.array([function(*head, x * math.exp(width * point), *tail) for point in points])

    return chebval(0.0, chebder(chebinterpolate(along, 10))) / width


# ------------------------------------------------------------------------------ self-check
def _timed(label, f, *args, **kwargs):
    start = time.perf_counter()
    value = f(*args, **kwargs)
    return value, f"{label} {1e3 * (time.perf_counter() - start):.1f} ms"


def _numbers(values, form=".5g"):
    return "  ".join(f"{v:{form}}" for v in values)


def main():
    """Print the self-check table."""
    times = []
    print("Delta a_mu (1e-11), quad and relative difference from mpmath")
    for name, (mass, g) in BENCHMARKS.items():
        value, spent = _timed("delta_a_mu", delta_a_mu, g, mass)
        diff = value / delta_a_mu_mpmath(g, mass) - 1
        print(f"  {name}: {1e11 * value:.8f}  {diff:.1e}")
    times.append(spent)
    for mass in (1e-3, 1.0, 1e3, 1e5):
        diff = delta_a_mu(1e-3, mass) / delta_a_mu_mpmath(1e-3, mass) - 1
        print(f"  M = {mass:g}: {delta_a_mu(1e-3, mass):.8e}  {diff:.1e}")

    print("BR_inv, decay length (cm) at 80 GeV")
    for mass, g in (*BENCHMARKS.values(), (300.0, 1e-3), (5e3, 1e-3)):
        ratio = invisible_branching_ratio(g, mass, -g / 70, LMU_LTAU)
        length = decay_length_cm(g, mass, -g / 70, LMU_LTAU, 80e3)
        print(f"  M = {mass:g}: {ratio:.8f}  {length:.6g}")

    print("WW kernel at g = 1e-3 (cm^2): x, M, 2D, 1D/2D - 1")
    points = ((0.5, 15.0), (0.4, 100.0), (0.93, 25.0), (0.7, 0.1), (0.6, 5e3), (0.999, 50.0))
    for x, mass in points:
        two, spent = _timed("dsigma_dx_ww (2D)", dsigma_dx_ww, x, 1e-3, mass)
        one, spent_1d = _timed("dsigma_dx_ww_1d", dsigma_dx_ww_1d, x, 1e-3, mass)
        print(f"  {x:6.3f} {mass:7.1f}  {two:.10e}  {one / two - 1:9.1e}   {spent}")
    times += [spent, spent_1d]

    print("NA64mu counts per 10 GeV bin of E_mu', 10-100 GeV")
    for kernel in ("paper", "ww"):
        for name, (mass, g) in BENCHMARKS.items():
            counts, spent = _timed(
                f"na64mu_counts {kernel}", na64mu_counts, g, mass, -g / 70, LMU_LTAU, kernel
            )
            print(f"  {kernel:5s} {name}: {_numbers(counts, '.4f')}  sum {sum(counts):.4f}")
        times.append(spent)

    print("Bethe-Heitler limit, Z = 1, M = 1e-4 MeV, g = e, point charge")
    for x in (0.1, 0.5, 0.9):
        exact = bethe_heitler_dsigma_dx(x, 160e3)
        _, V, a, t_max = beam_kinematics(x, 1e-4, 160e3)
        flux = chi((V / a) ** 2, t_max, 1, 1, point_charge)
        constant = dsigma_dx_constant_chi(x, E_CHARGE, 1e-4, flux)
        ww = dsigma_dx_ww_1d(x, E_CHARGE, 1e-4, 1.0, 160e3, 1, 1, point_charge)
        ratios = f"const/BH {constant / exact:.10f}  ww/BH {ww / exact:.6f}"
        print(f"  x = {x}: BH {exact:.6e}  {ratios}")

    print("Spallation: N_SM per bin, (sin^2 theta_W, kinematics)")
    for s2w, kinematics in ((0.23857, "exact"), (0.23122, "paper")):
        for name in DETECTORS:
            args = (0.0, 15.0, 0.0, LMU_LTAU, name, s2w, kinematics)
            sm, spent = _timed(f"spallation_counts {name}", spallation_counts, *args)
            print(f"  {s2w} {kinematics} {name:8s}: {_numbers(sm, '.8g')}")
            times.append(spent)
    print("Spallation: BP/SM per bin (0.23857, exact), chi2 of BP data against the SM")
    for name in DETECTORS:
        sm = spallation_counts(0.0, 15.0, 0.0, LMU_LTAU, name)
        bkg = [n / 10 for n in sm]
        for bp, (mass, g) in BENCHMARKS.items():
            counts = spallation_counts(g, mass, -g / 70, LMU_LTAU, name)
            ratios = [a / b for a, b in zip(counts, sm, strict=True)]
            chi2, spent = _timed("chi2_eq34", chi2_eq34, counts, sm, bkg, SIGMA_SYS[name])
            marginal, spent_m = _timed(
                "chi2_eq34_marginal", chi2_eq34_marginal, counts, sm, bkg, SIGMA_SYS[name]
            )
            print(f"  {name:8s} {bp}: {_numbers(ratios)}  chi2 {chi2:.6f}  marg {marginal:.6f}")
    times += [spent, spent_m, _timed("poisson_log_ratio", poisson_log_ratio, 7.0, 6.5)[1]]
    print("Timing:", "; ".join(times))


if __name__ == "__main__":
    main()
