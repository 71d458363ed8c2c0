"""The measured anomalous magnetic moment of the muon, as an experiment with one Gaussian bin."""

import functools
import tomllib
from dataclasses import field
from importlib import resources

import numpy as np

from ..processes.gminus2 import magnetic_moment
from ..pytrees import pytree
from ..statistics import gaussian_log_ratio
from ..validation import choose, values
from .base import Experiment, Observation, frozen, start_fold


@pytree
class GMinus2(Experiment):
    """Delta a_mu = measured +- sigma; :meth:`observe` without an argument takes the measured value."""

    name: str = field(metadata={"static": True})
    measured: float
    sigma: np.ndarray
    bin_edges: np.ndarray
    background: np.ndarray
    nominal: dict
    nuisances: dict

    axis_label = r"$\Delta a_\mu$"
    value_label = ""
    title = r"$(g-2)_\mu$"

    def rate(self, theta, parameters):
        del parameters
        return magnetic_moment(theta)[None]

    def log_likelihood(self, counts, theta, parameters):
        return gaussian_log_ratio(counts, self.rate(theta, parameters), self.sigma**2)

    def draw(self, generator, mean):
        return generator.normal(mean, self.sigma)

    def observe(self, delta_a_mu=None):
        """This experiment with ``delta_a_mu`` as its datum; the published value unless given."""
        delta_a_mu = self.measured if delta_a_mu is None else delta_a_mu
        return Observation(self, values(f"delta_a_mu of {self.name}", np.atleast_1d(delta_a_mu), shape=(1,)))


@functools.cache
def measurements():
    """Published comparisons of experiment and Standard Model: {name: dict}, see data/gminus2.toml."""
    text = resources.files("jaxlmt").joinpath("data/gminus2.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def gminus2(measurement="2021"):
    """The measurement of Delta a_mu by name: ``"2021"``, 251(59)e-11 (2104.03281), the one of the papers,
    or ``"2025"``, consistent with zero. Raises ValueError for other names."""
    start_fold()
    table = measurements()
    entry = table[choose("measurement", measurement, table)]
    return GMinus2(
        name="gminus2",
        measured=float(entry["delta_a_mu"]),
        sigma=frozen([entry["sigma"]]),
        bin_edges=frozen([0.0, 1.0]),
        background=frozen([0.0]),
        nominal={},
        nuisances={},
    )
