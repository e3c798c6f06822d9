"""Trainability maps: every point of a grid is trained for as long, and what came of it is kept."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import optax

from initlab.data import Batch, digits
from initlab.prophet import learned
from initlab.setting import Setting, whole_number
from initlab.sweeps.bars import bar, check_progress
from initlab.sweeps.grid import AxisValues, grid_of
from initlab.training import TRAINED_DIGITS, begin

if TYPE_CHECKING:
    import xarray

#: of memory, that the starts which are trained at once may take together by default
CHUNK_BYTES = 2**30
MAX_CHUNK = 256  # starts; one program of so many is as fast as one of more

_COPIES = 6  # of the parameters in a step: old and new, gradient, update, and an optimizer's two
_KEPT = 3  # arrays of a layer and a batch: preactivations, activations, what comes back

#: name -> what it is, and its unit
VARIABLES = {
    "loss": ("mean cross-entropy over all examples trained on", "nat"),
    "accuracy": ("share of them classified right", "1"),
    "held_out_accuracy": ("share classified right of the examples held out", "1"),
    "learned": ("clearly more than how frequent the classes are", "1"),
    "diverged_at": ("step at which the loss first was not finite, -1 for never", "1"),
}


def train_sweep(
    batch: Batch | None = None,
    *,
    held_out: Batch | None = None,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 200,
    batch_size: int | None = None,
    chunk: int | None = None,
    progress: bool | None = None,
    **axes: AxisValues,
) -> "xarray.Dataset":
    """Train every point of a grid of settings, and keep how well each does in the end.

    Points that agree in depth, width and activation are trained side by side by one program, which
    is compiled once; see :func:`initlab.train` for what a step is. All see the same examples in
    the same order.

    Args:
      batch: examples to learn from; by default 1,024 of the handwritten digits, and then
        ``held_out`` defaults to the other 773.
      held_out: examples to be tested on alone.
      optimizer: any of optax's; by default ``optax.sgd(0.1)``.
      steps: how many updates each point makes.
      batch_size: examples in each step; by default all.
      chunk: how many points are trained at once at most; by default as many as take 1 GiB of
        memory. It does not change what they learn, but for rounding.
      progress: whether to show on stderr how far it is; by default, if it takes some time.
      **axes: fields of ``Setting``, as for :func:`initlab.sweep`: a sequence makes a dimension, a
        single value fixes the field, ``"all"`` stands for a catalogue.

    Returns:
      An ``xarray.Dataset`` over the grid with the variables ``loss`` (in nats), ``accuracy`` and
      ``held_out_accuracy`` (0 to 1; NaN if nothing is held out), ``learned`` (as
      :func:`initlab.prophecy` has it: clearly more than the classes' frequencies) and
      ``diverged_at``, the step at which the loss first was not finite, or -1.

    Raises:
      TypeError, ValueError: axes that :func:`initlab.sweep` refuses, options that
        :func:`initlab.train` refuses.
      KeyboardInterrupt: it was interrupted; nothing is returned then.

    Source: Schoenholz et al. 2017 (arXiv 1611.01232), figure 5.

    >>> trained = train_sweep(depth=1, width=16, gain=[0.0, 1.0], steps=30)
    >>> trained.learned.values.tolist()
    [False, True]
    """
    grid = grid_of(**axes)
    settings = grid.settings()
    options = {
        "held_out": held_out,
        "optimizer": optimizer,
        "steps": steps,
        "batch_size": batch_size,
    }
    one_of_each_dtype = list({setting.dtype: setting for setting in settings}.values())
    begin(one_of_each_dtype, batch, **options)  # computes nothing, and checks all that is given
    learned_from = digits(TRAINED_DIGITS) if batch is None else batch
    if chunk is not None:
        chunk = whole_number("chunk", chunk, 1, len(settings))

    check_progress(progress)

    columns = {name: np.full(len(grid), np.nan) for name in VARIABLES}
    columns |= {"learned": np.zeros(len(grid), bool), "diverged_at": np.full(len(grid), -1)}
    examples = len(learned_from) if batch_size is None else batch_size
    pieces = _pieces(settings, chunk, learned_from, examples)
    for places in _watched(pieces, len(settings), progress):
        found = begin([settings[place] for place in places], batch, **options).finish()
        for name, values in found.items():
            columns[name][places] = values
        judged = np.where(
            np.isnan(found["held_out_accuracy"]), found["accuracy"], found["held_out_accuracy"]
        )
        columns["learned"][places] = (found["diverged_at"] < 0) & learned(
            found["loss"], judged, learned_from.labels
        )
    return grid.dataset(
        {
            name: (
                tuple(grid.axes),
                columns[name].reshape(grid.shape),
                {"long_name": long_name, "units": unit},
            )
            for name, (long_name, unit) in VARIABLES.items()
        }
    ).assign_attrs(steps=steps)


def _watched(pieces: Iterator[list[int]], points: int, progress: bool | None):
    """The pieces, and a bar on stderr that shows how many points are trained."""
    with bar(points, progress) as shown:
        for piece in pieces:
            yield piece
            shown.update(len(set(piece)))


def _pieces(
    settings: Sequence[Setting], chunk: int | None, batch: Batch, examples: int
) -> Iterator[list[int]]:
    """Where the points stand that are trained at once: of one shape, and not too many.

    Pieces of one shape are of one length, so that one program trains them all: the last of them
    has its last point as often as needed.
    """
    shapes = {}
    for place, setting in enumerate(settings):
        shape = setting.depth, setting.width, setting.activation
        shapes.setdefault(shape, []).append(place)
    for (depth, width, _), places in shapes.items():
        most = chunk or min(MAX_CHUNK, max(1, CHUNK_BYTES // _size(depth, width, batch, examples)))
        pieces = -(-len(places) // most)
        length = -(-len(places) // pieces)
        for first in range(0, len(places), length):
            piece = places[first : first + length]
            yield piece + piece[-1:] * (length - len(piece))


def _size(depth: int, width: int, batch: Batch, examples: int) -> int:
    """Bytes that the training of one start takes."""
    ends = batch.inputs.shape[1] + batch.classes
    parameters = width * ends + (depth - 1) * width**2 + depth * width + batch.classes
    return 4 * (_COPIES * parameters + _KEPT * depth * width * examples)
