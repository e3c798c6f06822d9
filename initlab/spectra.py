"""Spectra: singular values of the Jacobian, and recurrent eigenvalues on the complex plane."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from initlab import details
from initlab.architectures import Recurrent, spectrum
from initlab.details import can_measure
from initlab.figures import DPI, SpokenFigure
from initlab.panel_kinds import remark, say_overflow
from initlab.setting import AnySetting
from initlab.signals import Signals
from initlab.themes import THEMES, Theme
from initlab.theory import Prediction

_TURN = np.linspace(0, 2 * np.pi, 361)


@dataclasses.dataclass(frozen=True)
class SpectrumPanel:
    """Singular values of the input-output Jacobian at one example, largest first."""

    title: str
    unit: str
    limits: tuple[float, float]
    measure: Callable[..., np.ndarray] = details.jacobian_singular_values

    def serves(self, kind: type[AnySetting]) -> bool:
        """Whether there is a way to measure it."""
        return can_measure(self.measure, kind)

    def build(self, axes: Axes, theme: Theme, layers: int, axis: str) -> "_Spectrum":
        """Draw the axes."""
        axes.set_xlim(0, 1)
        axes.set_xticks((0, 0.5, 1), ("largest", "", "smallest"))
        axes.set_xlabel("rank")
        axes.set_yscale("log")
        axes.set_ylim(*self.limits)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.axhline(1.0, color=theme.ink, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.grid(color=theme.grid, linewidth=0.8)
        return _Spectrum(axes, self, theme)


class _Spectrum:
    """The moving part of a :class:`SpectrumPanel`."""

    needs_theory = False

    def __init__(self, axes: Axes, panel: SpectrumPanel, theme: Theme):
        self._title, self._limits = panel.title, panel.limits
        style = {"marker": ".", "linestyle": "none", "clip_on": False}
        (self._ghost,) = axes.plot([], [], color=theme.ghost, **style)
        (self._dots,) = axes.plot([], [], color=theme.blue, **style)
        for artist in (self._ghost, self._dots):
            artist.set_in_layout(False)
        self._remark = remark(axes, theme)
        self.moving = [self._dots, self._remark]

    def update(self, signals: Signals, prediction: Any) -> None:
        self._place(self._dots, signals)
        self._remark.set_text(say_overflow(signals))

    def pin(self, signals: Signals | None) -> None:
        self._place(self._ghost, signals)

    def _place(self, dots, signals: Signals | None) -> None:
        values = np.empty(0)
        if signals is not None and signals.first_overflow is None:
            values = signals.jacobian_singular_values()
        dots.set_data(
            (np.arange(len(values)) + 0.5) / max(len(values), 1), np.clip(values, *self._limits)
        )

    def describe(self, signals: Signals, prediction: Any) -> str:
        """The largest and the smallest."""
        silent = signals.first_overflow is not None
        values = np.empty(0) if silent else signals.jacobian_singular_values()
        known = values[np.isfinite(values)]
        if len(known) == 0:
            return f"{self._title}: not known."
        lost = len(values) - len(known)
        words = f"{self._title}, {len(values)} of them, from {known[0]:.3g} to {known[-1]:.3g}"
        return f"{words}{f', and {lost} that rounding has lost' if lost else ''}."


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
        return _Eigenvalues(axes, self, theme)


class _Eigenvalues:
    """The moving part of an :class:`EigenvaluePanel`."""

    needs_theory = False

    def __init__(self, axes: Axes, panel: EigenvaluePanel, theme: Theme):
        self._title, self._reach = panel.title, panel.reach
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

    def describe(self, signals: Signals, prediction: Any) -> str:
        """How far they reach, and how many lie outside the circle."""
        return f"{self._title}: {_say_spectrum(_recurrent(signals))}."


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
        f" {setting.gain:.4g} on the complex plane: {_say_spectrum(setting)}."
    )
    return figure


def _say_spectrum(setting: Recurrent) -> str:
    sizes = abs(spectrum(setting))
    outside = np.mean(sizes > 1 + 1e-4)
    return f"the largest has size {sizes.max():.3g}, and {outside:.0%} lie outside the unit circle"
