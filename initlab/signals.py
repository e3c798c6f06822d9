"""Signals: what a start does to signals and gradients, as a few numbers for each layer."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import details
from initlab.checking import short
from initlab.data import Batch, digits
from initlab.measures import HISTOGRAM_EDGES
from initlab.network import measure
from initlab.parameters import GivenParameters, Parameters
from initlab.setting import MAX_SCALE, AnySetting, bounded_number, one_of, whole_number
from initlab.starts import checked_weights, fitted

if TYPE_CHECKING:
    import xarray


@dataclasses.dataclass(frozen=True, eq=False)
class Signals:
    """Per-layer measures of one network on one batch, as float64 NumPy arrays.

    Layer 0 is the input and layer ``depth`` the last hidden layer: arrays are ``[depth + 1]``
    where the input has the measure too, ``[depth]`` from the first hidden layer on where it has
    not, and ``[depth + 1]`` from input layer to readout for weights. From the layer on where a
    value is no longer finite, moments are inf and all else is NaN.

    Gradients are those of each example's own softmax cross-entropy loss, so they do not depend
    on the batch's size. Their scale is kept apart, so they are right down to 1e-308, where a
    float32 backward pass would show zeros under 1e-38. A gradient of weights is as good as the
    float32 activations that feed it.
    """

    setting: AnySetting
    batch: Batch = dataclasses.field(repr=False)
    #: [depth + 1] over batch and units together, centred
    activation_variance: np.ndarray
    #: [depth + 1] mean of a^2: what scaling laws preserve
    activation_second_moment: np.ndarray
    #: [depth]
    preactivation_variance: np.ndarray
    #: [depth]
    preactivation_second_moment: np.ndarray
    #: [depth] mean over batch and units of (d loss_i / d z_i)^2
    gradient_second_moment: np.ndarray
    #: [depth + 1] Frobenius norm of the mean loss's gradient, input layer first, readout last
    weight_gradient_norm: np.ndarray
    #: [depth + 1] Frobenius norm of the weights themselves
    weight_norm: np.ndarray
    #: [depth] share of preactivations in a flat tail: slope under 1% of its largest from there on
    saturated_fraction: np.ndarray
    #: [depth] share of units whose slope is exactly 0 for every example
    dead_fraction: np.ndarray
    #: [depth] units that differ from every other by more than 1e-5 of the layer's largest value
    distinct_neurons: np.ndarray
    #: [depth] participation ratio of the units' covariance; 0 if no unit moves over the batch
    effective_neurons: np.ndarray
    #: [depth + 1] mean cosine between two different examples
    input_similarity: np.ndarray
    #: [depth + 1, 61] counts; the outermost bins hold all beyond
    activation_histogram: np.ndarray
    #: [62]
    histogram_edges: np.ndarray
    #: mean cross-entropy over the batch, in nats; ln(classes) if the network says nothing
    loss: float
    #: hidden layer where a value first is not finite, ``depth + 1`` for the readout, or None
    first_overflow: int | None
    #: what only this kind of network has, such as an attention's entropy: [depth] each
    more: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    #: what was measured, where that is not what the setting draws
    weights: Parameters | None = dataclasses.field(default=None, repr=False)

    @property
    def depth(self) -> int:
        """Number of hidden layers; in a recurrent network, of time steps."""
        return self.setting.depth

    def by_layer(self, name: str) -> np.ndarray:
        """One of the fields above by layer, or one of ``more``; ValueError for any other name."""
        one_of("measure", name, (*LAYER_FIELDS, *self.more))
        return self.more[name] if name in self.more else getattr(self, name)

    def update_to_weight_ratio(self, learning_rate: float = 0.01) -> np.ndarray:
        """Relative length of a step of plain SGD, ``[depth + 1]``: ``learning_rate |grad| / |W|``.

        About 1e-3 is where training tends to go well; NaN where the weights are all zero.
        """
        learning_rate = bounded_number("learning_rate", learning_rate, MAX_SCALE)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = learning_rate * self.weight_gradient_norm / self.weight_norm
        return np.where(self.weight_norm > 0, ratio, np.nan)

    def jacobian_singular_values(self, example: int = 0) -> np.ndarray:
        """See :func:`initlab.details.jacobian_singular_values`; measured when asked for."""
        example = whole_number("example", example, 0, len(self.batch) - 1)
        return details.jacobian_singular_values(self.setting, self.batch, example, self.weights)

    def neuron_correlation(self) -> np.ndarray:
        """See :func:`initlab.details.neuron_correlation`; measured when asked for."""
        return details.neuron_correlation(self.setting, self.batch, self.weights)

    def to_dataset(self) -> "xarray.Dataset":
        """An ``xarray.Dataset`` with the coordinates layer (0 is the input) and weight_layer."""
        import xarray  # slow to import, and only this needs it

        depth, fine = self.depth, self.first_overflow is None
        variables: dict[str, Any] = {
            name: (DIMENSIONS[name], getattr(self, name)) for name in LAYER_FIELDS
        }
        variables |= {name: ("hidden_layer", values) for name, values in self.more.items()}
        variables["activation_histogram"] = (("layer", "bin"), self.activation_histogram)
        return xarray.Dataset(
            variables,
            coords={
                "layer": np.arange(depth + 1),
                "hidden_layer": np.arange(1, depth + 1),
                "weight_layer": np.arange(1, depth + 2),
                "bin": (self.histogram_edges[1:] + self.histogram_edges[:-1]) / 2,
            },
            attrs=dataclasses.asdict(self.setting)
            # files know no None, and layer 0 may overflow, too
            | {"loss": self.loss, "first_overflow": -1 if fine else self.first_overflow},
        )

    def __str__(self) -> str:
        return "\n".join([str(self.setting), *self._table()])

    def _table(self) -> Iterator[str]:
        """At most eight layers, spread over the depth, the first and the last among them."""
        shown = np.unique(np.linspace(0, self.depth, min(self.depth + 1, 8)).round().astype(int))
        yield "layer   variance  E[a^2]    E[gradient^2]  distinct  effective  similarity"
        for layer in shown:
            cells = [
                f"{layer:5d}",
                f"{self.activation_variance[layer]:9.2e}",
                f"{self.activation_second_moment[layer]:9.2e}",
            ]
            if layer == 0:
                cells += [f"{'-':>13}", f"{'-':>8}", f"{'-':>9}"]
            else:
                cells += [
                    f"{self.gradient_second_moment[layer - 1]:13.2e}",
                    f"{self.distinct_neurons[layer - 1]:8.0f}",
                    f"{self.effective_neurons[layer - 1]:9.1f}",
                ]
            cells.append(f"{self.input_similarity[layer]:10.3f}")
            yield "  ".join(cells)
        if self.first_overflow is not None:
            where = (
                "the readout"
                if self.first_overflow > self.depth
                else f"layer {self.first_overflow}"
            )
            yield f"values overflow {self.setting.dtype} at {where}"


LAYER_FIELDS = (
    "activation_variance",
    "activation_second_moment",
    "preactivation_variance",
    "preactivation_second_moment",
    "gradient_second_moment",
    "weight_gradient_norm",
    "weight_norm",
    "saturated_fraction",
    "dead_fraction",
    "distinct_neurons",
    "effective_neurons",
    "input_similarity",
)
#: which layers a field is of: with the input, without it, or matrices of weights, readout last
DIMENSIONS = dict.fromkeys(LAYER_FIELDS, "hidden_layer") | {
    "activation_variance": "layer",
    "activation_second_moment": "layer",
    "input_similarity": "layer",
    "weight_gradient_norm": "weight_layer",
    "weight_norm": "weight_layer",
}
#: field -> the exponent that stands beside it in a pass, and by how many times it it is scaled
EXPONENTS = {
    "activation_variance": ("activation_exponent", 2),
    "activation_second_moment": ("activation_exponent", 2),
    "preactivation_variance": ("preactivation_exponent", 2),
    "preactivation_second_moment": ("preactivation_exponent", 2),
    "gradient_second_moment": ("gradient_exponent", 2),
    "weight_gradient_norm": ("weight_exponent", 1),
}
# what is not known where anything overflowed, be it behind
_BACKWARD = ("gradient_second_moment", "weight_gradient_norm", "dead_fraction", "distinct_neurons")
_MOMENTS = tuple(name for name in EXPONENTS if name not in _BACKWARD)


# what a pass measures of every network; squares have their exponents beside them
_USUAL = {*LAYER_FIELDS, "activation_histogram", "finite", "loss", "logits_finite"} | {
    exponent for exponent, _ in EXPONENTS.values()
}


def probe(
    setting: AnySetting, batch: Batch | None = None, weights: GivenParameters | None = None
) -> Signals:
    """Measure a setting's network on a batch: one forward and one backward pass.

    Args:
      setting: which network: a Setting, or one of ``initlab.architectures``.
      batch: examples and labels; handwritten digits by default, 256 of them for a Setting, and
        fewer for larger networks.
      weights: parameters to measure in place of the setting's own, in the form that
        :func:`initlab.weights` returns: a network that was trained, or adapted to data. Its own
        are drawn, and where its initializer is one that is fitted, fitted to the batch.

    Raises:
      TypeError: if ``setting`` is no setting, ``batch`` not a Batch, or weights have another form.
      ValueError: weights of other shapes.

    >>> from initlab import Setting
    >>> signals = probe(Setting(depth=3, width=64, initializer="constant"))
    >>> signals.distinct_neurons
    array([1., 1., 1.])
    """
    if not isinstance(setting, AnySetting):
        raise TypeError(f"probe takes a Setting, such as Setting(depth=50), not {short(setting)}")
    batch = digits(setting.examples) if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    if weights is None:
        weights = fitted(setting, batch)
    else:
        sizes = batch.inputs.shape[1], batch.classes
        weights = checked_weights("weights", setting, weights, *sizes)
    return signals_of(setting, batch, measure(setting, batch, weights), weights)


@np.errstate(over="ignore")  # a gradient may pass even float64: it is inf then
def finished(
    out: dict[str, np.ndarray], depth: int, names: Iterable[str] = LAYER_FIELDS
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What is told of networks of one depth, made of what a pass measured.

    From the layer on where a value is not finite, moments are inf and all else is NaN.

    Args:
      out: what :func:`initlab.network.measure` returned, for one network, or with a leading axis
        for several.
      depth: of all of them.
      names: of the fields by layer that are wanted.

    Returns:
      ``(fields, first_overflow)``: float64 arrays by name, and where a value first is not finite,
      -1 for nowhere; all have the leading axis of ``out``, if there is one.
    """
    finite = out["finite"][..., : depth + 1]
    overflow = np.where(finite.all(axis=-1), -1, np.argmin(finite, axis=-1))
    overflow = np.where((overflow < 0) & ~out["logits_finite"], depth + 1, overflow)
    fine = overflow < 0
    ahead = np.where(fine, depth + 2, overflow)[..., None]  # layers before it are as they are
    fields = {}
    for name in names:
        layers = np.arange(1 if DIMENSIONS[name] == "hidden_layer" else 0, depth + 1)
        values = out[name][..., layers].astype(np.float64)
        if name in EXPONENTS:
            exponent, times = EXPONENTS[name]
            values = np.ldexp(values, times * out[exponent][..., layers])
        if name != "weight_norm":  # that of what was drawn, whatever becomes of it
            valid = fine[..., None] if name in _BACKWARD else layers < ahead
            values = np.where(valid, values, np.inf if name in _MOMENTS else np.nan)
        fields[name] = values
    return fields, overflow


def signals_of(
    setting: AnySetting, batch: Batch, out: dict[str, np.ndarray], weights: Parameters | None = None
) -> Signals:
    """Signals made of what :func:`initlab.network.measure` returned.

    ``weights`` are those that were measured, where the setting draws others.
    """
    depth = setting.depth
    fields, overflow = finished(out, depth)
    first_overflow = None if overflow < 0 else int(overflow)
    known = np.arange(depth + 1) < (depth + 2 if first_overflow is None else first_overflow)
    histogram = out["activation_histogram"][: depth + 1]
    more = {name: out[name][1 : depth + 1] for name in sorted(out.keys() - _USUAL)}
    return Signals(
        setting=setting,
        batch=batch,
        **fields,
        activation_histogram=np.where(known[:, None], histogram, 0),
        histogram_edges=HISTOGRAM_EDGES,
        loss=float(out["loss"]) if first_overflow is None else float("nan"),
        first_overflow=first_overflow,
        more={k: np.where(known[1:], v.astype(np.float64), np.nan) for k, v in more.items()},
        weights=weights,
    )
