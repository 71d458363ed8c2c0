"""Figures 1 and 4 to 9 of Amaral et al., 2104.03297: bounds, NA64mu and CEvNS at spallation sources.

Every function takes (kernel, data, seed, points), see :func:`jaxlmt.figures.draw`, and returns (figure,
note).
"""

import jax
import numpy as np
from tqdm import tqdm

from ..distributions import TiedToCoupling
from ..experiments.astrophysics import white_dwarfs
from ..experiments.babar import babar
from ..experiments.borexino import borexino
from ..experiments.cosmology import radiation
from ..experiments.gminus2 import gminus2
from ..experiments.na64mu import na64mu
from ..experiments.spallation import ccm, cenns610, ess, ess10
from ..experiments.trident import trident
from ..inference.intervals import TWO_SIGMA
from ..inference.priors import default_prior
from ..inference.profile import profile
from ..inference.tension import tension
from ..likelihood import Joint
from ..model import BENCHMARKS, LMU, LMU_LTAU, MIXING_RATIO_PAPER, STANDARD_MODEL, HiddenPhoton, benchmark
from ..plots import contours
from ..plots.plane import plane, write
from ..plots.style import BLUE, GREEN, GREY, INK, ORANGE, figure, frame, plain_decades, style, symbol
from ..plots.style import label as axis_label
from . import bounds

DETECTORS = {"CENNS610": cenns610, "CCM": ccm, "ESS": ess, "ESS10": ess10}
NA64MU = r"NA64$\mu$"
COLOURS = dict(zip(BENCHMARKS, (BLUE, ORANGE, GREEN, "#CC79A7"), strict=True))
PLANE = {"x_range": (1.0, 300.0), "y_range": (1e-4, 1e-2)}  # what the panels show: MeV, coupling

NA64MU_NOTE = {
    "paper": "NA64mu: constant photon flux with the paper's printed prefactor (pi below the derived one), "
    "its C4 corrected.",
    "ww": "NA64mu: Weizsaecker-Williams kernel, 2.0 to 2.5 times the paper's events, of another shape.",
}
_THRESHOLD = "CEvNS: CCM's threshold is 20 keV (text), not 10 (Table 2);"
CEVNS_NOTE = {
    "paper": f"{_THRESHOLD} sin^2 theta_W = 0.23122, assumed.",
    "ww": f"{_THRESHOLD} sin^2 theta_W = 0.23857 and exact kinematics, 5% more events.",
}


def preset_of(kernel):
    return "paper" if kernel == "paper" else None


def joint_of(experiments, name, data, seed):
    """Data of a benchmark; toy data are the same for an experiment alone and together with others."""
    truth = benchmark(name)
    if data == "asimov":
        return Joint.asimov(experiments, truth)
    key = jax.random.fold_in(jax.random.key(seed), BENCHMARKS.index(name))
    order = ("na64mu", *(detector.__name__ for detector in DETECTORS.values()), "darwin")
    return Joint([e.toy(jax.random.fold_in(key, order.index(e.name)), truth) for e in experiments])


def title(name):
    truth = benchmark(name)
    coupling = rf"{truth.g_x / 1e-4:g}\times 10^{{-4}}" if truth.g_x < 1e-3 else "10^{-3}"
    return rf"{name}:  {symbol('mass')} = {truth.mass:g} MeV,  $g_x = {coupling}$"


def figure_1(kernel, data, seed, points):
    """Bounds and favoured regions in the plane of mass and coupling, with the benchmarks (fig 1)."""
    del data, seed
    mass, coupling = bounds.grid(points, (1.0, 1e4), (5e-5, 3e-2))
    theta = HiddenPhoton(coupling, mass, MIXING_RATIO_PAPER * coupling)
    made, ax = plane(axis_label("mass"), axis_label("g_x"), mass[[0, -1]], coupling[[0, -1], 0])
    bounds.hubble(ax, mass, coupling, radiation().expected(theta), (12.0, 7e-5))
    for experiment, text, at, options in (
        (radiation(), r"$N_{\rm eff}$", (4.5, 7e-5), {"colour": bounds.PURPLE}),
        (white_dwarfs(), "white dwarfs", (52.0, 3.6e-3), {"colour": GREY, "angle": 49.0}),
        (borexino(), "Borexino", (20.5, 2.2e-3), {"colour": ORANGE, "angle": 49.0}),
        (trident("charm2"), "CHARM-II", (94.0, 2e-3), {"colour": bounds.WINE}),
        (trident("ccfr"), "CCFR", (4800.0, 6.6e-3), {"colour": bounds.WINE, "dashes": bounds.DASHED}),
        (babar(), r"BaBar $4\mu$", (1100.0, 7e-3), {"colour": BLUE}),
    ):
        bounds.exclude(ax, mass, coupling, bounds.excess(experiment, theta), text, at, **options)
    bounds.magnetic_moment(ax, gminus2(), mass, GREEN, r"$(g-2)_\mu$", (1.7, 4.4e-4))
    if kernel != "paper":
        highest = np.asarray(gminus2("2025").coupling_band(mass)[1])
        ax.plot(mass, highest, color=GREEN, lw=1.4, ls=(0, (1, 1.5)), zorder=6)
        write(ax, r"dotted: $2\sigma$ limit of 2025", 140.0, 4.2e-4, colour=GREEN)
    for name in BENCHMARKS:
        truth = benchmark(name)
        ax.plot(truth.mass, truth.g_x, marker="*", ms=12, mfc="white", mec=INK, ls="", zorder=8)
        write(ax, name, truth.mass, 0.77 * truth.g_x, colour=INK, size=9.5)
    note = (
        "Every region is what one likelihood excludes at 95%, one-sided: -2 ln L exceeds that of the "
        "Standard Model by 2.71. N_eff is that of A' alone (3.4; H_0: 3.2 to 3.4), whatever its coupling; "
        "white dwarfs by the rule of Drees and Zhao; CCFR is dashed as in the paper; BaBar is a smoothed "
        "recast of a 90% limit. COHERENT and the CMS search above 5 GeV are not computed here and not drawn. "
        "Bands: (g-2)_mu of 2021, 1 and 2 sigma."
    )
    return made, note


def figure_4(kernel, data, seed, points):
    """Muon spectra at NA64mu for the benchmarks, with the signal window (fig 4)."""
    del points
    edges = np.array([1.0, *np.arange(10.0, 151.0, 10.0)])
    experiment = na64mu(preset=preset_of(kernel), bin_edges_GeV=edges)
    with style():
        made = figure(5.6, 4.3)
        ax = made.add_axes((0.11, 0.13, 0.86, 0.84))
        for name in BENCHMARKS:
            counts = joint_of([experiment], name, data, seed).observations[0].counts
            rate = counts / np.diff(edges) * 10.0
            truth = benchmark(name)
            label = rf"{name} ({truth.mass:g} MeV)"
            ax.stairs(rate, edges, baseline=None, color=COLOURS[name], lw=1.6, label=label)
        for low, high in ((0.0, 10.0), (100.0, 150.0)):
            ax.axvspan(low, high, color=GREY, alpha=0.2, lw=0, zorder=0)
        frame(ax, experiment.axis_label, "events per 10 GeV", (0.0, 150.0))
        ax.set_ylim(bottom=0.0)
        ax.legend(fontsize=10.5)
    return made, f"{NA64MU_NOTE[kernel]} Grey: outside the signal window of 10 to 100 GeV."


def figure_5(kernel, data, seed, points):
    """Mass and coupling from NA64mu alone, in both models (fig 5)."""
    experiment = na64mu(preset=preset_of(kernel))
    models = {r"$L_\mu-L_\tau$": LMU_LTAU, r"$L_\mu$": LMU}

    def scans(name):
        joint = joint_of([experiment], name, data, seed)
        return {
            label: profile(joint, tied(MIXING_RATIO_PAPER, charges), points=points, **PLANE)
            for label, charges in models.items()
        }

    note = f"{NA64MU_NOTE[kernel]} The two models coincide below 2 m_mu."
    return panels(scans, filled=r"$L_\mu-L_\tau$"), note


def figure_6(kernel, data, seed, points):
    """Recoil spectra of the four detectors for the Standard Model and the benchmarks (fig 6)."""
    del points
    with style():
        made = figure(8.8, 7.4)
        for i, (label, detector) in enumerate(DETECTORS.items()):
            experiment = detector(preset=preset_of(kernel))
            left, bottom, width, height = _place(i)
            ax = made.add_axes((left, bottom + 0.36 * height, width, 0.64 * height), label=label)
            below = made.add_axes((left, bottom, width, 0.33 * height), label=f"{label}|ratio", sharex=ax)
            edges = experiment.bin_edges
            nothing = np.asarray(experiment.expected(STANDARD_MODEL))
            for panel, unit in ((ax, 1.0), (below, nothing)):
                panel.stairs(nothing / unit, edges, baseline=None, color=INK, lw=1.6, label="Standard Model")
            for name in BENCHMARKS:
                observed = joint_of([experiment], name, data, seed).observations[0].counts
                signal = np.asarray(observed) - experiment.background
                dashed = {"color": COLOURS[name], "lw": 1.4, "ls": (0, (4, 1.5)), "baseline": None}
                ax.stairs(signal, edges, label=name, **dashed)
                below.stairs(signal / nothing, edges, **dashed)
            ax.set_yscale("log")
            plain_decades(ax)
            frame(ax, "", "events per bin", edges[[0, -1]])
            frame(below, experiment.axis_label, "ratio", edges[[0, -1]])
            ax.tick_params(labelbottom=False)
            ax.set_title(label, fontsize=12, pad=5)
            for panel in (ax, below):
                panel.yaxis.set_label_coords(-0.145, 0.5)
        handles, labels = ax.get_legend_handles_labels()
        made.legend(handles, labels, ncols=5, loc="upper center", fontsize=10.5, bbox_to_anchor=(0.5, 1.0))
    return made, f"{CEVNS_NOTE[kernel]} One year, the expected background of a tenth of the SM not shown."


def figure_7(kernel, data, seed, points):
    """Mass and coupling from CEvNS alone, detector by detector, for eps_x = -g_x/70 (fig 7)."""

    def scans(name):
        return _detector_scans(name, MIXING_RATIO_PAPER, kernel, data, seed, points)

    return panels(scans), f"{CEVNS_NOTE[kernel]} Dash-dotted: 90% upper limits where no contour closes."


def figure_8(kernel, data, seed, points):
    """Mass and coupling from NA64mu and CEvNS together, for eps_x = -g_x/70 (fig 8)."""
    return _combination(MIXING_RATIO_PAPER, kernel, data, seed, points)


def figure_9(kernel, data, seed, points):
    """The same for the wrong assumption eps_x = -g_x/10, with the tension it causes (fig 9)."""
    return _combination(-0.1, kernel, data, seed, points)


def tied(ratio, charges=LMU_LTAU):
    return default_prior(mixing=TiedToCoupling(ratio), charges=charges)


def _detector_scans(name, ratio, kernel, data, seed, points):
    found = {}
    for label, detector in DETECTORS.items():
        joint = joint_of([detector(preset=preset_of(kernel))], name, data, seed)
        found[label] = profile(joint, tied(ratio), points=points, **PLANE)
    return found


def _combination(ratio, kernel, data, seed, points):
    preset, strength = preset_of(kernel), []

    def scans(name):
        every = [na64mu(preset=preset), *(detector(preset=preset) for detector in DETECTORS.values())]
        joint = joint_of(every, name, data, seed)
        alone = profile(joint.only("na64mu"), tied(ratio), points=points, **PLANE)
        together = profile(joint, tied(ratio), points=points, **PLANE)
        detectors = _detector_scans(name, ratio, kernel, data, seed, points)
        strength.append(f"{name} {_tension(joint, ratio):.1f}")
        return {NA64MU: alone, **detectors, "combined": together}

    made = panels(scans, filled="combined", band=gminus2())
    note = (
        f"{NA64MU_NOTE[kernel]} {CEVNS_NOTE[kernel]} Filled: all together, without (g-2)_mu. "
        f"Tension between NA64mu and CEvNS, Delta(-2 ln L), 2 degrees of freedom: {', '.join(strength)}."
    )
    return made, note


def _tension(joint, ratio):
    detectors = [name for name in joint.names if name != "na64mu"]
    return tension(joint, tied(ratio), groups=[["na64mu"], detectors]).value


def _place(i):
    """Axes of panel ``i`` of two by two, below the legend."""
    row, column = divmod(i, 2)
    return 0.08 + 0.50 * column, (0.545, 0.07)[row], 0.405, 0.355


def panels(scans, *, filled=None, band=None, detectors=tuple(DETECTORS)):
    """One panel a benchmark, from ``scans(name)``, {label: Profile}; what is among ``detectors`` is shown by
    its 90% limit where its contours do not close."""
    made, key = figure(8.8, 7.4), {}
    # a bar on a terminal, nothing elsewhere
    for i, name in enumerate(tqdm(BENCHMARKS, disable=None, leave=False, unit="panel")):
        found = scans(name)
        with style():
            ax = made.add_axes(_place(i), label=name)
        options = {"filled": filled, "truth": benchmark(name), "band": band, "title": title(name)}
        limits = [label for label, scan in found.items() if label in detectors and _is_limit(scan)]
        contours(found, limits=limits, ax=ax, **options)
        legend = ax.get_legend()
        key |= {text.get_text(): h for h, text in zip(legend.legend_handles, legend.get_texts(), strict=True)}
        legend.remove()
    with style():
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.2}
        made.legend(key.values(), key.keys(), ncols=6 if len(key) > 10 else 5, fontsize=10, **place)
    return made


def _is_limit(scan):
    return scan.interval("g_x", TWO_SIGMA, dof=2).open_low


FIGURES = {
    "1": figure_1,
    "4": figure_4,
    "5": figure_5,
    "6": figure_6,
    "7": figure_7,
    "8": figure_8,
    "9": figure_9,
}
