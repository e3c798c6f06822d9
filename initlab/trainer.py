"""The programs that train several starts of one shape at once, and measure them.

Starts of one shape are one program: a batch axis over their parameters, a loop over the steps.
How many steps it takes is a number, not a part of the program, so any run of that shape, however
it is cut into records, compiles once. Measuring is a second program, run when a record is due.

Shapes: S starts, B examples, F features.
"""

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from initlab.data import Batch
from initlab.measures import cross_entropy
from initlab.models import Model, model_of

BY_RECORD = ("loss", "accuracy", "held_out_accuracy", "update_ratio")


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
    if isinstance(value, tuple | list):
        return type(value), tuple(_make(entry) for entry in value)
    if isinstance(value, types.FunctionType) and (value.__module__ or "").startswith("optax."):
        enclosed = tuple(cell.cell_contents for cell in value.__closure__ or ())
        keywords = tuple((value.__kwdefaults__ or {}).items())
        return value.__code__, _make((enclosed, value.__defaults__ or (), keywords))
    if type(value) is int:
        value = float(value)  # as some schedules turn their own numbers when they are called
    hash(value)
    return type(value), value  # the type, since 1 == True


def shared_optimizer(optimizer: optax.GradientTransformation) -> _Optimizer:
    """The optimizer, equal to any other of the same make."""
    try:
        key = _make((optimizer.init, optimizer.update))
    except (TypeError, ValueError, RecursionError):  # not hashable, an empty cell, a circle
        key = (optimizer.init, optimizer.update)
    return _Optimizer(key, optimizer.init, optimizer.update)


class _State(NamedTuple):
    """What a step changes. All but order and step have a leading axis over the starts."""

    parameters: Any  # as initlab.weights returns them, [S, …] each
    optimizer: Any  # optax's
    order: jax.Array  # [B] the epoch's permutation of the examples
    step: jax.Array  # how many were taken
    diverged_at: jax.Array  # [S], -1 as long as losses are finite
    update_ratio: jax.Array  # [S, L + 1] of the last step of a call; NaN before any


@functools.partial(jax.jit, static_argnames=("model", "optimizer", "examples"))
def _begin(model: Model, optimizer: _Optimizer, parameters, examples: int) -> _State:
    ratio = jax.eval_shape(jax.vmap(model.norms), parameters)
    return _State(
        parameters,
        jax.vmap(optimizer.init)(parameters),
        jnp.arange(examples),
        jnp.int32(0),
        jnp.full(ratio.shape[0], -1, jnp.int32),
        jnp.full(ratio.shape, jnp.nan),
    )


@functools.partial(jax.jit, static_argnames=("model", "optimizer", "batch_size", "drops"))
def _advance(
    model: Model,
    knobs,
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
            return cross_entropy(model.logits(knobs, parameters, x, masks), y)

        loss, gradient = jax.value_and_grad(loss_of)(parameters)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters)
        updates = model.trained(updates)
        # who has diverged stays as it is, so that it can be seen where
        stays, moved = ~jnp.isfinite(loss), optax.apply_updates(parameters, updates)
        moved = jax.tree.map(lambda old, new: jnp.where(stays, old, new), parameters, moved)
        return moved, optimizer_state, updates, loss

    def shuffled(state):
        key = jax.random.fold_in(order_key, state.step // batches)
        return jax.random.permutation(key, examples)

    def ratio(updates, parameters):
        updated, size = model.norms(updates), model.norms(parameters)
        return jnp.where(size > 0, updated / size, jnp.nan)

    def step(index, state):
        order, x, y, masks = state.order, inputs, labels, None
        if batch_size < examples:
            place = state.step % batches
            order = lax.cond(place == 0, shuffled, lambda state: state.order, state)
            chosen = lax.dynamic_slice_in_dim(order, place * batch_size, batch_size)
            x, y = inputs[chosen], labels[chosen]
        if drops:
            key = jax.random.fold_in(mask_key, state.step)
            masks = model.masks(key, state.parameters, batch_size, dropout)
        all_starts = jax.vmap(one_start, in_axes=(0, 0, None, None, None))
        parameters, optimizer_state, updates, loss = all_starts(
            state.parameters, state.optimizer, x, y, masks
        )
        update_ratio = lax.cond(  # what nobody asks for is not computed
            index == count - 1,
            jax.vmap(ratio),
            lambda *_: state.update_ratio,
            updates,
            state.parameters,
        )
        diverged_at = _first_divergence(state.diverged_at, loss, state.step)
        return _State(parameters, optimizer_state, order, state.step + 1, diverged_at, update_ratio)

    return lax.fori_loop(0, count, step, state)


def _first_divergence(diverged_at, loss, step):
    return jnp.where((diverged_at < 0) & ~jnp.isfinite(loss), step, diverged_at)


@functools.partial(jax.jit, static_argnames=("model",))
def _observe(model: Model, knobs, state: _State, inputs, labels, held_inputs, held_labels) -> dict:
    """How well every start does as it is, without dropout; arrays are ``[S]``."""

    def share_right(logits, labels):
        right = (jnp.argmax(logits, axis=1) == labels) & jnp.isfinite(logits).all(axis=1)
        return jnp.mean(right, dtype=jnp.float32)

    def one_start(parameters):
        logits, held_out = model.logits(knobs, parameters, inputs), jnp.nan
        if len(held_labels):
            held_out = share_right(model.logits(knobs, parameters, held_inputs), held_labels)
        return {
            "loss": cross_entropy(logits, labels),
            "accuracy": share_right(logits, labels),
            "held_out_accuracy": held_out,
        }

    out = jax.vmap(one_start)(state.parameters)
    out["diverged_at"] = _first_divergence(state.diverged_at, out["loss"], state.step)
    return out | {"update_ratio": state.update_ratio}


# --- a group of starts of one shape ----------------------------------------------------------


class Group:
    """Starts that share a model and its knobs: where they stand in the list, and by now."""

    def __init__(
        self,
        places: list[int],
        settings: list[Any],
        starts: list[Any],
        optimizer: _Optimizer,
        batch: Batch,
        held_out: tuple[np.ndarray, np.ndarray],
        options: tuple[int, int, float],
    ):
        self.places: list[int] = places  # in the list of settings
        self._settings = settings
        features, classes = batch.inputs.shape[1], batch.classes
        self._model, self._knobs = model_of(settings[0], features, classes)
        self._optimizer, self._options, self._probed = optimizer, options, batch
        self._batch = jax.device_put((batch.inputs, batch.labels))
        self._held_out = jax.device_put(held_out)
        parameters = jax.tree.map(lambda *arrays: np.stack(arrays), *starts)
        self.state: _State = _begin(self._model, optimizer, parameters, len(batch))
        self.diverged: list[tuple[int, int] | None] = [None] * len(places)  # step and layer

    def advance(self, count: int) -> None:
        """Take some steps; returns at once, while they are computed."""
        batch_size, seed, dropout = self._options
        self.state = _advance(
            self._model,
            self._knobs,
            self._optimizer,
            batch_size,
            dropout > 0,
            self.state,
            np.int32(count),
            *self._batch,
            np.uint32(seed),
            np.float32(dropout),
        )

    def wait(self) -> None:
        """Return when all steps are computed."""
        jax.block_until_ready(self.state.step)

    @property
    def parameters(self) -> list[Any]:
        """Each start's own, as NumPy arrays."""
        stacked = jax.device_get(self.state.parameters)
        return [
            jax.tree.map(lambda array, index=index: array[index], stacked)
            for index in range(len(self.places))
        ]

    def outcome(self) -> dict[str, np.ndarray]:
        """How well the starts do now: ``[S, …]`` by BY_RECORD, and ``diverged_at``, or -1."""
        seen = _observe(self._model, self._knobs, self.state, *self._batch, *self._held_out)
        return jax.device_get(seen)

    def record(self, keep_first_layer: bool) -> dict[str, np.ndarray]:
        """What is measured now, layers too: float64 arrays ``[S, …]`` by the names of History."""
        out = self.outcome()
        for index, step in enumerate(out["diverged_at"]):
            if step >= 0 and self.diverged[index] is None:
                self.diverged[index] = int(step), self._first_not_finite(index)
        record = {name: out[name].astype(np.float64) for name in BY_RECORD}
        record |= self._model.measure(self._settings, self.state.parameters, self._probed)
        if keep_first_layer:
            record["first_layer"] = np.asarray(self.state.parameters[0][0])
        return record

    def _first_not_finite(self, index: int) -> int:
        own = jax.tree.map(lambda array: array[index], self.state.parameters)
        return self._model.first_not_finite(self._knobs, own, self._batch[0])
