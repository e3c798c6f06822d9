"""The grid of a sweep: which fields of ``Setting`` are axes, and which point is which setting."""

import collections
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.catalogue import nearest
from initlab.initializers import menu
from initlab.setting import Setting

if TYPE_CHECKING:
    import xarray

MAX_VALUES = 10**6  # of an axis
MAX_POINTS = 10**8  # beyond that, even the list of points fills a memory

FIELDS: dict[str, Any] = dataclasses.asdict(Setting())
#: what the coordinates are measured in; 1 for a ratio
UNITS = {"depth": "hidden layers", "width": "units", "gain": "1", "bias_std": "1"}
_CATALOGUES = {"initializer": lambda: menu(Setting), "activation": lambda: list(ACTIVATIONS)}

#: of a field: one value that is the same everywhere, or an axis
AxisValues = float | str | Iterable[float] | Iterable[str]


@dataclasses.dataclass(frozen=True)
class Grid:
    """All settings of a sweep: the product of its axes, the last one varying fastest.

    Args:
      axes: values by field of ``Setting``, checked, in the order of the dimensions.
      fixed: the value of each other field.

    >>> grid = grid_of(depth=range(1, 4), seed=2)
    >>> len(grid), grid.setting(1).depth, grid.setting(1).seed
    (3, 2, 2)
    """

    axes: dict[str, tuple[Any, ...]]
    fixed: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    def __len__(self) -> int:
        return math.prod(self.shape)

    def setting(self, index: int) -> Setting:
        """The setting of a point, by its place in the flattened grid."""
        places = np.unravel_index(index, self.shape)
        chosen = zip(self.axes.items(), places, strict=True)
        return Setting(**self.fixed | {name: values[place] for (name, values), place in chosen})

    def settings(self) -> list[Setting]:
        """All points, in the order of the flattened grid."""
        return [self.setting(index) for index in range(len(self))]

    @functools.cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Each field's value at all points, ``[points]``, without making any ``Setting``."""
        found = {}
        for name in FIELDS:
            if name in self.axes:
                place = list(self.axes).index(name)
                shape = [-1 if other == place else 1 for other in range(len(self.shape))]
                values = np.array(self.axes[name]).reshape(shape)
                found[name] = np.broadcast_to(values, self.shape).reshape(-1)
            else:
                found[name] = np.full(len(self), self.fixed[name])
        return found

    @property
    def deepest(self) -> int:
        """The largest depth among the points."""
        return max(self.axes.get("depth", (self.fixed.get("depth"),)))

    def coordinates(self) -> dict[str, Any]:
        """What ``xarray.Dataset`` takes as coordinates: one for each field, with its unit.

        Axes are indexed; fields that are fixed are scalars.
        """
        found = {}
        for name in FIELDS:
            attributes = {"units": UNITS[name]} if name in UNITS else {}
            if name in self.axes:
                found[name] = (name, np.array(self.axes[name]), attributes)
            else:
                found[name] = ((), self.fixed[name], attributes)
        return found

    def dataset(
        self,
        variables: Mapping[str, Any] | None = None,
        coordinates: Mapping[str, Any] | None = None,
    ) -> "xarray.Dataset":
        """An ``xarray.Dataset`` over the grid: with variables, or for a start without any.

        Args:
          variables: name to ``(dimensions, values, attributes)``, as xarray takes them.
          coordinates: others than the grid's own.
        """
        import xarray  # slow to import, and only this needs it

        return xarray.Dataset(variables, coords=self.coordinates() | dict(coordinates or {}))


def grid_of(**axes: AxisValues) -> Grid:
    """The grid that :func:`initlab.sweep` measures.

    Args:
      **axes: fields of ``Setting``. A sequence makes a dimension, a single value fixes the field.
        ``"all"`` stands for all of a catalogue: all activations, or the initializers that menus
        offer, which leaves out those that are searched for minutes.

    Raises:
      TypeError: a field that does not exist; the message names the nearest. A value of a wrong
        type.
      ValueError: an axis without values or with one value twice, a value out of range, too many
        points.

    >>> grid_of(depth=[2, 5], gain=[0.5, 1.0, 2.0]).shape
    (2, 3)
    """
    unknown = sorted(axes.keys() - FIELDS.keys())
    if unknown:
        raise TypeError(
            f"there is no axis {unknown[0]!r}{nearest(unknown[0], FIELDS) or '.'}"
            f" Axes are the fields of Setting: {', '.join(FIELDS)}"
        )
    several, fixed = {}, dict(FIELDS)
    for name, value in axes.items():
        if name in _CATALOGUES and isinstance(value, str) and value == "all":
            value = _CATALOGUES[name]()
        if isinstance(value, np.ndarray) and value.ndim != 1:
            if value.ndim > 1:
                raise ValueError(
                    f"the axis {name} must be one list of values, not an array of shape"
                    f" {value.shape}; the nearest is {name}.ravel()"
                )
            value = value.item()
        if isinstance(value, str) or not isinstance(value, Iterable):
            fixed[name] = _checked(name, value)
        else:
            several[name] = _axis(name, value)
            del fixed[name]
    grid = Grid(several, fixed)
    if len(grid) > MAX_POINTS:
        sizes = " x ".join(map(str, grid.shape))
        raise ValueError(
            f"a sweep has at most {MAX_POINTS:,} points, not {sizes} = {len(grid):,}; sweep parts"
        )
    return grid


def _axis(name: str, values: Iterable) -> tuple:
    """The checked values of an axis; plain numbers and strings, whatever NumPy made of them."""
    values = tuple(itertools.islice(values, MAX_VALUES + 1))  # what never ends is not gone through
    if len(values) > MAX_VALUES:
        raise ValueError(f"the axis {name} has more than {MAX_VALUES:,} values; sweep parts")
    checked = tuple(
        _checked(name, value.item() if isinstance(value, np.generic) else value) for value in values
    )
    if not checked:
        raise ValueError(
            f"the axis {name} is empty; give it one value or more, such as {FIELDS[name]!r}"
        )
    if len(set(checked)) < len(checked):
        (twice, _), *_ = collections.Counter(checked).most_common(1)
        raise ValueError(f"the axis {name} has {twice!r} twice; give every value once")
    return checked


def _checked(name: str, value):
    """A field's value as ``Setting`` keeps it, or its error."""
    return getattr(Setting(**{name: value}), name)
