"""The plain convolutional network that initlab's measures are held against: float64, jax.grad.

It is unrolled, uses XLA's own convolution on images padded by NumPy's rules, and shares nothing
with ``initlab.architectures`` but the weights that ``initlab.weights`` returns.
"""

import jax
import jax.numpy as jnp
import numpy as np

from initlab.quadrature import double_precision
from tests.plain_network import ACTIVATIONS, mean_cosine, participation_ratio


def _convolve(images, kernel, padding):
    margin = kernel.shape[0] // 2
    mode = {"zero": "constant", "circular": "wrap"}[padding]
    images = jnp.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode=mode)
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=numbers)


def _run(kernels, readout, probes, images, phi, padding):
    """All preactivations, to which ``probes`` are added, all activations, and the logits."""
    before, after = [], [images]
    for index, kernel in enumerate(kernels):
        probe = 0.0 if probes is None else probes[index]
        before.append(_convolve(after[-1], kernel, padding) + probe)
        after.append(phi(before[-1]))
    return before, after, after[-1].reshape(len(images), -1) @ readout


def _losses(logits, labels):
    return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]


def plain_measures(weights, setting, batch) -> dict:
    """Fields of ``Signals`` by their definitions, all in float64."""
    with double_precision():
        kernels = [jnp.asarray(weights.first["weight"], jnp.float64)]
        kernels += list(jnp.asarray(weights.layers["weight"], jnp.float64))
        readout = jnp.asarray(weights.readout["weight"], jnp.float64)
        side = round(batch.inputs.shape[1] ** 0.5)
        images = jnp.asarray(batch.inputs, jnp.float64).reshape(-1, side, side, 1)
        rest = images, ACTIVATIONS[setting.activation], setting.padding
        before, after, logits = _run(kernels, readout, None, *rest)
        probes = [jnp.zeros_like(z) for z in before]
        # the sum over examples gives each example its own gradient, since they do not meet
        by_probe = jax.grad(
            lambda p: _losses(_run(kernels, readout, p, *rest)[2], batch.labels).sum()
        )(probes)
        by_weight = jax.grad(
            lambda w: _losses(_run(w[:-1], w[-1], None, *rest)[2], batch.labels).mean()
        )([*kernels, readout])
        rows = [np.asarray(a).reshape(-1, a.shape[-1]) for a in after]
        return {
            "activation_variance": [x.var() for x in rows],
            "activation_second_moment": [(x**2).mean() for x in rows],
            "preactivation_variance": [float(z.var()) for z in before],
            "preactivation_second_moment": [float((z**2).mean()) for z in before],
            "gradient_second_moment": [float((g**2).mean()) for g in by_probe],
            "weight_gradient_norm": [float(jnp.linalg.norm(g.ravel())) for g in by_weight],
            "weight_norm": [float(jnp.linalg.norm(w.ravel())) for w in [*kernels, readout]],
            "effective_neurons": [participation_ratio(x) for x in rows[1:]],
            "input_similarity": [mean_cosine(np.asarray(a).reshape(len(a), -1)) for a in after],
            "loss": float(_losses(logits, batch.labels).mean()),
            "logits": np.asarray(logits),
        }
