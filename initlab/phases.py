"""The phase diagram of an activation: order, chaos, and a learner's own point between them."""

import numpy as np
from matplotlib import colormaps

from initlab import theory
from initlab.checking import short
from initlab.figures import DPI, SpokenFigure
from initlab.frames import Frame
from initlab.initializers import INITIALIZERS
from initlab.laws import Fan
from initlab.setting import Setting
from initlab.themes import RATIOS, THEMES

WEIGHT_VARIANCE, BIAS_VARIANCE = 4.0, 0.5  # the least that the phase diagram reaches to

_CELLS = 81  # of the phase diagram's grid, along each side
_SHADES = 16  # of its colors: an even number, so that two of them meet at chi_1 = 1


class PhaseMap(Frame):
    """The phase diagram of an activation, over which a star follows :meth:`update`.

    Args:
      activation: its name.
      right: the weight variance that the x axis reaches to.
      top: the bias variance that the y axis reaches to.
      dpi: dots an inch.
    """

    def __init__(
        self,
        activation: str,
        right: float = WEIGHT_VARIANCE,
        top: float = BIAS_VARIANCE,
        dpi: float = DPI,
    ):
        self.activation: str = activation
        self._right, self._top = right, top
        across = np.linspace(right / _CELLS, right, _CELLS)
        up = np.linspace(0, top, _CELLS)
        chi = theory.phase_diagram(activation, across, up).chi_1
        self._along = top * np.linspace(0, 1, _CELLS) ** 3  # closer where the edge turns sharply
        self._edge, _ = theory.critical_line(activation, self._along)

        theme = THEMES["light"]
        figure = SpokenFigure((6.25, 3.75), dpi=dpi, facecolor=theme.paper)
        axes = figure.add_subplot()
        colors = axes.pcolormesh(
            across,
            up,
            np.clip(chi, 0, 2).T,
            cmap=colormaps[RATIOS].resampled(_SHADES),
            vmin=0,
            vmax=2,
            shading="nearest",
        )
        bar = figure.colorbar(colors, ax=axes, extend="max")
        bar.set_label("$\\chi_1$, a layer's factor on squared gradients")
        self._draw_edge(axes, theme.ink)
        (self._star,) = axes.plot(
            [],
            [],
            marker="*",
            markersize=17,
            color=theme.paper,
            markeredgecolor=theme.ink,
            markeredgewidth=1.5,
            linestyle="none",
            clip_on=False,
            zorder=5,
            label="this setting",
        )
        axes.set(xlim=(0, right), ylim=(0, top))
        axes.set_xlabel("weight variance $\\sigma_w^2$ = fan_in Var W")
        axes.set_ylabel("bias variance $\\sigma_b^2$")
        axes.set_title(f"{activation}: order (purple) and chaos (orange)", fontsize=10)
        axes.legend(loc="upper left", framealpha=0.9, fontsize=9)
        figure.tight_layout()
        super().__init__(figure, [self._star])

    def _draw_edge(self, axes, color: str) -> None:
        style = {"color": color, "label": "edge: $\\chi_1 = 1$"}
        if np.isfinite(self._edge).sum() > 1:
            axes.plot(self._edge, self._along, linewidth=2, **style)
        elif np.isfinite(self._edge).any():
            axes.plot(self._edge, self._along, "s", clip_on=False, **style)

    def update(self, weight_variance: float, bias_variance: float) -> None:
        """Move the star."""
        self._star.set_data([weight_variance], [bias_variance])

    def describe(self) -> str:
        """The diagram in words, without the star."""
        return (
            f"Phase diagram of {self.activation}: chi_1 over weight variance 0 to"
            f" {self._right:.3g} and bias variance 0 to {self._top:.3g}."
            f" {_edge_in_words(self._edge, self._along)}"
        )


def describe_point(activation: str, weight_variance: float, bias_variance: float) -> str:
    """A point of the phase diagram in words: its phase, and how far gradients reach there.

    >>> describe_point("tanh", 0.5, 0.05)
    'This setting, at weight variance 0.5 and bias variance 0.05, is ordered, with chi_1 = 0.432.'
    """
    limits = theory.limits(activation, weight_variance, bias_variance)
    return (
        f"This setting, at weight variance {weight_variance:.3g} and bias variance"
        f" {bias_variance:.3g}, is {limits.phase}, with chi_1 = {limits.chi_1:.3g}."
    )


def plot_phases(setting: Setting | None = None) -> SpokenFigure:
    r"""Order, chaos and the edge between them, with a setting's own point.

    The color is :math:`\chi_1`, what a layer multiplies the gradient's second moment by: below 1
    it vanishes, above it explodes. The point stands for hidden layers of the setting's width.

    Args:
      setting: its activation is drawn, at its weight and bias variance.

    Raises:
      TypeError: it is no Setting.
      ValueError: its initializer is a fixed pattern, or fitted to data, which no weight variance
        describes.

    Source: Poole et al. 2016 (arXiv 1606.05340), figure 1.
    """
    setting = Setting() if setting is None else setting
    if not isinstance(setting, Setting):
        raise TypeError(
            f"plot_phases takes a Setting, such as Setting(gain=2), not {short(setting)}"
        )
    point = weight_variance, bias_variance = variances(setting)
    right = max(WEIGHT_VARIANCE, 1.25 * weight_variance)
    top = max(BIAS_VARIANCE, 1.25 * bias_variance)
    picture = PhaseMap(setting.activation, right, top)
    picture.update(*point)
    words = f"{picture.describe()} {describe_point(setting.activation, *point)}"
    picture.figure.alternative_text = words
    return picture.figure


def variances(setting: Setting) -> tuple[float, float]:
    """``(fan_in * variance of a weight, variance of a bias)`` of a setting's hidden layers.

    >>> variances(Setting(initializer="he_normal"))
    (2.0, 0.0)
    """
    entry = INITIALIZERS[setting.initializer]
    if entry.ensemble == "patterned":
        kind = "a fixed pattern" if entry.fitted_by is None else "fitted to data"
        raise ValueError(
            f"{setting.initializer} is {kind}, and has no weight variance; take one that draws"
            " random weights, such as 'glorot_normal'"
        )
    fan = Fan(setting.width, setting.width, 2, max(setting.depth, 2))
    weight = setting.width * (setting.gain * entry.scale(fan)) ** 2
    # an orthogonal matrix has entries of variance 1 / width
    weight /= setting.width if entry.ensemble == "orthogonal" else 1
    return float(round(weight, 12)), float(setting.bias_std**2 + entry.bias_scale(fan) ** 2)


def _edge_in_words(edge, along) -> str:
    known = np.isfinite(edge)
    if not known.any():
        return "No edge crosses this range."
    first, last = edge[known][0], edge[known][-1]
    if known.sum() == 1:
        return f"The edge is the one point at weight variance {first:.3g}, without biases."
    return (
        f"The edge runs from weight variance {first:.3g} at bias variance {along[known][0]:.3g} to"
        f" {last:.3g} at {along[known][-1]:.3g}."
    )
