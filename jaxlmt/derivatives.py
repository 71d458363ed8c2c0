"""Derivatives by rules of our own."""

import functools

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero


def slopes_with_value(*differentiable):
    """Decorator of a scalar kernel: its gradient in these arguments is computed along with the value.

    A batch that is worked off in chunks then keeps a few slopes a point in reverse mode, and not every
    intermediate number of every point. differentiable: positions; the others are constants.
    """

    def decorate(kernel):
        function = functools.wraps(kernel)(jax.custom_jvp(kernel))

        @functools.partial(function.defjvp, symbolic_zeros=True)
        def jvp(primals, tangents):
            moving = [i for i in differentiable if not all(map(_is_zero, jax.tree.leaves(tangents[i])))]
            if not moving:
                return kernel(*primals), jnp.zeros(())
            value, slopes = jax.value_and_grad(kernel, argnums=moving)(*primals)
            changes = jax.tree.leaves([tangents[i] for i in moving])
            pairs = zip(jax.tree.leaves(slopes), changes, strict=True)
            return value, sum(slope * change for slope, change in pairs if not _is_zero(change))

        return function

    return decorate


def _is_zero(tangent):
    return isinstance(tangent, SymbolicZero)
