"""Pictures of Signals: panels side by side, layers from left to right, on axes that do not move.

A :class:`Picture` keeps its artists and only moves them: the axes are drawn once and kept as a
background, and each frame restores it and draws the curves on top. That takes a tenth of drawing
the figure anew, and curves on axes that stay can be compared.
"""

import math
import struct
import zlib

import numpy as np
from matplotlib.figure import Figure

from initlab.catalogue import nearest
from initlab.diagnosis import diagnose
from initlab.figures import DPI, SpokenFigure
from initlab.panels import DEFAULT_PANELS, PANELS
from initlab.setting import MAX_DEPTH
from initlab.signals import Signals
from initlab.themes import THEMES

PANEL_INCHES = (3.5, 3.25)  # whole pixels at any multiple of DPI
COLUMNS = 3  # panels in a row


class Picture:
    """A figure of Signals whose curves follow :meth:`update`.

    Args:
      panels: names of the panels, in order; see ``initlab.panels.PANELS``.
      layers: the last layer on the x axis.
      theme: "light" or "dark".
      dpi: dots an inch; a panel is 3.5 by 3.25 inches.
    """

    def __init__(
        self,
        panels=DEFAULT_PANELS,
        layers: int = MAX_DEPTH,
        theme: str = "light",
        dpi: float = DPI,
    ):
        for name, known, word in (
            *((p, PANELS, "panel") for p in panels),
            (theme, THEMES, "theme"),
        ):
            if name not in known:
                raise ValueError(
                    f"unknown {word} {name!r}{nearest(str(name), known) or '.'}"
                    f" Known are: {', '.join(known)}"
                )
        if not panels:
            raise ValueError(f"a picture needs a panel. Known are: {', '.join(PANELS)}")
        self.panels, self.layers, self.theme_name = tuple(panels), layers, theme
        rows = math.ceil(len(panels) / COLUMNS)
        columns = min(len(panels), COLUMNS)
        width, height = PANEL_INCHES
        # a Figure of its own: pyplot would keep it alive and show it again
        self.figure = SpokenFigure((width * columns, height * rows), dpi=dpi)
        places = self.figure.add_gridspec(rows, columns)
        self._parts = [
            self._build(self.figure.add_subplot(place), name)
            for place, name in zip(places, panels, strict=False)  # a row may stay unfilled
        ]
        self.figure.tight_layout(w_pad=1.5, h_pad=1.5)
        self._moving = [artist for part in self._parts for artist in part.moving]
        self._background = None

    def _build(self, axes, name: str):
        theme, panel = THEMES[self.theme_name], PANELS[name]
        self.figure.set_facecolor(theme.paper)
        axes.set_facecolor(theme.paper)
        axes.set_title(panel.title, fontsize=11, color=theme.ink, loc="left")
        axes.set_ylabel(panel.unit)
        part = panel.build(axes, theme, self.layers)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(theme.ink)
        axes.tick_params(colors=theme.ink)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(theme.ink)
        return part

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels, whatever the resolution."""
        width, height = self.figure.get_size_inches()
        return round(width * DPI), round(height * DPI)

    @property
    def needs_theory(self) -> bool:
        """Whether any panel draws theory's curve."""
        return any(part.needs_theory for part in self._parts)

    def update(self, signals: Signals, prediction=None) -> None:
        """Move everything to these signals, and to theory's prediction if there is one."""
        for part in self._parts:
            part.update(signals, prediction)

    def pin(self, signals: Signals | None) -> None:
        """Leave a grey ghost of these signals behind the curves; None takes it away."""
        for part in self._parts:
            part.pin(signals)
        self._background = None

    def png(self) -> bytes:
        """The picture as it stands, as a PNG."""
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
        return encode(np.asarray(canvas.buffer_rgba()))


def plot(signals: Signals, theory=None, *, panels=DEFAULT_PANELS, theme: str = "light") -> Figure:
    """A figure of signals over layers.

    Args:
      signals: what :func:`initlab.probe` measured.
      theory: what :func:`initlab.predict` says of the same setting, drawn as a dashed line with a
        band of two standard deviations; none by default.
      panels: names of the panels, in order; see ``initlab.panels.PANELS``.
      theme: "light" or "dark".

    Raises:
      TypeError: ``signals`` are not Signals.
      ValueError: an unknown panel or theme.
    """
    if not isinstance(signals, Signals):
        raise TypeError(f"plot takes the Signals that probe returns, not {signals!r}")
    picture = Picture(panels, layers=max(signals.depth, 2), theme=theme)
    picture.update(signals, theory)
    picture.figure.alternative_text = f"{signals.setting.describe()} {diagnose(signals)}"
    return picture.figure


def encode(pixels: np.ndarray) -> bytes:
    """A PNG of ``pixels [height, width, 4]``, opaque ones, in half the time that a library takes.

    Each row is stored as its difference from the row above, which suits a drawing of lines; to
    look for the best of PNG's five ways row by row is what takes the time.
    """
    height, width, _ = pixels.shape
    lines = np.ascontiguousarray(pixels[..., :3]).reshape(height, 3 * width)
    rows = np.full((height, 1 + 3 * width), 2, np.uint8)  # 2: "up"
    rows[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, red green blue
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
