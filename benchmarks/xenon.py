"""Solar neutrinos in DARWIN: what oscillations and fluxes cost where they are traced, and a scan."""

import functools
import os

if hasattr(os, "sched_setaffinity"):  # one core, before anything makes threads
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np

import jaxlmt as lmt
from jaxlmt.experiments.base import evaluate
from jaxlmt.experiments.solar_recoils import ANGLES, Recoils
from jaxlmt.pytrees import pytree
from jaxlmt.sources.oscillation import Oscillation, flavour_coefficients, matter_cosine
from jaxlmt.statistics import poisson_log_ratio

from . import problem

TITLE = "Solar neutrinos in DARWIN, on one core"
COLUMNS = ("", "points", "compile or fold [s]", "per point [us]", "over frozen")
POINTS = 20_000
SIDE = 10  # points of the scan in coupling and in mass
PUBLIC_TOOL = 9.2  # seconds for such a scan, as quoted for the field's public tool; not measured here


@pytree
class Frozen:
    """One kind of recoil and its data at given oscillations and fluxes: ``response`` (n, 3 * 3 * J) is folded
    with the flavours once."""

    recoils: Recoils
    response: np.ndarray
    observed: np.ndarray
    background: np.ndarray
    sin2_theta_w: float

    def log_likelihood(self, theta):
        """Of the data, at a scalar ``theta``: a pure kernel."""
        squares = self.recoils._squares(theta, self.sin2_theta_w)
        return poisson_log_ratio(self.observed, self.response @ squares.reshape(-1) + self.background)


def freeze(observation):
    """:class:`Frozen` of an experiment that counts one kind of recoil, at its nominal parameters."""
    experiment, parameters = observation.experiment, observation.experiment.parameters()
    (recoils,) = experiment.recoils
    oscillation = Oscillation(*(parameters[name] for name in ANGLES))
    constant, slope = flavour_coefficients(oscillation)
    cosine = matter_cosine(oscillation, recoils.energy, recoils.density, recoils.weight)
    flavours = (constant[:, None] + slope[:, None] * cosine[None]) @ recoils.by_energy
    sums = recoils.response.reshape(experiment.n_bins, flavours.shape[1], -1)
    response = np.einsum("nrs,ar,xs->nax", sums, flavours, recoils.by_recoil, optimize=True)
    response = experiment.exposure * experiment.acceptance * response.reshape(experiment.n_bins, -1)
    return Frozen(recoils, response, observation.counts, experiment.background, parameters["sin2_theta_w"])


def _frozen(parts, theta, _):
    return sum(part.log_likelihood(theta) for part in parts)


def _fold(channel, exposures):
    return lmt.darwin(channel=channel, threshold_keV=1.0, exposure=next(exposures))


def _varied(joint, n):
    """Oscillations and fluxes (n,) each, scattered as their uncertainties do; delta_CP anywhere."""
    random = np.random.default_rng(2)
    angles = vars(lmt.oscillation("nufit6", uncertainties=True))
    found = {name: random.normal(prior.mean, prior.std, n) for name, prior in angles.items()}
    fluxes = [name for name in joint.nominal if name.startswith("flux.")]
    norms = {name: np.maximum(random.normal(1.0, 0.1, n), 0.1) for name in fluxes}
    return {**found, **norms, "delta_cp": random.uniform(0.0, 360.0, n)}


def rows():
    """Folding; the likelihood with everything traced, then frozen; a scan of one count."""
    lmt.enable_x64()
    detectors, exposures = [], map(float, range(100, 200))  # a new one each time, for which no cache has any
    for channel in ("nr", "er"):
        first, again = problem.timed(functools.partial(_fold, channel, exposures))
        yield f"fold {channel.upper()}, compilation + the rest", "", f"{first:.2f} + {again:.2f}", "", ""
        detectors.append(lmt.darwin(channel=channel, threshold_keV=1.0))

    joint = lmt.Joint.asimov(detectors, lmt.benchmark("BP1"))
    theta, varied = lmt.HiddenPhoton(*problem.points(POINTS)), _varied(joint, POINTS)
    parts = tuple(freeze(observation) for observation in joint.observations)
    measured = (
        ("oscillations and fluxes frozen", lambda: evaluate(_frozen, (parts,), theta, {})),
        ("six oscillation parameters and all fluxes vary", lambda: joint.log_likelihood(theta, varied)),
    )
    base = None
    for label, function in measured:
        first, again = problem.timed(function)
        base = again if base is None else base
        cost = f"{again / POINTS * 1e6:.3g}"
        yield f"NR + ER, {label}", POINTS, f"{first:.2f}", cost, f"{again / base:.3g}"

    one = lmt.darwin(threshold_keV=1.0, bin_edges=(1.0, 13.0))
    axes = np.meshgrid(np.geomspace(1e-4, 1e-2, SIDE), np.geomspace(1.0, 1e3, SIDE))
    scan = lmt.HiddenPhoton(*axes, -axes[0] / 70.0)
    first, again = problem.timed(lambda: one.expected(scan))
    size = SIDE**2
    yield f"one NR count on {SIDE} x {SIDE} points", size, f"{first:.2f}", f"{again / size * 1e6:.3g}", ""
    yield f"the same in {PUBLIC_TOOL} s, as quoted", size, "", f"{PUBLIC_TOOL / size * 1e6:.3g}", ""
    yield "ratio of the two", "", "", f"{PUBLIC_TOOL / again:.0f}", ""
