"""Training several starts at once: what becomes of a network after its first forward pass."""

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import optax

from initlab.checking import flag, several, short
from initlab.data import DIGITS, Batch, digits
from initlab.history import History, names_of
from initlab.models import model_of
from initlab.parameters import GivenParameters
from initlab.run import Run
from initlab.setting import AnySetting, Setting, bounded_number, whole_number
from initlab.starts import checked_weights, weights
from initlab.trainer import Group, shared_optimizer

TRAINED_DIGITS = 1024  # of the 1,797; the others are held out
RECORDS = 40  # how many are made of a run by default
LARGEST_DROPOUT = 0.99
MAX_SEEDS = 1000
_MOST_STEPS = 10_000_000


#: of any kind of network; a dict gives them names
Starts = AnySetting | Sequence[AnySetting] | Mapping[str, AnySetting]


def train(
    settings: Starts,
    batch: Batch | None = None,
    *,
    held_out: Batch | None = None,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 200,
    batch_size: int | None = None,
    dropout: float = 0.0,
    initial: GivenParameters | Sequence[GivenParameters | None] | None = None,
    seed: int = 0,
    record_every: int | None = None,
    keep_first_layer: bool = False,
    seeds: int = 1,
    progress: Callable[[int, History], object] | None = None,
) -> History:
    """Train one start, or several side by side: same examples, same order, same optimizer.

    Softmax cross-entropy in float32, from exactly the network that :func:`initlab.weights`
    returns. Dense starts that agree in depth, width and activation are trained by one program;
    others if they differ in nothing but the scale of their weights and the seed.

    Args:
      settings: the starts, of any kind of network; one setting is a list of one, and a dict
        gives them names.
      batch: examples to learn from; by default 1,024 of the handwritten digits, and then
        ``held_out`` defaults to the other 773.
      held_out: examples to be tested on alone.
      optimizer: any of optax's; by default plain gradient descent, ``optax.sgd(0.1)``. Each start
        has its own state.
      steps: how many updates to make.
      batch_size: examples in each step, chosen anew in each epoch, without repetition; what is
        left over when the size does not divide evenly sits that epoch out. By default all.
      dropout: share of hidden units that are silent in a step, drawn for each example and unit,
        the others scaled up by ``1 / (1 - dropout)``; measures are taken without. 0 to 0.99;
        dense networks only.
      initial: weights to start from in place of a setting's own: what ``initlab.weights``
        returns for one setting; for a list of settings a list of these,
        with None for those that keep their own.
      seed: of the order of examples and of dropout; a start's weights have their setting's.
      record_every: steps from one record to the next; by default about 40 records are made. The
        start and the end are always recorded.
      keep_first_layer: whether to record the weights that read the input, for pictures; dense
        networks only.
      seeds: how many times each setting is trained: with its own seed, and those that follow.
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

    A start whose loss is not finite takes no further steps; the others go on.

    Sources: Robbins & Monro 1951 (stochastic gradients); Srivastava et al. 2014 (dropout).

    >>> history = train(Setting(depth=2, width=16, initializer="zeros"), steps=3)
    >>> [float(abs(weight).max()) for weight, bias in history.parameters[0]]
    [0.0, 0.0, 0.0]
    """
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function of step and history, not {short(progress)}")
    run = begin(
        settings,
        batch,
        held_out=held_out,
        optimizer=optimizer,
        steps=steps,
        batch_size=batch_size,
        dropout=dropout,
        initial=initial,
        seed=seed,
        record_every=record_every,
        keep_first_layer=keep_first_layer,
        seeds=seeds,
    )
    try:
        while not run.complete:
            run.advance(_MOST_STEPS)
            if progress is not None and progress(run.step, run.history()) is False:
                break
    except KeyboardInterrupt:
        if not run.recorded:
            raise
    return run.history()


def begin(
    settings: Starts,
    batch: Batch | None = None,
    *,
    held_out: Batch | None = None,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 200,
    batch_size: int | None = None,
    dropout: float = 0.0,
    initial: GivenParameters | Sequence[GivenParameters | None] | None = None,
    seed: int = 0,
    record_every: int | None = None,
    keep_first_layer: bool = False,
    seeds: int = 1,
) -> Run:
    """A run of which nothing is computed yet; arguments and errors are those of :func:`train`."""
    settings, names, starts = _checked_settings(settings, initial, seeds)
    batch, held_out = _checked_data(batch, held_out)
    optimizer = optax.sgd(0.1) if optimizer is None else optimizer
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise TypeError(
            f"optimizer must be one of optax's, such as optax.adam(1e-3), not {short(optimizer)}"
        )
    steps = whole_number("steps", steps, 1, _MOST_STEPS)
    batch_size = len(batch) if batch_size is None else batch_size
    batch_size = whole_number("batch_size", batch_size, 1, len(batch))
    dropout = bounded_number("dropout", dropout, LARGEST_DROPOUT)
    seed = whole_number("seed", seed, 0, 2**32 - 1)
    record_every = -(-steps // RECORDS) if record_every is None else record_every
    record_every = whole_number("record_every", record_every, 1, _MOST_STEPS)
    keep_first_layer = flag("keep_first_layer", keep_first_layer)
    for name, value in (("dropout", dropout), ("keep_first_layer", keep_first_layer)):
        others = [setting for setting in settings if not isinstance(setting, Setting)]
        if value and others:
            raise ValueError(f"{name} is for dense networks, not for {others[0]!r}")

    sizes = batch.inputs.shape[1], batch.classes
    given = [
        start
        if start is None
        else checked_weights(f"initial for settings[{place}]", setting, start, *sizes)
        for place, (setting, start) in enumerate(zip(settings, starts, strict=True))
    ]
    shared = shared_optimizer(optimizer)
    held = (held_out.inputs, held_out.labels) if held_out else (batch.inputs[:0], batch.labels[:0])

    def group() -> list[Group]:
        places = {}
        for place, setting in enumerate(settings):
            model, knobs = model_of(setting, *sizes)
            same = tuple(np.asarray(knob).tobytes() for knob in jax.tree.leaves(knobs))
            places.setdefault((model, same), []).append(place)
        starts = [
            weights(setting, *sizes, batch) if start is None else start
            for setting, start in zip(settings, given, strict=True)
        ]
        return [
            Group(
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
    return Run(settings, names, group, schedule, keep_first_layer)


def _checked_settings(settings, initial, seeds) -> tuple[tuple, tuple, list]:
    """The settings of all seeds, their names, and for each what to start from, if anything."""
    seeds = whole_number("seeds", seeds, 1, MAX_SEEDS)
    if isinstance(settings, AnySetting):
        settings, initial = [settings], None if initial is None else [initial]
    names = None
    if isinstance(settings, dict):
        names, settings = tuple(map(str, settings)), settings.values()
    settings = several("settings", settings, (Setting(),))
    if not settings:
        raise ValueError("train needs a Setting at least; the list of settings is empty")
    for place, setting in enumerate(settings):
        if not isinstance(setting, AnySetting):
            raise TypeError(f"settings[{place}] must be a Setting, not {short(setting)}")
        if setting.dtype != "float32":
            raise ValueError(
                f"train computes in float32, but settings[{place}] has dtype {setting.dtype!r};"
                " the nearest is setting.replace(dtype='float32')"
            )
    starts = [None] * len(settings)
    if initial is not None:
        starts = list(several("initial", initial, (None,)))
    if len(starts) != len(settings):
        raise ValueError(
            f"initial must have weights, or None, for each of {len(settings)} settings,"
            f" not for {len(starts)}"
        )
    given = [start is not None for start in starts]
    if seeds > 1 and any(given):
        raise ValueError(
            f"initial weights are the same whatever the seed, so that seeds must be 1, not {seeds}"
        )
    names = names or names_of(settings, given)
    return (
        tuple(one for setting in settings for one in _seeded(setting, seeds)),
        tuple(name for name in names for _ in range(seeds)),
        [start for start in starts for _ in range(seeds)],
    )


def _seeded(setting, seeds: int):
    return (setting.replace(seed=setting.seed + further) for further in range(seeds))


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
