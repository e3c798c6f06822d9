"""The plain network that initlab's measures are held against: unrolled, float64, jax.grad.

It shares nothing with ``initlab.network`` but the parameters that ``initlab.weights`` returns;
activations are written out again, in NumPy's names, and so is every definition.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.csgraph import connected_components

from initlab.quadrature import double_precision


def _sigmoid(z):
    small = jnp.exp(-jnp.where(z >= 0, z, -z))  # at most 1; where it is 1 the slope is right, too
    return jnp.where(z >= 0, 1, small) / (1 + small)


ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: jnp.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: jnp.where(z > 0, z, 0.01 * z),
    "tanh": lambda z: jnp.sinh(jnp.clip(z, -300, 300)) / jnp.cosh(jnp.clip(z, -300, 300)),
    "sigmoid": _sigmoid,
    "gelu": lambda z: z * (1 + jax.lax.erf(z / np.sqrt(2.0))) / 2,
    "silu": lambda z: z * _sigmoid(z),
    "selu": lambda z: (
        1.0507009873554805
        * jnp.where(z > 0, z, 1.6732632423543772 * (jnp.exp(jnp.minimum(z, 0)) - 1))
    ),
    "elu": lambda z: jnp.where(z > 0, z, jnp.exp(jnp.minimum(z, 0)) - 1),
}


def _layers(parameters, probes, inputs, phi):
    """All hidden preactivations and activations, and the logits; ``probes`` are added to z."""
    before, after, x = [], [], inputs
    for (weight, bias), probe in zip(parameters[:-1], probes, strict=True):
        before.append(x @ weight + bias + probe)
        x = phi(before[-1])
        after.append(x)
    return before, after, x @ parameters[-1][0] + parameters[-1][1]


def _prepared(parameters, inputs):
    parameters = [(jnp.asarray(w, jnp.float64), jnp.asarray(b, jnp.float64)) for w, b in parameters]
    inputs = jnp.asarray(inputs, jnp.float64)
    return parameters, inputs, [jnp.zeros((len(inputs), len(b))) for _, b in parameters[:-1]]


def _losses(parameters, probes, inputs, labels, phi):
    """Each example's cross-entropy."""
    logits = _layers(parameters, probes, inputs, phi)[2]
    return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]


def _function(activation):
    return activation if callable(activation) else ACTIVATIONS[activation]


def plain_logits(parameters, inputs, activation) -> np.ndarray:
    """The network's output in float64."""
    with double_precision():
        parameters, inputs, probes = _prepared(parameters, inputs)
        return np.asarray(_layers(parameters, probes, inputs, _function(activation))[2])


def plain_weight_gradients(parameters, inputs, labels, activation) -> list:
    """The mean loss's gradients for all ``(weight, bias)`` in float64."""
    with double_precision():
        parameters, inputs, probes = _prepared(parameters, inputs)
        phi = _function(activation)
        gradients = jax.grad(lambda p: _losses(p, probes, inputs, labels, phi).mean())(parameters)
        return [(np.asarray(w), np.asarray(b)) for w, b in gradients]


def plain_measures(parameters, inputs, labels, activation) -> dict:
    """The fields of ``Signals`` by their definitions, gradients by ``jax.grad``, all in float64.

    Args:
      parameters: as ``initlab.weights`` returns them.
      inputs, labels: a batch's.
      activation: a name, or an elementwise JAX function.

    Returns:
      Fields of ``Signals`` by name, and what they were measured of: ``inputs_and_activations``,
      ``preactivations``, ``gradients`` (of each example's own loss) and ``slopes``, layer by layer.
    """
    weight_gradients = plain_weight_gradients(parameters, inputs, labels, activation)
    with double_precision():
        parameters, inputs, probes = _prepared(parameters, inputs)
        phi = _function(activation)
        before, after, _ = _layers(parameters, probes, inputs, phi)
        # the sum over examples gives each example its own gradient, since they do not meet
        gradients = jax.grad(lambda p: _losses(parameters, p, inputs, labels, phi).sum())(probes)
        losses = np.asarray(_losses(parameters, probes, inputs, labels, phi))
        slopes = [np.asarray(jax.grad(lambda z: phi(z).sum())(z)) for z in before]
        before, after, gradients = (
            [np.asarray(x) for x in arrays] for arrays in (before, after, gradients)
        )
    activations = [np.asarray(inputs), *after]
    return {
        "activation_variance": [x.var() for x in activations],
        "activation_second_moment": [(x**2).mean() for x in activations],
        "preactivation_variance": [x.var() for x in before],
        "preactivation_second_moment": [(x**2).mean() for x in before],
        "gradient_second_moment": [_mean_square(x) for x in gradients],
        "weight_gradient_norm": [_norm(w) for w, _ in weight_gradients],
        "weight_norm": [np.linalg.norm(w) for w, _ in parameters],
        "effective_neurons": [participation_ratio(x) for x in after],
        "input_similarity": [mean_cosine(x) for x in activations],
        "bias_gradient_norm": [_norm(b) for _, b in weight_gradients],
        "loss": losses.mean(),
        "inputs_and_activations": activations,
        "preactivations": before,
        "gradients": gradients,
        "slopes": slopes,
    }


def _mean_square(x):
    """The mean of squares, also of numbers whose squares float64 cannot hold."""
    largest = np.abs(x).max()
    return largest * ((x / largest) ** 2).mean() * largest if largest else 0.0


def _norm(x):
    largest = np.abs(x).max()
    return largest * np.linalg.norm(x / largest) if largest else 0.0


def participation_ratio(x) -> float:
    """``(sum of eigenvalues)^2 / sum of squares`` of the units' covariance, 0 if there is none."""
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    return eigenvalues.sum() ** 2 / (eigenvalues**2).sum() if eigenvalues.any() else 0.0


def mean_cosine(x) -> float:
    """Mean over pairs of different rows; rows of zeros are alike, and unlike all else."""
    if len(x) == 1:
        return np.nan
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.c_[x / np.where(length > 0, length, 1), length == 0]
    return (unit @ unit.T)[~np.eye(len(x), dtype=bool)].mean()


def distinct_units(activation, gradient, tolerance: float) -> int:
    """Groups of units that are linked by being nearer than ``tolerance``.

    The distance is the larger one of root mean squares over the batch, of activation and of
    gradient, each relative to its largest value.
    """
    distance = np.zeros((activation.shape[1],) * 2)
    for x in (activation, gradient):
        x = x / (np.abs(x).max() or 1.0)
        distance = np.maximum(
            distance, np.sqrt(((x[:, :, None] - x[:, None, :]) ** 2).mean(axis=0))
        )
    return connected_components(distance < tolerance)[0]
