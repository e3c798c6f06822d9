"""What training needs to know of each kind of network: what it answers, and how it is measured.

Shapes: S starts, L depth, B examples, n units (width), F features, K classes.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from initlab import measures
from initlab.activations import ACTIVATIONS, Activation
from initlab.data import Batch
from initlab.measures import normalized, product
from initlab.setting import AnySetting, Setting

PROBED = 256  # examples that layers are measured on: as many as probe() takes by default


@dataclasses.dataclass(frozen=True)
class Model:
    """What is compiled in of the networks that are trained together; each kind has its own."""

    def logits(
        self, knobs: Any, parameters: Any, inputs: jax.Array, masks: Any = None
    ) -> jax.Array:
        """What one network answers: ``[B, K]``. ``knobs`` are numbers that all starts share."""
        raise NotImplementedError

    def trained(self, updates: Any) -> Any:
        """The updates of what is trained; what is not gets zeros."""
        return updates

    def masks(self, key: jax.Array, parameters: Any, examples: int, dropout: ArrayLike) -> Any:
        """Which hidden units are kept in a step, scaled up so that the mean stays."""
        raise NotImplementedError

    def norms(self, parameters: Any) -> jax.Array:
        """``[L + 1]``: of each layer's arrays taken together, layer 1 first, readout last."""
        raise NotImplementedError

    def first_not_finite(self, knobs: Any, parameters: Any, inputs: jax.Array) -> int:
        """The layer, from 1, where a value of one network first is not finite.

        ``L + 1``, the readout, if all layers' values are: then it is there that the loss is not.
        """
        raise NotImplementedError

    def measure(
        self, settings: Sequence[Any], parameters: Any, batch: Batch
    ) -> dict[str, np.ndarray]:
        """By layer, float64 arrays ``[S, …]`` by the names of History; parameters are ``[S, …]``.

        Activation variance is inf, and what comes from the backward pass NaN, from where values
        are not finite.
        """
        raise NotImplementedError


def norm(arrays: Any) -> jax.Array:
    """Of all entries of some arrays together; scaled by the largest, whose square may overflow."""
    leaves = jax.tree.leaves(arrays)
    largest = functools.reduce(jnp.maximum, [jnp.max(jnp.abs(leaf)) for leaf in leaves])
    scale = jnp.where(largest > 0, largest, 1.0)
    squares = sum(jnp.sum(jnp.sum(jnp.atleast_1d(leaf / scale) ** 2, axis=0)) for leaf in leaves)
    return largest * jnp.sqrt(squares)


@functools.singledispatch
def model_of(setting: AnySetting, features: int, classes: int) -> tuple[Model, object]:
    """The model of a setting, and its knobs; settings that agree in both train together."""
    raise TypeError(f"there is no way to train {setting!r}")


@dataclasses.dataclass(frozen=True)
class _Dense(Model):
    activation: Activation
    depth: int
    width: int

    def logits(
        self, knobs: Any, parameters: Any, inputs: jax.Array, masks: Any = None
    ) -> jax.Array:
        """See :class:`Model`."""
        return _forward(self.activation.function, parameters, inputs, masks)[1]

    def masks(self, key: jax.Array, parameters: Any, examples: int, dropout: ArrayLike) -> Any:
        """See :class:`Model`."""
        kept = jax.random.bernoulli(key, 1 - dropout, (self.depth, examples, self.width))
        return kept / (1 - dropout)

    def norms(self, parameters: Any) -> jax.Array:
        """See :class:`Model`."""
        ends = jnp.stack([norm(parameters[0]), norm(parameters[-1])])
        return jnp.concatenate([ends[:1], jax.vmap(norm)(_hidden(parameters)), ends[1:]])

    def first_not_finite(self, knobs: Any, parameters: Any, inputs: jax.Array) -> int:
        """See :class:`Model`."""
        after, _ = _forward(self.activation.function, parameters, inputs)
        return 1 + next(
            (layer for layer, values in enumerate(after) if not jnp.isfinite(values).all()),
            self.depth,
        )

    def measure(
        self, settings: Sequence[Any], parameters: Any, batch: Batch
    ) -> dict[str, np.ndarray]:
        """See :class:`Model`."""
        out = jax.device_get(
            _measure(self.activation, parameters, batch.inputs[:PROBED], batch.labels[:PROBED])
        )
        finite = np.logical_and.accumulate(out["finite"], axis=1)
        learns = (finite[:, -1] & out["logits_finite"])[:, None]

        def squared(name, exponent):
            return np.ldexp(out[name].astype(np.float64), 2 * out[exponent])

        variance = squared("activation_variance", "activation_exponent")
        gradient = squared("gradient_second_moment", "gradient_exponent")
        return {
            "activation_variance": np.where(finite, variance, np.inf),
            "gradient_second_moment": np.where(learns, gradient, np.nan),
            "distinct_neurons": np.where(learns, out["distinct_neurons"], np.nan),
        }


@model_of.register
def _dense_model(setting: Setting, features: int, classes: int):
    return _Dense(ACTIVATIONS[setting.activation], setting.depth, setting.width), ()


def _forward(phi, parameters, inputs, masks=None):
    """Activations of all hidden layers, and the logits."""
    after, x = [], inputs
    for index, (weight, bias) in enumerate(parameters[:-1]):
        x = phi(product(x, weight) + bias)
        x = x if masks is None else x * masks[index]
        after.append(x)
    weight, bias = parameters[-1]
    return after, product(x, weight) + bias


def _hidden(parameters):
    """Weights ``[L - 1, n, n]`` and biases ``[L - 1, n]`` of the layers of one shape, stacked."""
    if len(parameters) == 2:
        (bias,) = parameters[0][1:]
        return jnp.zeros((0, len(bias), len(bias))), jnp.zeros((0, len(bias)))
    return tuple(jnp.stack(arrays) for arrays in zip(*parameters[1:-1], strict=True))


@functools.partial(jax.jit, static_argnames=("activation",))
def _measure(activation, parameters, inputs, labels) -> dict:
    return jax.vmap(lambda one: _layer_measures(activation, one, inputs, labels))(parameters)


def _layer_measures(activation, parameters, inputs, labels) -> dict:
    """One start's signals by layer, squares and their exponents apart, as the probe keeps them.

    Loops over the layers compile in the same time at any depth.
    """
    (weight, bias), (readout, readout_bias) = parameters[0], parameters[-1]
    hidden = _hidden(parameters)

    def forward(z, layer):
        weight, bias = layer
        z = product(activation.function(z), weight) + bias
        return z, z

    def gradient(back, z):
        delta, shift, _ = normalized(back * activation.derivative(z))
        return delta, shift

    def backward(carry, layer):
        (back, exponent), (z, weight) = carry, layer
        delta, shift = gradient(back, z)
        return (product(delta, weight.T), exponent + shift), (delta, exponent + shift)

    first = product(inputs, weight) + bias
    last, others = lax.scan(forward, first, hidden)
    logits = product(activation.function(last), readout) + readout_bias

    error = jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[1])
    sizes = product(jnp.abs(error), jnp.abs(readout).T)
    back = measures.unless_rounding(product(error, readout.T), sizes)
    (back, exponent), (deltas, exponents) = lax.scan(
        backward, (back, jnp.int32(0)), (others, hidden[0]), reverse=True
    )
    delta, shift = gradient(back, first)
    deltas = jnp.concatenate([delta[None], deltas])

    def signal(x):
        scaled, exponent, finite = normalized(x)
        out = {
            "activation_variance": measures.moments(scaled)[0],
            "activation_exponent": exponent,
            "finite": finite,
        }
        return out, scaled

    of_input, _ = signal(inputs)
    of_layers, scaled = jax.vmap(signal)(
        activation.function(jnp.concatenate([first[None], others]))
    )
    return {
        **jax.tree.map(lambda x, xs: jnp.append(x[None], xs), of_input, of_layers),
        "logits_finite": jnp.isfinite(logits).all(),
        "gradient_second_moment": jax.vmap(lambda delta: measures.mean(delta**2))(deltas),
        "gradient_exponent": jnp.append((exponent + shift)[None], exponents),
        "distinct_neurons": jax.vmap(measures.distinct_neurons)(scaled, deltas),
    }
