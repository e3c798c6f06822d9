"""A forward pass that stops at every matrix, to change it before its output goes on.

How many layers there are is the trip count of a loop over all that are kept, as in the probe: no
slider but width waits for a program.

Shapes: B examples, n units (width), M the largest depth, P matrices at that depth.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from initlab.activations import Activation, branches
from initlab.architectures.chain import Knobs
from initlab.architectures.draws import draws_for as chain_draws_for
from initlab.architectures.draws import scaled
from initlab.architectures.residual import Residual, ResidualChain
from initlab.draws import draws_for, scales_for
from initlab.network import biases
from initlab.setting import MAX_DEPTH, AnySetting, Setting


class Met(NamedTuple):
    """A matrix in its turn: its output is ``scale * given @ weight + bias``."""

    index: Any  # of the matrix, in the order in which a signal meets them
    given: jax.Array  # [B, fan_in]
    scale: jax.Array
    weight: jax.Array  # [fan_in, fan_out], as drawn
    bias: jax.Array | float  # [fan_out]
    last: bool = False  # whether it is the readout


#: ``visit(kept, met) -> (output, kept)``
Visit = Callable[[Any, Met], tuple[jax.Array, Any]]


class Way(NamedTuple):
    """A setting's network, to be walked along."""

    network: "Dense | Branched"  # what is compiled in
    drawn: tuple[Any, Any]  # draws, and their scales
    knobs: Knobs  # numbers that may change without compiling
    depth: np.int32


@dataclasses.dataclass(frozen=True)
class Dense:
    """The way through a dense network."""

    activations: tuple[Activation, ...]
    matrices: int = MAX_DEPTH + 1  # P

    def walk(
        self,
        drawn: tuple[Any, Any],
        knobs: Knobs,
        depth: jax.Array | np.int32,
        inputs: jax.Array,
        visit: Visit,
        kept: Any,
    ) -> Any:
        """``kept`` after all matrices: ``visit(kept, met) -> (output, kept)`` of each in turn."""
        draws, scales = drawn
        bias, readout_bias = biases(draws, scales, depth)
        phi = functools.partial(
            lax.switch, knobs["activation"], [entry.function for entry in self.activations]
        )

        def meet(kept, index, given, weight, bias, last=False):
            return visit(kept, Met(index, given, scales.weight[index], weight, bias, last))

        def layer(index, state):
            z, kept = state
            return meet(kept, index, phi(z), draws.hidden[index - 1], bias[index])

        state = meet(kept, 0, inputs, draws.first, bias[0])
        z, kept = lax.fori_loop(1, depth, layer, state)
        _, kept = meet(kept, depth, phi(z), draws.readout, readout_bias, last=True)
        return kept


@dataclasses.dataclass(frozen=True)
class Branched:
    """The way through a residual network: into each branch, and round it."""

    chain: ResidualChain

    @property
    def matrices(self) -> int:
        """P: two in a block, and one at either end."""
        return 2 * self.chain.max_depth

    def walk(
        self,
        drawn: tuple[Any, Any],
        knobs: Knobs,
        depth: jax.Array | np.int32,
        inputs: jax.Array,
        visit: Visit,
        kept: Any,
    ) -> Any:
        """See :class:`Dense`."""
        draws, scales = drawn
        chain = self.chain

        def meet(kept, index, given, scale, weight, last=False):
            return visit(kept, Met(index, given, scale, weight, 0.0, last))

        def block(layer, carry):
            state, kept = carry
            draw, scale = jax.tree.map(
                lambda array: array[layer - 1], (draws.layers, scales.layers)
            )
            numbers = ("branch_scale", "biases")
            here = scaled({n: draw[n] for n in numbers}, {n: scale[n] for n in numbers})
            given = chain.read_inner(here, knobs, state)
            hidden, kept = meet(kept, 2 * layer - 1, given, scale["inner"], draw["inner"])
            given = chain.read_outer(here, knobs, hidden)
            branch, kept = meet(kept, 2 * layer, given, scale["outer"], draw["outer"])
            return chain.join(here, knobs, state, branch), kept

        ends = draws.first["weight"], draws.readout["weight"]
        first, readout = scales.first["weight"], scales.readout["weight"]
        z, kept = meet(kept, 0, inputs, first, ends[0])
        state, kept = lax.fori_loop(1, depth, block, (chain.after_first(knobs, z), kept))
        _, kept = meet(
            kept, 2 * depth - 1, chain.summary(knobs, state), readout, ends[1], last=True
        )
        return kept


@functools.singledispatch
def way_of(setting: AnySetting, features: int, classes: int) -> Way:
    """How to walk along a setting's network, as it is drawn."""
    raise TypeError(f"there is no way along the matrices of {setting!r}")


@way_of.register
def _dense(setting: Setting, features: int, classes: int) -> Way:
    activations, chosen = branches(setting.activation)
    drawn = draws_for(setting, features, classes), scales_for(setting, features, classes)
    return Way(Dense(activations), drawn, {"activation": np.int32(chosen)}, np.int32(setting.depth))


@way_of.register
def _branched(setting: Residual, features: int, classes: int) -> Way:
    drawn = chain_draws_for(setting, features, classes), setting.scales(features, classes)
    network = Branched(setting.chain(features, classes))
    return Way(network, drawn, setting.knobs(), np.int32(setting.depth))
