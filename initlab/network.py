"""A dense network's forward and backward pass, measured by layer: one program for all sliders.

Only the width, the batch's shape and the precision are compiled in. Depth is the trip count of a
loop, the activation a branch, and every scale a number, so no slider but width waits for XLA.
Reverse-mode differentiation cannot pass a loop of unknown length; the backward loop is therefore
written out, as in a textbook, and tested against ``jax.grad`` of the plain network.

Shapes: B examples, n units (width), F input features, K classes, M = MAX_DEPTH.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import measures
from initlab.activations import branches
from initlab.data import Batch
from initlab.draws import Draws, Kept, Scales, as_drawn, draws_for, empty_draws, scales_for, zeros
from initlab.measures import mean, normalized, power_of_two, product
from initlab.parameters import Pairs, Parameters
from initlab.setting import MAX_DEPTH, AnySetting, Setting

#: Activations are brought near 2 to this power before they meet a gradient: far above what float32
#: loses, and so far under its largest number that a batch of them can be added up.
_LIFTED = 100
#: A sum of squares above this has lost less than a rounding: to each of them float32's smallest
#: number, at the largest width.
_SMALLEST = 2.0**-80
_SCRATCH = Kept(512 * 2**20)  # buffers for the layers' values, used again by the next call


@functools.partial(
    jax.jit, static_argnames=("activations", "dtype"), donate_argnames=("values", "slopes")
)
def _measure(
    activations,  # tuple of Activation, in the catalogue's order
    dtype,
    values,  # [M, n, B] scratch: activations of hidden layers, transposed
    slopes,  # [M, B, n] scratch: their derivative by the preactivation
    draws: Draws,
    scales: Scales,
    depth,  # int32
    activation,  # int32, index into activations
    flat_range,  # (below, above): where the activation is flat
    inputs,  # [B, F]
    labels,  # [B]
):
    """One forward and one backward pass; returns the scratch and a dict of arrays by layer.

    Squares are measured of values brought near 1 by a power of two, whose exponent is returned
    beside them: that way neither measures nor gradients overflow before the network does.

    Activations are kept transposed: two products of the backward pass need their transpose, and
    XLA takes ``x.T @ y`` on a CPU in half the time if ``x.T`` is what stands in memory.
    """
    phi = functools.partial(
        lax.switch, activation, [entry.with_derivative for entry in activations]
    )
    weight_scale = scales.weight
    bias, readout_bias = biases(draws, scales, depth)

    def forward(index, state):
        """Measure hidden layer ``index + 1``, whose preactivation is ``z``, and go on to the next.

        From the last layer, and in ``backward`` from the first, the way leads on to one that nobody
        looks at: that takes less than to compile the same measures once more for the ends.
        """
        z, values, slopes, out = state
        a, slope = phi(z)
        scaled_z, z_exponent, z_finite = normalized(z.astype(jnp.float32))
        z_variance, z_moment = measures.moments(scaled_z)
        below, above = flat_range
        layer = _layer_measures(a) | {
            "preactivation_exponent": z_exponent,
            "preactivation_variance": z_variance,
            "preactivation_second_moment": z_moment,
            "saturated_fraction": mean(((z <= below) | (z >= above)).astype(jnp.float32)),
        }
        layer["finite"] &= z_finite
        out = _record(out, index + 1, layer)
        z = affine(dtype, a, draws.hidden[index], weight_scale[index + 1], bias[index + 1])
        return z, _put(values, index, a.T), _put(slopes, index, slope), out

    out = _buffers()
    inputs = inputs.astype(dtype)
    out = _record(out, 0, _layer_measures(inputs))
    z = affine(dtype, inputs, draws.first, weight_scale[0], bias[0])
    _, values, slopes, out = lax.fori_loop(0, depth, forward, (z, values, slopes, out))

    last = values[depth - 1]
    logits = affine(dtype, last.T, draws.readout, weight_scale[depth], readout_bias)
    logits = logits.astype(jnp.float32)
    log_likelihood = jax.nn.log_softmax(logits)
    classes = jax.nn.one_hot(labels, logits.shape[1])
    # each example's own loss: no division by the batch's size
    delta, exponent, logits_finite = normalized(jnp.exp(log_likelihood) - classes)

    def weight_gradient(x, x_exponent, delta, exponent):
        """Measure the mean loss's gradient by the weights from ``x``, which is transposed."""

        def gradient(exponent):
            return product(x.astype(jnp.float32) * power_of_two(exponent), delta) / len(delta)

        def carefully():
            """Where large examples have no gradient, small ones make it up."""
            lift = jnp.minimum(_LIFTED - x_exponent, 126)
            scaled, shift, _ = normalized(gradient(lift))
            return _square(scaled), shift - lift

        square = _square(gradient(-x_exponent))
        square, shift = lax.cond(square > _SMALLEST, lambda: (square, x_exponent), carefully)
        return {"weight_gradient_norm": jnp.sqrt(square), "weight_exponent": exponent + shift}

    def backward(step, state):
        """Measure the gradient of a hidden layer and of the weights that feed it, and go back."""
        delta_a, _, exponent, out = state
        index = depth - 1 - step
        slope = slopes[index].astype(jnp.float32)
        delta, shift, _ = normalized(delta_a * slope)
        exponent += shift
        x_exponent, a_exponent = (out["activation_exponent"][layer] for layer in (index, index + 1))
        scale = power_of_two(-a_exponent)
        a = (values[index].astype(jnp.float32) * scale).T
        out = _record(
            out,
            index + 1,
            {
                "gradient_exponent": exponent,
                "gradient_second_moment": mean(delta**2),
                "distinct_neurons": measures.distinct_neurons(a, delta),
                "effective_neurons": measures.effective_neurons(a),
                "dead_fraction": jnp.mean(jnp.all(slope == 0, axis=0), dtype=jnp.float32),
            },
        )
        out = _record(out, index, weight_gradient(values[index - 1], x_exponent, delta, exponent))
        delta_a = transposed(dtype, delta, draws.hidden[index - 1], weight_scale[index])
        return delta_a, delta, exponent, out

    measured = weight_gradient(last, out["activation_exponent"][depth], delta, exponent)
    out = _record(out, depth, measured)
    delta_a = transposed(dtype, delta, draws.readout, weight_scale[depth])
    sizes = transposed(dtype, jnp.abs(delta), jnp.abs(draws.readout), jnp.abs(weight_scale[depth]))
    delta_a = measures.unless_rounding(delta_a, sizes)
    state = (delta_a, jnp.zeros_like(delta_a), exponent, out)
    _, delta, exponent, out = lax.fori_loop(0, depth, backward, state)
    measured = weight_gradient(inputs.T, out["activation_exponent"][0], delta, exponent)
    out = _record(out, 0, measured)
    out["loss"] = measures.mean_loss(log_likelihood, classes)
    # minus infinity alone would leave the gradient finite
    out["logits_finite"] = logits_finite & jnp.all(jnp.isfinite(logits))
    out["weight_norm"] = weight_scale * draws.norm.at[depth].set(draws.norm[MAX_DEPTH])
    return values, slopes, out


def biases(draws: Draws, scales: Scales, depth: Any) -> tuple[jax.Array, jax.Array]:
    """The biases of all hidden layers ``[M, n]`` and of the readout ``[K]``.

    To be made outside of the loop over layers, where XLA would make them anew for every example.
    """
    hidden = jnp.sum(scales.bias[:MAX_DEPTH, :, None] * draws.bias, axis=1)
    return hidden, jnp.sum(scales.bias[depth][:, None] * draws.readout_bias, axis=0)


def affine(
    dtype: Any, x: jax.Array, weight: jax.Array, scale: jax.Array | np.ndarray, bias: jax.Array
) -> jax.Array:
    """``x W + b`` with draws and scales apart, which spares making the scaled weights."""
    if dtype == jnp.float32:
        return product(scale * x, weight) + bias
    return product(x, (scale * weight).astype(dtype)) + bias.astype(dtype)


def transposed(
    dtype: Any, x: jax.Array, weight: jax.Array, scale: jax.Array | np.ndarray
) -> jax.Array:
    """``x W^T``, in float32 whatever the network computes in: its exponent is kept apart."""
    if dtype == jnp.float32:
        return product(scale * x, weight.T)
    return product(x, (scale * weight).astype(dtype).astype(jnp.float32).T)


def _square(x):
    return jnp.sum(jnp.sum(x**2, axis=0))


def _layer_measures(a):
    _, found = measures.of_activation(a.astype(jnp.float32))
    return found


_INTEGERS = (
    "activation_exponent",
    "preactivation_exponent",
    "gradient_exponent",
    "weight_exponent",
    "distinct_neurons",
)
_REALS = (
    "activation_variance",
    "activation_second_moment",
    "preactivation_variance",
    "preactivation_second_moment",
    "gradient_second_moment",
    "weight_gradient_norm",
    "saturated_fraction",
    "dead_fraction",
    "effective_neurons",
    "input_similarity",
)


def _buffers() -> dict:
    """Room for every measure of the input and of ``MAX_DEPTH`` layers."""
    layers = MAX_DEPTH + 1
    return {
        "finite": jnp.ones(layers, bool),
        "activation_histogram": jnp.zeros((layers, len(measures.HISTOGRAM_EDGES) - 1), jnp.int32),
        **{name: jnp.zeros(layers, jnp.int32) for name in _INTEGERS},
        **{name: jnp.full(layers, jnp.nan, jnp.float32) for name in _REALS},
    }


def _record(out: dict, layer, measured: dict) -> dict:
    return out | {name: _put(out[name], layer, value) for name, value in measured.items()}


def _put(array, index, value):
    """``array`` with ``array[index] = value``; unlike ``at``, reads nothing of what stood there."""
    return lax.dynamic_update_index_in_dim(array, value, index, 0)


@functools.singledispatch
def measure(
    setting: AnySetting, batch: Batch, weights: Parameters | None = None
) -> dict[str, np.ndarray]:
    """Run the compiled pass for a setting and a batch; each kind of setting registers its own.

    ``weights`` are by default those that the setting draws.

    Returns a dict of NumPy arrays ``[MAX_DEPTH + 1]`` by layer (0 is the input); what lies beyond
    the setting's depth is padding. :func:`initlab.probe` turns them into ``Signals``. What is
    there beside the dense network's measures becomes ``Signals.more``.
    """
    raise TypeError(f"there is no way to measure {setting!r}")


@measure.register
def _measure_dense(
    setting: Setting, batch: Batch, weights: Pairs | None = None
) -> dict[str, np.ndarray]:
    features, classes = batch.inputs.shape[1], batch.classes
    if weights is None:
        drawn = draws_for(setting, features, classes), scales_for(setting, features, classes)
    else:
        drawn = as_drawn(weights, features, classes)
    return _run(setting, batch, *drawn)


@functools.singledispatch
def compile_pass(setting: AnySetting, batch: Batch) -> None:
    """Compile the pass for a setting's width and precision, without drawing its weights."""
    raise TypeError(f"there is no way to measure {setting!r}")


@compile_pass.register
def _compile_dense(setting: Setting, batch: Batch) -> None:
    features, classes = batch.inputs.shape[1], batch.classes
    shallow = setting.replace(depth=1)
    draws = empty_draws(features, setting.width, classes)
    _run(shallow, batch, draws, scales_for(shallow, features, classes))


def _run(setting: Setting, batch: Batch, draws: Draws, scales: Scales) -> dict:
    activations, chosen = branches(setting.activation)
    shape, dtype = (len(batch), setting.width), jnp.dtype(setting.dtype)
    scratch = _SCRATCH.take((shape, dtype)) or tuple(
        zeros((MAX_DEPTH, *order), dtype) for order in (shape[::-1], shape)
    )
    *scratch, out = _measure(
        activations,
        dtype,
        *scratch,
        draws,
        scales,
        np.int32(setting.depth),
        np.int32(chosen),
        np.asarray(activations[chosen].flat_range, np.float32),
        batch.inputs,
        batch.labels,
    )
    _SCRATCH.keep((shape, dtype), tuple(scratch), sum(array.nbytes for array in scratch))
    return jax.device_get(out)
