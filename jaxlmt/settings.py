"""Switches of JAX that a user turns on explicitly, importing jaxlmt turns nothing on; and one of ours."""

import functools
from pathlib import Path

import jax

# ``jax.jit`` for programs that run once or twice, when something is folded or drawn: half the compilation, by
# leaving out most of LLVM's optimisation, which would cost more than it gains. Not inside other programs.
jit_once = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def enable_x64():
    """Make JAX compute in double precision, which every likelihood needs. Call it before anything else."""
    jax.config.update("jax_enable_x64", True)


def enable_compilation_cache(path):
    """Keep compiled programs in the folder ``path`` (created if missing), for later processes to load."""
    folder = Path(path).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Everything counts at start-up, so that nothing is too small or too quick to keep.
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
