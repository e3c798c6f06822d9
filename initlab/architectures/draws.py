"""What the networks of this package draw, and keep: as ``initlab.draws`` does for dense ones."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.draws import Kept

_KEPT = Kept(512 * 2**20)


class Matrix(NamedTuple):
    """An array that is drawn: ``draw(key, shape)``."""

    draw: Callable
    shape: tuple[int, ...]


class Weights(NamedTuple):
    """A network's arrays, or what they are drawn by, or their scales: dicts by name.

    ``layers`` has the arrays of all layers but the first, stacked; where layers share their
    weights it has them once, and ``first`` is empty.
    """

    first: dict[str, Any]
    layers: dict[str, Any]
    readout: dict[str, Any]  # weight [features, K], and perhaps bias [K]


def scaled(draws: dict, scales: dict) -> dict:
    """Draws times their scales, which are one number for each array."""
    return {name: scales[name] * array for name, array in draws.items()}


def _draw(matrices, key) -> tuple:
    keys = jax.random.split(key, max(len(matrices), 1))
    return tuple(matrix.draw(keys[i], matrix.shape) for i, matrix in enumerate(matrices))


@functools.partial(jax.jit, static_argnames=("matrices",))
def _draw_once(matrices: tuple[Matrix, ...], seed, place):
    return _draw(matrices, jax.random.fold_in(jax.random.key(seed), place))


@functools.partial(jax.jit, static_argnames=("matrices",), donate_argnames=("layers",))
def _draw_layers(matrices: tuple[Matrix, ...], layers, seed, start, stop):
    """Fill ``layers[start:stop]`` in place; index 0 is what makes layer 2."""

    def fill(index, layers):
        key = jax.random.fold_in(jax.random.key(seed), index + 2)
        drawn = _draw(matrices, key)
        return tuple(all_.at[index].set(one) for all_, one in zip(layers, drawn, strict=True))

    return jax.lax.fori_loop(start, stop, fill, layers)


def _named(matrices: dict, arrays) -> dict:
    return dict(zip(matrices, arrays, strict=True))


def draws_for(setting, features: int, classes: int) -> Weights:
    """The kept draws of a setting, with at least its ``depth - 1`` further layers filled.

    A deeper network begins with the layers of the shallower one. They stay valid until the next
    call, which may fill more layers in the same memory.
    """
    chain, matrices = setting.chain(features, classes), setting.matrices(features, classes)
    seed = np.uint32(setting.seed)
    parts = [tuple(part.values()) for part in matrices]
    key = (type(setting), chain.shared, chain.max_depth, setting.seed, *parts)
    with _KEPT.lock:
        draws, filled = _KEPT.take(key) or (None, 0)
        if draws is None:
            places = {"readout": 0, "first": 1, "layers": 2}
            once = {
                name: _named(part, _draw_once(tuple(part.values()), seed, np.int32(places[name])))
                for name, part in matrices._asdict().items()
                if name != "layers" or chain.shared
            }
            draws = Weights(**({"layers": _empty_layers(chain, matrices)} | once))
        if filled < setting.depth - 1 and not chain.shared:
            span = np.int32(filled), np.int32(setting.depth - 1)
            arrays = tuple(matrices.layers.values()), tuple(draws.layers.values())
            layers = _draw_layers(*arrays, seed, *span)
            draws, filled = (
                draws._replace(layers=_named(matrices.layers, layers)),
                setting.depth - 1,
            )
        _KEPT.keep(key, (draws, filled), sum(array.nbytes for array in jax.tree.leaves(draws)))
        return draws


def _empty_layers(chain, matrices: Weights) -> dict:
    stack = () if chain.shared else (chain.max_depth - 1,)
    return {name: jnp.zeros((*stack, *m.shape)) for name, m in matrices.layers.items()}


def empty_draws(setting, features: int, classes: int) -> Weights:
    """Draws of the right shapes, all zero."""
    chain, matrices = setting.chain(features, classes), setting.matrices(features, classes)
    return Weights(
        {name: jnp.zeros(matrix.shape) for name, matrix in matrices.first.items()},
        _empty_layers(chain, matrices),
        {name: jnp.zeros(matrix.shape) for name, matrix in matrices.readout.items()},
    )


def compile_draws(setting, features: int, classes: int) -> None:
    """Compile what draws a setting's networks, and keep nothing that it draws."""
    chain, matrices = setting.chain(features, classes), setting.matrices(features, classes)
    for name, part in matrices._asdict().items():
        if name != "layers" or chain.shared:
            _draw_once(tuple(part.values()), np.uint32(0), np.int32(0))
    if not chain.shared:
        empty = tuple(_empty_layers(chain, matrices).values())
        stop = np.int32(0)
        _draw_layers(tuple(matrices.layers.values()), empty, np.uint32(0), stop, stop)
