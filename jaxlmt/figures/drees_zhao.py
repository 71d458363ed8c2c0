"""Figures of Drees and Zhao, 2107.14528: dark matter that annihilates through the hidden photon.

Every function takes (kernel, data, seed, points), see :func:`jaxlmt.figures.draw`, and returns (figure,
note).
"""

import numpy as np

from ..experiments.cosmology import radiation
from ..model import DarkMatter, HiddenPhoton
from ..plots.style import BLUE, GREEN, INK, ORANGE, figure, frame, plain_ticks, style, symbol
from ..plots.style import label as axis_label

MASS = symbol("mass")

RADIATION_LIMIT, HUBBLE = 3.4, 3.2  # N_eff: allowed by nucleosynthesis at 95%; helps with H_0 from here on


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
            at = np.interp([-RADIATION_LIMIT, -HUBBLE], -n_eff, mass)
            crossings.append(f"{at[0]:.1f} and {at[1]:.1f} MeV")
        ax.axhspan(0.0, RADIATION_LIMIT, color="#56B4E9", alpha=0.22, lw=0, label="allowed by BBN, 95%")
        ax.axhline(HUBBLE, color=INK, lw=1.0, ls=(0, (5, 2)), label="from here on $H_0$ is eased")
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


FIGURES = {"dz2": figure_2}
