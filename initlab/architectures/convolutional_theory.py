r"""Mean-field theory of convolutional networks (Xiao et al. 2018, arXiv 1806.05393).

Every position has its own second moment; a kernel averages those under its taps, and what the
dense theory says of a layer holds at each. With circular padding, what is uniform stays so, and
the recursion is the dense one; zero padding lets the rim lose what its taps read beyond the edge.

Shapes: L depth, B examples, s x s positions, k taps a side.
"""

import dataclasses
import functools
import operator

import numpy as np

from initlab import matrices
from initlab.activations import ACTIVATIONS
from initlab.architectures.convolutional import Convolutional
from initlab.data import Batch
from initlab.initializers import INITIALIZERS
from initlab.theory.kernels import FAR, kernels
from initlab.theory.prediction import Prediction, silent, table_of, theory_of
from initlab.theory.readout import softmax_gradient


@theory_of.register
def _convolutional(setting: Convolutional, batch: Batch) -> Prediction:
    initializer, kernel = (
        INITIALIZERS[setting.initializer],
        kernels(ACTIVATIONS[setting.activation]),
    )
    nothing = silent(setting)
    if initializer.ensemble == "patterned" or not kernel.proper:
        return nothing
    table, side = table_of(kernel), setting.side(batch.inputs.shape[1])
    fans = setting.fans(batch.inputs.shape[1], batch.classes)
    variances = [_variance(setting, fan) for fan in fans]  # of a weight that is not always 0
    channels = [1, *[setting.width] * setting.depth]
    images = batch.inputs.astype(np.float64).reshape(-1, side, side)

    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        # forward: [B, s, s] each
        q, a, t = [], [images**2], []
        for variance, count in zip(variances[:-1], channels[:-1], strict=True):
            q.append(variance * count * _under_taps(setting, a[-1]))
            t.append(np.clip(np.log(q[-1]), -FAR, FAR))
            a.append(np.exp(np.interp(t[-1], table.t, table.log_length)))
        means = [
            (np.interp(here, kernel.t, kernel.relative_mean) * np.sqrt(feeding)).mean()
            for here, feeding in zip(t, a[1:], strict=True)
        ]
        read = np.log(variances[-1] * fans[-1].fan_in * a[-1].mean(axis=(1, 2)))  # [B]

        # backward, from the logits on
        start = softmax_gradient(batch.classes)
        back = np.exp(np.interp(read, start.t, start.log_gradient))[:, None, None]
        back = back * variances[-1] * batch.classes
        gradient = []
        for here, variance in zip(t[::-1], variances[-2::-1], strict=True):
            gradient.append(back * np.exp(np.interp(here, table.t, table.log_slope)))
            back = variance * setting.width * _under_taps(setting, gradient[-1])

        second_moment, mean_q, mean_gradient = (
            np.array([np.mean(values) for values in arrays]) for arrays in (a, q, gradient[::-1])
        )
        taps = 1 if _is_delta(setting) else setting.kernel**2
        reach = np.array([*np.multiply(variances[1:-1], taps * setting.width), np.nan])
        reach[-1] = variances[-1] * fans[-1].fan_in
        slope = np.exp(np.interp(np.log(mean_q), table.t, table.log_slope))
        activation_variance = np.append(images.var(), second_moment[1:] - np.square(means))
    return dataclasses.replace(
        nothing,
        activation_second_moment=second_moment,
        activation_variance=activation_variance,
        preactivation_second_moment=mean_q,
        preactivation_variance=mean_q,
        gradient_second_moment=mean_gradient,
        chi_1=reach * slope,
        _hidden=(reach[0], 0.0) if len(set(reach[:-1].tolist())) == 1 else None,
    )


def _is_delta(setting: Convolutional) -> bool:
    return INITIALIZERS[setting.initializer].draw is matrices.draw_delta_orthogonal


def _variance(setting: Convolutional, fan) -> float:
    """Of the weights, or of a delta-orthogonal kernel's central ones."""
    initializer = INITIALIZERS[setting.initializer]
    variance = (setting.gain * initializer.scale(fan)) ** 2
    if initializer.ensemble == "independent":
        return variance
    taps = 1 if fan.layer > setting.depth else setting.kernel**2
    fan_in, fan_out = fan.fan_in, fan.fan_out // taps  # of the matrix that is orthogonal
    if _is_delta(setting):
        fan_in //= taps
    return variance / max(fan_in, fan_out)


def _under_taps(setting: Convolutional, images):
    """The sum over a kernel's taps at every position, ``[B, s, s]``."""
    if _is_delta(setting):
        return images
    k, side, margin = setting.kernel, images.shape[1], setting.kernel // 2
    around = ((0, 0), (margin, margin), (margin, margin))
    images = np.pad(images, around, mode="wrap" if setting.padding == "circular" else "constant")
    rows = functools.reduce(operator.add, [images[:, row : row + side] for row in range(k)])
    columns = [rows[:, :, column : column + side] for column in range(k)]
    return functools.reduce(operator.add, columns)
