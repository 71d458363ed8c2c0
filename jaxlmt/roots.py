"""Roots of increasing functions: fixed work, so that they batch, and exact derivatives."""

import jax
import jax.numpy as jnp


def increasing_root(function, low, high, *, start=None, iterations):
    """(root, residual) of an increasing scalar ``function`` between ``low`` and ``high``.

    The residual is |function| a step before the last. It is large if there is no root, and what is returned
    is an end then.

    ``iterations`` secant steps from ``start`` (the middle), halving where one leaves the bracket, and now and
    then in the first half of them. The slope is taken as one before it is known. The derivative with respect
    to what ``function`` closes over is that of the implicit function. A pure kernel.
    """
    low, high = jnp.broadcast_arrays(jnp.asarray(low, float), jnp.asarray(high, float))
    start = 0.5 * (low + high) if start is None else jnp.full_like(low, start)

    def step(k, state):
        at, before, value_before, slope, low, high = state
        value = function(at)
        moved = (at != before) & (value != value_before)
        slope = jnp.where(moved, (value - value_before) / jnp.where(moved, at - before, 1.0), slope)
        low, high = jnp.where(value < 0.0, at, low), jnp.where(value < 0.0, high, at)
        new = at - value / slope
        halve = (k % 4 == 3) & (k < iterations // 2)
        inside = (new >= low) & (new <= high) & ~halve  # false for what is not a number
        return jnp.where(inside, new, 0.5 * (low + high)), at, value, slope, low, high

    def solve(_, start):
        ends = jax.lax.stop_gradient((low, high))
        state = start, start, jnp.zeros_like(start), jnp.ones_like(start), *ends
        at, _, value, *_ = jax.lax.fori_loop(0, iterations, step, state)
        return at, jnp.abs(value)

    def tangent(linear, y):
        return y / linear(jnp.ones_like(y))

    return jax.lax.custom_root(function, start, solve, tangent, has_aux=True)
