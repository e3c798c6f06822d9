"""The catalogue of panels, which a picture is made of: each draws one measure.

To add a panel to every picture and menu, add an entry to ``PANELS``, of a kind that stands in
``panel_kinds`` or of one like them.
"""

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from initlab.details import neuron_correlation
from initlab.measures import HISTOGRAM_EDGES
from initlab.panel_kinds import ImagePanel, LayerPanel, Series
from initlab.setting import AnySetting
from initlab.signals import Signals
from initlab.spectra import EigenvaluePanel, SpectrumPanel
from initlab.themes import DIVERGING, SHARES


def _histogram(signals: Signals, layers: int) -> np.ndarray:
    counts = signals.activation_histogram.T.astype(float)  # [bins, depth + 1]
    total = counts.sum(axis=0)
    image = np.full((len(counts), layers + 1), np.nan)
    image[:, : counts.shape[1]] = counts / np.where(total > 0, total, np.nan)
    image[image == 0] = np.nan
    return image


def _histogram_axes(axes, layers: int, axis: str):
    low, high = HISTOGRAM_EDGES[[0, -1]]
    axes.set_xlabel(axis)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 4, 5, 8, 10], integer=True))
    axes.set_yticks((-3, -2, -1, 0, 1, 2, 3), ("≤ -3", "-2", "-1", "0", "1", "2", "≥ 3"))
    return -0.5, layers + 0.5, low, high


def _say_histogram(shares: np.ndarray) -> str:
    """Between which values nine tenths of a layer lie, at the first and the last layer known."""
    edges, told = HISTOGRAM_EDGES, []
    known = np.flatnonzero(np.nansum(shares, axis=0))
    for layer in dict.fromkeys(known[[0, -1]].tolist()):
        up_to = np.nancumsum(shares[:, layer])
        low = edges[np.searchsorted(up_to, 0.05)]
        high = edges[np.searchsorted(up_to, 0.95 - 1e-9) + 1]
        told.append(f"from {low:.2g} to {high:.2g} at layer {layer}")
    return f"nine tenths lie {', '.join(told)}"


def _correlation(signals: Signals, layers: int) -> np.ndarray:
    return signals.neuron_correlation()


def _say_correlation(matrix: np.ndarray) -> str:
    others = np.abs(matrix[~np.eye(len(matrix), dtype=bool)])
    if len(others) == 0:
        return "there is one neuron alone"
    return f"two neurons have a correlation of {others.mean():.2g} on average, sign apart"


def _correlation_axes(axes, layers: int, axis: str):
    axes.set_xlabel("neuron of the last hidden layer")
    axes.set_xticks([])
    axes.set_yticks([])
    return 0, 1, 0, 1


def _powers(*exponents):
    return tuple(10.0**exponent for exponent in exponents)


PANELS = {
    "variance": LayerPanel(
        "Signal: activation variance",
        "variance",
        (1e-12, 1e8),
        _powers(-12, -8, -4, 0, 4, 8),
        (Series("variance", "activation_variance", "blue"),),
    ),
    "second_moment": LayerPanel(
        "Signal: second moment",
        "mean square of activations",
        (1e-12, 1e8),
        _powers(-12, -8, -4, 0, 4, 8),
        (Series("second moment", "activation_second_moment", "blue"),),
    ),
    "gradient": LayerPanel(
        "Gradient: second moment",
        "mean square of $\\partial$loss/$\\partial z$",
        (1e-16, 1e8),
        _powers(-16, -12, -8, -4, 0, 4, 8),
        (Series("gradient", "gradient_second_moment", "red"),),
    ),
    "neurons": LayerPanel(
        "Neurons that differ",
        "neurons",
        (0.2, 768),
        (1, 4, 16, 64, 256),
        (
            Series("distinct", "distinct_neurons", "green"),
            Series("effective", "effective_neurons", "blue", "--"),
        ),
        plain_ticks=True,
    ),
    "similarity": LayerPanel(
        "Similarity of two inputs",
        "mean cosine",
        (-0.1, 1.05),
        (0, 0.25, 0.5, 0.75, 1),
        (Series("similarity", "input_similarity", "green"),),
        logarithmic=False,
        plain_ticks=True,
    ),
    "units": LayerPanel(
        "Flat slopes, dead units",
        "share",
        (-0.02, 1.3),
        (0, 0.25, 0.5, 0.75, 1),
        (
            Series("flat", "saturated_fraction", "red"),
            Series("dead", "dead_fraction", "blue", "--"),
        ),
        logarithmic=False,
        plain_ticks=True,
        legend="upper left",
    ),
    "attention": LayerPanel(
        "Attention: entropy and logits",
        "nats; standard deviation",
        (1e-3, 1e3),
        _powers(-3, -2, -1, 0, 1, 2, 3),
        (
            Series("entropy", "attention_entropy", "green"),
            Series("logits", "attention_logit_std", "red", "--"),
        ),
        legend="upper left",
    ),
    "histogram": ImagePanel(
        "Activations, layer by layer",
        "activation",
        "share of the layer",
        _histogram,
        _histogram_axes,
        {"cmap": SHARES, "norm": LogNorm(1e-3, 1.0), "interpolation": "nearest"},
        _say_histogram,
    ),
    "correlation": ImagePanel(
        "Every neuron against every other",
        "neuron",
        "correlation over the inputs",
        _correlation,
        _correlation_axes,
        {"cmap": DIVERGING, "vmin": -1, "vmax": 1, "interpolation": "nearest"},
        _say_correlation,
        neuron_correlation,
    ),
    "singular_values": SpectrumPanel(
        "Jacobian: singular values", "stretch of an input's change", (1e-8, 1e4)
    ),
    "forget_gate": LayerPanel(
        "Memory: share kept in a step",
        "mean of the gate",
        (-0.02, 1.05),
        (0, 0.25, 0.5, 0.75, 1),
        (Series("kept", "forget_gate", "green"),),
        logarithmic=False,
        plain_ticks=True,
    ),
    "eigenvalues": EigenvaluePanel("Recurrent weights: eigenvalues", "imaginary part", 1.6),
}
DEFAULT_PANELS = ("variance", "gradient", "neurons")


def panels_for(kind: type[AnySetting]) -> dict[str, Any]:
    """The panels that a kind of network has the measures for."""
    return {name: panel for name, panel in PANELS.items() if panel.serves(kind)}
