"""What a network is that is a chain of like layers.

A :class:`Chain` says what one layer does to the *state* that the layers hand on, and a
:class:`ChainSetting` what it is made of; ``measuring`` and ``models`` do the rest for all of them.
Where nothing goes round a layer, its state is the preactivation, as in a dense network; where a
layer adds to what it was given, it is that sum. Gradients are those with regard to the state.

Shapes: B examples, n units (width), F input features, K classes, M the chain's largest depth.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.activations import Activation, branches
from initlab.architectures.draws import draws_for
from initlab.draws import drawn
from initlab.measures import product
from initlab.parameters import Weights
from initlab.setting import AnySetting

#: a layer's arrays, or measures of it, by name
Arrays = dict[str, jax.Array]
#: numbers that may change without compiling, by name
Knobs = dict[str, Any]
#: counts layers: in a loop over them it is traced
Layer = int | jax.Array


@dataclasses.dataclass(frozen=True)
class Chain:
    """What of a network is compiled in, and what one of its layers does.

    A subclass overrides the methods below. ``weights`` is what its setting's ``matrices`` name,
    already scaled: a dict of arrays, those of one layer. ``knobs`` is a dict of numbers that may
    change without compiling.
    """

    max_depth: int  # layers
    units: int
    features: int  # of the input
    classes: int
    activations: tuple[Activation, ...]

    #: whether all layers have the same weights, as the steps of a recurrent network have
    shared: ClassVar[bool] = False

    def first(self, weights: Arrays, knobs: Knobs, inputs: jax.Array) -> jax.Array:
        """The state of layer 1; in a recurrent network, after the first step."""
        raise NotImplementedError

    def step(
        self, weights: Arrays, knobs: Knobs, inputs: jax.Array, layer: Layer, state: jax.Array
    ) -> jax.Array:
        """The state of layer ``layer + 1``, of that of layer ``layer``."""
        raise NotImplementedError

    def activation(self, knobs: Knobs, state: jax.Array) -> jax.Array:
        """What a layer hands on to the readout, and what is measured as its activation.

        By default the state itself: the sum that runs past the layers.
        """
        return state

    def by_unit(self, values: jax.Array) -> jax.Array:
        """An activation, or a state's gradient, as ``[rows, units]``."""
        return values.reshape(-1, self.units)

    def summary(self, knobs: Knobs, activation: jax.Array) -> jax.Array:
        """What the readout reads of the last activation: ``[B, features]``."""
        return activation

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        """Further measures of layer ``layer + 1``, a number each; ``before`` is layer ``layer``'s.

        For layer 1, ``before`` is its own state. The least is what :meth:`flatness` gives.
        """
        raise NotImplementedError

    # --- what layers are made of ---

    def phi(self, knobs: Knobs, z: jax.Array) -> jax.Array:
        """The activation that the slider chose."""
        return lax.switch(knobs["activation"], [entry.function for entry in self.activations], z)

    def flatness(self, knobs: Knobs, z: jax.Array) -> Arrays:
        """The share of preactivations in a flat tail, and of units that pass nothing back."""
        below, above = knobs["flat_range"]
        slopes = [entry.derivative for entry in self.activations]
        slope = lax.switch(knobs["activation"], slopes, z).reshape(-1, z.shape[-1])
        return {
            "saturated_fraction": jnp.mean((z <= below) | (z >= above), dtype=jnp.float32),
            "dead_fraction": jnp.mean(jnp.all(slope == 0, axis=0), dtype=jnp.float32),
        }


@dataclasses.dataclass(frozen=True)
class ChainSetting(AnySetting):
    """A setting of a network that is a :class:`Chain`. A subclass gives the methods below."""

    max_depth: ClassVar[int]
    examples: ClassVar[int] = 64

    #: chains compute in no other precision
    dtype = "float32"

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of layers' arrays that training leaves as they are."""
        return ()

    def describe(self) -> str:
        """The setting in a sentence."""
        told = [
            str(value) if isinstance(value, str) else f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in dataclasses.asdict(self).items()
            if name != "seed"
        ]
        return f"{type(self).__name__} network: {', '.join(told)}."

    def check_examples(self, count: int) -> None:
        """Raise ValueError if so many examples cannot go through together."""

    def chain(self, features: int, classes: int) -> Chain:
        """What is compiled for this setting, with so many input features and classes."""
        raise NotImplementedError

    def knobs(self) -> Knobs:
        """The numbers that a compiled chain is given."""
        raise NotImplementedError

    def matrices(self, features: int, classes: int) -> Weights:
        """What is drawn: dicts of :class:`initlab.architectures.draws.Matrix`."""
        raise NotImplementedError

    def scales(self, features: int, classes: int) -> Weights:
        """What the draws are multiplied by: a number each, and ``[M - 1]`` for layers.

        Where layers share their weights, a number for these, too.
        """
        raise NotImplementedError


def activation_knobs(name: str) -> tuple[tuple[Activation, ...], Knobs]:
    """``activations`` of a chain, and the knobs that its ``phi`` and ``flatness`` turn."""
    activations, chosen = branches(name)
    flat_range = np.asarray(activations[chosen].flat_range, np.float32)
    return activations, {"activation": np.int32(chosen), "flat_range": flat_range}


@drawn.register
def _drawn(setting: ChainSetting, fan_in: int, fan_out: int) -> Weights:
    draws, scales = draws_for(setting, fan_in, fan_out), setting.scales(fan_in, fan_out)
    shared = setting.chain(fan_in, fan_out).shared

    def stacked(array, scale):
        if shared:
            return np.float32(scale) * np.asarray(array)
        array = np.asarray(array)[: setting.depth - 1]  # in NumPy: no program for each depth
        scale = scale[: setting.depth - 1]
        return scale.reshape(-1, *[1] * (array.ndim - 1)) * array

    once = (
        {name: np.asarray(getattr(scales, part)[name] * array) for name, array in arrays.items()}
        for part, arrays in (("first", draws.first), ("readout", draws.readout))
    )
    layers = {name: stacked(array, scales.layers[name]) for name, array in draws.layers.items()}
    first, readout = once
    return Weights(first, layers, readout)


def logits(setting: ChainSetting, parameters: Weights, inputs: jax.Array) -> jax.Array:
    """What a setting's network answers: a plain function of its parameters, to be differentiated.

    Args:
      setting: which network; its depth is compiled in, its scales and seed do not matter.
      parameters: as :func:`initlab.weights` returns them.
      inputs: ``[B, features]``.

    Returns:
      Logits ``[B, K]``.
    """
    setting.check_examples(len(inputs))
    chain = setting.chain(inputs.shape[1], parameters.readout["weight"].shape[1])
    return answer(chain, setting.knobs(), setting.depth, parameters, inputs)


def answer(
    chain: Chain, knobs: Knobs, depth: int, parameters: Weights, inputs: jax.Array
) -> jax.Array:
    """What a chain of so many layers answers: ``[B, K]``."""
    return observed_answer(chain, knobs, depth, parameters, inputs, lambda state: None)[0]


def observed_answer(
    chain: Chain,
    knobs: Knobs,
    depth: int,
    parameters: Weights,
    inputs: jax.Array,
    observe: Callable[[jax.Array], Any],
) -> tuple[jax.Array, Any, Any]:
    """Logits ``[B, K]``, ``observe(state)`` of layer 1, and the same of the others, stacked."""

    def step(state, place):
        layer, weights_here = place
        here = parameters.layers if chain.shared else weights_here
        state = chain.step(here, knobs, inputs, layer, state)
        return state, observe(state)

    first = chain.first(parameters.layers if chain.shared else parameters.first, knobs, inputs)
    stack = None if chain.shared else parameters.layers
    last, others = lax.scan(step, first, (jnp.arange(1, depth), stack))
    read = chain.summary(knobs, chain.activation(knobs, last))
    logits = product(read, parameters.readout["weight"]) + parameters.readout.get("bias", 0.0)
    return logits, observe(first), others
