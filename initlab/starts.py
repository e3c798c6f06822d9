"""The weights that a network starts with: drawn, or drawn and then fitted to a batch.

A start that is fitted, such as LSUV, is fitted to the first examples of whatever batch the network
meets, as many as ``probe`` takes by default. So a network is the same one for ``weights``,
``probe`` and ``train``, and what was fitted is kept.
"""

import dataclasses
import hashlib
import importlib
from typing import TYPE_CHECKING, overload

import jax
import numpy as np

from initlab.checking import short
from initlab.data import Batch, digits, gaussian
from initlab.draws import Kept, drawn, rounded
from initlab.parameters import GivenParameters, Pairs, Parameters, Weights
from initlab.setting import AnySetting, Setting, whole_number

if TYPE_CHECKING:  # what imports this module
    from initlab.architectures.chain import ChainSetting

MAX_FANS = 100_000  # of input features and classes
_KEPT = Kept(16 * 2**20)  # fitted weights: a drag makes many, and comes back to few


@overload
def weights(
    setting: Setting,
    fan_in: int | None = None,
    fan_out: int | None = None,
    batch: Batch | None = None,
) -> Pairs: ...


@overload
def weights(
    setting: "ChainSetting",
    fan_in: int | None = None,
    fan_out: int | None = None,
    batch: Batch | None = None,
) -> Weights: ...


@overload
def weights(
    setting: AnySetting,
    fan_in: int | None = None,
    fan_out: int | None = None,
    batch: Batch | None = None,
) -> Parameters: ...


def weights(
    setting: AnySetting,
    fan_in: int | None = None,
    fan_out: int | None = None,
    batch: Batch | None = None,
) -> Parameters:
    """The parameters of the network that :func:`initlab.probe` measures, as NumPy arrays.

    Args:
      setting: which network: a Setting, or one of ``initlab.architectures``.
      fan_in: number of input features; by default the batch's, or the digits' 64.
      fan_out: number of classes; by default the batch's, or the digits' 10.
      batch: what a start that is fitted to data is fitted to: its first 256 examples, or 64 for a
        network of ``initlab.architectures``. By default the digits if there are 64 features and 10
        classes, and else standard normal inputs. Other starts do not look at it.

    Returns:
      ``depth + 1`` pairs ``(weight [fan_in, fan_out], bias [fan_out])`` in float32, input layer
      first, readout last. In a lower precision they hold the rounded values. For a network of
      ``initlab.architectures``, its ``Weights``: dicts of arrays by name.

    Raises:
      TypeError: if ``setting`` is no setting, a size not a number, or ``batch`` not a Batch.
      ValueError: a size that is not a whole number from 1 on, or not the batch's.

    >>> [weight.shape for weight, bias in weights(Setting(depth=2, width=16))]
    [(64, 16), (16, 16), (16, 10)]
    """
    if not isinstance(setting, AnySetting):
        raise TypeError(f"weights takes a Setting, such as Setting(depth=50), not {short(setting)}")
    if not isinstance(batch, Batch | None):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    own = (64, 10) if batch is None else (batch.inputs.shape[1], batch.classes)
    fan_in = whole_number("fan_in", own[0] if fan_in is None else fan_in, 1, MAX_FANS)
    fan_out = whole_number("fan_out", own[1] if fan_out is None else fan_out, 1, MAX_FANS)
    if batch is not None and (fan_in, fan_out) != own:
        raise ValueError(
            f"fan_in and fan_out must be the batch's, {own[0]} features and {own[1]} classes, not"
            f" {fan_in} and {fan_out}"
        )
    if setting.fitted_by is None:
        return drawn(setting, fan_in, fan_out)
    batch = _usual(setting, fan_in, fan_out) if batch is None else batch
    return jax.tree.map(np.copy, fitted(setting, batch))  # what is kept stays as it is


def _usual(setting: AnySetting, fan_in: int, fan_out: int) -> Batch:
    if (fan_in, fan_out) == (64, 10):
        return digits(setting.examples)
    return gaussian(setting.examples, fan_in, fan_out)


@overload
def fitted(setting: Setting, batch: Batch) -> Pairs | None: ...


@overload
def fitted(setting: AnySetting, batch: Batch) -> Parameters | None: ...


def fitted(setting: AnySetting, batch: Batch) -> Parameters | None:
    """The weights that a start is fitted to a batch by; None if it is drawn and no more.

    In the form that :func:`weights` returns. They are kept, and not to be written to.
    """
    method = setting.fitted_by
    if method is None:
        return None
    count = setting.examples
    batch = Batch(batch.inputs[:count], batch.labels[:count], batch.classes)
    dtype = setting.dtype
    if isinstance(setting, Setting):
        setting = dataclasses.replace(setting, dtype="float32")
    data = hashlib.sha256(batch.inputs.tobytes() + batch.labels.tobytes()).digest()
    key = setting, batch.inputs.shape, batch.classes, data
    with _KEPT.lock:
        found = _KEPT.take(key)
        if found is None:
            # initlab.adaptive measures what it fits, and so stands to the right of this module
            adaptive = importlib.import_module("initlab.adaptive")
            found = getattr(adaptive, method)(setting, batch).weights
        _KEPT.keep(key, found, sum(array.nbytes for array in jax.tree.leaves(found)))
    return found if dtype == "float32" else rounded(found, dtype)


def checked_weights(
    name: str, setting: AnySetting, given: GivenParameters, fan_in: int, fan_out: int
) -> Parameters:
    """``given`` as float32, if it has the form and the shapes of the setting's own weights.

    Raises:
      TypeError: another form than that of :func:`weights`; ``name`` says what is wrong.
      ValueError: other shapes.
    """
    own = drawn(setting, fan_in, fan_out)
    try:
        if isinstance(own, list):
            given = [(weight, bias) for weight, bias in given]
        given = jax.tree.map(lambda array: np.asarray(array, np.float32), given)
        if type(given) is not type(own):
            raise TypeError(f"{type(given).__name__} in place of {type(own).__name__}")
    except (TypeError, ValueError) as error:
        form = "pairs (weight, bias), as" if isinstance(own, list) else "the Weights that"
        raise TypeError(f"{name} must be {form} weights returns") from error
    shapes, needed = (jax.tree.map(np.shape, tree) for tree in (given, own))
    if shapes != needed:
        raise ValueError(f"{name} must have the shapes of the setting's, {needed}, not {shapes}")
    return given
