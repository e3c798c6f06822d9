"""The spectrum of recurrent weights on the complex plane: as a panel, and as a figure."""

import dataclasses

import numpy as np
from matplotlib.axes import Axes

from initlab.architectures import Recurrent, spectrum
from initlab.figures import DPI, SpokenFigure
from initlab.setting import AnySetting
from initlab.signals import Signals
from initlab.themes import THEMES, Theme
from initlab.theory import Prediction

_TURN = np.linspace(0, 2 * np.pi, 361)


@dataclasses.dataclass(frozen=True)
class EigenvaluePanel:
    """Eigenvalues of the recurrent matrices, and the unit circle."""

    title: str
    unit: str  # label of the y axis
    reach: float  # how far the axes go from 0

    def serves(self, kind: type[AnySetting]) -> bool:
        """Whether the network has recurrent matrices."""
        return issubclass(kind, Recurrent)

    def build(self, axes: Axes, theme: Theme, layers: int, axis: str) -> "_Eigenvalues":
        """Draw the axes and the circle."""
        axes.set(xlim=(-self.reach, self.reach), ylim=(-self.reach, self.reach))
        axes.set_aspect("equal")
        axes.set_xticks((-1, 0, 1))
        axes.set_yticks((-1, 0, 1))
        axes.set_xlabel("real part")
        axes.set_ylabel(self.unit)
        axes.grid(color=theme.grid, linewidth=0.8)
        circle = {"color": theme.ink, "linewidth": 1.0, "linestyle": (0, (4, 3))}
        axes.plot(np.cos(_TURN), np.sin(_TURN), **circle)
        return _Eigenvalues(axes, self.reach, theme)


class _Eigenvalues:
    """The moving part of an :class:`EigenvaluePanel`."""

    needs_theory = False

    def __init__(self, axes: Axes, reach: float, theme: Theme):
        self._reach = reach
        style = {"marker": ".", "markersize": 4, "linestyle": "none"}
        (self._ghost,) = axes.plot([], [], color=theme.ghost, **style)
        (self._dots,) = axes.plot([], [], color=theme.blue, **style)
        self._remark = axes.text(0.98, 0.97, "", transform=axes.transAxes, ha="right", va="top")
        self._remark.set(color=theme.ink, fontsize=9)
        self.moving = [self._dots, self._remark]
        for artist in (self._ghost, *self.moving):
            artist.set_in_layout(False)

    def update(self, signals: Signals, prediction: Prediction | None) -> None:
        self.place(_recurrent(signals))

    def place(self, setting: Recurrent) -> None:
        """Show the spectrum of a setting; those beyond the axes are counted."""
        values = spectrum(setting).ravel()
        real, imaginary = np.real(values), np.imag(values)
        self._dots.set_data(real, imaginary)
        beyond = int(np.sum(np.maximum(abs(real), abs(imaginary)) > self._reach))
        self._remark.set_text(f"{beyond} further out" if beyond else "")

    def pin(self, signals: Signals | None) -> None:
        values = np.empty(0) if signals is None else spectrum(_recurrent(signals)).ravel()
        self._ghost.set_data(np.real(values), np.imag(values))


def _recurrent(signals: Signals) -> Recurrent:
    setting = signals.setting
    assert isinstance(setting, Recurrent)  # the panel serves no other kind
    return setting


def plot_spectrum(setting: Recurrent) -> SpokenFigure:
    """The eigenvalues of a recurrent network's matrices on the complex plane, and the unit circle.

    Args:
      setting: a Recurrent; the blocks of a gated cell are drawn together.

    Raises:
      TypeError: a setting of another kind.
    """
    values, theme = spectrum(setting), THEMES["light"]
    radius = abs(values).max()
    figure = SpokenFigure((3.75, 3.5), dpi=DPI, facecolor=theme.paper)
    axes = figure.add_subplot()
    panel = EigenvaluePanel("", "imaginary part", 1.1 * max(radius, 1.0))
    panel.build(axes, theme, 0, "").place(setting)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(f"{setting.recurrent_initializer}, gain {setting.gain:.4g}", fontsize=11)
    figure.tight_layout()
    figure.alternative_text = (
        f"{values.size} eigenvalues of {setting.recurrent_initializer} recurrent weights of gain"
        f" {setting.gain:.4g} on the complex plane: the largest has size {radius:.3g}, and"
        f" {np.mean(abs(values) > 1 + 1e-4):.0%} lie outside the unit circle."
    )
    return figure
