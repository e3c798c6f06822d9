"""What an examination found: a line for each layer, a verdict, and the evidence for it."""

import dataclasses
import functools
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from initlab.doctor.verdicts import find
from initlab.failures import Failure
from initlab.tables import Table

if TYPE_CHECKING:
    import xarray

    from initlab.doctor.remedy import Cure  # which imports this module

_HEADS = (
    "layer",
    "operation",
    "weight",
    "E[z^2]",
    "gain",
    "gradient ratio",
    "saturated",
    "dead",
    "distinct",
    "verdict",
)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One product or convolution of a parameter with what depends on the batch.

    ``z`` is what it makes, before any bias. Over the turns of a loop that share its weight,
    moments are means, and of shares and counts the best turn's is told.
    """

    place: int  # among all layers, in the order in which they are computed
    site: int
    turn: tuple[int, ...] | None  # of the scans around it, where each has its own weight
    leaves: tuple[int, ...]  # parameters that its weight is made of
    biases: tuple[int, ...]  # parameters that are added to what it makes
    name: str  # the parameter's path in the tree
    operation: str
    shape: tuple[int, ...]  # of the weight
    units: int
    dtype: str  # of z
    sources: tuple[int, ...]  # sites that what it reads comes from
    input_finite: bool
    #: E[x^2] of what it reads
    input_second_moment: float
    #: E[z^2]; inf where z is not finite
    second_moment: float
    #: root mean square of what is left of z when each unit's mean over the batch is taken off
    spread: float
    #: E[W^2]
    weight_second_moment: float
    #: sum over units and positions of (d loss / d z)^2, over all examples; NaN if there is none
    gradient: float
    #: share of units that no example's gradient passes
    dead_fraction: float
    #: units that differ from every other
    distinct_neurons: float
    #: share of tanh's or logistic's inputs, made of z, where it is flat; NaN if none follows
    saturated_fraction: float

    @property
    def gain(self) -> float:
        """E[z^2] / E[x^2]: 1 with LeCun's scale, 2 with He's; NaN where nothing comes in."""
        if not 0 < self.input_second_moment < math.inf:
            return math.nan
        return self.second_moment / self.input_second_moment

    def own(self, leaf: np.ndarray) -> np.ndarray:
        """A view of what is this layer's of one of its parameters: all, or its turn's slice."""
        stacked = self.turn is not None and leaf.ndim > len(self.turn)
        return leaf[self.turn] if stacked else leaf


class Examination(Protocol):
    """A network that was examined, to be examined again with other parameters.

    ``params`` are a tree of whatever library the network is of.
    """

    @property
    def paths(self) -> Sequence[str]:
        """The parameters' names."""
        ...

    def values(self, params: Any) -> list[np.ndarray]:
        """The parameters as NumPy arrays, copied."""
        ...

    def with_values(self, params: Any, values: list[np.ndarray]) -> Any:
        """Other parameters of the old ones' form."""
        ...

    def report(self, params: Any) -> "Report":
        """What is found with these parameters."""
        ...


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Report:
    """How a network starts, layer by layer. ``failures`` is empty if nothing is wrong."""

    layers: tuple[Layer, ...]
    #: NaN if there was none
    loss: float
    #: what was left out, and what else a reader should know
    notes: tuple[str, ...]
    #: what was examined, to be examined again with other parameters
    examination: Examination
    params: Any

    @functools.cached_property
    def failures(self) -> tuple[Failure, ...]:
        """What is wrong; a failure's ``first_layer`` is a place among ``layers``."""
        return find(self)

    @property
    def healthy(self) -> bool:
        """Whether no failure was found."""
        return not self.failures

    def gradient_ratio(self, layer: Layer) -> float:
        """A layer's gradient over that of the last but one: their sums of squares.

        Where that is zero, as where only a sequence's last step is read, over the one before.
        """
        last = self.last_gradient
        return layer.gradient / last if last > 0 else math.nan

    @functools.cached_property
    def last_gradient(self) -> float:
        """What gradients are compared with: of the last layer before the readout that has one."""
        gradients = [layer.gradient for layer in self.layers[:-1] or self.layers]
        return next((gradient for gradient in reversed(gradients) if gradient > 0), math.nan)

    @property
    def summary(self) -> str:
        """The verdict in words, and the first of many notes."""
        more = f" And {len(self.notes) - 5} more notes." if len(self.notes) > 5 else ""
        notes = "".join(f" Note: {note}." for note in self.notes[:5]) + more
        if self.healthy:
            ratio = self.gradient_ratio(self.layers[0])
            told = "" if math.isnan(ratio) else f", gradient ratio {ratio:.2g} of the first"
            count = len(self.layers)
            return f"Healthy: {count} layer{'s' if count > 1 else ''}{told}.{notes}"
        told = " ".join(f"{str(one)[0].upper()}{str(one)[1:]}." for one in self.failures)
        return told + notes

    def raise_if_unhealthy(self) -> None:
        """Raise AssertionError, with the summary, if a failure was found: one line of a test."""
        if not self.healthy:
            raise AssertionError(self.summary)

    def remedy(self) -> "Cure | None":
        """Parameters in which only what is blamed was redrawn or rescaled; tried, and better.

        Returns:
          A :class:`initlab.doctor.remedy.Cure`, or None if nothing is wrong or nothing helped.
        """
        from initlab.doctor.remedy import find_cure  # makes reports, as this asks for a cure

        return find_cure(self)

    def verdict(self, layer: Layer) -> str:
        """The first failure that this layer is blamed for; nothing if it is not."""
        return next((one.mode for one in self.failures if one.first_layer == layer.place), "")

    def table(self) -> Table:
        """A row for each layer."""
        rows = [
            (
                layer.name,
                layer.operation.split("_")[0],
                "x".join(map(str, layer.shape)),
                f"{layer.second_moment:.2e}",
                _number(layer.gain, ".2g"),
                _number(self.gradient_ratio(layer), ".1e"),
                _number(layer.saturated_fraction, ".0%"),
                _number(layer.dead_fraction, ".0%"),
                f"{_number(layer.distinct_neurons, '.0f')} of {layer.units}",
                self.verdict(layer),
            )
            for layer in self.layers
        ]
        return Table(self.summary, _HEADS, tuple(rows))

    def to_dataset(self) -> "xarray.Dataset":
        """All numbers as an ``xarray.Dataset`` by layer."""
        import xarray  # slow to import, and only this needs it

        rows = [self._numbers(layer) for layer in self.layers]
        columns = {name: ("layer", [row[name] for row in rows]) for name in rows[0]}
        return xarray.Dataset(
            columns,
            coords={"layer": [layer.name for layer in self.layers]},
            attrs={"summary": self.summary, "loss": self.loss},
        )

    def to_json(self) -> str:
        """All that is told, as JSON; what is no number is null, since JSON knows no NaN."""
        layers = [
            {"name": layer.name, "operation": layer.operation, "shape": list(layer.shape)}
            | {name: _plain(value) for name, value in self._numbers(layer).items()}
            for layer in self.layers
        ]
        failures = [
            {"mode": one.mode, "layer": self.layers[one.first_layer].name, "evidence": one.evidence}
            for one in self.failures
        ]
        told = {"healthy": self.healthy, "summary": self.summary, "loss": _plain(self.loss)}
        return json.dumps(told | {"failures": failures, "layers": layers, "notes": self.notes})

    def _numbers(self, layer: Layer) -> dict[str, float]:
        fields = {
            field.name: getattr(layer, field.name)
            for field in dataclasses.fields(layer)
            if field.type is float
        }
        ratio = self.gradient_ratio(layer)
        return fields | {"gain": layer.gain, "gradient_ratio": ratio, "units": float(layer.units)}

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self):
        return self.table()._repr_markdown_()


def compared(caption: str, **reports: Report) -> Table:
    """Reports of one network side by side, by name: what its layers make, and pass back."""
    told = {
        "E[z^2]": lambda report, layer: f"{layer.second_moment:.2e}",
        "gradient ratio": lambda report, layer: _number(report.gradient_ratio(layer), ".1e"),
        "verdict": Report.verdict,
    }
    rows = zip(*(report.layers for report in reports.values()), strict=True)
    return Table(
        caption,
        ("layer", *(f"{head} {name}" for head in told for name in reports)),
        tuple(
            (
                layers[0].name,
                *(
                    tell(report, layer)
                    for tell in told.values()
                    for report, layer in zip(reports.values(), layers, strict=True)
                ),
            )
            for layers in rows
        ),
    )


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
