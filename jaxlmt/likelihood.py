"""The joint log-likelihood of any set of experiments with data."""

import jax
import jax.numpy as jnp
import numpy as np

from .experiments.base import Experiment, Observation, evaluate
from .validation import check_theta, choose, parameters, require_x64, to_float64

SYSTEMATICS = ("fixed", "profiled", "marginal")


@jax.tree_util.register_pytree_node_class
class Joint:
    """A joint log-likelihood: a pytree of observations, differentiable in theta and nuisances.

    observations: a non-empty list of ``experiment.observe(...)``, ``.asimov(...)`` or ``.toy(...)``, with
    distinct names. Nuisances that experiments share by name must agree in nominal value and prior.
    Raises ValueError for anything else, and RuntimeError in float32.

    Every log-likelihood is relative to a perfect description of the data: its largest value is 0.
    """

    def __init__(self, observations):
        require_x64()
        if isinstance(observations, Observation):
            observations = (observations,)
        self.observations = tuple(observations)
        _check_observations(self.observations)

    @classmethod
    def asimov(cls, experiments, truth, nuisances=None):
        """Every experiment's data replaced by its expectation at ``truth``."""
        pick = _picker(experiments, nuisances)
        return cls([experiment.asimov(truth, pick(experiment)) for experiment in experiments])

    @classmethod
    def toy(cls, key, experiments, truth, nuisances=None):
        """Every experiment's data drawn at random at ``truth``; key: a ``jax.random.key``."""
        pick = _picker(experiments, nuisances)
        keys = jax.random.split(key, len(experiments))
        pairs = zip(keys, experiments, strict=True)
        return cls([experiment.toy(k, truth, pick(experiment)) for k, experiment in pairs])

    def tree_flatten(self):
        return (self.observations,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        joint = object.__new__(cls)
        (joint.observations,) = children
        return joint

    def __repr__(self):
        return f"Joint({', '.join(self.names)})"

    @property
    def names(self):
        """Names of the experiments, in order."""
        return tuple(observation.name for observation in self.observations)

    @property
    def experiments(self):
        """The experiments, in order."""
        return tuple(observation.experiment for observation in self.observations)

    def only(self, *names):
        """The joint likelihood of the experiments ``names`` alone. Raises ValueError for an unknown name or
        none."""
        if not names:
            raise ValueError(f"name must be at least one experiment, of {', '.join(map(repr, self.names))}")
        wanted = {choose("name", name, self.names) for name in names}
        return Joint.tree_unflatten(None, (tuple(o for o in self.observations if o.name in wanted),))

    @property
    def nominal(self):
        """Every traced number that is not theta, by name."""
        return {k: v for experiment in self.experiments for k, v in experiment.nominal.items()}

    @property
    def nuisances(self):
        """Priors of the nuisances, by name: a subset of ``nominal``."""
        return {k: v for experiment in self.experiments for k, v in experiment.nuisances.items()}

    @property
    def analytic(self):
        """Names of the nuisances that can be profiled or marginalised in closed form."""
        return tuple(name for experiment in self.experiments for name in experiment.analytic)

    def parameters(self, nuisances=None):
        """``nominal`` updated by ``nuisances`` as float64; ValueError for an unknown name."""
        nuisances = {} if nuisances is None else dict(nuisances)
        nominal = self.nominal
        for name in nuisances:
            if name not in nominal:
                choose("nuisance", name, sorted(nominal))
        return to_float64({**nominal, **parameters(nuisances)})

    def log_likelihood(self, theta, nuisances=None, *, systematics="fixed"):
        """ln L(theta, nuisances) - ln L(perfect description), constraints of nuisances excluded.

        theta: a :class:`jaxlmt.HiddenPhoton`; nuisances: dict of numbers, nominal where missing. Array
        leaves broadcast and are evaluated in chunks (result: their shape); ``jax.grad``, ``vmap``, ``jit``
        apply. systematics: ``"fixed"`` takes every nuisance as given; ``"profiled"`` and ``"marginal"``
        eliminate those of :attr:`analytic` in closed form, their constraint included (2104.03297, eq 34).
        -inf where an observed count is impossible; raises ValueError for invalid parameters.
        """
        terms = self.terms(theta, nuisances, systematics=systematics)
        return sum(terms.values())

    def terms(self, theta, nuisances=None, *, systematics="fixed"):
        """The summands of :meth:`log_likelihood`, {experiment name: value}."""
        choose("systematics", systematics, SYSTEMATICS)
        function = {"fixed": _fixed, "profiled": _profiled, "marginal": _marginal}[systematics]
        return evaluate(function, (self,), check_theta(theta), self.parameters(nuisances))

    def log_constraint(self, nuisances=None):
        """Log density of the nuisances' priors at ``nuisances`` (nominal where missing)."""
        parameters = self.parameters(nuisances)
        priors = self.nuisances
        return sum((prior.log_prob(parameters[k]) for k, prior in priors.items()), jnp.zeros(()))


# Jitted, so that the programs of a search, a sampler and a summary share one trace of every experiment.
@jax.jit
def _fixed_term(observation, theta, parameters):
    return observation.experiment.log_likelihood(observation.counts, theta, parameters)


@jax.jit
def _analytic_term(observation, theta, parameters, marginal):
    return observation.experiment.log_likelihood_analytic(observation.counts, theta, parameters, marginal)


def fixed_terms(joint, theta, parameters):
    """{name: log-likelihood} at fixed nuisances: a pure kernel of scalar leaves."""
    return {o.name: _fixed_term(o, theta, parameters) for o in joint.observations}


def analytic_terms(joint, theta, parameters, marginal):
    """{name: log-likelihood} with analytic nuisances eliminated; marginal: 1.0, or 0.0 for the profile."""
    return {o.name: _analytic_term(o, theta, parameters, marginal) for o in joint.observations}


def _fixed(joint, theta, parameters):
    return fixed_terms(joint, theta, parameters)


def _profiled(joint, theta, parameters):
    return analytic_terms(joint, theta, parameters, 0.0)


def _marginal(joint, theta, parameters):
    return analytic_terms(joint, theta, parameters, 1.0)


def _picker(experiments, nuisances):
    for experiment in experiments:
        if not isinstance(experiment, Experiment):
            raise ValueError(f"experiments must be experiments such as jaxlmt.ess10(); got {experiment!r}")
    nuisances = {} if nuisances is None else dict(nuisances)
    known = {name for experiment in experiments for name in experiment.nominal}
    for name in nuisances:
        if name not in known:
            choose("nuisance", name, sorted(known))
    return lambda experiment: {k: v for k, v in nuisances.items() if k in experiment.nominal}


def _check_observations(observations):
    if not observations:
        raise ValueError("observations must hold at least one experiment with data; got an empty list")
    names, shared = set(), {}
    for observation in observations:
        if not isinstance(observation, Observation):
            raise ValueError(
                "observations must be experiments with data, such as jaxlmt.ess10().observe(counts); "
                f"got {observation!r}"
            )
        if observation.name in names:
            raise ValueError(f"observations must have distinct names; got {observation.name!r} twice")
        names.add(observation.name)
        experiment = observation.experiment
        for name, value in experiment.nominal.items():
            meaning = f"{float(value):.17g} with {_describe(experiment.nuisances.get(name))}"
            first = shared.setdefault(name, meaning)
            if first != meaning:
                raise ValueError(
                    f"nuisance {name!r} is shared, and must have one nominal value and one prior; got "
                    f"{first} and, from {observation.name}, {meaning}"
                )


def _describe(prior):
    if prior is None:
        return "no prior"
    leaves = ", ".join(f"{float(np.asarray(leaf)):.17g}" for leaf in jax.tree.leaves(prior))
    return f"{type(prior).__name__}({leaves})"
