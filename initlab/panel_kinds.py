"""Kinds of panel: curves over layers, and a matrix as colours; spectra have a module of their own.

Each has a title, a unit, and a ``build`` that draws the fixed part on some axes and returns an
object with the moving part: its artists ``moving``, ``update`` for other signals, ``pin`` for a
ghost of some, ``describe`` for what signals show there, in words, and ``needs_theory``. ``serves``
tells whether a kind of network has the measure.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from initlab.details import can_measure
from initlab.setting import AnySetting
from initlab.signals import LAYER_FIELDS, Signals
from initlab.themes import Theme


@dataclasses.dataclass(frozen=True)
class Series:
    """One curve over layers: its name in the legend, the field of Signals, and how it is drawn."""

    label: str
    field: str
    color: str  # a colour of Theme
    line: str = "-"


@dataclasses.dataclass(frozen=True)
class LayerPanel:
    """Fields of Signals over layers; logarithmic where values span orders of magnitude."""

    title: str
    unit: str  # label of the y axis
    limits: tuple[float, float]
    ticks: tuple[float, ...]
    series: tuple[Series, ...]
    logarithmic: bool = True
    plain_ticks: bool = False  # 16 instead of 10^1.2
    legend: Literal["lower right", "upper left"] = "lower right"

    def serves(self, kind: type[AnySetting]) -> bool:
        """Whether the network has all of the measures."""
        return all(one.field in (*LAYER_FIELDS, *kind.more) for one in self.series)

    def build(self, axes: Axes, theme: Theme, layers: int, axis: str) -> "_Curves":
        """Draw the axes for this many layers; ``axis`` says what a layer is."""
        axes.set_xlim(-0.01 * layers, 1.01 * layers)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 4, 5, 8, 10], integer=True))
        axes.set_xlabel(axis)
        if self.logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(*self.limits)
        labels = [f"{tick:g}" for tick in self.ticks] if self.plain_ticks else None
        axes.set_yticks(self.ticks, labels)
        axes.grid(color=theme.grid, linewidth=0.8)
        return _Curves(axes, self, theme)


class _Curves:
    """The moving part of a :class:`LayerPanel`: theory's band, ghosts, curves and a remark."""

    needs_theory = True

    def __init__(self, axes: Axes, panel: LayerPanel, theme: Theme):
        self._panel = panel
        self._theory = _Theory(axes, panel, theme)
        self._ghosts = [_Curve(axes, panel, one, theme.ghost, True) for one in panel.series]
        self._curves = [_Curve(axes, panel, one, getattr(theme, one.color)) for one in panel.series]
        if len(panel.series) > 1:
            handles = [curve.line for curve in self._curves]
            style = {"frameon": False, "labelcolor": theme.ink, "fontsize": 9, "ncols": 2}
            axes.legend(handles=handles, loc=panel.legend, **style)
        self._remark = remark(axes, theme)
        curves = [artist for curve in self._curves for artist in curve.artists]
        self.moving = [*self._theory.artists, *curves, self._remark]

    def update(self, signals: Signals, prediction: Any) -> None:
        self._theory.update(signals, prediction)
        for curve in self._curves:
            curve.update(signals)
        self._remark.set_text(self._say(signals))

    def pin(self, signals: Signals | None) -> None:
        for ghost in self._ghosts:
            ghost.update(signals)

    def describe(self, signals: Signals, prediction: Any) -> str:
        """Where each curve begins and ends, and theory's, if there is one."""
        told = []
        for place, series in enumerate(self._panel.series):
            name = f", {series.label}" if len(self._panel.series) > 1 else ""
            predicted = getattr(prediction, series.field, None) if place == 0 else None
            if predicted is not None and np.isnan(predicted).all():
                predicted = None
            ends = say_ends(signals.by_layer(series.field), signals.depth)
            theory = "" if predicted is None else f"; theory {say_ends(predicted, signals.depth)}"
            told.append(f"{name} {ends}{theory}")
        return f"{self._panel.title}{''.join(told)}."

    def _say(self, signals: Signals) -> str:
        """What a curve cannot show: an overflow, or a logarithm of 0."""
        overflow = say_overflow(signals)
        if overflow or not self._panel.logarithmic:
            return overflow
        values = signals.by_layer(self._panel.series[0].field)
        zero = layers_of(values, signals.depth)[values == 0]
        if len(zero) == 0:
            return ""
        until = f"s {zero[0]} to {zero[-1]}" if len(zero) > 1 else f" {zero[0]}"
        return f"exactly 0 in layer{until}"


def layers_of(values: np.ndarray, depth: int) -> np.ndarray:
    """The layers that an array by layer speaks of: from 0 if it has the input, else from 1."""
    return np.arange(depth + 1 - len(values), depth + 1)


_GHOST_LINES = {"-": (0, (1, 1)), "--": (0, (4, 1.5, 1, 1.5))}  # in place of a series' own


def say_ends(values: np.ndarray, depth: int) -> str:
    """Where an array by layer begins and ends, in words.

    >>> say_ends(np.array([1, 0.5, np.inf]), 2)
    'from 1 at layer 0 to 0.5 at layer 1, then not finite'
    """
    layers, known = layers_of(values, depth), np.isfinite(values)
    if not known.any():
        return "not known"
    first, last = np.flatnonzero(known)[[0, -1]]
    words = f"{values[first]:.3g} at layer {layers[first]}"
    if last > first:
        words = f"from {words} to {values[last]:.3g} at layer {layers[last]}"
    return words if known[-1] else f"{words}, then not finite"


class _Curve:
    """A series' artists on its axes: the line, and marks where it leaves the axes.

    A ghost is told apart by its dashes and hollow marks: grey and green are not by everybody.
    """

    def __init__(self, axes, panel: LayerPanel, series: Series, color: str, ghost: bool = False):
        self._field, self._limits = series.field, panel.limits
        self._stride = 1 + round(axes.get_xlim()[1]) // 24  # a row of marks, not a bar
        style = {"color": color, "linestyle": series.line, "linewidth": 2.0, "zorder": 3}
        edge = {"linestyle": "none", "color": color, "markersize": 5, "clip_on": False}
        if ghost:
            style |= {"linestyle": _GHOST_LINES[series.line], "linewidth": 1.5, "zorder": 2}
            edge["markerfacecolor"] = "none"
        (self.line,) = axes.plot([], [], label=series.label, **style)
        (self._over,) = axes.plot([], [], marker="^", zorder=4, **edge)
        (self._under,) = axes.plot([], [], marker="v", zorder=4, **edge)
        self.artists = [self.line, self._over, self._under]
        for artist in self.artists:
            artist.set_in_layout(False)

    def update(self, signals: Signals | None) -> None:
        """Move the curve; values beyond the axes, infinite or zero, are marked at their edge."""
        if signals is None:
            for artist in self.artists:
                artist.set_data([], [])
            return
        values = signals.by_layer(self._field)
        layers = layers_of(values, signals.depth)
        low, high = self._limits
        self.line.set_data(layers, np.clip(values, low, high))  # NaN stays NaN: a gap
        for marks, beyond, edge in (
            (self._over, values > high, high),
            (self._under, values < low, low),
        ):
            where = layers[beyond][:: self._stride]
            marks.set_visible(len(where) > 0)  # what has no points takes as long to draw
            marks.set_data(where, np.full(len(where), edge))


class _Theory:
    """What mean-field theory predicts: a thin line, and the band of two standard deviations."""

    def __init__(self, axes: Axes, panel: LayerPanel, theme: Theme):
        self._field, self._limits = panel.series[0].field, panel.limits
        self._banded = panel.logarithmic  # theory's uncertainty is one of logarithms
        style = {"color": theme.ink, "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 2.5}
        (self._line,) = axes.plot([], [], **style)
        (self._band,) = axes.fill([0], [1], color=theme.ink, alpha=0.12, linewidth=0, zorder=1)
        self.artists = [self._band, self._line]
        for artist in self.artists:
            artist.set_in_layout(False)
        self.update(None, None)

    def update(self, signals: Signals | None, prediction: Any) -> None:
        """Move line and band; where theory is silent, there is none."""
        values = getattr(prediction, self._field, None)
        silent = values is None or bool(np.isnan(values).all())
        for artist in self.artists:
            artist.set_visible(not silent)
        if silent or values is None or signals is None:
            return
        layers = layers_of(values, signals.depth)
        self._line.set_data(layers, np.clip(values, *self._limits))
        if not self._banded:
            self._band.set_visible(False)
            return
        low, high = (np.clip(edge, *self._limits) for edge in prediction.band(self._field))
        self._band.set_xy(
            np.column_stack([np.append(layers, layers[::-1]), np.append(low, high[::-1])])
        )


def remark(axes, theme: Theme):
    """A text in the corner of a panel, for what it cannot show."""
    # under the marks of what leaves the axes, and over curves: both come to where it stands
    text = axes.text(0.98, 0.93, "", transform=axes.transAxes, ha="right", va="top", fontsize=9)
    text.set(color=theme.ink, in_layout=False, zorder=5)
    text.set_bbox({"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.85, "pad": 1})
    return text


def say_overflow(signals: Signals) -> str:
    """Where values first overflow, in words; empty if nowhere."""
    if signals.first_overflow is None:
        return ""
    beyond = signals.first_overflow > signals.depth
    return f"overflow at {'the readout' if beyond else f'layer {signals.first_overflow}'}"


@dataclasses.dataclass(frozen=True)
class ImagePanel:
    """A matrix as colours, between axes whose meaning ``prepare`` gives."""

    title: str
    unit: str  # label of the y axis
    color_label: str
    #: of Signals and layers: two axes, NaN where there is nothing
    matrix: Callable[[Signals, int], np.ndarray]
    #: of axes, layers and axis: left, right, bottom and top of the image
    prepare: Callable[..., tuple[float, float, float, float]]
    colors: dict[str, Any]  # cmap and norm, or limits
    words: Callable[[np.ndarray], str]  # what such a matrix shows, as the end of a sentence
    #: what measures it on demand, one way for each kind of network; None if Signals hold it
    measure: Callable[..., np.ndarray] | None = None
    needs_theory = False

    def serves(self, kind: type[AnySetting]) -> bool:
        """Whether there is a way to measure it."""
        return self.measure is None or can_measure(self.measure, kind)

    def build(self, axes: Axes, theme: Theme, layers: int, axis: str) -> "_Picture":
        """Draw the axes and the scale of colours."""
        extent = self.prepare(axes, layers, axis)
        image = axes.imshow(
            np.full((2, 2), np.nan), origin="lower", aspect="auto", extent=extent, **self.colors
        )
        image.set_in_layout(False)
        bar = axes.figure.colorbar(image, ax=axes, pad=0.03, fraction=0.06)
        bar.set_label(self.color_label, color=theme.ink)
        bar.ax.tick_params(colors=theme.ink)
        bar.outline.set_visible(False)
        return _Picture(image, self, layers, remark(axes, theme))


class _Picture:
    """The moving part of an :class:`ImagePanel`."""

    needs_theory = False

    def __init__(self, image, panel: ImagePanel, layers: int, remark):
        self._image, self._panel, self._layers, self._remark = image, panel, layers, remark
        self.moving = [image, remark]

    def update(self, signals: Signals, prediction: Any) -> None:
        self._image.set_data(self._panel.matrix(signals, self._layers))
        self._remark.set_text(say_overflow(signals))

    def pin(self, signals: Signals | None) -> None:
        """A picture of colours has no ghost."""

    def describe(self, signals: Signals, prediction: Any) -> str:
        """What the colours show."""
        matrix = self._panel.matrix(signals, signals.depth)
        known = np.isfinite(matrix).any()
        return f"{self._panel.title}: {self._panel.words(matrix) if known else 'not known'}."
