"""The posterior on a grid of physical parameters: exact to the grid, and the oracle of the sampler.

Nothing of the sampler's coordinates enters: prior densities and cell volumes are those of g_x, M_A' and
eps_x (or eps_x/g_x) themselves.
"""

from dataclasses import dataclass

import jax
import numpy as np

from ..distributions import PerCoupling, SignedLogUniform
from ..model import HiddenPhoton
from ..validation import choose, number
from .target import make_target

_ZOOM = 1e-7  # of the largest cell's probability: cells below it on a coarse grid are left out


@dataclass(frozen=True)
class GridPosterior:
    """A normalised posterior on a grid.

    names: one a dimension, the free parameters, with ``"eps_over_g"`` where the prior is on the ratio;
    axes, widths: {name: (n,)} cell centres and sizes; probability: (n, n, ...) of the cells, sum 1;
    log_evidence: ln of the integral of likelihood ratio times prior.
    """

    names: tuple
    axes: dict
    widths: dict
    probability: np.ndarray
    log_evidence: float

    def marginal(self, name):
        """(values (n,), density (n,)) of one parameter, in its own unit."""
        choose("name", name, self.names)
        others = tuple(i for i, other in enumerate(self.names) if other != name)
        return self.axes[name], self.probability.sum(axis=others) / self.widths[name]

    def expectation(self, function):
        """Posterior mean of ``function(**axes)``, NumPy arrays that broadcast over the grid."""
        mesh = np.meshgrid(*(self.axes[name] for name in self.names), indexing="ij", sparse=True)
        return float(np.sum(self.probability * function(**dict(zip(self.names, mesh, strict=True)))))

    def mean(self, name):
        """Posterior mean of one parameter."""
        return self.expectation(lambda **axes: axes[choose("name", name, self.names)])

    def std(self, name):
        """Posterior standard deviation of one parameter."""
        mean = self.mean(name)
        return self.expectation(lambda **axes: (axes[name] - mean) ** 2) ** 0.5


def grid_posterior(joint, prior, *, points=120, coarse=40, systematics="marginal"):
    """The posterior of ``prior`` and ``joint`` by brute force; returns :class:`GridPosterior`.

    points: cells a dimension, on the part of the box that a grid of ``coarse`` cells a dimension finds
    populated; systematics: ``"marginal"`` or ``"profiled"``. Cost: points^d likelihoods. Raises ValueError
    for a prior without a box, or nuisances that have no closed form.
    """
    points = int(number("points", points, low=2, whole=True))
    coarse = int(number("coarse", coarse, low=2, whole=True))
    target = make_target(joint, prior, systematics=systematics)
    if target.free:
        raise ValueError(f"nuisances must have a closed form on a grid; got {', '.join(target.free)}")
    boxes = {}
    for name, distribution in prior.distributions.items():
        core = getattr(distribution, "ratio", distribution)
        if not hasattr(core, "warped_bounds"):
            raise ValueError(f"{name} must have a box prior on a grid; got {distribution!r}")
        boxes[name] = tuple(map(float, core.warped_bounds()))
    first = _evaluate(joint, prior, boxes, coarse, systematics)
    zoomed = {}
    for i, (name, (low, high)) in enumerate(boxes.items()):
        marginal = first.probability.max(axis=tuple(j for j in range(len(boxes)) if j != i))
        if _is_signed(prior, name):  # both halves share one range of ln|value|
            marginal = np.maximum(marginal[coarse - 1 :: -1], marginal[coarse:])
        kept = np.flatnonzero(marginal > _ZOOM * marginal.max())
        step = (high - low) / coarse
        zoomed[name] = max(low, low + step * (kept[0] - 1)), min(high, low + step * (kept[-1] + 2))
    return _evaluate(joint, prior, zoomed, points, systematics)


def _is_signed(prior, name):
    distribution = prior.distributions[name]
    return isinstance(getattr(distribution, "ratio", distribution), SignedLogUniform)


def _evaluate(joint, prior, ranges, n, systematics):
    axes, widths, log_priors, names = {}, {}, [], []
    for name, distribution in prior.distributions.items():
        core = getattr(distribution, "ratio", distribution)
        edges = np.linspace(*ranges[name], 2 * n + 1)  # centres are every second one
        values = np.asarray(core.unwarp(edges))
        centres, sizes = values[1::2], np.abs(np.diff(values[::2]))
        if isinstance(core, SignedLogUniform):
            centres, sizes = np.concatenate([-centres[::-1], centres]), np.concatenate([sizes[::-1], sizes])
        label = "eps_over_g" if isinstance(distribution, PerCoupling) and name == "eps_x" else name
        names.append(label)
        axes[label], widths[label] = centres, sizes
        log_priors.append(np.asarray(core.log_prob(centres)) + np.log(sizes))
    log_cells = np.zeros(tuple(len(p) for p in log_priors))
    for i, log_prior in enumerate(log_priors):
        log_cells += log_prior.reshape([-1 if j == i else 1 for j in range(len(log_priors))])
    rest = np.meshgrid(*list(axes.values())[1:], indexing="ij")
    for i, value in enumerate(axes[names[0]]):  # slabs, so that memory stays small
        slab = [np.full(log_cells.shape[1:], value), *rest]
        theta = _theta(prior, dict(zip(prior.names, slab, strict=True)))
        log_cells[i] += np.asarray(joint.log_likelihood(theta, systematics=systematics))
    peak = log_cells.max()
    probability = np.exp(log_cells - peak)
    total = probability.sum()
    return GridPosterior(tuple(names), axes, widths, probability / total, float(peak + np.log(total)))


def _theta(prior, free) -> HiddenPhoton:
    theta = prior.fill(free)
    return jax.tree.map(np.asarray, theta)
