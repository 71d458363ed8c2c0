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
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from ..validation import number
from .coordinates import straighten
from .fit import minimise, starting_points
from .target import make_target, potentials_and_gradients

BLOCK = 100  # transitions a compiled block
FIELDS = ("potential_energy", "energy", "num_steps", "accept_prob", "diverging")


@dataclass
class Chains:
    """Raw output of the sampler: y (chains, draws, d) unconstrained, stats {name: (chains, draws)}.

    complete: False if interrupted; seconds: wall time by stage; optimum: where the chains started.
    """

    y: np.ndarray
    stats: dict
    warmup: int
    complete: bool
    seconds: dict = field(default_factory=dict)
    optimum: object = None


def _kernel():
    return hmc(potential_fn_gen=lambda target: lambda y: -target.log_density(y), algo="NUTS")


def _initialise(init, target, y, potential, gradient, inverse_mass, key, warmup, target_accept):
    return init(
        ParamInfo(y, potential, gradient),
        num_warmup=warmup,
        inverse_mass_matrix=inverse_mass,
        dense_mass=True,
        step_size=0.5,
        target_accept_prob=target_accept,
        rng_key=key,
        model_args=(target,),
    )


@functools.partial(jax.jit, static_argnames=("warmup", "target_accept"))
def _start(target, y, potential, gradient, inverse_mass, keys, warmup, target_accept):
    init, _ = _kernel()

    def one(point, value, slope, key):
        return _initialise(init, target, point, value, slope, inverse_mass, key, warmup, target_accept)

    return jax.vmap(one)(y, potential, gradient, keys)


@functools.partial(jax.jit, static_argnames=("warmup", "target_accept", "vectorised"))
def _run_block(target, states, inverse_mass, warmup, target_accept, vectorised):
    """(states, draws) after BLOCK transitions of every chain; ``states`` has a leading chain axis."""
    init, kernel = _kernel()
    d = target.dimension
    # NumPyro's kernel keeps its settings in Python closures that init fills at trace time.
    zeros = jnp.zeros(d), jnp.zeros(()), jnp.zeros(d)
    _initialise(init, target, *zeros, inverse_mass, jax.random.key(0), warmup, target_accept)

    def transition(state, _):
        state = kernel(state, (target,))
        stats = {name: getattr(state, name) for name in FIELDS}
        return state, (state.z, {**stats, "step_size": state.adapt_state.step_size})

    def chain(state):
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
        self.blocks = []  # of (y, stats), chains first

    def compile(self):
        """Compile the block program from shapes alone, so that it can happen beside the fit."""
        d = self.target.dimension
        size = self.chains // self.groups
        shapes = jax.eval_shape(
            functools.partial(_start, warmup=self.warmup, target_accept=self.target_accept),
            self.target,
            *(jax.ShapeDtypeStruct(s, jnp.float64) for s in ((size, d), (size,), (size, d), (d, d))),
            jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size)),
        )
        mass = jax.ShapeDtypeStruct((d, d), jnp.float64)
        return _run_block.lower(
            self.target, shapes, mass, self.warmup, self.target_accept, self.vectorised
        ).compile()

    def start(self, y, inverse_mass, key):
        """Place the chains at ``y`` (chains, d)."""
        potential, gradient = potentials_and_gradients(self.target, y)
        keys = jax.random.split(key, self.chains)
        self.inverse_mass = np.asarray(inverse_mass)
        states = _start(
            self.target, y, potential, gradient, self.inverse_mass, keys, self.warmup, self.target_accept
        )
        size = self.chains // self.groups
        self.states = [jax.tree.map(lambda a, i=i: a[i : i + size], states) for i in range(0, self.chains, size)]

    def advance(self, pool, program):
        """Run one block of every chain; on KeyboardInterrupt the block is dropped whole."""
        futures = [pool.submit(_call, program, self.target, s, self.inverse_mass) for s in self.states]
        results = [future.result() for future in futures]
        self.states = [states for states, _ in results]
        self.blocks.append(jax.tree.map(lambda *a: np.concatenate(a), *(draws for _, draws in results)))

    @property
    def transitions(self):
        """Transitions done by every chain, warmup included."""
        return len(self.blocks) * BLOCK

    def draws(self):
        """(y, stats) of the draws after warmup, chains first."""
        y, stats = jax.tree.map(lambda *a: np.concatenate(a, axis=1), *self.blocks)
        return jax.tree.map(lambda a: a[:, self.warmup :], (y, stats))


def _call(program, *arguments):
    states, draws = program(*arguments)
    return jax.block_until_ready(states), jax.tree.map(np.asarray, draws)


def _fingerprint(sampler):
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(sampler.target):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    digest.update(repr((sampler.target.names, sampler.chains, sampler.warmup, sampler.target_accept)).encode())
    return digest.hexdigest()


def _is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def save_checkpoint(path, sampler):
    """Write everything that :func:`load_checkpoint` needs to go on, replacing ``path`` at once."""
    path = Path(path)
    leaves = jax.tree.leaves(sampler.states)
    arrays = {f"state{i}": np.asarray(jax.random.key_data(v) if _is_key(v) else v) for i, v in enumerate(leaves)}
    y, stats = jax.tree.map(lambda *a: np.concatenate(a, axis=1), *sampler.blocks)
    arrays |= {"y": y, "inverse_mass": sampler.inverse_mass, "fingerprint": _fingerprint(sampler)}
    arrays |= {f"stat_{name}": value for name, value in stats.items()}
    temporary = path.with_suffix(".partial.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)


def load_checkpoint(path, sampler, key):
    """Put ``sampler`` where :func:`save_checkpoint` left it. ValueError if the problem is another one."""
    with np.load(path) as stored:
        if str(stored["fingerprint"]) != _fingerprint(sampler):
            raise ValueError(f"checkpoint {path} belongs to other data, priors or sampler settings")
        y = stored["y"]
        sampler.start(y[:, -1], stored["inverse_mass"], key)
        template, structure = jax.tree.flatten(sampler.states)
        leaves = [
            jax.random.wrap_key_data(stored[f"state{i}"]) if _is_key(v) else jnp.asarray(stored[f"state{i}"], v.dtype)
            for i, v in enumerate(template)
        ]
        sampler.states = jax.tree.unflatten(structure, leaves)
        stats = {name[5:]: stored[name] for name in stored.files if name.startswith("stat_")}
    blocks = range(0, y.shape[1], BLOCK)
    sampler.blocks = [jax.tree.map(lambda a, i=i: a[:, i : i + BLOCK], (y, stats)) for i in blocks]


def run_chains(
    target,
    *,
    key,
    chains=4,
    draws=2000,
    warmup=400,
    target_accept=0.9,
    progress=None,
    checkpoint=None,
    resume=False,
):
    """Sample ``target``; returns :class:`Chains`. Arguments as for :func:`jaxlmt.sample`."""
    chains = int(number("chains", chains, low=1))
    draws = int(number("draws", draws, low=1))
    warmup = int(number("warmup", warmup, low=BLOCK))
    target_accept = number("target_accept", target_accept, low=0.5, high=0.999)
    total = -(-(warmup + draws) // BLOCK)
    progress = sys.stderr.isatty() if progress is None else progress
    sampler = Sampler(target, chains=chains, warmup=warmup, target_accept=target_accept)
    key_search, key_start, key_chain = jax.random.split(key, 3)
    seconds, clock = {}, time.perf_counter()

    with ThreadPoolExecutor(sampler.groups) as pool:
        compiling = pool.submit(sampler.compile)
        optimum = None
        if resume:
            load_checkpoint(checkpoint, sampler, key_chain)
        else:
            optimum = minimise(target, starting_points(target, key_search, 32))
            target = sampler.target = straighten(target, optimum)
            start = jax.random.normal(key_start, (chains, target.dimension), jnp.float64)
            sampler.start(np.asarray(start), np.eye(target.dimension), key_chain)
        seconds["fit"] = time.perf_counter() - clock
        program = compiling.result()
        seconds["compile"] = time.perf_counter() - clock - seconds["fit"]
        clock = time.perf_counter()
        complete = _loop(sampler, pool, program, total, progress, checkpoint)
        seconds["sample"] = time.perf_counter() - clock
    if sampler.transitions <= warmup:
        raise KeyboardInterrupt("interrupted during warmup: no draws yet")
    y, stats = sampler.draws()
    y, stats = jax.tree.map(lambda a: a[:, :draws], (y, stats))
    return Chains(y, stats, warmup, complete, seconds, optimum)


def _loop(sampler, pool, program, total, progress, checkpoint):
    from tqdm import tqdm

    saved = time.perf_counter()
    with tqdm(total=total * BLOCK, initial=sampler.transitions, disable=not progress, unit="transition") as bar:
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
    return True
