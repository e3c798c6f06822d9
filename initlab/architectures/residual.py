r"""Residual networks: each block adds a branch of two layers to what it was given.

.. math:: x_{l+1} = x_l + \alpha\, W_o^\top \phi(W_i^\top \phi(x_l))

``normalization`` stands before each activation of the branch (He et al. 2016, "pre-activation"),
or after the sum. A dense layer reads the input and makes :math:`x_1`; the readout reads
:math:`\phi(x)`, as another block would. Beside its factor :math:`\alpha`, a branch has Fixup's four
single biases, one before each layer and each activation; all start as 0.

Shapes: B examples, n units (width), F input features, K classes, M = MAX_BLOCKS + 1.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.architectures.chain import Arrays, Chain, ChainSetting, Knobs, Layer, activation_knobs
from initlab.architectures.draws import Matrix
from initlab.architectures.normalization import NORMALIZATIONS, normalize
from initlab.architectures.residual_starts import STARTS
from initlab.initializers import INITIALIZERS
from initlab.laws import Fan
from initlab.matrices import draw_ones
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
    whole_number,
)

MAX_BLOCKS = 256
MAX_UNITS = 512  # 256 blocks of 512 units have half a gigabyte of weights
PLACEMENTS = ("before", "after")


@dataclasses.dataclass(frozen=True)
class ResidualChain(Chain):
    """What a residual block does."""

    def first(self, weights: Arrays, knobs: Knobs, inputs: jax.Array) -> jax.Array:
        """See :class:`Chain`."""
        return self.after_first(knobs, product(inputs, weights["weight"]))

    def after_first(self, knobs: Knobs, z: jax.Array) -> jax.Array:
        """The state of layer 1; ``z`` is of the matrix that reads the input."""
        return normalize(knobs["after"], z)

    def read_inner(self, weights: Arrays, knobs: Knobs, state: jax.Array) -> jax.Array:
        """What a branch's first matrix reads."""
        bias = weights["biases"]
        return self.phi(knobs, normalize(knobs["before"], state) + bias[0]) + bias[1]

    def _before_outer(self, weights: Arrays, knobs: Knobs, hidden: jax.Array) -> jax.Array:
        """What the second activation of a branch is given; ``hidden`` is of the first matrix."""
        return normalize(knobs["before"], hidden) + weights["biases"][2]

    def read_outer(self, weights: Arrays, knobs: Knobs, hidden: jax.Array) -> jax.Array:
        """What a branch's second matrix reads."""
        return self.phi(knobs, self._before_outer(weights, knobs, hidden)) + weights["biases"][3]

    def join(self, weights: Arrays, knobs: Knobs, state: jax.Array, branch: jax.Array) -> jax.Array:
        """The next state; ``branch`` is of the second matrix."""
        return normalize(knobs["after"], state + weights["branch_scale"] * branch)

    def step(
        self, weights: Arrays, knobs: Knobs, inputs: jax.Array, layer: Layer, state: jax.Array
    ) -> jax.Array:
        """See :class:`Chain`."""
        hidden = product(self.read_inner(weights, knobs, state), weights["inner"])
        branch = product(self.read_outer(weights, knobs, hidden), weights["outer"])
        return self.join(weights, knobs, state, branch)

    def summary(self, knobs: Knobs, activation: jax.Array) -> jax.Array:
        """See :class:`Chain`."""
        return self.phi(knobs, normalize(knobs["before"], activation))

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        """See :class:`Chain`."""
        hidden = product(self.read_inner(weights, knobs, before), weights["inner"])
        flat = self.flatness(knobs, self._before_outer(weights, knobs, hidden))
        return {name: jnp.where(layer > 0, share, 0.0) for name, share in flat.items()}


@dataclasses.dataclass(frozen=True)
class Residual(ChainSetting):
    """A network of residual blocks, and its start.

    Args:
      blocks: number of residual blocks, 1 to 256.
      width: units of every layer, 1 to 512.
      activation: a name in the catalogue of activations.
      start: what the drawn weights are multiplied by, a name in ``STARTS``: plain, skipinit,
        rezero, zero_last, fixup, zero_identity or zero_hadamard.
      normalization: none, batch, layer or rms; what it would learn stays at its start.
      placement: where normalization stands: ``before`` each activation of a branch, or ``after``
        the sum.
      initializer: how weights are drawn, a name in the catalogue of initializers. The starts of
        ZerO draw none.
      gain: factor on all weights; 0 or more.
      branch_scale: factor on the start's own factor of every branch; 0 or more.
      seed: which random numbers are drawn; 0 to 2^32 - 1.

    With batch normalization, examples meet: a gradient is then that of all examples' losses.

    Raises:
      ValueError: a value that is out of range or unknown, or a normalization over one unit; the
        message names the nearest choice. Batch normalization of a single example raises it when
        that example is measured.
      TypeError: a value of the wrong type.

    >>> from initlab import probe
    >>> signals = probe(Residual(blocks=100, start="rezero"))
    >>> float(signals.activation_second_moment[-1] / signals.activation_second_moment[1])
    1.0
    """

    blocks: int = choice(32, whole_number, 1, MAX_BLOCKS)
    width: int = choice(128, whole_number, 1, MAX_UNITS)
    activation: str = choice("relu", entry_of, ACTIVATIONS)
    start: str = choice("plain", entry_of, STARTS)
    normalization: str = choice("none", one_of, tuple(NORMALIZATIONS))
    placement: str = choice("before", one_of, PLACEMENTS)
    initializer: str = choice("he_normal", entry_of, INITIALIZERS)
    gain: float = choice(1.0, bounded_number, MAX_SCALE)
    branch_scale: float = choice(1.0, bounded_number, MAX_SCALE)
    seed: int = choice(0, whole_number, 0, MAX_SEED)

    max_depth: ClassVar[int] = MAX_BLOCKS + 1
    counted: ClassVar[str] = "blocks"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width == 1 and self.normalization in ("layer", "rms"):
            raise ValueError(
                f"normalization {self.normalization!r} is over the units of a layer, and over one"
                f" unit it leaves no signal but a sign; with it, width must be 2 to {MAX_UNITS},"
                " not 1; the nearest is 2"
            )

    @property
    def depth(self) -> int:
        """Layers that are measured: the one that reads the input, and the blocks."""
        return self.blocks + 1

    @property
    def drawn_by(self) -> str:
        """The name of the initializer that draws the weights: the start's own, if it has one."""
        return STARTS[self.start].initializer or self.initializer

    @property
    def fitted_by(self) -> str | None:
        """See :class:`AnySetting`."""
        return INITIALIZERS[self.drawn_by].fitted_by

    def check_examples(self, count: int) -> None:
        """Batch normalization takes two examples at least."""
        if self.normalization == "batch" and count == 1:
            raise ValueError(
                "normalization 'batch' is over the examples, and over one example it leaves"
                " nothing but 0; the batch must have 2 examples at least, not 1; or take"
                " normalization='layer', which is over the units"
            )

    def chain(self, features: int, classes: int) -> ResidualChain:
        """What is compiled."""
        activations, _ = activation_knobs(self.activation)
        return ResidualChain(self.max_depth, self.width, features, classes, activations)

    def knobs(self) -> Knobs:
        """The numbers that may change without compiling."""
        kind = list(NORMALIZATIONS).index(self.normalization)
        places = {place: np.int32(kind * (place == self.placement)) for place in PLACEMENTS}
        return activation_knobs(self.activation)[1] | places

    def matrices(self, features: int, classes: int) -> Weights:
        """What is drawn."""
        draw, n = INITIALIZERS[self.drawn_by].draw, self.width
        square = Matrix(draw, (n, n))
        factor, biases = Matrix(draw_ones, ()), Matrix(draw_ones, (4,))
        return Weights(
            {"weight": Matrix(draw, (features, n))},
            {"inner": square, "outer": square, "branch_scale": factor, "biases": biases},
            {"weight": Matrix(draw, (n, classes))},
        )

    def scales(self, features: int, classes: int) -> Weights:
        """What the draws are multiplied by."""
        start, law = STARTS[self.start], INITIALIZERS[self.drawn_by].scale
        n, depth, blocks = self.width, self.depth, self.blocks
        hidden = self.gain * law(Fan(n, n, 2, depth))
        readout = self.gain * law(Fan(n, classes, depth + 1, depth))
        one = np.ones(self.max_depth - 1, np.float32)
        return Weights(
            {"weight": np.float32(self.gain * law(Fan(features, n, 1, depth)))},
            {
                "inner": one * np.float32(hidden * start.inner(blocks)),
                "outer": one * np.float32(hidden * start.outer(blocks)),
                "branch_scale": one * np.float32(self.branch_scale * start.branch(blocks)),
                "biases": 0 * one,
            },
            {"weight": np.float32(readout * start.readout(blocks))},
        )


@candidates.register
def _starts(setting: Residual) -> Iterator[Residual]:
    plain = setting.replace(gain=1.0, branch_scale=1.0)
    yield plain
    for changes in (
        {"start": "skipinit"},
        {"start": "skipinit", "initializer": "he_normal"},
        {"normalization": "layer", "placement": "before"},
        {"normalization": "layer", "placement": "before", "start": "plain"},
    ):
        yield plain.replace(**changes)
