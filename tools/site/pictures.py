"""The catalogue's pictures, each with its words."""

import numpy as np
from matplotlib.figure import Figure

import initlab
from initlab.activations import Activation
from initlab.figures import SpokenFigure
from initlab.plots import plot
from initlab.themes import THEMES

THEME = THEMES["light"]  # where the page is dark, its style sheet turns pictures
DPI = 110
REACH = 4.0  # activations are drawn on [-4, 4]


def across_layers(signals: initlab.Signals) -> Figure:
    """Signal and gradient by layer, with theory's curves."""
    theory = initlab.predict(signals.setting)
    return plot(signals, theory, panels=("variance", "gradient"))


def weights(signals: initlab.Signals) -> SpokenFigure:
    """A hidden layer's weights: as a matrix, and how many there are of each size."""
    drawn = initlab.weights(signals.setting, batch=signals.batch)
    weight = np.asarray(drawn[1][0], np.float64)  # [fan_in, fan_out]
    largest = np.abs(weight).max() or 1.0
    figure = SpokenFigure((7.0, 3.25), dpi=DPI, facecolor=THEME.paper, layout="constrained")
    matrix, counts = figure.subplots(1, 2)
    image = matrix.imshow(weight, cmap="PuOr", vmin=-largest, vmax=largest)
    matrix.set(xlabel="unit of layer 2", ylabel="unit of layer 1", xticks=[], yticks=[])
    figure.colorbar(image, ax=matrix, shrink=0.8)
    counts.hist(weight.ravel(), bins=41, range=(-largest, largest), color=THEME.blue)
    counts.set(xlabel="weight", ylabel="how many")
    counts.spines[["top", "right"]].set_visible(False)
    figure.alternative_text = _say_weights(weight)
    return figure


def _say_weights(weight: np.ndarray) -> str:
    rows, columns = weight.shape
    said = f"The {rows} x {columns} weights between the first two hidden layers: "
    if np.ptp(weight) == 0:
        return f"{said}all are {weight[0, 0]:.3g}."
    zeros = np.mean(weight == 0)
    rest = f", {zeros:.0%} of them exactly 0" if zeros else ""
    return (
        f"{said}from {weight.min():.2g} to {weight.max():.2g}, standard deviation"
        f" {weight.std():.2g}{rest}."
    )


def curve(entry: Activation) -> SpokenFigure:
    """An activation and its slope; where it is flat, the ground is grey."""
    z = np.linspace(-REACH, REACH, 801, dtype=np.float32)
    value, slope = (np.asarray(values) for values in entry.with_derivative(z))
    figure = SpokenFigure((6.0, 3.5), dpi=DPI, facecolor=THEME.paper, layout="constrained")
    axes = figure.subplots()
    below, above = entry.flat_range
    for low, high in ((-REACH, max(below, -REACH)), (min(above, REACH), REACH)):
        if low < high:
            axes.axvspan(low, high, color=THEME.grid, linewidth=0)
    axes.axhline(0, color=THEME.ghost, linewidth=0.8)
    axes.axvline(0, color=THEME.ghost, linewidth=0.8)
    axes.plot(z, value, color=THEME.blue, linewidth=2, label="φ(z)")
    axes.plot(z, slope, color=THEME.red, linewidth=2, linestyle="--", label="φ'(z)")
    low, high = min(value.min(), slope.min()), max(value.max(), slope.max())
    axes.set(
        xlabel="z", xlim=(-REACH, REACH), ylim=(max(low, -REACH) - 0.2, min(high, REACH) + 0.2)
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.alternative_text = (
        f"{entry.name} over z from {-REACH:g} to {REACH:g}: values from {value.min():.3g} to"
        f" {value.max():.3g}, slopes (dashed) from {slope.min():.3g} to {slope.max():.3g}."
    )
    return figure
