"""What training leaves behind: records of each start, side by side.

Shapes: S starts, R records, L depth, B examples, n units (width), F features, K classes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from initlab.parameters import Parameters
from initlab.setting import AnySetting


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

    settings: tuple[AnySetting, ...]
    #: what each start is called: starts that differ in nothing but their seed share a name
    names: tuple[str, ...]
    #: [R] how many steps were taken when the record was made; the first is 0
    steps: np.ndarray
    #: [S, R] mean cross-entropy over all examples trained on, in nats, without dropout
    loss: np.ndarray
    #: [S, R] share of them classified right; the lowest class wins a tie, and an answer that is not
    #: finite is wrong
    accuracy: np.ndarray
    #: [S, R] the same for the examples held out; NaN if there are none
    held_out_accuracy: np.ndarray
    #: [S, R, L] units that differ from every other, as in Signals, on the first 256 examples
    distinct_neurons: np.ndarray
    #: [S, R, L] mean over them and units of (d loss_i / d z_i)^2, as in Signals
    gradient_second_moment: np.ndarray
    #: [S, R, L + 1] over them and units together, centred; layer 0 is the input
    activation_variance: np.ndarray
    #: [S, R, L + 1] norm of the last step's update over the norm of what it updates, all arrays
    #: of a layer together: layer 1 first, readout last; NaN before a step, and where all are zero
    update_ratio: np.ndarray
    #: [S, R, F, n] weights that read the input; None unless asked for
    first_layer: np.ndarray | None
    #: each start's own as trained so far, in the form that ``initlab.weights`` returns
    parameters: Sequence[Parameters]
    #: for each start, the steps taken when its loss first was not finite; None if it always was.
    #: It takes no further ones: ``parameters`` are those that made it so.
    diverged_at: tuple[int | None, ...]
    #: for each start, the layer where a value then first was not finite; ``depth + 1``, the
    #: readout, if all layers' were; None if it has not diverged
    diverged_layer: tuple[int | None, ...]
    #: False if training was stopped before its last step, or still goes on
    complete: bool

    def __len__(self) -> int:
        """The number of starts."""
        return len(self.settings)

    def by_name(self, field: str) -> dict[str, np.ndarray]:
        """A field's arrays by the starts' names: ``[seeds, R, …]`` each, in the order of starts."""
        values = getattr(self, field)
        return {name: values[places] for name, places in self.places.items()}

    @property
    def places(self) -> dict[str, list[int]]:
        """Where the starts of each name stand in the list of settings."""
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            places.setdefault(name, []).append(place)
        return places

    def say_divergence(self, start: int) -> str:
        """Where and when a start diverged, in words; empty if it did not."""
        step, layer = self.diverged_at[start], self.diverged_layer[start]
        if step is None or layer is None:
            return ""
        where = "the readout" if layer > self.settings[start].depth else f"layer {layer}"
        return f"diverged at step {step}, first at {where}"

    def __repr__(self) -> str:
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
            divergence = self.say_divergence(start)
            rows[-1] += f", {divergence}" if divergence else ""
        return "\n".join(rows)


def names_of(settings: tuple[AnySetting, ...], given: list[bool]) -> tuple[str, ...]:
    """What tells starts apart, in words: where they differ, but for the seed.

    Args:
      settings: the starts.
      given: whether each starts from weights that were given, and not from the setting's own.
    """
    names = []
    for setting, weights_given in zip(settings, given, strict=True):
        kind = type(setting)
        alike = [other for other in settings if type(other) is kind]
        words = [] if len(alike) == len(settings) else [kind.__name__]
        for field in dataclasses.fields(kind):
            values = {getattr(other, field.name) for other in alike}
            if field.name != "seed" and len(values) > 1:
                words.append(_say(field.name, getattr(setting, field.name)))
        name = ", ".join(words) or setting.describe().rstrip(".")
        if weights_given:
            times = sum(one.startswith(f"{name}, given weights") for one in names)
            name = f"{name}, given weights" + (f" {times + 1}" if times else "")
        names.append(name)
    return tuple(names)


def _say(field: str, value) -> str:
    return value if isinstance(value, str) else f"{field.replace('_', ' ')} {value:.4g}"
