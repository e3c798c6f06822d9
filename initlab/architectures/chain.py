"""Any network that is a chain of like layers, measured layer by layer by one compiled pass.

A :class:`Chain` says what one layer does to the *state* that the layers hand on; the rest is here.
Where nothing goes round a layer, its state is the preactivation, as in a dense network; where a
layer adds to what it was given, it is that sum. Gradients are those with regard to the state.

How many layers there are is the trip count of a loop. The forward and the backward loop keep the
states and their gradients; what is measured of them comes after, many layers at a time, for one
layer of a recurrent network is too small to keep a processor busy.

Shapes: B examples, n units (width), F input features, K classes, M the chain's largest depth.
"""

import dataclasses
import functools
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import measures
from initlab.activations import Activation, branches
from initlab.architectures.draws import Weights, drawing, draws_for, empty_draws, scaled
from initlab.data import Batch
from initlab.draws import Kept, weights
from initlab.measures import mean, normalized, product
from initlab.network import compile_pass, measure
from initlab.preparation import drawing as preparation_drawing
from initlab.preparation import program
from initlab.setting import AnySetting

_AT_ONCE = 16  # layers that are measured together
_SCRATCH = Kept(512 * 2**20)  # buffers for states and gradients, used again by the next call


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

    def first(self, weights, knobs, inputs):
        """The state of layer 1; in a recurrent network, after the first step."""
        raise NotImplementedError

    def step(self, weights, knobs, inputs, layer, state):
        """The state of layer ``layer + 1``, of that of layer ``layer``."""
        raise NotImplementedError

    def activation(self, knobs, state):
        """What a layer hands on to the readout, and what is measured as its activation.

        By default the state itself: the sum that runs past the layers.
        """
        return state

    def by_unit(self, values):
        """An activation, or a state's gradient, as ``[rows, units]``."""
        return values.reshape(-1, self.units)

    def summary(self, knobs, activation):
        """What the readout reads of the last activation: ``[B, features]``."""
        return activation

    def observe(self, weights, knobs, inputs, layer, before, state) -> dict:
        """Further measures of layer ``layer + 1``, a number each; ``before`` is layer ``layer``'s.

        For layer 1, ``before`` is its own state. The least is what :meth:`flatness` gives.
        """
        raise NotImplementedError

    # --- what layers are made of ---

    def phi(self, knobs, z):
        """The activation that the slider chose."""
        return lax.switch(knobs["activation"], [entry.function for entry in self.activations], z)

    def flatness(self, knobs, z) -> dict:
        """The share of preactivations in a flat tail, and of units that pass nothing back."""
        below, above = knobs["flat_range"]
        slopes = [entry.derivative for entry in self.activations]
        slope = self.by_unit(lax.switch(knobs["activation"], slopes, z))
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
    dtype: ClassVar[str] = "float32"

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

    def knobs(self) -> dict:
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


def activation_knobs(name: str) -> tuple[tuple[Activation, ...], dict]:
    """``activations`` of a chain, and the knobs that its ``phi`` and ``flatness`` turn."""
    activations, chosen = branches(name)
    flat_range = np.asarray(activations[chosen].flat_range, np.float32)
    return activations, {"activation": np.int32(chosen), "flat_range": flat_range}


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
        a = chain.activation(knobs, state)
        found = _layer_measures(chain, a) | {
            "preactivation_exponent": z_exponent,
            "preactivation_variance": z_variance,
            "preactivation_second_moment": z_moment,
            "gradient_second_moment": mean(chain.by_unit(gradient) ** 2),
            "weight_norm": _norm(own),
        }
        found["finite"] &= z_finite
        rows = chain.by_unit(normalized(a)[0])
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
    for name, value in _layer_measures(chain, inputs, rows=inputs).items():
        found[name] = found[name].at[0].set(value)
    # weights count from 0: what reads the input is first, the readout last
    own = _norm(weights_of(0))
    found["weight_norm"] = found["weight_norm"].at[:-1].set(found["weight_norm"][1:])
    found["weight_norm"] = found["weight_norm"].at[0].set(own).at[depth].set(_norm(readout))
    out |= found
    out["loss"] = -jnp.mean(jnp.sum(log_likelihood * classes, axis=1))
    out["logits_finite"] = logits_finite & jnp.all(jnp.isfinite(logits))
    return _Scratch(states, gradients), out


def _layer_measures(chain: Chain, a, rows=None) -> dict:
    """What is measured of any layer's activation, the input's included."""
    scaled_a, exponent, finite = normalized(a)
    rows = chain.by_unit(scaled_a) if rows is None else scaled_a
    variance, second_moment = measures.moments(rows)
    return {
        "finite": finite,
        "activation_exponent": exponent,
        "activation_variance": variance,
        "activation_second_moment": second_moment,
        "activation_histogram": measures.histogram(a),
        "input_similarity": measures.input_similarity(scaled_a.reshape(len(scaled_a), -1)),
        "effective_neurons": measures.effective_neurons(rows),
    }


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


@measure.register
def _measure_chain(setting: ChainSetting, batch: Batch) -> dict:
    sizes = batch.inputs.shape[1], batch.classes
    return run(setting, batch, draws_for(setting, *sizes), setting.scales(*sizes))


@compile_pass.register
def _compile_chain(setting: ChainSetting, batch: Batch) -> None:
    sizes = batch.inputs.shape[1], batch.classes
    run(setting, batch, empty_draws(setting, *sizes), setting.scales(*sizes), depth=1)


def run(setting: ChainSetting, batch: Batch, draws: Weights, scales: Weights, depth=None) -> dict:
    """Measure a setting's network with these weights; see :func:`initlab.network.measure`.

    ``depth`` is by default the setting's own.
    """
    setting.check_examples(len(batch))
    chain, inputs = setting.chain(batch.inputs.shape[1], batch.classes), jnp.asarray(batch.inputs)
    knobs = setting.knobs()
    key = chain, inputs.shape
    scratch = _SCRATCH.take(key)
    if scratch is None:
        first = draws.layers if chain.shared else draws.first
        state = jax.eval_shape(lambda weights: chain.first(weights, knobs, inputs), first)
        layers = -(-chain.max_depth // _AT_ONCE) * _AT_ONCE
        scratch = _Scratch(*(jnp.zeros((layers, *state.shape)) for _ in _Scratch._fields))
    depth = np.int32(setting.depth if depth is None else depth)
    scratch, out = _measure(chain, scratch, draws, scales, knobs, depth, inputs, batch.labels)
    _SCRATCH.keep(key, scratch, sum(array.nbytes for array in scratch))
    return jax.device_get(out)


@program.register
def _program(setting: ChainSetting, batch: Batch):
    return setting.chain(batch.inputs.shape[1], batch.classes), batch.inputs.shape


@preparation_drawing.register
def _drawing(setting: ChainSetting, batch: Batch):
    return drawing(setting, batch.inputs.shape[1], batch.classes)


@weights.register
def _weights(setting: ChainSetting, fan_in: int = 64, fan_out: int = 10) -> Weights:
    draws, scales = draws_for(setting, fan_in, fan_out), setting.scales(fan_in, fan_out)
    shared = setting.chain(fan_in, fan_out).shared

    def stacked(array, scale):
        if shared:
            return np.float32(scale) * np.asarray(array)
        array = np.asarray(array[: setting.depth - 1])
        scale = scale[: setting.depth - 1]
        return scale.reshape(-1, *[1] * (array.ndim - 1)) * array

    once = (
        {name: np.asarray(getattr(scales, part)[name] * array) for name, array in arrays.items()}
        for part, arrays in (("first", draws.first), ("readout", draws.readout))
    )
    layers = {name: stacked(array, scales.layers[name]) for name, array in draws.layers.items()}
    first, readout = once
    return Weights(first, layers, readout)


def logits(setting: ChainSetting, parameters: Weights, inputs):
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


def answer(chain: Chain, knobs: dict, depth: int, parameters: Weights, inputs):
    """What a chain of so many layers answers: ``[B, K]``."""

    def step(state, place):
        layer, weights_here = place
        here = parameters.layers if chain.shared else weights_here
        return chain.step(here, knobs, inputs, layer, state), None

    state = chain.first(parameters.layers if chain.shared else parameters.first, knobs, inputs)
    stack = None if chain.shared else parameters.layers
    state, _ = lax.scan(step, state, (jnp.arange(1, depth), stack))
    read = chain.summary(knobs, chain.activation(knobs, state))
    return product(read, parameters.readout["weight"]) + parameters.readout.get("bias", 0.0)
