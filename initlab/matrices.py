"""What initializers draw: matrices ``[fan_in, fan_out]`` before any scale.

Random entries have variance 1. JAX's own initializers draw what they can draw.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np


def draw_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal entries."""
    return jax.nn.initializers.normal(1.0)(key, shape, jnp.float32)


def draw_truncated_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Normal entries cut at two standard deviations, then rescaled to variance 1.

    This is what ``jax.nn.initializers.he_normal`` and its kin draw; PyTorch's do not cut.
    The largest entry is 2 / 0.87962566103423978 = 2.2737.
    """
    return jax.nn.initializers.variance_scaling(float(shape[0]), "fan_in", "truncated_normal")(
        key, shape, jnp.float32
    )


def draw_uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Entries uniform in [-sqrt(3), sqrt(3)): variance 1."""
    return jax.nn.initializers.variance_scaling(float(shape[0]), "fan_in", "uniform")(
        key, shape, jnp.float32
    )


def draw_orthogonal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """A random matrix with orthonormal rows or columns, uniform in Haar's sense."""
    return jax.nn.initializers.orthogonal()(key, shape, jnp.float32)


def draw_delta_orthogonal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Zero but for the kernel's central tap, which is orthogonal; a dense layer is one such tap.

    ValueError if the kernel has fewer outputs than inputs: some input's length would be lost.
    """
    if len(shape) == 2:
        return draw_orthogonal(key, shape)
    *_, fan_in, fan_out = shape
    if fan_in > fan_out:
        raise ValueError(
            f"a delta-orthogonal kernel keeps every length, so {fan_in} inputs and {fan_out}"
            f" outputs will not do: it needs at least {fan_in} outputs"
        )
    return jax.nn.initializers.delta_orthogonal()(key, shape, jnp.float32)


def draw_ones(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Every entry 1: the neurons of a layer are copies of each other."""
    return jnp.ones(shape, jnp.float32)


def draw_identity(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Ones on the diagonal; passes the first ``min(shape)`` inputs on."""
    return jnp.eye(*shape, dtype=jnp.float32)


def hadamard(fan_in: int, fan_out: int) -> np.ndarray:
    """The first rows and columns of Sylvester's matrix: ``(-1)^popcount(i & j)``."""
    bits = np.bitwise_and.outer(np.arange(fan_in), np.arange(fan_out))
    parity = np.zeros_like(bits)
    while bits.any():
        parity, bits = parity ^ (bits & 1), bits >> 1
    return (1 - 2 * parity).astype(np.float32)


def draw_zero_hadamard(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """ZerO's pattern: identity, partial identity where a layer narrows, Hadamard where it widens.

    In the authors' code's normalization, ``2^(-m/2)`` with ``m = ceil(log2 fan_out)``, which
    makes a Hadamard matrix orthonormal. The paper's text has ``2^(-(m-1)/2)``.
    """
    fan_in, fan_out = shape
    if fan_out <= fan_in:
        return draw_identity(key, shape)
    m = math.ceil(math.log2(fan_out))
    return jnp.asarray(hadamard(fan_in, fan_out) * 2 ** (-m / 2))


def draw_zero_hadamard_paper(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """As :func:`draw_zero_hadamard`, with the Hadamard part as the paper's text scales it."""
    fan_in, fan_out = shape
    return draw_zero_hadamard(key, shape) * (2**0.5 if fan_out > fan_in else 1.0)


def draw_sparse(key: jax.Array, shape: tuple[int, ...], connections: int = 15) -> jax.Array:
    """Each unit has ``connections`` incoming standard normal weights, the rest are zero."""
    pick, value = jax.random.split(key)
    fan_in, fan_out = shape
    connections = min(connections, fan_in)
    _, rows = jax.lax.top_k(jax.random.uniform(pick, (fan_out, fan_in)), connections)
    weights = jax.random.normal(value, (fan_out, connections))
    return jnp.zeros(shape).at[rows, jnp.arange(fan_out)[:, None]].set(weights)
