"""What an adaptive start leaves behind: weights, and the history of how they were found.

Shapes: T steps, P matrices.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from initlab.architectures.chain import ChainSetting
from initlab.checking import short
from initlab.data import Batch, digits
from initlab.parameters import Parameters
from initlab.setting import AnySetting, Setting, whole_number
from initlab.tables import Table

if TYPE_CHECKING:
    import xarray

_SHOWN = 12  # matrices in a notebook's table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Adapted:
    """A start that was fitted to data or to a loss: what was changed, and why it stopped.

    ``weights`` can be given to ``initlab.probe(setting, weights=…)`` and, as ``initial``, to
    ``initlab.train``.
    """

    #: the start that was adapted
    setting: AnySetting
    #: the function of ``initlab.adaptive`` that adapted it
    method: str
    #: in the form that ``initlab.weights`` returns
    weights: Parameters
    #: names of the weight matrices, in the order in which a signal meets them
    matrices: tuple[str, ...]
    #: [T + 1, P] each matrix's norm after each step, over its norm at the start
    scale: np.ndarray
    #: [T + 1] what the method drives down, before the first step and after each
    objective: np.ndarray
    #: what ``objective`` is, in words
    aim: str
    #: why the last step was the last, in words
    stopped: str
    #: steps taken -> weights
    stages: Callable[[int], Parameters]
    #: what it was fitted to; None if that was no batch
    batch: Batch | None = None

    @property
    def steps(self) -> int:
        """How many steps were taken, T."""
        return len(self.objective) - 1

    def at(self, step: int) -> Parameters:
        """The weights after so many steps: at 0 the start itself, at ``steps`` ``weights``.

        Raises:
          TypeError, ValueError: a step that is no whole number from 0 to ``steps``.
        """
        return self.stages(whole_number("step", step, 0, self.steps))

    def to_dataset(self) -> "xarray.Dataset":
        """``scale`` and ``objective`` as an ``xarray.Dataset`` by step and matrix."""
        import xarray  # slow to import, and only this needs it

        return xarray.Dataset(
            {"scale": (("step", "matrix"), self.scale), "objective": ("step", self.objective)},
            coords={"step": np.arange(self.steps + 1), "matrix": list(self.matrices)},
            attrs=dataclasses.asdict(self.setting)
            | {"method": self.method, "aim": self.aim, "stopped": self.stopped},
        )

    def _repr_markdown_(self) -> str:
        """What a notebook shows: the same words over a table of matrices, at most twelve."""
        count = len(self.matrices)
        shown = np.unique(np.linspace(0, count - 1, min(count, _SHOWN)).round().astype(int))
        rows = [(self.matrices[place], f"{self.scale[-1, place]:.3g}") for place in shown]
        table = Table(repr(self), ("matrix", "norm, over that of the start"), tuple(rows))
        return table._repr_markdown_()

    def __repr__(self) -> str:
        smallest, largest = np.nanmin(self.scale[-1]), np.nanmax(self.scale[-1])
        return (
            f"{self.method}: {self.aim} from {self.objective[0]:.4g} to {self.objective[-1]:.4g}"
            f" in {self.steps} steps; matrices scaled by {smallest:.3g} to {largest:.3g};"
            f" {self.stopped}."
        )


def checked(method: str, setting: AnySetting, batch: Batch | None, kinds: tuple[str, ...]) -> Batch:
    """The batch that a start is fitted to: what is given, or the digits that ``probe`` takes.

    Raises:
      TypeError: a setting of a kind that is none of ``kinds``, or no Batch.
    """
    kind = type(setting).__name__
    if not isinstance(setting, AnySetting) or kind not in kinds:
        named = " or a ".join(kinds)
        given = f"a {kind}" if isinstance(setting, AnySetting) else short(setting)
        raise TypeError(f"{method} fits a {named}, not {given}")
    batch = digits(setting.examples) if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    if isinstance(setting, ChainSetting):
        setting.check_examples(len(batch))
    return batch


def full_precision(setting: AnySetting) -> AnySetting:
    """The setting in float32, in which all starts are fitted whatever the network computes in."""
    return setting.replace(dtype="float32") if isinstance(setting, Setting) else setting
