"""The plain network that initlab's measures are held against: unrolled, float64, jax.grad.

It shares nothing with ``initlab.network`` but the parameters that ``initlab.weights`` returns;
activations are written out again, in NumPy's names.
"""

import jax
import jax.numpy as jnp
import numpy as np

from initlab.quadrature import double_precision

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: jnp.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: jnp.where(z > 0, z, 0.01 * z),
    "tanh": lambda z: 1 - 2 / (jnp.exp(2 * z) + 1),
    "sigmoid": lambda z: 1 / (1 + jnp.exp(-z)),
    "gelu": lambda z: z * (1 + jax.lax.erf(z / np.sqrt(2.0))) / 2,
    "silu": lambda z: z / (1 + jnp.exp(-z)),
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


def plain_measures(parameters, inputs, labels, activation) -> dict:
    """The fields of ``Signals`` by their definitions, gradients by ``jax.grad``, all in float64."""
    with double_precision():
        parameters = [(jnp.asarray(w, jnp.float64), jnp.asarray(b, jnp.float64)) for w, b in parameters]
        inputs = jnp.asarray(inputs, jnp.float64)
        phi = ACTIVATIONS[activation]
        probes = [jnp.zeros((len(inputs), w.shape[1])) for w, _ in parameters[:-1]]

        def losses(parameters, probes):
            logits = _layers(parameters, probes, inputs, phi)[2]
            return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]

        before, after, _ = _layers(parameters, probes, inputs, phi)
        # the sum over examples gives each example its own gradient, since they do not meet
        gradients = jax.grad(lambda probes: losses(parameters, probes).sum())(probes)
        weight_gradients = jax.grad(lambda parameters: losses(parameters, probes).mean())(parameters)
        before, after, gradients = (
            [np.asarray(x) for x in xs] for xs in (before, after, gradients)
        )
        activations = [np.asarray(inputs), *after]
        return {
            "activation_variance": [x.var() for x in activations],
            "activation_second_moment": [(x**2).mean() for x in activations],
            "preactivation_variance": [x.var() for x in before],
            "preactivation_second_moment": [(x**2).mean() for x in before],
            "gradient_second_moment": [(x**2).mean() for x in gradients],
            "weight_gradient_norm": [np.linalg.norm(w) for w, _ in weight_gradients],
            "weight_norm": [np.linalg.norm(w) for w, _ in parameters],
            "effective_neurons": [_participation_ratio(x) for x in after],
            "input_similarity": [_mean_cosine(x) for x in activations],
            "bias_gradient_norm": [np.linalg.norm(b) for _, b in weight_gradients],
            "loss": float(losses(parameters, probes).mean()),
        }


def _participation_ratio(x):
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T))
    return eigenvalues.sum() ** 2 / (eigenvalues**2).sum()


def _mean_cosine(x):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = x @ x.T
    return cosines[~np.eye(len(x), dtype=bool)].mean()
