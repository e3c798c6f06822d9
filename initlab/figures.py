"""Figures that a notebook shows with their words, and small ones beside the panels of Signals."""

import base64
import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from initlab.themes import THEMES

DPI = 96


class SpokenFigure(Figure):
    """A matplotlib Figure with alternative text, which whoever does not see it is told instead.

    A notebook shows it wherever it is a cell's result: pyplot has no part in it.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        FigureCanvasAgg(self)
        self.alternative_text = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        encoded = io.BytesIO()
        self.savefig(encoded, format="png")
        data = {
            "image/png": base64.b64encode(encoded.getvalue()).decode(),
            "text/plain": self.alternative_text,
        }
        return data, {"image/png": {"alt": self.alternative_text}}


def plot_neurons(weight, count: int = 10, shape: tuple[int, int] = (8, 8)) -> SpokenFigure:
    """The incoming weights of a layer's first neurons, as pictures of what they look for.

    Args:
      weight: ``[features, units]``; that of the layer which reads the input.
      count: how many neurons; at most ``units``.
      shape: of the input's picture; 8 x 8 for the digits.

    Raises:
      ValueError: the shape does not fit the features.
    """
    weight = np.asarray(weight)
    if weight.ndim != 2 or weight.shape[0] != np.prod(shape):
        raise ValueError(
            f"weight must be [{np.prod(shape)}, units] for pictures of {shape[0]} x {shape[1]},"
            f" not {list(weight.shape)}"
        )
    count = min(count, weight.shape[1])
    figure = SpokenFigure((1.05 * count, 1.45), dpi=DPI, facecolor=THEMES["light"].paper)
    largest = np.abs(weight[:, :count]).max() or 1.0
    for place, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        picture = weight[:, place].reshape(shape)
        axes.imshow(picture, cmap="PuOr", vmin=-largest, vmax=largest)
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
    steps, curves: dict, label: str, unit: str = "step", logarithmic: bool = False
) -> SpokenFigure:
    """A few named curves over training steps.

    Args:
      steps: ``[records]``.
      curves: name -> ``[records]``, at most six.
      label: of the y axis.
      unit: of the x axis.
      logarithmic: whether the y axis is.
    """
    theme = THEMES["light"]
    colors = (theme.blue, theme.red, theme.green, "#CC79A7", "#56B4E9", theme.ink)
    lines = ("-", "--", "-.", ":", (0, (6, 1)), (0, (1, 1)))
    if len(curves) > len(colors):
        raise ValueError(f"{len(curves)} curves are not told apart; draw at most {len(colors)}")
    figure = SpokenFigure((7.0, 3.25), dpi=DPI, facecolor=theme.paper)
    axes = figure.add_subplot()
    for (name, values), color, line in zip(curves.items(), colors, lines, strict=False):
        axes.plot(steps, values, color=color, linestyle=line, linewidth=2, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=_between_powers(*axes.get_ylim())))
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(unit)
    axes.set_ylabel(label)
    axes.grid(color=theme.grid, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    ends = ", ".join(f"{name} from {v[0]:.3g} to {v[-1]:.3g}" for name, v in curves.items())
    first, last = steps[0], steps[-1]
    span = f"over {last} {unit}s" if first == 0 else f"for {unit} {first} to {last}"
    figure.alternative_text = f"{label} {span}: {ends}."
    return figure


def _between_powers(low: float, high: float) -> tuple[int, ...]:
    """Where a logarithmic axis needs ticks between its powers of ten: if it spans but a few."""
    decades = np.log10(high / low)
    return (1,) if decades > 4 else (1, 3) if decades > 1.5 else (1, 2, 5)
