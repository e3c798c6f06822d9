"""Residual networks: each block adds a branch of two layers to what it was given.

A branch is ``outer^T phi(inner^T phi(x))``; layer 1 is a dense layer that reads the input.

Shapes: B examples, n units (width), F input features, K classes, M = MAX_DEPTH.
"""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.architectures.chain import Chain, ChainSetting, activation_knobs
from initlab.architectures.draws import Matrix, Weights
from initlab.initializers import INITIALIZERS, Fan
from initlab.matrices import draw_ones
from initlab.measures import product
from initlab.setting import (
    MAX_SCALE,
    MAX_SEED,
    MAX_WIDTH,
    bounded_number,
    choice,
    entry_of,
    whole_number,
)

MAX_BLOCKS = 256


@dataclasses.dataclass(frozen=True)
class _Residual(Chain):
    def first(self, weights, knobs, inputs):
        return product(inputs, weights["weight"])

    def step(self, weights, knobs, inputs, layer, state):
        z = product(self.phi(knobs, state), weights["inner"])
        branch = product(self.phi(knobs, z), weights["outer"])
        return state + weights["branch_scale"] * branch

    def observe(self, weights, knobs, inputs, layer, before, state):
        flat = self.flatness(knobs, product(self.phi(knobs, before), weights["inner"]))
        return {name: jnp.where(layer > 0, share, 0.0) for name, share in flat.items()}


@dataclasses.dataclass(frozen=True)
class Residual(ChainSetting):
    """A network of residual blocks."""

    blocks: int = choice(32, whole_number, 1, MAX_BLOCKS)
    width: int = choice(128, whole_number, 1, MAX_WIDTH)
    activation: str = choice("relu", entry_of, ACTIVATIONS)
    initializer: str = choice("he_normal", entry_of, INITIALIZERS)
    gain: float = choice(1.0, bounded_number, MAX_SCALE)
    branch_scale: float = choice(1.0, bounded_number, MAX_SCALE)
    seed: int = choice(0, whole_number, 0, MAX_SEED)

    max_depth: ClassVar[int] = MAX_BLOCKS + 1
    counted: ClassVar[str] = "blocks"

    @property
    def depth(self) -> int:
        """Layers that are measured: the one that reads the input, and the blocks."""
        return self.blocks + 1

    def chain(self, features, classes):
        """What is compiled."""
        return _Residual(
            self.max_depth,
            self.width,
            features,
            classes,
            activation_knobs(self.activation)[0],
        )

    def knobs(self):
        """The numbers that may change without compiling."""
        return activation_knobs(self.activation)[1]

    def matrices(self, features, classes):
        """What is drawn."""
        draw, n = INITIALIZERS[self.initializer].draw, self.width
        square = Matrix(draw, (n, n))
        return Weights(
            {"weight": Matrix(draw, (features, n))},
            {"inner": square, "outer": square, "branch_scale": Matrix(draw_ones, ())},
            {"weight": Matrix(draw, (n, classes))},
        )

    def scales(self, features, classes):
        """What the draws are multiplied by."""
        scale = INITIALIZERS[self.initializer].scale
        n, depth = self.width, self.depth
        hidden = np.full(self.max_depth - 1, self.gain * scale(Fan(n, n, 2, depth)), np.float32)
        branch_scale = np.full_like(hidden, self.branch_scale)
        return Weights(
            {"weight": np.float32(self.gain * scale(Fan(features, n, 1, depth)))},
            {"inner": hidden, "outer": hidden, "branch_scale": branch_scale},
            {"weight": np.float32(self.gain * scale(Fan(n, classes, depth + 1, depth)))},
        )
