"""The arrays of any network in one form, so that an adaptive start is written once for all kinds.

That form is ``Weights`` of ``initlab.architectures``: what reads the input, all other layers
stacked, and the readout. A *matrix* is one layer's array of two axes or more; matrices are counted
in the order in which a signal meets them.

Shapes: L depth, P matrices, B examples, F features, K classes.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jax import lax

from initlab.activations import ACTIVATIONS, Activation
from initlab.architectures.chain import Chain, ChainSetting, Knobs, answer
from initlab.measures import cross_entropy, product
from initlab.parameters import Parameters, Weights
from initlab.setting import AnySetting, Setting


class Place(NamedTuple):
    """Where a matrix stands in the parts."""

    part: str  # "first", "layers" or "readout"
    name: str
    row: int | None  # in the stack of layers
    label: str  # for tables and axes


def parts_of(weights: Parameters) -> Weights:
    """What ``initlab.weights`` returns for a setting of any kind, as ``Weights``."""
    if isinstance(weights, Weights):
        return weights
    first, *hidden, readout = [{"weight": weight, "bias": bias} for weight, bias in weights]
    n = first["weight"].shape[1]
    stacked = {
        "weight": np.array([layer["weight"] for layer in hidden]).reshape(-1, n, n),
        "bias": np.array([layer["bias"] for layer in hidden]).reshape(-1, n),
    }
    return Weights(first, stacked, readout)


def weights_of(setting: AnySetting, parts: Weights) -> Parameters:
    """The inverse of :func:`parts_of`: the form that ``initlab.weights`` returns."""
    parts = jax.tree.map(lambda array: np.asarray(array, np.float32), parts)
    if not isinstance(setting, Setting):
        return parts
    hidden = zip(parts.layers["weight"], parts.layers["bias"], strict=True)
    first, readout = ((part["weight"], part["bias"]) for part in (parts.first, parts.readout))
    return [first, *hidden, readout]


def places(parts: Weights) -> tuple[Place, ...]:
    """All matrices of a network, in the order in which a signal meets them."""
    stacked = [name for name, array in parts.layers.items() if np.ndim(array) >= 3]
    count = len(next(iter(parts.layers.values())))
    found = [Place("first", name, None, "layer 1") for name in parts.first if name == "weight"]
    for index in range(count):
        for name in stacked:
            label = f"layer {index + 2}"
            if len(stacked) > 1:
                label = f"block {index + 1}, {name}"
            found.append(Place("layers", name, index, label))
    return (*found, Place("readout", "weight", None, "readout"))


def scaled(parts: Weights, scale: np.ndarray) -> Weights:
    """The parts with every matrix times its number in ``scale``, ``[P]``; the rest as it was."""
    parts = jax.tree.map(lambda array: np.array(array, np.float32), parts)
    for place, factor in zip(places(parts), scale, strict=True):
        array = getattr(parts, place.part)[place.name]
        where = ... if place.row is None else place.row
        array[where] = np.float32(factor) * array[where]
    return parts


class Network(NamedTuple):
    """What a network answers, as a function of its parts; hashable, to be compiled for.

    Dense networks are equal if their activations are, chains if they are compiled alike: scales,
    seeds and initializers do not matter.
    """

    kind: Activation | Chain  # a dense network's activation, or what any other is

    def logits(self, knobs: Knobs, parts: Weights, inputs: jax.Array) -> jax.Array:
        """Logits ``[B, K]``, by a loop that compiles in the same time at any depth."""
        if isinstance(self.kind, Activation):
            return _dense_logits(self.kind.function, parts, inputs)
        depth = 1 + len(next(iter(parts.layers.values())))
        return answer(self.kind, knobs, depth, parts, inputs)

    def loss(self, knobs: Knobs, parts: Weights, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        """Mean cross-entropy in nats."""
        return cross_entropy(self.logits(knobs, parts, inputs), labels)


def network_of(setting: AnySetting, features: int, classes: int) -> tuple[Network, Knobs]:
    """The network of a setting, and the knobs that may turn without compiling again."""
    own = ACTIVATIONS[setting.activation]
    if not isinstance(setting, ChainSetting):
        return Network(own), {}
    # of all activations that sliders choose from, one: it is differentiated three times over
    chain = dataclasses.replace(setting.chain(features, classes), activations=(own,))
    return Network(chain), setting.knobs() | {"activation": np.int32(0)}


def _dense_logits(phi, parts: Weights, inputs):
    def layer(x, weights):
        return phi(product(x, weights["weight"]) + weights["bias"]), None

    x, _ = layer(inputs, parts.first)
    x, _ = lax.scan(layer, x, parts.layers)
    return product(x, parts.readout["weight"]) + parts.readout["bias"]
