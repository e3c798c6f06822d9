"""How a start was fitted, as a picture: what became of every matrix, and of the objective."""

import textwrap

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from initlab.adaptive.adapted import Adapted
from initlab.checking import short
from initlab.figures import DPI, SpokenFigure
from initlab.themes import RATIOS, THEMES

_LINE = 46  # characters of a title
_LABELS = 12  # matrices that are named beside the picture
_LEAST = 1.25  # the factor that colours reach to, if none is larger


def plot_adapted(adapted: Adapted) -> SpokenFigure:
    """What a fit did, step by step: to the norms of all matrices, and to what it drives down.

    Args:
      adapted: what one of the functions of ``initlab.adaptive`` returned.

    Raises:
      TypeError: it is none.
    """
    if not isinstance(adapted, Adapted):
        raise TypeError(
            "plot_adapted takes what a function of initlab.adaptive returns, such as"
            f" adaptive.lsuv(Setting()), not {short(adapted)}"
        )
    theme = THEMES["light"]
    figure = SpokenFigure((10.5, 3.75), dpi=DPI, facecolor=theme.paper)
    scales, curve = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_scales(scales, adapted)
    curve.plot(np.arange(adapted.steps + 1), adapted.objective, color=theme.blue, linewidth=2)
    known = np.isfinite(adapted.objective)
    if known.sum() == 1:
        curve.lines[0].set_marker("o")
    if not known.any():
        curve.set_yticks([])
        curve.text(0.5, 0.5, "none", transform=curve.transAxes, ha="center")
    positive = adapted.objective[known & (adapted.objective > 0)]
    if len(positive) and positive.max() > 10 * positive.min():
        curve.set_yscale("log")
        curve.yaxis.set_minor_locator(NullLocator())
    curve.set_xlabel("step")
    curve.set_title(textwrap.fill(adapted.aim, _LINE), fontsize=10, loc="left")
    curve.grid(color=theme.grid, linewidth=0.8)
    for side in ("top", "right"):
        curve.spines[side].set_visible(False)
    for axes in (scales, curve):
        several = MaxNLocator(6, steps=[1, 2, 5, 10], integer=True)
        axes.xaxis.set_major_locator(several if adapted.steps else FixedLocator([0]))
    figure.tight_layout(w_pad=2)
    figure.alternative_text = f"{adapted!r} Colours show each matrix's norm by step."
    return figure


def _draw_scales(axes, adapted: Adapted) -> None:
    """Each matrix's norm over that of the start, the one that reads the input at the bottom."""
    scale = np.where(adapted.scale > 0, adapted.scale, np.nan)
    largest = np.nanmax(np.abs(np.log(scale)), initial=np.log(_LEAST))
    reach = float(np.exp(largest))
    image = axes.imshow(
        scale.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=RATIOS,
        norm=LogNorm(1 / reach, reach),
    )
    count = len(adapted.matrices)
    stride = -(-count // _LABELS)
    named = [*range(0, count - max(stride, 2) + 1, stride), count - 1]
    axes.set_yticks(named, [adapted.matrices[place] for place in named])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("step")
    axes.set_title(f"{adapted.method}: each matrix's norm", fontsize=10, loc="left")
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    ticks = np.array([1 / reach, reach**-0.5, 1.0, reach**0.5, reach])
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label("over that of the start")
    bar.outline.set_visible(False)
