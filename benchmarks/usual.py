"""The measures of ``initlab.probe`` in plain NumPy, float32, as well as we know how to write them.

The same algorithm, with what NumPy is better at: a Gram matrix by half the multiplications, sums
of squares by dot products, slopes read off activations, no scaling where nothing is to be scaled.
"""

import math

import numpy as np

from initlab import Batch, Setting
from initlab.activations import ACTIVATIONS
from initlab.measures import HISTOGRAM_EDGES, NO_VARIATION, SAME_NEURON

_BINS = len(HISTOGRAM_EDGES) - 1
_LOW = np.float32(HISTOGRAM_EDGES[0])
_PER_UNIT = np.float32(_BINS / (HISTOGRAM_EDGES[-1] - HISTOGRAM_EDGES[0]))

FUNCTIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "linear": lambda z: z}
SLOPES = {  # of the activation a = phi(z)
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0).astype(np.float32),
    "linear": np.ones_like,
}


def norms(weights: list) -> np.ndarray:
    """Frobenius norms of the matrices of ``initlab.weights``."""
    return np.array([np.linalg.norm(weight) for weight, _ in weights])


def measure(weights: list, weight_norm, setting: Setting, batch: Batch) -> dict:
    """Everything that ``initlab.probe`` measures, as a dict by the names of ``Signals``.

    ``weights`` and ``weight_norm`` are ready-made, as the draws of ``probe`` are.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _measure(weights, weight_norm, setting, batch)


def _measure(weights, weight_norm, setting, batch):
    phi, slope = FUNCTIONS[setting.activation], SLOPES[setting.activation]
    below, above = ACTIVATIONS[setting.activation].flat_range
    depth, examples = setting.depth, len(batch)
    out = {
        "activation_variance": np.empty(depth + 1),
        "activation_second_moment": np.empty(depth + 1),
        "preactivation_variance": np.empty(depth),
        "preactivation_second_moment": np.empty(depth),
        "gradient_second_moment": np.empty(depth),
        "weight_gradient_norm": np.empty(depth + 1),
        "weight_norm": weight_norm,
        "saturated_fraction": np.empty(depth),
        "dead_fraction": np.empty(depth),
        "distinct_neurons": np.empty(depth),
        "effective_neurons": np.empty(depth),
        "input_similarity": np.empty(depth + 1),
        "activation_histogram": np.empty((depth + 1, _BINS), np.int64),
    }
    first_overflow = None

    # forward
    values, scaled_values = [], []
    a = batch.inputs
    for layer in range(depth + 1):
        if layer:
            weight, bias = weights[layer - 1]
            z = values[-1] @ weight
            z += bias
            scaled, exponent, finite = _normalized(z)
            variance, second_moment = _moments(scaled)
            out["preactivation_variance"][layer - 1] = math.ldexp(variance, 2 * exponent)
            out["preactivation_second_moment"][layer - 1] = math.ldexp(second_moment, 2 * exponent)
            flat = np.count_nonzero(z <= below) + np.count_nonzero(z >= above)
            out["saturated_fraction"][layer - 1] = flat / z.size
            a = phi(z)
            if not finite and first_overflow is None:
                first_overflow = layer
        scaled, exponent, finite = _normalized(a)
        if not finite and first_overflow is None:
            first_overflow = layer
        variance, second_moment = _moments(scaled)
        out["activation_variance"][layer] = math.ldexp(variance, 2 * exponent)
        out["activation_second_moment"][layer] = math.ldexp(second_moment, 2 * exponent)
        out["activation_histogram"][layer] = _histogram(a)
        out["input_similarity"][layer] = _input_similarity(scaled)
        if layer:
            out["effective_neurons"][layer - 1] = _effective_neurons(scaled)
        values.append(a)
        scaled_values.append((scaled, exponent))

    # loss
    readout, bias = weights[depth]
    logits = values[-1] @ readout + bias
    logits -= logits.max(axis=1, keepdims=True)
    log_likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(examples)
    out["loss"] = -log_likelihood[rows, batch.labels].mean(dtype=np.float64)
    delta = np.exp(log_likelihood)
    delta[rows, batch.labels] -= 1
    delta, exponent, finite = _normalized(delta)
    if not finite and first_overflow is None:
        first_overflow = depth + 1
    out["first_overflow"] = first_overflow

    # backward
    out["weight_gradient_norm"][depth] = _weight_gradient(*scaled_values[depth], delta, exponent)
    delta_a = delta @ readout.T
    bound = np.abs(delta) @ np.abs(readout.T)
    delta_a[np.abs(delta_a) <= 4 * np.finfo(np.float32).eps * bound] = 0
    for index in reversed(range(depth)):
        derivative = slope(values[index + 1])
        out["dead_fraction"][index] = np.mean(~derivative.any(axis=0))
        delta_a *= derivative
        delta, shift, _ = _normalized(delta_a)
        exponent += shift
        out["gradient_second_moment"][index] = math.ldexp(
            np.vdot(delta, delta) / delta.size, 2 * exponent
        )
        scaled = scaled_values[index + 1][0]
        out["distinct_neurons"][index] = _distinct_neurons(scaled, delta)
        out["weight_gradient_norm"][index] = _weight_gradient(
            *scaled_values[index], delta, exponent
        )
        if index:
            delta_a = delta @ weights[index][0].T
    return out


def _normalized(x):
    """``x`` times a power of two that brings its largest entry near 1, the exponent, finiteness."""
    largest = float(max(x.max(), -x.min()))
    finite = math.isfinite(largest)
    exponent = math.frexp(largest)[1] if finite else 0
    exponent = min(max(exponent, -125), 126)
    return x if exponent == 0 else x * np.float32(2.0**-exponent), exponent, finite


def _moments(x):
    center = x.mean()
    deviation = (x - center).ravel()
    variance = np.dot(deviation, deviation) / x.size
    return float(variance), float(variance + center * center)


def _histogram(x):
    position = x - _LOW
    position *= _PER_UNIT
    np.clip(position, 0, _BINS - 1, out=position)
    return np.bincount(position.ravel().astype(np.intp), minlength=_BINS)


def _input_similarity(x):
    examples = len(x)
    length = np.sqrt(np.einsum("ij,ij->i", x, x))
    silent = int(np.count_nonzero(length == 0))
    length[length == 0] = 1
    total = (1 / length) @ x
    pairs = float(np.dot(total, total)) - (examples - silent) + silent * (silent - 1)
    return min(max(pairs / (examples * (examples - 1)), -1.0), 1.0)


def _effective_neurons(x):
    x = x - x.mean(axis=0)
    gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x  # NumPy sees that it is symmetric
    total = float(np.trace(gram))
    if not total > x.size * NO_VARIATION**2:
        return 0.0
    return total**2 / float(np.vdot(gram, gram))


_RANDOM = {}  # as in initlab.measures, which bakes them into its program


def _distinct_neurons(activation, gradient):
    examples = len(activation)
    if examples not in _RANDOM:
        random = np.random.default_rng(0).standard_normal((2, 4, examples)) / np.sqrt(examples)
        _RANDOM[examples] = random.astype(np.float32)
    forward, backward = _RANDOM[examples]
    traits = forward @ activation + backward @ gradient
    traits = traits[:, np.argsort(traits[0])]
    return 1 + np.count_nonzero((np.abs(np.diff(traits)) > SAME_NEURON).any(axis=0))


def _weight_gradient(x, x_exponent, delta, exponent):
    gradient = x.T @ delta
    norm = math.sqrt(float(np.vdot(gradient, gradient))) / len(x)
    return math.ldexp(norm, x_exponent + exponent)
