"""The programs that train several starts of one shape at once, and measure them.

Starts of one shape are one program: a batch axis over their parameters, a loop over the steps.
How many steps it takes is a number, not a part of the program, so any run of that shape, however
it is cut into records, compiles once. Measuring is a second program, run when a record is due.

Shapes: S starts, L depth, B examples, n units (width), F features, K classes.
"""

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from initlab import measures
from initlab.activations import ACTIVATIONS
from initlab.measures import normalized, product

PROBED = 256  # examples that layers are measured on: as many as probe() takes by default
BY_RECORD = ("loss", "accuracy", "held_out_accuracy")


# --- the two programs ------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Optimizer:
    """An optax optimizer that equals another one of the same make, and so shares its programs.

    Every call of ``optax.adam(1e-3)`` makes new functions; by identity alone, running a
    notebook's cell again would compile again.
    """

    key: object  # hashable
    init: Callable = dataclasses.field(compare=False)
    update: Callable = dataclasses.field(compare=False)


def _make(value):
    """What a value is made of, hashable: optax's functions by what they enclose.

    Functions of others count by identity, since they may read globals that have changed.
    """
    if isinstance(value, tuple):
        return type(value), tuple(_make(entry) for entry in value)
    if isinstance(value, types.FunctionType) and (value.__module__ or "").startswith("optax."):
        enclosed = tuple(cell.cell_contents for cell in value.__closure__ or ())
        keywords = tuple((value.__kwdefaults__ or {}).items())
        return value.__code__, _make((enclosed, value.__defaults__ or (), keywords))
    hash(value)
    return type(value), value  # the type, since 1 == True


def shared_optimizer(optimizer) -> _Optimizer:
    """The optimizer, equal to any other of the same make."""
    try:
        key = _make((optimizer.init, optimizer.update))
    except (TypeError, ValueError, RecursionError):  # not hashable, an empty cell, a circle
        key = (optimizer.init, optimizer.update)
    return _Optimizer(key, optimizer.init, optimizer.update)


class _State(NamedTuple):
    """What a step changes. All but order and step have a leading axis over the starts."""

    parameters: list  # [(weight [S, fan_in, fan_out], bias [S, fan_out]), …]
    optimizer: object  # optax's
    order: jax.Array  # [B] the epoch's permutation of the examples
    step: jax.Array  # how many were taken
    diverged_at: jax.Array  # [S], -1 as long as losses are finite


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


def _cross_entropy(logits, labels):
    # not through a sum of products with a one-hot row, where minus infinity times 0 is NaN
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


@functools.partial(jax.jit, static_argnames=("optimizer", "examples"))
def _begin(optimizer: _Optimizer, parameters, examples: int) -> _State:
    return _State(
        parameters,
        jax.vmap(optimizer.init)(parameters),
        jnp.arange(examples),
        jnp.int32(0),
        jnp.full(parameters[0][0].shape[0], -1, jnp.int32),
    )


@functools.partial(jax.jit, static_argnames=("activation", "optimizer", "batch_size", "drops"))
def _advance(
    activation,  # an Activation
    optimizer: _Optimizer,
    batch_size: int,
    drops: bool,  # whether there is dropout at all
    state: _State,
    count,  # int32, steps to take
    inputs,  # [B, F]
    labels,  # [B]
    seed,  # uint32
    dropout,  # float32, 0 to 1
) -> _State:
    """Take some steps. Order and masks are the same for every start, and depend on the seed."""
    examples, batches = len(labels), len(labels) // batch_size
    order_key, mask_key = jax.random.split(jax.random.key(seed))

    def one_start(parameters, optimizer_state, x, y, masks):
        def loss_of(parameters):
            return _cross_entropy(_forward(activation.function, parameters, x, masks)[-1], y)

        loss, gradient = jax.value_and_grad(loss_of)(parameters)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters)
        return optax.apply_updates(parameters, updates), optimizer_state, loss

    def shuffled(state):
        key = jax.random.fold_in(order_key, state.step // batches)
        return jax.random.permutation(key, examples)

    def step(_, state):
        order, x, y, masks = state.order, inputs, labels, None
        if batch_size < examples:
            place = state.step % batches
            order = lax.cond(place == 0, shuffled, lambda state: state.order, state)
            chosen = lax.dynamic_slice_in_dim(order, place * batch_size, batch_size)
            x, y = inputs[chosen], labels[chosen]
        if drops:  # kept units are scaled up, so that the mean stays
            hidden = [weight.shape[-1] for weight, _ in state.parameters[:-1]]
            shape = (len(hidden), batch_size, hidden[0])
            kept = jax.random.bernoulli(
                jax.random.fold_in(mask_key, state.step), 1 - dropout, shape
            )
            masks = kept / (1 - dropout)
        parameters, optimizer_state, loss = jax.vmap(one_start, in_axes=(0, 0, None, None, None))(
            state.parameters, state.optimizer, x, y, masks
        )
        diverged_at = _first_divergence(state.diverged_at, loss, state.step)
        return _State(parameters, optimizer_state, order, state.step + 1, diverged_at)

    return lax.fori_loop(0, count, step, state)


def _first_divergence(diverged_at, loss, step):
    return jnp.where((diverged_at < 0) & ~jnp.isfinite(loss), step, diverged_at)


@functools.partial(jax.jit, static_argnames=("activation",))
def _observe(activation, state: _State, inputs, labels, held_inputs, held_labels) -> dict:
    """Measure every start as it is, without dropout; arrays have a leading axis over starts."""

    def share_right(logits, labels):
        right = (jnp.argmax(logits, axis=1) == labels) & ~jnp.isnan(logits).any(axis=1)
        return jnp.mean(right, dtype=jnp.float32)

    def one_start(parameters):
        before, after, logits = _forward(activation.function, parameters, inputs)
        held_out = jnp.nan
        if len(held_labels):
            held_logits = _forward(activation.function, parameters, held_inputs)[-1]
            held_out = share_right(held_logits, held_labels)
        probed = jax.tree.map(lambda x: x[:PROBED], (before, [inputs, *after], logits, labels))
        return {
            "loss": _cross_entropy(logits, labels),
            "accuracy": share_right(logits, labels),
            "held_out_accuracy": held_out,
        } | _layer_measures(activation, parameters, *probed)

    out = jax.vmap(one_start)(state.parameters)
    return out | {"diverged_at": _first_divergence(state.diverged_at, out["loss"], state.step)}


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


# --- a group of starts of one shape ----------------------------------------------------------


class Group:
    """Starts that share depth, width and activation: where they stand in the list, and by now."""

    def __init__(self, places, settings, starts, optimizer, batch, held_out, options):
        self.places = places  # in the list of settings
        self.depth, self.width = settings[0].depth, settings[0].width
        self._activation = ACTIVATIONS[settings[0].activation]
        self._optimizer, self._options = optimizer, options
        self._batch = jax.device_put((batch.inputs, batch.labels))
        self._held_out = jax.device_put(held_out)
        parameters = [
            tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True))
            for pairs in zip(*starts, strict=True)
        ]
        self.state = _begin(optimizer, parameters, len(batch))

    def advance(self, count: int) -> None:
        """Take some steps; returns at once, while they are computed."""
        batch_size, seed, dropout = self._options
        self.state = _advance(
            self._activation,
            self._optimizer,
            batch_size,
            dropout > 0,
            self.state,
            np.int32(count),
            *self._batch,
            np.uint32(seed),
            np.float32(dropout),
        )

    def record(self, keep_first_layer: bool) -> dict:
        """What is measured now: float64 arrays ``[starts, …]`` by the names of History."""
        out = jax.device_get(_observe(self._activation, self.state, *self._batch, *self._held_out))
        self.diverged_at = out["diverged_at"]
        finite = np.logical_and.accumulate(out["finite"], axis=1)
        learns = (finite[:, -1] & out["logits_finite"])[:, None]

        def squared(name, exponent):
            return np.ldexp(out[name].astype(np.float64), 2 * out[exponent])

        record = {name: out[name].astype(np.float64) for name in BY_RECORD}
        variance = squared("activation_variance", "activation_exponent")
        gradient = squared("gradient_second_moment", "gradient_exponent")
        record["activation_variance"] = np.where(finite, variance, np.inf)
        record["gradient_second_moment"] = np.where(learns, gradient, np.nan)
        record["distinct_neurons"] = np.where(learns, out["distinct_neurons"], np.nan)
        if keep_first_layer:
            record["first_layer"] = np.asarray(self.state.parameters[0][0])
        return record
