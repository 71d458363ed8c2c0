"""Figures of Drees and Zhao, 2107.14528: dark matter that annihilates through the hidden photon.

Every function takes (kernel, data, seed, points), see :func:`jaxlmt.figures.draw`, and returns (figure,
note).
"""

import numpy as np

from ..darkmatter.relic import relic_density
from ..experiments.astrophysics import white_dwarfs
from ..experiments.babar import babar
from ..experiments.cosmology import cmb_annihilation, radiation
from ..experiments.gminus2 import gminus2
from ..experiments.trident import trident
from ..model import DarkMatter, HiddenPhoton
from ..plots.plane import level, plane, write
from ..plots.style import BLUE, GREEN, GREY, INK, ORANGE, figure, frame, plain_ticks, style, symbol
from ..plots.style import label as axis_label
from . import bounds

MASS = symbol("mass")



def n_nu_of(kernel):
    return 3.0 if kernel == "paper" else 3.044


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
    level(ax, mass, coupling[:, 0], np.log(omega / 0.12), at=0.0, colour=colour, width=1.9)
    write(ax, rf"$\Omega h^2$ for {r:g}", *at, colour=colour, angle=24.0)


FIGURES = {"dz2": figure_2, "dz3": figure_3}
