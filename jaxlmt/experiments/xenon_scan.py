"""Solar neutrinos in xenon above a threshold that is left open."""

import functools
from dataclasses import field

import jax
import jax.numpy as jnp

from ..detection import xenon as detector
from ..pytrees import pytree
from ..validation import check_theta, is_traced, number, to_float64, values
from .base import complete, frozen
from .solar_recoils import ANGLES, SHAPE, flux_name
from .xenon_search import KINDS, PROCESSES, quenched, search, thresholds_of

_PANEL_RATIO = 1.12  # finer than for bins, because these panels know no kinks of the efficiency


@pytree
class ThresholdScan:
    """Rates above a threshold, as smooth functions of it: spectra on a fine grid of recoil energies.

    lowest, top: of the thresholds that may be asked for, in the unit of the channel; top_ee: the latter in
    keV_ee; acceptance: of a cut, for signal and background; spectra: one ``Recoils`` for each kind of recoil,
    (n,) counts per tonne year at the nodes of a quadrature; energy: (n,) of each; background: (n,) likewise,
    per tonne year.
    """

    name: str = field(metadata={"static": True})
    channel: str = field(metadata={"static": True})
    detector: str = field(metadata={"static": True})
    acceptance: float
    lowest: float
    top: float
    top_ee: float
    spectra: tuple
    energy: tuple
    background: tuple
    nominal: dict
    nuisances: dict

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
        parameters = complete(self.name, self.nominal, nuisances)
        return _rates(self, check_theta(theta), to_float64(threshold_keV), parameters)


def _rates(scan, theta, threshold_keV, parameters):
    # in pieces that channels share, as compiled programs
    at = threshold_keV.reshape(-1)
    low_ee = quenched(at) if scan.channel == "nr" else at
    own, seen = thresholds_of(scan.channel, at), []
    parts = zip(PROCESSES[scan.channel], scan.spectra, scan.energy, scan.background, strict=True)
    for process, recoils, energy, background in parts:
        names = ("sin2_theta_w", SHAPE, *ANGLES, *map(flux_name, recoils.sources))
        rate = _counts(recoils, theta, {name: parameters[name] for name in names})
        window = own[process], low_ee, scan.top_ee
        seen.append(_above(scan.detector, KINDS[process], *window, energy, rate, background))
    norm = parameters[f"{scan.name}.background_norm"]
    return _together(seen, scan.acceptance, norm, threshold_keV)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _above(name, kind, thresholds, low_ee, top_ee, energy, signal, background):
    """Sums (m,) of signal and background (n,) at ``energy`` (n,) seen above each of ``thresholds`` (m,)."""

    def seen(threshold, low):
        return detector.window(name, kind, threshold, energy, jnp.stack([low, top_ee]))[0]

    matrix = jax.vmap(seen)(thresholds, low_ee)
    return matrix @ signal, matrix @ background


@jax.jit
def _counts(recoils, theta, parameters):
    return recoils.counts(theta, parameters)


@jax.jit
def _together(seen, acceptance, norm, like):
    signal, background = (sum(part) for part in zip(*seen, strict=True))
    return tuple((acceptance * part).reshape(like.shape) for part in (signal, norm * background))


@functools.cache
def _fine(settings, process, lowest, top_ee):
    """(spectra, energy, background) of a :class:`ThresholdScan`: channels share them."""
    energy, weight = settings.grid(process, lowest, top_ee, _PANEL_RATIO)
    rough = frozen(weight * settings.background(process, energy))
    return settings.spectra(process, energy).folded(weight), frozen(energy), rough


def scan(name, channel, settings, *, lowest_keV, top, acceptance, parameters):
    """:class:`ThresholdScan`; parameters: a function of its spectra, that gives (nominal, nuisances)."""
    if lowest_keV is None:  # not by way of keV_ee and back, so that channels share their nuclear recoils
        own = {"nuclear": detector.LOWEST_QUENCHED, "electron": float(quenched(detector.LOWEST_QUENCHED))}
        lowest_keV = own["nuclear" if channel == "nr" else "electron"]
    else:
        own = thresholds_of(channel, number("lowest_keV", lowest_keV, low=0.0, low_open=True))
    top_ee = float(quenched(top)) if channel == "nr" else float(top)
    # the endpoint of nuclear recoils bounds their energies, whatever the top
    found = [_fine(settings, p, own[p], top_ee if p == "electron" else None) for p in PROCESSES[channel]]
    spectra, energy, background = zip(*found, strict=True)
    nominal, nuisances = parameters(spectra)
    return ThresholdScan(
        name=name,
        channel=channel,
        detector=settings.detector,
        acceptance=float(acceptance),
        lowest=float(lowest_keV),
        top=float(top),
        top_ee=top_ee,
        spectra=spectra,
        energy=energy,
        background=background,
        nominal=nominal,
        nuisances=nuisances,
    )


def threshold_scan(*, lowest_keV=None, **fields):
    """A search with its threshold left open, as a :class:`ThresholdScan`, without bins and so twice as fast.

    fields: as for :func:`jaxlmt.xenon`, of which a threshold and an exposure do not matter, and of the edges
    only the last. lowest_keV: of the thresholds that will be asked for, in the unit of ``bin_edges``; 0.7
    keV_nr unless given, or what it is in keV_ee. Raises ValueError for invalid arguments.
    """
    found = search(**fields)
    return scan(
        found.name,
        found.channel,
        found.settings,
        lowest_keV=lowest_keV,
        top=found.bin_edges[-1],
        acceptance=found.acceptance,
        parameters=found.parameters,
    )
