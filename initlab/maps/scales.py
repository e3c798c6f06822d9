"""How a map's axes are laid out, how its numbers become colors, and how both are told in words."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LogNorm, Normalize, SymLogNorm

from initlab.maps.reading import Cut, is_numeric
from initlab.pairs import FARTHEST, say_power
from initlab.themes import RATIOS, SEQUENTIAL

_WIDE = 100  # a variable whose largest value is that many times the smallest is colored by powers
_POWERS = (-20, -10, -3, -1, 0, 1, 3, 10, 20)  # that the bar of a ratio's colors shows


class Scale(NamedTuple):
    """How numbers become colors, and what stands in the cells of a table."""

    values: np.ndarray
    norm: Normalize
    colors: str
    label: str
    extend: str  # where colors end before the values do
    cell: Callable[[float], str]  # what a value is called in a cell
    ticks: tuple[float, ...] = ()  # of the bar, where matplotlib's own will not do

    @property
    def shown(self) -> np.ndarray:
        """The values, those beyond the colors at their ends."""
        return np.clip(self.values, self.norm.vmin, self.norm.vmax)


def scale_of(name: str, table: Cut) -> Scale:
    """By powers of ten around 1 for a ratio of gradients, by powers for what spans many of them."""
    values, label = table.values, table.quantity
    if name == "gradient_ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            powers = np.log10(values)
        norm = SymLogNorm(1.0, vmin=-FARTHEST, vmax=FARTHEST)
        label = f"power of ten of {label}, first layer over last"
        return Scale(powers, norm, RATIOS, label, "both", say_power, _POWERS)
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if len(positive) and (finite >= 0).all() and positive.max() > _WIDE * positive.min():
        extend = "min" if len(positive) < len(finite) else "neither"
        norm = LogNorm(positive.min(), positive.max())
        return Scale(values, norm, SEQUENTIAL, label, extend, "{:.0e}".format)
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1)
    return Scale(values, norm, SEQUENTIAL, label, "neither", "{:.2g}".format)


def say(value: str | float) -> str:
    """A value of an axis: a name, or a number."""
    return str(value) if isinstance(value, str) else f"{value:.4g}"


def is_geometric(values: np.ndarray) -> bool:
    """Whether numbers in rising order are more evenly spaced by their logarithms."""
    if len(values) < 3 or values[0] <= 0:
        return False
    steps, logarithmic = np.diff(values), np.diff(np.log(values))
    return bool(np.std(logarithmic) / logarithmic.mean() < np.std(steps) / steps.mean())


def edges_of(values: np.ndarray) -> np.ndarray:
    """Where the cells of an axis begin and end: ``[n + 1]``."""
    if not is_numeric(values):
        return np.arange(len(values) + 1) - 0.5
    log = is_geometric(values)
    places = np.log(values) if log else values.astype(float)
    steps = np.diff(places) if len(places) > 1 else np.ones(1)
    edges = np.concatenate(
        [places[:1] - steps[0] / 2, (places[1:] + places[:-1]) / 2, places[-1:] + steps[-1] / 2]
    )
    return np.exp(edges) if log else edges


def middle(values: np.ndarray, index: int) -> float:
    """Where a cell of an axis is written into."""
    return float(values[index]) if is_numeric(values) else float(index)


def say_fixed(fixed: dict[str, Any]) -> str:
    """What is the same everywhere, in words."""
    words = {
        "depth": "depth {}",
        "width": "width {}",
        "activation": "{}",
        "initializer": "{}",
        "gain": "gain {:.3g}",
        "bias_std": "bias_std {:.3g}",
    }
    return ", ".join(text.format(fixed[name]) for name, text in words.items() if name in fixed)
