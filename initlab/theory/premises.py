"""What theory needs to know: of an initializer, the variances; of a batch, lengths and angles.

Shapes: L depth, B groups of examples by length, P groups of pairs of examples by angle.
"""

import functools
from typing import NamedTuple

import numpy as np

from initlab.data import Batch
from initlab.draws import fans
from initlab.laws import Initializer
from initlab.setting import Setting

_GROUPS = 8
_PAIR_GROUPS = 9  # of two classes, and a third as many of one class
_GRAM = 1024  # of a larger batch, as many examples stand for all where pairs are looked at


class Law(NamedTuple):
    """What an initializer means for each of the ``L + 1`` weight matrices, at gain 1."""

    log_weight: np.ndarray  # ln of the weights' variance times fan_in
    log_back: np.ndarray  # ln of the weights' variance times fan_out
    own_bias: np.ndarray  # variance of the biases that belong to the start
    kept_forward: np.ndarray  # share of a length that the weights keep exactly
    kept_backward: np.ndarray
    #: between hidden layers: variance times fan_in, and of the biases; None if layers differ
    hidden: tuple[float, float] | None


@functools.lru_cache(maxsize=256)
def law_of(initializer: Initializer, width: int, depth: int, features: int, classes: int) -> Law:
    """The law of a network of these sizes, evaluated once."""
    layers = fans(Setting(depth=depth, width=width), features, classes)
    fan_in, fan_out = (np.array([fan[side] for fan in layers], float) for side in (0, 1))
    variance = np.array([initializer.scale(fan) for fan in layers], float) ** 2
    own_bias = np.array([initializer.bias_scale(fan) for fan in layers], float) ** 2
    kept = np.zeros((2, depth + 1))
    square = [fan._replace(fan_in=width, fan_out=width) for fan in layers[:depth]]
    hidden = {(width * initializer.scale(f) ** 2, initializer.bias_scale(f) ** 2) for f in square}
    if initializer.ensemble == "orthogonal":  # the shorter of rows and columns have length 1
        variance /= np.maximum(fan_in, fan_out)
        hidden = {(weight / width, bias) for weight, bias in hidden}
        kept = np.minimum(1, [fan_out / fan_in, fan_in / fan_out])
    with np.errstate(divide="ignore"):
        log_weight, log_back = np.log(variance * fan_in), np.log(variance * fan_out)
    return Law(
        log_weight, log_back, own_bias, kept[0], kept[1], hidden.pop() if len(hidden) == 1 else None
    )


class Given(NamedTuple):
    """What theory needs to know of a batch."""

    length: np.ndarray  # [B] mean of x^2, ascending, in groups of as many examples
    share: np.ndarray  # [B] of the batch in each group
    variance: float
    angle: np.ndarray  # [P] between two different examples, in groups of one class or of two
    pair_share: np.ndarray  # [P] of all pairs of different examples
    same_class: np.ndarray  # [P] whether the two have one label
    examples: int


@functools.lru_cache(maxsize=8)
def given_by(batch: Batch) -> Given:
    """What a batch gives, computed once."""
    x = batch.inputs.astype(np.float64)
    groups = np.array_split(np.sort((x**2).mean(1)), min(_GROUPS, len(x)))
    length, share = [group.mean() for group in groups], [len(group) / len(x) for group in groups]
    some = np.linspace(0, len(x) - 1, min(len(x), _GRAM)).astype(int)
    x, labels = x[some], batch.labels[some]
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.where(norm > 0, norm, 1)
    pairs = np.triu_indices(len(x), 1)
    silent = norm[:, 0] == 0  # rows of zeros are like each other and unlike all else
    cosine = np.clip((unit @ unit.T + np.outer(silent, silent))[pairs], -1, 1)
    same = (labels[:, None] == labels)[pairs]
    if not len(cosine):  # one example has no pair; one of weight 0 keeps the shapes
        cosine, same = np.ones(1), np.ones(1, bool)
    cosines = [
        (group, of_one_class)
        for of_one_class, most in ((True, _PAIR_GROUPS // 3), (False, _PAIR_GROUPS))
        for group in np.array_split(np.sort(cosine[same == of_one_class]), most)
        if len(group)
    ]
    return Given(
        length=np.array(length),
        share=np.array(share),
        variance=float(batch.inputs.astype(np.float64).var()),
        angle=np.arccos([group.mean() for group, _ in cosines]),
        pair_share=np.array([len(group) for group, _ in cosines]) / len(cosine),
        same_class=np.array([of_one_class for _, of_one_class in cosines]),
        examples=len(batch),
    )
