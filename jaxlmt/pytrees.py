"""Frozen dataclasses as JAX pytrees."""

import dataclasses

import jax


def pytree(cls):
    """Class decorator: a frozen dataclass, compared by identity, whose fields are the leaves of a pytree.

    Fields with ``metadata={"static": True}`` are part of the structure instead, and must be hashable.
    The structure also knows the class: ``jax.tree_util.register_dataclass`` (JAX 0.7 to 0.12) takes two
    classes with as many fields for the same, and ``jit`` may then run the program of the one on the other.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(cls)
    static = [f.name for f in fields if f.metadata.get("static")]
    leaves = [f.name for f in fields if not f.metadata.get("static")]

    def flatten_with_keys(node):
        children = [(jax.tree_util.GetAttrKey(name), getattr(node, name)) for name in leaves]
        return children, tuple(getattr(node, name) for name in static)

    def flatten(node):
        return [getattr(node, name) for name in leaves], tuple(getattr(node, name) for name in static)

    def unflatten(settings, children):
        node = object.__new__(cls)  # no __init__: JAX rebuilds nodes around anything
        node.__dict__.update(zip(leaves, children, strict=True))
        node.__dict__.update(zip(static, settings, strict=True))
        return node

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
