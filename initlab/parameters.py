"""The forms in which a network's parameters are given and returned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Weights(NamedTuple):
    """A network's arrays, or what they are drawn by, or their scales: dicts by name.

    ``layers`` has the arrays of all layers but the first, stacked; where layers share their
    weights it has them once, and ``first`` is empty.
    """

    first: dict[str, Any]
    layers: dict[str, Any]
    readout: dict[str, Any]  # weight [features, K], and perhaps bias [K]


#: of a dense network: ``(weight [fan_in, fan_out], bias [fan_out])``, input first, readout last
Pairs = list[tuple[np.ndarray, np.ndarray]]

#: what :func:`initlab.weights` returns: of a dense network, or of any other
Parameters = Pairs | Weights

#: what is accepted in place of it
GivenParameters = Sequence[tuple[ArrayLike, ArrayLike]] | Weights
