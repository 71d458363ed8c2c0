"""The posterior by the No-U-Turn sampler: NumPyro's kernel in compiled blocks.

One program of BLOCK transitions takes the problem and the state of the chains as arguments. A loop on the
host over blocks gives progress, interruption and resumption, and a second data set compiles nothing.
"""

import functools
import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from .. import __version__, results
from ..distributions import PerCoupling, SignedLogUniform, TiedToCoupling
from ..experiments.base import generator
from ..validation import number, random_key
from .coordinates import straighten
from .evidence import bridge
from .fit import STARTS, minimise, starting_points
from .target import Target, make_target, meanings, potentials_and_gradients

BLOCK = 100  # transitions a compiled block
FIELDS = ("potential_energy", "energy", "num_steps", "accept_prob", "diverging")


@dataclass
class Chains:
    """Raw output of the sampler: z (chains, draws, d), stats {name: (chains, draws)}.

    target: the problem, with the coordinates z that were used; complete: False if interrupted; seconds:
    wall time by stage.
    """

    target: Target
    z: np.ndarray
    stats: dict
    warmup: int
    complete: bool
    seconds: dict


def _kernel():
    return hmc(potential_fn_gen=lambda target: lambda z: -target.log_density(z), algo="NUTS")


def _initialise(init, target, z, potential, gradient, key, warmup, target_accept):
    return init(
        ParamInfo(z, potential, gradient),
        num_warmup=warmup,
        inverse_mass_matrix=jnp.eye(target.dimension),
        dense_mass=True,
        step_size=0.5,
        target_accept_prob=target_accept,
        rng_key=key,
        model_args=(target,),
    )


def _blank(target, size, warmup, target_accept):
    """Shapes of the states of ``size`` chains."""

    def one(key):
        zeros = jnp.zeros(target.dimension), jnp.zeros(()), jnp.zeros(target.dimension)
        return _initialise(_kernel()[0], target, *zeros, key, warmup, target_accept)

    return jax.eval_shape(lambda: jax.vmap(one)(jax.random.split(jax.random.key(0), size)))


@functools.partial(jax.jit, static_argnames=("warmup", "target_accept", "vectorised"))
def _run_block(target, states, fresh, warmup, target_accept, vectorised):
    """(states, draws) after BLOCK transitions of every chain; ``states`` has a leading chain axis.

    Of ``fresh`` chains only the point, its potential and gradient, and the key are read: they begin.
    """
    init, kernel = _kernel()

    def transition(state, _):
        state = kernel(state, (target,))
        stats = {name: getattr(state, name) for name in FIELDS}
        return state, (state.z, {**stats, "step_size": state.adapt_state.step_size})

    def chain(state):
        # Needed in every block: NumPyro's kernel keeps its settings in closures that init fills when traced.
        point = state.z, state.potential_energy, state.z_grad, state.rng_key
        begun = _initialise(init, target, *point, warmup, target_accept)
        state = jax.tree.map(lambda new, old: jnp.where(fresh, new, old), begun, state)
        return jax.lax.scan(transition, state, None, length=BLOCK)

    return jax.vmap(chain)(states) if vectorised else jax.lax.map(chain, states)


class Sampler:
    """Chains of one problem, advanced block by block; see :func:`run_chains` for the arguments."""

    def __init__(self, target, *, chains, warmup, target_accept):
        self.target, self.warmup, self.target_accept = target, warmup, target_accept
        on_cpu = jax.default_backend() == "cpu"
        threads = min(chains, os.cpu_count() or 1) if on_cpu else 1
        self.groups = max(n for n in range(1, threads + 1) if chains % n == 0)
        self.vectorised = not on_cpu or chains // self.groups > 8
        self.chains = chains
        self.blocks = []  # of (z, stats), chains first

    @functools.cached_property
    def shapes(self):
        """Shapes of the states of one group of chains."""
        return _blank(self.target, self.chains // self.groups, self.warmup, self.target_accept)

    def lower(self):
        """The block program, traced from shapes alone, so that it can be compiled beside the fit."""
        fresh = jax.ShapeDtypeStruct((), bool)
        settings = self.warmup, self.target_accept, self.vectorised
        return _run_block.lower(self.target, self.shapes, fresh, *settings)

    def start(self, z, key):
        """Place the chains at ``z`` (chains, d)."""
        potential, gradient = potentials_and_gradients(self.target, z)
        keys = jax.random.split(key, self.chains)
        size = self.chains // self.groups
        blank = jax.tree.map(lambda a: keys[:size] if _is_key(a) else np.zeros(a.shape, a.dtype), self.shapes)
        self.states = [
            blank._replace(
                z=z[part], potential_energy=potential[part], z_grad=gradient[part], rng_key=keys[part]
            )
            for part in (slice(i, i + size) for i in range(0, self.chains, size))
        ]

    def advance(self, pool, program):
        """Run one block of every chain; on KeyboardInterrupt the block is dropped whole."""
        fresh = np.bool_(not self.blocks)
        futures = [pool.submit(_call, program, self.target, states, fresh) for states in self.states]
        results = [future.result() for future in futures]
        self.states = [states for states, _ in results]
        self.blocks.append(jax.tree.map(lambda *a: np.concatenate(a), *(draws for _, draws in results)))

    @property
    def transitions(self):
        """Transitions done by every chain, warmup included."""
        return len(self.blocks) * BLOCK

    def draws(self):
        """(z, stats) of the draws after warmup, chains first."""
        z, stats = jax.tree.map(lambda *a: np.concatenate(a, axis=1), *self.blocks)
        return jax.tree.map(lambda a: a[:, self.warmup :], (z, stats))


def _call(program, *arguments):
    states, draws = program(*arguments)
    return jax.block_until_ready(states), jax.tree.map(np.asarray, draws)


def _fingerprint(sampler):
    digest = hashlib.sha256()
    target = sampler.target
    for leaf in jax.tree.leaves((target.joint, target.prior, target.free, target.marginal)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    settings = sampler.chains, sampler.warmup, sampler.target_accept
    digest.update(repr((target.names, target.prior.describe(), *settings)).encode())  # types and switches too
    return digest.hexdigest()


def _is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def save_checkpoint(path, sampler):
    """Write everything that :func:`load_checkpoint` needs to go on, replacing ``path`` at once."""
    path = Path(path)
    leaves = jax.tree.leaves(sampler.states)
    arrays = {
        f"state{i}": np.asarray(jax.random.key_data(v) if _is_key(v) else v) for i, v in enumerate(leaves)
    }
    z, stats = jax.tree.map(lambda *a: np.concatenate(a, axis=1), *sampler.blocks)
    arrays |= {"z": z, "spline": sampler.target.ridge.spline, "fingerprint": _fingerprint(sampler)}
    arrays |= {f"stat_{name}": value for name, value in stats.items()}
    temporary = path.with_suffix(".partial.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)


def load_checkpoint(path, sampler):
    """Put ``sampler`` where :func:`save_checkpoint` left it. ValueError if the problem is another one."""
    with np.load(path) as stored:
        if str(stored["fingerprint"]) != _fingerprint(sampler):
            raise ValueError(f"checkpoint {path} belongs to other data, priors or sampler settings")
        z = stored["z"]
        sampler.target = replace(sampler.target, ridge=replace(sampler.target.ridge, spline=stored["spline"]))
        template, structure = jax.tree.flatten([sampler.shapes] * sampler.groups)
        leaves = [
            jax.random.wrap_key_data(stored[f"state{i}"])
            if _is_key(v)
            else np.asarray(stored[f"state{i}"], v.dtype)
            for i, v in enumerate(template)
        ]
        sampler.states = jax.tree.unflatten(structure, leaves)
        stats = {name[5:]: stored[name] for name in stored.files if name.startswith("stat_")}
    blocks = range(0, z.shape[1], BLOCK)
    sampler.blocks = [jax.tree.map(lambda a, i=i: a[:, i : i + BLOCK], (z, stats)) for i in blocks]


def run_chains(
    target,
    *,
    key,
    chains=4,
    draws=2000,
    warmup=400,
    target_accept=0.98,
    progress=None,
    checkpoint=None,
    resume=False,
):
    """Sample ``target``; returns :class:`Chains`. Arguments as for :func:`jaxlmt.sample`."""
    chains = int(number("chains", chains, low=1, whole=True))
    draws = int(number("draws", draws, low=1, whole=True))
    warmup = int(number("warmup", warmup, low=BLOCK, whole=True))
    target_accept = number("target_accept", target_accept, low=0.5, high=0.999)
    total = -(-(warmup + draws) // BLOCK)
    progress = sys.stderr.isatty() if progress is None else progress
    sampler = Sampler(target, chains=chains, warmup=warmup, target_accept=target_accept)
    key_search, key_start, key_chain = jax.random.split(key, 3)
    seconds, clock = {}, time.perf_counter()

    with ThreadPoolExecutor(sampler.groups + 1) as pool:
        # Traced first, not beside the search, which shares these traces: two threads would make both.
        compiling = pool.submit(sampler.lower().compile)
        if resume:
            load_checkpoint(checkpoint, sampler)
        else:
            optimum = minimise(target, starting_points(target, key_search, STARTS))
            target = sampler.target = straighten(target, optimum)
            sampler.start(generator(key_start).normal(size=(chains, target.dimension)), key_chain)
        seconds["fit"] = time.perf_counter() - clock
        pool.submit(_prepare_rest, sampler.target)
        program = compiling.result()
        seconds["compile"] = time.perf_counter() - clock - seconds["fit"]
        clock = time.perf_counter()
        complete = _loop(sampler, pool, program, total, progress, checkpoint)
        seconds["sample"] = time.perf_counter() - clock
    if sampler.transitions <= warmup:
        raise KeyboardInterrupt("interrupted during warmup: no draws yet")
    z, stats = jax.tree.map(lambda a: a[:, :draws], sampler.draws())
    return Chains(sampler.target, z, stats, warmup, complete, seconds)


def _prepare_rest(target):
    """Load and compile what follows the sampling, while other threads compile and sample."""
    results.preload()
    meanings(target, np.zeros((1, target.dimension)), np.full(1, 0.5), np.zeros((1, len(target.joint.names))))


def _loop(sampler, pool, program, total, progress, checkpoint):
    from tqdm import tqdm

    saved = time.perf_counter()
    with tqdm(
        total=total * BLOCK, initial=sampler.transitions, disable=not progress, unit="transition"
    ) as bar:
        try:
            while len(sampler.blocks) < total:
                sampler.advance(pool, program)
                bar.set_description("warmup" if sampler.transitions <= sampler.warmup else "sampling")
                bar.update(BLOCK)
                if checkpoint and time.perf_counter() - saved > 5.0:
                    save_checkpoint(checkpoint, sampler)
                    saved = time.perf_counter()
        except KeyboardInterrupt:
            if checkpoint and sampler.blocks:
                save_checkpoint(checkpoint, sampler)
            return False
    if checkpoint:
        save_checkpoint(checkpoint, sampler)
    return True


def sample(
    joint,
    prior,
    *,
    key,
    chains=4,
    draws=2000,
    warmup=400,
    target_accept=0.98,
    systematics="marginal",
    split=None,
    progress=None,
    checkpoint=None,
    resume=False,
    attrs=None,
):
    """The posterior of ``prior`` and ``joint`` by NUTS, as arviz's container (see :mod:`jaxlmt.results`).

    joint: a :class:`jaxlmt.Joint`; prior: a :class:`jaxlmt.Prior`; key: a ``jax.random.key``; chains, draws
    (per chain, after ``warmup`` >= 100 transitions); target_accept: in [0.5, 0.999]; systematics:
    ``"marginal"`` integrates Gaussian normalisations out in closed form, ``"sampled"`` makes every nuisance
    a parameter; split: {name of a free parameter: value} for posteriors of two modes: the prior is cut
    there, each part is sampled on its own, and they are mixed by their evidence; progress: a bar on standard
    error, by default on a terminal only; checkpoint: a file that keeps the chains (.npz), written every few
    seconds and when interrupted; resume: go on from it; attrs: JSON-able dict kept with the result.

    The chains start at the Laplace approximation of the optimum of 48 gradient searches, in coordinates
    that follow the ridge of the posterior (:mod:`jaxlmt.inference.coordinates`). An interruption (Ctrl-C)
    after warmup returns what is done, with the attribute ``complete`` False; with ``split`` it raises, and
    the checkpoint goes on. The result has the groups posterior (free parameters, eps_x if tied, eps_over_g,
    sampled nuisances), sample_stats, log_likelihood (by experiment), posterior_predictive (replicated data),
    expected (mean data), observed_data. Its attribute ``log_evidence`` is the logarithm of the evidence with
    its error (:mod:`jaxlmt.inference.evidence`), absent where the draws are too few; ``parts`` tells of the
    parts of a split.
    Raises ValueError for invalid arguments, KeyboardInterrupt if there are no draws yet.
    """
    key = random_key("key", key)
    parts = _parts(prior, split)
    files = [_checkpoint(checkpoint, i) for i in range(len(parts))]
    if resume and (checkpoint is None or not files[0].is_file()):
        raise ValueError(f"checkpoint must be the file of an interrupted run to resume; got {checkpoint!r}")
    results.check_attributes(attrs or {})  # now, not after the sampling
    targets = [make_target(joint, part, systematics=systematics) for _, part in parts]
    key_chains, key_after = jax.random.split(key)
    runs = []
    for i, (target, file) in enumerate(zip(targets, files, strict=True)):
        run = run_chains(
            target,
            key=jax.random.fold_in(key_chains, i) if i else key_chains,
            chains=chains,
            draws=draws,
            warmup=warmup,
            target_accept=target_accept,
            progress=progress,
            checkpoint=file,
            resume=resume and file.is_file(),
        )
        if len(parts) > 1 and not run.complete:
            raise KeyboardInterrupt(f"interrupted in part {i + 1} of {len(parts)}")
        runs.append(run)
    random = generator(key_after)
    outcomes = [_outcome(run, random) for run in runs]
    evidences = [bridge(run.target, run.z, run.stats["potential_energy"], random) for run in runs]
    described = _described(runs[0], prior, key, systematics)
    if len(parts) == 1:
        if evidences[0].known:
            described["log_evidence"] = [evidences[0].log, evidences[0].error]
        return results.build(**outcomes[0], attrs={**described, **(attrs or {})})
    for i, found in enumerate(evidences):
        if not found.known:
            kept = "" if checkpoint is None else "; its chains are kept"
            raise ValueError(f"draws must tell the evidence of part {i + 1} of the split; got {draws}{kept}")
    described |= {"seconds": {k: round(sum(r.seconds[k] for r in runs), 3) for k in runs[0].seconds}}
    return _mixture(parts, outcomes, evidences, {**described, **(attrs or {})})


def _parts(prior, split):
    """[(probability, prior), ...] of the parts of ``prior``."""
    if not split:
        return [(1.0, prior)]
    if not isinstance(split, dict) or len(split) != 1:
        raise ValueError(f"split must be a dict of one parameter, such as {{'delta': 0.0}}; got {split!r}")
    return prior.split(*next(iter(split.items())))


def _checkpoint(path, i):
    """The file of the i-th part."""
    if path is None or i == 0:
        return None if path is None else Path(path)
    return Path(path).with_stem(f"{Path(path).stem}-{i + 1}")


def _outcome(run, random):
    """What the draws of ``run`` mean: the groups of :func:`jaxlmt.results.build`."""
    target = run.target
    shape = run.z.shape[:2]
    n, experiments = shape[0] * shape[1], target.joint.experiments
    numbers = random.uniform(size=n), random.normal(size=(n, len(experiments)))
    outcome = meanings(target, run.z.reshape(n, target.dimension), *numbers)
    _, theta, free, terms, mean = jax.tree.map(lambda a: a.reshape(*shape, *a.shape[1:]), outcome)
    values = {**target.prior.values(theta), **free}
    if "eps_x" in values:
        coupling = values["g_x"] if "g_x" in values else float(target.prior.theta.g_x)
        values["eps_over_g"] = values["eps_x"] / coupling
        if isinstance(target.prior.theta.eps_x, TiedToCoupling):
            values["eps_over_g"] = np.full(shape, float(target.prior.theta.eps_x.ratio))
    if hasattr(theta, "dm_charge"):  # dark matter, by its mass and by its distance from the pole
        values |= {name: np.asarray(getattr(theta, name)) for name in ("dm_mass", "delta")}
    stats = dict(run.stats)
    stats["lp"] = -stats.pop("potential_energy")
    return {
        "posterior": values,
        "sample_stats": stats,
        "log_likelihood": terms,
        "posterior_predictive": {e.name: e.draw(random, mean[e.name]) for e in experiments},
        "expected": mean,
        "observed": {o.name: np.asarray(o.counts) for o in target.joint.observations},
    }


def _described(run, prior, key, systematics):
    """Attributes that say what was sampled, and how."""
    boxes = {**_measured_boxes(prior), **run.target.free}
    return {
        "bounds": {n: b.bounds for n, b in boxes.items() if np.isfinite(b.bounds).all()},
        # two signs are no single logarithm
        "flat_in": {n: b.flat_in for n, b in boxes.items() if not isinstance(b, SignedLogUniform)},
        "prior": prior.describe(),
        "systematics": systematics,
        "seed": np.asarray(jax.random.key_data(key)).tolist(),
        "warmup": run.warmup,
        "complete": run.complete,
        "seconds": {k: round(v, 3) for k, v in run.seconds.items()},
        **provenance(run.target.joint),
    }


def _mixture(parts, outcomes, evidences, attrs):
    """Draws of all parts, each as often as its share of the evidence says, in one container.

    Every chain gets the same shares, each part in its own order and spread evenly.
    """
    logs = np.array([np.log(share) + found.log for (share, _), found in zip(parts, evidences, strict=True)])
    errors = np.array([found.error for found in evidences])
    total = np.logaddexp.reduce(logs)
    weights = np.exp(logs - total)
    kept = next(iter(outcomes[0]["posterior"].values())).shape[1]
    part, draw = _interleave(weights, kept)

    def pick(*arrays):  # (parts, chains, draws, ...) -> (chains, draws, ...)
        return np.stack(arrays)[part, :, draw].swapaxes(0, 1)

    groups = {name: group for name, group in outcomes[0].items() if name != "observed"}
    mixed = {name: jax.tree.map(pick, *(outcome[name] for outcome in outcomes)) for name in groups}
    chains = mixed["sample_stats"]["lp"].shape[0]
    mixed["sample_stats"]["part"] = np.broadcast_to(part, (chains, kept))
    described = []
    for (share, prior), outcome, found, weight in zip(parts, outcomes, evidences, weights, strict=True):
        alone = {name: outcome[name] for name in ("posterior", "sample_stats")}
        quality = results.diagnostics(results.build(**alone))
        described.append(
            {
                "prior": prior.describe(),
                "prior_probability": share,
                "probability": weight,
                "probability_error": weight * (1.0 - weight) * np.hypot.reduce(errors),
                "log_evidence": [found.log, found.error],
                "worst_rhat": quality.worst_rhat,
                "smallest_ess": quality.smallest_ess,
                "divergences": quality.divergences,
                "passed": quality.passed,
            }
        )
    attrs |= {"parts": described, "log_evidence": [float(total), float(np.hypot.reduce(weights * errors))]}
    return results.build(**mixed, observed=outcomes[0]["observed"], attrs=attrs)


def _interleave(weights, n):
    """(part (n,), draw (n,)): which draw of which part stands at each place."""
    counts = np.diff(np.round(np.concatenate([[0.0], np.cumsum(weights)]) * n).astype(int))
    places = [(np.arange(count) + 0.5) / count for count in counts if count]
    part = np.repeat(np.arange(counts.size), counts)
    draw = np.concatenate([(place * n).astype(int) for place in places])
    order = np.argsort(np.concatenate(places), kind="stable")
    return part[order], draw[order]


def _measured_boxes(prior):
    """{name of a posterior variable: box prior}: that of eps_x per coupling belongs to eps_over_g."""
    return {
        "eps_over_g" if isinstance(d, PerCoupling) and name == "eps_x" else name: getattr(d, "ratio", d)
        for name, d in prior.distributions.items()
    }


def provenance(joint):
    """Versions of what computed a result, and SHA-256 of every experiment's arrays and data."""
    packages = ("jax", "jaxlib", "numpyro", "optax", "numpy", "scipy")
    hashes = {}
    for observation in joint.observations:
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(observation):
            digest.update(np.ascontiguousarray(leaf).tobytes())
        hashes[observation.name] = digest.hexdigest()
    versions = {"jaxlmt": __version__, **{p: metadata.version(p) for p in packages}}
    return {"versions": versions, "data_sha256": hashes}
