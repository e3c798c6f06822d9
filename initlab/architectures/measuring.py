"""One compiled pass that measures any chain of layers, forward and backward.

How many layers there are is the trip count of a loop. The forward and the backward loop keep the
states and their gradients; what is measured of them comes after, many layers at a time, for one
layer of a recurrent network is too small to keep a processor busy.

Shapes: B examples, n units (width), K classes, M the chain's largest depth.
"""

import functools
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import measures, network, preparation
from initlab.architectures.chain import Chain, ChainSetting
from initlab.architectures.draws import drawing, draws_for, empty_draws, scaled
from initlab.data import Batch
from initlab.draws import Kept, zeros
from initlab.measures import mean, normalized, product
from initlab.parameters import Weights

_AT_ONCE = 16  # layers that are measured together
_SCRATCH = Kept(512 * 2**20)  # buffers for states and gradients, used again by the next call


class _Scratch(NamedTuple):
    """Room for all layers' states and gradients, ``[M, *state]`` each."""

    states: jax.Array
    gradients: jax.Array


@functools.partial(jax.jit, static_argnames=("chain",), donate_argnames=("scratch",))
def _measure(chain: Chain, scratch, draws: Weights, scales: Weights, knobs, depth, inputs, labels):
    """One forward and one backward pass; returns the scratch and a dict of arrays ``[M + 1]``."""

    def weights_of(layer):  # those that layer - 1 hands its state to; layer counts from 0
        if chain.shared:
            return scaled(draws.layers, scales.layers)
        if isinstance(layer, int) and layer == 0:
            return scaled(draws.first, scales.first)
        here = jax.tree.map(lambda array: array[layer - 1], (draws.layers, scales.layers))
        return scaled(*here)

    # --- forward and backward ---
    def forward_step(layer, states):
        state = chain.step(weights_of(layer), knobs, inputs, layer, states[layer - 1])
        return states.at[layer].set(state)

    states, gradients = scratch
    states = states.at[0].set(chain.first(weights_of(0), knobs, inputs))
    states = lax.fori_loop(1, depth, forward_step, states)

    def summary(state):
        return chain.summary(knobs, chain.activation(knobs, state))

    read, back_to_state = jax.vjp(summary, states[depth - 1])
    readout = scaled(draws.readout, scales.readout)
    logits = product(read, readout["weight"]) + readout.get("bias", 0.0)
    log_likelihood = jax.nn.log_softmax(logits)
    classes = jax.nn.one_hot(labels, chain.classes)
    delta, exponent, logits_finite = normalized(jnp.exp(log_likelihood) - classes)

    back = product(delta, readout["weight"].T)
    sizes = product(jnp.abs(delta), jnp.abs(readout["weight"]).T)
    back = measures.unless_rounding(back, sizes)
    (gradient,) = back_to_state(back)
    gradient, shift, _ = normalized(gradient)
    out = {
        "gradient_exponent": jnp.zeros(chain.max_depth + 1, jnp.int32),
        "weight_exponent": jnp.zeros(chain.max_depth + 1, jnp.int32),
        "weight_gradient_norm": jnp.full(chain.max_depth + 1, jnp.nan),
    }
    scaled_read, read_exponent, _ = normalized(read)
    readout_gradient = product(scaled_read.T, delta) / len(labels)
    out = _record(out, depth, _weight_gradient({"weight": readout_gradient}, exponent))
    out["weight_exponent"] = out["weight_exponent"].at[depth].add(read_exponent)

    def backward(layer, gradient, exponent, gradients, out):
        """Differentiate what made layer ``layer + 1`` of the one before it, and its weights."""
        gradients = gradients.at[layer].set(gradient)
        out = _record(out, layer + 1, {"gradient_exponent": exponent})

        if isinstance(layer, int) and layer == 0:
            _, back = jax.vjp(lambda w: chain.first(w, knobs, inputs), weights_of(0))
            (weight_gradient,) = back(gradient)
        else:
            _, back = jax.vjp(
                lambda w, state: chain.step(w, knobs, inputs, layer, state),
                weights_of(layer),
                states[layer - 1],
            )
            weight_gradient, gradient = back(gradient)
        weight_gradient = jax.tree.map(lambda array: array / len(labels), weight_gradient)
        out = _record(out, layer, _weight_gradient(weight_gradient, exponent))
        out = _record(out, layer + 1, _number_gradients(weight_gradient, exponent))
        gradient, shift, _ = normalized(gradient)
        return gradient, exponent + shift, gradients, out

    def backward_step(step, state):
        return backward(depth - 1 - step, *state)

    one = jax.tree.map(lambda array: array if chain.shared else array[0], draws.layers)
    out |= {
        name: jnp.full(chain.max_depth + 1, jnp.nan) for name in _number_gradients(one, exponent)
    }
    state = gradient, exponent + shift, gradients, out
    state = lax.fori_loop(0, depth - 1, backward_step, state)
    _, _, gradients, out = backward(0, *state)

    # --- what is measured of what they kept ---
    def measured(layer, state, gradient):
        here = jnp.maximum(layer, 1)
        own = weights_of(here)
        more = chain.observe(own, knobs, inputs, layer, states[here - 1], state)
        z, z_exponent, z_finite = normalized(state)
        z_variance, z_moment = measures.moments(chain.by_unit(z))
        rows, found = _layer_measures(chain.activation(knobs, state), chain.by_unit)
        found |= {
            "preactivation_exponent": z_exponent,
            "preactivation_variance": z_variance,
            "preactivation_second_moment": z_moment,
            "gradient_second_moment": mean(chain.by_unit(gradient) ** 2),
            "weight_norm": _norm(own),
        }
        found["finite"] &= z_finite
        by_unit = chain.by_unit(gradient)
        rows = jnp.resize(rows, by_unit.shape)  # a state may have more parts than what is shown
        return found | {"distinct_neurons": measures.distinct_neurons(rows, by_unit)} | more

    def measure_some(index, found):
        start = index * _AT_ONCE
        layers = start + jnp.arange(_AT_ONCE)
        some = (lax.dynamic_slice_in_dim(array, start, _AT_ONCE) for array in (states, gradients))
        return jax.tree.map(
            lambda all_layers, values: lax.dynamic_update_slice_in_dim(
                all_layers, values, start + 1, axis=0
            ),
            found,
            jax.vmap(measured)(layers, *some),
        )

    shapes = jax.eval_shape(measured, 0, states[0], gradients[0])
    found = jax.tree.map(
        lambda shape: jnp.zeros((len(states) + 1, *shape.shape), shape.dtype), shapes
    )
    found = lax.fori_loop(0, -(-depth // _AT_ONCE), measure_some, found)
    _, of_input = _layer_measures(inputs, by_unit=lambda inputs: inputs)
    for name, value in of_input.items():
        found[name] = found[name].at[0].set(value)
    # weights count from 0: what reads the input is first, the readout last
    own = _norm(weights_of(0))
    found["weight_norm"] = found["weight_norm"].at[:-1].set(found["weight_norm"][1:])
    found["weight_norm"] = found["weight_norm"].at[0].set(own).at[depth].set(_norm(readout))
    out |= found
    out["loss"] = measures.mean_loss(log_likelihood, classes)
    out["logits_finite"] = logits_finite & jnp.all(jnp.isfinite(logits))
    return _Scratch(states, gradients), out


def _layer_measures(a, by_unit):
    """The normalized activation by unit, and what is measured of any layer's, the input's too."""
    rows, found = measures.of_activation(a, by_unit)
    return rows, found | {"effective_neurons": measures.effective_neurons(rows)}


def _norm(weights: dict):
    """Frobenius norm of a layer's matrices together."""
    return jnp.sqrt(sum(jnp.sum(array**2) for array in weights.values() if array.ndim >= 2))


def _weight_gradient(gradient: dict, exponent) -> dict:
    """Norm of the gradient of a layer's matrices together, and its exponent."""
    flat = jnp.concatenate([array.ravel() for array in gradient.values() if array.ndim >= 2])
    flat, shift, _ = normalized(flat[:, None])
    return {"weight_gradient_norm": jnp.sqrt(jnp.sum(flat**2)), "weight_exponent": exponent + shift}


def _number_gradients(gradient: dict, exponent) -> dict:
    """The gradients of a layer's single numbers, such as the factor of a residual branch."""
    return {
        f"{name}_gradient": value * measures.power_of_two(exponent)
        for name, value in gradient.items()
        if value.ndim == 0
    }


def _record(out: dict, layer, found: dict) -> dict:
    return out | {name: out[name].at[layer].set(value) for name, value in found.items()}


@network.measure.register
def _measure_chain(setting: ChainSetting, batch: Batch, weights: Weights | None = None) -> dict:
    sizes = batch.inputs.shape[1], batch.classes
    if weights is None:
        return _run(setting, batch, draws_for(setting, *sizes), setting.scales(*sizes))
    return _run(setting, batch, *_as_drawn(setting.chain(*sizes), weights))


def _as_drawn(chain: Chain, weights: Weights) -> tuple[Weights, Weights]:
    """Given weights as if they had been drawn, and scaled by 1; as long as what is drawn."""
    one = np.float32(1)
    scales = Weights(*(dict.fromkeys(part, one) for part in weights))
    if chain.shared:
        return weights, scales
    ones = np.ones(chain.max_depth - 1, np.float32)
    layers = {}
    for name, array in weights.layers.items():
        # in NumPy: JAX would compile a program for each depth
        layers[name] = np.zeros((len(ones), *array.shape[1:]), np.float32)
        layers[name][: len(array)] = array
    return weights._replace(layers=layers), scales._replace(layers=dict.fromkeys(layers, ones))


@network.compile_pass.register
def _compile_chain(setting: ChainSetting, batch: Batch) -> None:
    sizes = batch.inputs.shape[1], batch.classes
    _run(setting, batch, empty_draws(setting, *sizes), setting.scales(*sizes), depth=1)


def _run(setting: ChainSetting, batch: Batch, draws: Weights, scales: Weights, depth=None) -> dict:
    """Measure a setting's network of these weights, at its own depth by default."""
    setting.check_examples(len(batch))
    chain, inputs = setting.chain(batch.inputs.shape[1], batch.classes), jnp.asarray(batch.inputs)
    knobs = setting.knobs()
    key = chain, inputs.shape
    scratch = _SCRATCH.take(key)
    if scratch is None:
        first = draws.layers if chain.shared else draws.first
        state = jax.eval_shape(lambda weights: chain.first(weights, knobs, inputs), first)
        layers = -(-chain.max_depth // _AT_ONCE) * _AT_ONCE
        scratch = _Scratch(*(zeros((layers, *state.shape)) for _ in _Scratch._fields))
    depth = np.int32(setting.depth if depth is None else depth)
    scratch, out = _measure(chain, scratch, draws, scales, knobs, depth, inputs, batch.labels)
    _SCRATCH.keep(key, scratch, sum(array.nbytes for array in scratch))
    return jax.device_get(out)


@preparation.program.register
def _program(setting: ChainSetting, batch: Batch) -> Hashable:
    return setting.chain(batch.inputs.shape[1], batch.classes), batch.inputs.shape


@preparation.drawing.register
def _drawing(setting: ChainSetting, batch: Batch) -> Iterator[preparation.Task]:
    return drawing(setting, batch.inputs.shape[1], batch.classes)
