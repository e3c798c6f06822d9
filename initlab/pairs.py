"""Initializers against activations: a heat map of who goes with whom, at one depth."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import SymLogNorm

from initlab.activations import ACTIVATIONS
from initlab.checking import several
from initlab.diagnosis import diagnose
from initlab.failures import gradient_ratio
from initlab.figures import DPI, SpokenFigure, write_over
from initlab.frames import Frame
from initlab.initializers import INITIALIZERS
from initlab.setting import Setting
from initlab.signals import probe
from initlab.themes import LIGHT, RATIOS

INITIALIZERS_SHOWN = ("lecun_normal", "glorot_normal", "he_normal", "orthogonal", "torch_default")
ACTIVATIONS_SHOWN = ("linear", "tanh", "relu", "gelu", "selu", "sigmoid")

FARTHEST = 20  # powers of ten; colors end there, and numbers in cells become a sign


@dataclasses.dataclass(frozen=True)
class Table:
    """Starts of one depth: by how much the gradient changes, and which of them are healthy."""

    depth: int
    initializers: tuple[str, ...]
    activations: tuple[str, ...]
    #: [initializers, activations] power of ten of the gradient's second moment, first over last
    powers: np.ndarray
    #: [initializers, activations]
    healthy: np.ndarray

    def describe(self) -> str:
        """The table in words, row by row."""
        told = [
            f"{name} with "
            + ", ".join(
                f"{activation} {say_power(power)}{' (healthy)' if fine else ''}"
                for activation, power, fine in zip(self.activations, powers, healthy, strict=True)
            )
            for name, powers, healthy in zip(
                self.initializers, self.powers, self.healthy, strict=True
            )
        ]
        return (
            f"Power of ten of the gradient's second moment, first over last of {self.depth}"
            f" layers: {'; '.join(told)}. {self.healthy.sum()} of {self.healthy.size} are healthy."
        )

    def describe_healthy(self) -> str:
        """Which activations each initializer is healthy with, in a sentence."""
        told = []
        for name, healthy in zip(self.initializers, self.healthy, strict=True):
            fine = [a for a, well in zip(self.activations, healthy, strict=True) if well]
            told.append(f"{name} with {', '.join(fine) or 'none'}")
        return f"Healthy at depth {self.depth}: {'; '.join(told)}."


def measure_table(
    depth: int, width: int, initializers: Sequence[str], activations: Sequence[str], seed: int
) -> Table:
    """Probe every pair; the arguments are those of :func:`plot_table`."""
    initializers = several("initializers", initializers, INITIALIZERS_SHOWN)
    activations = several("activations", activations, ACTIVATIONS_SHOWN)
    rows = tuple(INITIALIZERS.canonical(name) for name in initializers)
    columns = tuple(ACTIVATIONS.canonical(name) for name in activations)
    if not rows or not columns:
        raise ValueError("a table needs an initializer and an activation at least")
    base = Setting(depth=depth, width=width, seed=seed)
    powers = np.full((len(rows), len(columns)), np.nan)
    healthy = np.zeros(powers.shape, bool)
    for row, column in np.ndindex(powers.shape):
        signals = probe(base.replace(initializer=rows[row], activation=columns[column]))
        with np.errstate(divide="ignore"):
            powers[row, column] = np.log10(gradient_ratio(signals))
        healthy[row, column] = diagnose(signals).healthy
    return Table(depth, rows, columns, powers, healthy)


class TableMap(Frame):
    """Initializers against activations as a heat map, whose cells follow :meth:`update`.

    Args:
      initializers: names, one for each row.
      activations: names, one for each column.
      dpi: dots an inch.
    """

    def __init__(self, initializers: Sequence[str], activations: Sequence[str], dpi: float = DPI):
        rows, columns = len(initializers), len(activations)
        size = (2 + 0.875 * columns, 1 + 0.4375 * rows)
        figure = SpokenFigure(size, dpi=dpi, facecolor=LIGHT.paper)
        axes = figure.add_subplot()
        self._image = axes.imshow(
            np.zeros((rows, columns)),
            cmap=RATIOS,
            norm=SymLogNorm(1.0, vmin=-2 * FARTHEST, vmax=2 * FARTHEST),
            aspect="auto",
        )
        self._texts = {
            (row, column): axes.text(column, row, "", ha="center", va="center")
            for row, column in np.ndindex(rows, columns)
        }
        axes.set_xticks(range(columns), activations)
        axes.set_yticks(range(rows), initializers)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        self._title = axes.set_title(" ", fontsize=10)
        figure.tight_layout()
        super().__init__(figure, [self._image, *self._texts.values(), self._title])

    def update(self, table: Table) -> None:
        """Give the cells the colors and the numbers of a table of the same rows and columns."""
        shown = np.clip(table.powers, -FARTHEST, FARTHEST)
        self._image.set_data(np.ma.masked_invalid(shown))
        for place, text in self._texts.items():
            fine = table.healthy[place]
            text.set_text(say_power(float(table.powers[place])) + (" ✓" if fine else ""))
            text.set_fontweight("bold" if fine else "normal")
            write_over(text, self._image.to_rgba(np.nan_to_num(shown[place])), LIGHT)
        self._title.set_text(
            f"depth {table.depth}: power of ten of gradient, first over last layer"
        )


def plot_table(
    depth: int = 30,
    width: int = 64,
    initializers: Sequence[str] = INITIALIZERS_SHOWN,
    activations: Sequence[str] = ACTIVATIONS_SHOWN,
    seed: int = 0,
) -> SpokenFigure:
    """Initializers against activations, at one depth: by how much the gradient changes.

    A cell's number is the power of ten of the gradient's second moment in the first hidden layer
    over that in the last; a tick marks the starts that :func:`initlab.diagnose` finds healthy.

    Args:
      depth: hidden layers.
      width: units in each.
      initializers: names, one for each row.
      activations: names, one for each column.
      seed: which random numbers are drawn.

    Raises:
      ValueError: an unknown name, a number out of range, or nothing to draw.
    """
    table = measure_table(depth, width, initializers, activations, seed)
    picture = TableMap(table.initializers, table.activations)
    picture.update(table)
    picture.figure.alternative_text = table.describe()
    return picture.figure


def say_power(power: float) -> str:
    """A power of ten with its sign, in a word where there is none."""
    if np.isnan(power):
        return "none"
    if abs(power) > FARTHEST:
        return f"{'<' if power < 0 else '>'} {np.sign(power) * FARTHEST:+.0f}"
    return f"{round(power) + 0:+d}" if round(power) else "0"
