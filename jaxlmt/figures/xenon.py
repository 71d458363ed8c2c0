"""Figures 10 to 14 of Amaral et al., 2104.03297: solar neutrinos in liquid xenon, and all data together.

Every function takes (kernel, data, seed, points), see :func:`jaxlmt.figures.draw`, and returns (figure,
note).
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from ..detection import xenon as detector
from ..experiments.gminus2 import gminus2
from ..experiments.na64mu import na64mu
from ..experiments.xenon import EXPOSURES, darwin
from ..experiments.xenon_scan import threshold_scan
from ..experiments.xenon_search import PROCESSES, quenched, recoil_of
from ..inference.fit import fit
from ..inference.profile import profile
from ..inference.reach import exposure_kernel
from ..model import BENCHMARKS, LMU, MIXING_RATIO_PAPER, STANDARD_MODEL, benchmark
from ..plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    figure,
    frame,
    line_key,
    plain_decades,
    plain_ticks,
    style,
)
from ..settings import jit_once
from .amaral import (
    CEVNS_NOTE,
    DETECTORS,
    NA64MU,
    NA64MU_NOTE,
    PLANE,
    joint_of,
    panels,
    preset_of,
    tied,
    title,
)

CHANNELS = dict(zip(PROCESSES, (BLUE, GREEN, ORANGE), strict=True))
LOW_THRESHOLD = 1.0  # keV_nr, "a realistic configuration" (section 5)
THRESHOLDS, NEEDED = (0.65, 9.0), (5.0, 1e8)  # of the panels: keV_nr, t yr
DASHED, DOTTED = (0, (5, 2)), (0, (1, 1.5))
STAR = {"marker": "*", "ms": 13, "mec": INK, "mew": 0.7, "ls": "", "zorder": 6}

_CHOICES = {
    "paper": "Oscillations as the paper must have had them, judged by its results (theta_23 = 49.26 degrees, "
    "delta_CP = 0); 131Xe alone, sin^2 theta_W = 0.23122; 8B flux 5.46e6 cm^-2 s^-1 (printed: 5.46e-6).",
    "ww": "Oscillations of NuFIT 6.0 (theta_23 = 43.3 degrees, delta_CP = 212), natural xenon, "
    "sin^2 theta_W = 0.23857; 8B flux 5.46e6 cm^-2 s^-1 (printed: 5.46e-6).",
}
_KEV_NR, _KEV_EE = r"keV$_{\rm nr}$", r"keV$_{\rm ee}$"


def _no_data(data):
    return " Expected rates: toy data do not enter." if data == "toy" else ""


def figure_10(kernel, data, seed, points):
    """Spectra of nuclear and electron recoils in xenon, for the Standard Model and BP1 (fig 10)."""
    del seed, points
    truth = benchmark("BP1")
    curves = {
        "Standard Model": (STANDARD_MODEL, {"color": INK, "ls": "-"}),
        r"BP1, $L_\mu-L_\tau$": (truth, {"color": BLUE, "ls": DASHED}),
        r"BP1, $L_\mu$": (replace(truth, charges=LMU), {"color": BLUE, "ls": DOTTED}),
    }
    at_one = []
    with style():
        made = figure(9.6, 4.9)
        for i, channel in enumerate(("nr", "er")):
            experiment = darwin(channel=channel, preset=preset_of(kernel))
            energy, unit, limits, ratios = _spectrum_axes(channel)
            left = 0.075 + 0.5 * i
            ax = made.add_axes((left, 0.38, 0.41, 0.545), label=channel)
            below = made.add_axes((left, 0.115, 0.41, 0.245), label=f"{channel}|ratio", sharex=ax)
            rates = {
                label: np.asarray(experiment.differential_rate(energy, theta))
                for label, (theta, _) in curves.items()
            }
            for label, (_, line) in curves.items():
                ratio = rates[label] / rates["Standard Model"]
                ax.plot(energy, rates[label], lw=1.5, label=label, **line)
                below.plot(energy, ratio, lw=1.5, **line)
                at_one.append(f"{np.interp(1.0, energy, ratio):.3f}")
            ax.set(xscale="log", yscale="log", ylim=limits)
            if channel == "er":
                rough = np.asarray(detector.background("darwin", energy))
                ax.plot(energy, rough, lw=1.5, color=ORANGE, ls=DASHED, label="background, DARWIN")
                plain_decades(ax)
            frame(ax, "", f"events per t yr {unit}", energy[[0, -1]])
            frame(below, experiment.axis_label, "over SM", energy[[0, -1]])
            plain_ticks(below.xaxis, (0.1, 0.2, 0.5, 1, 2, 5, 10, 20))
            below.set_ylim(*ratios)
            ax.tick_params(labelbottom=False)
            ax.set_title(f"{'nuclear' if channel == 'nr' else 'electron'} recoils", fontsize=12, pad=5)
            ax.legend(fontsize=10, loc="lower left")
            for panel in (ax, below):
                panel.yaxis.set_label_coords(-0.115, 0.5)
    held = {"paper": "is 1", "ww": "keeps its last values"}[kernel]
    note = (
        f"{_CHOICES[kernel]} BP1 over the Standard Model at 1 keV, Lmu-Ltau and Lmu: nuclear recoils "
        f"{at_one[1]} and {at_one[2]}, electron recoils {at_one[4]} and {at_one[5]}; the printed figure "
        "has no ratios. Before efficiency and resolution. RRPA: a function of the energy that "
        f"{held} outside its table, 0.254 to 28.354 keV_ee.{_no_data(data)}"
    )
    return made, note


def _spectrum_axes(channel):
    """(energies (n,) [keV], their unit, range of the rates, range of the ratios)"""
    if channel == "nr":
        return np.geomspace(0.1, 5.5, 256), _KEV_NR, (2e-4, 5e3), (0.7, 1.3)
    steps = detector.electron_breaks()
    energy = np.concatenate([np.geomspace(0.1, 30.0, 256), steps, steps * (1.0 - 1e-9)])
    return np.unique(energy[(energy >= 0.1) & (energy <= 30.0)]), _KEV_EE, (0.2, 10.0), (0.98, 1.08)


def figure_11(kernel, data, seed, points):
    """Exposure and threshold for a discovery at five sigma with DARWIN (fig 11)."""
    return _discovery("DARWIN", kernel, data, points)


def figure_13(kernel, data, seed, points):
    """The same with LZ (fig 13)."""
    return _discovery("LZ", kernel, data, points)


def figure_14(kernel, data, seed, points):
    """The same with XENONnT (fig 14)."""
    return _discovery("XENONnT", kernel, data, points)


def _rates(name, channel, kernel, points):
    """(thresholds (n,) [keV_nr], rates (1 + benchmarks, n) per t yr, background included, of the Standard
    Model first): the first threshold is LOW_THRESHOLD, the others go up to the nominal one."""
    response, nuclear = name.lower(), channel == "nr"
    scan = threshold_scan(response=response, channel=channel, preset=preset_of(kernel))
    nominal = detector.nominal_threshold(response, "nr" if nuclear else "er")
    highest = nominal if nuclear else float(recoil_of(nominal))
    thresholds = np.append(LOW_THRESHOLD, np.geomspace(detector.LOWEST_QUENCHED, highest, points))
    own = thresholds if nuclear else np.asarray(quenched(thresholds))
    truths = (STANDARD_MODEL, *map(benchmark, BENCHMARKS))
    return thresholds, np.stack([np.sum(scan.rates(theta, own), axis=0) for theta in truths])


@jit_once
def _exposures(rates):
    """(benchmarks, n) [t yr]"""
    return exposure_kernel(rates[1:], rates[:1], sigma=5.0, deficit=True)


def _reach(name, kernel, points):
    """{channel: (thresholds (n,) [keV_nr], exposures (benchmarks, n) [t yr], is_excess likewise)}"""
    with ThreadPoolExecutor() as pool:  # most of it is compilation, which one thread does slowly
        pool.submit(_exposures, np.ones((1 + len(BENCHMARKS), 1 + points)))  # the program, ahead of its rates
        kinds = [pool.submit(_rates, name, channel, kernel, points) for channel in ("nr", "er")]
    found = dict(zip(("nr", "er"), (job.result() for job in kinds), strict=True))
    found["nr+er"] = _rates(name, "nr+er", kernel, points)  # of the same spectra and programs
    return {
        channel: (thresholds, np.asarray(_exposures(rates)), rates[1:] > rates[:1])
        for channel, (thresholds, rates) in found.items()
    }


def _discovery(name, kernel, data, points):
    reach, given = _reach(name, kernel, points), EXPOSURES[name.lower()]
    key = {}
    with style():
        made = figure(8.8, 8.3)
        for i, point in enumerate(BENCHMARKS):
            row, column = divmod(i, 2)
            ax = made.add_axes((0.085 + 0.50 * column, (0.53, 0.065)[row], 0.40, 0.325), label=point)
            for channel, (thresholds, exposures, is_excess) in reach.items():
                line = {"color": CHANNELS[channel], "lw": 1.6}
                more, less = (np.where(which, exposures, np.nan)[i, 1:] for which in (is_excess, ~is_excess))
                ax.plot(thresholds[1:], more, ls=DASHED, label=channel.upper(), **line)
                if np.isfinite(less).any():
                    ax.plot(thresholds[1:], less, ls=DOTTED, **line)
                    key["by a deficit"] = line_key(color=GREY, lw=1.6, ls=DOTTED)
            for channel in ("nr", "er"):
                nominal, label = reach[channel][0][-1], f"nominal {channel.upper()}"
                ax.plot(nominal, given, color=CHANNELS[channel], label=label, **STAR)
            ax.axhline(given, color=GREY, lw=0.8, zorder=1, label=f"{name}, {given:g} t yr")
            _threshold_axes(ax)
            ax.set_title(title(point), fontsize=12, y=1.13)  # without y it would measure every label
            key |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.2}
        made.legend(key.values(), key.keys(), ncols=4, fontsize=10.5, **place)
    return made, _discovery_note(name, kernel, data, reach, given)


def _threshold_axes(ax):
    """The scale of nuclear recoils below, that of electron recoils above."""
    nuclear, electron = _scales()
    ax.set(xscale="log", yscale="log", ylim=NEEDED)
    frame(ax, f"threshold [{_KEV_NR}]", r"exposure for $5\sigma$ [t yr]", THRESHOLDS)
    ax.tick_params(which="both", top=False)
    above = ax.secondary_xaxis(
        "top",
        functions=(lambda e: np.interp(e, nuclear, electron), lambda e: np.interp(e, electron, nuclear)),
    )
    above.tick_params(which="both", direction="in", labelsize=10)
    above.set_xlabel(f"[{_KEV_EE}]", fontsize=10, labelpad=3)
    plain_ticks(ax.xaxis, (0.7, 1, 2, 3, 5, 8))
    plain_ticks(above.xaxis, (0.1, 0.2, 0.5, 1, 1.5))


@functools.cache
def _scales():
    """Recoil energies, keV_nr and keV_ee, so close that one interpolates between them to 1e-4."""
    energy = np.append(0.0, np.geomspace(1e-3, 1e2, 600))
    return energy, np.asarray(quenched(energy))


def _discovery_note(name, kernel, data, reach, given):
    def needs(channel, index):
        found = []
        for exposure, more in zip(*(part[:, index] for part in reach[channel][1:]), strict=True):
            found.append(f"{float(f'{exposure:.3g}'):g}{'' if more else ' (deficit)'}")
        return ", ".join(f"{point} {text}" for point, text in zip(BENCHMARKS, found, strict=True))

    return (
        f"{_CHOICES[kernel]} Above a line the median outcome is more than 5 sigma from the Standard Model. "
        f"Needed, in t yr, against {given:g} of {name}: NR at 1 keV_nr {needs('nr', 0)}; "
        f"NR at the nominal threshold {needs('nr', -1)}; ER there {needs('er', -1)}. "
        "All thresholds on one scale, by Lindhard's quenching: with it 13 keV_nr, the end of the NR window, "
        f"are 2.9 keV_ee, not 30 as printed.{_no_data(data)}"
    )


def figure_12(kernel, data, seed, points):
    """Mass and coupling with DARWIN at a threshold of 1 keV added to NA64mu and CEvNS (fig 12)."""
    preset = preset_of(kernel)
    others = [na64mu(preset=preset), *(build(preset=preset) for build in DETECTORS.values())]
    every = [*others, darwin(preset=preset, threshold_keV=LOW_THRESHOLD)]
    before = [experiment.name for experiment in others]
    nothing, foil = [], []  # -2 ln L without an A', and of Lmu, against that of Lmu-Ltau at its best

    def scans(name):
        joint, prior = joint_of(every, name, data, seed), tied(MIXING_RATIO_PAPER)
        sets = {rf"{NA64MU} + CE$\nu$NS": before, "DARWIN": ["darwin"], "combined": joint.names}
        found = {
            label: profile(joint.only(*names), prior, points=points, **PLANE) for label, names in sets.items()
        }
        without = -2.0 * float(joint.only("darwin").log_likelihood(STANDARD_MODEL))
        nothing.append(without - found["DARWIN"].minus_two_log_likelihood)
        wrong = fit(joint, tied(MIXING_RATIO_PAPER, LMU))
        foil.append(wrong.minus_two_log_likelihood - found["combined"].minus_two_log_likelihood)
        return found

    made = panels(scans, filled="combined", band=gminus2(), detectors=("DARWIN",))
    with style():
        for ax, difference in zip(made.axes, foil, strict=True):
            text = rf"as $L_\mu$:  $\Delta(-2\,\ln L) = {difference:.1f}$"
            ax.text(0.97, 0.04, text, transform=ax.transAxes, ha="right", fontsize=10.5)
    note = (
        f"{NA64MU_NOTE[kernel]} {CEVNS_NOTE[kernel]} {_CHOICES[kernel]} DARWIN: nuclear recoils from 1 to 13 "
        "keV_nr in ten bins, 200 t yr. Filled: all together, without (g-2)_mu; the printed contours are "
        f"DARWIN's. -2 ln L of DARWIN without an A': {_listed(nothing)}. The foil: Lmu at its best "
        f"instead of Lmu-Ltau raises -2 ln L of all data by {_listed(foil)}. DARWIN alone leaves Lmu a strip "
        "at large couplings, where interference and square of the A' cancel (footnote 8)."
    )
    return made, note


def _listed(numbers):
    return ", ".join(f"{name} {value:.1f}" for name, value in zip(BENCHMARKS, numbers, strict=True))


FIGURES = {
    "10": figure_10,
    "11": figure_11,
    "12": figure_12,
    "13": figure_13,
    "14": figure_14,
}
