"""A sweep as a heat map: colors for numbers, hatching for what is none, lines for theory."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from initlab.checking import flag
from initlab.figures import DPI, SpokenFigure, rim, write_over
from initlab.maps.boundary import Line, lines
from initlab.maps.reading import ABSENT, OVERFLOW, UNDEFINED, Cut, cut, is_numeric
from initlab.maps.scales import Scale, edges_of, is_geometric, middle, say, say_fixed, scale_of
from initlab.sweeps.grid import UNITS
from initlab.themes import LIGHT

if TYPE_CHECKING:
    import xarray

_HATCHES = {OVERFLOW: "////", UNDEFINED: "....", ABSENT: ""}
_TICKS = 9  # of a numeric axis, at most


def plot_map(
    dataset: "xarray.Dataset",
    name: str,
    *,
    x: str,
    y: str,
    layer: int | None = None,
    marked: str | None = None,
    theory: bool = True,
) -> SpokenFigure:
    r"""A variable of a sweep over two of its axes, as a heat map.

    Over any further axes the median is taken, in which what is no number counts as larger than
    any; of what is true or false, the share. Where nothing finite is left, the cell is hatched.
    An axis of numbers is logarithmic if they are evenly spaced that way; two axes of names make a
    table with a number in each cell.

    Args:
      dataset: what :func:`initlab.sweep` or :func:`initlab.train_sweep` returned.
      name: which variable. ``gradient_ratio`` is shown as a power of ten, and anything else by
        its logarithm if it spans more than a factor of 100.
      x: the axis that runs from left to right.
      y: the axis that runs up, or down if it has names.
      layer: which one, for a variable that has a value for each.
      marked: a variable that is true or false; cells where it is true more often than not have
        a tick.
      theory: whether to draw what mean-field theory says. Over gain and depth that is the edge,
        :math:`\chi_1 = 1`, and six depth scales, about as deep as one can train; over gain and
        ``bias_std`` it is the edge. Where theory is silent nothing is drawn.

    Raises:
      TypeError: it is no Dataset.
      ValueError: a variable, axis or layer that is not there; the message names those that are.

    Source: Schoenholz et al. 2017 (arXiv 1611.01232), figure 5.

    >>> from initlab import train_sweep
    >>> trained = train_sweep(depth=1, width=16, gain=[0.5, 1.0], seed=[0, 1], steps=2)
    >>> plot_map(trained, "loss", x="gain", y="seed").alternative_text[:58]
    'loss (nat) over gain 0.5 to 1 and seed 0 to 1, after 2 ste'
    """
    table = cut(dataset, name, x, y, layer, marked)
    setting = table.setting if flag("theory", theory) else None
    sides = edges_of(table.across), edges_of(table.up)
    drawn = [] if setting is None else lines(setting, x, y, *sides)
    return _Picture(table, scale_of(name, table), drawn).figure


class _Picture:
    """The figure of a cut; made in parts."""

    def __init__(self, table: Cut, scale: Scale, drawn: list[Line]):
        self._table, self._scale, self._theme = table, scale, LIGHT
        self._names = not is_numeric(table.across) and not is_numeric(table.up)
        size = (7.0, 4.4)
        if self._names:
            size = (3.6 + 0.78 * len(table.across), 1.6 + 0.3 * len(table.up))
        self.figure = SpokenFigure(size, dpi=DPI, facecolor=self._theme.paper, layout="constrained")
        self._axes = self.figure.add_subplot()
        self._edges = {"x": edges_of(table.across), "y": edges_of(table.up)}
        self._color()
        self._hatch()
        self._write()
        self._label()
        self._lines(drawn)
        self._legend(drawn)
        self.figure.alternative_text = self._words(drawn)

    def _color(self) -> None:
        scale = self._scale
        cells = np.ma.masked_where(self._table.faults != "", scale.shown)
        self._axes.pcolormesh(
            self._edges["x"], self._edges["y"], cells, norm=scale.norm, cmap=scale.colors
        )
        if np.isfinite(self._table.values).any():
            mappable = ScalarMappable(scale.norm, scale.colors)
            bar = self.figure.colorbar(mappable, ax=self._axes, extend=scale.extend)
            bar.set_label(scale.label)
            if scale.ticks:
                bar.set_ticks(scale.ticks, labels=[scale.cell(tick) for tick in scale.ticks])

    def _hatch(self) -> None:
        """Hatch what is no number."""
        for fault, hatch in _HATCHES.items():
            there = self._table.faults == fault
            if there.any():
                self._axes.pcolor(
                    self._edges["x"],
                    self._edges["y"],
                    np.ma.masked_array(there, ~there, float),
                    cmap=ListedColormap([self._theme.grid]),
                    hatch=hatch,
                    edgecolor=self._theme.ghost,
                    linewidth=0,
                )

    def _write(self) -> None:
        """Numbers into the cells of a table, and ticks."""
        colors = ScalarMappable(self._scale.norm, self._scale.colors)
        for row, column in np.ndindex(self._table.values.shape):
            fault, value = self._table.faults[row, column], self._scale.values[row, column]
            shown = self._scale.shown[row, column]
            words = []
            if self._names and not fault:
                words.append(self._scale.cell(float(value)))
            if self._table.marked[row, column]:
                words.append("✓")
            place = (middle(self._table.across, column), middle(self._table.up, row))
            text = self._axes.text(
                *place,
                " ".join(words),
                ha="center",
                va="center",
                fontsize=9,
                weight="bold" if self._table.marked[row, column] else "normal",
            )
            background = to_rgba(self._theme.grid) if fault else colors.to_rgba(shown)
            write_over(text, background, self._theme)

    def _label(self) -> None:
        table, axes = self._table, self._axes
        for side, name, values in (("x", table.x, table.across), ("y", table.y, table.up)):
            axis = getattr(axes, f"{side}axis")
            if is_numeric(values):
                if is_geometric(values):
                    axes.set(**{f"{side}scale": "log"})
                shown = values[:: -(-len(values) // _TICKS)]
                axis.set_ticks(shown, [say(value) for value in shown])
            else:
                axis.set_ticks(range(len(values)), values)
                axis.set_inverted(side == "y")
            axis.set_minor_locator(NullLocator())
            unit = UNITS.get(name, "1")
            axis.set_label_text(name if unit == "1" else f"{name} ({unit})")
        if not is_numeric(table.across) and len(table.across) > 5:
            axes.tick_params(axis="x", rotation=30)
        axes.tick_params(length=0 if self._names else 3)
        axes.spines[:].set_visible(False)
        quantity = self._scale.label.split(" (")[0]
        first = ", ".join(filter(None, [quantity, table.summary]))
        axes.set_title(f"{first}\n{say_fixed(table.fixed)}".strip(), fontsize=10)

    def _lines(self, drawn: list[Line]) -> None:
        """Theory, in white with a rim of ink, which is seen on every color."""
        limits = {side: (edges.min(), edges.max()) for side, edges in self._edges.items()}
        for line, style in zip(drawn, _STYLES, strict=False):
            self._axes.plot(line.x, line.y, path_effects=_RIM, **style)
        self._axes.set(xlim=limits["x"], ylim=limits["y"])
        for side, values in (("x", self._table.across), ("y", self._table.up)):
            if not is_numeric(values):
                getattr(self._axes, f"{side}axis").set_inverted(side == "y")

    def _legend(self, drawn: list[Line]) -> None:
        theme = self._theme
        handles = [
            Line2D([], [], label=line.label, path_effects=_RIM, **style)
            for line, style in zip(drawn, _STYLES, strict=False)
        ]
        handles += [
            Patch(facecolor=theme.grid, edgecolor=theme.ghost, hatch=hatch, label=fault)
            for fault, hatch in _HATCHES.items()
            if (self._table.faults == fault).any()
        ]
        if self._table.marked.any():
            tick = {"linestyle": "none", "marker": "$✓$", "markersize": 9, "color": theme.ink}
            handles.append(Line2D([], [], label=self._table.mark, **tick))
        if handles:
            self.figure.legend(
                handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9
            )

    def _words(self, drawn: list[Line]) -> str:
        """The map in words: its range, where it lies, what is no number, what theory says."""
        table = self._table
        spans = " and ".join(
            f"{name} {say(values[0])} to {say(values[-1])}"
            if is_numeric(values)
            else f"{len(values)} {name}s"
            for name, values in ((table.x, table.across), (table.y, table.up))
        )
        told = [", ".join(filter(None, [f"{self._scale.label} over {spans}", table.summary]))]
        if fixed := say_fixed(table.fixed):
            told[0] += f"; {fixed}"
        told = [f"{told[0]}."]
        known = np.isfinite(table.values)
        if known.any():
            ends = []
            for find, fill in ((np.argmin, np.inf), (np.argmax, -np.inf)):
                place = np.unravel_index(
                    find(np.where(known, self._scale.values, fill)), known.shape
                )
                at = ", ".join(
                    f"{name} {say(values[index])}"
                    for name, values, index in (
                        (table.x, table.across, place[1]),
                        (table.y, table.up, place[0]),
                    )
                )
                ends.append(f"{self._scale.cell(self._scale.values[place])} at {at}")
            told.append(f"From {ends[0]}, to {ends[1]}.")
        for fault in _HATCHES:
            if count := int((table.faults == fault).sum()):
                told.append(f"{count} of {table.faults.size} cells: {fault}.")
        if table.marked.any():
            told.append(f"{table.marked.sum()} of {table.marked.size} cells: {table.mark}.")
        return " ".join([*told, *(line.words for line in drawn)])


_RIM = rim(LIGHT.ink, 4.5)
_STYLES = (
    {"color": LIGHT.paper, "linewidth": 2, "linestyle": "--"},
    {"color": LIGHT.paper, "linewidth": 2, "linestyle": "-"},
)
