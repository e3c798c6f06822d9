"""Figures that a notebook shows with their words, and small ones beside the panels of Signals."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from initlab.checking import flag, real_array, several, short
from initlab.setting import whole_number
from initlab.themes import DIVERGING, LIGHT, STYLES, Theme

DPI = 96
_MOST_CURVES = 6  # without markers, more are not told apart
_RIM = 1.6  # points, of which half are seen on each side of a letter
_FARTHEST = 1e100  # on an axis: its margins and ticks, on a logarithmic one too, must be numbers
_LARGEST = 10_000  # side of a picture, or number of pictures


class SpokenFigure(Figure):
    """A matplotlib Figure with alternative text, which whoever does not see it is told instead.

    A notebook shows it wherever it is a cell's result: pyplot has no part in it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.raster: FigureCanvasAgg = FigureCanvasAgg(self)
        self.alternative_text = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        encoded = io.BytesIO()
        self.savefig(encoded, format="png")
        png, words = base64.b64encode(encoded.getvalue()).decode(), self.alternative_text
        # JupyterLab gives no words to an image that comes as one; in HTML they are its own
        width = round(self.get_size_inches()[0] * DPI)
        source = f"data:image/png;base64,{png}"
        data = {
            "text/html": f'<img alt="{html.escape(words)}" width="{width}" src="{source}">',
            "image/png": png,
            "text/plain": words,
        }
        return data, {"image/png": {"alt": words}}


def plot_neurons(
    weight: ArrayLike, count: int = 10, shape: tuple[int, int] = (8, 8)
) -> SpokenFigure:
    """The incoming weights of a layer's first neurons, as pictures of what they look for.

    Args:
      weight: ``[features, units]``; that of the layer which reads the input.
      count: how many neurons; at most ``units``.
      shape: of the input's picture; 8 x 8 for the digits.

    Raises:
      ValueError: the shape does not fit the features, or a count below 1.
      TypeError: a weight that is no array of numbers, or a shape that is not two of them.
    """
    weight, shape = real_array("weight", weight), several("shape", shape, (8, 8))
    if len(shape) != 2:
        raise ValueError(f"shape must be two numbers, such as (8, 8), not {short(shape)}")
    height, width = (whole_number("shape", side, 1, _LARGEST) for side in shape)
    shape = height, width
    count = whole_number("count", count, 1, _LARGEST)
    if weight.ndim != 2 or weight.shape[0] != np.prod(shape):
        raise ValueError(
            f"weight must be [{np.prod(shape)}, units] for pictures of {shape[0]} x {shape[1]},"
            f" not {list(weight.shape)}"
        )
    if weight.shape[1] == 0:
        raise ValueError("weight must have a unit at least, not 0")
    weight, count = weight.astype(np.float64), min(count, weight.shape[1])
    figure = SpokenFigure((1.05 * count, 1.45), dpi=DPI, facecolor=LIGHT.paper)
    known = np.abs(weight[:, :count])
    largest = known[np.isfinite(known)].max(initial=0.0) or 1.0
    for place, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        picture = weight[:, place].reshape(shape)
        axes.imshow(picture, cmap=DIVERGING, vmin=-largest, vmax=largest)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"neuron {place + 1}", fontsize=9)
    figure.tight_layout()
    different = len(np.unique(weight[:, :count].round(6), axis=1).T)
    figure.alternative_text = (
        f"Incoming weights of {count} neurons as pictures of {shape[0]} by {shape[1]} pixels;"
        f" {different} of them differ. The largest weight is {largest:.2g}."
    )
    return figure


def plot_curves(
    steps: ArrayLike,
    curves: Mapping[str, ArrayLike],
    label: str,
    unit: str = "step",
    logarithmic: bool = False,
) -> SpokenFigure:
    """A few named curves over training steps.

    Args:
      steps: ``[records]``.
      curves: name -> ``[records]``, at most six.
      label: of the y axis.
      unit: of the x axis.
      logarithmic: whether the y axis is.

    Raises:
      TypeError: steps or a curve that are no numbers, curves without names, a label that is none.
      ValueError: no curve or more than six, no step, or a curve of another length than the steps.
    """
    steps, curves = _checked_curves(steps, curves)
    logarithmic = flag("logarithmic", logarithmic)
    for name, text in (("label", label), ("unit", unit)):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a string, not {short(text)}")
        try:
            MathTextParser("path").parse(text)
        except ValueError as error:
            raise ValueError(f"{name} has LaTeX that cannot be drawn: {short(text)}") from error
    if len(curves) > _MOST_CURVES:
        raise ValueError(f"{len(curves)} curves are not told apart; draw at most {_MOST_CURVES}")
    figure = SpokenFigure((7.0, 3.25), dpi=DPI, facecolor=LIGHT.paper)
    axes = figure.add_subplot()
    for (name, values), (color, line, _) in zip(curves.items(), STYLES, strict=False):
        shown = f" {name}" if name.startswith("_") else name  # matplotlib hides a label with "_"
        axes.plot(steps, _drawable(values), color=color, linestyle=line, linewidth=2, label=shown)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
    if logarithmic and any((_drawable(values) > 0).any() for values in curves.values()):
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=_between_powers(*axes.get_ylim())))
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(unit)
    axes.set_ylabel(label)
    axes.grid(color=LIGHT.grid, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    ends = ", ".join(f"{name} from {v[0]:.3g} to {v[-1]:.3g}" for name, v in curves.items())
    first, last = steps[0], steps[-1]
    span = f"over {last} {unit}s" if first == 0 else f"for {unit} {first} to {last}"
    figure.alternative_text = f"{label} {span}: {ends}."
    return figure


def _checked_curves(steps, curves) -> tuple[np.ndarray, dict]:
    steps = real_array("steps", steps)
    if steps.ndim != 1 or not len(steps):
        raise ValueError(f"steps must be a list of one number or more, not {short(steps)}")
    if not isinstance(curves, Mapping):
        raise TypeError(f"curves must be a dict of names and numbers, not {short(curves)}")
    if not curves:
        raise ValueError("curves must have one curve at least, such as {'loss': history.loss[0]}")
    checked = {str(name): real_array(f"curve {name}", values) for name, values in curves.items()}
    for name, values in checked.items():
        if values.shape != steps.shape:
            raise ValueError(
                f"curve {name} must have {len(steps)} numbers, one for each step, not the shape"
                f" {values.shape}"
            )
    return steps, checked


def _drawable(values: np.ndarray) -> np.ndarray:
    """What matplotlib can place without an overflow; what is not finite leaves a gap."""
    values = values.astype(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    tiny = (values != 0) & (np.abs(values) < 1 / _FARTHEST)
    return np.clip(
        np.where(tiny, np.copysign(1 / _FARTHEST, values), values), -_FARTHEST, _FARTHEST
    )


def _between_powers(low: float, high: float) -> tuple[int, ...]:
    """Where a logarithmic axis needs ticks between its powers of ten: if it spans but a few."""
    decades = np.log10(high) - np.log10(low)
    return (1,) if decades > 4 else (1, 3) if decades > 1.5 else (1, 2, 5)


def rim(color: str, width: float) -> list[withStroke]:
    """An edge of another colour around a line or a text, ``width`` points with what it is of."""
    return [withStroke(linewidth=width, foreground=color)]


def write_over(text: Text, background: Sequence[float] | np.ndarray, theme: Theme) -> None:
    """Give a text the colour that stands out more, and a thin rim that is seen on every colour.

    Args:
      text: what is written.
      background: red, green, blue and opacity of what is behind it.
      theme: whose ink or paper the text takes.
    """
    *color, opacity = background
    # nearly sRGB's luminance; 0.18 of white's is as far from black as from white
    light = sum(
        weight * (opacity * part + 1 - opacity) ** 2.2
        for weight, part in zip((0.2126, 0.7152, 0.0722), color, strict=True)
    )
    chosen, other = (theme.ink, theme.paper) if light > 0.18 else (theme.paper, theme.ink)
    text.set(color=chosen, path_effects=rim(other, _RIM))
