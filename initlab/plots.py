"""Pictures of Signals: panels side by side, layers from left to right, on axes that do not move.

Curves on axes that stay can be compared, and only the curves are drawn anew.
"""

import math
from collections.abc import Sequence

from initlab.checking import several, short
from initlab.diagnosis import diagnose
from initlab.figures import DPI, SpokenFigure
from initlab.frames import Frame
from initlab.panels import DEFAULT_PANELS, PANELS, panels_for
from initlab.setting import MAX_DEPTH, AnySetting, one_of
from initlab.signals import Signals
from initlab.themes import THEMES
from initlab.theory import Prediction

PANEL_INCHES = (3.5, 3.25)  # whole pixels at any multiple of DPI
COLUMNS = 3  # panels in a row


class Picture(Frame):
    """A figure of Signals whose curves follow :meth:`update`.

    Args:
      panels: names of the panels, in order; see ``initlab.panels.PANELS``.
      layers: the last layer on the x axis.
      theme: "light" or "dark".
      dpi: dots an inch; a panel is 3.5 by 3.25 inches.
      axis: the label of the x axis: what a layer is.
    """

    def __init__(
        self,
        panels: Sequence[str] = DEFAULT_PANELS,
        layers: int = MAX_DEPTH,
        theme: str = "light",
        dpi: float = DPI,
        axis: str = AnySetting.axis,
    ):
        panels = several("panels", panels, DEFAULT_PANELS)
        panels = tuple(one_of("panel", name, tuple(PANELS)) for name in panels)
        theme = one_of("theme", theme, tuple(THEMES))
        if not panels:
            raise ValueError(f"a picture needs a panel. Known are: {', '.join(PANELS)}")
        self.panels: tuple[str, ...] = panels
        self.layers: int = layers
        self.theme_name: str = theme
        self.axis: str = axis
        rows = math.ceil(len(panels) / COLUMNS)
        columns = min(len(panels), COLUMNS)
        width, height = PANEL_INCHES
        # a Figure of its own: pyplot would keep it alive and show it again
        figure = SpokenFigure((width * columns, height * rows), dpi=dpi)
        figure.set_facecolor(THEMES[theme].paper)
        places = figure.add_gridspec(rows, columns)
        self._parts = [
            self._build(figure.add_subplot(places[place]), name)
            for place, name in enumerate(panels)
        ]
        figure.tight_layout(w_pad=1.5, h_pad=1.5)
        super().__init__(figure, (artist for part in self._parts for artist in part.moving))

    def _build(self, axes, name: str):
        theme, panel = THEMES[self.theme_name], PANELS[name]
        axes.set_facecolor(theme.paper)
        axes.set_title(panel.title, fontsize=11, color=theme.ink, loc="left")
        axes.set_ylabel(panel.unit)
        part = panel.build(axes, theme, self.layers, self.axis)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(theme.ink)
        axes.tick_params(colors=theme.ink)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(theme.ink)
        return part

    @property
    def needs_theory(self) -> bool:
        """Whether any panel draws theory's curve."""
        return any(part.needs_theory for part in self._parts)

    def update(self, signals: Signals, prediction: Prediction | None = None) -> None:
        """Move everything to these signals, and to theory's prediction if there is one."""
        for part in self._parts:
            part.update(signals, prediction)

    def describe(self, signals: Signals, prediction: Prediction | None = None) -> str:
        """What the panels show of these signals, in words: for who does not see them."""
        return " ".join(part.describe(signals, prediction) for part in self._parts)

    def pin(self, signals: Signals | None) -> None:
        """Leave a grey ghost of these signals behind the curves; None takes it away."""
        for part in self._parts:
            part.pin(signals)
        self._background = None


def plot(
    signals: Signals,
    theory: Prediction | None = None,
    *,
    panels: Sequence[str] = DEFAULT_PANELS,
    theme: str = "light",
) -> SpokenFigure:
    """A figure of signals over layers.

    Args:
      signals: what :func:`initlab.probe` measured.
      theory: what :func:`initlab.predict` says of the same setting, drawn as a dashed line with a
        band of two standard deviations; none by default.
      panels: names of the panels, in order; see ``initlab.panels.PANELS``.
      theme: "light" or "dark".

    Raises:
      TypeError: ``signals`` are not Signals, ``theory`` no Prediction, or a panel no name.
      ValueError: an unknown panel or theme, a panel of another kind of network, or a prediction of
        another depth.
    """
    if not isinstance(signals, Signals):
        raise TypeError(f"plot takes the Signals that probe returns, not {short(signals)}")
    if not isinstance(theory, Prediction | None):
        raise TypeError(f"theory must be what predict returns, not {short(theory)}")
    if theory is not None and theory.setting.depth != signals.depth:
        raise ValueError(
            f"theory must be that of {signals.depth} layers, as the signals are, not of"
            f" {theory.setting.depth}"
        )
    panels = several("panels", panels, DEFAULT_PANELS)
    for name in panels:
        one_of("panel", name, tuple(panels_for(type(signals.setting))))
    picture = Picture(panels, layers=max(signals.depth, 2), theme=theme, axis=signals.setting.axis)
    picture.update(signals, theory)
    told = signals.setting.describe(), str(diagnose(signals)), picture.describe(signals, theory)
    picture.figure.alternative_text = " ".join(told)
    return picture.figure
