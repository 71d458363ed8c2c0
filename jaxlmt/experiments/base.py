"""What every experiment is: frozen arrays folded once, and pure methods of (theta, nuisances)."""

import abc
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..distributions import Distribution, Normal, check_distribution
from ..pytrees import pytree
from ..quadrature import map_chunks
from ..statistics import poisson_log_ratio
from ..validation import check_theta, number, parameters, random_key, require_x64, to_float64, values

# Parameter points a chunk. On a CPU intermediates stay in cache; a GPU has to be filled. Both: megabytes.
CPU_CHUNK, GPU_CHUNK = 256, 65536


class Experiment(abc.ABC):
    """Base class. Subclasses are frozen dataclasses registered as pytrees, with these fields:

    name: str, static; bin_edges: (n_bins + 1,); background: (n_bins,) expected background counts;
    nominal: dict of every traced number that is not theta; nuisances: dict of priors, a subset of
    ``nominal``'s names. Private names start with ``"<name>."``, shared ones are bare.
    """

    # What to write on the axes of a picture: the bins, the data.
    axis_label = ""
    value_label = "events"
    # Whether theta must be a :class:`jaxlmt.DarkMatter`.
    needs_dark_matter = False

    @property
    def title(self):
        """Name for people, in matplotlib's notation."""
        return self.name.upper()

    @property
    def n_bins(self):
        """Number of bins."""
        return self.background.shape[-1]

    @property
    def analytic(self):
        """Names of nuisances that the likelihood can profile or marginalise in closed form."""
        return ()

    @abc.abstractmethod
    def rate(self, theta, parameters):
        """Expected signal, (n_bins,): a pure kernel of scalar leaves; ``parameters`` is complete."""

    @abc.abstractmethod
    def log_likelihood(self, counts, theta, parameters):
        """Log-likelihood ratio of ``counts`` (n_bins,) at fixed nuisances; constraints excluded."""

    def log_likelihood_analytic(self, counts, theta, parameters, marginal):
        """The same with ``analytic`` nuisances eliminated, their constraint included.

        marginal: 1.0 for the marginal likelihood, 0.0 for the profile likelihood (a traced number).
        """
        del marginal
        return self.log_likelihood(counts, theta, parameters)

    def analytic_given(self, counts, theta, parameters):
        """{name: (mean, standard deviation)} of the ``analytic`` nuisances, Gaussian given the rest."""
        del counts, theta, parameters
        return {}

    def predict(self, theta, parameters):
        """Mean of the data, (n_bins,): signal plus background."""
        return self.rate(theta, parameters) + self.background

    def draw(self, generator, mean):
        """Random data around ``mean`` (..., n_bins), by a NumPy ``Generator``: Poisson counts."""
        return generator.poisson(mean).astype(float)

    def parameters(self, nuisances=None):
        """``nominal`` updated by ``nuisances``, float64. Raises ValueError for a name not in nominal."""
        return complete(self.name, self.nominal, nuisances)

    def expected(self, theta, nuisances=None):
        """Expected signal counts, shape (..., n_bins).

        theta: a :class:`jaxlmt.HiddenPhoton`; array leaves broadcast and are worked off in chunks, and
        ``jax.vmap``, ``jax.grad`` and ``jax.jit`` apply as usual. nuisances: dict, nominal values where
        missing. Raises ValueError for invalid parameters.
        """
        return evaluate(_rate, (self,), check_theta(theta), self.parameters(nuisances))

    def observe(self, counts):
        """This experiment with data: ``counts`` (n_bins,) >= 0, signal plus background."""
        return Observation(self, values(f"counts of {self.name}", counts, shape=(self.n_bins,), low=0.0))

    def asimov(self, truth, nuisances=None):
        """This experiment with its expectation at ``truth`` (signal plus background) as data."""
        return Observation(self, self._mean_at(truth, nuisances))

    def toy(self, key, truth, nuisances=None):
        """This experiment with random data drawn at ``truth``; key: a ``jax.random.key``."""
        return Observation(self, self.draw(generator(key), self._mean_at(truth, nuisances)))

    def _mean_at(self, truth, nuisances):
        mean = _predict(self, check_theta(truth, "truth"), self.parameters(nuisances))
        return values(f"truth must give finite data; what {self.name} expects there", mean)


def complete(name, nominal, nuisances):
    """``nominal`` of the experiment ``name`` updated by ``nuisances``; see :meth:`Experiment.parameters`."""
    nuisances = {} if nuisances is None else dict(nuisances)
    unknown = sorted(set(nuisances) - set(nominal))
    if unknown:
        allowed = ", ".join(map(repr, sorted(nominal))) or "none"
        raise ValueError(f"nuisances of {name} must be among {allowed}; got {unknown[0]!r}")
    return to_float64({**nominal, **parameters(nuisances)})


@pytree
class Observation:
    """An experiment and its data: ``counts`` (n_bins,), background included."""

    experiment: Experiment
    counts: np.ndarray

    @property
    def name(self):
        """Name of the experiment."""
        return self.experiment.name


class Counting:
    """Mixin: Poisson likelihood over independent bins."""

    def log_likelihood(self, counts, theta, parameters):
        return poisson_log_ratio(counts, self.predict(theta, parameters))


def _rate(experiment, theta, parameters):
    return experiment.rate(theta, parameters)


@jax.jit
def _predict(experiment, theta, parameters):
    return experiment.predict(theta, parameters)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _evaluate(function, fixed, theta, parameters, batched):
    if not batched:
        return function(*fixed, theta, parameters)
    chunk = CPU_CHUNK if jax.default_backend() == "cpu" else GPU_CHUNK
    return map_chunks(jax.vmap(lambda point: function(*fixed, *point)), (theta, parameters), chunk)


def evaluate(function, fixed, theta, parameters):
    """``function(*fixed, theta, parameters)`` for scalar leaves, or chunk by chunk where they are arrays.

    ``function`` is a module-level function of pytrees; the result has the broadcast shape in front.
    """
    leaves, structure = jax.tree.flatten((theta, parameters))
    shape = np.broadcast_shapes(*(np.shape(leaf) for leaf in leaves))
    if shape == ():
        return _evaluate(function, fixed, theta, parameters, False)
    flat = [jnp.broadcast_to(leaf, shape).reshape(-1) for leaf in leaves]
    if flat[0].size == 0:
        raise ValueError(f"theta must hold at least one point; got leaves of shape {shape}")
    result = _evaluate(function, fixed, *jax.tree.unflatten(structure, flat), True)
    return jax.tree.map(lambda a: a.reshape(*shape, *a.shape[1:]), result)


def nuisance(name, value, *, low=-np.inf):
    """(nominal, nuisances) dicts of one field given as a number (fixed) or a distribution (varies)."""
    if isinstance(value, Distribution):
        check_distribution(name, value)
        if isinstance(value, Normal):
            centre = value.mean
        elif hasattr(value, "warped_bounds"):
            centre = value.unwarp(np.mean(np.asarray(value.warped_bounds(), float)))
        else:
            raise ValueError(f"{name} must be a number or an independent prior; got {value!r}")
        return {name: number(name, centre, low=low)}, {name: value}
    return {name: number(name, value, low=low)}, {}


def nuisances_of(fields, *, low=-np.inf):
    """:func:`nuisance` of several fields, {name: number or distribution}, together."""
    nominal, nuisances = {}, {}
    for name, value in fields.items():
        fixed, varied = nuisance(name, value, low=low)
        nominal |= fixed
        nuisances |= varied
    return nominal, nuisances


def generator(key):
    """A NumPy ``Generator`` seeded by a ``jax.random.key``: random data are drawn on the host, where
    Poisson numbers cost no compilation."""
    return np.random.default_rng(np.asarray(jax.random.key_data(random_key("key", key))))


def frozen(array):
    """``array`` as a read-only float64 NumPy array."""
    result = np.array(array, np.float64)
    result.setflags(write=False)
    return result


def start_fold():
    """Called by every factory before it folds: refuses float32."""
    require_x64()
