"""JAX is configured before anything is computed: double precision, and no silent broadcasting of ranks."""

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
