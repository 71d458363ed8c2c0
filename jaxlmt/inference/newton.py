"""Minima of the deviance along some of its coordinates, for many points at once, by projected Newton
steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..distributions import Box, PerCoupling
from ..pytrees import pytree
from .target import Target, in_chunks

# Points a program: what stays in cache, and for steps, which few points need often, little to fill up.
VALUE_CHUNK, NEWTON_CHUNK = 2048, 64
_STEPS, _ROUNDS = 3, 30  # Newton steps a program, programs a search
_TOLERANCE = 1e-6  # expected gain in -2 ln L at which a search ends


@pytree
class Deviance:
    """-2 ln L in flat coordinates t (d,): the box coordinate of every free parameter, as its prior's ``warp``
    gives it; of a Gaussian nuisance the pull, whose square is added. Those with a closed form are eliminated.
    """

    target: Target

    @property
    def distributions(self):
        """{name: distribution} of the coordinates; of a PerCoupling prior that of the ratio."""
        target = self.target
        every = {**target.prior.distributions, **target.free}
        return {name: d.ratio if isinstance(d, PerCoupling) else d for name, d in every.items()}

    @property
    def box(self):
        """(low, high), each (d,): infinite for Gaussian coordinates."""
        edges = [
            d.warped_bounds() if isinstance(d, Box) else (-np.inf, np.inf)
            for d in self.distributions.values()
        ]
        return tuple(np.array(edge, float) for edge in zip(*edges, strict=True))

    def split(self, t, sign):
        """(theta, complete nuisance parameters) at ``t`` (d,); sign: of a SignedLogUniform parameter."""
        target = self.target
        values = {
            name: d.unwarp(c) if isinstance(d, Box) else d.from_real(c)
            for (name, d), c in zip(self.distributions.items(), t, strict=True)
        }
        if target.prior.signed is not None:
            values[target.prior.names[target.prior.signed]] *= sign
        theta = target.prior.fill({name: values[name] for name in target.prior.names})
        return theta, {**target.joint.nominal, **{name: values[name] for name in target.free}}

    def terms(self, t, sign, names):
        """-2 ln L of the experiments ``names`` together, without constraints."""
        return -2.0 * sum(self.target.terms_at(*self.split(t, sign), names).values())

    @property
    def pulled(self):
        """(d,): 1 for a coordinate whose square is added to the deviance, 0 for the others."""
        every = self.distributions.items()
        return np.array([float(n in self.target.free and not isinstance(d, Box)) for n, d in every])

    def __call__(self, t, sign):
        """-2 ln L relative to a perfect description of the data, constraints of nuisances included."""
        return self.terms(t, sign, self.target.joint.names) + jnp.sum(self.pulled * t**2)

    def dependence(self, inner):
        """{coordinates among ``inner`` (indices): names of the experiments that depend on just these}."""
        names = list(self.distributions)
        found = {}
        for experiment in self.target.joint.experiments:
            mine = tuple(
                i for i in inner if names[i] not in self.target.free or names[i] in experiment.nominal
            )
            found.setdefault(mine, []).append(experiment.name)
        return found

    def derivatives(self, t, sign, inner):
        """(value, gradient (k,), Hessian (k, k)) along the coordinates ``inner``, a tuple of indices.

        Group by group, because the nuisance of one experiment does not enter the others, and forward alone,
        which compiles fastest.
        """
        value = jnp.sum(self.pulled * t**2)
        slope = 2.0 * self.pulled * t
        hessian = jnp.diag(2.0 * self.pulled)
        for mine, names in self.dependence(inner).items():
            row, column = np.triu_indices(len(mine))
            directions = np.eye(t.size)[list(mine)]

            def term(point, names=tuple(names)):
                return self.terms(point, sign, names)

            def second(first, other, term=term):
                return jax.jvp(lambda point: jax.jvp(term, (point,), (first,)), (t,), (other,))

            if not mine:
                value += term(t)
                continue
            (values, slopes), (_, curves) = jax.vmap(second)(directions[row], directions[column])
            row, column = np.array(mine)[row], np.array(mine)[column]
            value += values[0]
            slope = slope.at[np.array(mine)].add(slopes[row == column])
            hessian = hessian.at[row, column].add(curves)
            hessian = hessian.at[column, row].add(np.where(row == column, 0.0, 1.0) * curves)
        which = np.array(inner)
        return value, slope[which], hessian[which[:, None], which]


@jax.jit
def _values(deviance, t, sign):
    return jax.vmap(deviance)(t, sign)


def deviances(deviance, t, sign):
    """-2 ln L at ``t`` (n, d), ``sign`` (n,): (n,), infinite where it is not finite."""
    found = in_chunks(functools.partial(_values, deviance), (t, sign), VALUE_CHUNK)
    return np.where(np.isfinite(found), found, np.inf)


def _solve(matrix, vector):
    """matrix^-1 vector for a symmetric (k, k), its pivots made positive: downhill wherever it starts."""
    k = vector.shape[0]
    lower, pivots = [[None] * k for _ in range(k)], []
    for j in range(k):
        pivot = matrix[j, j] - sum(lower[j][m] ** 2 * pivots[m] for m in range(j))
        pivots.append(jnp.maximum(jnp.abs(pivot), 1e-10))
        for i in range(j + 1, k):
            entry = matrix[i, j] - sum(lower[i][m] * lower[j][m] * pivots[m] for m in range(j))
            lower[i][j] = entry / pivots[j]
    y = []
    for j in range(k):
        y.append(vector[j] - sum(lower[j][m] * y[m] for m in range(j)))
    x = [None] * k
    for j in reversed(range(k)):
        x[j] = y[j] / pivots[j] - sum(lower[m][j] * x[m] for m in range(j + 1, k))
    return jnp.stack(x)


@functools.partial(jax.jit, static_argnames="inner")
def _newton(deviance, low, high, sign, state, inner):
    """_STEPS steps of every point, from and to (trial, best, value, slope, hessian, damping, gain).

    ``trial`` (n, d) is evaluated next, ``best`` (n, d) the lowest point so far, where the derivatives were
    taken; ``gain`` what the next step is expected to gain. Coordinates at an edge that pushes outwards stay
    there.
    """
    which = np.array(inner)

    def step(state, sign):
        trial, best, value, slope, hessian, damping, _ = state
        new_value, new_slope, new_hessian = deviance.derivatives(trial, sign, inner)
        lower = new_value < value  # false for NaN
        best, value, slope, hessian = (
            jnp.where(lower, new, old)
            for new, old in ((trial, best), (new_value, value), (new_slope, slope), (new_hessian, hessian))
        )
        damping = jnp.where(lower, jnp.where(damping < 1e-3, 0.0, 0.1 * damping), 10.0 * damping + 1e-2)
        held = ((best[which] <= low) & (slope > 0.0)) | ((best[which] >= high) & (slope < 0.0))
        push = jnp.where(held, 0.0, slope)
        matrix = jnp.where(held[:, None] | held[None, :], 0.0, hessian)
        size = jnp.where(held, 1.0, jnp.maximum(jnp.abs(jnp.diagonal(hessian)), 1e-10))
        matrix += jnp.diag(jnp.where(held, 1.0, damping * size))
        move = _solve(matrix, push)
        trial = best.at[which].set(jnp.clip(best[which] - move, low, high))
        return trial, best, value, slope, hessian, damping, 0.5 * jnp.sum(push * move)

    def steps(state, sign):
        return jax.lax.scan(lambda s, _: (step(s, sign), None), state, None, length=_STEPS)[0]

    return jax.vmap(steps)(state, sign)


def minimise_points(deviance, t, sign, inner):
    """Lowest -2 ln L found downhill from ``t`` (n, d) along the coordinates ``inner``: (t (n, d), value
    (n,)).

    sign: (n,). A point ends when the gain expected of its next step is below 1e-6.
    """
    n, k = len(t), len(inner)
    low, high = (edge[list(inner)] for edge in deviance.box)
    infinite = np.full(n, np.inf)
    state = (t, t, infinite, np.zeros((n, k)), np.zeros((n, k, k)), np.zeros(n), infinite)
    state = [np.array(part, float) for part in state]
    program = functools.partial(_newton, deviance, low, high, inner=tuple(inner))
    active = np.arange(n)
    for _ in range(_ROUNDS):
        moved = in_chunks(
            lambda signs, *parts: program(signs, parts),
            (sign[active], *(part[active] for part in state)),
            NEWTON_CHUNK,
        )
        for part, new in zip(state, moved, strict=True):
            part[active] = new
        value, damping, gain = state[2][active], state[5][active], state[6][active]
        settled = (gain < _TOLERANCE) & (damping < 1.0) | (damping > 1e8) | ~np.isfinite(gain + value)
        active = active[~settled]
        if not active.size:
            break
    return state[1], state[2]
