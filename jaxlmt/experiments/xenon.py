"""Liquid-xenon detectors that see solar neutrinos: LZ, XENONnT, DARWIN (2104.03297, section 5)."""

import functools
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from ..detection import xenon as detector
from ..distributions import Box, Distribution, LogUniform, Normal
from ..nuclei import ARGON_40, XENON, XENON_131
from ..processes.cevns import KINEMATICS
from ..pytrees import pytree
from ..quadrature import panels
from ..sources import solar
from ..sources.oscillation import PRESETS as OSCILLATIONS
from ..sources.oscillation import Oscillation, check_oscillation
from ..sources.oscillation import oscillation as presets
from ..validation import check_theta, choose, edges, is_traced, known_keys, number, to_float64, values
from .base import Counting, Experiment, frozen, nuisance, start_fold
from .solar_recoils import ANGLES, SHAPE, Spectra, flux_name, highest_recoil_keV

PROCESSES = {"nr": ("nuclear",), "er": ("electron",), "nr+er": ("nuclear", "electron")}  # by channel
TITLES = {"lz": "LZ", "xenonnt": "XENONnT", "darwin": "DARWIN"}
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
_PANEL_RATIO = 1.25
_NODES_AT_ONCE = 128
_SCAN_RATIO = 1.12  # finer, because its panels know no kinks of the efficiency


@pytree
class Xenon(Counting, Experiment):
    """Poisson counts per bin, of recoils by solar neutrinos and of the background.

    exposure [t yr]; acceptance: of a cut, for signal and background alike; background_rate: (n_bins,) per
    tonne year before the cut; recoils: a ``jaxlmt.experiments.solar_recoils.Recoils`` for each kind of
    recoil that the channel counts.
    """

    name: str = field(metadata={"static": True})
    channel: str = field(metadata={"static": True})
    detector: str = field(metadata={"static": True})
    settings: tuple = field(metadata={"static": True})  # what a spectrum at other energies needs
    bin_edges: np.ndarray  # keV_nr, or keV_ee if electron recoils are counted
    exposure: float
    acceptance: float
    background_rate: np.ndarray
    recoils: tuple
    nominal: dict
    nuisances: dict

    @property
    def axis_label(self):
        return r"$E_R$ [keV$_{\rm nr}$]" if self.channel == "nr" else r"$E_R$ [keV$_{\rm ee}$]"

    @property
    def title(self):
        """Name for people, with the channel."""
        return f"{TITLES[self.detector]} {self.channel.upper()}"

    @property
    def _norm(self):
        return f"{self.name}.background_norm"

    def _background(self, norm):
        return self.exposure * self.acceptance * norm * self.background_rate

    @property
    def background(self):
        """Expected background counts, (n_bins,)."""
        return self._background(self.nominal[self._norm])

    def rate(self, theta, parameters):
        per_tonne_year = sum(recoil.counts(theta, parameters) for recoil in self.recoils)
        return self.exposure * self.acceptance * per_tonne_year

    def predict(self, theta, parameters):
        return self.rate(theta, parameters) + self._background(parameters[self._norm])

    def differential_rate(self, recoil_energy_keV, theta, nuisances=None):
        """d R/d E_R [1/(t yr keV)] before efficiency, resolution and cuts; shape (n,).

        recoil_energy_keV: (n,) > 0, keV_nr in the channel ``"nr"``, keV_ee in the others, where nuclear
        recoils are added per keV_ee; 0 beyond the endpoint. theta: a :class:`jaxlmt.HiddenPhoton` of scalars;
        nuisances: dict, nominal where missing. Raises ValueError for invalid arguments.
        """
        energy = values("recoil_energy_keV", np.atleast_1d(recoil_energy_keV), low=0.0, low_open=True)
        settings = dict(self.settings)
        # the fluxes that no bin sees, for energies below the bins
        parameters = {**{flux_name(s): np.float64(1.0) for s in solar.SOURCES}, **self.parameters(nuisances)}
        total = 0.0
        for process in PROCESSES[self.channel]:
            recoil, jacobian = energy, 1.0
            if process == "nuclear" and self.channel != "nr":
                recoil, jacobian = map(np.asarray, _recoil_and_slope(energy))
            top = highest_recoil_keV(process, "hep", settings["target"], settings["kinematics"])
            weight = np.where(recoil < top, jacobian, 0.0)
            recoil = np.minimum(recoil, (1.0 - 1e-6) * top)
            folded = _spectra(process, recoil, **settings).folded(weight)
            total = total + _counts(folded, check_theta(theta), parameters)
        return total

    def thresholds(self, lowest_keV=None):
        """The same search with the threshold left open: a :class:`ThresholdScan`.

        lowest_keV: of the thresholds that will be asked for, in the unit of ``bin_edges``; 0.7 keV_nr unless
        given, or what it is in keV_ee. Counts are those between the threshold and the last edge.
        """
        if lowest_keV is None:
            lowest_keV = detector.LOWEST_QUENCHED
            lowest_keV = lowest_keV if self.channel == "nr" else float(_quenched(lowest_keV))
        return _scan(self, number("lowest_keV", lowest_keV, low=0.0, low_open=True))


@pytree
class ThresholdScan:
    """Rates above a threshold, as smooth functions of it: spectra on a fine grid of recoil energies.

    lowest, top: of the thresholds that may be asked for, in the unit of the experiment's bins; spectra: one
    ``Recoils`` for each kind of recoil, (n,) counts per tonne year at the nodes of a quadrature; energy: (n,)
    of each; background: (n,) likewise, per tonne year.
    """

    experiment: Xenon
    lowest: float
    top: float
    spectra: tuple
    energy: tuple
    background: tuple

    def rates(self, theta, threshold_keV, nuisances=None):
        """(signal, background), per tonne year with the acceptance, each of the shape of ``threshold_keV``.

        The signal includes the Standard Model's. Differentiable in everything; to 1e-6 of the rates of an
        experiment that is folded at that threshold. Raises ValueError for invalid arguments, thresholds below
        ``lowest`` or above ``top`` among them.
        """
        if not is_traced(threshold_keV):
            asked = values("threshold_keV", threshold_keV)
            lowest, top = float(self.lowest) * (1.0 - 1e-12), float(self.top)
            for extreme in (asked.min(), asked.max()):
                number("threshold_keV", extreme, low=lowest, high=top)
        parameters = self.experiment.parameters(nuisances)
        return _rates(self, check_theta(theta), to_float64(threshold_keV), parameters)


def _rates(scan, theta, threshold_keV, parameters):
    # in pieces that channels share, as compiled programs
    experiment, at = scan.experiment, jnp.ravel(threshold_keV)
    low, top = (_quenched(at), _quenched(scan.top)) if experiment.channel == "nr" else (at, scan.top)
    signal = background = 0.0
    found = _thresholds(experiment.channel, at).values()
    for (kind, own), recoils, energy, rough in zip(
        found, scan.spectra, scan.energy, scan.background, strict=True
    ):
        names = ("sin2_theta_w", SHAPE, *ANGLES, *map(flux_name, recoils.sources))
        rate = _counts(recoils, theta, {name: parameters[name] for name in names})
        seen = _above(experiment.detector, kind, own, low, top, energy, rate, rough)
        signal, background = signal + seen[0], background + seen[1]
    norm = parameters[f"{experiment.name}.background_norm"]
    rates = experiment.acceptance * signal, experiment.acceptance * norm * background
    return tuple(rate.reshape(jnp.shape(threshold_keV)) for rate in rates)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _above(name, kind, thresholds, low_ee, top_ee, energy, signal, background):
    """Sums (m,) of signal and background (n,) at ``energy`` (n,) seen above each of ``thresholds`` (m,)."""

    def seen(threshold, low):
        return window(name, kind, threshold, energy, jnp.stack([low, top_ee]))[0]

    matrix = jax.vmap(seen)(thresholds, low_ee)
    return matrix @ signal, matrix @ background


@jax.jit
def _counts(recoils, theta, parameters):
    return recoils.counts(theta, parameters)


@jax.jit
def _recoil_and_slope(energy_ee):
    return jax.jvp(detector.recoil_of, (energy_ee,), (jnp.ones_like(energy_ee),))


_quenched, _recoil_of = jax.jit(detector.quenched), jax.jit(detector.recoil_of)
_electrons = jax.jit(detector.bound_electrons, static_argnames="beyond")


def _spectra(process, recoil, *, target, kinematics, model, beyond_rrpa):
    electrons = np.asarray(_electrons(recoil, beyond=beyond_rrpa)) if process == "electron" else 1.0
    return Spectra(process, target, kinematics, recoil, model=model, electrons=electrons)


def _grid(low, high, breaks, ratio):
    """Gauss nodes and weights between two energies, in panels that end at ``breaks``; (n,), (n,)."""
    pieces = int(np.ceil(np.log(high / low) / np.log(ratio)))
    inside = [b for b in breaks if low * (1.0 + 1e-9) < b < high * (1.0 - 1e-9)]
    found = np.unique(np.concatenate([np.geomspace(low, high, pieces + 1), inside]))
    nodes, weights = panels(found[np.append(True, np.diff(found) > 1e-9 * found[:-1])], _PANEL_NODES)
    more = -nodes.size % _NODES_AT_ONCE  # of weight zero: grids of a size share their compiled programs
    return np.pad(nodes.ravel(), (0, more), "edge"), np.pad(weights.ravel(), (0, more))


def window(name, kind, threshold, energy, edges_ee):
    """Probability (n_bins, n) that an event of true ``energy`` (n,) is seen in a bin of reconstructed energy.

    name: of the response; kind: ``"nr"``, energy and threshold in keV_nr, or ``"er"``, in keV_ee; edges_ee:
    (n_bins + 1,) [keV_ee]. A kernel, differentiable in threshold and edges.
    """
    seen = detector.efficiency(name, kind, threshold)(energy)
    nominal = detector.nominal_threshold(name, kind)
    if kind == "nr":
        energy, nominal, threshold = (detector.quenched(e) for e in (energy, nominal, threshold))
    sigma = detector.shifted_resolution(name, energy, nominal, threshold)
    distance = (edges_ee[:, None] - energy[None]) / sigma[None]
    return seen[None] * jnp.diff(ndtr(distance), axis=0)


_window = jax.jit(window, static_argnums=(0, 1))


def _thresholds(channel, threshold):
    """{kind of recoil: threshold in its own unit} of a channel."""
    if channel == "nr":
        return {"nuclear": ("nr", threshold)}
    found = {"electron": ("er", threshold)}
    if channel == "nr+er":
        own = _recoil_of(threshold)
        found = {"nuclear": ("nr", own if is_traced(own) or np.ndim(own) else float(own)), **found}
    return found


def _out_of_reach(energy_ee):
    """Energy [keV_ee] from which ``energy_ee`` lies six standard deviations below, for every detector."""
    root, linear = (6.0 * max(part) for part in zip(*detector.RESOLUTIONS.values(), strict=True))
    share = 1.0 - linear
    return ((root + np.sqrt(root**2 + 4.0 * share * energy_ee)) / (2.0 * share)) ** 2


def _energies(process, kinks, top_ee, settings, ratio):
    """Gauss nodes and weights of true energies that a window up to ``top_ee`` may see."""
    if process == "nuclear":
        # The spectra of 8B and hep end so gently, isotope by isotope, that their endpoints are no kinks.
        high = highest_recoil_keV(process, "hep", settings["target"], settings["kinematics"])
        return _grid(kinks[0], high, kinks, ratio)
    high = _out_of_reach(top_ee)  # the spectra of lines end higher still
    return _grid(kinks[0], high, [*kinks, *detector.electron_breaks()], ratio)


def _scan(experiment, lowest):
    settings, top = dict(experiment.settings), float(experiment.bin_edges[-1])
    name, channel = experiment.detector, experiment.channel
    top_ee = float(_quenched(top)) if channel == "nr" else top
    spectra, energies, backgrounds = [], [], []
    for process, (kind, at) in _thresholds(channel, lowest).items():
        kinks = detector.efficiency(name, kind, at).breaks
        energy, weight = _energies(process, kinks, top_ee, settings, _SCAN_RATIO)
        spectra.append(_spectra(process, energy, **settings).folded(weight))
        energies.append(frozen(energy))
        rough = detector.background(name, energy) if process == "electron" else np.zeros_like(energy)
        backgrounds.append(frozen(weight * np.asarray(rough)))
    return ThresholdScan(experiment, lowest, top, tuple(spectra), tuple(energies), tuple(backgrounds))


def _fold(name, channel, bin_edges, threshold, settings):
    """(recoils, background per tonne year) of the response ``name``; see :func:`xenon`."""
    edges_ee = np.asarray(_quenched(bin_edges)) if channel == "nr" else bin_edges
    folded, background = [], np.zeros(len(bin_edges) - 1)
    for process, (kind, at) in _thresholds(channel, threshold).items():
        kinks = detector.efficiency(name, kind, at).breaks
        energy, weight = _energies(process, kinks, edges_ee[-1], settings, _PANEL_RATIO)
        seen = weight * np.asarray(_window(name, kind, at, energy, edges_ee))
        folded.append(_spectra(process, energy, **settings).folded(seen))
        if process == "electron":
            background = background + seen @ np.asarray(detector.background(name, energy))
    return tuple(folded), background


def xenon(
    name,
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
    """A liquid-xenon detector that counts recoils by solar neutrinos, as a :class:`Xenon` experiment.

    response: efficiency, resolution and background of ``"lz"``, ``"xenonnt"`` or ``"darwin"``
    (``jaxlmt.detection.xenon``); channel: ``"nr"`` nuclear recoils, in keV_nr; ``"er"`` electron recoils,
    in keV_ee; ``"nr+er"`` both, in keV_ee, without a cut between them; threshold_keV: where the efficiency is
    one half, nominal unless given; exposure [t yr]; bin_edges: of reconstructed energy, from the threshold up
    unless given; acceptance: of the cut that tells the two kinds of recoil apart, for signal and background,
    0.5 for ``"nr"`` and 1 for the others unless given; oscillation: a preset of :func:`jaxlmt.oscillation`,
    or a :class:`jaxlmt.Oscillation` of numbers and priors (a flat one of delta_cp from 0 to 180 degrees: only
    its cosine enters); solar_model: ``"gs98"`` or ``"agss09"``; flux_norms: None, ``"uncertain"`` (Gaussian
    with the uncertainties of the solar model; that of hep flat in its logarithm from half to twice), or a
    dict {source: number or prior} of fluxes relative to the model; shape_8b: of the 8B spectrum, in standard
    deviations, a number or a prior; sin2_theta_w, background_norm: numbers or priors; kinematics: ``"exact"``
    or ``"paper"``; target: ``"xenon"``, ``"131Xe"``, ``"argon"`` or pairs of :class:`jaxlmt.Isotope` and
    share; preset: ``"paper"`` sets the choices of 2104.03297. Raises ValueError for invalid arguments,
    RuntimeError in float32; warns where the threshold lies below what Lindhard's quenching was verified for,
    0.7 keV_nr.
    """
    start_fold()
    choose("response", response, detector.EXPERIMENTS)
    choose("channel", channel, PROCESSES)
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
    settings = {
        "target": target,
        "kinematics": kinematics,
        "model": solar_model,
        "beyond_rrpa": defaults["beyond_rrpa"],
    }
    if not isinstance(shape_8b, Distribution):
        number("shape_8b", shape_8b)
    angles = oscillation_nuisances(defaults["oscillation"] if oscillation is None else oscillation)
    folded, background = _fold(response, channel, bin_edges, threshold, settings)
    seen = {source for recoil in folded for source in recoil.sources}
    traced = {
        "sin2_theta_w": nuisance("sin2_theta_w", sin2_theta_w, low=0.0),
        f"{name}.background_norm": nuisance(f"{name}.background_norm", background_norm, low=0.0),
        **angles,
        **_flux_nuisances(flux_norms, solar_model, seen),
        SHAPE: nuisance(SHAPE, shape_8b),
    }
    return Xenon(
        name=name,
        channel=channel,
        detector=response,
        settings=tuple(settings.items()),
        bin_edges=frozen(bin_edges),
        exposure=number("exposure", exposure, low=0.0),
        acceptance=number("acceptance", acceptance, low=0.0, high=1.0),
        background_rate=frozen(background),
        recoils=folded,
        nominal={k: v for nominal, _ in traced.values() for k, v in nominal.items()},
        nuisances={k: v for _, priors in traced.values() for k, v in priors.items()},
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


def _flux_nuisances(given, model, seen):
    """{name: (nominal, nuisances)} of the fluxes that the detector sees; the others do not matter."""
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
    names = [source for source in solar.SOURCES if source in seen]
    return {flux_name(s): nuisance(flux_name(s), given.get(s, 1.0), low=0.0) for s in names}


_FIELDS = tuple(inspect.signature(xenon).parameters)[1:]
_EXPOSURES = {"lz": 15.34, "xenonnt": 20.0, "darwin": 200.0}  # t yr


@functools.cache
def _detector(name, response, given):
    return xenon(name, **{"response": response, "exposure": _EXPOSURES[response], **dict(given)})


def _cached_detector(response, given):
    for field_name in given:
        choose(f"option of {response}", field_name, ("name", *_FIELDS))
    channel = choose("channel", given.get("channel", "nr"), PROCESSES)
    name = response if channel == "nr" else f"{response}_{channel}".replace("+", "_")
    rest = tuple(sorted((k, _hashable(v)) for k, v in given.items() if k != "name"))
    return _detector(given.get("name", name), response, rest)


def _hashable(value):
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, list | np.ndarray):
        return tuple(np.asarray(value).tolist())
    return value


def lz(**fields):
    """LUX-ZEPLIN: 15.34 t yr. Keywords as :func:`xenon`, and name: ``lz`` with the channel, unless given."""
    return _cached_detector("lz", fields)


def xenonnt(**fields):
    """XENONnT: 20 t yr. Keywords as :func:`xenon`, and name: ``xenonnt`` with the channel, unless given."""
    return _cached_detector("xenonnt", fields)


def darwin(**fields):
    """DARWIN: 200 t yr. Keywords as :func:`xenon`, and name: ``darwin`` with the channel, unless given."""
    return _cached_detector("darwin", fields)


def _signature(name):
    parameters = inspect.signature(xenon).parameters.values()
    defaults = {"response": name, "exposure": _EXPOSURES[name]}
    keywords = [p.replace(default=defaults.get(p.name, p.default)) for p in parameters if p.name in _FIELDS]
    named = inspect.Parameter("name", inspect.Parameter.KEYWORD_ONLY, default=None)
    return inspect.Signature([named, *keywords])


for _factory in (lz, xenonnt, darwin):  # what help() shows, and what an analysis file may change
    _factory.__signature__ = _signature(_factory.__name__)
