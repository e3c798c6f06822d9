"""The prophet: what was said of a start before training, beside what training made of it."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from initlab.data import Batch, digits
from initlab.diagnosis import Diagnosis, diagnose
from initlab.history import History
from initlab.setting import AnySetting
from initlab.signals import probe
from initlab.tables import Table
from initlab.training import TRAINED_DIGITS, Starts, train

#: A start has learned if its accuracy is this much above the share of the largest class, five
#: standard deviations of a guess among 1,000 examples, …
ACCURACY_MARGIN = 0.05
#: … and its loss is below this share of the classes' entropy, which it has who knows nothing but
#: how frequent they are.
ENTROPY_SHARE = 0.95
OUTCOMES = ("learned", "stalled", "diverged")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Prophecy:
    """Diagnoses of starts, and the outcomes of their training. Who is healthy is to learn."""

    #: of each start, before training
    diagnoses: tuple[Diagnosis, ...]
    history: History
    #: of each start, "learned", "stalled" or "diverged"
    outcomes: tuple[str, ...]

    @property
    def healthy(self) -> np.ndarray:
        """Of each start, whether no failure was found before training."""
        return np.array([diagnosis.healthy for diagnosis in self.diagnoses])

    @property
    def learned(self) -> np.ndarray:
        """Of each start, whether training taught it anything."""
        return np.array([outcome == "learned" for outcome in self.outcomes])

    @property
    def hit_rate(self) -> float:
        """The share of starts that learned if they were healthy, and did not if they were not."""
        return float(np.mean(self.healthy == self.learned))

    @property
    def misses(self) -> list[int]:
        """Where the starts stand that did otherwise than was said."""
        return [int(place) for place in np.flatnonzero(self.healthy != self.learned)]

    def table(self, places: Iterable[int] | None = None) -> Table:
        """A row for each start, or for those at some places, such as ``misses``."""
        places = range(len(self.outcomes)) if places is None else places
        return Table(
            str(self).splitlines()[0],
            ("start", "seed", "said before", "outcome", "loss", "accuracy"),
            tuple(self._row(place) for place in places),
        )

    def _row(self, place: int) -> tuple[str, ...]:
        history, diagnosis = self.history, self.diagnoses[place]
        modes = ", ".join(failure.mode for failure in diagnosis.failures)
        return (
            history.names[place],
            str(history.settings[place].seed),
            modes or "healthy",
            history.say_divergence(place) or self.outcomes[place],
            f"{history.loss[place, -1]:.3g}",
            f"{_accuracy(history)[place]:.1%}",
        )

    def by_mode(self) -> Table:
        """A row for each thing that was said: of how many starts, and what became of them."""
        said = {"healthy": np.flatnonzero(self.healthy)}
        for place, diagnosis in enumerate(self.diagnoses):
            for failure in diagnosis.failures:
                said[failure.mode] = np.append(said.get(failure.mode, []), place).astype(int)
        return Table(
            f"What was said of {len(self.outcomes)} starts, and what became of them.",
            ("said before", "starts", *OUTCOMES),
            tuple(
                (
                    mode,
                    str(len(places)),
                    *(
                        str(sum(self.outcomes[p] == outcome for p in places))
                        for outcome in OUTCOMES
                    ),
                )
                for mode, places in said.items()
            ),
        )

    def __repr__(self) -> str:
        healthy, learned = self.healthy, self.learned
        return (
            f"{self.hit_rate:.0%} of {len(healthy)} starts did as was said after"
            f" {self.history.steps[-1]} steps: {np.sum(healthy & learned)} of {healthy.sum()}"
            f" healthy ones learned, {np.sum(~healthy & ~learned)} of {np.sum(~healthy)} others"
            f" did not.\n{self.by_mode()}"
        )

    def _repr_markdown_(self):
        return f"{self.table()._repr_markdown_()}\n\n{self.by_mode()._repr_markdown_()}"


def prophecy(settings: Starts, batch: Batch | None = None, **options: Any) -> Prophecy:
    """Diagnose starts, train them, and see whether it came as the diagnosis says.

    A start has *learned* if its accuracy, on the examples held out if there are any, is 0.05
    above the largest class's share, and its loss 5% below the entropy of the classes' frequencies;
    it has *diverged* if its loss was not a finite number once, and *stalled* otherwise.

    Args:
      settings: the starts; see :func:`initlab.train`. Each is diagnosed with its own weights.
      batch: what is learned from; by default 1,024 of the handwritten digits. Its first examples,
        as many as ``probe`` takes by default, are what starts are diagnosed on.
      **options: those of :func:`initlab.train`, but for ``initial``. How long is trained decides
        what "stalled" means.

    Raises:
      TypeError, ValueError: what :func:`initlab.train` raises.

    >>> from initlab import Setting
    >>> starts = [Setting(depth=3, width=32), Setting(depth=3, width=32, initializer="zeros")]
    >>> prophecy(starts).outcomes
    ('learned', 'stalled')
    """
    if "initial" in options:
        raise TypeError("prophecy judges the settings' own weights, so that it takes no initial")
    history = train(settings, batch, **options)
    batch = digits(TRAINED_DIGITS) if batch is None else batch
    diagnoses = tuple(diagnose(probe(one, _few(batch, one))) for one in history.settings)
    return Prophecy(diagnoses, history, _outcomes(history, batch.labels))


def _few(batch: Batch, setting: AnySetting) -> Batch:
    count = setting.examples
    return Batch(batch.inputs[:count], batch.labels[:count], batch.classes)


def _accuracy(history: History) -> np.ndarray:
    """Of each start at the end, on the examples held out if there are any."""
    held_out = history.held_out_accuracy[:, -1]
    return history.accuracy[:, -1] if np.isnan(held_out).all() else held_out


def learned(loss: np.ndarray, accuracy: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether each start has learned, as :func:`prophecy` defines it: ``[S]``, as its arguments.

    Args:
      loss: in nats, on the examples learned from.
      accuracy: 0 to 1, on those held out if there are any.
      labels: of the examples learned from.
    """
    share = np.bincount(labels) / len(labels)
    share = share[share > 0]
    entropy = -np.sum(share * np.log(share))
    return (accuracy > share.max() + ACCURACY_MARGIN) & (loss < ENTROPY_SHARE * entropy)


def _outcomes(history: History, labels) -> tuple[str, ...]:
    """What became of each start: learned, stalled or diverged."""
    return tuple(
        "diverged" if diverged_at is not None else "learned" if learns else "stalled"
        for diverged_at, learns in zip(
            history.diverged_at,
            learned(history.loss[:, -1], _accuracy(history), labels),
            strict=True,
        )
    )
