r"""Where theory draws lines on a map of starts: the edge of chaos, and how deep one can train."""

from typing import NamedTuple

import numpy as np

from initlab import theory
from initlab.phases import variances
from initlab.setting import MAX_DEPTH, Setting

#: "random networks may be trained precisely when information can travel through them" (Schoenholz
#: et al. 2017), and that they found to reach about so many depth scales
DEPTH_SCALES = 6

_POINTS = 201  # of a curve


class Line(NamedTuple):
    """A curve on a map: what it is called, where it runs, and that in words."""

    label: str
    x: np.ndarray
    y: np.ndarray
    words: str


def lines(setting: Setting, x: str, y: str, across: np.ndarray, up: np.ndarray) -> list[Line]:
    r"""What theory says over two axes, if they are gain and depth, or gain and ``bias_std``.

    The edge is where :math:`\chi_1 = 1`. The depth that can be trained is taken as six times the
    shorter one of two depth scales, that of gradients and that of what tells inputs apart. Lengths
    are taken to start from inputs of a mean square of 1.

    Args:
      setting: a point of the map; of its gain, depth and biases, those that are axes do not matter.
      x, y: the axes' names.
      across, up: where the axes' cells begin and end, in rising order.

    Returns:
      No lines where theory is silent: for other axes, and for starts that it knows nothing of.

    Source: Schoenholz et al. 2017 (arXiv 1611.01232).
    """
    if x != "gain":
        turned = lines(setting, y, x, up, across) if y == "gain" else []
        return [line._replace(x=line.y, y=line.x) for line in turned]
    if theory.predict(setting.replace(gain=1.0, depth=2)).phase is None:
        return []
    low, high = max(across[0], 0.0), across[-1]
    weight_variance, bias_variance = variances(setting.replace(gain=1.0))
    if y == "depth":
        gains = _between(low, high)
        weights = weight_variance * gains**2
        start = weights + bias_variance
        scales = theory.depth_scales(setting.activation, weights, bias_variance, start)
        depth = DEPTH_SCALES * np.fmin(scales.c, scales.gradient)
        return [*_edge(setting, weight_variance, bias_variance, across, up), _depth(gains, depth)]
    if y == "bias_std":
        biases = _between(max(up[0], 0.0), up[-1])
        own = bias_variance - setting.bias_std**2  # that of the start itself
        edge, _ = theory.critical_line(setting.activation, own + biases**2)
        gains = np.sqrt(edge / weight_variance)
        seen = (gains >= low) & (gains <= high)
        if not seen.any():
            return []
        first, last = np.flatnonzero(seen)[[0, -1]]
        words = (
            f"In theory the edge, chi_1 = 1, runs from gain {gains[first]:.3g} at bias_std"
            f" {biases[first]:.3g} to gain {gains[last]:.3g} at {biases[last]:.3g}."
        )
        return [Line("edge: $\\chi_1 = 1$", gains[seen], biases[seen], words)]
    return []


def _between(low: float, high: float) -> np.ndarray:
    """Points of a curve, as dense for small numbers as for large ones."""
    return np.geomspace(low, high, _POINTS) if low > 0 else np.linspace(low, high, _POINTS)


def _edge(setting, weight_variance, bias_variance, across, up) -> list[Line]:
    critical, _ = theory.critical_line(setting.activation, bias_variance)
    gain = float(np.sqrt(critical / weight_variance))
    if not across[0] <= gain <= across[-1]:  # or NaN: there is none
        return []
    words = f"In theory the edge, chi_1 = 1, is at gain {gain:.3g}."
    return [Line("edge: $\\chi_1 = 1$", np.full(2, gain), np.array([up[0], up[-1]]), words)]


def _depth(gains, depth) -> Line:
    deepest = depth.argmax()
    least = f"{depth[0]:.2g} layers at gain {gains[0]:.3g} and {depth[-1]:.2g} at {gains[-1]:.3g}"
    words = (
        f"{DEPTH_SCALES} depth scales, about as deep as one can train, are {least}, and most,"
        f" {min(depth[deepest], MAX_DEPTH):.3g} or more, at {gains[deepest]:.3g}."
        if depth[deepest] > MAX_DEPTH
        else f"{DEPTH_SCALES} depth scales, about as deep as one can train, are {least}."
    )
    return Line(f"{DEPTH_SCALES} depth scales", gains, depth, words)
