"""Many networks that share their draws, measured at once: one program for all scales and depths.

Points that share seed, kind of draw and width are the same random matrices times numbers of their
own. So their batches are laid one under the other, and each layer is one large product. What is
measured is what ``initlab.network`` measures, with exponents beside the squares as there.

Shapes: G points, B examples, n units (width), F input features, K classes, L layers and the input.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import measures
from initlab.activations import Activation
from initlab.measures import normalized, power_of_two, product
from initlab.signals import EXPONENTS
from initlab.sweeps import sizes
from initlab.sweeps.sizes import Gram, Sized, each

_NONE = 2**30  # beyond all exponents


class Program(NamedTuple):
    """What is compiled in, beside the shapes."""

    activations: tuple[Activation, ...]
    dtype: jnp.dtype
    measures: tuple[str, ...]


class Shared(NamedTuple):
    """What all points have in common: most fields of ``Draws``, and of a setting."""

    first: jax.Array  # [F, n]
    hidden: jax.Array  # [MAX_DEPTH - 1, n, n]
    readout: jax.Array  # [n, K]
    bias: jax.Array  # [MAX_DEPTH, 2, n]: normal, uniform
    readout_bias: jax.Array  # [2, K]
    depth: jax.Array | np.ndarray | np.int32  # int32
    activation: jax.Array | np.ndarray | np.int32  # int32, index into the activations
    flat_range: jax.Array | np.ndarray  # [2]: below, above
    inputs: jax.Array | np.ndarray  # [B, F]
    labels: jax.Array | np.ndarray  # [B]


class Own(NamedTuple):
    """What points differ by."""

    weight: jax.Array | np.ndarray  # [G, L] scales: first, hidden, and at depth the readout
    bias: jax.Array | np.ndarray  # [G, L, 2]


def run(
    program: Program, values: jax.Array, shared: Shared, own: Own
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """One forward and one backward pass of all points.

    On the way forward nothing is measured. All that is measured of a layer is measured on the way
    back, where preactivation, activation and gradient are at hand together.

    Args:
      program: what is compiled in.
      values: scratch ``[(L - 1) G, B, n]`` for the preactivations of the hidden layers.
      shared: what points have in common.
      own: what they differ by.

    Returns:
      The scratch, and a dict of arrays ``[G, L]`` by layer, of ``loss`` and ``logits_finite [G]``.
    """
    points, layers = own.weight.shape
    depth, dtype = shared.depth, program.dtype
    below, above = shared.flat_range
    functions = [entry.function for entry in program.activations]
    with_slopes = [entry.with_derivative for entry in program.activations]

    def forward(index, state):
        """Keep what reaches hidden layer ``index + 1``, and go on.

        As in ``initlab.network``, the way leads on from the last layer to one that nobody looks at.
        """
        z, _, values = state
        a = lax.switch(shared.activation, functions, z)
        following = affine(dtype, own, index + 1, a, shared.hidden[index], shared.bias[index + 1])
        return following, a, lax.dynamic_update_slice_in_dim(values, z, index * points, 0)

    inputs = jnp.broadcast_to(shared.inputs.astype(dtype), (points, *shared.inputs.shape))
    z = affine(dtype, own, 0, inputs, shared.first, shared.bias[0])
    _, last, values = lax.fori_loop(0, depth, forward, (z, z, values))

    logits = affine(dtype, own, depth, last, shared.readout, shared.readout_bias)
    logits = logits.astype(jnp.float32)
    log_likelihood = jax.nn.log_softmax(logits)
    classes = jax.nn.one_hot(shared.labels, logits.shape[-1])
    # each example's own loss: no division by the batch's size
    error, exponent, logits_finite = each(normalized)(jnp.exp(log_likelihood) - classes)

    def backward(step, state):
        """Measure a hidden layer, given what comes back to it, and go back.

        ``pulled`` is the gradient of its activations, ``gram`` that of the layer it feeds, example
        by example.
        """
        pulled, gram, exponent, out, values = state
        index = depth - 1 - step
        z = lax.dynamic_slice_in_dim(values, index * points, points)
        a, slope = lax.switch(shared.activation, with_slopes, z)
        z_sized, z_variance = sizes.with_variance(z.astype(jnp.float32))
        a_sized, a_variance = sizes.with_variance(a.astype(jnp.float32))
        slope = slope.astype(jnp.float32)
        flat = jnp.where(z <= below, 1.0, jnp.where(z >= above, 1.0, 0.0))
        found = of_rows(a_sized, gram, exponent)
        delta = sizes.sized(pulled * slope)
        exponent += delta.shift
        found |= {
            "finite": a_sized.finite & z_sized.finite,
            "activation_exponent": a_sized.shift,
            "activation_variance": a_variance,
            "activation_second_moment": a_sized.second_moment,
            "preactivation_exponent": z_sized.shift,
            "preactivation_variance": z_variance,
            "preactivation_second_moment": z_sized.second_moment,
            "gradient_exponent": exponent,
            "gradient_second_moment": delta.second_moment,
            "saturated_fraction": each(measures.mean)(flat),
            "dead_fraction": jnp.mean(jnp.all(slope == 0, axis=1), axis=1, dtype=jnp.float32),
        }
        if {"distinct_neurons", "effective_neurons"} & set(program.measures):
            # they are relative to a layer's largest value
            a, _, _ = each(normalized)(a.astype(jnp.float32))
            gradient, _, _ = each(normalized)(delta.values)
            found["distinct_neurons"] = each(measures.distinct_neurons)(a, gradient)
            found["effective_neurons"] = each(measures.effective_neurons)(a)
        pulled = transposed(dtype, own.weight, index, delta, shared.hidden[index - 1])
        return pulled, sizes.gram(delta), exponent, _record(out, index + 1, found), values

    delta = sizes.sized(error)
    exponent += delta.shift
    pulled = transposed(dtype, own.weight, depth, delta, shared.readout)
    absolute = delta._replace(values=jnp.abs(error))
    summands = transposed(dtype, jnp.abs(own.weight), depth, absolute, jnp.abs(shared.readout))
    pulled = measures.unless_rounding(pulled, summands)
    out = _buffers(program.measures, layers, points)
    state = pulled, sizes.gram(delta), exponent, out, values
    _, gram, exponent, out, values = lax.fori_loop(0, depth, backward, state)

    inputs, variance = sizes.with_variance(shared.inputs.astype(dtype).astype(jnp.float32)[None])
    found = of_rows(inputs, gram, exponent) | {
        "finite": inputs.finite,
        "activation_exponent": inputs.shift,
        "activation_variance": variance,
        "activation_second_moment": inputs.second_moment,
    }
    out = {name: array.T for name, array in _record(out, 0, found).items()}
    out["loss"] = -jnp.mean(jnp.sum(log_likelihood * classes, axis=2), axis=1)
    # minus infinity alone would leave the gradient finite
    out["logits_finite"] = logits_finite & jnp.all(jnp.isfinite(logits), axis=(1, 2))
    return values, out


def affine(
    dtype: Any, own: Own, layer: Any, x: jax.Array, weight: jax.Array, bias: jax.Array
) -> jax.Array:
    """``x W + b`` of all points, ``[G, B, m]``.

    In float32 draws and scales stay apart, and all rows are one matrix. A lower precision rounds
    the scaled weights, which then are each point's own.
    """
    # made here, once, and not for every example anew
    bias = lax.optimization_barrier(jnp.sum(own.bias[:, layer, :, None] * bias, axis=1))
    scale = own.weight[:, layer, None, None]
    return _products(dtype, x, weight, scale, dtype) + bias.astype(dtype)[:, None]


def transposed(
    dtype: Any, scales: jax.Array | np.ndarray, layer: Any, delta: Sized, weight: jax.Array
) -> jax.Array:
    """``delta W^T`` of all points in float32, whatever the network computes in."""
    scale, shift = scales[:, layer, None, None], power_of_two(-delta.shift)[:, None, None]
    if dtype == jnp.float32:
        return _products(dtype, delta.values, weight.T, scale * shift, dtype)
    return _products(dtype, shift * delta.values, weight.T, scale, jnp.float32)


def _products(dtype, x, weight, scale, computed):
    if dtype == jnp.float32:
        rows = (scale * x).reshape(-1, x.shape[-1])
        return product(rows, weight).reshape(*x.shape[:-1], weight.shape[1])
    return product(x, (scale * weight).astype(dtype).astype(computed))


def of_rows(x: Sized, delta: Gram, exponent: jax.Array) -> dict[str, jax.Array]:
    """What follows from the products of examples with each other: of activations, of gradients.

    The gradient by the weights between them is ``x^T delta``, and its squared norm the sum over
    all pairs of examples of ``(x_i . x_j) (delta_i . delta_j)``. That spares a matrix of weights
    for each point.
    """
    gram = sizes.gram(x)
    (size, x_exponents), (delta_size, exponents) = near_one(gram), near_one(delta)
    # what each example adds to the gradient, relative to the one that adds most
    exponents += x_exponents
    adds = (gram.squares > 0) & (delta.squares > 0)
    shift = jnp.max(jnp.where(adds, exponents, -_NONE), axis=1)
    shift = jnp.where(shift > -_NONE, shift, 0)
    delta_size *= power_of_two(jnp.clip(exponents - shift[:, None], -126, 0))
    pairs = outer(gram.products, size) * outer(delta.products, delta_size)
    square = jnp.sum(jnp.sum(pairs, axis=2), axis=1)
    return {
        "input_similarity": each(similarity)(gram.products),
        "weight_gradient_norm": jnp.sqrt(jnp.maximum(square, 0)) / gram.products.shape[1],
        "weight_exponent": x.shift + exponent + shift,
    }


def near_one(gram: Gram) -> tuple[jax.Array, jax.Array]:
    """By which factors examples are brought near 1, and exponents that undo it."""
    usable = jnp.isfinite(gram.squares) & (gram.squares > 0)
    exponents = jnp.frexp(jnp.where(usable, gram.squares, 0.5))[1] // 2
    return power_of_two(-exponents), gram.exponents + exponents


def outer(products: jax.Array, factors: jax.Array) -> jax.Array:
    """Products of examples with each other, given what each example is multiplied by."""
    return products * factors[:, :, None] * factors[:, None, :]


def similarity(gram: jax.Array) -> jax.Array:
    """``measures.input_similarity`` of the rows whose products with each other are given."""
    examples = len(gram)
    if examples == 1:
        return jnp.float32(jnp.nan)
    length = jnp.sqrt(jnp.diagonal(gram))
    inverse = 1 / jnp.where(length > 0, length, 1.0)
    silent = jnp.sum(length == 0)
    pairs = jnp.sum(gram * inverse[:, None] * inverse) - (examples - silent)
    pairs += silent * (silent - 1)
    return jnp.clip(pairs / (examples * (examples - 1)), -1.0, 1.0)


def _buffers(names: tuple[str, ...], layers: int, points: int) -> dict:
    exponents = {EXPONENTS[name][0] for name in names if name in EXPONENTS}
    return {
        "finite": jnp.ones((layers, points), bool),
        **{name: jnp.zeros((layers, points), jnp.int32) for name in sorted(exponents)},
        **{name: jnp.full((layers, points), jnp.nan, jnp.float32) for name in names},
    }


def _record(out: dict, layer, found: dict) -> dict:
    """``out`` with what was asked for at a layer."""
    return out | {name: _put(out[name], layer, found[name]) for name in out if name in found}


def _put(array, index, value):
    value = jnp.broadcast_to(value, array.shape[1:]).astype(array.dtype)
    return lax.dynamic_update_index_in_dim(array, value, index, 0)
