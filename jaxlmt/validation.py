"""Checks at the entry points: every message names the argument, its value and what is allowed."""

import difflib
from collections.abc import Mapping

import jax
import numpy as np


def choose(argument, value, allowed):
    """Return ``value`` if it is one of ``allowed``, else raise ValueError that lists the choices."""
    allowed = tuple(allowed)
    if isinstance(value, str) and value in allowed:
        return value
    near = difflib.get_close_matches(value, allowed, n=1) if isinstance(value, str) else ()
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{argument} must be one of {', '.join(map(repr, allowed))}; got {value!r}{hint}")


def switch(argument, value):
    """``value`` as bool if it is True or False, else ValueError."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{argument} must be True or False; got {value!r}")
    return bool(value)


def known_keys(section, table, allowed):
    """``table`` if it is a dict and every key is one of ``allowed``, else ValueError.

    section: the dotted name of the table, ``""`` for the top level; the message names the key in full and
    the nearest one that is allowed.
    """
    allowed = tuple(allowed)
    if not isinstance(table, Mapping):
        raise ValueError(f"{section or 'an analysis'} must be a table of {', '.join(allowed)}; got {table!r}")
    prefix = f"{section}." if section else ""
    for key in table:
        if key not in allowed:
            (nearest,) = difflib.get_close_matches(str(key), allowed, n=1, cutoff=0.0)
            hint = f"did you mean {prefix}{nearest}?"
            raise ValueError(f"unknown key {prefix}{key} ({hint}); allowed here: {', '.join(allowed)}")
    return table


def require_x64():
    """Raise RuntimeError unless JAX computes in double precision."""
    if not jax.config.jax_enable_x64:
        raise RuntimeError(
            "jaxlmt needs double precision, and JAX is in float32: call jaxlmt.enable_x64() first, "
            "before any other JAX computation (or set JAX_ENABLE_X64=1)"
        )


def is_traced(tree):
    """True if any leaf is a JAX tracer, whose value cannot be checked."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def to_float64(tree):
    """Every leaf as a float64 array (so that ints, floats and NumPy scalars share one trace)."""

    def convert(leaf):
        if isinstance(leaf, jax.core.Tracer):
            return leaf
        if isinstance(leaf, jax.Array) and leaf.dtype == np.float64 and not leaf.weak_type:
            return leaf
        return np.asarray(leaf, np.float64)

    return jax.tree.map(convert, tree)


def number(argument, value, *, low=-np.inf, high=np.inf, low_open=False, whole=False):
    """``value`` as float if it is a finite (whole) number in [low, high], else ValueError; text is none."""
    try:
        result = np.nan if isinstance(value, str | bytes | bool | np.bool_) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = np.nan
    inside = low < result <= high if low_open else low <= result <= high
    if not np.isfinite(result) or not inside or (whole and result % 1.0):
        bracket = "(" if low_open else "["
        kind = "whole" if whole else "finite"
        raise ValueError(f"{argument} must be a {kind} number in {bracket}{low:g}, {high:g}]; got {value!r}")
    return result


def random_key(argument, key):
    """``key`` as a typed key if it is one, old or new style, else ValueError."""
    if isinstance(key, jax.Array):
        if jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
            return key
        if key.dtype == np.uint32 and key.shape == (2,):
            return jax.random.wrap_key_data(key)
    raise ValueError(f"{argument} must be a jax.random.key, such as jax.random.key(0); got {key!r}")


def values(argument, value, *, shape=None, low=-np.inf, low_open=False):
    """``value`` as a finite float64 array of ``shape`` with entries >= low (or > low)."""
    try:
        if np.asarray(value).dtype.kind in "bSU":  # which NumPy would convert
            raise TypeError("text or truth values")
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{argument} must be numbers; got {value!r}") from error
    if shape is not None and array.shape != shape:
        raise ValueError(f"{argument} must have shape {shape}; got shape {array.shape}")
    bad = ~np.isfinite(array) | ((array <= low) if low_open else (array < low))
    if bad.any():
        allowed = "finite" if low == -np.inf else f"finite and {'>' if low_open else '>='} {low:g}"
        raise ValueError(f"{argument} must be {allowed}; got {float(array[bad].ravel()[0])!r}")
    return array


def parameters(values_by_name):
    """Nuisance parameters as float64; ValueError that names one with a concrete value that is not finite."""
    for name, value in values_by_name.items():
        if not is_traced(value):
            values(f"nuisance {name}", value)
    return to_float64(values_by_name)


def edges(argument, value, *, low=0.0):
    """Bin edges as a strictly increasing float64 array of at least two entries > low."""
    array = values(argument, value, low=low, low_open=True)
    if array.ndim != 1 or array.size < 2 or not np.all(np.diff(array) > 0):
        raise ValueError(f"{argument} must be at least two strictly increasing edges; got {value!r}")
    return array


def check_theta(theta, argument="theta"):
    """``theta`` with float64 leaves; ValueError where a concrete value is not physical."""
    for name in ("g_x", "mass", "eps_x", "charges", "running"):
        if not hasattr(theta, name):
            raise TypeError(f"{argument} must be a jaxlmt.HiddenPhoton; got {type(theta).__name__}")
    switch(f"{argument}.running", theta.running)
    try:
        theta = to_float64(theta)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument} must hold numbers or arrays of numbers; got {theta!r}") from error
    for name, low, is_open in (("g_x", 0.0, False), ("mass", 0.0, True), ("eps_x", -np.inf, False)):
        leaf = getattr(theta, name)
        if not is_traced(leaf):
            values(f"{argument}.{name}", leaf, low=low, low_open=is_open)
    for name in ("e", "mu", "tau"):
        leaf = getattr(theta.charges, name)
        if not is_traced(leaf):
            values(f"{argument}.charges.{name}", leaf)
    if hasattr(theta, "dm_charge"):
        _check_dark_matter(theta, argument)
    return theta


def _check_dark_matter(theta, argument):
    switch(f"{argument}.dark_decays", theta.dark_decays)
    for name, low in (("dm_mass", 0.0), ("delta", -1.0)):
        leaf = vars(theta).get(name)
        if leaf is not None and not is_traced(leaf):
            values(f"{argument}.{name}", leaf, low=low, low_open=True)
    if not is_traced(theta.dm_charge) and np.any(values(f"{argument}.dm_charge", theta.dm_charge) == 0.0):
        raise ValueError(f"{argument}.dm_charge must not be 0")


def check_dark_matter(theta, argument="theta"):
    """:func:`check_theta` for a model with dark matter: TypeError for one without."""
    if not hasattr(theta, "dm_charge"):
        raise TypeError(f"{argument} must be a jaxlmt.DarkMatter; got {type(theta).__name__}")
    return check_theta(theta, argument)


def has_dark_matter(theta, name):
    """``theta`` if its model has dark matter, else ValueError: what the experiment ``name`` asks of it."""
    if not hasattr(theta, "dm_charge"):
        raise ValueError(
            f"{name} needs a model with dark matter, jaxlmt.DarkMatter; got {type(theta).__name__}"
        )
    return theta
