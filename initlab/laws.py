"""What an initializer is, and the laws by which layers scale what is drawn."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

FIXED_SCALE = 0.05  # of the starts that ignore fans: Keras' default for random ones


class Fan(NamedTuple):
    """Where a weight matrix stands: its fans, and which of the ``depth + 1`` matrices it is."""

    fan_in: int
    fan_out: int
    layer: int = 1  # 1 reads the input, depth + 1 is the readout
    depth: int = 1  # hidden layers


@dataclasses.dataclass(frozen=True)
class Initializer:
    """A start for a layer's weights: ``gain * scale(fan) * draw(key, (fan_in, fan_out))``."""

    name: str
    #: of key and shape, in float32
    draw: Callable[..., jax.Array] = dataclasses.field(repr=False)
    scale: Callable[[Fan], float] = dataclasses.field(repr=False)
    law: str = ""  # LaTeX, without dollar signs
    when: str = ""
    source: str = ""
    #: what theory may assume: entries independent with variance ``scale^2``, a random orthogonal
    #: matrix times ``scale``, or nothing: a fixed pattern, or weights that are fitted to data
    ensemble: Literal["independent", "orthogonal", "patterned"] = "independent"
    #: standard deviation of a uniform bias that belongs to the start itself: Fan -> float
    bias_scale: Callable[[Fan], float] = dataclasses.field(default=lambda fan: 0.0, repr=False)
    #: the function of ``initlab.adaptive`` that fits what is drawn to data; None if none does
    fitted_by: str | None = None
    #: kinds of networks that it can be fitted to, by name; any, if nothing is fitted
    kinds: tuple[str, ...] = ()
    #: whether a start is there quickly enough for sliders, menus and maps to offer it
    quick: bool = True


def lecun(fan: Fan) -> float:
    """LeCun, Bottou, Orr & Mueller 1998: variance 1 / fan_in."""
    return math.sqrt(1 / fan.fan_in)


def glorot(fan: Fan) -> float:
    """Glorot & Bengio 2010: variance 2 / (fan_in + fan_out)."""
    return math.sqrt(2 / (fan.fan_in + fan.fan_out))


def he(fan: Fan) -> float:
    """He, Zhang, Ren & Sun 2015: variance 2 / fan_in."""
    return math.sqrt(2 / fan.fan_in)


def fixed(fan: Fan) -> float:
    """The same for all layers."""
    return FIXED_SCALE


def one(fan: Fan) -> float:
    """What is drawn, as it is."""
    return 1.0


def mup(fan: Fan) -> float:
    """Yang, Hu et al. 2022: variance 1 / fan_in, and 1 / fan_in^2 of the readout."""
    return 1 / fan.fan_in if fan.layer == fan.depth + 1 else math.sqrt(1 / fan.fan_in)


def steps_from_pivot(fan: Fan, pivot: float | None = None) -> int:
    """Whole steps of a layer from the pivot: negative before it, positive behind it.

    The pivot is the middle of the ``depth + 1`` weight matrices unless given; where the middle
    falls between two matrices, these are one step away, and none is at 0.
    """
    offset = fan.layer - ((fan.depth + 2) / 2 if pivot is None else pivot)
    return int(math.copysign(math.ceil(abs(offset)), offset))
