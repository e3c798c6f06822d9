"""Where a precision will run out, foreseen from theory."""

import functools
import numbers

import jax.numpy as jnp
import numpy as np

from initlab.checking import short
from initlab.data import Batch, digits
from initlab.initializers import INITIALIZERS
from initlab.setting import Setting
from initlab.theory.prediction import MAX_DEVIATIONS, predict
from initlab.theory.premises import law_of


def predicted_overflow(
    setting: Setting, batch: Batch | None = None, deviations: float = 0.0
) -> int | None:
    r"""The layer at which a value is expected to pass the largest that the precision can hold.

    The longest example passes first, and of its n preactivations, Gaussian with second moment
    :math:`q_l`, the largest: about :math:`\sqrt{2 q_l \ln 2n}`.

    Args:
      setting: which network; its seed does not matter.
      batch: examples and labels; 256 handwritten digits by default.
      deviations: 0 for the typical network, more for one whose signals are larger than that of
        others by so many standard deviations of their logarithm, less than 0 for a smaller one.

    Returns:
      A hidden layer, 0 for the input, ``depth + 1`` for the readout; None if no layer is expected
      to overflow, or theory is silent.

    Raises:
      TypeError: if ``setting`` is not a Setting, ``batch`` not a Batch, or a number none.
      ValueError: more than 1,000 deviations.

    >>> predicted_overflow(Setting(20, 128, "relu", "he_normal", gain=4.0, dtype="float16"))
    7
    """
    if not isinstance(setting, Setting):
        raise TypeError(
            f"predicted_overflow takes a Setting, such as Setting(depth=50), not {short(setting)}"
        )
    batch = digits() if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    if isinstance(deviations, bool) or not isinstance(deviations, numbers.Real):
        raise TypeError(f"deviations must be a number, not {short(deviations)}")
    if not abs(deviations) <= MAX_DEVIATIONS:
        raise ValueError(
            f"deviations must be from -{MAX_DEVIATIONS:g} to {MAX_DEVIATIONS:g}, not"
            f" {short(deviations)}"
        )
    largest = float(jnp.finfo(setting.dtype).max)
    if np.abs(batch.inputs).max() > largest:
        return 0
    prediction = predict(setting, _longest(batch))
    q = np.append(prediction.preactivation_second_moment, _readout(setting, batch, prediction))
    # the readout is one more linear layer: it strays as the last hidden layer does
    std = np.append(prediction.preactivation_log_std, prediction.activation_log_std[-1])
    units = np.append(np.full(setting.depth, setting.width), batch.classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_moment = np.log(q) - std**2 / 2 + deviations * std  # of a log-normal, the median
        log_value = (log_moment + np.log(2 * np.log(2 * units))) / 2
        passed = log_value > np.log(largest)
    return int(np.argmax(passed)) + 1 if passed.any() else None


@functools.lru_cache(maxsize=8)
def _longest(batch: Batch) -> Batch:
    """The one example of a batch that is farthest from zero."""
    chosen = np.argmax((batch.inputs.astype(np.float64) ** 2).sum(axis=1))
    return Batch(batch.inputs[[chosen]], batch.labels[[chosen]], batch.classes)


def _readout(setting: Setting, batch: Batch, prediction) -> float:
    """Second moment of the logits."""
    law = law_of(
        INITIALIZERS[setting.initializer],
        setting.width,
        setting.depth,
        batch.inputs.shape[1],
        batch.classes,
    )
    weight_variance = setting.gain**2 * np.exp(law.log_weight[-1])
    bias_variance = setting.bias_std**2 + law.own_bias[-1]
    return weight_variance * prediction.activation_second_moment[-1] + bias_variance
