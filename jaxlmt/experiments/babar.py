"""BaBar's search for e+ e- -> mu+ mu- A', A' -> mu+ mu-, recast for any charges and decays."""

import functools
from dataclasses import field
from importlib import resources

import jax.numpy as jnp
import numpy as np

from ..model import LMU_LTAU, MIXING_RATIO_PAPER, HiddenPhoton, channel_widths
from ..pytrees import pytree
from ..quadrature import SPLINE_ORDER, spline, spline_coefficients
from ..validation import choose
from .base import frozen, start_fold
from .measurement import Measurement, UpperBound, published, sigma_of_limit

LOWEST = 212.0  # MeV, where the search begins; it ends at the last point of the table
LEVEL = 0.9


@pytree
class BaBar(UpperBound, Measurement):
    """Events over what the published limit allows: g^2 Q_mu^2 BR(mu mu) over the same of the limit.

    ends (2,): first and last mass of the table [MeV]; limit: (n, 1) coefficients of a spline of ln g there,
    in ln M. branching: True if the published limit is one on g in Lmu-Ltau, with the branching ratio of that
    model, False if it is one on g sqrt(BR).
    """

    branching: bool = field(metadata={"static": True})
    ends: np.ndarray
    limit: np.ndarray

    axis_label = "events over the 90% limit"
    title = r"BaBar $4\mu$"

    def rate(self, theta, parameters):
        del parameters
        mass = theta.mass
        is_inside = (mass >= LOWEST) & (mass <= self.ends[1])
        mass = jnp.clip(mass, self.ends[0], self.ends[1])
        position = jnp.log(mass / self.ends[0]) / jnp.log(self.ends[1] / self.ends[0])
        limit2 = jnp.exp(2.0 * spline(self.limit, position * (self.limit.shape[0] - SPLINE_ORDER + 1))[0])
        # Of g^2 Q^2 BR = g^2 Q^2 Gamma_mu/Gamma the width into muons is g^2 Q^2 times that of the benchmark,
        # with which it rises above the threshold: what is left is smooth.
        usual = channel_widths(HiddenPhoton(1.0, theta.mass, MIXING_RATIO_PAPER, LMU_LTAU))
        total = sum(channel_widths(theta).values())
        decays = total > 0.0
        usual_width = sum(usual.values()) if self.branching else usual["mu"]
        coupling2 = (theta.g_x * theta.charges.mu) ** 2
        share = coupling2 * usual_width / jnp.where(decays, total, 1.0)
        return jnp.where(is_inside & decays, coupling2 * share / limit2, 0.0)[None]


@functools.cache
def _table():
    text = resources.files("jaxlmt").joinpath("data/babar.csv").read_text(encoding="utf-8")
    mass_GeV, coupling = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1, unpack=True)
    return 1e3 * mass_GeV[[0, -1]], spline_coefficients(np.log(coupling)[:, None])


def babar(*, preset=None):
    """BaBar's bound from e+ e- -> mu+ mu- A', A' -> mu+ mu- (1606.03501), 212 MeV to 7.7 GeV; one-sided.

    The number of events goes as (g_x Q_mu)^2 BR(A' -> mu mu); in units of what the published 90% limit
    allows it must not exceed one: -2 ln L = (1.28 events)^2, which is 1.64 at the limit, as if nothing had
    been seen. Decays to dark matter weaken it, Lmu strengthens it. The published curve jumps from mass to
    mass, by 17% (rms) in g; here it is smooth, which is the typical limit, not that of a particular mass.
    Zero outside of the masses that were searched; the published curve is known up to 7.68 GeV, not to 10.

    The published curve is taken as one of Lmu-Ltau, with that model's branching ratio. preset: ``"paper"``
    reads it as Drees & Zhao 2107.14528 do, as one for BR = 1. Raises ValueError for other presets.
    """
    start_fold()
    return _babar(preset is None or not choose("preset", preset, ("paper",)))


@functools.cache
def _babar(branching):
    ends, limit = _table()
    return published(
        BaBar,
        name="babar",
        measured=0.0,
        sigma=sigma_of_limit(1.0, LEVEL),
        branching=branching,
        ends=frozen(ends),
        limit=frozen(limit),
    )
