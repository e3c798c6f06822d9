"""What is compiled before it is needed: for the first frame at once, for later ones when idle."""

import contextlib
import threading
from collections.abc import Iterable, Iterator

from initlab.activations import ACTIVATIONS, branches
from initlab.data import Batch
from initlab.draws import compile_draws
from initlab.initializers import INITIALIZERS
from initlab.network import compile_pass
from initlab.setting import Setting
from initlab.theory import predict
from initlab.warming import WARMER


def prepare(setting: Setting, batch: Batch) -> None:
    """Compile all that a width needs, so that no control but width waits for it later."""
    for _, task in (*_by_activation(batch), *_by_width(setting, batch, INITIALIZERS.values())):
        task()


def prepare_when_idle(setting: Setting, batch: Batch, widths: Iterable[int]) -> None:
    """The same while the reader's hands are still; then other widths, for this initializer."""
    chosen = INITIALIZERS[setting.initializer]
    tasks = [*_by_activation(batch), *_by_width(setting, batch, INITIALIZERS.values())]
    for width in widths:
        tasks += _by_width(setting.replace(width=width), batch, [chosen])
    for key, task in tasks:
        WARMER.add(key, task)


def first_frame(setting: Setting, batch: Batch) -> Iterator[int]:
    """Compile measuring on one side, drawing and theory on the other; yield how far it is, 1 and 2.

    An error is not shown here: it comes again, and is named, when the picture is made.
    """
    features, classes = batch.inputs.shape[1], batch.classes
    draw = INITIALIZERS[setting.initializer].draw

    def draw_and_predict() -> None:
        with contextlib.suppress(Exception):
            compile_draws(draw, features, setting.width, classes)
            predict(setting, batch)

    other = threading.Thread(target=draw_and_predict)
    other.start()
    with contextlib.suppress(Exception):
        compile_pass(setting, batch)
    yield 1
    other.join()
    yield 2


def _by_activation(batch: Batch):
    """What is computed once for each activation, and kept: pairs of a key and a task."""
    plain = Setting(depth=1)
    for name in ACTIVATIONS:
        setting = plain.replace(activation=name)
        yield (name, batch.classes), lambda setting=setting: predict(setting, batch)
        yield name, lambda name=name: ACTIVATIONS[name].flat_range


def _by_width(setting: Setting, batch: Batch, entries):
    """What is compiled for a setting's width, to draw by these entries: pairs of key and task."""
    sizes = batch.inputs.shape[1], setting.width, batch.classes
    for draw in dict.fromkeys(entry.draw for entry in entries):
        yield (draw, *sizes), lambda draw=draw: compile_draws(draw, *sizes)
    activations, _ = branches(setting.activation)
    shape = setting.width, setting.dtype, batch.inputs.shape, batch.classes, activations
    yield shape, lambda: compile_pass(setting, batch)
