"""A training under way: groups of starts that advance together, and their records."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from initlab.history import History
from initlab.parameters import Parameters
from initlab.setting import AnySetting
from initlab.trainer import Group


class Run:
    """Several starts on their way through a schedule of records; nothing is computed at first.

    Args:
      settings: the starts.
      names: what each of them is called.
      group: draws all starts and returns those that are trained by one program as a group each;
        called when the first of them is needed.
      schedule: the steps at which records are made: from 0 to the last.
      keep_first_layer: whether records hold the weights that read the input.
    """

    def __init__(
        self,
        settings: tuple[AnySetting, ...],
        names: tuple[str, ...],
        group: Callable[[], list[Group]],
        schedule: list[int],
        keep_first_layer: bool,
    ):
        self.settings: tuple[AnySetting, ...] = settings
        self.names: tuple[str, ...] = names
        self.schedule: list[int] = schedule
        self.step: int = 0  # how many were taken
        self.recorded: int = 0  # how many records there are
        self._group, self._keep_first_layer = group, keep_first_layer
        self._arrays: dict[str, np.ndarray] = {}
        self._parameters: list[Parameters] = []
        self._diverged: list[tuple[int, int] | None] = []

    @functools.cached_property
    def _groups(self) -> list[Group]:
        return self._group()

    @property
    def complete(self) -> bool:
        """Whether the last record was made."""
        return self.recorded == len(self.schedule)

    def draw(self) -> None:
        """Draw all starts."""
        self._groups  # noqa: B018 - a cached property

    def prepare(self) -> None:
        """Compile what takes steps, by taking none."""
        for group in self._groups:
            group.advance(0)

    def advance(self, most: int) -> bool:
        """Take at most so many steps, and none beyond the next record; make that if it is due.

        Returns whether a record was made, and when all is computed.
        """
        due = self.schedule[self.recorded]
        count = min(most, due - self.step)
        if count:
            for group in self._groups:
                group.advance(count)
        if self.step + count < due:
            for group in self._groups:
                group.wait()
            self.step += count
            return False
        self._add([group.record(self._keep_first_layer) for group in self._groups])
        self.step += count
        return True

    def finish(self) -> dict[str, np.ndarray]:
        """Take all steps at once, and tell how well the starts then do, with no layer measured.

        Returns float64 arrays ``[S]`` by the names of History; ``diverged_at`` is -1 for never.
        """
        out: dict[str, np.ndarray] = {}
        for group in self._groups:
            group.advance(self.schedule[-1])
            found = group.outcome()
            for name in ("loss", "accuracy", "held_out_accuracy", "diverged_at"):
                out.setdefault(name, np.empty(len(self.settings)))[group.places] = found[name]
        return out

    def end_here(self) -> None:
        """Make the last record now, before the schedule's end."""
        if self.recorded and self.step > self.schedule[self.recorded - 1]:
            self.schedule[self.recorded] = self.step
            self._add([group.record(self._keep_first_layer) for group in self._groups])

    def _add(self, measured: list[dict[str, np.ndarray]]) -> None:
        """Add a record: a dict for each group, as :meth:`Group.record` returns them."""
        for name in measured[0]:
            if not self.recorded:
                sizes = np.max([record[name].shape[1:] for record in measured], axis=0)
                shape = (len(self.settings), len(self.schedule), *sizes.astype(int))
                self._arrays[name] = np.full(shape, np.nan, measured[0][name].dtype)
            for group, record in zip(self._groups, measured, strict=True):
                used = tuple(slice(size) for size in record[name].shape[1:])
                self._arrays[name][(group.places, self.recorded, *used)] = record[name]
        self._parameters = self._in_place("parameters")
        self._diverged = self._in_place("diverged")
        self.recorded += 1

    def _in_place(self, name: str) -> list[Any]:
        """What groups have for each of their starts, in the order of settings."""
        out: list[Any] = [None] * len(self.settings)
        for group in self._groups:
            for place, own in zip(group.places, getattr(group, name), strict=True):
                out[place] = own
        return out

    def history(self) -> History:
        """The records so far; later ones do not change it."""
        diverged_at, diverged_layer = zip(*(d or (None, None) for d in self._diverged), strict=True)
        arrays = {name: values[:, : self.recorded] for name, values in self._arrays.items()}
        return History(
            settings=self.settings,
            names=self.names,
            steps=np.array(self.schedule[: self.recorded]),
            parameters=self._parameters,
            diverged_at=diverged_at,
            diverged_layer=diverged_layer,
            complete=self.complete,
            first_layer=arrays.pop("first_layer", None),
            **arrays,
        )
