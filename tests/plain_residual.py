"""The plain residual network that initlab's is held against: unrolled, float64, ``jax.grad``.

It shares nothing with ``initlab.architectures`` but the parameters; normalizations are written
out again.
"""

import jax
import jax.numpy as jnp
import numpy as np

from initlab.quadrature import double_precision
from tests.plain_network import ACTIVATIONS

NORMALIZATIONS = {
    "none": lambda x: x,
    "batch": lambda x: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5),
    "layer": lambda x: ((x.T - x.mean(1)) / jnp.sqrt(x.var(1) + 1e-5)).T,
    "rms": lambda x: (x.T / jnp.sqrt((x**2).mean(1) + 1e-5)).T,
}


def _forward(setting, parameters, inputs, probes):
    """States of all layers, branches of all blocks, and logits; ``probes`` are added to states."""
    phi, norm = ACTIVATIONS[setting.activation], NORMALIZATIONS[setting.normalization]
    before = norm if setting.placement == "before" else NORMALIZATIONS["none"]
    after = norm if setting.placement == "after" else NORMALIZATIONS["none"]
    x = after(inputs @ parameters.first["weight"]) + probes[0]
    states, branches, block = [x], [], parameters.layers
    for i in range(setting.blocks):
        first, second, third, fourth = block["biases"][i]
        hidden = (phi(before(x) + first) + second) @ block["inner"][i]
        branches.append((phi(before(hidden) + third) + fourth) @ block["outer"][i])
        x = after(x + block["branch_scale"][i] * branches[-1]) + probes[i + 1]
        states.append(x)
    return states, branches, phi(before(x)) @ parameters.readout["weight"]


def _losses(logits, labels):
    return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]


def plain(setting, parameters, batch) -> dict:
    """States, branches, logits, the mean loss's gradients, and those of the losses' sum by state.

    All NumPy arrays in float64; ``parameters`` are as ``initlab.weights`` returns them.
    """
    with double_precision():
        parameters = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), parameters)
        inputs = jnp.asarray(batch.inputs, jnp.float64)
        probes = jnp.zeros((setting.depth, len(batch), setting.width))

        def everything(parameters, probes):
            states, branches, logits = _forward(setting, parameters, inputs, probes)
            losses = _losses(logits, batch.labels)
            return losses.sum(), (states, branches, logits, losses)

        differentiate = jax.value_and_grad(everything, argnums=(0, 1), has_aux=True)
        (_, found), (of_weights, of_states) = jax.jit(differentiate)(parameters, probes)
        states, branches, logits, losses = jax.tree.map(np.asarray, found)
        return {
            "states": states,
            "branches": branches,
            "logits": logits,
            "loss": losses.mean(),
            "gradients": jax.tree.map(lambda g: np.asarray(g) / len(batch), of_weights),
            "state_gradients": np.asarray(of_states),
        }
