"""``initlab.sweep``: a grid of settings, measured, as an ``xarray.Dataset``."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import jax

from initlab.checking import several, short
from initlab.data import Batch, digits
from initlab.setting import one_of, whole_number
from initlab.signals import LAYER_FIELDS
from initlab.sweeps import hosts, points
from initlab.sweeps.bars import bar, check_progress
from initlab.sweeps.checks import check_memory
from initlab.sweeps.grid import AxisValues, Grid, grid_of
from initlab.sweeps.running import Runner, order
from initlab.sweeps.store import Memory, Store

if TYPE_CHECKING:
    import xarray

MAX_CHUNK = 2**20


def sweep(
    batch: Batch | None = None,
    *,
    measures: str | Iterable[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    chunk: int | None = None,
    progress: bool | None = None,
    **axes: AxisValues,
) -> "xarray.Dataset":
    """Measure a whole grid of settings, as :func:`initlab.probe` measures one of them.

    Points that share seed, width, depth, activation and kind of draw are computed together, on all
    devices that there are; only another width, precision, or number of points together is compiled
    anew. Starts that are fitted to data, such as LSUV, are fitted and probed one by one, which is
    slower.

    Args:
      batch: examples and labels; by default 64 of the handwritten digits.
      measures: names of the measures by layer that are wanted. By default all that ``Signals`` has
        but ``distinct_neurons`` and ``effective_neurons``, which would double the time.
      store: a folder, in which results are kept as they come, as Zarr has it. A sweep that was
        broken off goes on from there, and one with more values of an axis computes what is missing.
        Needed where several processes work together.
      chunk: the most points that are computed at once, and written together; by default as many as
        a device's memory has room for, and 1,024 or more.
      progress: whether to show on stderr how far it is; by default, if it takes some time.
      **axes: fields of ``Setting``: a list, a range or an array makes a dimension; a single value
        fixes the field; what is not named is as in ``Setting()``. ``initializer="all"`` and
        ``activation="all"`` stand for all that menus offer.

    Returns:
      An ``xarray.Dataset`` whose dimensions are the axes, in the order in which they were given,
      and whose variables are those of :meth:`Signals.to_dataset`, along ``layer`` (0 is the input),
      ``hidden_layer`` or ``weight_layer``, NaN beyond a point's own depth. By point there are
      ``loss``; ``gradient_ratio``, the gradient's second moment at the first hidden layer over that
      at the last; and ``first_overflow``, -1 where nothing overflows.

    Raises:
      TypeError: an axis or a batch that is none.
      ValueError: an empty axis, a value that is out of range or unknown, a store of another sweep.
      MemoryError: a result that this machine has no room for.
      OSError: a store that cannot be written, or a result that the disk has no room for.
      RuntimeError: several processes without a store; a device that failed while it computed.

    >>> found = sweep(depth=[2, 5], gain=[0.5, 1.0, 2.0], seed=range(2), width=16)
    >>> dict(found.loss.sizes), found.loss.mean("seed").dims
    ({'depth': 2, 'gain': 3, 'seed': 2}, ('depth', 'gain'))
    """
    batch = digits(64) if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    names = _measures(measures)
    if chunk is not None:
        chunk = whole_number("chunk", chunk, 1, MAX_CHUNK)
    check_progress(progress)
    if not isinstance(store, str | os.PathLike | None):
        raise TypeError(f"store must be the path of a folder, not {short(store)}")
    if store == "":
        raise ValueError("store must name a folder, such as 'map.zarr', not ''")
    grid = grid_of(**axes)
    check_memory(grid, names)
    runner = Runner(batch, names, grid.deepest, chunk)
    together = runner.chunk(max(grid.axes.get("width", (grid.fixed.get("width"),))))
    if store is None:
        if jax.process_count() > 1:
            raise RuntimeError(
                f"{jax.process_count()} processes share one sweep through a store that all of them"
                " can reach: give store='map.zarr'"
            )
        kept = Memory(grid, names, order(grid.columns), together)
    else:
        kept = _opened(store, grid, names, batch, together)
    _compute(runner, kept, grid, progress)
    hosts.together("all points of the sweep are written")
    variables = points.variables(grid, names, kept.read())
    return grid.dataset(variables, points.layer_coordinates(names, grid.deepest))


def _measures(given) -> tuple[str, ...]:
    if given is None:
        return points.CHEAP
    given = [given] if isinstance(given, str) else several("measures", given, LAYER_FIELDS[:1])
    wanted = {one_of("measure", name, LAYER_FIELDS) for name in given}
    return tuple(name for name in LAYER_FIELDS if name in wanted)


def _opened(path, grid: Grid, names, batch: Batch, chunk: int) -> Store:
    """The store, made by one process and found by the others."""
    arguments = path, grid, names, batch, chunk, order
    kept = Store(*arguments, first=True) if hosts.first() else None
    hosts.together("the store of the sweep is there")
    return kept or Store(*arguments, first=False)


def _compute(runner: Runner, kept: Memory | Store, grid: Grid, progress: bool | None) -> None:
    missing = kept.missing()
    hosts.together("what is missing of the sweep is known")  # before anybody writes more
    share = hosts.own(missing)
    waiting = sum(len(stretch.indices) for stretch in share)
    done = 0 if jax.process_count() > 1 else max(len(grid) - waiting, 0)
    shown = progress if hosts.first() and waiting else False
    with bar(done + waiting, shown, done) as shown_bar:
        for stretch in share:
            settings = [stretch.grid.setting(index) for index in stretch.indices]
            try:
                found = runner.measure(settings)
            except jax.errors.JaxRuntimeError as error:
                kept_words = "what was written before is in the store: sweep again to go on"
                raise RuntimeError(
                    f"a device failed after {shown_bar.n:,} of {shown_bar.total:,} points;"
                    f" {kept_words if isinstance(kept, Store) else 'give a store to keep them'}"
                ) from error
            kept.write(stretch, found)
            shown_bar.update(len(settings))
