"""What the networks of this package draw, and keep: as ``initlab.draws`` does for dense ones."""

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from initlab.draws import KeptByThread, jit_draw, zeros
from initlab.parameters import Weights

if TYPE_CHECKING:  # what imports this module
    from initlab.architectures.chain import Chain, ChainSetting

_KEPT = KeptByThread(512 * 2**20)


#: a whole number, traced or not
Number = int | np.integer | jax.Array


class Matrix(NamedTuple):
    """An array that is drawn: ``draw(key, shape)``."""

    draw: Callable[..., jax.Array]
    shape: tuple[int, ...]


def scaled(draws: dict[str, Any], scales: dict[str, Any]) -> dict[str, Any]:
    """Draws times their scales, which are one number for each array."""
    return {name: scales[name] * array for name, array in draws.items()}


@functools.partial(jit_draw, static_argnames=("matrix",))
def _draw_once(matrix: Matrix, seed, place, position):
    return matrix.draw(key_of(seed, place, position), matrix.shape)


@functools.partial(jit_draw, static_argnames=("matrix",), donate_argnames=("layers",))
def _draw_layers(matrix: Matrix, layers, seed, position, start, stop):
    """Fill ``layers[start:stop]`` in place; index 0 belongs to layer 2."""

    def fill(index, layers):
        key = key_of(seed, index + len(Weights._fields), position)
        return layers.at[index].set(matrix.draw(key, matrix.shape))

    return jax.lax.fori_loop(start, stop, fill, layers)


def key_of(seed: Number, place: Number, position: Number) -> jax.Array:
    """Of an array: its place in the network, and its position there among others."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), place), position)


def _draw_part(matrices: dict, seed, place: int) -> dict:
    return {
        name: _draw_once(matrix, seed, np.int32(place), np.int32(position))
        for position, (name, matrix) in enumerate(matrices.items())
    }


def draws_for(setting: "ChainSetting", features: int, classes: int) -> Weights:
    """The kept draws of a setting, with at least its ``depth - 1`` further layers filled.

    A deeper network begins with the layers of the shallower one. They stay valid until the
    thread's next call, which may fill more layers in the same memory.
    """
    chain, matrices = setting.chain(features, classes), setting.matrices(features, classes)
    seed = np.uint32(setting.seed)
    parts = [tuple(part.items()) for part in matrices]
    key = (chain.shared, chain.max_depth, setting.seed, *parts)
    kept = _KEPT.own
    draws, filled = kept.take(key) or (None, 0)
    if draws is None:
        parts = matrices._asdict().items()
        once = {
            name: _draw_part(part, seed, place)
            for place, (name, part) in enumerate(parts)
            if name != "layers" or chain.shared
        }
        draws = Weights(**({"layers": _empty_layers(chain, matrices)} | once))
    if filled < setting.depth - 1 and not chain.shared:
        span = np.int32(filled), np.int32(setting.depth - 1)
        layers = {
            name: _draw_layers(matrix, draws.layers[name], seed, np.int32(position), *span)
            for position, (name, matrix) in enumerate(matrices.layers.items())
        }
        draws, filled = draws._replace(layers=layers), setting.depth - 1
    kept.keep(key, (draws, filled), sum(array.nbytes for array in jax.tree.leaves(draws)))
    return draws


def _empty_layers(chain: "Chain", matrices: Weights) -> dict:
    return {name: _empty_layer(chain, matrix) for name, matrix in matrices.layers.items()}


def _empty_layer(chain: "Chain", matrix: Matrix) -> jax.Array:
    return zeros(matrix.shape if chain.shared else (chain.max_depth - 1, *matrix.shape))


def empty_draws(setting: "ChainSetting", features: int, classes: int) -> Weights:
    """Draws of the right shapes, all zero."""
    chain, matrices = setting.chain(features, classes), setting.matrices(features, classes)
    return Weights(
        {name: zeros(matrix.shape) for name, matrix in matrices.first.items()},
        _empty_layers(chain, matrices),
        {name: zeros(matrix.shape) for name, matrix in matrices.readout.items()},
    )


def drawing(
    setting: "ChainSetting", features: int, classes: int
) -> Iterator[tuple[Hashable, Callable[[], object]]]:
    """What is to be compiled to draw a setting's network: pairs of a key and a task."""
    chain, matrices = setting.chain(features, classes), setting.matrices(features, classes)
    zero, seed = np.int32(0), np.uint32(0)
    for name, part in matrices._asdict().items():
        for matrix in part.values():
            if name != "layers" or chain.shared:
                yield matrix, lambda matrix=matrix: _draw_once(matrix, seed, zero, zero)
            else:
                yield (
                    (matrix, chain.max_depth),
                    lambda matrix=matrix: _draw_layers(
                        matrix, _empty_layer(chain, matrix), seed, zero, zero, zero
                    ),
                )
