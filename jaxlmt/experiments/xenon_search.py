"""Searches for solar neutrinos with liquid xenon, before anything is folded: what is sought, and where.

What counts recoils in the end, :class:`jaxlmt.experiments.xenon.Xenon` in bins and
:class:`jaxlmt.experiments.xenon_scan.ThresholdScan` above a threshold, takes grids and spectra from here.
"""

import functools
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from ..detection import xenon as detector
from ..distributions import Box, Distribution, LogUniform, Normal
from ..nuclei import ARGON_40, XENON, XENON_131
from ..processes.cevns import KINEMATICS
from ..quadrature import panels
from ..settings import jit_once
from ..sources import solar
from ..sources.oscillation import PRESETS as OSCILLATIONS
from ..sources.oscillation import Oscillation, check_oscillation
from ..sources.oscillation import oscillation as presets
from ..validation import choose, edges, is_traced, known_keys, number
from .base import frozen, nuisance, start_fold
from .solar_recoils import ANGLES, BLOCK, SHAPE, Spectra, flux_name, highest_recoil_keV, in_blocks

KINDS = {"nuclear": "nr", "electron": "er"}  # of efficiency curves, by process
PROCESSES = {"nr": ("nuclear",), "er": ("electron",), "nr+er": ("nuclear", "electron")}  # by channel
TARGETS = {"xenon": XENON, "131Xe": ((XENON_131, 1.0),), "argon": ((ARGON_40, 1.0),)}
PRESETS = {
    None: {
        "oscillation": "nufit6",
        "sin2_theta_w": 0.23857,
        "kinematics": "exact",
        "target": "xenon",
        "beyond_rrpa": "hold",
    },
    "paper": {
        "oscillation": "paper2021",
        "sin2_theta_w": 0.23122,
        "kinematics": "paper",
        "target": "131Xe",
        "beyond_rrpa": "one",
    },
}
TOP_KEV = {"nr": 13.0, "er": 30.0, "nr+er": 30.0}  # above, 2nubb of 136Xe rules
BINS = {"nr": 10, "er": 20, "nr+er": 20}
ACCEPTANCE = {"nr": 0.5, "er": 1.0, "nr+er": 1.0}  # of the cut between nuclear and electron recoils

_PANEL_NODES = 8

quenched, recoil_of = jax.jit(detector.quenched), jax.jit(detector.recoil_of)
_electrons = jit_once(detector.bound_electrons, static_argnames="beyond")
_background = jit_once(detector.background, static_argnums=0)


class Settings(NamedTuple):
    """What the recoils in a detector depend on, whatever it counts: names and numbers, hashable."""

    detector: str
    target: tuple
    kinematics: str
    model: str
    beyond_rrpa: str

    def highest_recoil(self, process):
        """Endpoint [keV] of all recoils."""
        return highest_recoil_keV(process, "hep", self.target, self.kinematics)

    def grid(self, process, threshold, top_ee, ratio):
        """Gauss nodes and weights (n,), (n,) of true energies that a window from ``threshold`` to ``top_ee``
        may see, in panels whose ends have at most ``ratio``."""
        breaks = detector.efficiency(self.detector, KINDS[process], threshold).breaks
        if process == "nuclear":
            # The spectra of 8B and hep end so gently, isotope by isotope, that their endpoints are no kinks.
            return _grid(breaks[0], self.highest_recoil(process), breaks, ratio)
        high = detector.out_of_reach(top_ee)  # the spectra of lines end higher still
        return _grid(breaks[0], high, [*breaks, *detector.electron_breaks()], ratio)

    def spectra(self, process, recoil_keV):
        """:class:`Spectra` at energies (n,), keV_nr or keV_ee."""
        electrons = 1.0
        if process == "electron":
            electrons = in_blocks(functools.partial(_electrons, beyond=self.beyond_rrpa), recoil_keV)
        return Spectra(
            process, self.target, self.kinematics, recoil_keV, model=self.model, electrons=electrons
        )

    def background(self, process, energy):
        """Events (n,) per tonne year and keV that are no recoils of this kind by solar neutrinos."""
        if process == "nuclear":
            return np.zeros_like(energy)
        return in_blocks(functools.partial(_background, self.detector), energy)


def _grid(low, high, breaks, ratio):
    pieces = int(np.ceil(np.log(high / low) / np.log(ratio)))
    inside = [b for b in breaks if low * (1.0 + 1e-9) < b < high * (1.0 - 1e-9)]
    found = np.unique(np.concatenate([np.geomspace(low, high, pieces + 1), inside]))
    nodes, weights = panels(found[np.append(True, np.diff(found) > 1e-9 * found[:-1])], _PANEL_NODES)
    more = -nodes.size % BLOCK  # of weight zero: grids of a size share their compiled programs
    return np.pad(nodes.ravel(), (0, more), "edge"), np.pad(weights.ravel(), (0, more))


def thresholds_of(channel, threshold):
    """{process: threshold in its own unit} of a channel, from one in the channel's."""
    found = {process: threshold for process in PROCESSES[channel]}
    if channel == "nr+er":
        own = recoil_of(threshold)
        found["nuclear"] = own if is_traced(own) or np.ndim(own) else float(own)
    return found


class Search(NamedTuple):
    """Checked choices of :func:`jaxlmt.xenon`; traced: {name: (nominal, nuisances)} of what may vary."""

    name: str
    channel: str
    settings: Settings
    threshold: float
    bin_edges: np.ndarray
    exposure: float
    acceptance: float
    traced: dict

    def parameters(self, recoils):
        """(nominal, nuisances) with those fluxes alone that one of ``recoils`` sees."""
        seen = {flux_name(source) for part in recoils for source in part.sources}
        unseen = {flux_name(source) for source in solar.SOURCES} - seen
        kept = [pair for name, pair in self.traced.items() if name not in unseen]
        return tuple({k: v for pair in kept for k, v in pair[i].items()} for i in (0, 1))


def usual_name(response, channel="nr", **_):
    """Of an experiment that has not been given one."""
    return response if channel == "nr" else f"{response}_{channel}".replace("+", "_")


def search(
    name=None,
    *,
    response="darwin",
    channel="nr",
    threshold_keV=None,
    exposure=200.0,
    bin_edges=None,
    acceptance=None,
    oscillation=None,
    solar_model="gs98",
    flux_norms=None,
    shape_8b=0.0,
    sin2_theta_w=None,
    kinematics=None,
    target=None,
    background_norm=1.0,
    preset=None,
):
    """:class:`Search` with the keywords of :func:`jaxlmt.xenon`, where they are described."""
    start_fold()
    choose("response", response, detector.EXPERIMENTS)
    choose("channel", channel, PROCESSES)
    if name is None:
        name = usual_name(response, channel)
    if preset not in PRESETS:
        choose("preset", preset, [key for key in PRESETS if key])
    defaults = PRESETS[preset]
    kinematics = choose(
        "kinematics", defaults["kinematics"] if kinematics is None else kinematics, KINEMATICS
    )
    target = defaults["target"] if target is None else target
    target = TARGETS[choose("target", target, TARGETS)] if isinstance(target, str) else tuple(target)
    if channel != "nr" and any(isotope.z != 54 for isotope, _ in target):
        raise ValueError(f"target must be xenon where electron recoils are counted; got {target!r}")
    choose("solar_model", solar_model, solar.FLUXES)
    sin2_theta_w = defaults["sin2_theta_w"] if sin2_theta_w is None else sin2_theta_w

    if threshold_keV is None:
        threshold_keV = detector.nominal_threshold(response, "nr" if channel == "nr" else "er")
    threshold, _ = detector.check_window(threshold_keV, TOP_KEV[channel], channel=channel)
    if bin_edges is None:
        bin_edges = np.geomspace(threshold, TOP_KEV[channel], BINS[channel] + 1)
    bin_edges = edges("bin_edges", bin_edges)
    acceptance = ACCEPTANCE[channel] if acceptance is None else acceptance
    if not isinstance(shape_8b, Distribution):
        number("shape_8b", shape_8b)
    traced = {
        "sin2_theta_w": nuisance("sin2_theta_w", sin2_theta_w, low=0.0),
        f"{name}.background_norm": nuisance(f"{name}.background_norm", background_norm, low=0.0),
        **oscillation_nuisances(defaults["oscillation"] if oscillation is None else oscillation),
        **_flux_nuisances(flux_norms, solar_model),
        SHAPE: nuisance(SHAPE, shape_8b),
    }
    return Search(
        name=name,
        channel=channel,
        settings=Settings(response, target, kinematics, solar_model, defaults["beyond_rrpa"]),
        threshold=threshold,
        bin_edges=frozen(bin_edges),
        exposure=number("exposure", exposure, low=0.0),
        acceptance=number("acceptance", acceptance, low=0.0, high=1.0),
        traced=traced,
    )


def oscillation_nuisances(given):
    """{name: (nominal, nuisances)} of the oscillation parameters, from a preset or an Oscillation."""
    if isinstance(given, str):
        given = presets(choose("oscillation", given, OSCILLATIONS))
    elif not isinstance(given, Oscillation):
        raise ValueError(f"oscillation must be the name of a preset or an Oscillation; got {given!r}")
    if isinstance(given.delta_cp, Box) and _has_mirror_images(*given.delta_cp.bounds):
        warnings.warn(
            f"the likelihood is even in delta_cp: with {given.delta_cp} a posterior may have two modes, of "
            "which a sampler finds one; Uniform(0, 180) has all there is to know",
            stacklevel=4,
        )
    found = {name: nuisance(name, getattr(given, name)) for name in ANGLES}
    found["dm31"] = (found["dm31"][0], {})  # does not enter: nothing to infer
    check_oscillation(Oscillation(**{name: nominal[name] for name, (nominal, _) in found.items()}))
    return found


def _has_mirror_images(low, high):
    """Whether a range of angles [degrees] holds a multiple of 180, and both sides of it."""
    return np.floor(low / 180.0) + 1.0 < high / 180.0


def _flux_nuisances(given, model):
    if given == "uncertain":
        given = {source: Normal(1.0, error) for source, (_, error) in solar.FLUXES[model].items()}
        # a Gaussian of 30% reaches below zero, where no event is possible
        given["hep"] = LogUniform(0.5, 2.0)
    elif given is None:
        given = {}
    elif isinstance(given, str) or not isinstance(given, Mapping | tuple):
        raise ValueError(f"flux_norms must be None, 'uncertain' or a dict of fluxes; got {given!r}")
    given = dict(given)
    known_keys("flux_norms", given, solar.SOURCES)
    return {flux_name(s): nuisance(flux_name(s), given.get(s, 1.0), low=0.0) for s in solar.SOURCES}
