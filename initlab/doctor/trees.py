"""Trees of parameters and of batches: what in them counts, and what it is called."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

#: arrays in containers of any kind: JAX has no type for it
Tree = Any

#: of an output and a batch: a number
Loss = Callable[[Any, Any], Any]


def parameters(params: Tree) -> tuple[list[str], list[jax.Array], Callable[[Iterable[Any]], Tree]]:
    """Paths and values of all floating-point arrays, and the function that puts them back."""
    flat, tree = jax.tree_util.tree_flatten_with_path(params)
    chosen = [place for place, (_, leaf) in enumerate(flat) if is_floating(leaf)]
    if not chosen:
        kinds = sorted({type(leaf).__name__ for _, leaf in flat}) or ["nothing"]
        raise TypeError(
            "params must hold arrays of floating-point numbers, not only"
            f" {', '.join(kinds)}; give the tree that the model's library trains"
        )
    paths = [_name(flat[place][0]) for place in chosen]
    if all(path.endswith("/value") for path in paths):  # so Flax NNX holds each of its variables
        paths = [path.removesuffix("/value") for path in paths]

    def rebuild(leaves):
        values = [leaf for _, leaf in flat]
        for place, leaf in zip(chosen, leaves, strict=True):
            values[place] = leaf
        return jax.tree.unflatten(tree, values)

    return paths, [jnp.asarray(flat[place][1]) for place in chosen], rebuild


def values_of(params: Tree) -> list[np.ndarray]:
    """The parameters, copied."""
    return [np.array(leaf) for leaf in parameters(params)[1]]


def with_values(params: Tree, values: list[np.ndarray]) -> Tree:
    """The same tree with other parameters, in the old ones' types; what is equal is left alone."""
    flat, tree = jax.tree.flatten(params)
    left = iter(values)

    def one(was):
        value = next(left)
        if np.array_equal(np.asarray(jnp.asarray(was)), value):
            return was
        make = np.asarray if isinstance(was, np.ndarray) else jnp.asarray
        return make(value, was.dtype)

    return jax.tree.unflatten(tree, [one(leaf) if is_floating(leaf) else leaf for leaf in flat])


def is_floating(leaf: Any) -> bool:
    """Whether it is an array of floating-point numbers."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/") or "params"


def paths_of(tree: Tree) -> list[str]:
    """The paths of all leaves."""
    return [_name(path) for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]


def no_parameters(params: Tree) -> list[str]:
    """A line for each array that is of another type than parameters are."""
    leaves = zip(paths_of(params), jax.tree.leaves(params), strict=True)
    return [
        f"{path} is of {leaf.dtype}, and taken as it is"
        for path, leaf in leaves
        if hasattr(leaf, "dtype") and not is_floating(leaf)
    ]


def together(paths: list[str]) -> str:
    """One name for several paths, such as those of the matrices that a product has side by side.

    >>> together(["lstm/hi/kernel", "lstm/hf/kernel"]), together(["down", "up/kernel"])
    ('lstm/{hi,hf}/kernel', 'down x up/kernel')
    """
    parts = [path.split("/") for path in paths]
    if len(paths) > 1 and len(set(map(len, parts))) == 1:
        columns = [list(dict.fromkeys(column)) for column in zip(*parts, strict=True)]
        if sum(len(column) > 1 for column in columns) == 1:
            braced = (one[0] if len(one) == 1 else f"{{{','.join(one)}}}" for one in columns)
            return "/".join(braced)
    return " x ".join(paths)


def said(error: Exception) -> str:
    """An error's kind, and the first line of what it says."""
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}"


def not_finite(what: str, paths: Iterable[str], leaves: Iterable[Any]) -> list[str]:
    """A line for each array that holds what is no number."""
    notes = []
    for path, leaf in zip(paths, leaves, strict=True):
        if is_floating(leaf):
            count = int(np.sum(~np.isfinite(np.asarray(leaf, np.float32))))
            if count:
                notes.append(f"{what} {path} has {count} values that are not finite")
    return notes
