"""Single photons at e+ e- colliders, a search to come: Belle II and a tau-charm factory."""

from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from ..model import widths
from ..processes.monophoton import check_cos_max, cross_section, neutrino_spectrum
from ..pytrees import pytree
from ..quadrature import panels
from ..validation import choose, edges, number, values
from .base import Counting, Experiment, frozen, nuisance, start_fold
from .factories import variant

CM2_PER_INVERSE_AB = 1e42  # an integrated luminosity of 1/ab in 1/cm^2
TITLES = {"belle2": "Belle II single photon", "tau_charm": "tau-charm single photon"}
ENERGIES_GEV = {None: {"belle2": 10.58, "tau_charm": 4.0}, "paper": {"belle2": 10.0, "tau_charm": 4.0}}

BIN_EDGES = tuple(np.linspace(0.1, 1.1, 51).round(12).tolist())

_NODES = 8  # Gauss nodes a panel of the background's spectrum


@pytree
class Monophoton(Counting, Experiment):
    """Poisson counts per bin of x = 2 E_gamma/sqrt(s), in the centre-of-mass frame.

    The A' gives a line at x = 1 - M^2/s, of relative width ``resolution``; it is not seen itself where it
    decays to neutrinos or dark matter. exposure: luminosity times efficiency [1/cm^2]; energy: sqrt(s) [MeV].
    """

    name: str = field(metadata={"static": True})
    bin_edges: np.ndarray
    background: np.ndarray
    exposure: float
    energy: float
    cos_max: float
    resolution: float
    nominal: dict
    nuisances: dict

    axis_label = r"$2E_\gamma/\sqrt{s}$"

    @property
    def title(self):
        """Name for people."""
        return TITLES[self.name]

    def rate(self, theta, parameters):
        sigma, x = cross_section(theta, self.energy, self.cos_max)
        invisible, visible = widths(theta)
        total = invisible + visible
        decays = total > 0.0
        unseen = jnp.where(decays, invisible / jnp.where(decays, total, 1.0), 1.0)
        seen = parameters[f"{self.name}.signal_norm"] * self.exposure * unseen * sigma
        return seen * window(x, self.bin_edges, self.resolution)


def window(x, bin_edges, resolution):
    """Probability (n_bins,) that a photon of true energy ``x``, a scalar, is seen in a bin. Pure kernel."""
    return jnp.diff(ndtr((bin_edges - x) / (resolution * x)))


@jax.jit
def _irreducible(x, weight, bin_edges, energy, cos_max, resolution):
    """sigma [cm^2] of gamma nu nubar in every bin, from nodes (n,) of a quadrature in x."""
    share = jax.vmap(window, in_axes=(0, None, None))(x, bin_edges, resolution)
    return (weight * neutrino_spectrum(x, energy, cos_max)) @ share


def _neutrinos(bin_edges, energy, cos_max, resolution):
    lowest = min(bin_edges[0] / (1.0 + 10.0 * resolution), 0.5)
    count = int(np.ceil(np.log(1.0 / lowest) / (0.5 * resolution)))
    x, weight = panels(np.geomspace(lowest, 1.0, min(count, 2000) + 1), _NODES)
    return np.asarray(_irreducible(x.ravel(), weight.ravel(), bin_edges, energy, cos_max, resolution))


def _collider(
    name,
    *,
    luminosity_per_ab,
    preset=None,
    energy_GeV=None,
    efficiency=1.0,
    cos_max=0.985,
    resolution=0.02,
    bin_edges=BIN_EDGES,
    background="neutrinos",
    signal_norm=1.0,
):
    start_fold()
    if preset not in ENERGIES_GEV:
        choose("preset", preset, ("paper",))
    energy_GeV = ENERGIES_GEV[preset][name] if energy_GeV is None else energy_GeV
    energy = 1e3 * number("energy_GeV", energy_GeV, low=0.1, high=40.0)
    cos_max = check_cos_max(cos_max)
    resolution = number("resolution", resolution, low=1e-3, high=0.2)
    bin_edges = edges("bin_edges", bin_edges)
    exposure = (
        number("luminosity_per_ab", luminosity_per_ab, low=0.0)
        * number("efficiency", efficiency, low=0.0, high=1.0)
        * CM2_PER_INVERSE_AB
    )
    n_bins = len(bin_edges) - 1
    if isinstance(background, str):
        choose("background, if no number,", background, ("neutrinos",))
        background = exposure * _neutrinos(bin_edges, energy, cos_max, resolution)
    else:
        shape = () if np.ndim(background) == 0 else (n_bins,)
        background = values("background", background, shape=shape, low=0.0)
    norm, prior = nuisance(f"{name}.signal_norm", signal_norm, low=0.0)
    return Monophoton(
        name=name,
        bin_edges=frozen(bin_edges),
        background=frozen(np.broadcast_to(background, n_bins)),
        exposure=exposure,
        energy=energy,
        cos_max=cos_max,
        resolution=resolution,
        nominal=norm,
        nuisances=prior,
    )


@variant(_collider, name="belle2", luminosity_per_ab=50.0)
def belle2():
    """Single photons at Belle II with all of its planned 50/ab: Drees & Zhao 2107.14528, section 5. A
    projection.

    energy_GeV: sqrt(s), 10.58 unless given; luminosity_per_ab; efficiency: in [0, 1]; cos_max: of the photon,
    in the centre-of-mass frame; resolution: sigma_E/E, 0.02; bin_edges: of x = 2 E_gamma/sqrt(s), 0.02 wide
    unless given; background: ``"neutrinos"``, that of e+ e- -> gamma nu nubar, or expected counts, a number
    or one per bin; signal_norm: a number or a prior; preset: ``"paper"`` takes 10 GeV. Not in it are
    radiative Bhabha scattering and gamma gamma with particles lost, which detectors are made to veto, nor
    the price of that, an efficiency below one: the reach is optimistic. Zero signal for M >= sqrt(s) and, in
    effect, where the line lies below the bins. Raises ValueError for invalid arguments and RuntimeError in
    float32.
    """


@variant(_collider, name="tau_charm", luminosity_per_ab=2.0)
def tau_charm():
    """Single photons at a super tau-charm factory of sqrt(s) = 4 GeV in a year, 2/ab. A projection.

    Keywords and what they mean as for :func:`jaxlmt.belle2`; preset: ``"paper"`` changes nothing.
    """
