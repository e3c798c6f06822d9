"""Compilation ahead of need: in the background, and only while the reader's hands are still."""

import atexit
import collections
import contextlib
import threading
import time
from collections.abc import Callable, Hashable

IDLE_SECONDS = 0.8  # since the last action, before anything is compiled


class Warmer:
    """Does small tasks, one after the other, whenever nothing has happened for a while.

    A task under way cannot be interrupted, so tasks are kept short: one program each.
    """

    def __init__(self):
        self._tasks = collections.deque()
        self._seen = set()
        self._last_action = 0.0
        self._thread = None
        self._lock = threading.Lock()  # between a task that comes and a thread that goes
        self._stop = threading.Event()
        atexit.register(self._end)  # a thread in XLA at exit would abort the process

    def add(self, key: Hashable, task: Callable[[], object]) -> None:
        """Do ``task()`` some time, unless one with this key was added before."""
        if key in self._seen:
            return
        self._seen.add(key)
        with self._lock:
            self._tasks.append(task)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="initlab-warmer", daemon=True
                )
                self._thread.start()

    def act(self) -> None:
        """Say that the reader did something: the tasks wait."""
        self._last_action = time.monotonic()

    def wait(self) -> None:
        """Return when every task is done."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while task := self._next():
            # what fails here fails again when it is needed, and is then shown to the reader
            with contextlib.suppress(Exception):
                task()

    def _next(self):
        """The next task, once nothing has happened for a while; None if there is no more."""
        while not self._stop.is_set():
            wait = self._last_action + IDLE_SECONDS - time.monotonic()
            if wait <= 0:
                break
            self._stop.wait(wait)
        with self._lock:
            if self._tasks and not self._stop.is_set():
                return self._tasks.popleft()
            self._thread = None
            return None

    def _end(self) -> None:
        self._stop.set()
        self.wait()


WARMER = Warmer()
