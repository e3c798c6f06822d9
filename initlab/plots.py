"""Pictures of Signals: one panel a measure, layers from left to right, axes that stay where they are.

A :class:`Picture` keeps its artists and only moves them: the axes are drawn once and kept as a
background, and each frame restores it and draws the curves on top. That takes a tenth of drawing
the figure anew, and curves on axes that do not jump can be compared.
"""

import dataclasses
import io
from collections.abc import Callable

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from PIL import Image

from initlab.setting import MAX_DEPTH
from initlab.signals import Signals

DPI = 96


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of paper, ink and curves.

    The curves' are Okabe and Ito's, told apart by the colour-blind, in shades that keep a
    contrast of 3:1 to the paper.
    """

    paper: str
    ink: str
    grid: str
    ghost: str
    blue: str
    red: str
    green: str


THEMES = {
    "light": Theme("#FFFFFF", "#222222", "#E3E3E3", "#858585", "#0072B2", "#D55E00", "#007F5C"),
    "dark": Theme("#111111", "#E8E8E8", "#3A3A3A", "#9A9A9A", "#56B4E9", "#F0883A", "#2CC298"),
}


@dataclasses.dataclass(frozen=True)
class Series:
    """One curve over layers: its name in the legend, where its numbers are, and how it is drawn."""

    label: str
    values: Callable  # Signals -> [depth + 1] from layer 0 on, or [depth] from layer 1 on
    color: str  # a colour of Theme
    line: str = "-"


@dataclasses.dataclass(frozen=True)
class Panel:
    """A measure over layers on fixed logarithmic axes."""

    title: str
    unit: str  # label of the y axis
    limits: tuple[float, float]
    ticks: tuple[float, ...]
    tick_labels: tuple[str, ...] | None
    series: tuple[Series, ...]


def _powers(*exponents):
    return tuple(10.0**exponent for exponent in exponents)


PANELS = {
    "variance": Panel(
        "Signal: activation variance",
        "variance",
        (1e-12, 1e8),
        _powers(-12, -8, -4, 0, 4, 8),
        None,
        (Series("variance", lambda signals: signals.activation_variance, "blue"),),
    ),
    "gradient": Panel(
        "Gradient: second moment",
        "mean square of $\\partial$loss/$\\partial z$",
        (1e-16, 1e8),
        _powers(-16, -12, -8, -4, 0, 4, 8),
        None,
        (Series("gradient", lambda signals: signals.gradient_second_moment, "red"),),
    ),
    "neurons": Panel(
        "Neurons that differ",
        "neurons",
        (0.2, 768),
        (1, 4, 16, 64, 256),
        ("1", "4", "16", "64", "256"),
        (
            Series("distinct", lambda signals: signals.distinct_neurons, "green"),
            Series("effective", lambda signals: signals.effective_neurons, "blue", "--"),
        ),
    ),
}
DEFAULT_PANELS = tuple(PANELS)


def layers_of(values, depth: int) -> np.ndarray:
    """The layers that an array by layer speaks of: from 0 if it has the input, else from 1."""
    return np.arange(depth + 1 - len(values), depth + 1)


class _Curve:
    """A series' artists on its axes: the line, and marks where it leaves the axes."""

    def __init__(self, axes, panel: Panel, series: Series, color: str, **line):
        self.series, self.limits = series, panel.limits
        style = {"color": color, "linestyle": series.line, "linewidth": 2.0, "zorder": 3} | line
        (self.line,) = axes.plot([], [], label=series.label, **style)
        edge = {"linestyle": "none", "color": color, "markersize": 5, "clip_on": False}
        (self.over,) = axes.plot([], [], marker="^", zorder=4, **edge)
        (self.under,) = axes.plot([], [], marker="v", zorder=4, **edge)
        self.artists = [self.line, self.over, self.under]
        for artist in self.artists:
            artist.set_in_layout(False)

    def update(self, signals: Signals) -> None:
        """Move the curve; values beyond the axes, infinite or zero, are marked at their edge."""
        values = np.asarray(self.series.values(signals))
        layers = layers_of(values, signals.depth)
        low, high = self.limits
        self.line.set_data(layers, np.clip(values, low, high))  # NaN stays NaN: a gap
        for marks, beyond, edge in (
            (self.over, values > high, high),
            (self.under, values < low, low),
        ):
            where = layers[beyond][:: 1 + len(layers) // 24]  # a row of marks, not a bar
            marks.set_data(where, np.full(len(where), edge))


class Picture:
    """A figure of Signals whose curves follow :meth:`update`.

    Args:
      panels: names of the panels, in order; see ``PANELS``.
      layers: the last layer on the x axis.
      theme: "light" or "dark".
    """

    def __init__(self, panels=DEFAULT_PANELS, layers: int = MAX_DEPTH, theme: str = "light"):
        unknown = [name for name in panels if name not in PANELS]
        if unknown:
            raise ValueError(f"unknown panel {unknown[0]!r}. Known are: {', '.join(PANELS)}")
        if theme not in THEMES:
            raise ValueError(f"unknown theme {theme!r}. Known are: {', '.join(THEMES)}")
        self.panels = tuple(panels)
        self.theme = THEMES[theme]
        # a Figure of its own: pyplot would keep it alive and show it again
        self.figure = Figure((3.45 * len(panels), 3.3), dpi=DPI, facecolor=self.theme.paper)
        FigureCanvasAgg(self.figure)
        all_axes = self.figure.subplots(1, len(panels), squeeze=False)[0]
        self._curves, self._ghosts, self._texts = [], [], []
        for axes, name in zip(all_axes, self.panels, strict=True):
            self._build(axes, PANELS[name], layers)
        self.figure.tight_layout(w_pad=1.5)
        self._moving = [artist for curve in self._curves for artist in curve.artists] + self._texts
        self._background = None

    def _build(self, axes, panel: Panel, layers: int) -> None:
        theme = self.theme
        axes.set_facecolor(theme.paper)
        axes.set_xlim(-0.01 * layers, 1.01 * layers)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 4, 5, 8, 10], integer=True))
        axes.set_yscale("log")
        axes.set_ylim(*panel.limits)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(panel.ticks, panel.tick_labels)
        axes.set_title(panel.title, fontsize=11, color=theme.ink, loc="left")
        axes.set_xlabel("layer (0 is the input)", color=theme.ink)
        axes.set_ylabel(panel.unit, color=theme.ink)
        axes.tick_params(colors=theme.ink)
        axes.grid(color=theme.grid, linewidth=0.8)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(theme.ink)
        for series in panel.series:
            ghost = {"linewidth": 1.5, "alpha": 0.9, "zorder": 2}
            self._ghosts.append(_Curve(axes, panel, series, theme.ghost, **ghost))
            self._ghosts[-1].line.set_label("_pinned")
            self._curves.append(_Curve(axes, panel, series, getattr(theme, series.color)))
        if len(panel.series) > 1:
            axes.legend(loc="lower right", frameon=False, labelcolor=theme.ink, fontsize=9, ncols=2)
        text = axes.text(0.98, 0.97, "", transform=axes.transAxes, ha="right", va="top", fontsize=9)
        text.set(color=theme.ink, in_layout=False)
        self._texts.append(text)

    def update(self, signals: Signals) -> None:
        """Move all curves to these signals."""
        for curve in self._curves:
            curve.update(signals)
        for text, name in zip(self._texts, self.panels, strict=True):
            text.set_text(_remark(PANELS[name], signals))

    def pin(self, signals: Signals | None) -> None:
        """Leave a grey ghost of these signals behind the curves; None takes it away."""
        for ghost in self._ghosts:
            if signals is None:
                for artist in ghost.artists:
                    artist.set_data([], [])
            else:
                ghost.update(signals)
        self._background = None

    def png(self) -> bytes:
        """The picture as it stands, as a PNG of ``DPI`` dots an inch."""
        canvas = self.figure.canvas
        if self._background is None:
            for artist in self._moving:
                artist.set_animated(True)
            canvas.draw()
            self._background = canvas.copy_from_bbox(self.figure.bbox)
            for artist in self._moving:
                artist.set_animated(False)  # the figure stays complete for whoever saves it
        canvas.restore_region(self._background)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        encoded = io.BytesIO()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        Image.fromarray(pixels).save(encoded, "png", compress_level=1)
        return encoded.getvalue()


def _remark(panel: Panel, signals: Signals) -> str:
    """What a logarithmic curve cannot show: an overflow, or layers that are exactly 0."""
    if signals.first_overflow is not None:
        beyond = signals.first_overflow > signals.depth
        return f"overflow at {'the readout' if beyond else f'layer {signals.first_overflow}'}"
    values = np.asarray(panel.series[0].values(signals))
    zero = layers_of(values, signals.depth)[values == 0]
    if len(zero) == 0:
        return ""
    return (
        f"exactly 0 in layers {zero[0]} to {zero[-1]}"
        if len(zero) > 1
        else f"exactly 0 in layer {zero[0]}"
    )


def plot(signals: Signals, panels=DEFAULT_PANELS, theme: str = "light") -> Figure:
    """A figure of signals over layers.

    Args:
      signals: what :func:`initlab.probe` measured.
      panels: names of the panels, in order; see ``initlab.plots.PANELS``.
      theme: "light" or "dark".
    """
    if not isinstance(signals, Signals):
        raise TypeError(f"plot takes the Signals that probe returns, not {signals!r}")
    picture = Picture(panels, layers=max(signals.depth, 2), theme=theme)
    picture.update(signals)
    return picture.figure
