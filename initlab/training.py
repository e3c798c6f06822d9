"""Training several starts at once: what becomes of a network after its first forward pass.

Starts of one shape are one program: a batch axis over their parameters, a loop over the steps.
How many steps it takes is a number, not a part of the program, so any run of that shape, however
it is cut into records, compiles once. Measuring is a second program, run when a record is due.

Shapes: S starts, R records, L depth, B examples, n units (width), F features, K classes.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from initlab import measures
from initlab.activations import ACTIVATIONS
from initlab.data import DIGITS, Batch, digits
from initlab.draws import fans, weights
from initlab.measures import normalized, power_of_two, product
from initlab.setting import Setting, bounded_number, whole_number

TRAINED_DIGITS = 1024  # of the 1,797; the others are held out
PROBED = 256  # examples that layers are measured on: as many as probe() takes by default
RECORDS = 40  # how many are made of a run by default
LARGEST_DROPOUT = 0.99
_MOST_STEPS = 10_000_000


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class History:
    """What training did to each start: NumPy arrays whose first axis goes over the starts.

    A record holds the network *before* the step of its number: record 0 is the start itself, the
    last record is the network that ``parameters`` holds. Nothing is smoothed, and nothing raises
    where numbers run out: a loss that is no number is recorded as it is. From the layer on where
    a value is not finite, variances are inf, and what is measured of the backward pass is NaN.

    Where starts differ in depth or width, arrays are as long as the largest needs, filled up
    with NaN.
    """

    settings: tuple[Setting, ...]
    #: [R] how many steps were taken when the record was made; the first is 0
    steps: np.ndarray
    #: [S, R] mean cross-entropy over all examples trained on, in nats, without dropout
    loss: np.ndarray
    #: [S, R] share of them classified right; the lowest class wins a tie, NaN is always wrong
    accuracy: np.ndarray
    #: [S, R] the same for the examples held out; NaN if there are none
    held_out_accuracy: np.ndarray
    #: [S, R, L] units that differ from every other, as in Signals, on the first 256 examples
    distinct_neurons: np.ndarray
    #: [S, R, L] mean over them and units of (d loss_i / d z_i)^2, as in Signals
    gradient_second_moment: np.ndarray
    #: [S, R, L + 1] over them and units together, centred; layer 0 is the input
    activation_variance: np.ndarray
    #: [S, R, F, n] weights that read the input; None unless asked for
    first_layer: np.ndarray | None
    #: one list of ``(weight [fan_in, fan_out], bias [fan_out])`` for each start, as trained so far
    parameters: list
    #: for each start, the steps taken when its loss first was not finite; None if it always was
    diverged_at: tuple[int | None, ...]
    #: False if training was stopped before its last step, or still goes on
    complete: bool

    def __len__(self):
        """The number of starts."""
        return len(self.settings)

    def __repr__(self):
        rows = [f"after {self.steps[-1]} steps{'' if self.complete else ' (not complete)'}:"]
        rows += ["      loss  accuracy  held out  distinct neurons by layer"]
        for start, setting in enumerate(self.settings):
            distinct = self.distinct_neurons[start, -1, : setting.depth]
            shown = distinct[np.unique(np.linspace(0, setting.depth - 1, 6).round().astype(int))]
            rows.append(
                f"{self.loss[start, -1]:10.4g}{self.accuracy[start, -1]:10.3f}"
                f"{self.held_out_accuracy[start, -1]:10.3f}  {' '.join(f'{x:.0f}' for x in shown)}"
                f"  {setting}"
            )
            if self.diverged_at[start] is not None:
                rows[-1] += f", diverged at step {self.diverged_at[start]}"
        return "\n".join(rows)


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


def _optimizer(optimizer) -> _Optimizer:
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

    def answers(parameters, inputs, labels):
        logits = _forward(activation.function, parameters, inputs)[-1]
        right = (jnp.argmax(logits, axis=1) == labels) & ~jnp.isnan(logits).any(axis=1)
        return _cross_entropy(logits, labels), jnp.mean(right, dtype=jnp.float32)

    def one_start(parameters):
        loss, accuracy = answers(parameters, inputs, labels)
        held_out = answers(parameters, held_inputs, held_labels)[1] if len(held_labels) else jnp.nan
        layers = _layer_measures(activation, parameters, inputs[:PROBED], labels[:PROBED])
        return {"loss": loss, "accuracy": accuracy, "held_out_accuracy": held_out} | layers

    out = jax.vmap(one_start)(state.parameters)
    return out | {"diverged_at": _first_divergence(state.diverged_at, out["loss"], state.step)}


def _layer_measures(activation, parameters, inputs, labels) -> dict:
    """One start's signals by layer, squares and their exponents apart, as the probe keeps them."""
    before, after, logits = _forward(activation.function, parameters, inputs)
    delta = jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[1])
    weight = parameters[-1][0]
    back = product(delta, weight.T)
    # equal readout weights pass nothing back but the rounding of delta's sum, which is 0
    bound = product(jnp.abs(delta), jnp.abs(weight).T)
    back = jnp.where(jnp.abs(back) > 4 * jnp.finfo(jnp.float32).eps * bound, back, 0.0)
    deltas, exponents, exponent = [], [], 0
    for z, (weight, _) in zip(before[::-1], parameters[-2::-1], strict=True):
        delta, shift, _ = normalized(back * activation.derivative(z))
        exponent += shift
        deltas, exponents = [delta, *deltas], [exponent, *exponents]
        back = product(delta, weight.T)

    def signal(x):
        scaled, exponent, finite = normalized(x)
        return measures.moments(scaled)[0], exponent, finite

    variance, variance_exponent, finite = zip(*map(signal, [inputs, *after]), strict=True)
    deltas, after = jnp.stack(deltas), jnp.stack(after)
    scaled = after * power_of_two(-jnp.stack(variance_exponent[1:]))[:, None, None]
    return {
        "activation_variance": jnp.stack(variance),
        "activation_exponent": jnp.stack(variance_exponent),
        "finite": jnp.stack(finite),
        "logits_finite": jnp.isfinite(logits).all(),
        "gradient_second_moment": jax.vmap(lambda delta: measures.mean(delta**2))(deltas),
        "gradient_exponent": jnp.stack(exponents),
        "distinct_neurons": jax.vmap(measures.distinct_neurons)(scaled, deltas),
    }


# --- a group of starts of one shape ----------------------------------------------------------


class _Group:
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

        record = {name: out[name].astype(np.float64) for name in _BY_RECORD}
        variance = squared("activation_variance", "activation_exponent")
        gradient = squared("gradient_second_moment", "gradient_exponent")
        record["activation_variance"] = np.where(finite, variance, np.inf)
        record["gradient_second_moment"] = np.where(learns, gradient, np.nan)
        record["distinct_neurons"] = np.where(learns, out["distinct_neurons"], np.nan)
        if keep_first_layer:
            record["first_layer"] = np.asarray(self.state.parameters[0][0])
        return record


_BY_RECORD = ("loss", "accuracy", "held_out_accuracy")


class _Records:
    """What was recorded so far, side by side over the groups, in arrays made once."""

    def __init__(self, settings, groups, schedule):
        self._settings, self._groups, self._schedule = settings, groups, schedule
        self._arrays, self._parameters, self._diverged_at = {}, [], ()
        self.done = 0

    def add(self, measured: list[dict]) -> None:
        """Add a record: a dict for each group, as :meth:`_Group.record` returns them."""
        for name in measured[0]:
            if not self.done:
                sizes = np.max([record[name].shape[1:] for record in measured], axis=0)
                shape = (len(self._settings), len(self._schedule), *sizes.astype(int))
                self._arrays[name] = np.full(shape, np.nan, measured[0][name].dtype)
            for group, record in zip(self._groups, measured, strict=True):
                used = tuple(slice(size) for size in record[name].shape[1:])
                self._arrays[name][(group.places, self.done, *used)] = record[name]
        parameters = [None] * len(self._settings)
        diverged_at = [None] * len(self._settings)
        for group in self._groups:
            stacked = [tuple(map(np.asarray, pair)) for pair in group.state.parameters]
            for index, place in enumerate(group.places):
                parameters[place] = [(weight[index], bias[index]) for weight, bias in stacked]
                step = int(group.diverged_at[index])
                diverged_at[place] = step if step >= 0 else None
        self._parameters, self._diverged_at = parameters, tuple(diverged_at)
        self.done += 1

    def history(self) -> History:
        """The records so far; later ones do not change it."""
        return History(
            settings=self._settings,
            steps=np.array(self._schedule[: self.done]),
            parameters=self._parameters,
            diverged_at=self._diverged_at,
            complete=self.done == len(self._schedule),
            **{"first_layer": None}
            | {name: values[:, : self.done] for name, values in self._arrays.items()},
        )


# --- the public function ---------------------------------------------------------------------


def train(
    settings: Setting | Sequence[Setting],
    batch: Batch | None = None,
    *,
    held_out: Batch | None = None,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 200,
    batch_size: int | None = None,
    dropout: float = 0.0,
    initial: Sequence | None = None,
    seed: int = 0,
    record_every: int | None = None,
    keep_first_layer: bool = False,
    progress: Callable[[int, History], object] | None = None,
) -> History:
    """Train one start, or several side by side: same examples, same order, same optimizer.

    Softmax cross-entropy in float32, from exactly the network that :func:`initlab.weights`
    returns. Starts that agree in depth, width and activation are trained by one program.

    Args:
      settings: the starts; one Setting is a list of one.
      batch: examples to learn from; by default 1,024 of the handwritten digits, and then
        ``held_out`` defaults to the other 773.
      held_out: examples to be tested on alone.
      optimizer: any of optax's; by default plain gradient descent, ``optax.sgd(0.1)``. Each start
        has its own state.
      steps: how many updates to make.
      batch_size: examples in each step, chosen anew in each epoch, without repetition; what is
        left over when the size does not divide evenly sits that epoch out. By default all.
      dropout: share of hidden units that are silent in a step, drawn for each example and unit,
        the others scaled up by ``1 / (1 - dropout)``; measures are taken without. 0 to 0.99.
      initial: weights to start from in place of a setting's own: what ``initlab.weights``
        returns, ``[(weight, bias), …]``, for one Setting; for a list of settings a list of these,
        with None for those that keep their own.
      seed: of the order of examples and of dropout; a start's weights have their setting's.
      record_every: steps from one record to the next; by default about 40 records are made. The
        start and the end are always recorded.
      keep_first_layer: whether to record the weights that read the input, for pictures.
      progress: called after each record as ``progress(step, history)`` with all records so far;
        training stops if it returns False.

    Returns:
      A :class:`History`. A keyboard interrupt, or False from ``progress``, ends training early
      and keeps what was recorded; ``complete`` is False then.

    Raises:
      TypeError: a setting, batch or optimizer that is none, or a value that is no number.
      ValueError: no settings; a value out of range, with the nearest choice; ``initial`` weights
        of the wrong shape; a setting whose dtype is not float32. A loss that is no number raises
        nothing: see ``diverged_at``.

    Sources: Robbins & Monro 1951 (stochastic gradients); Srivastava et al. 2014 (dropout).

    >>> history = train(Setting(depth=2, width=16, initializer="zeros"), steps=3)
    >>> [float(abs(weight).max()) for weight, bias in history.parameters[0]]
    [0.0, 0.0, 0.0]
    """
    settings, starts = _checked_settings(settings, initial)
    batch, held_out = _checked_data(batch, held_out)
    optimizer = optax.sgd(0.1) if optimizer is None else optimizer
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise TypeError(
            f"optimizer must be one of optax's, such as optax.adam(1e-3), not {optimizer!r}"
        )
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function of step and history, not {progress!r}")
    steps = whole_number("steps", steps, 1, _MOST_STEPS)
    batch_size = len(batch) if batch_size is None else batch_size
    batch_size = whole_number("batch_size", batch_size, 1, len(batch))
    dropout = bounded_number("dropout", dropout, LARGEST_DROPOUT)
    seed = whole_number("seed", seed, 0, 2**32 - 1)
    record_every = -(-steps // RECORDS) if record_every is None else record_every
    record_every = whole_number("record_every", record_every, 1, _MOST_STEPS)

    starts = [
        _checked_start(place, setting, start, batch)
        for place, (setting, start) in enumerate(zip(settings, starts, strict=True))
    ]
    shared = _optimizer(optimizer)
    held = (held_out.inputs, held_out.labels) if held_out else (batch.inputs[:0], batch.labels[:0])
    places = {}
    for place, setting in enumerate(settings):
        places.setdefault((setting.depth, setting.width, setting.activation), []).append(place)
    groups = [
        _Group(
            members,
            [settings[place] for place in members],
            [starts[place] for place in members],
            shared,
            batch,
            held,
            (batch_size, seed, dropout),
        )
        for members in places.values()
    ]
    schedule = [*range(0, steps, record_every), steps]
    records = _Records(settings, groups, schedule)
    try:
        for number, step in enumerate(schedule):
            if number:
                for group in groups:
                    group.advance(step - schedule[number - 1])
            records.add([group.record(keep_first_layer) for group in groups])
            if progress is not None and progress(step, records.history()) is False:
                break
    except KeyboardInterrupt:
        if not records.done:
            raise
    return records.history()


def _checked_settings(settings, initial) -> tuple[tuple, list]:
    """The settings, and for each what to start from in its place, if anything."""
    if isinstance(settings, Setting):
        settings, initial = [settings], None if initial is None else [initial]
    if isinstance(settings, str | dict) or not hasattr(settings, "__iter__"):
        raise TypeError(
            f"train takes a Setting or several, such as [Setting(depth=3)], not {settings!r}"
        )
    settings = tuple(settings)
    if not settings:
        raise ValueError("train needs a Setting at least; the list of settings is empty")
    for place, setting in enumerate(settings):
        if not isinstance(setting, Setting):
            raise TypeError(f"settings[{place}] must be a Setting, not {setting!r}")
        if setting.dtype != "float32":
            raise ValueError(
                f"train computes in float32, but settings[{place}] has dtype {setting.dtype!r};"
                " the nearest is setting.replace(dtype='float32')"
            )
    starts = [None] * len(settings) if initial is None else list(initial)
    if len(starts) != len(settings):
        raise ValueError(
            f"initial must have weights, or None, for each of {len(settings)} settings,"
            f" not for {len(starts)}"
        )
    return settings, starts


def _checked_data(batch, held_out) -> tuple[Batch, Batch | None]:
    if batch is None:
        everything = digits(DIGITS)
        batch = digits(TRAINED_DIGITS)  # with one seed, a larger batch begins with the smaller
        if held_out is None:
            rest = slice(TRAINED_DIGITS, None)
            held_out = Batch(everything.inputs[rest], everything.labels[rest], everything.classes)
    for name, value in (("batch", batch), ("held_out", held_out)):
        if not isinstance(value, Batch | None):
            raise TypeError(
                f"{name} must be a Batch, such as Batch(inputs, labels), not {type(value).__name__}"
            )
    if held_out is not None:
        features, classes = batch.inputs.shape[1], batch.classes
        if held_out.inputs.shape[1] != features or held_out.labels.max() >= classes:
            raise ValueError(
                f"held_out must be like batch, of {features} features and {classes} classes,"
                f" not {held_out.inputs.shape[1]} and {held_out.classes}"
            )
    return batch, held_out


def _checked_start(place: int, setting: Setting, start, batch: Batch) -> list:
    """The weights to start from, as float32."""
    features, classes = batch.inputs.shape[1], batch.classes
    if start is None:
        return weights(setting, features, classes)
    try:
        pairs = [(np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in start]
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"initial for settings[{place}] must be pairs (weight, bias), as weights returns"
        ) from error
    needed = [
        ((fan.fan_in, fan.fan_out), (fan.fan_out,)) for fan in fans(setting, features, classes)
    ]
    given = [(weight.shape, bias.shape) for weight, bias in pairs]
    if given != needed:
        raise ValueError(
            f"initial must have the shapes of settings[{place}], {needed}, not {given}"
        )
    return pairs
