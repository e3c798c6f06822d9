"""A dense network's forward and backward pass, measured by layer: one program for all sliders.

Only the width, the batch's shape and the precision are compiled in. Depth is the trip count of a
loop, the activation a branch, and every scale a number, so no slider but width waits for XLA.
Reverse-mode differentiation cannot pass a loop of unknown length; the backward loop is therefore
written out, as in a textbook, and tested against ``jax.grad`` of the plain network.

Shapes: B examples, n units (width), F input features, K classes, M = MAX_DEPTH.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import measures
from initlab.activations import branches
from initlab.data import Batch
from initlab.draws import Draws, Kept, Scales, draws_for, empty_draws, scales_for
from initlab.measures import mean, normalized, power_of_two, product
from initlab.setting import MAX_DEPTH, AnySetting, Setting

_SCRATCH = Kept(512 * 2**20)  # buffers for the layers' values, used again by the next call


@functools.partial(
    jax.jit, static_argnames=("activations", "dtype"), donate_argnames=("values", "before")
)
def _measure(
    activations,  # tuple of Activation, in the catalogue's order
    dtype,
    values,  # [M, B, n] scratch: activations of hidden layers
    before,  # [M, B, n] scratch: their preactivations
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
    """
    phi = functools.partial(lax.switch, activation, [entry.function for entry in activations])
    slope = functools.partial(lax.switch, activation, [entry.derivative for entry in activations])
    weight_scale, bias_scale = scales

    def forward(index, z, state):
        """Measure hidden layer ``index + 1``, whose preactivation is ``z``."""
        values, before, out = state
        a = phi(z)
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
        return values.at[index].set(a), before.at[index].set(z), out

    def forward_step(index, state):
        values = state[0]
        x, weight = values[index - 1], draws.hidden[index - 1]
        z = affine(dtype, x, weight, draws.bias[index], weight_scale[index], bias_scale[index])
        return forward(index, z, state)

    out = _buffers()
    inputs = inputs.astype(dtype)
    out = _record(out, 0, _layer_measures(inputs))
    z = affine(dtype, inputs, draws.first, draws.bias[0], weight_scale[0], bias_scale[0])
    state = forward(0, z, (values, before, out))
    values, before, out = lax.fori_loop(1, depth, forward_step, state)

    logits = affine(
        dtype,
        values[depth - 1],
        draws.readout,
        draws.readout_bias,
        weight_scale[depth],
        bias_scale[depth],
    ).astype(jnp.float32)
    log_likelihood = jax.nn.log_softmax(logits)
    classes = jax.nn.one_hot(labels, logits.shape[1])
    # each example's own loss: no division by the batch's size
    delta, exponent, logits_finite = normalized(jnp.exp(log_likelihood) - classes)

    def weight_gradient(x, x_exponent, delta, exponent):
        """Norm of the mean loss's gradient, and its exponent."""
        x = x.astype(jnp.float32) * power_of_two(-x_exponent)
        gradient = product(x.T, delta) / x.shape[0]
        return jnp.sqrt(jnp.sum(jnp.sum(gradient**2, axis=0))), x_exponent + exponent

    def backward(index, x, weight_in, delta_a, exponent, out):
        """Measure the gradient of hidden layer ``index + 1`` and of the weights that feed it."""
        dphi = slope(before[index]).astype(jnp.float32)
        delta, shift, _ = normalized(delta_a * dphi)
        exponent += shift
        x_exponent = out["activation_exponent"][index]
        norm, norm_exponent = weight_gradient(x, x_exponent, delta, exponent)
        scale = power_of_two(-out["activation_exponent"][index + 1])
        a = values[index].astype(jnp.float32) * scale
        out = _record(
            out,
            index + 1,
            {
                "gradient_exponent": exponent,
                "gradient_second_moment": mean(delta**2),
                "distinct_neurons": measures.distinct_neurons(a, delta),
                "dead_fraction": jnp.mean(jnp.all(dphi == 0, axis=0), dtype=jnp.float32),
            },
        )
        out = _record(out, index, {"weight_gradient_norm": norm, "weight_exponent": norm_exponent})
        if weight_in is None:
            return None, exponent, out
        return transposed(dtype, delta, weight_in, weight_scale[index]), exponent, out

    def backward_step(step, state):
        index = depth - 1 - step
        return backward(index, values[index - 1], draws.hidden[index - 1], *state)

    norm, norm_exponent = weight_gradient(
        values[depth - 1], out["activation_exponent"][depth], delta, exponent
    )
    out = _record(out, depth, {"weight_gradient_norm": norm, "weight_exponent": norm_exponent})
    delta_a = transposed(dtype, delta, draws.readout, weight_scale[depth])
    sizes = transposed(dtype, jnp.abs(delta), jnp.abs(draws.readout), jnp.abs(weight_scale[depth]))
    delta_a = measures.unless_rounding(delta_a, sizes)
    state = lax.fori_loop(0, depth - 1, backward_step, (delta_a, exponent, out))
    _, _, out = backward(0, inputs, None, *state)
    out["loss"] = -jnp.mean(jnp.sum(log_likelihood * classes, axis=1))
    # minus infinity alone would leave the gradient finite
    out["logits_finite"] = logits_finite & jnp.all(jnp.isfinite(logits))
    out["weight_norm"] = weight_scale * draws.norm.at[depth].set(draws.norm[MAX_DEPTH])
    return values, before, out


def affine(dtype, x, weight, bias, scale, bias_scale):
    """``x W + b`` with draws and scales apart, which spares making the scaled weights."""
    normal, uniform = bias_scale[:, None] * bias
    bias = (normal + uniform).astype(dtype)
    if dtype == jnp.float32:
        return product(scale * x, weight) + bias
    return product(x, (scale * weight).astype(dtype)) + bias


def transposed(dtype, x, weight, scale):
    """``x W^T``, in float32 whatever the network computes in: its exponent is kept apart."""
    if dtype == jnp.float32:
        return product(scale * x, weight.T)
    return product(x, (scale * weight).astype(dtype).astype(jnp.float32).T)


def _layer_measures(a):
    """What is measured of any layer's activations, the input's included."""
    a = a.astype(jnp.float32)
    scaled, exponent, finite = normalized(a)
    variance, second_moment = measures.moments(scaled)
    return {
        "finite": finite,
        "activation_exponent": exponent,
        "activation_variance": variance,
        "activation_second_moment": second_moment,
        "activation_histogram": measures.histogram(a),
        "input_similarity": measures.input_similarity(scaled),
        "effective_neurons": measures.effective_neurons(scaled),
    }


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
    return out | {name: out[name].at[layer].set(value) for name, value in measured.items()}


@functools.singledispatch
def measure(setting: AnySetting, batch: Batch) -> dict:
    """Run the compiled pass for a setting and a batch; each kind of setting registers its own.

    Returns a dict of NumPy arrays ``[MAX_DEPTH + 1]`` by layer (0 is the input); what lies beyond
    the setting's depth is padding. :func:`initlab.probe` turns them into ``Signals``. What is
    there beside the dense network's measures becomes ``Signals.more``.
    """
    raise TypeError(f"there is no way to measure {setting!r}")


@measure.register
def _measure_dense(setting: Setting, batch: Batch) -> dict:
    return _run(setting, batch, draws_for(setting, batch.inputs.shape[1], batch.classes))


@functools.singledispatch
def compile_pass(setting: AnySetting, batch: Batch) -> None:
    """Compile the pass for a setting's width and precision, without drawing its weights."""
    raise TypeError(f"there is no way to measure {setting!r}")


@compile_pass.register
def _compile_dense(setting: Setting, batch: Batch) -> None:
    draws = empty_draws(batch.inputs.shape[1], setting.width, batch.classes)
    _run(setting.replace(depth=1), batch, draws)


def _run(setting: Setting, batch: Batch, draws: Draws) -> dict:
    activations, chosen = branches(setting.activation)
    shape = (MAX_DEPTH, len(batch), setting.width)
    dtype = jnp.dtype(setting.dtype)
    scratch = _SCRATCH.take((shape, dtype)) or (jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))
    *scratch, out = _measure(
        activations,
        dtype,
        *scratch,
        draws,
        scales_for(setting, batch.inputs.shape[1], batch.classes),
        np.int32(setting.depth),
        np.int32(chosen),
        np.asarray(activations[chosen].flat_range, np.float32),
        batch.inputs,
        batch.labels,
    )
    _SCRATCH.keep((shape, dtype), tuple(scratch), sum(array.nbytes for array in scratch))
    return jax.device_get(out)
