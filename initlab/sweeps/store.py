"""Where a sweep's points are kept while it runs: in memory, or in a Zarr store that outlives it.

A store is a Zarr group with one group inside for each run that brought new points, its *segment*.
A segment lists its points in the order in which they are computed, and has an array for each
measure, cut into stretches that are written as they are computed. A stretch counts as there only
when it is marked, and the mark is written after all of its data. Every file comes into being under
another name and is renamed when it is whole, so a kill leaves a store that is short of a stretch,
and never one that is wrong.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from initlab.data import Batch
from initlab.sweeps import points
from initlab.sweeps.checks import check_folder, check_record, check_room, record_of
from initlab.sweeps.grid import Grid

_NAME = "segment-{:04d}"


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Points that are computed and written together."""

    segment: int
    number: int  # among the stretches of its segment
    indices: np.ndarray  # of the points in the flattened grid of their segment
    grid: Grid


class Memory:
    """Results that are kept in memory, and gone with it."""

    def __init__(self, grid: Grid, names: tuple[str, ...], order: np.ndarray, chunk: int):
        self._order, self._chunk, self._names, self._grid = order, chunk, names, grid
        self._arrays = points.empty(names, len(grid), grid.deepest)

    def missing(self) -> list[Stretch]:
        """Stretches that are to be computed."""
        return _cut(0, self._grid, self._order, self._chunk)

    def write(self, stretch: Stretch, found: dict[str, np.ndarray]) -> None:
        """Keep what was found of a stretch."""
        for name, values in found.items():
            self._arrays[name][stretch.indices] = values

    def read(self) -> dict[str, np.ndarray]:
        """All measures, in the order of the flattened grid."""
        return self._arrays


class Store:
    """Results that are kept on a disk.

    Args:
      path: a folder; made if it is not there.
      grid: which points are wanted.
      names: of measures by layer.
      batch: what they are measured on.
      chunk: how many points are written together, in a segment that is new.
      order: ``order(columns)``, the order in which points are to be computed.
      first: whether this process is the one that makes what is not there yet.

    Raises:
      ValueError: a store of another version, grid, batch, or of other measures.
      OSError: a folder that is none, cannot be written, or has not the room.
      ImportError: if Zarr is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        grid: Grid,
        names: tuple[str, ...],
        batch: Batch,
        chunk: int,
        order: Callable[[dict[str, np.ndarray]], np.ndarray],
        first: bool,
    ):
        zarr = _zarr()
        self._path, self._grid, self._names = Path(path), grid, names
        self._segments, record = [], record_of(grid, names, batch)
        if first:
            check_folder(self._path)
        try:
            # In format 2 arrays can be pickled, and then to read one is to run it.
            self._root = zarr.open_group(self._path, mode="r+", zarr_format=3)
        except FileNotFoundError:
            if self._path.exists() and any(self._path.iterdir()):
                raise ValueError(
                    f"{self._path} is a folder of other things, and no store of a sweep; name one"
                    " that is empty or not there"
                ) from None
            check_room(self._path, grid, names, len(grid))
            self._root = zarr.create_group(self._path, attributes={"sweep": record}, zarr_format=3)
        check_record(self._path, self._root.attrs.get("sweep"), record)
        self._open()
        if first:
            self._add_segment(chunk, order)

    def _open(self) -> None:
        """Find the segments, and at which row of which of them each point of the grid stands."""
        self._where = np.full((len(self._grid), 2), -1)  # segment, row
        self._segments = []
        while True:
            name = _NAME.format(len(self._segments))
            if name not in self._root or not self._root[name].attrs.get("whole"):
                return
            segment = _Segment(self._root[name])
            places = segment.places_in(self._grid)
            rows = np.flatnonzero(places >= 0)
            self._where[places[rows]] = np.c_[np.full(len(rows), len(self._segments)), rows]
            self._segments.append(segment)

    def _add_segment(self, chunk: int, order) -> None:
        """A segment for those points that none has yet."""
        absent = np.flatnonzero(self._where[:, 0] < 0)
        waiting = sum(len(stretch.indices) for stretch in self.missing())
        check_room(self._path, self._grid, self._names, waiting + len(absent))
        if not len(absent):
            return
        columns = {name: column[absent] for name, column in self._grid.columns.items()}
        indices = absent[order(columns)]
        axes = {name: list(values) for name, values in self._grid.axes.items()}
        name = _NAME.format(len(self._segments))
        group = self._root.create_group(
            name, overwrite=True, attributes={"axes": axes, "fixed": self._grid.fixed}
        )
        chunk = min(chunk, len(indices))
        _make(group, "index", (len(indices),), (len(indices),), np.dtype("int64"))[:] = indices
        _make(group, "done", (-(-len(indices) // chunk),), (1,), np.dtype("uint8"))
        for measure in (*self._names, *points.SCALARS):
            layers = points.layers_of(measure, self._grid.deepest)
            shape, kind = (len(indices), *layers), points.KINDS[measure]
            _make(group, measure, shape, (chunk, *layers), kind)
        group.attrs["whole"] = True  # the last to be written
        self._open()

    def missing(self) -> list[Stretch]:
        """Stretches with points of the grid that are not marked as written."""
        found = []
        for number, segment in enumerate(self._segments):
            wanted = segment.places_in(self._grid) >= 0
            done = segment.done
            for stretch in _cut(number, segment.grid, segment.indices, segment.chunk):
                start = stretch.number * segment.chunk
                if not done[stretch.number] and wanted[start : start + segment.chunk].any():
                    found.append(stretch)
        return found

    def write(self, stretch: Stretch, found: dict[str, np.ndarray]) -> None:
        """Write what was found of a stretch, and then its mark."""
        segment = self._segments[stretch.segment]
        start = stretch.number * segment.chunk
        for name, values in found.items():
            where = slice(start, start + len(values)), *map(slice, values.shape[1:])
            segment.group[name][where] = values
        segment.group["done"][stretch.number] = 1

    def read(self) -> dict[str, np.ndarray]:
        """All measures, in the order of the flattened grid."""
        arrays = points.empty(self._names, len(self._grid), self._grid.deepest)
        for number, segment in enumerate(self._segments):
            mine = np.flatnonzero(self._where[:, 0] == number)
            if len(mine):
                rows = self._where[mine, 1]
                for name, array in arrays.items():
                    values = segment.group[name][:][rows]
                    where = (
                        mine,
                        *(
                            slice(min(n, m))
                            for n, m in zip(values.shape[1:], array.shape[1:], strict=True)
                        ),
                    )
                    array[where] = values[(slice(None), *where[1:])]
        return arrays


class _Segment:
    """The points that one run brought, in the order in which they are computed."""

    def __init__(self, group):
        self.group = group
        axes = {name: tuple(values) for name, values in group.attrs["axes"].items()}
        self.grid = Grid(axes, dict(group.attrs["fixed"]))
        self.indices = group["index"][:]
        self.chunk = group["loss"].chunks[0]

    @property
    def done(self) -> np.ndarray:
        """Which stretches are marked as written."""
        return self.group["done"][:] == 1

    def places_in(self, grid: Grid) -> np.ndarray:
        """Where in a flattened grid each point stands; -1 for those that are not in it."""
        if not grid.axes:
            return np.zeros(len(self.indices), int)
        own = np.unravel_index(self.indices, self.grid.shape)
        own = dict(zip(self.grid.axes, own, strict=True))
        places = []
        for name, values in grid.axes.items():  # whose order may be another one
            positions = {value: position for position, value in enumerate(values)}
            found = np.array([positions.get(value, -1) for value in self.grid.axes[name]])
            places.append(found[own[name]])
        inside = np.min(places, axis=0) >= 0
        flat = np.ravel_multi_index([np.where(inside, place, 0) for place in places], grid.shape)
        return np.where(inside, flat, -1)


def _cut(segment: int, grid: Grid, indices: np.ndarray, chunk: int) -> list[Stretch]:
    starts = range(0, len(indices), chunk)
    return [
        Stretch(segment, number, indices[start : start + chunk], grid)
        for number, start in enumerate(starts)
    ]


def _make(group, name: str, shape, chunks, kind: np.dtype):
    fill = -1 if name == "first_overflow" else np.nan if kind.kind == "f" else 0
    return group.create_array(name, shape=shape, chunks=chunks, dtype=kind, fill_value=fill)


def _zarr():
    with contextlib.suppress(ImportError):
        import zarr  # only stores need it

        return zarr
    raise ImportError("a store needs Zarr: pip install 'zarr>=3'")
