"""Pictures of training: loss and accuracy over the steps, and one measure over the layers.

Shapes: k seeds, R records, L depth.
"""

import dataclasses
import math

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from initlab.checking import short
from initlab.figures import DPI, SpokenFigure, rim
from initlab.frames import Frame
from initlab.history import History
from initlab.panels import PANELS
from initlab.setting import AnySetting, one_of
from initlab.themes import STYLES, THEMES

MOST_CURVES = 8  # more are not told apart
LOSS_LIMITS = (1e-3, 30.0)
LEVEL = 0.9  # the least coverage of a band, where there are seeds enough


@dataclasses.dataclass(frozen=True)
class ByLayer:
    """What the third panel shows: a field of History, by layer at the last record."""

    field: str
    title: str
    unit: str
    limits: tuple[float, float]
    ticks: tuple[float, ...]
    plain_ticks: bool = False


def _like(field: str, panel) -> ByLayer:
    return ByLayer(field, panel.title, panel.unit, panel.limits, panel.ticks, panel.plain_ticks)


BY_LAYER = {
    "gradient": _like("gradient_second_moment", PANELS["gradient"]),
    "neurons": _like("distinct_neurons", PANELS["neurons"]),
    "update": ByLayer(
        "update_ratio",
        "Last step's update",
        "norm of update / norm of weights",
        (1e-9, 1e1),
        (1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 1e1),
    ),
}


def median_interval(count: int, level: float = LEVEL) -> tuple[int, float]:
    """A confidence interval of a median that assumes nothing of the distribution.

    The j-th smallest of n values and the j-th largest hold the median between them with
    probability 1 - 2 P(Binomial(n, 1/2) < j). Returns the largest j - 1 for which that is at
    least ``level``, or 0 where no j reaches it, and the probability.

    Source: Conover 1999, Practical Nonparametric Statistics, section 3.2.

    >>> median_interval(8)
    (1, 0.9296875)
    """
    skipped, outside = 0, 2.0 ** (1 - count)
    below = 1
    while skipped + 1 < count / 2:
        below += math.comb(count, skipped + 1)
        if 1 - below * 2.0 ** (1 - count) < level:
            break
        skipped, outside = skipped + 1, below * 2.0 ** (1 - count)
    return skipped, 1 - outside


class RacePicture(Frame):
    """A figure of several starts in training that follows :meth:`update`.

    Args:
      names: of all starts; those of one name are drawn as one curve, their median.
      settings: the starts themselves.
      last_step: where the axes of steps end.
      held_out: whether accuracy is that of the examples held out.
      by_layer: what the third panel shows: a name in ``BY_LAYER``.
      dpi: dots an inch.

    Raises:
      ValueError: more than eight names, or an unknown ``by_layer``.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        settings: tuple[AnySetting, ...],
        last_step: int,
        held_out: bool,
        by_layer: str = "gradient",
        dpi: float = DPI,
    ):
        curves = list(dict.fromkeys(names))
        if len(curves) > MOST_CURVES:
            raise ValueError(f"{len(curves)} curves are not told apart; the most are {MOST_CURVES}")
        one_of("by_layer", by_layer, tuple(BY_LAYER))
        self._last_step, self._by_layer = last_step, BY_LAYER[by_layer]
        self._accuracy = "held_out_accuracy" if held_out else "accuracy"
        theme = THEMES["light"]
        columns = 4 if max(map(len, curves)) <= 26 else 2 if max(map(len, curves)) <= 55 else 1
        rows = math.ceil(len(curves) / columns) + (len(names) > len(curves))
        figure = SpokenFigure((10.5, 3.25 + 0.25 * rows), dpi=dpi, facecolor=theme.paper)
        loss, accuracy, layers = figure.subplots(1, 3)
        self._over_steps(loss, "Loss", "cross-entropy in nats")
        loss.set_yscale("log")
        loss.yaxis.set_minor_locator(NullLocator())
        loss.set_ylim(*LOSS_LIMITS)
        loss.set_yticks((1e-3, 1e-2, 1e-1, 1, 10), ("≤ 0.001", "0.01", "0.1", "1", "10"))
        title = "Accuracy, examples held out" if held_out else "Accuracy, examples trained on"
        self._over_steps(accuracy, title, "share classified right")
        accuracy.set_ylim(-0.02, 1.02)
        depth = max(setting.depth for setting in settings)
        self._over_layers(layers, depth, settings[0].axis)
        for axes in (loss, accuracy, layers):
            axes.grid(color=theme.grid, linewidth=0.8)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)

        self._now = [axes.axvline(0, color=theme.ghost, linewidth=0.8) for axes in (loss, accuracy)]
        # over bands that overlap, curves keep their contrast by an edge of paper
        halo = rim(theme.paper, 3.4) if len(names) > len(curves) else []
        self._curves = {
            name: (
                _Curve(loss, style, LOSS_LIMITS, place, halo),
                _Curve(accuracy, style, (0, 1), place, halo),
                _Curve(layers, style, self._by_layer.limits, place),
            )
            for place, (name, style) in enumerate(zip(curves, STYLES, strict=False))
        }
        figure.legend(
            [parts[0].line for parts in self._curves.values()],
            curves,
            title=say_band(len(names) // len(curves)),
            title_fontsize=9,
            fontsize=9,
            ncols=columns,
            loc="lower center",
            frameon=False,
            handlelength=3.5,
        )
        height = figure.get_size_inches()[1]
        figure.tight_layout(w_pad=1.5, rect=(0, 0.25 * (rows + 0.2) / height, 1, 1))
        parts = (part for curve in self._curves.values() for part in curve)
        moving = (artist for part in parts for artist in part.artists)
        super().__init__(figure, [*self._now, *moving])

    def _over_steps(self, axes, title: str, unit: str) -> None:
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlim(0, max(self._last_step, 1))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        axes.set_xlabel("step")
        axes.set_ylabel(unit)

    def _over_layers(self, axes, depth: int, label: str) -> None:
        shown = self._by_layer
        axes.set_title(f"{shown.title}, now", fontsize=11, loc="left")
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(*shown.limits)
        axes.set_yticks(shown.ticks, [f"{x:g}" for x in shown.ticks] if shown.plain_ticks else None)
        axes.set_xlim(0.5, depth + (1.5 if shown.field == "update_ratio" else 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 4, 5, 8, 10], integer=True))
        axes.set_xlabel(label)
        axes.set_ylabel(shown.unit)

    def update(self, history: History, step: int) -> None:
        """Move the curves to these records, and the line that marks the present to a step."""
        for line in self._now:
            line.set_xdata([step, step])
        for name, places in history.places.items():
            loss, accuracy, layers = self._curves[name]
            diverged = [history.diverged_at[place] for place in places]
            diverged = sorted(step for step in diverged if step is not None)
            loss.update(history.steps, history.loss[places])
            loss.mark(diverged)
            accuracy.update(history.steps, getattr(history, self._accuracy)[places])
            depth = history.settings[places[0]].depth
            values = getattr(history, self._by_layer.field)[places, -1]
            readout = self._by_layer.field == "update_ratio"
            count = depth + 1 if readout else depth
            layers.update(np.arange(1, count + 1), values[:, :count], banded=False)
        self.figure.alternative_text = describe(history)


class _Curve:
    """One name's artists on one of the axes: a band, a line, and marks where starts diverged."""

    def __init__(self, axes, style, limits: tuple[float, float], place: int, halo=()):
        color, line, marker = style
        self._limits, self._place = limits, place
        (self._band,) = axes.fill([0], [1], color=color, alpha=0.15, linewidth=0, zorder=1)
        (self.line,) = axes.plot(
            [], [], color=color, linestyle=line, marker=marker, markersize=5, linewidth=1.8
        )
        (self._ends,) = axes.plot(
            [], [], color=color, linestyle="none", marker="x", markersize=9, markeredgewidth=2.5
        )
        self._ends.set_clip_on(False)
        self.line.set_path_effects(list(halo))
        self.artists = [self._band, self.line, self._ends]
        for artist in self.artists:
            artist.set_in_layout(False)

    def update(self, x, values, banded: bool = True) -> None:
        """Draw the median of ``values [k, …]``, and a band; where it is no number, nothing."""
        ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=0)
        middle = ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2
        middle = np.where(np.isfinite(middle), middle, np.nan)
        skipped, _ = median_interval(len(ordered))
        low, high = ordered[skipped], ordered[-1 - skipped]
        self.line.set_data(x, np.clip(middle, *self._limits))
        # a few markers, those of no two curves at one place
        stride = max(1, len(x) // 5)
        self.line.set_markevery((self._place * stride // MOST_CURVES, stride))
        self._band.set_visible(banded and len(ordered) > 1)
        low, high = np.clip(low, *self._limits), np.clip(high, *self._limits)
        self._band.set_xy(np.column_stack([np.append(x, x[::-1]), np.append(low, high[::-1])]))

    def mark(self, steps: list[int]) -> None:
        """Mark under the upper edge where starts diverged."""
        self._ends.set_data(steps, np.full(len(steps), 0.7 * self._limits[1]))


def say_band(seeds: int) -> str | None:
    """What a curve and its band are, in words; None if there is one seed alone."""
    if seeds == 1:
        return None
    _, coverage = median_interval(seeds)
    return f"median of {seeds} seeds; band: {coverage:.0%} confidence interval of the median"


def describe(history: History) -> str:
    """The race in words: who is how far, the best first, and who diverged."""
    held_out = not np.isnan(history.held_out_accuracy).all()
    field = "held_out_accuracy" if held_out else "accuracy"
    told = []
    for name, places in history.places.items():
        loss, accuracy = history.loss[places, -1], getattr(history, field)[places, -1]
        loss = float(np.median(np.where(np.isnan(loss), np.inf, loss)))
        diverged = [place for place in places if history.diverged_at[place] is not None]
        if len(diverged) == len(places):
            words = f"{name} {history.say_divergence(diverged[0])}"
        else:
            words = f"{name}: loss {loss:.3g}, accuracy {np.median(accuracy):.1%}"
            words += f" ({len(diverged)} of {len(places)} diverged)" if diverged else ""
        told.append((loss, words))
    told.sort(key=lambda pair: pair[0])
    where = "held-out examples" if held_out else "the examples trained on"
    seeds = max(map(len, history.places.values()))
    what = f", medians of {seeds} seeds" if seeds > 1 else ""
    return (
        f"After {history.steps[-1]} steps, accuracy on {where}{what}, lowest loss first: "
        + "; ".join(words for _, words in told)
        + "."
    )


def plot_race(history: History, by_layer: str = "gradient") -> SpokenFigure:
    """Loss, accuracy and a measure by layer of starts that were trained side by side.

    Starts that differ in nothing but their seed are one curve, their median, with a confidence
    interval of the median as a band. A cross at the upper edge marks where a start diverged.

    Args:
      history: what :func:`initlab.train` returned, of at most eight starts apart from seeds.
      by_layer: what is shown by layer at the last record: "gradient", "neurons" or "update", the
        last step's update relative to the weights.

    Raises:
      TypeError: no History.
      ValueError: more than eight curves, or an unknown ``by_layer``.
    """
    if not isinstance(history, History):
        raise TypeError(f"plot_race takes the History that train returns, not {short(history)}")
    held_out = not np.isnan(history.held_out_accuracy).all()
    picture = RacePicture(
        history.names, history.settings, int(history.steps[-1]), held_out, by_layer
    )
    picture.update(history, int(history.steps[-1]))
    return picture.figure
