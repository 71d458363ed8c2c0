"""Gradient search from many starts, and the Gaussian (Laplace) approximation at the optimum."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..distributions import Normal
from ..experiments.base import generator
from ..model import HiddenPhoton
from ..validation import number, random_key
from .target import as_likelihood, make_target, meanings, potentials_and_gradients

# Step lengths tried at once along every direction: a parallel line search costs one batched evaluation and
# compiles nothing that the rest does not need.
STEPS = np.array([4.0, 1.0, 0.5, 0.25, 0.1, 0.02, 2e-3, 1e-4])
SCREENED, STARTS = 2048, 48  # draws from the prior, of which the best are searched from
_MEMORY = optax.scale_by_lbfgs(memory_size=8)


@dataclass(frozen=True)
class Optimum:
    """Where a search ended. y: (d,) coordinates; potential: -log density there;
    gradient_norm; iterations; converged: fraction of the starts that ended within 1e-3 of the best."""

    y: np.ndarray
    potential: float
    gradient_norm: float
    iterations: int
    starts: int
    converged: float


@jax.jit
def _start_memory(y):
    return jax.vmap(_MEMORY.init)(y)


@jax.jit
def _directions(gradient, memory, y):
    step, memory = jax.vmap(_MEMORY.update)(gradient, memory, y)
    return -step, memory


def minimise(target, starts, *, max_iterations=200, tolerance=1e-6, frozen=None, every=False):
    """L-BFGS (optax) from ``starts`` (n, d) at once, with a parallel line search. Returns :class:`Optimum`,
    or with ``every`` the end points and potentials of all starts, (n, d) and (n,).

    frozen: index of a coordinate that keeps its starting values.
    Stops when every start has a gradient below ``tolerance`` or no longer gains.
    """
    y = np.asarray(starts, float)
    n, d = y.shape
    active = np.arange(d) != (-1 if frozen is None else frozen)
    value, gradient = potentials_and_gradients(target, y)
    gradient = gradient * active
    memory = _start_memory(y)
    rows = np.arange(n)
    moving = np.isfinite(value)
    iterations = 0
    while moving.any() and iterations < max_iterations:
        iterations += 1
        direction, memory = _directions(gradient, memory, y)
        direction = np.array(direction)
        uphill = np.einsum("nd,nd->n", direction, gradient) >= 0.0
        uphill |= ~np.isfinite(direction).all(axis=1)
        direction[uphill] = -gradient[uphill]
        # No step of more than 4 units in any coordinate: the box is about 10 units wide.
        direction /= np.maximum(1.0, np.abs(direction).max(axis=1) / 4.0)[:, None]
        trials = y[:, None] + STEPS[:, None] * direction[:, None]
        values, gradients = potentials_and_gradients(target, trials.reshape(-1, d))
        gradients = gradients * active
        values = np.where(np.isnan(values), np.inf, values).reshape(n, -1)
        best = np.argmin(values, axis=1)
        better = moving & (values[rows, best] < value)
        gain = np.where(better, value - values[rows, best], 0.0)
        y = np.where(better[:, None], trials[rows, best], y)
        gradient = np.where(better[:, None], gradients.reshape(n, -1, d)[rows, best], gradient)
        value = np.where(better, values[rows, best], value)
        settled = np.linalg.norm(gradient, axis=1) < tolerance
        moving = (gain > 1e-12 * (1.0 + np.abs(value))) & ~settled
    if every:
        return y, value
    leader = int(np.argmin(value))
    return Optimum(
        y=y[leader],
        potential=float(value[leader]),
        gradient_norm=float(np.linalg.norm(gradient[leader])),
        iterations=iterations,
        starts=n,
        converged=float(np.mean(value < value[leader] + 1e-3)),
    )


def starting_points(target, key, n):
    """The best ``n`` of 2048 draws from the prior, in unconstrained coordinates (n, d)."""
    draws = generator(key).logistic(size=(SCREENED, target.dimension))
    values, _ = potentials_and_gradients(target, draws)
    return draws[np.argsort(np.where(np.isnan(values), np.inf, values))[:n]]


def curvature(target, y, *, step=1e-4):
    """Hessian (d, d) of -log density at ``y`` by central differences of the compiled gradient."""
    d = y.size
    offsets = step * np.eye(d)
    points = np.concatenate([y + offsets, y - offsets])
    _, gradients = potentials_and_gradients(target, points)
    hessian = (gradients[:d] - gradients[d:]) / (2.0 * step)
    return 0.5 * (hessian + hessian.T)


def covariance_from(hessian, *, floor=0.05):
    """Inverse of a Hessian whose eigenvalues are raised to ``floor``: always positive definite.

    The floor is the curvature of a prior box, so that a direction without information gets the box's size.
    """
    values, vectors = np.linalg.eigh(hessian)
    return (vectors / np.maximum(values, floor)) @ vectors.T


@dataclass(frozen=True)
class FitResult:
    """Best fit: the maximum of the profile likelihood on the prior's box.

    theta, nuisances: at the optimum; minus_two_log_likelihood: relative to a perfect description, nuisance
    constraints included (the constant of a Gaussian constraint left out); terms: {experiment: -2 ln L};
    names, covariance: physical parameters (theta's free ones, then nuisances) and the (d, d) covariance
    of them, the inverse Hessian in unconstrained coordinates carried over linearly; optimum: how the
    search ended.
    """

    theta: HiddenPhoton
    nuisances: dict
    minus_two_log_likelihood: float
    terms: dict
    names: tuple
    covariance: np.ndarray
    optimum: Optimum

    def to_dict(self):
        """JSON-able numbers: parameters, covariance, terms and how the search ended."""
        return {
            "parameters": {n: _lookup(self.theta, n) for n in ("g_x", "mass", "eps_x")},
            "nuisances": self.nuisances,
            "minus_two_log_likelihood": self.minus_two_log_likelihood,
            "terms": self.terms,
            "covariance": {"names": list(self.names), "matrix": self.covariance.tolist()},
            "starts": self.optimum.starts,
            "converged": self.optimum.converged,
        }

    def __str__(self):
        values = [self.nuisances[n] if n in self.nuisances else _lookup(self.theta, n) for n in self.names]
        sigma = np.sqrt(np.diag(self.covariance))
        pairs = zip(self.names, values, sigma, strict=True)
        rows = [f"  {name} = {value:.5g} +- {width:.2g}" for name, value, width in pairs]
        head = f"best fit, -2 ln L = {self.minus_two_log_likelihood:.4g}"
        reached = f"{self.optimum.converged:.0%} of {self.optimum.starts} starts reached it, none went lower"
        return "\n".join([f"{head} ({reached})", *rows])


def _lookup(theta, name):
    for part in name.split("."):
        theta = getattr(theta, part)
    return theta


@functools.partial(jax.jit, static_argnums=1)
@functools.partial(jax.jacfwd, argnums=2)
def _slopes(target, names, y, sign):
    theta, parameters = target.split(y, sign)
    values = {**parameters, **target.prior.values(theta)}
    return jnp.stack([values[name] for name in names])


def fit(joint, prior, *, key=None, starts=STARTS, systematics="profiled"):
    """Maximum of the joint likelihood on the prior's box, from many starts. Returns :class:`FitResult`.

    The prior's box and ties are used, never its density; nuisances are profiled: in closed form
    (``"profiled"``) or as coordinates of the search (``"sampled"``). key: a ``jax.random.key`` for the
    starting points, ``jax.random.key(0)`` unless given. Raises ValueError for invalid arguments.
    """
    starts = int(number("starts", starts, low=1, high=SCREENED, whole=True))
    target = as_likelihood(make_target(joint, prior, systematics=systematics))
    key = jax.random.key(0) if key is None else random_key("key", key)
    optimum = minimise(target, starting_points(target, key, starts))
    return result_of(target, optimum)


def result_of(target, optimum):
    """The :class:`FitResult` of a likelihood ``target`` at ``optimum``."""
    best = meanings(target, optimum.y[None], np.full(1, 0.5), np.zeros((1, len(target.joint.names))))
    sign, theta, nuisances, terms, _ = jax.tree.map(lambda a: float(a[0]) if a.ndim == 1 else a, best)
    slope = np.asarray(_slopes(target, target.names, optimum.y, sign))
    covariance = slope @ covariance_from(curvature(target, optimum.y)) @ slope.T
    terms = {name: -2.0 * term for name, term in terms.items()}
    constraints = {name: prior for name, prior in target.free.items() if isinstance(prior, Normal)}
    pulls = sum(float(prior.to_real(nuisances[name])) ** 2 for name, prior in constraints.items())
    return FitResult(
        theta=theta,
        nuisances=nuisances,
        minus_two_log_likelihood=sum(terms.values()) + pulls,
        terms=terms,
        names=target.names,
        covariance=covariance,
        optimum=optimum,
    )
