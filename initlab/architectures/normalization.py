"""Normalizations, without factors or offsets that are learned: those start as 1 and 0.

Arrays are ``[batch, units]``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

EPSILON = 1e-5  # added to a variance: PyTorch's default for batch and layer normalization


def _scaled(x: jax.Array, axis: int) -> jax.Array:
    """``x`` over the root of its mean square along an axis."""
    return x * lax.rsqrt(jnp.mean(x**2, axis=axis, keepdims=True) + EPSILON)


def _standardized(x: jax.Array, axis: int) -> jax.Array:
    """Mean 0 and variance 1 along an axis."""
    return _scaled(x - jnp.mean(x, axis=axis, keepdims=True), axis)


#: name -> function: over the batch each unit (Ioffe & Szegedy 2015), over the units each example
#: (Ba, Kiros & Hinton 2016), and the latter without taking off the mean (Zhang & Sennrich 2019)
NORMALIZATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "none": lambda x: x,
    "batch": lambda x: _standardized(x, 0),
    "layer": lambda x: _standardized(x, -1),
    "rms": lambda x: _scaled(x, -1),
}


def normalize(kind: jax.Array, x: jax.Array) -> jax.Array:
    """``x`` after the normalization at this place in ``NORMALIZATIONS``, which may be traced."""
    return lax.switch(kind, list(NORMALIZATIONS.values()), x)
