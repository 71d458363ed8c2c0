"""NumPy on grids: every point's cross sections on x by t and on E_R by E_nu, a batch of points at a time."""

import functools

import numpy as np

from . import physics
from .physics import exact

BATCH = 16  # points whose grids stay in cache
X_NODES, T_NODES, RECOIL_NODES, ENERGY_NODES = 6, 48, 6, 8


@functools.cache
def grids():
    """Recoils, weights of detectors, and the neutrinos' energies and weights (n_r, n_e) for each recoil."""
    recoil, weights = physics.recoil_grid(RECOIL_NODES)
    start = np.minimum(physics.smallest_energy(recoil), exact.E_END)
    unit, weight, _ = physics.composite_gauss([0.0, 1.0], ENERGY_NODES)
    energy = start[:, None] + (exact.E_END - start)[:, None] * unit
    return recoil, weights, energy, (exact.E_END - start)[:, None] * weight


def cevns(recoil, energy, charge, g_x, mass, eps_x, form):
    """Eq 33 [cm^2/MeV] on recoils (n_r,) and neutrino energies (n_r, n_e): (n, n_r, n_e)."""
    prefactor = exact.MEV2_CM2 * exact.G_F**2 * exact.AR40_NUCLEAR / np.pi * form
    propagator = 2.0 * exact.AR40_NUCLEAR * recoil + mass[:, None] ** 2
    strength = exact.E_CHARGE * 18 * charge / (np.sqrt(2.0) * exact.G_F) * g_x * eps_x
    amplitude = 0.5 * physics.Q_WEAK + strength[:, None] / propagator
    kinematics = physics.bracket(recoil[:, None], energy)
    return (prefactor * amplitude**2)[..., None] * kinematics


def recoil_rate(g_x, mass, eps_x):
    """Events per target, MeV and fluence, (n, n_r), of all three neutrinos."""
    recoil, _, energy, weight = grids()
    form = physics.helm_squared(recoil)
    electron = 192.0 * energy**2 / exact.M_MU**3 * (0.5 - energy / exact.M_MU)
    muon = 64.0 * energy**2 / exact.M_MU**3 * (0.75 - energy / exact.M_MU)
    line = np.full((recoil.size, 1), exact.E_LINE)
    theta = g_x, mass, eps_x, form
    rate = np.sum(cevns(recoil, energy, 0.0, *theta) * electron * weight, axis=-1)
    rate += np.sum(cevns(recoil, energy, 1.0, *theta) * muon * weight, axis=-1)
    return rate + cevns(recoil, line, 1.0, *theta)[..., 0]


@functools.cache
def _backgrounds():
    nothing = np.zeros(1)
    rate, (_, weights, *_) = recoil_rate(nothing, nothing + 1.0, nothing)[0], grids()
    return {name: 0.1 * weight @ rate for name, weight in weights.items()}


def _batch(counts, g_x, mass, eps_x):
    share, weight, _ = physics.composite_gauss(physics.MUON_EDGES / physics.BEAM, X_NODES)
    rate = physics.bremsstrahlung(1.0 - share, mass, T_NODES) * physics.escape(1.0 - share, g_x, mass, eps_x)
    muons = physics.EXPOSURE * g_x[:, None] ** 2 * (rate * weight).reshape(len(mass), -1, X_NODES).sum(axis=2)
    recoil = recoil_rate(g_x, mass, eps_x)
    _, weights, *_ = grids()
    recoils = {name: recoil @ weight.T for name, weight in weights.items()}
    delta_a = physics.delta_a_mu(g_x, mass)
    return physics.total_log_likelihood(counts, delta_a, muons, recoils, _backgrounds())


def log_likelihood(counts, g_x, mass, eps_x):
    """Arrays (n,) in, (n,) out."""
    parts = [slice(i, i + BATCH) for i in range(0, len(mass), BATCH)]
    return np.concatenate([_batch(counts, g_x[p], mass[p], eps_x[p]) for p in parts])
