"""Early warnings: which failure the first records of a training show, at what step and layer."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.checking import short
from initlab.failures import Failure, collapse, exploding, start_of, vanishing, where_shown
from initlab.history import History
from initlab.setting import whole_number
from initlab.tables import Table

#: The length of an update over that of the weights "should be somewhere around 1e-3" (Karpathy,
#: CS231n notes, "Neural networks part 3", section "Ratio of weights:updates"). Warned of is what
#: is a hundred times as large or as small.
UPDATE_RATIO = 1e-3
UPDATE_FACTOR = 100
#: A loss that has not fallen by this share does not fall: with the readout's biases alone, the
#: digits' classes, almost equally frequent, let it fall by 0.1%.
LOSS_FALL = 0.01


@dataclasses.dataclass(frozen=True)
class Sign:
    """A failure seen while training: from which step on it showed, and where then."""

    mode: str
    step: int
    layer: int | None  # 1 to depth, depth + 1 the readout; None if it is of no layer
    evidence: str
    where: str  # in words

    def __str__(self) -> str:
        where = f" {self.where}" if self.where else ""
        return f"{self.mode}{where}, from step {self.step} on: {self.evidence}"


@dataclasses.dataclass(frozen=True, repr=False)
class EarlyWarnings:
    """What the first records of every start show; ``warnings[start]`` is a tuple of signs."""

    history: History = dataclasses.field(compare=False)
    #: the last step that was looked at
    within: int
    #: for each start
    signs: tuple[tuple[Sign, ...], ...]

    def __getitem__(self, start: int) -> tuple[Sign, ...]:
        return self.signs[start]

    def __len__(self) -> int:
        return len(self.signs)

    def __iter__(self) -> Iterator[tuple[Sign, ...]]:
        return iter(self.signs)

    def table(self) -> Table:
        """A row for each start: its name, its seed, and what it shows."""
        rows = zip(self.history.names, self.history.settings, self.signs, strict=True)
        return Table(
            f"Early warnings, from the records up to step {self.within}.",
            ("start", "seed", "warnings"),
            tuple(
                (name, str(setting.seed), "; ".join(map(str, signs)) or "none")
                for name, setting, signs in rows
            ),
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self):
        return self.table()._repr_markdown_()


def early_warnings(history: History, within: int | None = None) -> EarlyWarnings:
    """What the first steps tell of how training will go.

    A failure counts if the last record looked at shows it, or half of all; its step is that of the
    first which does. Modes are those of :func:`initlab.diagnose`, told by the same
    thresholds, as far as a history records what they are told by; and what only training shows:
    a loss that is not a number ("divergence"), one that does not fall ("loss not falling"), and
    steps far from a thousandth of the weights ("updates too large", "updates too small").

    Args:
      history: what :func:`initlab.train` returned, or so far.
      within: the last step to look at; by default a tenth of those that were recorded, or that of
        the second record if it is later.

    Raises:
      TypeError: no History, or a step that is no number.
      ValueError: a step out of range, or before the first record after the start.

    >>> from initlab import Setting, train
    >>> history = train(Setting(depth=3, width=16, initializer="zeros"), steps=20)
    >>> [sign.mode for sign in early_warnings(history, within=10)[0]]
    ['symmetry collapse', 'vanishing gradients', 'loss not falling']
    """
    if not isinstance(history, History):
        raise TypeError(
            f"early_warnings takes the History that train returns, not {short(history)}"
        )
    steps = history.steps
    if len(steps) < 2:
        raise ValueError("early_warnings needs records of two steps at least, not of the start")
    within = max(steps[-1] // 10, steps[1]) if within is None else within
    within = whole_number("within", within, int(steps[1]), int(steps[-1]))
    last = int(np.searchsorted(steps, within, side="right")) - 1
    signs = tuple(_signs(history, start, last) for start in range(len(history)))
    return EarlyWarnings(history, int(steps[last]), signs)


def _signs(history: History, start: int, last: int) -> tuple[Sign, ...]:
    """Of one start: what the records up to the last show, and since when."""
    found = [_shown(history, start, record) for record in range(last + 1)]
    signs = []
    for mode in dict.fromkeys(mode for shown in found for mode in shown):
        records = [record for record, shown in enumerate(found) if mode in shown]
        if last not in records and len(records) < len(found) / 2:
            continue  # such as that of a readout which is zero, and learns first
        since = records[0]
        layer, where, evidence = found[since][mode]
        # that of a divergence is known between records, too
        step, diverged_at = int(history.steps[since]), history.diverged_at[start]
        if mode == "divergence" and diverged_at is not None:
            step = diverged_at
        signs.append(Sign(mode, step, layer, evidence, where))
    return tuple(signs)


def _shown(history: History, start: int, record: int) -> dict[str, tuple[int | None, str, str]]:
    """What one record of a start shows: mode -> (layer, where, evidence)."""
    setting, step = history.settings[start], history.steps[record]
    depth = setting.depth
    diverged_at, layer = history.diverged_at[start], history.diverged_layer[start]
    if diverged_at is not None and layer is not None and diverged_at <= step:
        where = "at the readout" if layer > depth else f"at layer {layer}"
        mode = "divergence" if diverged_at else "numerical overflow"
        return {mode: (layer, where, "the loss is not a finite number")}
    gradient = history.gradient_second_moment[start, record, :depth]
    distinct = history.distinct_neurons[start, record, :depth]
    with np.errstate(invalid="ignore", over="ignore"):
        failures = [_collapse(setting, distinct), vanishing(gradient), exploding(gradient)]
        if record:
            failures += _updates(history.update_ratio[start, record, :depth])
    shown: dict[str, tuple[int | None, str, str]] = {
        f.mode: (f.first_layer, f.where, f.evidence) for f in failures if f is not None
    }
    first, lowest = history.loss[start, 0], history.loss[start, : record + 1].min()
    if record and lowest > (1 - LOSS_FALL) * first:
        shown["loss not falling"] = None, "", f"{first:.4g} at the start, {lowest:.4g} at the best"
    return shown


def _collapse(setting, distinct) -> Failure | None:
    """Records do not say which units are off; where some may be, only full collapse counts."""
    if setting.width == 1:
        return None
    some_may_be_off = np.isfinite(ACTIVATIONS[setting.activation].flat_range).any()
    responsive = np.full(len(distinct), 0 if some_may_be_off else setting.width)
    return collapse(distinct, responsive, setting.width, np.isfinite(distinct))


def _updates(ratio) -> list[Failure]:
    """Hidden layers whose last update was far from the rule of thumb.

    A readout may well start at zero, and then grows by as much as it is.
    """
    failures = []
    for size, shown, worst in (
        ("large", ratio > UPDATE_RATIO * UPDATE_FACTOR, np.fmax),
        ("small", ratio < UPDATE_RATIO / UPDATE_FACTOR, np.fmin),
    ):
        if shown.any():
            extreme = worst.reduce(ratio[shown])
            evidence = f"{extreme:.1e} of the weights' norm, where {UPDATE_RATIO:g} is usual"
            where = where_shown(shown, np.isfinite(ratio))
            failures.append(Failure(f"updates too {size}", start_of(shown), evidence, where))
    return failures
