"""NA64mu: missing energy of muons on a lead target (2104.03297, section 3)."""

import functools
from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import AVOGADRO
from ..model import inverse_decay_length, widths
from ..processes.bremsstrahlung import FLUX_INTEGRALS, KERNELS, cross_section_from_flux
from ..pytrees import pytree
from ..quadrature import chebyshev_nodes, panels
from ..validation import choose, edges, number, values
from .base import Counting, Experiment, frozen, nuisance, start_fold

MASS_RANGE = (0.05, 2e4)  # MeV, of the folded table; documented range: 0.1 MeV to 10 GeV

_INTERVALS, _ORDER = 96, 10  # of the table in ln M: 1e-11 in the cross section, 1e-9 in its slope


@pytree
class NA64Mu(Counting, Experiment):
    """Counts per bin of outgoing muon energy E' = E0 (1 - x).

    The flux integral J(x, M) of the cross section is tabulated: ln J(x_i, M) at the Gauss nodes x_i is a
    polynomial in ln M on each of 96 intervals, table (96, 10, n_bins, n_x) in rising powers.
    x, weight: (n_bins, n_x) nodes, and weights times luminosity. Outside MASS_RANGE J keeps its value at the
    edge: exact to 1e-6 below it for ``"ww"``, and beyond the validity of the kernels above it.
    """

    name: str = field(metadata={"static": True})
    kernel: str = field(metadata={"static": True})
    bin_edges: np.ndarray  # GeV
    background: np.ndarray
    beam_energy: float  # MeV
    detector_length: float  # cm
    x: np.ndarray
    weight: np.ndarray
    table: np.ndarray
    nominal: dict
    nuisances: dict

    axis_label = "$E_{\\mu\N{PRIME}}$ [GeV]"
    title = r"NA64$\mu$"

    def rate(self, theta, parameters):
        flux = jnp.exp(self._log_flux(theta.mass))
        cross_section = cross_section_from_flux(self.x, theta, flux, self.beam_energy)
        return parameters[f"{self.name}.signal_norm"] * jnp.sum(
            self.weight * cross_section * self._escape(theta), axis=1
        )

    def _log_flux(self, mass):
        low, high = np.log(MASS_RANGE)
        position = jnp.clip((jnp.log(mass) - low) / (high - low), 0.0, 1.0) * _INTERVALS
        interval = jnp.clip(position.astype(int), 0, _INTERVALS - 1)
        local = 2.0 * (position - interval.astype(position.dtype)) - 1.0
        coefficients = jax.lax.dynamic_index_in_dim(self.table, interval, keepdims=False)
        result = coefficients[-1]
        for power in range(_ORDER - 2, -1, -1):  # Horner, unrolled at trace time
            result = result * local + coefficients[power]
        return result

    def _escape(self, theta):
        """Probability that the A' leaves no visible energy, eq 27: (n_bins, n_x)."""
        invisible, visible = widths(theta)
        total = invisible + visible
        decays = total > 0.0
        visible_share = jnp.where(decays, visible / jnp.where(decays, total, 1.0), 0.0)
        depth = self.detector_length * inverse_decay_length(theta, self.x * self.beam_energy)
        return 1.0 + visible_share * jnp.expm1(-depth)


@functools.partial(jax.jit, static_argnames="kernel")
def _log_flux(x, mass, beam_energy, z, a, kernel):
    flux = FLUX_INTEGRALS[kernel](x[:, None], mass[None], beam_energy, z, a)
    return jnp.log(jnp.maximum(flux, 1e-300))  # zero where t_min exceeds t_max


def _tabulate(x, beam_energy, z, a, kernel):
    """Polynomials (intervals, order, x.size) of ln J in the local coordinate of each interval of ln M."""
    ends = np.linspace(*np.log(MASS_RANGE), _INTERVALS + 1)
    local = chebyshev_nodes(-1.0, 1.0, _ORDER)
    log_mass = ends[:-1, None] + 0.5 * np.diff(ends)[:, None] * (local + 1.0)
    values = np.asarray(_log_flux(x, np.exp(log_mass.ravel()), beam_energy, z, a, kernel))
    values = values.reshape(x.size, _INTERVALS, _ORDER)
    return np.einsum("kl,xil->ikx", np.linalg.inv(np.vander(local, increasing=True)), values)


def _nodes_per_bin(shares, beam_energy):
    """Gauss nodes for 1e-12 in every bin between ``shares`` of the beam energy.

    d sigma/dx is singular at E' = 0 and, for the heaviest A' of 10 GeV, at E' = E0 - M; n nodes leave an
    error of rho^(-2n) on the Bernstein ellipse rho through the nearer one.
    """
    centre, half = 0.5 * (shares[1:] + shares[:-1]), 0.5 * np.diff(shares)
    highest = 1.0 - min(1e4 / beam_energy, 0.5 * (1.0 - shares[-1]))
    ratio = np.min(np.minimum(centre, highest - centre) / half)
    rho = ratio + np.sqrt(max(ratio**2 - 1.0, 1e-3))
    return int(np.ceil(-np.log(1e-12) / (2.0 * np.log(rho))))


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
    energy, width = panels(shares, _nodes_per_bin(shares, beam_energy))
    x = 1.0 - energy
    table = _tabulate(x.ravel(), beam_energy, z, a, kernel)
    norm, prior = nuisance("na64mu.signal_norm", f["signal_norm"], low=0.0)
    return NA64Mu(
        name="na64mu",
        kernel=kernel,
        bin_edges=frozen(bin_edges),
        background=frozen(np.broadcast_to(background, n_bins)),
        beam_energy=beam_energy,
        detector_length=length + 100.0 * number("detector_length_m", f["detector_length_m"], low=0.0),
        x=frozen(x),
        weight=frozen(luminosity * width),
        table=frozen(table.reshape(_INTERVALS, _ORDER, *x.shape)),
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
