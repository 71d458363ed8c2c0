"""Liquid-xenon detectors that see solar neutrinos: LZ, XENONnT, DARWIN (2104.03297, section 5)."""

import inspect
from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from ..detection import xenon as detector
from ..pytrees import pytree
from ..sources import solar
from ..validation import check_theta, values
from .base import Counting, Experiment, frozen
from .factories import variant
from .solar_recoils import flux_name
from .xenon_scan import scan
from .xenon_search import KINDS, PROCESSES, Settings, quenched, search, thresholds_of, usual_name

TITLES = {"lz": "LZ", "xenonnt": "XENONnT", "darwin": "DARWIN"}
EXPOSURES = {"lz": 15.34, "xenonnt": 20.0, "darwin": 200.0}  # t yr

_PANEL_RATIO = 1.25


@pytree
class Xenon(Counting, Experiment):
    """Poisson counts per bin, of recoils by solar neutrinos and of the background.

    exposure [t yr]; acceptance: of a cut, for signal and background alike; background_rate: (n_bins,) per
    tonne year before the cut; recoils: a ``jaxlmt.experiments.solar_recoils.Recoils`` for each kind of
    recoil that the channel counts.
    """

    name: str = field(metadata={"static": True})
    channel: str = field(metadata={"static": True})
    settings: Settings = field(metadata={"static": True})  # what a spectrum at other energies needs
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
        return f"{TITLES[self.settings.detector]} {self.channel.upper()}"

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
        # the fluxes that no bin sees, for energies below the bins
        parameters = {**{flux_name(s): np.float64(1.0) for s in solar.SOURCES}, **self.parameters(nuisances)}
        total = 0.0
        for process in PROCESSES[self.channel]:
            recoil, jacobian = energy, 1.0
            if process == "nuclear" and self.channel != "nr":
                recoil, jacobian = map(np.asarray, _recoil_and_slope(energy))
            top = self.settings.highest_recoil(process)
            weight = np.where(recoil < top, jacobian, 0.0)
            recoil = np.minimum(recoil, (1.0 - 1e-6) * top)
            folded = self.settings.spectra(process, recoil).folded(weight)
            total = total + _counts(folded, check_theta(theta), parameters)
        return total

    def _parameters_of(self, recoils):
        """(nominal, nuisances), with the fluxes that ``recoils`` see and no bin does."""
        fluxes = {flux_name(source): 1.0 for part in recoils for source in part.sources}
        return {**fluxes, **self.nominal}, self.nuisances

    def thresholds(self, lowest_keV=None):
        """The same with its threshold left open: a :class:`jaxlmt.experiments.xenon_scan.ThresholdScan`.

        lowest_keV: of the thresholds that will be asked for, in the unit of ``bin_edges``; 0.7 keV_nr unless
        given, or what it is in keV_ee. Counts are those between the threshold and the last edge. Without an
        experiment, :func:`jaxlmt.experiments.xenon_scan.threshold_scan` makes one faster.
        """
        return scan(
            self.name,
            self.channel,
            self.settings,
            lowest_keV=lowest_keV,
            top=self.bin_edges[-1],
            acceptance=self.acceptance,
            parameters=self._parameters_of,
        )


@jax.jit
def _counts(recoils, theta, parameters):
    return recoils.counts(theta, parameters)


@jax.jit
def _recoil_and_slope(energy_ee):
    return jax.jvp(detector.recoil_of, (energy_ee,), (jnp.ones_like(energy_ee),))


_window = jax.jit(detector.window, static_argnums=(0, 1))


def _fold(search):
    """(recoils, background per tonne year) in the bins of a ``Search``."""
    bins = search.bin_edges
    edges_ee = np.asarray(quenched(bins)) if search.channel == "nr" else bins
    recoils, background = [], np.zeros(len(bins) - 1)
    for process, threshold in thresholds_of(search.channel, search.threshold).items():
        energy, weight = search.settings.grid(process, threshold, edges_ee[-1], _PANEL_RATIO)
        window = _window(search.settings.detector, KINDS[process], threshold, energy, edges_ee)
        seen = weight * np.asarray(window)
        recoils.append(search.settings.spectra(process, energy).folded(seen))
        background = background + seen @ search.settings.background(process, energy)
    return tuple(recoils), background


def xenon(*name, **fields):
    """A liquid-xenon detector that counts recoils by solar neutrinos, as a :class:`Xenon` experiment.

    name: that of the response, with the channel, unless given;
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
    found = search(*name, **fields)
    recoils, background = _fold(found)
    nominal, nuisances = found.parameters(recoils)
    return Xenon(
        name=found.name,
        channel=found.channel,
        settings=found.settings,
        bin_edges=found.bin_edges,
        exposure=found.exposure,
        acceptance=found.acceptance,
        background_rate=frozen(background),
        recoils=recoils,
        nominal=nominal,
        nuisances=nuisances,
    )


xenon.__signature__ = inspect.signature(search)


@variant(xenon, named=usual_name, response="lz", exposure=EXPOSURES["lz"])
def lz():
    """LUX-ZEPLIN: 15.34 t yr. Keywords as :func:`xenon`, and name: ``lz`` with the channel, unless given."""


@variant(xenon, named=usual_name, response="xenonnt", exposure=EXPOSURES["xenonnt"])
def xenonnt():
    """XENONnT: 20 t yr. Keywords as :func:`xenon`, and name: ``xenonnt`` with the channel, unless given."""


@variant(xenon, named=usual_name, response="darwin", exposure=EXPOSURES["darwin"])
def darwin():
    """DARWIN: 200 t yr. Keywords as :func:`xenon`, and name: ``darwin`` with the channel, unless given."""
