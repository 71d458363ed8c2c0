"""Detectors with names: a factory with defaults of its own, cached by what differs from them."""

import functools
import inspect
from collections.abc import Mapping

import numpy as np

from ..validation import choose


def variant(factory, *, named=None, **defaults):
    """Decorator of an empty function: it becomes ``factory`` with ``defaults``, but keeps name and docstring.

    Keywords are those of ``factory``, but for the ``name`` where that is among the defaults; named: the name,
    unless given, from the keywords. A call with equal ones returns the same object. Its signature is what
    help() shows and an analysis file may change. Raises ValueError for other keywords.
    """
    keywords = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(p.name, p.default))
        for p in inspect.signature(factory).parameters.values()
        if p.name != "name" or "name" not in defaults
    ]
    names = [keyword.name for keyword in keywords]

    def decorate(function):
        @functools.cache
        def cached(given):
            return factory(**{**defaults, **dict(given)})

        @functools.wraps(function)
        def called(**given):
            for name in given:
                choose(f"option of {function.__name__}", name, names)
            if named is not None and given.get("name") is None:
                given["name"] = named(**{**defaults, **given})
            return cached(tuple(sorted((name, _hashable(value)) for name, value in given.items())))

        called.__signature__ = inspect.Signature(keywords)
        return called

    return decorate


def _hashable(value):
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
