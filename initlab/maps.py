"""Maps: a learner's own point between order and chaos, and initializers against activations."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import SymLogNorm

from initlab import theory
from initlab.activations import ACTIVATIONS
from initlab.diagnosis import diagnose
from initlab.failures import gradient_ratio
from initlab.figures import DPI, SpokenFigure
from initlab.initializers import INITIALIZERS, Fan
from initlab.setting import Setting
from initlab.signals import probe
from initlab.themes import THEMES

INITIALIZERS_SHOWN = ("lecun_normal", "glorot_normal", "he_normal", "orthogonal", "torch_default")
ACTIVATIONS_SHOWN = ("linear", "tanh", "relu", "gelu", "selu", "sigmoid")

_CELLS = 81  # of the phase diagram's grid, along each side
_SHADES = 16  # of its colors: an even number, so that two of them meet at chi_1 = 1
_WEIGHT_VARIANCE, _BIAS_VARIANCE = 4.0, 0.5  # the least that the axes reach to
_FARTHEST = 20  # powers of ten; colors end there, and numbers in cells become a sign


def plot_phases(setting: Setting | None = None) -> SpokenFigure:
    r"""Order, chaos and the edge between them, with a setting's own point.

    The color is :math:`\chi_1`, what a layer multiplies the gradient's second moment by: below 1
    it vanishes, above it explodes. The point stands for hidden layers of the setting's width.

    Args:
      setting: its activation is drawn, at its weight and bias variance.

    Raises:
      TypeError: it is no Setting.
      ValueError: its initializer is a fixed pattern, which no weight variance describes.

    Source: Poole et al. 2016 (arXiv 1606.05340), figure 1.
    """
    setting = Setting() if setting is None else setting
    if not isinstance(setting, Setting):
        raise TypeError(f"plot_phases takes a Setting, such as Setting(gain=2), not {setting!r}")
    weight_variance, bias_variance = variances(setting)
    right = max(_WEIGHT_VARIANCE, 1.25 * weight_variance)
    top = max(_BIAS_VARIANCE, 1.25 * bias_variance)
    across = np.linspace(right / _CELLS, right, _CELLS)
    up = np.linspace(0, top, _CELLS)
    chi = theory.phase_diagram(setting.activation, across, up).chi_1
    along = top * np.linspace(0, 1, _CELLS) ** 3  # closer where the edge turns sharply
    edge, _ = theory.critical_line(setting.activation, along)

    theme = THEMES["light"]
    figure = SpokenFigure((6.2, 3.8), dpi=DPI, facecolor=theme.paper)
    axes = figure.add_subplot()
    colors = axes.pcolormesh(
        across,
        up,
        np.clip(chi, 0, 2).T,
        cmap=colormaps["PuOr_r"].resampled(_SHADES),
        vmin=0,
        vmax=2,
        shading="nearest",
    )
    bar = figure.colorbar(colors, ax=axes, extend="max")
    bar.set_label("$\\chi_1$, a layer's factor on squared gradients")
    if np.isfinite(edge).sum() > 1:
        axes.plot(edge, along, color=theme.ink, linewidth=2, label="edge: $\\chi_1 = 1$")
    elif np.isfinite(edge).any():
        axes.plot(edge, along, "s", color=theme.ink, clip_on=False, label="edge: $\\chi_1 = 1$")
    axes.plot(
        weight_variance,
        bias_variance,
        marker="*",
        markersize=17,
        color="white",
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
    axes.set_title(f"{setting.activation}: order (purple) and chaos (orange)", fontsize=10)
    axes.legend(loc="upper left", framealpha=0.9, fontsize=9)
    figure.tight_layout()

    limits = theory.limits(setting.activation, weight_variance, bias_variance)
    figure.alternative_text = (
        f"Phase diagram of {setting.activation}: chi_1 over weight variance 0 to {right:.3g} and"
        f" bias variance 0 to {top:.3g}. {_edge_in_words(edge, along)} This setting, at weight"
        f" variance {weight_variance:.3g} and bias variance {bias_variance:.3g}, is"
        f" {limits.phase}, with chi_1 = {limits.chi_1:.3g}."
    )
    return figure


def variances(setting: Setting) -> tuple[float, float]:
    """``(fan_in * variance of a weight, variance of a bias)`` of a setting's hidden layers.

    >>> variances(Setting(initializer="he_normal"))
    (2.0, 0.0)
    """
    entry = INITIALIZERS[setting.initializer]
    if entry.ensemble == "patterned":
        raise ValueError(
            f"{setting.initializer} is a fixed pattern, which has no weight variance; take one"
            " that draws random weights, such as 'glorot_normal'"
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


def plot_table(
    depth: int = 30,
    width: int = 64,
    initializers=INITIALIZERS_SHOWN,
    activations=ACTIVATIONS_SHOWN,
    seed: int = 0,
) -> SpokenFigure:
    """Initializers against activations, at one depth: by how much the gradient changes.

    A cell's number is the power of ten of the gradient's second moment in the first hidden layer
    over that in the last; a tick marks the starts that :func:`initlab.diagnose` finds healthy.

    Args:
      depth: hidden layers.
      width: units in each.
      initializers: names, one for each row.
      activations: names, one for each column.
      seed: which random numbers are drawn.

    Raises:
      ValueError: an unknown name, a number out of range, or nothing to draw.
    """
    rows = [INITIALIZERS.canonical(name) for name in initializers]
    columns = [ACTIVATIONS.canonical(name) for name in activations]
    if not rows or not columns:
        raise ValueError("plot_table needs an initializer and an activation at least")
    powers = np.full((len(rows), len(columns)), np.nan)
    healthy = np.zeros(powers.shape, bool)
    for place in np.ndindex(powers.shape):
        signals = probe(
            Setting(
                depth=depth,
                width=width,
                initializer=rows[place[0]],
                activation=columns[place[1]],
                seed=seed,
            )
        )
        ratio = gradient_ratio(signals)
        with np.errstate(divide="ignore"):
            powers[place] = np.log10(ratio)
        healthy[place] = diagnose(signals).healthy

    theme = THEMES["light"]
    size = (1.9 + 0.85 * len(columns), 1.0 + 0.42 * len(rows))
    figure = SpokenFigure(size, dpi=DPI, facecolor=theme.paper)
    axes = figure.add_subplot()
    image = axes.imshow(
        np.ma.masked_invalid(np.clip(powers, -_FARTHEST, _FARTHEST)),
        cmap="PuOr_r",
        norm=SymLogNorm(1.0, vmin=-2 * _FARTHEST, vmax=2 * _FARTHEST),
        aspect="auto",
    )
    for (row, column), power in np.ndenumerate(powers):
        text = _cell(power) + (" ✓" if healthy[row, column] else "")
        weight = "bold" if healthy[row, column] else "normal"
        shown = np.clip(np.nan_to_num(power), -_FARTHEST, _FARTHEST)
        color = _readable(image.to_rgba(shown), theme)
        axes.text(column, row, text, ha="center", va="center", weight=weight, color=color)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.set_title(f"depth {depth}: power of ten of gradient, first over last layer", fontsize=10)
    figure.tight_layout()
    told = [
        f"{name} with "
        + ", ".join(
            f"{activation} {_cell(power)}{' (healthy)' if fine else ''}"
            for activation, power, fine in zip(columns, powers[row], healthy[row], strict=True)
        )
        for row, name in enumerate(rows)
    ]
    figure.alternative_text = (
        f"Power of ten of the gradient's second moment, first over last of {depth} layers:"
        f" {'; '.join(told)}. {healthy.sum()} of {healthy.size} are healthy."
    )
    return figure


def _readable(background, theme) -> str:
    """Ink on what is light, paper's color on what is dark."""
    red, green, blue, opacity = background
    light = 1 - opacity * (1 - (0.299 * red + 0.587 * green + 0.114 * blue))
    return theme.ink if light > 0.5 else theme.paper


def _cell(power: float) -> str:
    """A power of ten with its sign, in a word where there is none."""
    if np.isnan(power):
        return "none"
    if abs(power) > _FARTHEST:
        return f"{'<' if power < 0 else '>'} {np.sign(power) * _FARTHEST:+.0f}"
    return f"{round(power) + 0:+d}" if round(power) else "0"
