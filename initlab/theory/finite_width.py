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
gradient is not quite independent of the forward pass: for relu it is larger by about 2/n a layer.

Orthogonal weights keep a length exactly. The part of a layer's fluctuation that follows the
length, its component in :math:`z^2 - 1`, then does not arise: 5 becomes 3 for relu, 2 becomes 0.

Shapes: L depth, P groups of pairs by angle; column 0 pairs each example with itself.
"""

import functools
from typing import NamedTuple

import numpy as np

from initlab import quadrature
from initlab.theory.kernels import Kernels

_PER_UNIT = 8
_REACH = quadrature.PAIR_LOG_VARIANCE_REACH
_ANGLES = 65
_NAMES = ("value^2", "slope^2", "value^2 slope^2", "slope")


@functools.lru_cache(maxsize=32)
def _pair_table(kernel: Kernels) -> np.ndarray:
    """``[t, angle, 4]``: means of products over pairs, relative to those of independent ones.

    Of the squared values, of the squared slopes, of the one and the other; and of the slopes,
    relative to the mean squared slope.
    """
    t = np.arange(-_REACH * _PER_UNIT, _REACH * _PER_UNIT + 1) / _PER_UNIT
    fine = quadrature.between_angles(np.linspace(0, np.pi, _ANGLES)).T
    log_length, log_slope = kernel.log_length(t), kernel.log_slope(t)
    scales = 2 * log_length, 2 * log_slope, log_length + log_slope, log_slope
    tables = (
        kernel.pair(name, t) @ fine * np.exp(-scale)[:, None]
        for name, scale in zip(_NAMES, scales, strict=True)
    )
    return np.stack(list(tables), axis=-1)


def _at(table, t, angle):
    """Bilinear interpolation: ``t [L, 1]``, ``angle [L, P]`` to ``[4, L, P]``."""
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
    #: [P] squared cosine between two examples' gradients at the readout
    gradient_similarity: np.ndarray
    readout_rate: float  # of ln(squared gradient at the readout) by ln q
    readout_variance: float  # of that logarithm, over networks
    #: [L + 1] share of a length that the weights keep exactly: 0 if independent
    kept_forward: np.ndarray
    kept_backward: np.ndarray


def log_variances(kernel: Kernels, network: Network):
    """Variances of the logarithms of three second moments, averaged over the batch.

    Of activations ``[L + 1]``, preactivations ``[L]`` and gradients ``[L]``.
    """
    _, log_q, r, angle, share, similarity, readout_rate, readout_variance, kept, kept_back = network
    depth, n = len(log_q) - 1, network.width
    t = log_q[:depth, None]
    s = np.interp(t, kernel.t, kernel.length_rate)  # [L, 1]
    b = np.interp(t, kernel.t, kernel.slope_rate)
    values, slopes, both, pair_slope = _at(_pair_table(kernel), t, angle)  # [L, P] each

    # of each layer's own, over n: what orthogonal weights take away is in z^2 - 1
    square = 2 * np.cos(angle) ** 2
    taken = square * kept[:depth, None]
    through = np.cumprod(pair_slope[::-1] ** 2, axis=0)[::-1]  # of layers from l to L
    above = np.append(through[1:], np.ones((1, angle.shape[1])), axis=0) * similarity
    own_z = (square - taken) @ share / n
    own_a = (values - 1 - taken * s**2) @ share / n
    taken_back = 2 * above * kept_back[1:, None] + taken * b**2
    own_g = (slopes * (1 + 2 * above) - 1 - taken_back) @ share / n
    own_both = (both - 1 - taken * s * b) @ share / n

    s, b = s[:, 0].tolist(), b[:, 0].tolist()
    forward = [0.0]  # variance of ln mean a^2; the data do not fluctuate
    for own, rate, weight in zip(own_a.tolist(), s, r.tolist()[:depth], strict=True):
        forward.append((rate * weight) ** 2 * forward[-1] + own)
    before = np.array(forward[:depth])

    # what the gradient of every layer below gains if ln mean a^2 of layer l is larger by one
    gain = [readout_rate * r[depth]]
    for slope_rate, rate, weight in zip(b[::-1], s[::-1], r[:depth][::-1].tolist(), strict=True):
        gain.append(weight * (slope_rate + rate * gain[-1]))
    gain = np.array(gain[::-1])
    above, below = gain[1:], gain[:-1]
    backward = np.cumsum((own_g + 2 * above * own_both + above**2 * own_a)[::-1])[::-1]
    backward += below**2 * before + readout_variance
    return np.array(forward), r[:depth] ** 2 * before + own_z, backward
