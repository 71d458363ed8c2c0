"""NA64mu: missing energy of muons on a lead target (2104.03297, section 3)."""

import functools
from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import AVOGADRO, HBARC_MEV_CM
from ..model import widths
from ..processes.bremsstrahlung import FLUX_INTEGRALS, KERNELS, cross_section_scale
from ..pytrees import pytree
from ..quadrature import (
    gauss_projection,
    panels,
    spline,
    spline_coefficients,
    spline_sites,
    spread,
    unit_gauss,
)
from ..validation import choose, edges, number, values
from .base import Counting, Experiment, frozen, nuisance, start_fold

MASS_RANGE = (0.05, 2e4)  # MeV, of the folded table; documented range: 0.1 MeV to 10 GeV

_INTERVALS = 640  # of the table in ln M: 1e-11 in the counts, 1e-9 in their slope


@pytree
class NA64Mu(Counting, Experiment):
    """Counts per bin of outgoing muon energy E' = E0 (1 - x), folded to sum_k T_bk(M) beta(x_k) P(x_k).

    The velocity beta and the probability P that the A' escapes are sampled at a few nodes x_k a bin,
    (n_bins, n_x). The rest of eq 25 is rough in x but depends on the mass alone: it is integrated once, at
    g Q_mu = 1, and is a quintic spline in ln M. table: (n_knots, 1 + n_bins n_x), ln of a common scale and
    T over it. Outside MASS_RANGE T keeps its value at the edge: exact to 1e-6 below it for ``"ww"``, and
    beyond the validity of the kernels above it.
    """

    name: str = field(metadata={"static": True})
    kernel: str = field(metadata={"static": True})
    bin_edges: np.ndarray  # GeV
    background: np.ndarray
    beam_energy: float  # MeV
    detector_length: float  # cm
    x: np.ndarray
    table: np.ndarray
    nominal: dict
    nuisances: dict

    axis_label = "$E_{\\mu\N{PRIME}}$ [GeV]"
    title = r"NA64$\mu$"

    def rate(self, theta, parameters):
        nodes = self.x.size
        energy, mass = self.x.ravel() * self.beam_energy, spread(theta.mass, nodes)
        is_open = energy > mass
        momentum = jnp.sqrt(jnp.where(is_open, energy**2 - mass**2, 1.0))
        visible_share, decay_rate = self._decays(theta)
        # Probability that the A' leaves no visible energy, eq 27.
        escape = 1.0 + spread(visible_share, nodes) * jnp.expm1(-spread(decay_rate, nodes) / momentum)
        folded = jnp.where(is_open, self._folded(theta.mass), 0.0)
        counts = (folded * (momentum / energy) * escape) @ np.repeat(np.eye(self.n_bins), self.x.shape[1], 0)
        return parameters[f"{self.name}.signal_norm"] * (theta.g_x * theta.charges.mu) ** 2 * counts

    def _decays(self, theta):
        """Visible branching ratio, and L over the decay length times the momentum [MeV] (eq 23)."""
        invisible, visible = widths(theta)
        total = invisible + visible
        decays = total > 0.0
        visible_share = jnp.where(decays, visible / jnp.where(decays, total, 1.0), 0.0)
        return visible_share, self.detector_length * theta.mass * total / HBARC_MEV_CM

    def _folded(self, mass):
        low, high = np.log(MASS_RANGE)
        position = jnp.clip((jnp.log(mass) - low) / (high - low), 0.0, 1.0) * _INTERVALS
        columns = spline(self.table, position)
        return jnp.exp(columns[0]) * columns[1:]


@functools.partial(jax.jit, static_argnames="kernel")
def _without_velocity(x, mass, beam_energy, z, a, kernel):
    """d sigma/dx over beta [cm^2] at g Q_mu = 1, (mass.size, x.size)."""
    x, mass = x[None], mass[:, None]
    flux = FLUX_INTEGRALS[kernel](x, mass, beam_energy, z, a)
    return cross_section_scale(x, mass) * flux


def _fold(shares, luminosity, beam_energy, z, a, kernel):
    """x (n_bins, n_x) and the table, for bins between ``shares`` of the beam energy."""
    fine, coarse = _nodes_per_bin(shares, beam_energy)
    energy, weight = panels(shares, fine)
    nodes, _ = panels(shares, coarse)
    low, high = np.log(MASS_RANGE)
    log_mass = low + (high - low) / _INTERVALS * spline_sites(_INTERVALS)
    values = _without_velocity(1.0 - energy.ravel(), np.exp(log_mass), beam_energy, z, a, kernel)
    values = np.asarray(values).reshape(-1, *energy.shape)
    folded = (values * weight) @ gauss_projection(unit_gauss(fine)[0], coarse)
    folded = folded.reshape(log_mass.size, -1)
    # The form factor falls up to M^-30: the logarithm of the sum takes it, shares are left.
    total = folded.sum(axis=1, keepdims=True)
    total = np.maximum(total, 1e-60 * total.max())  # zero where t_min exceeds t_max
    columns = np.concatenate([np.log(total), luminosity * folded / total], axis=1)
    return 1.0 - nodes, spline_coefficients(columns)


def _nodes_per_bin(shares, beam_energy):
    """Gauss nodes in every bin between ``shares`` of the beam energy: (of the fold, of what is sampled).

    d sigma/dx is singular at E' = 0 and, for the heaviest A' of 10 GeV, at E' = E0 - M, velocity and escape
    only at the latter. Legendre coefficients fall as rho^(-n), rho the Bernstein ellipse through the nearest
    singularity: n nodes leave rho^(-2n) of an integral, and the n-th coefficients of both of a product.
    """
    centre, half = 0.5 * (shares[1:] + shares[:-1]), 0.5 * np.diff(shares)
    highest = 1.0 - min(1e4 / beam_energy, 0.5 * (1.0 - shares[-1]))

    def rho(distance):
        ratio = distance / half
        return ratio + np.sqrt(np.maximum(ratio**2 - 1.0, 1e-3))

    rough = np.log(rho(np.minimum(centre, highest - centre)))
    smooth = np.log(rho(highest - centre))
    coarse = int(np.ceil(np.max(-np.log(2e-10) / (rough + smooth))))
    return int(np.ceil(np.max(-np.log(1e-12) / (2.0 * rough)))) + coarse, coarse


@functools.cache
def _na64mu(bin_edges, fields):
    f = dict(fields)
    kernel = f["kernel"]
    positive = {"low": 0.0, "low_open": True}
    beam_energy = 1e3 * number("beam_energy_GeV", f["beam_energy_GeV"], **positive)
    z = number("target_z", f["target_z"], low=1.0)
    a = number("target_a", f["target_a"], low=1.0)
    length = number("target_length_cm", f["target_length_cm"], **positive)
    luminosity = (
        number("muons_on_target", f["muons_on_target"], **positive)
        * number("efficiency", f["efficiency"], low=0.0, high=1.0)
        * (number("target_density", f["target_density"], **positive) * AVOGADRO / a)
        * length
    )
    bin_edges = edges("bin_edges_GeV", bin_edges)
    if bin_edges[-1] * 1e3 >= beam_energy:
        raise ValueError(
            f"bin_edges_GeV must end below the beam energy, {f['beam_energy_GeV']} GeV; got {bin_edges[-1]:g}"
        )
    n_bins = len(bin_edges) - 1
    shape = () if np.ndim(f["background"]) == 0 else (n_bins,)
    background = values("background", f["background"], shape=shape, low=0.0)
    shares = bin_edges * 1e3 / beam_energy
    x, table = _fold(shares, luminosity, beam_energy, z, a, kernel)
    norm, prior = nuisance("na64mu.signal_norm", f["signal_norm"], low=0.0)
    return NA64Mu(
        name="na64mu",
        kernel=kernel,
        bin_edges=frozen(bin_edges),
        background=frozen(np.broadcast_to(background, n_bins)),
        beam_energy=beam_energy,
        detector_length=length + 100.0 * number("detector_length_m", f["detector_length_m"], low=0.0),
        x=frozen(x),
        table=frozen(table),
        nominal=norm,
        nuisances=prior,
    )


def na64mu(
    *,
    kernel="ww",
    preset=None,
    bin_edges_GeV=(10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
    muons_on_target=1e11,
    efficiency=0.3,
    beam_energy_GeV=160.0,
    target_z=82.0,
    target_a=207.2,
    target_density=11.35,
    target_length_cm=20.0,
    detector_length_m=5.0,
    background=0.0,
    signal_norm=1.0,
):
    """NA64mu Phase I as in 2104.03297, section 3.1: 1e11 muons of 160 GeV on 20 cm of lead.

    kernel: ``"ww"`` or ``"paper"`` (:mod:`jaxlmt.processes.bremsstrahlung`); preset: ``"paper"`` is
    ``kernel="paper"``; bin_edges_GeV: of the outgoing muon's energy, below the beam energy; efficiency: in
    [0, 1]; target_density [g/cm^3]; background: expected counts, a number or one per bin; signal_norm: a
    number or a prior. Valid for A' masses of 0.1 MeV to 10 GeV, values to 1e-9 of adaptive quadrature.
    Raises ValueError for invalid arguments and RuntimeError in float32.
    """
    start_fold()
    if preset is not None:
        kernel = choose("preset", preset, ("paper",))
    fields = {
        "kernel": choose("kernel", kernel, KERNELS),
        "muons_on_target": muons_on_target,
        "efficiency": efficiency,
        "beam_energy_GeV": beam_energy_GeV,
        "target_z": target_z,
        "target_a": target_a,
        "target_density": target_density,
        "target_length_cm": target_length_cm,
        "detector_length_m": detector_length_m,
        "background": background if np.ndim(background) == 0 else tuple(np.asarray(background).tolist()),
        "signal_norm": signal_norm,
    }
    return _na64mu(tuple(np.ravel(bin_edges_GeV).tolist()), tuple(fields.items()))
