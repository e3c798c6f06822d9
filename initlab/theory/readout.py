"""Where the gradient starts: softmax and cross-entropy on logits that are Gaussian."""

import functools
from typing import NamedTuple

import numpy as np


class SoftmaxGradient(NamedTuple):
    """Squared gradient at a logit, for Gaussian logits of second moment q."""

    t: np.ndarray  # ln q
    log_gradient: np.ndarray  # ln of its mean
    variance: np.ndarray  # relative, over networks, if all examples had the same logits


@functools.cache
def softmax_gradient(classes: int) -> SoftmaxGradient:
    r"""With K independent logits and any label, the mean is, for :math:`S = \sum_k p_k^2`,

    .. math:: E[(p - y)^2] = (1 + E[S] - 2/K) / K.

    As :math:`a^{-m} = \int_0^\infty s^{m-1} e^{-sa}\,ds / (m-1)!`, the logits part; for
    :math:`s = e^y` and :math:`X = e^{y+z}`, :math:`z \sim N(0, q)`,

    .. math:: E[S] = K \int E[X^2 e^{-X}]\,E[e^{-X}]^{K-1}\,dy, \qquad
              E[S^2] = \frac{K}{6} \int E[X^4 e^{-X}]\,E[e^{-X}]^{K-1}
                       + (K - 1)\,E[X^2 e^{-X}]^2\,E[e^{-X}]^{K-2}\,dy.
    """
    t, z = np.arange(-10, 4.1, 0.25), np.arange(-7, 7.01, 1 / 16)
    step = 0.2
    y = np.arange(-60, 60, step)[:, None]  # the widest is 7 deviations of q = 55
    density = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    mean, square = np.empty((2, len(t)))
    for i, deviation in enumerate(np.exp(t / 2)):
        x = np.exp(np.minimum(y + deviation * z, 30))
        none = np.exp(-x)
        zeroth, second, fourth = (none * x**k @ density for k in (0, 2, 4))
        mean[i] = classes * step * (second * zeroth ** (classes - 1)).sum()
        pairs = (classes - 1) * second**2 * zeroth ** max(classes - 2, 0)
        square[i] = classes / 6 * step * (fourth * zeroth ** (classes - 1) + pairs).sum()
    # beyond, a logit near the largest becomes rare like 1 / sqrt(q)
    further = np.arange(0.5, 20.1, 0.5)
    t, fall = np.append(t, t[-1] + further), np.exp(-further / 2)
    spread = np.append(square - mean**2, (square - mean**2)[-1] * fall)
    mean = np.append(mean, 1 - (1 - mean[-1]) * fall)
    gradient = 1 + mean - 2 / classes
    if classes == 1:  # there is nothing to learn
        gradient, spread = np.full(len(t), 1e-300), np.zeros(len(t))
    return SoftmaxGradient(
        t, np.log(gradient / classes), np.maximum(spread, 0) / gradient / gradient
    )


class ReadoutNoise(NamedTuple):
    """How the gradient at the readout varies over examples and networks."""

    similarity: np.ndarray  # [P] squared cosine between two examples' gradients
    rate: float  # of the logarithm of its second moment by ln q
    variance: float  # of that logarithm, over networks


def readout_noise(
    classes: int,
    log_q: np.ndarray,
    angle: np.ndarray,
    same_class: np.ndarray,
    pair_share: np.ndarray,
) -> ReadoutNoise:
    """For pairs of examples by the angle of their logits and by whether they have one label.

    Probabilities of two examples agree as their logits do: ``p`` to first order, its square to
    second. The mean gradient varies with both, the more so where examples of a class are alike.
    """
    if classes == 1:
        return ReadoutNoise(np.ones(len(angle)), 0.0, 0.0)
    readout = softmax_gradient(classes)
    near = 0.1
    before, here, after = np.interp(
        log_q + np.array([-near, 0, near]), readout.t, readout.log_gradient
    )
    length = np.exp(here) * classes  # 1 + S - 2/K
    cosine = np.cos(angle)
    spread = length - 1 + 1 / classes  # S - 1/K, the variance of all probabilities together
    alike = 1 / classes + spread * cosine
    similarity = ((alike + same_class - 2 / classes) / length) ** 2
    of_squares = np.interp(log_q, readout.t, readout.variance) * cosine**2
    of_label = 4 * spread / (classes - 1) * cosine * (same_class - 1 / classes) / length**2
    return ReadoutNoise(
        np.minimum(similarity, 1),
        (after - before) / (2 * near),
        max((of_squares + of_label) @ pair_share, 0.0),
    )
