"""The race: starts that are trained side by side while one looks on."""

import atexit
import contextlib
import threading
import time
from typing import Any

import ipywidgets
import numpy as np
from IPython import get_ipython
from IPython.display import display

from initlab import page
from initlab.data import Batch
from initlab.figures import DPI, SpokenFigure
from initlab.history import History
from initlab.live import ROW, SHARPNESS, Live
from initlab.race_picture import BY_LAYER, MOST_CURVES, RacePicture, describe
from initlab.run import Run
from initlab.setting import one_of
from initlab.training import Starts, begin
from initlab.warming import WARMER

PICTURE_SECONDS = 0.12  # of training between two looks at the Stop button, and two pictures
RECORDS = 100  # how many are made of a race by default
_GROWTH = 4  # how many times as many steps a stretch may have as the one before


class Race(Live[RacePicture]):
    """Starts in training, as curves that grow; make one with :func:`initlab.race`.

    Shown in a notebook, it trains in the background: the cell returns at once, other cells can
    be run, and Stop keeps what was computed. Where nobody could press it, as when a notebook is
    executed from outside, the cell returns when the race is over, and holds its last picture.
    """

    def __init__(self, run: Run, held_out: bool, by_layer: str):
        super().__init__("an initlab race")
        self._run, self._held_out = run, held_out
        self._frames = {}  # (by_layer, dpi) -> RacePicture
        self._history: History | None = None
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self._handle: Any = None  # IPython's, of the cell's output
        self._stopping, self._recorded = threading.Event(), threading.Event()
        self._drawing = threading.RLock()
        self.stop_button: ipywidgets.Button = ipywidgets.Button(description="Stop", disabled=True)
        self.stop_button.on_click(lambda _: self.stop())
        self.by_layer: ipywidgets.Dropdown = ipywidgets.Dropdown(
            options=[(choice.title, name) for name, choice in BY_LAYER.items()],
            value=by_layer,
            description="by layer",
        )
        self.by_layer.observe(lambda _: self._draw(), "value")
        self.progress.max, self.progress.description = run.schedule[-1], "step"
        self.time_left: ipywidgets.Label = ipywidgets.Label()
        row = [self.stop_button, self.by_layer, self.progress, self.time_left]
        self._arrange([ipywidgets.Box(row, layout=ipywidgets.Layout(**ROW))])
        self.children = [child for child in self.children if child is not self.progress]
        self._fit_image()

    # --- what it shows ---------------------------------------------------------------------

    @property
    def history(self) -> History:
        """What was recorded so far; waits for the first record."""
        self.start()
        self._recorded.wait()
        if self._history is None:
            raise self._error or RuntimeError("the race ended before its first record")
        return self._history

    @property
    def figure(self) -> SpokenFigure:
        """The matplotlib Figure that is shown."""
        return self._frame(DPI).figure

    @property
    def description(self) -> str:
        """The race in words: who is how far, and who diverged."""
        return describe(self.history)

    def _measure(self) -> None:
        """Training goes on by itself."""

    def _frame(self, dpi: float) -> RacePicture:
        key = str(self.by_layer.value), dpi
        if key not in self._frames:
            run = self._run
            self._frames[key] = RacePicture(
                run.names, run.settings, run.schedule[-1], self._held_out, key[0], dpi
            )
        return self._frames[key]

    def _show(self, frame: RacePicture) -> None:
        if self._history is not None:
            frame.update(self._history, self._run.step)

    def _draw(self, dpi: float = DPI) -> None:
        with self._drawing:  # the dropdown draws, too
            frame = self._frame(dpi)
            self._show(frame)
            self.image.value = frame.png()

    # --- training --------------------------------------------------------------------------

    def start(self) -> threading.Thread:
        """Begin to train in the background, in a thread of its own; a second call does nothing."""
        if self._thread is None:
            self.stop_button.disabled = False
            self.status.value = page.status("Preparing.")
            self._thread = threading.Thread(target=self._train, name="initlab-race", daemon=True)
            self._thread.start()
        return self._thread

    def stop(self) -> None:
        """End training early; what was computed is kept."""
        self._stopping.set()
        self.stop_button.disabled = True

    def wait(self) -> History:
        """Return when the race is over; an interrupt ends it early. Errors are raised here."""
        thread = self.start()
        try:
            thread.join()
        except KeyboardInterrupt:
            self.stop()
            thread.join()
        if self._error is not None:
            raise self._error
        return self.history

    def _train(self) -> None:
        try:
            self._prepare_programs()
            self._go()
            self._draw(DPI * SHARPNESS)
            ended = "" if self._run.complete and not self._stopping.is_set() else "Stopped. "
            self.status.value = page.status(ended + self.description)
        except Exception as error:
            self._error = error
            self.status.value = page.status(f"{type(error).__name__}: {error}")
        finally:
            self._recorded.set()
            self.stop_button.disabled = True
            self.time_left.value = ""
            _RUNNING.pop(self, None)
        with contextlib.suppress(Exception):  # the page may be gone
            self._keep_last_picture()

    def _prepare_programs(self) -> None:
        """Compile what takes steps on one side, while the first record is made on the other."""
        run = self._run
        run.draw()
        other = threading.Thread(target=self._prepare_steps)
        other.start()
        self._after_record(run.advance(1))
        other.join()

    def _prepare_steps(self) -> None:
        with contextlib.suppress(Exception):  # it comes again, and is named, with the first step
            self._run.prepare()

    def _go(self) -> None:
        run, count, begun, told = self._run, 1, time.perf_counter(), set()
        while not run.complete and not self._stopping.is_set():
            WARMER.act()  # what else is to be compiled can wait
            start, before = time.perf_counter(), run.step
            recorded = run.advance(count)
            seconds = time.perf_counter() - start
            # a record takes time of its own, and says nothing of how long a step takes
            if not recorded:
                fitting = int((run.step - before) * PICTURE_SECONDS / seconds)
                count = max(1, min(fitting, _GROWTH * count))
            self._after_record(recorded)
            self.progress.value = run.step
            left = (time.perf_counter() - begun) * (run.schedule[-1] / run.step - 1)
            self.time_left.value = say_seconds_left(left)
            self._tell_divergence(told)
        run.end_here()
        self._history = run.history()

    def _after_record(self, recorded: bool) -> None:
        if recorded:
            self._history = self._run.history()
            self._recorded.set()
        self._draw()

    def _tell_divergence(self, told: set[int]) -> None:
        """Speak of each start that diverged, once."""
        history = self.history
        diverged = {place for place, at in enumerate(history.diverged_at) if at is not None}
        if diverged - told:
            words = (f"{history.names[p]} {history.say_divergence(p)}" for p in sorted(diverged))
            self.status.value = page.status("; ".join(words) + ".")
            told |= diverged

    # --- where it is shown -----------------------------------------------------------------

    def _ipython_display_(self, **_) -> None:
        """Show the live widget and begin; what stands for it on paper follows when it is over."""
        self._handle = display(self._live, raw=True, display_id=True)
        cell = _cell()
        for race, its_cell in list(_RUNNING.items()):
            if its_cell == cell and race is not self:
                race.stop()
        if self._thread is not None and not self._thread.is_alive():
            self._keep_last_picture()  # the race was over before it was shown
            return
        _RUNNING[self] = cell
        self.start()
        if not _somebody_looks():
            self.wait()

    def _keep_last_picture(self) -> None:
        if self._handle is not None and self._history is not None:
            self._keep_picture(self._handle)

    def close(self) -> None:
        """Stop training, and close every widget of it."""
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for widget in (self.stop_button, self.by_layer, self.progress, self.time_left):
            widget.close()
        super().close()


_RUNNING: dict[Race, object] = {}  # and the cells that show them


@atexit.register
def _end() -> None:
    for race in list(_RUNNING):  # a thread in XLA at exit would abort the process
        race.stop()
        if race._thread is not None:
            race._thread.join()


def _cell() -> object:
    """What the front end calls the cell that is being run; None where it does not say."""
    parent = getattr(get_ipython(), "get_parent", dict)()
    return parent.get("metadata", {}).get("cellId")


def _somebody_looks() -> bool:
    """Whether a person runs the cell: front ends then take input, and executors do not."""
    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def say_seconds_left(seconds: float) -> str:
    """How long it will take, in words.

    >>> say_seconds_left(3.2), say_seconds_left(75)
    ('about 4 s left', 'about 2 min left')
    """
    if seconds < 60:
        return f"about {int(np.ceil(seconds))} s left"
    return f"about {int(np.ceil(seconds / 60))} min left"


def race(
    settings: Starts,
    batch: Batch | None = None,
    *,
    by_layer: str = "gradient",
    **options: Any,
) -> Race:
    """Train several starts side by side, and watch.

    Curves of loss, accuracy and one measure by layer grow while training goes on in the
    background; Stop keeps what was computed, and ``race.history`` is what
    :func:`initlab.train` would have returned.

    Args:
      settings: the starts, at most eight apart from seeds; see :func:`initlab.train`. A dict
        gives them names.
      batch: what is learned from; by default 1,024 of the handwritten digits.
      by_layer: what is shown by layer: "gradient", "neurons" or "update", the last step's update
        relative to the weights.
      **options: those of :func:`initlab.train`, but for ``progress``. With ``seeds=8`` a curve is
        the median of eight seeds, with a confidence interval of the median as a band. About 100
        records are made by default.

    Raises:
      TypeError, ValueError: what :func:`initlab.train` raises; more than eight curves.
    """
    one_of("by_layer", by_layer, tuple(BY_LAYER))
    steps = options.get("steps", 200)
    if "record_every" not in options and isinstance(steps, int):
        options["record_every"] = max(1, -(-steps // RECORDS))
    run = begin(settings, batch, **options)
    if len(set(run.names)) > MOST_CURVES:
        raise ValueError(
            f"a race has at most {MOST_CURVES} starts apart from seeds, not {len(set(run.names))}"
        )
    return Race(run, batch is None or options.get("held_out") is not None, by_layer)
