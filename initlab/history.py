"""What training leaves behind: records of each start, side by side.

Shapes: S starts, R records, L depth, B examples, n units (width), F features, K classes.
"""

import dataclasses

import numpy as np

from initlab.setting import Setting


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
    #: each start's own as trained so far, in the form that ``initlab.weights`` returns
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


class Records:
    """What was recorded so far, side by side over the groups, in arrays made once."""

    def __init__(self, settings, groups, schedule):
        self._settings, self._groups, self._schedule = settings, groups, schedule
        self._arrays, self._parameters, self._diverged_at = {}, [], ()
        self.done = 0

    def add(self, measured: list[dict]) -> None:
        """Add a record: a dict for each group, as :meth:`Group.record` returns them."""
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
            for index, (place, own) in enumerate(zip(group.places, group.parameters, strict=True)):
                parameters[place] = own
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
