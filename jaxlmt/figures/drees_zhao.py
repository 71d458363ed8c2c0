"""Figures of Drees and Zhao, 2107.14528: dark matter that annihilates through the hidden photon.

Every function takes (kernel, data, seed, points), see :func:`jaxlmt.figures.draw`, and returns (figure,
note). kernel "paper" leaves A' -> psi psibar out of the width; data and seed are not used.
"""

import numpy as np

from ..darkmatter.positrons import HALO_VELOCITY, positron_injection
from ..darkmatter.recombination import ionising_annihilation
from ..darkmatter.relic import (
    OBSERVED,
    delta_for_relic_density,
    dm_mass_for_relic_density,
    freeze_out,
    relic_density,
)
from ..experiments.astrophysics import white_dwarfs
from ..experiments.babar import babar
from ..experiments.cosmology import cmb_annihilation, radiation
from ..experiments.gminus2 import gminus2
from ..experiments.measurement import table
from ..experiments.trident import trident
from ..model import DarkMatter, HiddenPhoton
from ..plots.plane import level, plane, write
from ..plots.style import BLUE, GREEN, GREY, INK, ORANGE, figure, frame, plain_ticks, style, symbol
from ..plots.style import label as axis_label
from . import bounds

MASS = symbol("mass")
RED = "#B22222"
DECAYS_NOTE = {
    "paper": "A' -> psi psibar left out of the width, as in the paper.",
    "ww": "With A' -> psi psibar in the width, which the paper leaves out.",
}
NORMALISATION_NOTE = "Omega h^2 by the formula, its normalisation corrected (2/g_*^(1/2), not 1/g_*)."


def n_nu_of(kernel):
    return 3.0 if kernel == "paper" else 3.044


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


def figure_2(kernel, data, seed, points):
    """N_eff against the mass of the A', without psi and with two masses of psi (fig 2)."""
    del data, seed
    mass = np.linspace(5.0, 60.0, 4 * points)
    term = radiation(n_nu=n_nu_of(kernel))
    curves = {
        "A\N{PRIME} alone": (HiddenPhoton(5e-4, mass, 0.0), GREEN),
        rf"$m_\psi = 0.51\,${MASS}": (DarkMatter(5e-4, mass, 0.51 * mass), ORANGE),
        rf"$m_\psi = 0.31\,${MASS}": (DarkMatter(5e-4, mass, 0.31 * mass), BLUE),
    }
    crossings = []
    with style():
        made = figure(6.0, 4.5)
        ax = made.add_axes((0.095, 0.125, 0.885, 0.855))
        for label, (theta, colour) in curves.items():
            n_eff = np.asarray(term.expected(theta))[:, 0]
            ax.plot(mass, n_eff, color=colour, lw=1.8, label=label)
            at = np.interp([-bounds.RADIATION, -bounds.HUBBLE], -n_eff, mass)
            crossings.append(f"{at[0]:.1f} and {at[1]:.1f} MeV")
        ax.axhspan(0.0, bounds.RADIATION, color=bounds.CYAN, alpha=0.22, lw=0, label="allowed by BBN, 95%")
        ax.axhline(bounds.HUBBLE, color=INK, lw=1.0, ls=(0, (5, 2)), label="from here on $H_0$ is eased")
        frame(ax, axis_label("mass"), r"$N_{\rm eff}$", mass[[0, -1]])
        ax.set_ylim(2.9, 4.4)
        plain_ticks(ax.yaxis, np.arange(3.0, 4.41, 0.2))
        ax.legend(fontsize=11)
    alone, above, below = crossings
    note = (
        f"N_nu = {n_nu_of(kernel):g}, T_nu,D = 2.3 MeV. N_eff = 3.4 and 3.2 at {above} for m_psi/M = 0.51, "
        f"{below} for 0.31, {alone} without psi. The masses scale with T_nu,D."
    )
    return made, note


R = 0.51  # m_psi/M of the regions of figure 3
R_LINES = {  # of its relic densities, above and below the pole
    0.51: (BLUE, (105.0, 1.62e-3)),
    0.501: (ORANGE, (60.0, 4.4e-4)),
    0.31: (bounds.WINE, (36.0, 3.65e-3)),
}


def figure_3(kernel, data, seed, points):
    """Bounds, favoured regions and relic density in the plane of mass and coupling (fig 3)."""
    del data, seed
    paper = kernel == "paper"
    mass, coupling = bounds.grid(points, (5.0, 1e3), (1e-4, 1e-2))
    theta = DarkMatter(coupling, mass, R * mass, dark_decays=not paper)
    made, ax = plane(axis_label("mass"), axis_label("g_x"), mass[[0, -1]], coupling[[0, -1], 0])
    radiated = radiation(n_nu=n_nu_of(kernel))
    bounds.hubble(ax, mass, coupling, radiated.expected(theta), (24.4, 8e-3))
    for experiment, text, at, options in (
        (radiated, r"$N_{\rm eff}$", (9.0, 1.3e-4), {"colour": bounds.PURPLE}),
        (cmb_annihilation(), "CMB", (550.0, 7.5e-3), {"colour": GREY}),
        (white_dwarfs(), "white dwarfs", (36.0, 2.15e-3), {"colour": INK, "dashes": "-", "angle": 42.0}),
        (trident("ccfr"), "CCFR", (7.0, 9.5e-4), {"colour": "#006D2C", "dashes": "-", "angle": 4.0}),
        (
            babar(preset="paper" if paper else None),
            r"BaBar $4\mu$",
            (300.0, 5.2e-3),
            {"colour": "#8C510A", "dashes": "-"},
        ),
    ):
        bounds.exclude(ax, mass, coupling, bounds.excess(experiment, theta), text, at, **options)
    bounds.magnetic_moment(ax, gminus2(), mass, GREEN, r"$(g-2)_\mu$", (6.6, 4.5e-4), sigmas=(1.0,))
    for r, (colour, at) in R_LINES.items():
        relic_density_line(ax, r, colour, at, dark_decays=not paper)
    ax.plot(23.0, 4.5e-4, marker="*", ms=13, color=BLUE, mec=INK, mew=0.7, ls="", zorder=8)
    decays = "without" if paper else "with"
    note = (
        f"Regions and bounds for m_psi/M = {R} and q_psi = 1, each what one likelihood excludes at 95%, "
        "one-sided: -2 ln L exceeds that of the Standard Model by 2.71. COHERENT is not computed here and "
        f"not drawn. N_nu = {n_nu_of(kernel):g}; band: (g-2)_mu of 2021, 1 sigma. Lines of Omega h^2 = 0.12, "
        f"labelled by m_psi/M: formula with the corrected normalisation, A' {decays} decays to psi. Star: "
        "the benchmark of the paper's figure 4."
    )
    return made, note


def relic_density_line(ax, r, colour, at, *, dark_decays):
    """Where Omega h^2 = 0.12 for m_psi = ``r`` M: a smooth function of both axes, on a grid of its own."""
    mass, coupling = bounds.grid(40, (5.0, 1e3), (1e-4, 1e-2))
    theta = DarkMatter(coupling, mass, r * mass, dark_decays=dark_decays)
    omega = np.asarray(relic_density(theta))
    level(ax, mass, coupling[:, 0], np.log(omega / OBSERVED), at=0.0, colour=colour, width=1.9)
    write(ax, rf"$\Omega h^2$ for {r:g}", *at, colour=colour, angle=24.0)


def figure_4(kernel, data, seed, points):
    """Charge of psi and distance from the pole: relic density, 511 keV line, CMB (fig 4 of 2107.14528)."""
    del data, seed
    theta = _model(kernel, 4.5e-4, 23.0)
    charge, delta = np.geomspace(0.1, 10.0, points), np.geomspace(1e-4, 0.3, points)
    settings = {"dark_decays": theta.dark_decays}
    plane = DarkMatter.from_delta(theta.g_x, theta.mass, *np.meshgrid(delta, charge), **settings)
    known = table("dark_sector")
    (low, high), limit = (known["positron_line"][end] for end in ("low", "high")), known["annihilation"]
    limit = limit["planck2015"]["limit"]
    line, ionised = positron_injection(plane), ionising_annihilation(plane) / limit
    on_line = DarkMatter(theta.g_x, theta.mass, theta.dm_mass, charge, **settings)
    right = np.asarray(delta_for_relic_density(on_line, branch="above"))

    found = DarkMatter.from_delta(theta.g_x, theta.mass, right, charge, **settings)
    edges = ionising_annihilation(found) / limit, positron_injection(found) / low
    ends = [float(np.exp(np.interp(0.0, -np.log(ratio), np.log(charge)))) for ratio in edges]
    with style():
        made = figure(5.6, 4.6)
        ax = made.add_axes((0.13, 0.125, 0.84, 0.85))
        ax.contourf(charge, delta, np.asarray(line).T, levels=(low, high), colors=[GREEN], alpha=0.3)
        ax.contourf(charge, delta, np.asarray(ionised).T, levels=[1.0, np.inf], colors=[RED], alpha=0.45)
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
        f"{NORMALISATION_NOTE} 511 keV: a halo with v0 = {HALO_VELOCITY:g}; CMB: psi at rest, "
        "f_eff = 0.3, unrounded. On the black line the 511 keV line is explained, and the CMB allows it, for "
        f"{ends[0]:.2g} < q_psi < {ends[1]:.2g}; the paper has 0.5 to 2."
    )
    return made, note


def _model(kernel, g_x, mass):
    return DarkMatter(g_x, mass, 0.5 * mass, 1.0, dark_decays=kernel != "paper")


FIGURES = {"dz1": figure_1, "dz2": figure_2, "dz3": figure_3, "dz4": figure_4}
