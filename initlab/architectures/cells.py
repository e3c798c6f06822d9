r"""Recurrent cells: chains whose layers are time steps, all of them with the same weights.

The input is read a few features at a time, in the first steps; after that there is silence, zeros,
until the last step, whose ``h`` the readout reads.

Shapes: B examples, n units (width), m numbers of memory (n; 2 n for the LSTM), F input features.
"""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from initlab.architectures.chain import Arrays, Chain, Knobs, Layer
from initlab.measures import mean, product

FEATURES_A_STEP = 8  # a row of an image of 8 x 8 pixels


@dataclasses.dataclass(frozen=True)
class Cell(Chain):
    """What all recurrent cells share. A subclass says how a step turns memory into a state."""

    shared: ClassVar[bool] = True

    #: what each of the cell's recurrent matrices is called; a single one has no name
    blocks: ClassVar[tuple[str, ...]]
    #: the gate that decides how much of the memory is kept, if there is one
    keeper: ClassVar[str | None] = None
    #: numbers of memory a unit
    parts: ClassVar[int] = 1

    def first(self, weights: Arrays, knobs: Knobs, inputs: jax.Array) -> jax.Array:
        """The state after the first step, before which there was silence."""
        return self.advance(weights, knobs, self.read(inputs, 0), self.silence(inputs))

    def step(
        self, weights: Arrays, knobs: Knobs, inputs: jax.Array, layer: Layer, state: jax.Array
    ) -> jax.Array:
        """The state after a further step."""
        memory = self.memory(knobs, state)
        return self.advance(weights, knobs, self.read(inputs, layer), memory)

    def advance(self, weights: Arrays, knobs: Knobs, x: jax.Array, memory: jax.Array) -> jax.Array:
        """The state after a step, of what is read in it ``x [B, 8]`` and the memory ``[B, m]``."""
        raise NotImplementedError

    def memory(self, knobs: Knobs, state: jax.Array) -> jax.Array:
        """What a step hands on to the next, ``[B, m]``; by default the state itself."""
        return state

    def silence(self, inputs: jax.Array) -> jax.Array:
        """The memory before the first step: zeros."""
        return jnp.zeros((len(inputs), self.parts * self.units))

    def read(self, inputs: jax.Array, step: Layer) -> jax.Array:
        """What is read in a step, ``[B, 8]``: the next features; zeros when there are no more."""
        rows = -(-self.features // FEATURES_A_STEP)
        padding = (rows + 1) * FEATURES_A_STEP - self.features
        told = jnp.pad(inputs, ((0, 0), (0, padding)))
        start = FEATURES_A_STEP * jnp.minimum(step, rows)
        return lax.dynamic_slice_in_dim(told, start, FEATURES_A_STEP, axis=1)

    def made_of(
        self, knobs: Knobs, inputs: jax.Array, layer: Layer, before: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """What layer ``layer + 1`` was made of: ``x`` of its step, and the memory before it."""
        memory = jnp.where(layer > 0, self.memory(knobs, before), self.silence(inputs))
        return self.read(inputs, layer), memory

    def from_memory(self, weights: Arrays, h: jax.Array, blocks: Sequence[str]) -> list[jax.Array]:
        """``h W`` of some blocks, ``[B, n]`` each, as one matrix product."""
        return self._products(weights, "recurrent", h, blocks)

    def from_input(self, weights: Arrays, x: jax.Array, blocks: Sequence[str]) -> list[jax.Array]:
        """``x U + b`` of some blocks, ``[B, n]`` each."""
        products = self._products(weights, "input", x, blocks)
        return [p + weights[name_of(b, "bias")] for p, b in zip(products, blocks, strict=True)]

    def preactivations(
        self, weights: Arrays, x: jax.Array, h: jax.Array, blocks: Sequence[str]
    ) -> list[jax.Array]:
        """``h W + x U + b`` of some blocks, ``[B, n]`` each."""
        parts = self.from_memory(weights, h, blocks), self.from_input(weights, x, blocks)
        return [heard + read for heard, read in zip(*parts, strict=True)]

    def _products(
        self, weights: Arrays, kind: str, left: jax.Array, blocks: Sequence[str]
    ) -> list[jax.Array]:
        right = jnp.concatenate([weights[name_of(block, kind)] for block in blocks], axis=1)
        return jnp.split(product(left, right), len(blocks), axis=1)


def name_of(block: str, kind: str) -> str:
    """The name of one of a block's arrays: ``kind`` is recurrent, input or bias."""
    return f"{block}_{kind}" if block else kind


@dataclasses.dataclass(frozen=True)
class Simple(Cell):
    """``z_t = h_{t-1} W + x_t U + b`` and ``h_t = phi(z_t)`` (Elman 1990). Its state is z."""

    blocks: ClassVar[tuple[str, ...]] = ("",)

    def advance(self, weights: Arrays, knobs: Knobs, x: jax.Array, memory: jax.Array) -> jax.Array:
        """The next z."""
        (z,) = self.preactivations(weights, x, memory, self.blocks)
        return z

    def memory(self, knobs: Knobs, state: jax.Array) -> jax.Array:
        """``h = phi(z)``."""
        return self.phi(knobs, state)

    def activation(self, knobs: Knobs, state: jax.Array) -> jax.Array:
        """``h = phi(z)``."""
        return self.phi(knobs, state)

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        """Flat slopes; there is no gate that keeps the memory."""
        return self.flatness(knobs, state) | {"forget_gate": jnp.float32(jnp.nan)}


@dataclasses.dataclass(frozen=True)
class LSTM(Cell):
    r"""Long short-term memory with a forget gate. Its state is h and c, side by side.

    .. math:: c_t = f \odot c_{t-1} + i \odot \phi(g), \qquad h_t = o \odot \phi(c_t)

    Sources: Hochreiter & Schmidhuber 1997; the forget gate is of Gers, Schmidhuber & Cummins 2000.
    """

    blocks: ClassVar[tuple[str, ...]] = ("write", "forget", "output", "candidate")
    keeper: ClassVar[str] = "forget"
    parts: ClassVar[int] = 2

    def advance(self, weights: Arrays, knobs: Knobs, x: jax.Array, memory: jax.Array) -> jax.Array:
        """The next h and c."""
        h, c = jnp.split(memory, 2, axis=1)
        *gates, candidate = self.preactivations(weights, x, h, self.blocks)
        i, f, o = map(jax.nn.sigmoid, gates)
        c = f * c + i * self.phi(knobs, candidate)
        return jnp.concatenate([o * self.phi(knobs, c), c], axis=1)

    def activation(self, knobs: Knobs, state: jax.Array) -> jax.Array:
        """h, without c."""
        return state[:, : self.units]

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        """Flat slopes, and the gate that keeps the memory."""
        x, memory = self.made_of(knobs, inputs, layer, before)
        (gate,) = self.preactivations(weights, x, memory[:, : self.units], (self.keeper,))
        flat = self.flatness(knobs, state[:, self.units :])  # of phi(c), which h is made of
        return flat | {"forget_gate": mean(jax.nn.sigmoid(gate))}


@dataclasses.dataclass(frozen=True)
class GRU(Cell):
    r"""Gated recurrent unit, in the form of cuDNN, PyTorch, Keras and Flax. Its state is h.

    .. math:: h_t = u \odot h_{t-1} + (1 - u) \odot \phi(r \odot h_{t-1} W + x_t U + b)

    The paper multiplies h by the reset gate r before W, the libraries after it: then all blocks
    are one matrix product. Source: Cho et al. 2014 (arXiv 1406.1078), whose u is this one.
    """

    blocks: ClassVar[tuple[str, ...]] = ("update", "reset", "candidate")
    keeper: ClassVar[str] = "update"

    def advance(self, weights: Arrays, knobs: Knobs, x: jax.Array, memory: jax.Array) -> jax.Array:
        """The next h."""
        u, candidate = self._gate_and_candidate(weights, x, memory)
        return u * memory + (1 - u) * self.phi(knobs, candidate)

    def _gate_and_candidate(
        self, weights: Arrays, x: jax.Array, h: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        heard = self.from_memory(weights, h, self.blocks)
        read = self.from_input(weights, x, self.blocks)
        u, r = (jax.nn.sigmoid(heard[gate] + read[gate]) for gate in (0, 1))
        return u, r * heard[2] + read[2]

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        """Flat slopes, and the gate that keeps the memory."""
        u, candidate = self._gate_and_candidate(
            weights, *self.made_of(knobs, inputs, layer, before)
        )
        return self.flatness(knobs, candidate) | {"forget_gate": mean(u)}


CELLS = {"simple": Simple, "lstm": LSTM, "gru": GRU}
