"""What training needs to know of each kind of network: what it answers, and how it is measured.

Shapes: S starts, L depth, B examples, n units (width), F features, K classes.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from initlab import measures
from initlab.activations import ACTIVATIONS, Activation
from initlab.data import Batch
from initlab.measures import normalized, product
from initlab.setting import AnySetting, Setting

PROBED = 256  # examples that layers are measured on: as many as probe() takes by default


@dataclasses.dataclass(frozen=True)
class Model:
    """What is compiled in of the networks that are trained together; each kind has its own."""

    def logits(self, knobs, parameters, inputs, masks=None):
        """What one network answers: ``[B, K]``. ``knobs`` are numbers that all starts share."""
        raise NotImplementedError

    def trained(self, updates):
        """The updates of what is trained; what is not gets zeros."""
        return updates

    def masks(self, key, parameters, examples: int, dropout):
        """Which hidden units are kept in a step, scaled up so that the mean stays."""
        raise NotImplementedError

    def measure(self, settings, parameters, batch: Batch) -> dict:
        """By layer, float64 arrays ``[S, …]`` by the names of History; parameters are ``[S, …]``.

        Activation variance is inf, and what comes from the backward pass NaN, from where values
        are not finite.
        """
        raise NotImplementedError


@functools.singledispatch
def model_of(setting: AnySetting, features: int, classes: int) -> tuple[Model, object]:
    """The model of a setting, and its knobs; settings that agree in both train together."""
    raise TypeError(f"there is no way to train {setting!r}")


@dataclasses.dataclass(frozen=True)
class _Dense(Model):
    activation: Activation
    depth: int
    width: int

    def logits(self, knobs, parameters, inputs, masks=None):
        """See :class:`Model`."""
        return _forward(self.activation.function, parameters, inputs, masks)[-1]

    def masks(self, key, parameters, examples: int, dropout):
        """See :class:`Model`."""
        kept = jax.random.bernoulli(key, 1 - dropout, (self.depth, examples, self.width))
        return kept / (1 - dropout)

    def measure(self, settings, parameters, batch: Batch) -> dict:
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
    """Preactivations and activations of all hidden layers, and the logits."""
    before, after, x = [], [], inputs
    for index, (weight, bias) in enumerate(parameters[:-1]):
        before.append(product(x, weight) + bias)
        x = phi(before[-1])
        x = x if masks is None else x * masks[index]
        after.append(x)
    weight, bias = parameters[-1]
    return before, after, product(x, weight) + bias


@functools.partial(jax.jit, static_argnames=("activation",))
def _measure(activation, parameters, inputs, labels) -> dict:
    def one_start(parameters):
        before, after, logits = _forward(activation.function, parameters, inputs)
        layers = [inputs, *after]
        return _layer_measures(activation, parameters, before, layers, logits, labels)

    return jax.vmap(one_start)(parameters)


def _layer_measures(activation, parameters, before, layers, logits, labels) -> dict:
    """One start's signals by layer, squares and their exponents apart, as the probe keeps them.

    ``before`` are the hidden preactivations, ``layers`` the input and the hidden activations.
    """
    delta = jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[1])
    weight = parameters[-1][0]
    sizes = product(jnp.abs(delta), jnp.abs(weight).T)
    back = measures.unless_rounding(product(delta, weight.T), sizes)
    deltas, exponents, exponent = [], [], 0
    for z, (weight, _) in zip(before[::-1], parameters[-2::-1], strict=True):
        delta, shift, _ = normalized(back * activation.derivative(z))
        exponent += shift
        deltas, exponents = [delta, *deltas], [exponent, *exponents]
        back = product(delta, weight.T)

    def signal(x):
        scaled, exponent, finite = normalized(x)
        out = {
            "activation_variance": measures.moments(scaled)[0],
            "activation_exponent": exponent,
            "finite": finite,
        }
        return out, scaled

    # hidden layers are of one shape: measured at once, they are compiled once
    (first, _), (hidden, scaled) = signal(layers[0]), jax.vmap(signal)(jnp.stack(layers[1:]))
    deltas = jnp.stack(deltas)
    return {
        **jax.tree.map(lambda x, xs: jnp.append(x[None], xs), first, hidden),
        "logits_finite": jnp.isfinite(logits).all(),
        "gradient_second_moment": jax.vmap(lambda delta: measures.mean(delta**2))(deltas),
        "gradient_exponent": jnp.stack(exponents),
        "distinct_neurons": jax.vmap(measures.distinct_neurons)(scaled, deltas),
    }
