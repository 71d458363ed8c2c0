"""Derivatives by rules of our own."""

import functools

import jax


def slopes_with_value(*differentiable):
    """Decorator of a scalar kernel: its gradient in these arguments is computed along with the value.

    A batch that is worked off in chunks then keeps a few slopes a point in reverse mode, and not every
    intermediate number of every point. differentiable: positions; the others are constants.
    """

    def decorate(kernel):
        function = functools.wraps(kernel)(jax.custom_jvp(kernel))

        @function.defjvp
        def jvp(primals, tangents):
            value, slopes = jax.value_and_grad(kernel, argnums=differentiable)(*primals)
            moved = tuple(tangents[i] for i in differentiable)
            products = jax.tree.map(lambda slope, tangent: slope * tangent, slopes, moved)
            return value, sum(jax.tree.leaves(products))

        return function

    return decorate
