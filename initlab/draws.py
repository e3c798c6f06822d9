"""The random numbers behind every network, drawn once and kept.

Drawing costs more than a forward pass, so draws are kept by what they depend on: seed, width,
the initializer's draw, and the sizes of input and readout. They do not depend on depth or scale:
a deeper network begins with the layers of the shallower one, and another gain or another
initializer of the same family rescales the same numbers.
"""

import contextlib
import functools
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from initlab.initializers import INITIALIZERS
from initlab.laws import Fan
from initlab.matrices import draw_normal, draw_uniform
from initlab.parameters import Pairs, Parameters
from initlab.setting import MAX_DEPTH, AnySetting, Setting


class Draws(NamedTuple):
    """Unscaled weights and biases of the deepest network; hidden layers are filled on demand."""

    first: jax.Array  # [fan_in, width]
    hidden: jax.Array  # [MAX_DEPTH - 1, width, width]
    readout: jax.Array  # [width, fan_out]
    bias: jax.Array  # [MAX_DEPTH, 2, width]: normal, uniform
    readout_bias: jax.Array  # [2, fan_out]
    norm: jax.Array  # [MAX_DEPTH + 1] Frobenius norms: first, hidden, and last the readout


class Scales(NamedTuple):
    """What the draws of one setting are multiplied by, as float32 NumPy arrays."""

    weight: np.ndarray  # [MAX_DEPTH + 1]: first, hidden, and at index depth the readout
    bias: np.ndarray  # [MAX_DEPTH + 1, 2]


class Kept:
    """Values kept by key, until they take too much memory; the least recently used go first."""

    def __init__(self, limit: int):
        self._limit = limit  # bytes
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()  # with bytes
        # an explorer warms up in the background
        self.lock: contextlib.AbstractContextManager[bool] = threading.RLock()

    def take(self, key: Hashable) -> Any:
        """The value, which is kept no longer; None if there is none."""
        with self.lock:
            return self._values.pop(key, (None, 0))[0]

    def keep(self, key: Hashable, value: object, size: int) -> None:
        """Keep a value of so many bytes, and drop the oldest others beyond the limit."""
        with self.lock:
            self._values[key] = value, size
            while len(self._values) > 1 and sum(n for _, n in self._values.values()) > self._limit:
                self._values.popitem(last=False)


class KeptByThread(threading.local):
    """What each thread keeps for itself: what one fills in place, another may be measuring."""

    def __init__(self, limit: int):
        self.own: Kept = Kept(limit)


_KEPT = KeptByThread(768 * 2**20)  # five kinds of draw at width 512


#: ``jax.jit`` for what draws: it runs once, so it need not be fast, and with less effort XLA
#: compiles it in half the time. The bits are the same.
jit_draw: Callable[..., Any] = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)


@jit_draw
def _keys(seed):
    """A key for each layer; index 0 belongs to the readout, so that depth does not matter.

    The last two are for the biases.
    """
    layers = jnp.arange(MAX_DEPTH + 3)
    return jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(seed)))(layers)


def _norm(weight):
    return jnp.sqrt(jnp.sum(jnp.sum(weight**2, axis=0)))


@functools.partial(jit_draw, static_argnames=("draw", "fan_in", "width", "fan_out"))
def _draw_ends(draw, keys, fan_in, width, fan_out):
    """The matrix that reads the input, the readout, and the norms so far."""
    first, readout = draw(keys[1], (fan_in, width)), draw(keys[0], (width, fan_out))
    norm = jnp.zeros(MAX_DEPTH + 1).at[0].set(_norm(first)).at[MAX_DEPTH].set(_norm(readout))
    return first, readout, norm


@functools.partial(jit_draw, static_argnames=("draw",), donate_argnames=("hidden", "norm"))
def _draw_hidden(draw, hidden, norm, keys, start, stop):
    """Fill ``hidden[start:stop]`` in place; ``hidden[0]`` belongs to the second layer."""

    def fill(index, state):
        hidden, norm = state
        weight = draw(keys[index + 2], hidden.shape[1:])
        return hidden.at[index].set(weight), norm.at[index + 1].set(_norm(weight))

    return jax.lax.fori_loop(start, stop, fill, (hidden, norm))


@functools.partial(jit_draw, static_argnames=("width", "fan_out"))
def _draw_biases(keys, width, fan_out):
    """Normal and uniform biases of variance 1 for every layer, and for the readout."""
    shape = (MAX_DEPTH + 1, max(width, fan_out))
    bias = jnp.stack([draw_normal(keys[-1], shape), draw_uniform(keys[-2], shape)], axis=1)
    return bias[1:, :, :width], bias[0, :, :fan_out]


def draws_for(setting: Setting, fan_in: int, fan_out: int) -> Draws:
    """The kept draws of a setting, with at least its ``depth - 1`` hidden matrices filled.

    They stay valid until the thread's next call, which may fill more layers in the same memory.
    """
    width, keys = setting.width, _keys(np.uint32(setting.seed))
    draw = INITIALIZERS[setting.initializer].draw
    key = (draw, setting.seed, fan_in, width, fan_out)
    kept = _KEPT.own
    draws, filled = kept.take(key) or (None, 0)
    if draws is None:
        first, readout, norm = _draw_ends(draw, keys, fan_in, width, fan_out)
        hidden = zeros((MAX_DEPTH - 1, width, width))
        bias, readout_bias = _draw_biases(keys, width, fan_out)
        draws = Draws(first, hidden, readout, bias, readout_bias, norm)
    if filled < setting.depth - 1:
        span = np.int32(filled), np.int32(setting.depth - 1)
        hidden, norm = _draw_hidden(draw, draws.hidden, draws.norm, keys, *span)
        draws = draws._replace(hidden=hidden, norm=norm)
        filled = setting.depth - 1
    kept.keep(key, (draws, filled), sum(array.nbytes for array in draws))
    return draws


def compile_draws(draw: Callable[..., jax.Array], fan_in: int, width: int, fan_out: int) -> None:
    """Compile what draws networks of these sizes, and keep nothing that it draws."""
    keys = _keys(np.uint32(0))
    _draw_ends(draw, keys, fan_in, width, fan_out)
    _draw_biases(keys, width, fan_out)
    empty = empty_draws(fan_in, width, fan_out)
    _draw_hidden(draw, empty.hidden, empty.norm, keys, np.int32(0), np.int32(0))


def empty_draws(fan_in: int, width: int, fan_out: int) -> Draws:
    """Draws of the right shapes, all zero."""
    return Draws(
        first=zeros((fan_in, width)),
        hidden=zeros((MAX_DEPTH - 1, width, width)),
        readout=zeros((width, fan_out)),
        bias=zeros((MAX_DEPTH, 2, width)),
        readout_bias=zeros((2, fan_out)),
        norm=zeros((MAX_DEPTH + 1,)),
    )


def zeros(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> jax.Array:
    """What ``jnp.zeros`` makes, but without a program for each shape, which takes its time."""
    return jax.device_put(np.zeros(shape, dtype), may_alias=False)


def as_drawn(weights: Pairs, fan_in: int, fan_out: int) -> tuple[Draws, Scales]:
    """Given weights, ``[(weight, bias), …]``, as if they had been drawn, and scaled by 1."""
    matrices, biases = zip(*weights, strict=True)
    depth = len(weights) - 1
    norms = np.array([np.linalg.norm(matrix) for matrix in matrices], np.float32)
    width = matrices[0].shape[1]

    def filled(shape, *parts):
        # in NumPy: JAX would compile a program for each depth
        array = np.zeros(shape, np.float32)
        for place, values in parts:
            array[place] = values
        return jax.device_put(array, may_alias=False)

    draws = Draws(
        first=jax.device_put(matrices[0], may_alias=False),
        hidden=filled((MAX_DEPTH - 1, width, width), *enumerate(matrices[1:-1])),
        readout=jax.device_put(matrices[-1], may_alias=False),
        bias=filled((MAX_DEPTH, 2, width), *(((i, 0), b) for i, b in enumerate(biases[:-1]))),
        readout_bias=filled((2, fan_out), (0, biases[-1])),
        norm=filled(MAX_DEPTH + 1, (slice(depth), norms[:-1]), (MAX_DEPTH, norms[-1])),
    )
    ones = np.ones(MAX_DEPTH + 1, np.float32)
    return draws, Scales(ones, np.stack([ones, 0 * ones], axis=1))


def fans(setting: Setting, fan_in: int, fan_out: int) -> list[Fan]:
    """The fans of all ``depth + 1`` weight matrices, input layer first, readout last."""
    sizes = [fan_in] + [setting.width] * setting.depth + [fan_out]
    return [
        Fan(size, following, layer, setting.depth)
        for layer, (size, following) in enumerate(itertools.pairwise(sizes), start=1)
    ]


def scales_for(setting: Setting, fan_in: int, fan_out: int) -> Scales:
    """The factors of a setting: for weights, and for the two kinds of biases."""
    entry = INITIALIZERS[setting.initializer]
    scales = Scales(np.zeros(MAX_DEPTH + 1, np.float32), np.zeros((MAX_DEPTH + 1, 2), np.float32))
    for index, fan in enumerate(fans(setting, fan_in, fan_out)):
        scales.weight[index] = setting.gain * entry.scale(fan)
        scales.bias[index] = setting.bias_std, entry.bias_scale(fan)
    return scales


@functools.singledispatch
def drawn(setting: AnySetting, fan_in: int, fan_out: int) -> Parameters:
    """The parameters that a setting draws, before anything is fitted to data.

    In the form that :func:`initlab.weights` returns; each kind of setting registers its own.
    """
    raise TypeError(f"there is no way to draw {setting!r}")


@drawn.register
def _drawn(setting: Setting, fan_in: int, fan_out: int) -> Pairs:
    draws = draws_for(setting, fan_in, fan_out)
    scales = scales_for(setting, fan_in, fan_out)
    hidden = np.asarray(draws.hidden)[: setting.depth - 1]  # in NumPy: no program for each depth
    matrices = [np.asarray(draws.first), *hidden, np.asarray(draws.readout)]
    biases = [*np.asarray(draws.bias)[: setting.depth], np.asarray(draws.readout_bias)]
    pairs = [
        (weight_scale * matrix, bias_scale @ bias)
        for weight_scale, matrix, bias_scale, bias in zip(
            scales.weight, matrices, scales.bias, biases, strict=False
        )
    ]
    return rounded(pairs, setting.dtype)


def rounded(weights: Pairs, dtype: str) -> Pairs:
    """Dense ``weights`` as a precision holds them, in float32."""

    def held(array: np.ndarray) -> np.ndarray:
        return array.astype(dtype).astype(np.float32)

    with np.errstate(over="ignore"):  # what is beyond it, is inf in it
        return [(held(weight), held(bias)) for weight, bias in weights]
