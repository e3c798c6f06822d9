"""Recurrent networks as their papers write them: NumPy's names, one step after the other, float64.

Shares nothing with ``initlab.architectures`` but the weights; gradients are ``jax.grad``'s.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tests.plain_network import ACTIVATIONS


def sigmoid(z):
    return 1 / (1 + jnp.exp(-z))


def simple(w, x, memory, phi):
    """Elman 1990: the state is z, and the memory h."""
    z = memory["h"] @ w["recurrent"] + x @ w["input"] + w["bias"]
    return {"h": z}, {"h": phi(z)}


def lstm(w, x, memory, phi):
    """Gers, Schmidhuber & Cummins 2000, as in Graves 2013 without peepholes."""
    h, c = memory["h"], memory["c"]
    i = sigmoid(x @ w["write_input"] + h @ w["write_recurrent"] + w["write_bias"])
    f = sigmoid(x @ w["forget_input"] + h @ w["forget_recurrent"] + w["forget_bias"])
    o = sigmoid(x @ w["output_input"] + h @ w["output_recurrent"] + w["output_bias"])
    g = phi(x @ w["candidate_input"] + h @ w["candidate_recurrent"] + w["candidate_bias"])
    c = f * c + i * g
    state = {"h": o * phi(c), "c": c}
    return state, state


def gru(w, x, memory, phi):
    """PyTorch's documentation of nn.GRUCell, whose z and n are u and g here; one bias a block."""
    h = memory["h"]
    u = sigmoid(x @ w["update_input"] + h @ w["update_recurrent"] + w["update_bias"])
    r = sigmoid(x @ w["reset_input"] + h @ w["reset_recurrent"] + w["reset_bias"])
    g = phi(x @ w["candidate_input"] + w["candidate_bias"] + r * (h @ w["candidate_recurrent"]))
    state = {"h": (1 - u) * g + u * h}
    return state, state


CELLS = {"simple": simple, "lstm": lstm, "gru": gru}


def float64(weights):
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), weights)


def run(setting, weights, probes, inputs):
    """States of all steps, a dict each, and the logits; ``probes`` are added to the states.

    Where a simple cell's state is z, a probe of it changes h.
    """
    cell, phi = CELLS[setting.cell], ACTIVATIONS[setting.activation]
    width = setting.width
    memory = {"h": jnp.zeros((len(inputs), width)), "c": jnp.zeros((len(inputs), width))}
    states = []
    for t, probe in enumerate(probes):
        x = np.zeros((len(inputs), 8))
        told = np.asarray(inputs)[:, 8 * t : 8 * (t + 1)]
        x[:, : told.shape[1]] = told
        state, memory = cell(weights.layers, jnp.asarray(x), memory, phi)
        state = {name: value + probe[name] for name, value in state.items()}
        memory = {"h": phi(state["h"])} if setting.cell == "simple" else state
        states.append(state)
    return states, memory["h"] @ weights.readout["weight"]


def silent_probes(setting, examples):
    parts = ("h", "c") if setting.cell == "lstm" else ("h",)
    nothing = jnp.zeros((examples, setting.width))
    return [dict.fromkeys(parts, nothing) for _ in range(setting.steps)]


def losses(setting, weights, probes, inputs, labels):
    """Each example's cross-entropy."""
    logits = run(setting, weights, probes, inputs)[1]
    return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]


def gradients(setting, weights, inputs, labels):
    """Of each example's loss by the state of each step: ``[steps]`` dicts of ``[B, n]``."""
    return jax.grad(lambda p: losses(setting, weights, p, inputs, labels).sum())(
        silent_probes(setting, len(inputs))
    )


def weight_gradients(setting, weights, inputs, labels):
    """Of the mean loss, by the shared weights and the readout."""
    probes = silent_probes(setting, len(inputs))
    return jax.grad(lambda w: losses(setting, w, probes, inputs, labels).mean())(weights)
