"""A report as a picture: a row for each layer, and what is wrong marked at the layer to blame."""

import dataclasses
import textwrap
from collections.abc import Callable

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from initlab.doctor.remedy import Cure
from initlab.doctor.report import Layer, Report
from initlab.failures import DEAD_SHARE, GRADIENT_FACTOR
from initlab.failures import DISTINCT_SHARE as _FEW
from initlab.failures import SATURATED_SHARE as _FLAT
from initlab.figures import DPI, SpokenFigure
from initlab.themes import BLAMED, THEMES

_WIDTH = 11.5  # inches
_ROW, _LEAST, _MOST = 0.24, 1.4, 7.2  # inches that a layer takes, and that all of them do
_NAME_HEIGHT, _WORD_HEIGHT = 0.16, 0.19  # inches of a line beside the panels, left and right
_NAME, _LINE, _WORDS = 36, 150, 21  # characters of a name, of a line above, of one beside a layer
_THEME = THEMES["light"]


@dataclasses.dataclass(frozen=True)
class _Measure:
    """What is drawn of each layer, in which panel, and from where on it is a failure."""

    name: str
    panel: int
    of: Callable  # (report, layer) -> number
    bounds: tuple[float, ...] = ()
    color: str = _THEME.blue
    marker: str = "o"


_MEASURES = (
    _Measure("E[z²]", 0, lambda _, one: one.second_moment),
    _Measure("gradient ratio", 1, Report.gradient_ratio, (1 / GRADIENT_FACTOR, GRADIENT_FACTOR)),
    _Measure("saturated", 2, lambda _, one: one.saturated_fraction, (_FLAT,), _THEME.green, "s"),
    _Measure("dead", 2, lambda _, one: one.dead_fraction, (DEAD_SHARE,), _THEME.red, "D"),
    _Measure("distinct neurons", 3, lambda _, one: one.distinct_neurons / one.units, (_FEW,)),
)
_PANELS = (
    ("Signal", "E[z²]"),
    ("Gradient", "over that of the last but one"),
    ("Saturated, dead", "share"),
    ("Distinct neurons", "share of units"),
)
_LOGARITHMIC = 2  # the first panels
#: Markers of what a logarithmic axis does not hold, in words.
_EDGE = 0.04  # of the axis, where they lie
_EDGES = {">": "not finite", "$0$": "exactly 0", "$?$": "unknown"}


def plot_report(report: Report | Cure) -> SpokenFigure:
    """Signal, gradient, shares and neurons of all layers, with the layers to blame marked.

    Layers stand in the order in which they are computed, the first at the top. Dotted lines show
    where a measure becomes a failure. What is not finite lies at an axis' right edge; what is
    exactly zero, or unknown, at its left.

    Args:
      report: what :func:`initlab.examine` returned; or the remedy of it, which is drawn over what
        was before.

    Raises:
      TypeError: it is neither.

    >>> import initlab
    >>> report = initlab.examine(lambda w, x: x @ w, np.eye(4), np.eye(4))
    >>> plot_report(report).alternative_text.split(".")[0]
    'Healthy: 1 layer, gradient ratio 1 of the first'
    """
    if isinstance(report, Cure):
        reports = {"before": report.before, "after": report.after}
    elif isinstance(report, Report):
        reports = {"": report}
    else:
        raise TypeError(
            "plot_report takes what initlab.examine returns, or its remedy, not"
            f" {type(report).__name__}"
        )
    said = [_named(name, one.summary) for name, one in reports.items()]
    lines = [line for text in said for line in textwrap.wrap(text, _LINE)]
    layers = next(iter(reports.values())).layers
    rows = min(max(_ROW * len(layers), _LEAST), _MOST)
    above, below = 0.2 + 0.17 * len(lines), 0.35
    height = above + rows + 0.75 + below
    figure = SpokenFigure((_WIDTH, height), dpi=DPI, facecolor=_THEME.paper)
    panels = figure.subplots(1, len(_PANELS), sharey=True, squeeze=False)[0]
    size = min(7.0, 72 * rows / len(layers))  # points; one above the other without a gap
    for measure in _MEASURES:
        _draw(panels[measure.panel], reports, measure, size)
    _name_layers(panels[0], layers, _blamed(reports), rows)
    _name_failures(panels, _blamed(reports), len(layers), rows)
    figure.text(0.01, 1 - 0.1 / height, "\n".join(lines), va="top", fontsize=9.5, parse_math=False)
    _explain(figure, panels, reports)
    figure.tight_layout(w_pad=1, rect=(0, below / height, 1, 1 - above / height))
    measured = [_say(reports, measure) for measure in _MEASURES]
    figure.alternative_text = " ".join([*said, *filter(None, measured)])
    return figure


def _named(name: str, text: str) -> str:
    return f"{name.capitalize()}: {text}" if name else text


def _values(report: Report, measure: _Measure) -> np.ndarray:
    return np.array([measure.of(report, layer) for layer in report.layers], float)


# --- the panels ----------------------------------------------------------------------------------


def _draw(axes, reports: dict[str, Report], measure: _Measure, size: float) -> None:
    """One measure's curves, and markers of a size for values that lie at an edge."""
    values = {name: _values(report, measure) for name, report in reports.items()}
    logarithmic = measure.panel < _LOGARITHMIC
    _prepare(axes, measure, np.concatenate([*values.values()]))
    for name, row in values.items():
        shown = np.isfinite(row) & ((row > 0) | (not logarithmic))
        before = name == "before"
        axes.plot(
            np.where(shown, row, np.nan),
            np.arange(len(row)),
            color=measure.color,
            linestyle="--" if before else "-",
            marker=measure.marker,
            markersize=6 if before else 4,
            markerfacecolor="none" if before else measure.color,
            linewidth=1.2,
            label=f"{measure.name} {name}".strip(),
        )
        unknown = np.isnan(row) & (measure.name != "saturated")  # most layers have no gate
        at_edge = {">": np.isposinf(row), "$0$": logarithmic & (row == 0), "$?$": unknown}
        for marker, where in at_edge.items():
            if where.any():
                axes.plot(
                    np.full(where.sum(), 1 - _EDGE if marker == ">" else _EDGE),
                    np.flatnonzero(where),
                    transform=axes.get_yaxis_transform(),  # x in shares of the axis
                    color=measure.color,
                    linestyle="none",
                    marker=marker,
                    markersize=size,
                    markeredgewidth=0.3,
                    label=f"{_EDGES[marker]} {name}".strip(),
                )


def _prepare(axes, measure: _Measure, values: np.ndarray) -> None:
    """Scale, title and limits of a panel, wide enough for all values and for where it is usual."""
    title, unit = _PANELS[measure.panel]
    axes.set_title(title, fontsize=10.5, loc="left")
    axes.set_xlabel(unit, fontsize=9)
    axes.grid(color=_THEME.grid, linewidth=0.8)
    axes.tick_params(axis="x", labelsize=8.5)
    for bound in measure.bounds if np.isfinite(values).any() else ():
        # the mark at its upper end says whose bound it is, where a panel has two measures
        style = {"color": measure.color, "linestyle": ":", "linewidth": 1.2, "label": "bound"}
        mark = {"marker": measure.marker, "markersize": 4, "markevery": [1], "clip_on": False}
        axes.axvline(bound, **style, **mark)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if measure.panel >= _LOGARITHMIC:
        axes.set_xlim(-0.04, 1.04)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        return
    known = np.log10(values[np.isfinite(values) & (values > 0)])
    low, high = min(known, default=0.0), max(known, default=0.0)
    usual = np.log10(measure.bounds or (0.1, 10))
    low, high = min(low, *usual), max(high, *usual)
    room = 0.1 * (high - low)
    axes.set_xscale("log")
    axes.set_xlim(10 ** max(low - room, -300), 10 ** min(high + room, 300))
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())


# --- names ---------------------------------------------------------------------------------------


def _blamed(reports: dict[str, Report]) -> dict[int, str]:
    """What layers are blamed for, by their place: in words, with when it was if there are two."""
    words = {}
    for name, report in reports.items():
        for one in report.failures:
            words.setdefault(one.first_layer, []).append(_named(name, one.mode))
    return {place: ", ".join(dict.fromkeys(words[place])) for place in sorted(words)}


def _short(names: list[str]) -> list[str]:
    """Names without some of what all of them have in common, if they are long."""
    common = set.intersection(*(set(name.split("/")) for name in names))
    dropped = sorted(common, key=lambda part: (-len(part), part))
    return [_shortened(name, dropped) for name in names]


def _shortened(name: str, dropped: list[str]) -> str:
    parts = name.split("/")
    for part in dropped:
        if len("/".join(parts)) <= _NAME:
            break
        parts = ["…" if one == part else one for one in parts]
    parts = [part for place, part in enumerate(parts) if parts[place - 1 : place + 1] != ["…"] * 2]
    short = "/".join(parts)
    return short if len(short) <= _NAME else f"{short[: _NAME // 2 - 1]}…{short[-_NAME // 2 :]}"


def _name_layers(axes, layers: tuple[Layer, ...], blamed: dict[int, str], rows: float) -> None:
    """Names beside as many layers as there is room for, those that are blamed before others."""
    count = len(layers)
    apart = max(1, int(np.ceil(count * _NAME_HEIGHT / rows)))
    named = []
    for place in (*blamed, 0, count - 1, *range(0, count, apart)):
        if all(abs(place - other) >= apart for other in named):
            named.append(place)
    named.sort()
    axes.set_ylim(count - 0.5, -0.5)
    short = _short([layer.name for layer in layers])
    axes.set_yticks(named, [short[place] for place in named], fontsize=8)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)


def _name_failures(panels, blamed: dict[int, str], count: int, rows: float) -> None:
    """A band behind each layer that is blamed, and beside it what for."""
    half = max(0.5, 0.012 * count)
    free = -np.inf  # rows from here on have no words yet
    for place, words in blamed.items():
        for axes in panels:
            axes.axhspan(place - half, place + half, color=BLAMED, zorder=0, label="blamed")
        lines = textwrap.wrap(words, _WORDS)
        tall = len(lines) * _WORD_HEIGHT * count / rows
        middle = max(place, free + tall / 2)
        free = middle + tall / 2
        panels[-1].annotate(
            "\n".join(lines),
            (1.0, place),
            (1.14, middle),
            xycoords=panels[-1].get_yaxis_transform(),  # x in shares of the axis
            arrowprops={"arrowstyle": "-|>", "color": _THEME.red, "shrinkA": 1, "shrinkB": 0},
            fontsize=9,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )


def _explain(figure, panels, reports: dict[str, Report]) -> None:
    """What lines and markers mean, in one row under the panels: of those that were drawn."""

    def key(color, label, **options):
        return Line2D([], [], color=color, label=label, markersize=5, **options)

    lines = [line for axes in panels for line in axes.lines]
    drawn = {line.get_label() for line in lines if np.isfinite(line.get_xdata()).any()}
    ink, keys = _THEME.ink, []
    if len(reports) > 1:
        keys.append(key(ink, "before", linestyle="--", marker="o", markerfacecolor="none"))
        keys.append(key(ink, "after", marker="o"))
    keys += [
        key(measure.color, measure.name, marker=measure.marker)
        for measure in _MEASURES
        if measure.panel == 2 and any(label.startswith(measure.name) for label in drawn)
    ]
    keys.append(key(ink, "a failure from here on", linestyle=":"))
    keys += [
        key(ink, words, linestyle="none", marker=marker, markeredgewidth=0.3)
        for marker, words in _EDGES.items()
        if any(label.startswith(words) for label in drawn)
    ]
    if any(report.failures for report in reports.values()):
        keys.append(Patch(color=BLAMED, label="to blame"))
    figure.legend(handles=keys, ncols=len(keys), loc="lower center", frameon=False, fontsize=9)


# --- words ---------------------------------------------------------------------------------------


def _say(reports: dict[str, Report], measure: _Measure) -> str:
    """The range of a measure, of each report, and how many layers it does not hold for."""
    told = []
    for name, report in reports.items():
        values = _values(report, measure)
        known = values[np.isfinite(values)]
        parts = [f"from {known.min():.2g} to {known.max():.2g}"] if len(known) else []
        over, unknown = np.isposinf(values).sum(), np.isnan(values).sum()
        parts += [f"not finite at {over} of {len(values)} layers"] if over else []
        if unknown and measure.name != "saturated":
            parts.append(f"unknown at {unknown} of {len(values)} layers")
        if parts:
            told.append(f"{name} {', '.join(parts)}".strip())
    if not told:
        return ""
    share = " as a share of units" if measure.panel == 3 else ""
    return f"{measure.name[0].upper()}{measure.name[1:]}{share}: {'; '.join(told)}."
