"""Convolutional networks: kernels of k x k taps go over an image with stride 1, layer by layer.

The readout reads every channel at every position of the last layer, as LeNet's does: so a start
is judged by all that arrives there, and mean-field theory speaks of it. (An average over positions
would also measure how alike the positions have become.)

Shapes: B examples, s x s positions, n channels (width), k taps a side, K classes, M = MAX_LAYERS.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from initlab import matrices
from initlab.activations import ACTIVATIONS
from initlab.architectures.chain import Arrays, Chain, ChainSetting, Knobs, Layer, activation_knobs
from initlab.architectures.draws import Matrix
from initlab.architectures.images import image_side
from initlab.initializers import INITIALIZERS
from initlab.laws import Fan
from initlab.measures import product
from initlab.parameters import Weights
from initlab.remedy import candidates
from initlab.setting import (
    MAX_SCALE,
    MAX_SEED,
    bounded_number,
    choice,
    entry_of,
    one_of,
    one_of_numbers,
    whole_number,
)

MAX_LAYERS = 64
MAX_CHANNELS = 128
KERNELS = (1, 3, 5, 7)  # odd, so that each has a centre
PADDINGS = ("zero", "circular")

#: draws of one matrix that stand at a kernel's central tap, all other taps being 0; the entries of
#: all others fill the taps as if these were further inputs
_CENTRAL = (
    matrices.draw_identity,
    matrices.draw_zero_hadamard,
    matrices.draw_zero_hadamard_paper,
)


@dataclasses.dataclass(frozen=True)
class KernelDraw:
    """What an initializer's draw of a matrix means for a kernel ``[k, k, inputs, outputs]``."""

    draw: Callable

    def __call__(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Draw a kernel.

        ZerO stands at the centre, as in algorithm 2 of Zhao, Schaefer & Anandkumar 2022, and the
        identity likewise; a delta-orthogonal kernel is JAX's; all else is drawn as a matrix
        ``[k k inputs, outputs]``.
        """
        size, _, fan_in, fan_out = shape
        if self.draw is matrices.draw_delta_orthogonal:
            return self.draw(key, shape)
        if self.draw in _CENTRAL:
            matrix = self.draw(key, (fan_in, fan_out))
            return jnp.zeros(shape).at[size // 2, size // 2].set(matrix)
        return self.draw(key, (size * size * fan_in, fan_out)).reshape(shape)


@dataclasses.dataclass(frozen=True)
class _Convolutional(Chain):
    kernel: int
    side: int

    def first(self, weights: Arrays, knobs: Knobs, inputs: jax.Array) -> jax.Array:
        images = inputs.reshape(-1, self.side, self.side, 1)
        return self.convolve(knobs, images, weights["weight"])

    def step(
        self, weights: Arrays, knobs: Knobs, inputs: jax.Array, layer: Layer, state: jax.Array
    ) -> jax.Array:
        return self.convolve(knobs, self.phi(knobs, state), weights["weight"])

    def convolve(self, knobs: Knobs, images: jax.Array, kernel: jax.Array) -> jax.Array:
        """One product of all patches with the kernel: XLA's convolution takes 13 times as long.

        That is so on a CPU within a loop, where it does not reach the library for matrices.
        """
        margin = self.kernel // 2
        around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
        inside = np.pad(np.ones((self.side, self.side, 1), bool), around[1:])
        shown = jnp.where(inside, 1.0, knobs["circular"])
        images = jnp.pad(images, around, mode="wrap") * shown
        taps = [
            images[:, row : row + self.side, column : column + self.side]
            for row in range(self.kernel)
            for column in range(self.kernel)
        ]
        patches = jnp.concatenate(taps, axis=-1)  # [B, s, s, k k inputs]
        return product(patches, kernel.reshape(patches.shape[-1], -1))

    def activation(self, knobs: Knobs, state: jax.Array) -> jax.Array:
        return self.phi(knobs, state)

    def summary(self, knobs: Knobs, activation: jax.Array) -> jax.Array:
        return activation.reshape(len(activation), -1)

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        return self.flatness(knobs, state)


@dataclasses.dataclass(frozen=True)
class Convolutional(ChainSetting):
    """A convolutional network on square images, and its start.

    A kernel's fan_in is its ``k^2`` taps times the channels that it reads, its fan_out the taps
    times the channels that it makes (He et al. 2015). There are no biases.

    Args:
      depth: number of convolutions, 1 to 64.
      width: channels of each, 1 to 128.
      kernel: taps a side: 1, 3, 5 or 7, and no more than the image has.
      padding: what a kernel reads beyond the image's edge: "zero", or "circular", the other side.
      activation: a name in the catalogue of activations.
      initializer: a name in the catalogue of initializers, or a synonym; see :class:`KernelDraw`.
      gain: factor on the initializer's own scale; 0 or more.
      seed: which random numbers are drawn; 0 to 2^32 - 1.

    Raises:
      ValueError: a value that is out of range or unknown, or an even kernel; when probed, a batch
        whose examples are no square images, or smaller ones than the kernel.
      TypeError: a value of the wrong type.

    Source: Xiao et al. 2018 (arXiv 1806.05393), for delta-orthogonal kernels and the mean field.

    >>> from initlab import probe
    >>> linear = Convolutional(activation="linear", initializer="delta_orthogonal", depth=64)
    >>> moment = probe(linear).preactivation_second_moment
    >>> float((moment[-1] / moment[0]).round(5))
    1.0
    """

    depth: int = choice(32, whole_number, 1, MAX_LAYERS)  # pyright: ignore[reportIncompatibleMethodOverride] - a field is read as a property is
    width: int = choice(16, whole_number, 1, MAX_CHANNELS)
    kernel: int = choice(3, one_of_numbers, KERNELS)
    padding: str = choice("zero", one_of, PADDINGS)
    activation: str = choice("relu", entry_of, ACTIVATIONS)
    initializer: str = choice("he_normal", entry_of, INITIALIZERS)
    gain: float = choice(1.0, bounded_number, MAX_SCALE)
    seed: int = choice(0, whole_number, 0, MAX_SEED)

    max_depth: ClassVar[int] = MAX_LAYERS
    examples: ClassVar[int] = 32
    compiled: ClassVar[tuple[str, ...]] = ("width", "kernel")

    def side(self, features: int) -> int:
        """The side of the images. ValueError if they are no square, or smaller than the kernel."""
        side = image_side(features)
        if self.kernel > side:
            raise ValueError(
                f"kernel must be at most {side}, the side of the images, not {self.kernel};"
                f" the nearest is {side - 1 + side % 2}"
            )
        return side

    def chain(self, features: int, classes: int) -> Chain:
        """What is compiled."""
        side = self.side(features)
        activations, _ = activation_knobs(self.activation)
        sizes = self.max_depth, self.width, features, classes
        return _Convolutional(*sizes, activations, self.kernel, side)

    def knobs(self) -> Knobs:
        """The numbers that may change without compiling."""
        _, knobs = activation_knobs(self.activation)
        return knobs | {"circular": np.float32(self.padding == "circular")}

    def fans(self, features: int, classes: int) -> list[Fan]:
        """The fans of all ``depth + 1`` arrays of weights, the readout last.

        >>> Convolutional(depth=2, width=16).fans(64, 10)[1][:2]
        (144, 144)
        """
        taps, n, depth = self.kernel**2, self.width, self.depth
        hidden = [Fan(taps * n, taps * n, layer, depth) for layer in range(2, depth + 1)]
        readout = Fan(features * n, classes, depth + 1, depth)
        return [Fan(taps, taps * n, 1, depth), *hidden, readout]

    def matrices(self, features: int, classes: int) -> Weights:
        """What is drawn."""
        draw, n, k = INITIALIZERS[self.initializer].draw, self.width, self.kernel
        kernel = KernelDraw(draw)
        return Weights(
            {"weight": Matrix(kernel, (k, k, 1, n))},
            {"weight": Matrix(kernel, (k, k, n, n))},
            {"weight": Matrix(draw, (features * n, classes))},
        )

    def scales(self, features: int, classes: int) -> Weights:
        """What the draws are multiplied by."""
        scale = INITIALIZERS[self.initializer].scale
        first, *hidden, readout = (self.gain * scale(fan) for fan in self.fans(features, classes))
        layers = np.zeros(self.max_depth - 1, np.float32)
        layers[: len(hidden)] = hidden
        return Weights(
            {"weight": np.float32(first)},
            {"weight": layers},
            {"weight": np.float32(readout)},
        )


@candidates.register
def _candidates(setting: Convolutional):
    plain = setting.replace(gain=1.0)
    yield plain
    for initializer in ("he_normal", "lecun_normal"):
        yield plain.replace(initializer=initializer)
    gain = round(ACTIVATIONS[setting.activation].critical_gain, 4)
    for changes in ({}, {"gain": gain} if 0 < gain <= MAX_SCALE else {}):
        yield plain.replace(initializer="lecun_normal", **changes)
        yield plain.replace(initializer="delta_orthogonal", **changes)
    yield plain.replace(activation="tanh", initializer="delta_orthogonal")
    yield plain.replace(activation="relu", initializer="he_normal")
