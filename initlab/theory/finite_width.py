r"""How far one network of finite width may stray from the mean field, to leading order in 1/n.

Given the layer before, a layer's units are independent. So the mean over n units of
:math:`\phi(z)^2` has, of its own, a relative variance

.. math:: \kappa / n, \qquad \kappa = E[\phi^4] / E[\phi^2]^2 - 1,

which is 5 for relu and 2 for a linear layer (Hanin & Rolnick 2018, arXiv 1803.01719). For the mean
over a batch too it is averaged over pairs of examples, of which two correlate less the wider the
angle between them. A layer hands a fluctuation of the logarithm on times
:math:`s = d\ln E[\phi^2] / d\ln q`, which is 1 for relu and near 0 where tanh saturates.

Gradients gain :math:`3 E[\phi'^4] / E[\phi'^2]^2 - 1` a layer, the 3 being a Gaussian's; what a
layer hands back also depends on the lengths that its own forward pass had. Left out is that the
gradient is not quite independent of the forward pass. Where logits are of order 1, as with He's
scale, relu's gradients grow by about 2/n a layer and scatter up to a third more; where logits are
small, that is not seen.

Orthogonal weights keep a length exactly. The part of a layer's fluctuation that follows the
length, its component in :math:`z^2 - 1`, then does not arise: 5 becomes 3 for relu, 2 becomes 0.

Shapes: L depth, P groups of pairs by angle; column 0 pairs each example with itself.
"""

import functools
from typing import NamedTuple

import numpy as np

from initlab import quadrature
from initlab.theory.kernels import Kernels
from initlab.theory.readout import ReadoutNoise

_PER_UNIT = 8
_REACH = quadrature.PAIR_LOG_VARIANCE_REACH
_ANGLES = 65
_CENTRED = 1e-5  # share of a second moment below which a variance is lost in rounding


@functools.lru_cache(maxsize=32)
def _pair_table(kernel: Kernels) -> np.ndarray:
    """``[t, angle, 5]``: means of products over pairs, relative to those of independent ones.

    Of the squared values; of the squared deviations from their mean; of the squared slopes; of
    squared values and squared slopes; and of the slopes, relative to the mean squared slope.
    """
    t = np.arange(-_REACH * _PER_UNIT, _REACH * _PER_UNIT + 1) / _PER_UNIT
    angle = np.linspace(0, np.pi, _ANGLES)
    fine = quadrature.between_angles(angle).T
    names = ("value^2", "value^2 value", "value", "slope^2", "value^2 slope^2", "slope")
    squares, mixed, values, slopes, both, slope = (kernel.pair(name, t) @ fine for name in names)
    length, slope_length = (np.exp(f(t))[:, None] for f in (kernel.log_length, kernel.log_slope))
    mean = np.interp(t, kernel.t, kernel.relative_mean)[:, None] * np.sqrt(length)
    # the product (a - mean)^2 (b - mean)^2, term by term
    centred = squares - 4 * mean * mixed + 2 * mean**2 * (length + 2 * values) - 3 * mean**4
    variance = length - mean**2
    nearly_linear = 1 + 2 * np.cos(angle) ** 2  # what is lost in rounding is a linear function
    centred = np.where(variance > _CENTRED * length, centred / variance**2, nearly_linear)
    return np.stack(
        [
            squares / length**2,
            centred,
            slopes / slope_length**2,
            both / (length * slope_length),
            slope / slope_length,
        ],
        axis=-1,
    )


@functools.lru_cache(maxsize=32)
def _variance_rate(kernel: Kernels) -> np.ndarray:
    """``[t]``: derivative of ``ln(E[phi^2] - E[phi]^2)`` in ``t``."""
    centred = np.maximum(1 - kernel.relative_mean**2, np.finfo(float).tiny)
    rate = np.gradient(kernel.log_length(kernel.t) + np.log(centred), kernel.t)
    return np.where(centred > _CENTRED, rate, 1.0)


def _at(table, t, angle):
    """Bilinear interpolation: ``t [L, 1]``, ``angle [L, P]`` to ``[5, L, P]``."""
    x = (np.clip(t, -_REACH, _REACH) + _REACH) * _PER_UNIT
    y = angle * ((_ANGLES - 1) / np.pi)
    i, j = np.minimum(x.astype(int), len(table) - 2), np.minimum(y.astype(int), _ANGLES - 2)
    x, y = (x - i)[..., None], (y - j)[..., None]
    low = table[i, j] * (1 - y) + table[i, j + 1] * y
    high = table[i + 1, j] * (1 - y) + table[i + 1, j + 1] * y
    return np.moveaxis(low * (1 - x) + high * x, -1, 0)


class Network(NamedTuple):
    """The mean field of a network, about which it fluctuates."""

    width: int
    log_q: np.ndarray  # [L + 1] of preactivations; the last is the readout's
    from_weights: np.ndarray  # [L + 1] share of q that is not from the biases
    angle: np.ndarray  # [L, P] between preactivations
    pair_share: np.ndarray  # [P] of all pairs, each example with itself included
    readout: ReadoutNoise
    #: [L + 1] share of a length that the weights keep exactly: 0 if independent
    kept_forward: np.ndarray
    kept_backward: np.ndarray


def log_variances(
    kernel: Kernels, network: Network
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Variances of the logarithms of four measures of a batch.

    Of the second moment ``[L + 1]`` and the variance ``[L + 1]`` of activations, of preactivations
    ``[L]`` and of gradients ``[L]``.
    """
    _, log_q, r, angle, share, readout, kept, kept_back = network
    depth, n = len(log_q) - 1, network.width
    t = log_q[:depth, None]
    s = np.interp(t, kernel.t, kernel.length_rate)  # [L, 1]
    b = np.interp(t, kernel.t, kernel.slope_rate)
    deviation_rate = np.interp(t, kernel.t, _variance_rate(kernel))
    values, deviations, slopes, both, pair_slope = _at(_pair_table(kernel), t, angle)  # [L, P] each

    # of each layer's own, over n: what orthogonal weights take away is in z^2 - 1
    square = 2 * np.cos(angle) ** 2
    taken = square * kept[:depth, None]
    through = np.cumprod(pair_slope[::-1] ** 2, axis=0)[::-1]  # of layers from l to L
    above = np.append(through[1:], np.ones((1, angle.shape[1])), axis=0) * readout.similarity
    own_z = (square - taken) @ share / n
    own_a = (values - 1 - taken * s**2) @ share / n
    own_deviation = (deviations - 1 - taken * deviation_rate**2) @ share / n
    taken_back = 2 * above * kept_back[1:, None] + taken * b**2
    own_g = (slopes * (1 + 2 * above) - 1 - taken_back) @ share / n
    own_both = (both - 1 - taken * s * b) @ share / n

    s, b = s[:, 0].tolist(), b[:, 0].tolist()
    forward = [0.0]  # variance of ln mean a^2; the data do not fluctuate
    for own, rate, weight in zip(own_a.tolist(), s, r.tolist()[:depth], strict=True):
        forward.append((rate * weight) ** 2 * forward[-1] + own)
    before = np.array(forward[:depth])

    # what the gradient of every layer below gains if ln mean a^2 of layer l is larger by one
    gain = [readout.rate * r[depth]]
    for slope_rate, rate, weight in zip(b[::-1], s[::-1], r[:depth][::-1].tolist(), strict=True):
        gain.append(weight * (slope_rate + rate * gain[-1]))
    gain = np.array(gain[::-1])
    above, below = gain[1:], gain[:-1]
    backward = np.cumsum((own_g + 2 * above * own_both + above**2 * own_a)[::-1])[::-1]
    backward += below**2 * before + readout.variance
    passed_on = r[:depth] ** 2 * before
    deviation = np.append(0, passed_on * deviation_rate[:, 0] ** 2 + own_deviation)
    return np.array(forward), deviation, passed_on + own_z, backward
