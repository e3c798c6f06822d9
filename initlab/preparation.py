"""What is compiled before it is needed: for the first frame at once, for later ones when idle."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator

from initlab.activations import ACTIVATIONS, branches
from initlab.data import Batch
from initlab.details import compile_details
from initlab.draws import compile_draws
from initlab.initializers import INITIALIZERS, menu
from initlab.network import compile_pass
from initlab.setting import AnySetting, Setting, entry_of
from initlab.starts import fitted
from initlab.theory import predict
from initlab.warming import WARMER

#: what is compiled: a key that tells it from others, and what compiles it
Task = tuple[Hashable, Callable[[], object]]


def prepare(setting: AnySetting, batch: Batch) -> None:
    """Compile all that a width needs, so that no control but width waits for it later."""
    for _, task in _all_of(setting, batch):
        task()


def prepare_when_idle(
    setting: AnySetting, batch: Batch, others: Iterable[AnySetting], details: bool
) -> None:
    """The same while the reader's hands are still; then the programs of some other settings.

    ``details`` says whether what is measured on demand only is asked for, too.
    """
    tasks = _all_of(setting, batch)
    for other in others:
        tasks += [*_starting(other, batch), *_measuring(other, batch)]
        if details:
            key = "details", program(other, batch)
            tasks.append((key, functools.partial(compile_details, other, batch)))
    for key, task in tasks:
        WARMER.add(key, task)


def first_frame(setting: AnySetting, batch: Batch) -> Iterator[int]:
    """Compile measuring on one side, drawing and theory on the other; yield how far it is, 1 and 2.

    An error is not shown here: it comes again, and is named, when the picture is made.
    """

    def draw_and_predict() -> None:
        with contextlib.suppress(Exception):
            for _, task in _starting(setting, batch):
                task()
            predict(setting, batch)

    other = threading.Thread(target=draw_and_predict)
    other.start()
    with contextlib.suppress(Exception):
        compile_pass(setting, batch)
    yield 1
    other.join()
    yield 2


def _all_of(setting: AnySetting, batch: Batch) -> list[Task]:
    """All that a setting's width needs: pairs of a key and a task."""
    tasks = [*_by_activation(setting, batch), *_measuring(setting, batch)]
    for field in dataclasses.fields(setting):
        if field.metadata["check"] is entry_of and field.metadata["allowed"] == (INITIALIZERS,):
            for name in menu(type(setting)):
                with contextlib.suppress(ValueError):  # one that this network cannot have
                    tasks += _starting(setting.replace(**{field.name: name}), batch)
    return list(dict(reversed(tasks)).items())[::-1]  # each key once, where it came first


def _by_activation(setting: AnySetting, batch: Batch) -> Iterator[Task]:
    """What is computed once for each activation, and kept."""
    lowest, _ = type(setting).limits(setting.counted)
    for name in ACTIVATIONS:
        small = setting.replace(activation=name, **{setting.counted: lowest})
        yield (type(setting), name, batch.classes), functools.partial(predict, small, batch)
        yield name, lambda name=name: ACTIVATIONS[name].flat_range


def _starting(setting: AnySetting, batch: Batch) -> Iterator[Task]:
    """What makes a setting's weights: it draws them, and perhaps fits them to the batch."""
    yield from drawing(setting, batch)
    if setting.fitted_by is not None:
        lowest, _ = type(setting).limits(setting.counted)
        small = setting.replace(**{setting.counted: lowest})
        yield (setting.fitted_by, program(setting, batch)), functools.partial(fitted, small, batch)


def _measuring(setting: AnySetting, batch: Batch) -> Iterator[Task]:
    yield program(setting, batch), functools.partial(compile_pass, setting, batch)


@functools.singledispatch
def program(setting: AnySetting, batch: Batch) -> Hashable:
    """What the compiled pass of a setting differs by from others; each kind registers its own."""
    raise TypeError(f"there is no way to measure {setting!r}")


@program.register
def _dense_program(setting: Setting, batch: Batch) -> Hashable:
    activations, _ = branches(setting.activation)
    return setting.width, setting.dtype, batch.inputs.shape, batch.classes, activations


@functools.singledispatch
def drawing(setting: AnySetting, batch: Batch) -> Iterator[Task]:
    """What is compiled to draw a setting's network; each kind registers its own."""
    raise TypeError(f"there is no way to draw {setting!r}")


@drawing.register
def _dense_drawing(setting: Setting, batch: Batch) -> Iterator[Task]:
    sizes = batch.inputs.shape[1], setting.width, batch.classes
    draw = INITIALIZERS[setting.initializer].draw
    yield (draw, *sizes), functools.partial(compile_draws, draw, *sizes)
