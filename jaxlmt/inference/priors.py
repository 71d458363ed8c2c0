"""The prior of a model: its pytree with distributions in place of the numbers that are free."""

import dataclasses

import jax
import jax.numpy as jnp

from ..distributions import (
    Distribution,
    LogUniform,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    TiedToCoupling,
    check_distribution,
)
from ..model import LMU_LTAU, HiddenPhoton
from ..validation import choose, number, switch, to_float64

# The default box of `reconstruct`. 0.3 covers the mixing that heavy fermions up to 1e16 GeV would leave in
# U(1)_Lmu (eq 12: -0.20); the scale is the size that Lmu-Ltau predicts, 1/70.
COUPLING_BOX = (1e-5, 1e-2)
MASS_BOX = (1.0, 1e3)  # MeV
MIXING_SCALE, MIXING_BOUND = 0.01, 0.3  # of eps_x/g_x


_LOWEST = {  # of the support of a parameter, and whether that value itself is excluded
    "g_x": (0.0, False),
    "mass": (0.0, True),
    "dm_mass": (0.0, True),
    "delta": (-1.0, True),
    "dm_charge": (0.0, True),
}


@jax.tree_util.register_pytree_node_class
class Prior:
    """What is free, tied and fixed: ``theta`` is a :class:`jaxlmt.HiddenPhoton` of distributions and numbers.

    Or a :class:`jaxlmt.DarkMatter`, or a :class:`jaxlmt.ResonantDarkMatter`. Numbers are fixed, distributions
    are free, :class:`TiedToCoupling` follows g_x. A free parameter is named by its place, ``"g_x"``,
    ``"mass"``, ``"eps_x"``, ``"charges.tau"``. Raises ValueError if nothing
    is free or a distribution has no proper support.
    """

    def __init__(self, theta):
        if not dataclasses.is_dataclass(theta):
            raise ValueError(
                f"theta must be a jaxlmt.HiddenPhoton of numbers and distributions; got {theta!r}"
            )
        self.theta = jax.tree.map(_as_leaf, theta, is_leaf=_is_distribution)
        for name, leaf in self._named_leaves():
            if _is_distribution(leaf):
                check_distribution(name, leaf)
            else:
                number(name, leaf)
        leaves = dict(self._named_leaves())
        for name in ("g_x", "mass"):
            if name not in leaves:
                raise ValueError(f"theta must have a number or a distribution as its {name}; got {theta!r}")
        for name, (low, is_open) in _LOWEST.items():
            leaf = leaves.get(name, low + 1.0)
            if isinstance(leaf, TiedToCoupling | PerCoupling | SignedLogUniform):
                kind = "positive prior" if low == 0.0 else f"prior above {low:g}"
                raise ValueError(f"{name} must be a number or an independent, {kind}; got {leaf!r}")
            lowest = _lowest(leaf)
            if lowest < low or (is_open and lowest == low):
                support = "positive support" if low == 0.0 else f"support above {low:g}"
                raise ValueError(f"{name} must have a {support}; got {leaf!r}, from {lowest:g}")
        switch("theta.running", self.theta.running)
        if not self.names:
            raise ValueError("theta must leave at least one parameter free; got numbers only")
        if len(self._signed()) > 1:
            raise ValueError(f"only one parameter may have a SignedLogUniform prior; got {self._signed()}")

    def split(self, name, at):
        """The prior below and above ``at`` of one free parameter: [(probability, :class:`Prior`), ...].

        The parameter needs a box prior whose support holds ``at`` inside; of a :class:`PerCoupling` prior it
        is the ratio that is split. Raises ValueError otherwise.
        """
        distribution = self.distributions[choose("name", name, self.names)]
        box = _core(distribution)
        if not hasattr(box, "part"):
            raise ValueError(f"{name} must have a box prior of one sign or more to be split; got {box!r}")
        low, high = box.bounds
        at = number("at", at)
        if not low < at < high:
            raise ValueError(f"at must lie inside the support of {name}, ({low:g}, {high:g}); got {at:g}")
        start, stop = sorted(map(float, box.warped_bounds()))
        found = []
        for part in (box.part(low, at), box.part(at, high)):
            first, last = map(float, part.warped_bounds())
            leaf = PerCoupling(part) if isinstance(distribution, PerCoupling) else part
            leaves = [leaf if key == name else old for key, old in self._named_leaves()]
            structure = jax.tree.structure(self.theta, is_leaf=_is_distribution)
            found.append((abs(last - first) / (stop - start), Prior(jax.tree.unflatten(structure, leaves))))
        return found

    def tree_flatten(self):
        return (self.theta,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        prior = object.__new__(cls)
        (prior.theta,) = children
        return prior

    def __repr__(self):
        return f"Prior({self.theta!r})"

    def _named_leaves(self):
        pairs, _ = jax.tree_util.tree_flatten_with_path(self.theta, is_leaf=_is_distribution)
        return [(".".join(key.name for key in path), leaf) for path, leaf in pairs]

    def _signed(self):
        return [n for n, d in self._named_leaves() if isinstance(_core(d), SignedLogUniform)]

    @property
    def distributions(self):
        """{name: distribution} of the free parameters, in the order of the model's fields."""
        return {
            name: leaf
            for name, leaf in self._named_leaves()
            if _is_distribution(leaf) and not isinstance(leaf, TiedToCoupling)
        }

    @property
    def names(self):
        """Names of the free parameters."""
        return tuple(self.distributions)

    @property
    def signed(self):
        """Index of the free parameter whose two signs are summed (SignedLogUniform), or None."""
        names = self._signed()
        return self.names.index(names[0]) if names else None

    def from_real(self, y, sign=1.0):
        """theta at unconstrained coordinates ``y`` (n_free,); sign: of a SignedLogUniform parameter."""
        free = {}
        for (name, distribution), coordinate in zip(self.distributions.items(), y, strict=True):
            value = _core(distribution).from_real(coordinate)
            free[name] = value * sign if isinstance(_core(distribution), SignedLogUniform) else value
        return self.fill(free)

    def fill(self, free):
        """theta with the free parameters, {name: value}, in place; PerCoupling values are ratios to g_x."""
        leaves = dict(self._named_leaves())
        coupling = free.get("g_x", leaves["g_x"])

        def resolve(name, leaf):
            if isinstance(leaf, TiedToCoupling):
                return leaf.ratio * coupling
            if isinstance(leaf, PerCoupling):
                return free[name] * coupling
            return free.get(name, leaf)

        filled = [resolve(name, leaf) for name, leaf in leaves.items()]
        structure = jax.tree.structure(self.theta, is_leaf=_is_distribution)
        return jax.tree.unflatten(structure, filled)

    def to_real(self, theta):
        """Unconstrained coordinates (n_free,) of ``theta``, clipped into the box; inverse of from_real."""
        values = dict(Prior._named_leaves(_Holder(theta)))
        coordinates = []
        for name, distribution in self.distributions.items():
            value = values[name] / values["g_x"] if isinstance(distribution, PerCoupling) else values[name]
            coordinates.append(_core(distribution).to_real(jnp.asarray(value)))
        return jnp.stack(coordinates)

    def log_density_real(self, y):
        """Log density in ``y``, (n_free,) -> ()."""
        cores = [_core(d) for d in self.distributions.values()]
        return sum(core.log_density_real(c) for core, c in zip(cores, y, strict=True))

    def log_prob(self, theta):
        """Log density of the free parameters in *physical* parameters; -inf outside the box."""
        values = dict(Prior._named_leaves(_Holder(theta)))
        total = jnp.zeros(())
        for name, distribution in self.distributions.items():
            if isinstance(distribution, PerCoupling):
                coupling = values["g_x"]
                total += distribution.ratio.log_prob(values[name] / coupling) - jnp.log(coupling)
            else:
                total += distribution.log_prob(jnp.asarray(values[name]))
        return total

    def values(self, theta):
        """{name: value} of the free parameters in ``theta``, and of eps_x where it is tied to g_x."""
        values = dict(Prior._named_leaves(_Holder(theta)))
        tied = [n for n, d in self._named_leaves() if isinstance(d, TiedToCoupling)]
        return {name: values[name] for name in (*self.names, *tied)}

    def describe(self):
        """One line a parameter, for headers and files: {name: text}."""
        lines = {name: _describe(leaf) for name, leaf in self._named_leaves()}
        if self.theta.running:
            lines["eps_x"] += " at q^2 = 0, running"
        return lines


class _Holder:  # lets _named_leaves walk a theta of numbers
    def __init__(self, theta):
        self.theta = theta


def default_prior(*, mixing=None, charges=LMU_LTAU, running=False):
    """The prior of ``jaxlmt reconstruct``: g_x, mass and eps_x/g_x free.

    ln g_x is flat on [1e-5, 1e-2] and ln M_A' on [1, 1000] MeV; eps_x/g_x is flat in asinh(100 eps_x/g_x) on
    [-0.3, 0.3], unless ``mixing`` is another prior or number. running: as in :class:`jaxlmt.HiddenPhoton`.
    """
    if mixing is None:
        mixing = PerCoupling(SymmetricAsinh(MIXING_SCALE, MIXING_BOUND))
    box = LogUniform(*COUPLING_BOX), LogUniform(*MASS_BOX)
    return Prior(HiddenPhoton(*box, mixing, charges, running=running))


def _is_distribution(leaf):
    return isinstance(leaf, Distribution)


def _core(distribution):
    return distribution.ratio if isinstance(distribution, PerCoupling) else distribution


def _lowest(leaf):
    return leaf.bounds[0] if _is_distribution(leaf) else float(leaf)


def _as_leaf(leaf):
    # float64 leaves, so that ints, floats and NumPy scalars share one compiled program
    try:
        return to_float64(leaf)
    except (TypeError, ValueError):
        return leaf


def _describe(leaf):
    if isinstance(leaf, TiedToCoupling):
        return f"{float(leaf.ratio):.6g} g_x"
    if isinstance(leaf, PerCoupling):
        return f"g_x times {_describe(leaf.ratio)}"
    if _is_distribution(leaf):
        fields = ", ".join(f"{f.name}={float(getattr(leaf, f.name)):g}" for f in dataclasses.fields(leaf))
        return f"{type(leaf).__name__}({fields})"
    return f"{float(leaf):g}"
