"""The plain transformer that initlab's measures are held against: float64, jax.grad.

It is unrolled, one head at a time, and shares nothing with ``initlab.architectures`` but the
weights that ``initlab.weights`` returns.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import entr

from initlab.quadrature import double_precision
from tests.plain_network import ACTIVATIONS, mean_cosine, participation_ratio


def _layer_norm(x):
    center = x.mean(-1, keepdims=True)
    variance = ((x - center) ** 2).mean(-1, keepdims=True)
    return (x - center) / jnp.sqrt(variance + 1e-5)


def _softmax(x):
    largest = x.max(-1, keepdims=True)
    return jnp.exp(x - largest) / jnp.exp(x - largest).sum(-1, keepdims=True)


def _block(w, x, phi, heads, normalization, logit_scale):
    pre = _layer_norm if normalization == "pre" else lambda x: x
    post = _layer_norm if normalization == "post" else lambda x: x
    query, key, value = (pre(x) @ w[name] for name in ("query", "key", "value"))
    d = x.shape[-1] // heads
    all_logits, heard = [], []
    for head in range(heads):
        here = slice(head * d, (head + 1) * d)
        logits = logit_scale * query[..., here] @ key[..., here].transpose(0, 2, 1)
        heard.append(_softmax(logits) @ value[..., here])
        all_logits.append(logits)
    x = post(x + jnp.concatenate(heard, -1) @ w["out"])
    z = pre(x) @ w["inner"]
    return post(x + phi(z) @ w["outer"]), jnp.stack(all_logits), z


def _run(weights, probes, batch, phi, setting, logit_scale):
    """All streams, to which ``probes`` are added; attention's logits, z by block; the answer."""
    first, blocks, readout = weights
    side = round(batch.inputs.shape[1] ** 0.5)
    rows = jnp.asarray(batch.inputs, jnp.float64).reshape(-1, side, side)
    probes = [0.0] * (len(blocks) + 1) if probes is None else probes
    streams = [rows @ first["embedding"] + first["position"] + probes[0]]
    seen = []
    for block, probe in zip(blocks, probes[1:], strict=True):
        kind = setting.heads, setting.normalization, logit_scale
        x, *rest = _block(block, streams[-1], phi, *kind)
        streams.append(x + probe)
        seen.append(rest)
    last = _layer_norm(streams[-1]) if setting.normalization == "pre" else streams[-1]
    return streams, seen, last.mean(1) @ readout["weight"]


def _losses(logits, labels):
    return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]


def plain_measures(weights, setting, batch, logit_scale) -> dict:
    """Fields of ``Signals`` by their definitions, all in float64."""
    with double_precision():
        weights = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), weights)
        blocks = [
            {name: array[index] for name, array in weights.layers.items()}
            for index in range(setting.blocks)
        ]
        weights = weights.first, blocks, weights.readout
        rest = batch, ACTIVATIONS[setting.activation], setting, logit_scale
        streams, seen, logits = _run(weights, None, *rest)
        by_probe = jax.grad(lambda p: _losses(_run(weights, p, *rest)[2], batch.labels).sum())(
            [jnp.zeros_like(x) for x in streams]
        )
        first, blocks, readout = jax.grad(
            lambda w: _losses(_run(w, None, *rest)[2], batch.labels).mean()
        )(weights)
        rows = [np.asarray(x).reshape(-1, x.shape[-1]) for x in streams]
        attention = [np.asarray(_softmax(logits)) for logits, _ in seen]
        images = np.asarray(batch.inputs, np.float64)
        return {
            "activation_variance": [images.var(), *(x.var() for x in rows)],
            "activation_second_moment": [(images**2).mean(), *((x**2).mean() for x in rows)],
            "gradient_second_moment": [float((g**2).mean()) for g in by_probe],
            "weight_gradient_norm": [_norm(part) for part in (first, *blocks, readout)],
            "effective_neurons": [participation_ratio(x) for x in rows],
            "input_similarity": [
                mean_cosine(x)
                for x in (images, *(np.asarray(x).reshape(len(x), -1) for x in streams))
            ],
            "attention_entropy": [entr(p).sum(-1).mean() for p in attention],
            "attention_logit_std": [float((logits**2).mean() ** 0.5) for logits, _ in seen],
            "loss": float(_losses(logits, batch.labels).mean()),
            "logits": np.asarray(logits),
        }


def _norm(part: dict) -> float:
    return float(np.sqrt(sum((np.asarray(array) ** 2).sum() for array in part.values())))
