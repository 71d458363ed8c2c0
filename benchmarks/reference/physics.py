"""What both NumPy versions share: formulas on arrays, and the statistics of batches of points.

Constants, form factors and detectors are those of the tests' independent calculation. Units: MeV, cm^2.
"""

import numpy as np
from numpy.polynomial.legendre import leggauss

from tests.validation import independent as exact

SIGMA_DELTA_A = 59e-11  # of the 2021 comparison
BEAM, Z, A = 160e3, 82, 207.2  # muons on lead
MUON_EDGES = 1e3 * np.arange(10.0, 101.0, 10.0)
EXPOSURE = 1e11 * 0.3 * 11.35 * exact.N_A / A * 20.0  # muons x efficiency x atoms per cm^2
LENGTH = 520.0  # target and detector, cm
Q_WEAK = exact.weak_charge(18, 22, 0.23857)


def composite_gauss(edges, n):
    """Nodes and weights of ``n`` a piece, (pieces * n,) each, and the piece of each node."""
    x, w = leggauss(n)
    edges = np.asarray(edges, float)
    centre, half = 0.5 * (edges[1:] + edges[:-1])[:, None], 0.5 * np.diff(edges)[:, None]
    pieces = np.repeat(np.arange(len(edges) - 1), n)
    return (centre + half * x).ravel(), (half * w).ravel(), pieces


# ---------------------------------------------------------------------- muons
def delta_a_mu(g_x, mass, step=0.5):
    """Eq 13, (n,), by the trapezoidal rule in ln(u/(1-u)), whose error falls as exp(-pi^2/step)."""
    y = np.arange(-28.0, 22.0, step)
    u, rest = 1.0 / (1.0 + np.exp(-y)), 1.0 / (1.0 + np.exp(y))
    ratio2 = (mass[:, None] / exact.M_MU) ** 2
    return g_x**2 / (4.0 * np.pi**2) * ((1.0 / (u**2 + rest * ratio2)) @ (step * u**3 * rest**2))


def bremsstrahlung(x, mass, nodes):
    """Weizsaecker-Williams d sigma/dx at g = 1 with the emission angle integrated out: (n, n_x)."""
    unit, weight, _ = composite_gauss([0.0, 1.0], nodes)
    m2, x = mass[:, None] ** 2, x[None]
    v, reach = m2 * (1.0 - x) / x + exact.M_MU**2 * x, 2.0 * BEAM * (1.0 - x)
    log_max = np.log(np.maximum(reach * np.sqrt(m2 + exact.M_MU**2) / v, 1.0))
    log_s = log_max[..., None] * unit
    s = np.exp(log_s)
    flat = (2.0 * (2.0 - 2.0 * x + x**2) / (1.0 - x))[..., None]
    kappa = (4.0 * x * (m2 + 2.0 * exact.M_MU**2) / v)[..., None]
    square = (s - 1.0) ** 2
    braces = flat * square + kappa * (square * (s + 2.0) / (3.0 * s) - 0.5 * (s**2 - 1.0) + log_s)
    photons = exact.form_factor((v / reach)[..., None] ** 2 * s**2, Z, A)
    flux = log_max * ((2.0 / s**2 * photons * braces) @ weight)
    velocity = np.sqrt(np.maximum(1.0 - m2 / (x * BEAM) ** 2, 0.0))
    return exact.MEV2_CM2 * exact.ALPHA**2 / (4.0 * np.pi) * velocity * (1.0 - x) / v * flux


def escape(x, g_x, mass, eps_x):
    """Share of A' that leave no visible energy, eq 27: (n, n_x)."""
    invisible = g_x**2 * mass / (12.0 * np.pi)  # nu_mu and nu_tau
    visible = np.zeros_like(mass)
    couplings = exact.E_CHARGE * eps_x, g_x, g_x
    for coupling, lepton in zip(couplings, exact.LEPTON_MASSES):
        r = np.minimum((lepton / mass) ** 2, 0.25)
        visible += coupling**2 * mass / (12.0 * np.pi) * (1.0 + 2.0 * r) * np.sqrt(1.0 - 4.0 * r)
    total = invisible + visible
    momentum = np.sqrt((x * BEAM) ** 2 - mass[:, None] ** 2)
    depth = (LENGTH * mass * total / exact.HBAR_C_CM)[:, None] / momentum
    return 1.0 + (visible / total)[:, None] * np.expm1(-depth)


# ------------------------------------------------------------------ neutrinos
def helm_squared(recoil):
    """F^2 of argon-40 at recoil energies [MeV]."""
    return np.array([exact.helm(energy) for energy in recoil]) ** 2


def smallest_energy(recoil):
    """Neutrino energy that a recoil needs."""
    return 0.5 * (recoil + np.sqrt(recoil**2 + 2.0 * exact.AR40_NUCLEAR * recoil))


def bracket(recoil, energy):
    """Kinematic factor of eq 33, exact for spin 0; zero beyond the endpoint."""
    slope = exact.AR40_NUCLEAR * recoil / (2.0 * energy**2)
    return np.maximum(1.0 - recoil / energy - slope, 0.0)


def recoil_grid(nodes):
    """Recoil energies [MeV] and, by detector, weights (bins, n) that make counts of a rate per target."""
    endpoint = 1e3 * exact.recoil_max(exact.E_LINE, exact.AR40_NUCLEAR, "exact")
    edges = np.array([0.1, 0.3, 1.0, 3.0, 9.0, 20.0, 30.0, 40.0, endpoint, 60.0, 80.0, 100.0])
    recoil, weight, piece = composite_gauss(1e-3 * edges, nodes)
    centre = 0.5 * (edges[1:] + edges[:-1])[piece]
    weights = {}
    for name, detector in exact.DETECTORS.items():
        targets = detector["tonne"] * 1e6 * exact.N_A / exact.AR40_ATOMIC_U
        fluence = detector["r"] * detector["npot"] / (4.0 * np.pi * (100.0 * detector["L_m"]) ** 2)
        seen = [exact.cenns_efficiency(e) if detector["tanh"] else 1.0 for e in recoil]
        bins = np.searchsorted(detector["edges_keV"], centre) - 1
        rows = bins == np.arange(len(detector["edges_keV"]) - 1)[:, None]
        weights[name] = rows * (targets * fluence * weight * np.array(seen))
    return recoil, weights


# ----------------------------------------------------------------- statistics
def total_log_likelihood(counts, delta_a, muons, recoils, backgrounds):
    """Sum of the experiments' terms, (n,). muons (n, 9); recoils {name: (n, bins)} without background."""
    total = -0.5 * ((counts["gminus2"] - delta_a) / SIGMA_DELTA_A) ** 2
    seen = counts["na64mu"]
    total -= np.sum(muons - seen + seen * np.log(seen / muons), axis=1)
    for name, theory in recoils.items():
        observed, sigma = counts[name] - backgrounds[name], exact.SIGMA_SYS[name]
        weight = 1.0 / counts[name]
        best = ((theory * (observed - theory)) @ weight) / (theory**2 @ weight + 1.0 / sigma**2)
        residual = observed - theory * (1.0 + best[:, None])
        total -= 0.5 * (residual**2 @ weight + (best / sigma) ** 2)
    return total
