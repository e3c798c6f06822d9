"""Compilation ahead of need: in the background, and only while the reader's hands are still."""

import atexit
import collections
import threading
import time

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
        self._stop = threading.Event()
        atexit.register(self._end)  # a thread in XLA at exit would abort the process

    def add(self, key, task) -> None:
        """Do ``task()`` some time, unless one with this key was added before."""
        if key in self._seen:
            return
        self._seen.add(key)
        self._tasks.append(task)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="initlab-warmer", daemon=True)
            self._thread.start()

    def act(self) -> None:
        """Say that the reader did something: the tasks wait."""
        self._last_action = time.monotonic()

    def _work(self) -> None:
        while self._tasks and not self._stop.is_set():
            wait = self._last_action + IDLE_SECONDS - time.monotonic()
            if wait > 0:
                self._stop.wait(wait)
                continue
            self._tasks.popleft()()

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


WARMER = Warmer()
