"""What was computed of many points, turned into what is told of them: arrays by name."""

from typing import Any

import numpy as np

from initlab.signals import DIMENSIONS, EXPONENTS, LAYER_FIELDS, Signals, finished
from initlab.sweeps.grid import Grid

#: measured unless others are asked for: all but the two that sort or multiply units with units
CHEAP = tuple(
    name for name in LAYER_FIELDS if name not in ("distinct_neurons", "effective_neurons")
)
#: measured of every point, as a number each
SCALARS = ("loss", "gradient_ratio", "first_overflow")

#: in what each measure is kept: squares and norms pass what float32 can hold
KINDS = {name: np.dtype("float64" if name in EXPONENTS else "float32") for name in LAYER_FIELDS} | {
    "loss": np.dtype("float64"),
    "gradient_ratio": np.dtype("float64"),
    "first_overflow": np.dtype("int32"),
}
MEANINGS = {
    "activation_variance": "over batch and units together, centred",
    "activation_second_moment": "mean of a^2",
    "preactivation_variance": "over batch and units together, centred",
    "preactivation_second_moment": "mean of z^2",
    "gradient_second_moment": "mean of (d loss_i / d z_i)^2, each example's own loss",
    "weight_gradient_norm": "Frobenius norm of the mean loss's gradient",
    "weight_norm": "Frobenius norm of the weights",
    "saturated_fraction": "share of preactivations in a flat tail",
    "dead_fraction": "share of units whose slope is 0 for every example",
    "distinct_neurons": "units that differ from every other",
    "effective_neurons": "participation ratio of the units' covariance",
    "input_similarity": "mean cosine between two different examples",
    "loss": "mean cross-entropy",
    "gradient_ratio": "gradient_second_moment of the first hidden layer over that of the last",
    "first_overflow": "layer where a value first is not finite: depth + 1 is the readout, -1 none",
}
_UNITS = {"loss": "nat", "distinct_neurons": "units", "effective_neurons": "units"}


def layers_of(name: str, deepest: int) -> tuple[int, ...]:
    """The shape of a measure of one point, as it is kept for points of unlike depths."""
    if name in SCALARS:
        return ()
    return (deepest if DIMENSIONS[name] == "hidden_layer" else deepest + 1,)


def empty(names: tuple[str, ...], points: int, deepest: int) -> dict[str, np.ndarray]:
    """Room for all measures of so many points: NaN, and -1 for whole numbers."""
    return {
        name: np.full(
            (points, *layers_of(name, deepest)),
            -1 if KINDS[name].kind == "i" else np.nan,
            KINDS[name],
        )
        for name in (*names, *SCALARS)
    }


def told(names: tuple[str, ...], out: dict[str, np.ndarray], depth: int) -> dict[str, np.ndarray]:
    """Measures ``[points, layers]`` of points of one depth, made of what was computed of them.

    Args:
      names: of the measures by layer.
      out: NumPy arrays ``[points, L]`` and ``[points]``.
      depth: of all points.
    """
    found, overflow = finished(out, depth, {*names, "gradient_second_moment"})
    found["loss"] = np.where(overflow < 0, out["loss"].astype(np.float64), np.nan)
    found["first_overflow"] = overflow.astype(np.int32)
    return _with_ratio(names, found)


def of_signals(names: tuple[str, ...], signals: Signals) -> dict[str, np.ndarray]:
    """The same of one point that was probed, ``[1, layers]``."""
    found = {name: getattr(signals, name)[None] for name in {*names, "gradient_second_moment"}}
    found["loss"] = np.array([signals.loss])
    overflow = -1 if signals.first_overflow is None else signals.first_overflow
    found["first_overflow"] = np.array([overflow], np.int32)
    return _with_ratio(names, found)


def _with_ratio(names, found: dict) -> dict:
    gradient = found["gradient_second_moment"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gradient[:, 0] / gradient[:, -1]
    found["gradient_ratio"] = np.where(gradient[:, -1] > 0, ratio, np.nan)
    return {name: found[name] for name in (*names, *SCALARS)}


def variables(grid: Grid, names: tuple[str, ...], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What ``xarray.Dataset`` takes: flat arrays in the shape of the grid, with units and words."""
    found = {}
    for name in (*names, *SCALARS):
        dimensions = [*grid.axes, *([] if name in SCALARS else [DIMENSIONS[name]])]
        attributes = {"long_name": MEANINGS[name], "units": _UNITS.get(name, "1")}
        shape = grid.shape + arrays[name].shape[1:]
        found[name] = (dimensions, arrays[name].reshape(shape), attributes)
    return found


def layer_coordinates(names: tuple[str, ...], deepest: int) -> dict[str, Any]:
    """Coordinates of the layers; 0 is the input, and the last weights are the readout's."""
    all_layers = {
        "layer": np.arange(deepest + 1),
        "hidden_layer": np.arange(1, deepest + 1),
        "weight_layer": np.arange(1, deepest + 2),
    }
    used = {DIMENSIONS[name] for name in names}
    return {name: values for name, values in all_layers.items() if name in used}
