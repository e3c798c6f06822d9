"""What a map shows: one variable of a sweep over two of its axes, and what is no number."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab.catalogue import nearest
from initlab.checking import short
from initlab.setting import Setting

if TYPE_CHECKING:
    import xarray

LAYERS = ("layer", "hidden_layer", "weight_layer")  # the dimensions of what has a value by layer
FIELDS = tuple(field.name for field in dataclasses.fields(Setting))

# what is the matter with a cell that has no number
OVERFLOW, UNDEFINED, ABSENT = "overflow", "not defined", "no such layer"


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """A table of numbers out of a sweep, ready to be drawn."""

    x: str
    y: str
    across: np.ndarray  # [columns] values of x, in rising order, or names
    up: np.ndarray  # [rows]
    values: np.ndarray  # [rows, columns] float64
    faults: np.ndarray  # [rows, columns] one of the words above, empty where the value is finite
    marked: np.ndarray  # [rows, columns] whether to tick a cell
    mark: str  # what a tick means
    quantity: str  # what it is, with its unit
    summary: str  # of what it is the median, in words; may be empty
    fixed: dict[str, Any]  # the fields of Setting that are the same everywhere

    @property
    def setting(self) -> Setting | None:
        """A point of the map; None if something else than seeds was left to the median."""
        axes = {
            name: values[0].item()
            for name, values in ((self.x, self.across), (self.y, self.up))
            if name in FIELDS
        }
        known = self.fixed | axes
        return Setting(**known) if known.keys() | {"seed"} == set(FIELDS) else None


def cut(
    dataset: "xarray.Dataset", name: str, x: str, y: str, layer: int | None, marked: str | None
) -> Cut:
    """The variable over two axes; the median, or the share of what is true, over the others.

    In a median what is no number counts as larger than any.
    """
    import xarray  # slow to import

    if not isinstance(dataset, xarray.Dataset):
        raise TypeError(
            "plot_map takes the Dataset that sweep or train_sweep returns, not"
            f" {type(dataset).__name__}"
        )
    for what, given in (("name", name), ("x", x), ("y", y), ("marked", marked)):
        if not isinstance(given, str) and (what != "marked" or given is not None):
            raise TypeError(f"{what} must be a name in the Dataset, not {short(given)}")
    values = _at_layer(dataset, _variable(dataset, name), x, y, layer)
    for axis in (x, y):
        if axis not in values.dims:
            dims = [str(dim) for dim in values.dims]
            raise ValueError(
                f"{short(axis)} is no axis of {name}{nearest(axis, dims) or '.'} Its axes are:"
                f" {', '.join(dims) or 'none'}"
            )
    if x == y:
        raise ValueError(f"x and y must be two axes, not {short(x)} twice")
    values = _sorted(values, x, y)
    rest = [dim for dim in values.dims if dim not in (x, y)]
    table, faults = _table(dataset, values, rest, x, y)
    ticks, mark = np.zeros(table.shape, bool), ""
    if marked is not None:
        share = _sorted(_variable(dataset, marked), x, y)
        others = [str(dim) for dim in share.dims if dim not in (x, y)]
        share = share.mean(others)
        mark = str(marked).replace("_", " ") + (
            f" in most {'s and '.join(others)}s" if others else ""
        )
        ticks = share.transpose(y, x).values > 0.5
    scalars = [field for field in FIELDS if field in dataset.coords and not dataset[field].ndim]
    return Cut(
        x=x,
        y=y,
        across=values[x].values,
        up=values[y].values,
        values=table,
        faults=faults,
        marked=ticks,
        mark=mark,
        quantity=_quantity(values, layer),
        summary=_summary(dataset, values, rest),
        fixed={field: dataset[field].item() for field in scalars},
    )


def _variable(dataset, name: str):
    if name not in dataset.data_vars:
        known = [str(other) for other in dataset.data_vars]
        raise ValueError(
            f"there is no variable {short(name)}{nearest(str(name), known) or '.'}"
            f" The Dataset has: {', '.join(known)}"
        )
    return dataset[name]


def _at_layer(dataset, values, x, y, layer):
    """The values at a layer, where they have one that is no axis of the map."""
    (dim, *_) = [dim for dim in LAYERS if dim in values.dims] or [None]
    if dim is None or dim in (x, y):
        if layer is not None:
            raise ValueError(
                f"layer must not be given, as {values.name} has no layers but the map's axis"
                if dim
                else f"layer must not be given, as {values.name} has no layers"
            )
        return values
    layers = dataset[dim].values
    if layer not in layers:
        raise ValueError(
            f"{values.name} has a value for each layer: layer must be a whole number from"
            f" {layers[0]} to {layers[-1]}, not {short(layer)}"
        )
    return values.sel({dim: layer})


def _sorted(values, x, y):
    """Numbers in rising order; names as they come."""
    numeric = [dim for dim in (x, y) if dim in values.dims and is_numeric(values[dim].values)]
    return values.sortby(numeric) if numeric else values


def is_numeric(values: np.ndarray) -> bool:
    """Whether an axis has numbers, and not names."""
    return np.issubdtype(values.dtype, np.number)


def _table(dataset, values, rest, x, y) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and faults, ``[rows, columns]``."""
    import xarray

    if values.dtype == bool:
        share = values.mean(rest).transpose(y, x).values
        return share, np.full(share.shape, "", dtype=object)
    values = values.astype(np.float64)
    absent = _absent(dataset, values)
    overflowed = np.isinf(values)
    for name in ("first_overflow", "diverged_at"):
        if name in dataset:
            overflowed = overflowed | (np.isnan(values) & (dataset[name] >= 0))
    order = (y, x, *rest)
    parts = xarray.broadcast(values, absent, overflowed & ~absent)
    values, absent, overflowed = (
        part.transpose(*order).values.reshape(*(part.sizes[dim] for dim in (y, x)), -1)
        for part in parts
    )
    table = _median(values, absent)
    faults = np.full(table.shape, UNDEFINED, dtype=object)
    faults[overflowed.any(axis=-1)] = OVERFLOW
    faults[absent.all(axis=-1)] = ABSENT
    faults[np.isfinite(table)] = ""
    return table, faults


def _median(values, absent) -> np.ndarray:
    """Of the last axis, without what is absent; NaN where it is not finite or there is nothing."""
    numbers = np.sort(np.where(absent, np.nan, np.where(np.isnan(values), np.inf, values)))
    count = np.sum(~absent, axis=-1, keepdims=True)  # NaNs are sorted to the end
    below, above = (
        np.take_along_axis(numbers, place, axis=-1)[..., 0]
        for place in (np.maximum(count - 1, 0) // 2, count // 2)
    )
    middle = (below + above) / 2
    return np.where(np.isfinite(middle), middle, np.nan)


def _absent(dataset, values):
    """Where a value has no layer to belong to, since its network is not so deep."""
    import xarray

    (dim, *_) = [dim for dim in LAYERS if dim in values.coords] or [None]
    if dim is None or "depth" not in dataset.coords:
        return xarray.zeros_like(values, dtype=bool)
    return values[dim] > dataset["depth"] + (dim == "weight_layer")


def _quantity(values, layer) -> str:
    words = str(values.name).replace("_", " ") + ("" if layer is None else f" of layer {layer}")
    unit = values.attrs.get("units", "1")
    return words if unit == "1" else f"{words} ({unit})"


def _summary(dataset, values, rest) -> str:
    """After how many steps, if the networks were trained, and what the median is of."""
    words = [f"after {dataset.attrs['steps']} steps"] if "steps" in dataset.attrs else []
    if over := " and ".join(f"{values.sizes[d]} {d}s" for d in rest if values.sizes[d] > 1):
        words.append(f"{'share' if values.dtype == bool else 'median'} of {over}")
    return ", ".join(words)
