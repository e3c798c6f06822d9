"""A dense network in NumPy's float64, run several times: once exactly, and with its values shaken.

It shares nothing with ``initlab`` but the parameters; activations and their slopes are written out
by hand, and so is the backward pass. How far a measure moves when every value of every layer is
shaken by some roundings of a precision says how far a pass in that precision may stray.

Shapes: R runs (the first is exact), B examples, n units, K classes, L depth.
"""

import dataclasses
import functools

import ml_dtypes
import numpy as np
from scipy import special

RUNS = 6  # shaken ones
ROUNDINGS = 16  # by how many each value is shaken: what a sum of 64 products, scaled, may lose
_FLOAT32 = 2.0**-24


def _elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _elu_slope(z):
    return np.where(z > 0, 1.0, np.exp(np.minimum(z, 0)))


def _normal_density(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772
#: name -> function, slope, the largest slope
FUNCTIONS = {
    "linear": (lambda z: z, np.ones_like, 1.0),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0, 1.0),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, 0.01 * z),
        lambda z: np.where(z >= 0, 1.0, 0.01),  # at its kink as JAX has it
        1.0,
    ),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(np.clip(z, -350, 350)) ** 2, 1.0),
    "sigmoid": (special.expit, lambda z: special.expit(z) * special.expit(-z), 0.25),
    "gelu": (
        lambda z: z * special.ndtr(z),
        lambda z: special.ndtr(z) + z * _normal_density(z),
        1.13,
    ),
    "silu": (
        lambda z: z * special.expit(z),
        lambda z: special.expit(z) * (1 + z * special.expit(-z)),
        1.1,
    ),
    "selu": (
        lambda z: _SCALE * np.where(z > 0, z, _ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: _SCALE * np.where(z > 0, 1.0, _ALPHA * np.exp(np.minimum(z, 0))),
        _SCALE * _ALPHA,
    ),
    "elu": (_elu, _elu_slope, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Precision:
    """What a precision can hold."""

    rounding: float  # half the distance from 1 to the next number
    smallest: float  # below it, digits or the number itself are lost
    largest: float

    @classmethod
    @functools.cache
    def of(cls, name: str) -> "Precision":
        """The precision of that name."""
        info = ml_dtypes.finfo(name)
        # XLA flushes what float32 does not hold in full; float16 is computed in float32
        smallest = info.smallest_subnormal if name == "float16" else info.tiny
        return cls(float(info.eps) / 2, float(smallest), float(info.max))


class Passes:
    """The exact pass and the shaken ones; arrays are ``[R, B, n]`` by layer."""

    def __init__(self, parameters, inputs, labels, activation: str, dtype: str, shake=True):
        self._random = np.random.default_rng(len(labels) + 31 * len(parameters))
        self._shakes, self.precision = shake, Precision.of(dtype)
        phi, slope, self._steepest = FUNCTIONS[activation]
        parameters = [tuple(np.float64(array) for array in pair) for pair in parameters]
        x = np.broadcast_to(np.float64(inputs), (1 + RUNS * shake, *inputs.shape))
        x = self._rounded(x) if dtype != "float32" else x
        self.after, self.before = [x], []
        #: [L + 1] the largest sum of sizes of what a preactivation, or a logit, is added up of
        self.summed = []
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for weight, bias in parameters[:-1]:
                self.before.append(self._sum(x, weight, bias))
                x = self._rounded(phi(self.before[-1]))
                self.after.append(x)
            self.logits = self._sum(x, *parameters[-1])
            self._back(parameters, labels, slope)

    def _noise(self, shape):
        noise = self._random.standard_normal(shape)
        noise[0] = 0.0  # the exact run
        return noise

    def _rounded(self, x, rounding=None):
        if not self._shakes:
            return x
        size = self.precision.rounding * np.abs(x) if rounding is None else rounding
        size = size + self.precision.smallest * (size > 0)  # what is exactly 0 stays so
        return x + ROUNDINGS * size * self._noise(x.shape)

    def _sum(self, x, weight, bias):
        """``x W + b``: products are added up in float32, and the sum is rounded."""
        z = x @ weight + bias
        sizes = np.abs(x[0]) @ np.abs(weight) + np.abs(bias)
        self.summed.append(np.nan_to_num(sizes, nan=np.inf).max())
        added = np.sqrt(x**2 @ weight**2 + bias**2)
        return self._rounded(z, _FLOAT32 * added + self.precision.rounding * np.abs(z))

    def _back(self, parameters, labels, slope):
        examples = np.arange(len(labels))
        log_likelihood = special.log_softmax(self.logits, axis=-1)
        self.losses = -log_likelihood[:, examples, labels]
        delta = np.exp(log_likelihood)
        delta[:, examples, labels] -= 1
        if self._shakes:  # a likelihood near 1, less 1, has the rounding of 1
            delta = delta + ROUNDINGS * _FLOAT32 * self._noise(delta.shape)
        self.gradients, self.slopes, self.weight_gradients = [], [], []
        for layer in reversed(range(len(parameters))):
            shape = (len(self.after[layer]), -1)
            product = np.einsum("rbi,rbj->rij", self.after[layer], delta) / len(labels)
            self.weight_gradients.insert(0, product.reshape(shape))
            if layer == 0:
                break
            z = self.before[layer - 1]
            steep = slope(z)
            if self._shakes:  # such as 1 - tanh^2, which has the rounding of 1
                size = self._steepest * self.precision.rounding * (steep != 0)
                steep = steep + ROUNDINGS * size * self._noise(z.shape)
            weight = parameters[layer][0]
            back = delta @ weight.T
            added = np.sqrt(delta**2 @ (weight**2).T)
            if self._shakes:
                back = back + ROUNDINGS * _FLOAT32 * added * self._noise(back.shape)
            delta = back * steep
            self.gradients.insert(0, delta)
            self.slopes.insert(0, steep)

    def _lost(self, x) -> np.ndarray:
        """Which rows ``[B]`` are so small that digits are lost; not those of zeros."""
        largest = np.abs(x[0]).max(axis=-1)
        return (largest > 0) & (largest < 2.0**12 * self.precision.smallest)

    def loses_a_row(self, layer: int) -> bool:
        """Whether an example has become too small in a layer for its direction to be known."""
        return bool(self._lost(self.after[layer]).any())

    @property
    def loses_signs(self) -> bool:
        """Whether slopes are not known, as of a kink where preactivations are lost."""
        return any(self._lost(z).any() for z in self.before)

    # --- measures, ``[R]`` each ---

    def measures(self) -> dict[str, list]:
        """Fields of ``Signals`` by their definitions: for each a list of ``[R]`` by layer."""
        both = (1, 2)
        with np.errstate(all="ignore"):
            return {
                "activation_variance": [x.var(axis=both) for x in self.after],
                "activation_second_moment": [(x**2).mean(axis=both) for x in self.after],
                "preactivation_variance": [z.var(axis=both) for z in self.before],
                "preactivation_second_moment": [(z**2).mean(axis=both) for z in self.before],
                "gradient_second_moment": [_mean_square(g) for g in self.gradients],
                "weight_gradient_norm": [_norm(g) for g in self.weight_gradients],
                "input_similarity": [_similarity(x) for x in self.after],
            }

    def loss(self):
        """Mean cross-entropy of each run."""
        return self.losses.mean(axis=1)


def _mean_square(x):
    largest = np.abs(x).max(axis=(1, 2), keepdims=True)
    share = x / np.where(largest > 0, largest, 1)
    return (largest[:, 0, 0] * (share**2).mean(axis=(1, 2))) * largest[:, 0, 0]


def _norm(x):
    largest = np.abs(x).max(axis=1, keepdims=True)
    share = x / np.where(largest > 0, largest, 1)
    return largest[:, 0] * np.sqrt((share**2).sum(axis=1))


def _similarity(x):
    """Mean cosine between the rows of different examples; rows of zeros are like each other."""
    examples = x.shape[1]
    if examples == 1:
        return np.full(len(x), np.nan)
    largest = np.abs(x).max(-1, keepdims=True)
    unit = x / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(unit, axis=-1, keepdims=True)
    unit = np.concatenate([unit / np.where(length > 0, length, 1), length == 0], axis=-1)
    total = unit.sum(axis=1)
    own = (unit**2).sum(axis=(1, 2))
    return ((total**2).sum(axis=1) - own) / (examples * (examples - 1))


def effective_units(x) -> float:
    """Participation ratio of the units' covariance, of ``[B, n]``; 0 if nothing moves."""
    moved = x - x.mean(axis=0)
    gram = moved @ moved.T if len(moved) < moved.shape[1] else moved.T @ moved
    total = np.trace(gram)
    return total**2 / (gram**2).sum() if total > 0 else 0.0
