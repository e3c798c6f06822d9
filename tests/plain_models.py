"""Small networks as plain functions of parameters and inputs, for the doctor to examine."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

INPUTS = np.random.default_rng(0).standard_normal((128, 20)).astype(np.float32)
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


def dense(depth=7, width=64, activation="relu", gain=None, dtype=np.float32):
    """A dense network and its parameters: He's scale for relu, LeCun's for others."""
    phi = ACTIVATIONS[activation]
    gain = (2**0.5 if activation == "relu" else 1.0) if gain is None else gain
    generator, sizes = np.random.default_rng(1), [INPUTS.shape[1], *[width] * depth, 10]
    params = [
        {
            "kernel": jnp.asarray(
                generator.standard_normal((fan_in, fan_out)) * gain / fan_in**0.5, dtype
            ),
            "bias": jnp.zeros(fan_out, dtype),
        }
        for fan_in, fan_out in itertools.pairwise(sizes)
    ]

    def network(params, x):
        *hidden, readout = params
        for layer in hidden:
            x = phi(x @ layer["kernel"] + layer["bias"])
        return x @ readout["kernel"] + readout["bias"]

    return network, params


def residual(blocks=16, width=64, branch=1.0):
    """Residual blocks in a scan, two products each, with He's scale."""
    generator = np.random.default_rng(2)

    def draw(*shape):
        values = generator.standard_normal(shape) * (2 / shape[-2]) ** 0.5
        return jnp.asarray(values, jnp.float32)

    params = {
        "read": draw(INPUTS.shape[1], width),
        "inner": draw(blocks, width, width),
        "outer": branch * draw(blocks, width, width),
        "readout": draw(width, 10),
    }

    def network(params, x):
        def block(x, weights):
            inner, outer = weights
            return x + jax.nn.relu(jax.nn.relu(x) @ inner) @ outer, None

        x, _ = jax.lax.scan(block, x @ params["read"], (params["inner"], params["outer"]))
        return x @ params["readout"]

    return network, params


def winding():
    """A product behind every way in which JAX nests programs."""
    generator = np.random.default_rng(3)
    names = "jit", "remat", "cond", "custom_jvp", "custom_vjp", "vmap", "scan", "shared"
    params = {
        name: jnp.asarray(generator.standard_normal((20, 20)) / 20**0.5, jnp.float32)
        for name in names
    }
    params["scan"] = jnp.stack([params["scan"], 2 * params["scan"], params["scan"].T])

    @jax.custom_jvp
    def with_jvp(x, w):
        return x @ w

    @with_jvp.defjvp
    def with_jvp_rule(primals, tangents):
        (x, w), (dx, dw) = primals, tangents
        return x @ w, dx @ w + x @ dw

    @jax.custom_vjp
    def with_vjp(x, w):
        return x @ w

    with_vjp.defvjp(lambda x, w: (x @ w, (x, w)), lambda kept, g: (g @ kept[1].T, kept[0].T @ g))

    def network(params, x):
        x = jax.jit(lambda x, w: x @ w)(x, params["jit"])
        x = jax.checkpoint(lambda x, w: jnp.tanh(x @ w))(x, params["remat"])
        x = jax.lax.cond(x.sum() < jnp.inf, lambda x, w: x @ w, lambda x, w: x, x, params["cond"])
        x = with_vjp(with_jvp(x, params["custom_jvp"]), params["custom_vjp"])
        x = jax.vmap(lambda row: row @ params["vmap"])(x)
        x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, params["scan"])
        return jax.lax.fori_loop(0, 4, lambda _, x: jnp.tanh(x @ params["shared"]), x)

    return network, params
