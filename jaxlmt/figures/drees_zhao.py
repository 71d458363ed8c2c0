"""Figures of Drees & Zhao, 2107.14528: the relic density, and the 511 keV line.

Every function takes (kernel, data, seed, points), see :func:`jaxlmt.figures.draw`, and returns (figure,
note). kernel "paper" leaves A' -> psi psibar out of the width; data and seed are not used.
"""

import numpy as np

from ..constants import SPEED_OF_LIGHT_CM
from ..darkmatter.relic import (
    OBSERVED,
    delta_for_relic_density,
    dm_mass_for_relic_density,
    freeze_out,
    relic_density,
)
from ..model import DarkMatter
from ..plots.style import BLUE, GREEN, INK, ORANGE, figure, frame, style
from ..processes.annihilation import halo_sigma_v

RED = "#B22222"
FEMTOBARN = 1e-39 * SPEED_OF_LIGHT_CM  # sigma v of 1 fb at the speed of light, cm^3/s
HALO_VELOCITY = 1e-3  # "typically", section 4
LINE_511 = 1e-3, 1.0  # fb, eq 4.1
CMB_LIMIT = 4.1e-31 / 0.3  # cm^3/s per MeV of m_psi, of <sigma v>/2: eq 3.14 with f_eff = 0.3

DECAYS_NOTE = {
    "paper": "A' -> psi psibar left out of the width, as in the paper.",
    "ww": "With A' -> psi psibar in the width, which the paper leaves out.",
}
NORMALISATION_NOTE = "Omega h^2 by the formula, its normalisation corrected (2/g_*^(1/2), not 1/g_*)."


def figure_1(kernel, data, seed, points):
    """Relic density, <sigma v> at freeze-out and x_f against the mass of psi (fig 1 of 2107.14528)."""
    del data, seed
    theta = _model(kernel, 5e-4, 15.0)
    near, low, high = 1e-9, 0.84, 1.56  # of delta: m_psi from 3 to 12 MeV
    below, above = (
        np.union1d(np.geomspace(near, end, points), np.linspace(near, end, points)) for end in (low, high)
    )
    scan = DarkMatter.from_delta(
        theta.g_x, theta.mass, np.concatenate([-below[::-1], [0.0], above]), dark_decays=theta.dark_decays
    )
    mass, frozen = np.asarray(scan.dm_mass), freeze_out(scan)
    curves = (
        (r"$\Omega h^2$", relic_density(scan), RED),
        (r"$\langle\sigma v\rangle(x_f)$  [$10^{-26}$ cm$^3$/s]", 1e26 * frozen.sigma_v, GREEN),
        (r"$x_f$", frozen.x, ORANGE),
    )
    right = [float(dm_mass_for_relic_density(theta, branch=branch)) for branch in ("below", "above")]
    with style():
        made = figure(6.2, 4.6)
        ax = made.add_axes((0.11, 0.125, 0.86, 0.85))
        for label, values, colour in curves:
            ax.plot(mass, values, color=colour, lw=1.6, label=label)
        ax.axhline(OBSERVED, color=BLUE, lw=1.2, label=rf"$\Omega h^2 = {OBSERVED:g}$")
        ax.plot(right, [OBSERVED] * 2, "o", ms=4, color=BLUE)
        ax.set_yscale("log")
        frame(ax, r"$m_\psi$  [MeV]", "", (3.0, 12.0))
        ax.legend(fontsize=10.5, loc="upper right")
    places = ", ".join(f"{100 * (mass / (0.5 * theta.mass) - 1):+.1f}%" for mass in right)
    note = (
        f"{NORMALISATION_NOTE} {DECAYS_NOTE[kernel]} Omega h^2 = {OBSERVED:g} at {places} from m_X/2; the "
        "paper has about 30% below and 1.2% above."
    )
    return made, note


def figure_4(kernel, data, seed, points):
    """Charge of psi and distance from the pole: relic density, 511 keV line, CMB (fig 4 of 2107.14528)."""
    del data, seed
    theta = _model(kernel, 4.5e-4, 23.0)
    charge, delta = np.geomspace(0.1, 10.0, points), np.geomspace(1e-4, 0.3, points)
    settings = {"dark_decays": theta.dark_decays}
    plane = DarkMatter.from_delta(theta.g_x, theta.mass, *np.meshgrid(delta, charge), **settings)
    half = 0.5 * np.asarray(halo_sigma_v(plane, velocity=HALO_VELOCITY, channel="e"))
    mass = np.asarray(plane.dm_mass)
    line, limit = half / FEMTOBARN / mass**2, half / (CMB_LIMIT * mass)
    on_line = DarkMatter(theta.g_x, theta.mass, theta.dm_mass, charge, **settings)
    right = np.asarray(delta_for_relic_density(on_line, branch="above"))

    found = DarkMatter.from_delta(theta.g_x, theta.mass, right, charge, **settings)
    half = 0.5 * np.asarray(halo_sigma_v(found, velocity=HALO_VELOCITY, channel="e"))
    excess = half / FEMTOBARN / np.asarray(found.dm_mass) ** 2 / LINE_511[0]
    allowed = half / (CMB_LIMIT * np.asarray(found.dm_mass))
    ends = [float(np.exp(np.interp(0.0, -np.log(r), np.log(charge)))) for r in (allowed, excess)]
    with style():
        made = figure(5.6, 4.6)
        ax = made.add_axes((0.13, 0.125, 0.84, 0.85))
        ax.contourf(charge, delta, line.T, levels=LINE_511, colors=[GREEN], alpha=0.3)
        ax.contourf(charge, delta, limit.T, levels=[1.0, np.inf], colors=[RED], alpha=0.45)
        ax.plot(charge, right, color=INK, lw=1.8)
        ax.set_xscale("log")
        ax.set_yscale("log")
        frame(ax, r"$q_\psi$", r"$\delta = 4 m_\psi^2/m_X^2 - 1$", charge[[0, -1]])
        ax.set_ylim(*delta[[0, -1]])
        ax.fill_between([], [], color=GREEN, alpha=0.3, label="511 keV line, eq 4.1")
        ax.fill_between([], [], color=RED, alpha=0.45, label="excluded by the CMB, eq 3.14")
        ax.plot([], [], color=INK, lw=1.8, label=rf"$\Omega h^2 = {OBSERVED:g}$")
        ax.legend(fontsize=10.5, loc="upper left")
    note = (
        f"{NORMALISATION_NOTE} <sigma v> averaged over a halo with v0 = {HALO_VELOCITY:g}; CMB with "
        "f_eff = 0.3, unrounded. On the black line the 511 keV line is explained, and the CMB allows it, for "
        f"{ends[0]:.2g} < q_psi < {ends[1]:.2g}; the paper has 0.5 to 2."
    )
    return made, note


def _model(kernel, g_x, mass):
    return DarkMatter(g_x, mass, 0.5 * mass, 1.0, dark_decays=kernel != "paper")


FIGURES = {"dz1": figure_1, "dz4": figure_4}
