"""Batches to probe a network with: digits, Gaussian noise, spirals, a recall task. All offline."""

import dataclasses
import functools
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from initlab.checking import real_array
from initlab.setting import bounded_number, whole_number

DIGITS = 1797  # how many handwritten digits scikit-learn ships
_LARGEST = 100_000
_MOST = 100_000_000  # numbers in a batch that is made here: 800 MB while it is drawn


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Batch:
    """Examples and their classes.

    Args:
      inputs: ``[examples, features]``, finite numbers; kept as float32.
      labels: ``[examples]``, whole numbers from 0; kept as int32.
      classes: how many classes there are; by default one more than the largest label.

    Raises:
      ValueError: an empty batch, a wrong rank, a value that is not finite, a label out of range.
      TypeError: something that is no array of numbers.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: int

    def __init__(self, inputs: ArrayLike, labels: ArrayLike, classes: int | None = None):
        inputs, labels = real_array("inputs", inputs), real_array("labels", labels)
        if inputs.ndim != 2:
            raise ValueError(
                f"inputs must be [examples, features], not an array of shape {inputs.shape};"
                f" the nearest is inputs.reshape({len(inputs) if inputs.ndim else 1}, -1)"
            )
        if 0 in inputs.shape:
            raise ValueError(
                f"the batch is empty: inputs have shape {inputs.shape}; give 1 or more"
            )
        with np.errstate(over="ignore"):
            inputs = inputs.astype(np.float32)
        if not np.isfinite(inputs).all():
            row, column = np.argwhere(~np.isfinite(inputs))[0]
            raise ValueError(
                f"inputs must be finite in float32, but example {row} has"
                f" {inputs[row, column]} in feature {column}; drop or fill such values first"
            )
        if labels.dtype.kind not in "iu":
            raise TypeError(f"labels must be whole numbers, not an array of {labels.dtype}")
        if labels.shape != (len(inputs),):
            raise ValueError(
                f"labels must be [{len(inputs)}], one for each example, not {labels.shape}"
            )
        classes = int(labels.max()) + 1 if classes is None else classes
        classes = whole_number("classes", classes, 1, _LARGEST)
        if labels.min() < 0 or labels.max() >= classes:
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(f"labels must be from 0 to {classes - 1}, not {wrong}")
        labels = labels.astype(np.int32)
        inputs.flags.writeable = labels.flags.writeable = False
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "classes", classes)

    def __len__(self) -> int:
        return len(self.inputs)


def digits(size: int = 256, seed: int = 0) -> Batch:
    """Handwritten digits of 8 x 8 pixels: ``inputs [size, 64]``, ``labels [size]`` from 0 to 9.

    Standardized by one mean and one deviation over all pixels of all 1,797 images, so that they
    stay images, and the second moment of the whole set is 1. The batch is a random choice without
    repetition; a larger one with the same seed begins with the smaller.

    Source: Alpaydin & Kaynak 1998, as ``sklearn.datasets.load_digits`` ships it.

    >>> digits().inputs.shape, round(float((digits(1797).inputs ** 2).mean()), 5)
    ((256, 64), 1.0)
    """
    seed = whole_number("seed", seed, 0, 2**32 - 1)
    return _digits(whole_number("size", size, 1, DIGITS), seed)


@functools.cache
def _digits(size: int, seed: int) -> Batch:
    images, labels = _read_digits()
    images = (images - images.mean()) / images.std()
    chosen = np.random.default_rng(seed).permutation(DIGITS)[:size]
    return Batch(images[chosen], labels[chosen], classes=10)


def _read_digits() -> tuple[np.ndarray, np.ndarray]:
    """What ``load_digits(return_X_y=True)`` gives, in a tenth of the time.

    To import scikit-learn takes a second, which the reader of a first picture would wait.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise ImportError("the digits are scikit-learn's: pip install scikit-learn")
    folder = Path(found.origin).parent
    table = np.loadtxt(folder / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    return table[:, :-1], table[:, -1].astype(int)


def gaussian(size: int = 256, features: int = 64, classes: int = 10, seed: int = 0) -> Batch:
    """Independent standard normal features with labels that mean nothing: what theory assumes."""
    size = whole_number("size", size, 1, _LARGEST)
    features = whole_number("features", features, 1, _LARGEST)
    classes = whole_number("classes", classes, 1, _LARGEST)
    if size * features > _MOST:
        raise ValueError(
            f"size times features must be at most {_MOST:,}, not {size:,} x {features:,}; the"
            f" nearest is {_MOST // features:,} examples"
        )
    return _gaussian(size, features, classes, whole_number("seed", seed, 0, 2**32 - 1))


@functools.cache
def _gaussian(size: int, features: int, classes: int, seed: int) -> Batch:
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((size, features))
    return Batch(inputs, generator.integers(classes, size=size), classes=classes)


def spirals(size: int = 256, classes: int = 3, noise: float = 0.1, seed: int = 0) -> Batch:
    """Points of the plane on interleaved spirals, one for each class; standardized."""
    size = whole_number("size", size, 2, _LARGEST)
    classes = whole_number("classes", classes, 1, _LARGEST)
    noise = bounded_number("noise", noise, 10.0)
    return _spirals(size, classes, noise, whole_number("seed", seed, 0, 2**32 - 1))


@functools.cache
def _spirals(size: int, classes: int, noise: float, seed: int) -> Batch:
    generator = np.random.default_rng(seed)
    labels = np.arange(size) % classes
    radius = generator.uniform(0.1, 1.0, size)
    angle = 2 * np.pi * labels / classes + 4 * radius + noise * generator.standard_normal(size)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Batch((points - points.mean(0)) / points.std(0), labels, classes=classes)


def recall(size: int = 64, shown: int = 1, seed: int = 0) -> Batch:
    """A memory task: of several symbols, shown one after the other, the label is the first.

    Eight features a step, sqrt(8) where the symbol is and 0 elsewhere, so that their second moment
    is 1. A recurrent network reads ``shown`` steps of it, and answers after as much silence as
    its own number of steps leaves. Who has forgotten is right one time in eight.

    Args:
      size: examples.
      shown: symbols in each, from 1; those behind the first only distract.
      seed: which symbols are drawn.

    Source: the copying task of Hochreiter & Schmidhuber 1997, with a single symbol to copy.

    >>> recall(3, shown=2).inputs.shape, recall(3).classes
    ((3, 16), 8)
    """
    size = whole_number("size", size, 1, _LARGEST)
    shown = whole_number("shown", shown, 1, 512)
    return _recall(size, shown, whole_number("seed", seed, 0, 2**32 - 1))


@functools.cache
def _recall(size: int, shown: int, seed: int) -> Batch:
    symbols = np.random.default_rng(seed).integers(8, size=(size, shown))
    inputs = np.sqrt(8) * np.eye(8)[symbols]
    return Batch(inputs.reshape(size, -1), symbols[:, 0], classes=8)
