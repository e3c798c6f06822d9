"""A slow second opinion on what is wrong with a start, which shares no measure with initlab.

The network runs in NumPy's float64 with a backward pass written by hand; of its precision it takes
only the range, since range is what overflow and underflow are about. Neurons and examples are
compared pair by pair, and layers are judged one after the other. Thresholds are written out again
from what initlab's documentation states.
"""

import ml_dtypes
import numpy as np
from scipy.special import erf, expit

from initlab import weights
from tests.plain_network import distinct_units, mean_cosine

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
#: Where the slope falls under 1% of its largest: 1 - tanh^2 = 0.01, and 4 s (1 - s) = 0.01.
FLAT_BEYOND = {"tanh": np.arctanh(np.sqrt(0.99)), "sigmoid": 2 * np.arctanh(np.sqrt(0.99))}
#: Below which the slope stays under 1% of its largest, by magnitude, where only that tail is flat:
#: relu' = 0, e^z = 0.01, and for gelu and silu the lowest root of |slope| = 1% of 1.1289 and 1.0998
#: (SciPy's brentq).
FLAT_BELOW = {
    "relu": 0.0,
    "elu": np.log(0.01),
    "selu": np.log(0.01),
    "gelu": -3.02166,
    "silu": -6.14292,
}


def _exponential_linear(z, scale, alpha):
    below = np.expm1(np.minimum(z, 0))
    # the slope is what the value is away from its limit, and so ends where the value does
    slope = alpha * (np.float32(below).astype(float) + 1)
    return scale * np.where(z > 0, z, alpha * below), scale * np.where(z > 0, 1, slope)


def _gelu(z):
    share = (1 + erf(z / np.sqrt(2))) / 2
    return z * share, share + z * np.exp(-np.minimum(z * z, 1400) / 2) / np.sqrt(2 * np.pi)


def _silu(z):
    gate = expit(z)
    return z * gate, gate * (1 + z * (1 - gate))


def _tanh(z):
    return np.tanh(z), 1 - np.float32(np.tanh(z)).astype(float) ** 2


def _sigmoid(z):
    value = np.float32(expit(z)).astype(float)
    return expit(z), value * (1 - value)


#: name -> function that gives (value, slope)
ACTIVATIONS = {
    "linear": lambda z: (z, np.ones_like(z)),
    "relu": lambda z: (np.where(z > 0, z, 0), np.where(z > 0, 1.0, 0)),
    "leaky_relu": lambda z: (np.where(z > 0, z, 0.01 * z), np.where(z > 0, 1, 0.01)),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "gelu": _gelu,
    "silu": _silu,
    "selu": lambda z: _exponential_linear(z, SELU_SCALE, SELU_ALPHA),
    "elu": lambda z: _exponential_linear(z, 1.0, 1.0),
}


def labels(setting, batch) -> dict[str, int]:
    """Failure -> the layer where it starts, by definition."""
    forward = _Forward(setting, batch)
    return forward.failures | _backward_failures(forward)


class _Forward:
    """The forward pass: every layer's values, and what they show."""

    def __init__(self, setting, batch):
        self.setting, self.batch, self.failures = setting, batch, {}
        self.parameters = [
            tuple(array.astype(float) for array in pair)
            for pair in weights(setting, batch.inputs.shape[1], batch.classes)
        ]
        limits = ml_dtypes.finfo(setting.dtype)
        self.smallest, self.largest = float(limits.smallest_normal), float(limits.max)
        self.before, self.after, self.slopes = [], [batch.inputs.astype(float)], []
        self.judged = setting.depth  # how many layers are still told something
        self.similar_inputs = len(batch) == 1 or mean_cosine(self.after[0]) > 0.99
        self.logits = self._run()

    def _in_range(self, x):
        return np.where(np.abs(x) < self.smallest, 0, x)

    def _overflows(self, x, layer):
        if np.abs(x).max() > self.largest:
            self._found("numerical overflow", layer)
            return True
        return False

    def _found(self, mode, layer):
        self.failures.setdefault(mode, layer)

    def _run(self):
        for layer, (weight, bias) in enumerate(self.parameters[:-1], start=1):
            z = self._in_range(self.after[-1] @ weight + bias)
            a, slope = ACTIVATIONS[self.setting.activation](z)
            if self._overflows(z, layer) or self._overflows(a, layer):
                return None
            told_something = weight.any() and self.after[-1].any()
            if told_something and root_mean_square(z) < self.smallest:
                self._found("numerical underflow", layer)
                self.judged = min(self.judged, layer - 1)
            self.before.append(z)
            self.after.append(self._in_range(a))
            self.slopes.append(self._in_range(slope))
            if layer <= self.judged:
                self._judge(layer, z, self.after[-1])
            if not self.after[-1].any():
                self.judged = min(self.judged, layer)
        weight, bias = self.parameters[-1]
        logits = self.after[-1] @ weight + bias
        return None if self._overflows(logits, self.setting.depth + 1) else logits

    def _judge(self, layer, z, a):
        flat = FLAT_BEYOND.get(self.setting.activation)
        if flat is not None and (np.abs(z) >= flat).mean() > 0.5:
            self._found("saturation", layer)
        if not self.similar_inputs and mean_cosine(a) > 0.99:
            self._found("loss of input distinctions", layer)


def root_mean_square(x):
    """Of numbers whose squares may be out of float64's range."""
    largest = np.abs(x).max()
    return largest * np.sqrt(((x / largest) ** 2).mean()) if largest else 0.0


def _backward_failures(forward) -> dict[str, int]:
    """What the backward pass shows; nothing if the forward pass did not get through."""
    if forward.logits is None:
        return {}
    found, depth = {}, forward.setting.depth
    gradients, logs = _gradients(forward)
    for layer in range(1, forward.judged + 1):
        slope, a, z = forward.slopes[layer - 1], forward.after[layer], forward.before[layer - 1]
        weight = forward.parameters[layer - 1][0]
        dead = (slope == 0).all(axis=0).mean()
        if dead > 0.75:
            found.setdefault("dead units", layer)
        one_answer = a.std() <= 1e-4 * root_mean_square(a) and weight.any()
        if forward.setting.width > 1 and not one_answer:
            off = max(dead, flat_share(forward.setting.activation, z))
            distinct = distinct_units(a, gradients[layer - 1], 1e-5)
            if distinct == 1 or distinct < 0.5 * (1 - off) * forward.setting.width:
                found.setdefault("symmetry collapse", layer)
    for layer in range(depth, 0, -1):
        log, last = logs[layer - 1], logs[-1]
        if log < last - np.log10(1e3) or last == -np.inf:
            found.setdefault("vanishing gradients", layer)
        if log > last + np.log10(1e3) and last > -np.inf:
            found.setdefault("exploding gradients", layer)
        if log / 2 > np.log10(forward.largest):
            found.setdefault("numerical overflow", layer)
        if (
            -np.inf < log / 2 < np.log10(forward.smallest)
            and "numerical underflow" not in forward.failures
        ):
            found.setdefault("numerical underflow", layer)
    return found


def flat_share(activation, z):
    """Share of preactivations where the slope is under 1% of its largest from there on."""
    if activation in FLAT_BEYOND:
        return (np.abs(z) >= FLAT_BEYOND[activation]).mean()
    return (z <= FLAT_BELOW.get(activation, -np.inf)).mean()


def _gradients(forward):
    """Each layer's gradients, up to a factor, and log10 of their mean squares with that factor."""
    probabilities = np.exp(forward.logits - forward.logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    delta = probabilities - np.eye(forward.batch.classes)[forward.batch.labels]
    weight, exponent, gradients, logs = forward.parameters[-1][0], 0.0, [], []
    incoming = delta @ weight.T
    # a sum that cancels but for the rounding of float64 is zero
    incoming[np.abs(incoming) < 1e-14 * (np.abs(delta) @ np.abs(weight.T))] = 0
    for (weight, _), slope in zip(forward.parameters[-2::-1], forward.slopes[::-1], strict=True):
        delta = incoming * slope
        largest = np.abs(delta).max()
        if largest:
            delta, exponent = delta / largest, exponent + np.log10(largest)
        gradients.append(delta)
        with np.errstate(divide="ignore"):
            logs.append(np.log10((delta**2).mean()) + 2 * exponent)
        incoming = delta @ weight.T
    return gradients[::-1], np.array(logs[::-1])
