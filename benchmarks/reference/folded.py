"""NumPy folded: what does not depend on the point is integrated once; batches of points are matrix products.

A CEvNS bin is A + kappa (R1 u) + kappa^2 (R2 u^2), u = 1/(2 M_N E_R + M^2); the muons' spectrum is a cubic
spline in ln M at the nodes of every bin.
"""

import functools

import numpy as np
from scipy.interpolate import CubicSpline

from . import physics, unfolded
from .physics import exact

BATCH = 512
RECOIL_NODES, X_NODES, MASSES = 6, 6, 1500


@functools.cache
def _spectrum():
    share, weight, _ = physics.composite_gauss(physics.MUON_EDGES / physics.BEAM, X_NODES)
    log_mass = np.linspace(np.log(0.5), np.log(2e3), MASSES)
    values = physics.bremsstrahlung(1.0 - share, np.exp(log_mass), 64)
    return 1.0 - share, CubicSpline(log_mass, physics.EXPOSURE * weight * values)


@functools.cache
def _matrices():
    """Recoils [MeV], and by detector the matrices of 1, u and u^2: (bins,), (bins, n), (bins, n)."""
    recoil, weights = physics.recoil_grid(RECOIL_NODES)
    _, _, energy, step = unfolded.grids()
    form = exact.MEV2_CM2 * exact.G_F**2 * exact.AR40_NUCLEAR / np.pi * physics.helm_squared(recoil)
    kinematics = physics.bracket(recoil[:, None], energy) * step
    electron = 192.0 * energy**2 / exact.M_MU**3 * (0.5 - energy / exact.M_MU)
    muon = 64.0 * energy**2 / exact.M_MU**3 * (0.75 - energy / exact.M_MU)
    electrons = form * np.sum(kinematics * electron, axis=1)
    muons = form * (np.sum(kinematics * muon, axis=1) + physics.bracket(recoil, exact.E_LINE))
    half = 0.5 * physics.Q_WEAK  # of nu_e the whole amplitude, because Q_e = 0
    matrices = {
        name: (weight @ (electrons + muons) * half**2, 2.0 * half * weight * muons, weight * muons)
        for name, weight in weights.items()
    }
    return recoil, matrices


def _batch(counts, g_x, mass, eps_x):
    x, spectrum = _spectrum()
    rate = spectrum(np.log(mass)) * physics.escape(x, g_x, mass, eps_x)
    muons = g_x[:, None] ** 2 * rate.reshape(len(mass), -1, X_NODES).sum(axis=2)
    recoil, matrices = _matrices()
    u = 1.0 / (2.0 * exact.AR40_NUCLEAR * recoil + mass[:, None] ** 2)
    kappa = (exact.E_CHARGE * 18 / (np.sqrt(2.0) * exact.G_F) * g_x * eps_x)[:, None]
    first, second = kappa * u, (kappa * u) ** 2
    recoils = {name: a + first @ r1.T + second @ r2.T for name, (a, r1, r2) in matrices.items()}
    backgrounds = {name: 0.1 * a for name, (a, _, _) in matrices.items()}
    delta_a = physics.delta_a_mu(g_x, mass)
    return physics.total_log_likelihood(counts, delta_a, muons, recoils, backgrounds)


def log_likelihood(counts, g_x, mass, eps_x):
    """Arrays (n,) in, (n,) out."""
    parts = [slice(i, i + BATCH) for i in range(0, len(mass), BATCH)]
    return np.concatenate([_batch(counts, g_x[p], mass[p], eps_x[p]) for p in parts])
