"""How large the values of many points are, in few looks at them, and in scales of their own.

``initlab.measures`` brings a layer's largest value near 1 before it squares anything. That takes a
look for the largest value, one for the mean and one for the deviations, each of which waits for the
one before. Most layers need no such care. Here, two sums are taken of the values as they are, and
only if these say of any point that care is needed, it is taken.

Shapes: ``[G, B, n]``, points, examples, units; what is found of them ``[G]``.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import measures
from initlab.measures import normalized, power_of_two, product

each: Callable[..., Any] = jax.vmap  # a measure of [B, n], of each point by itself

#: mean squares between these need no care: 2^27 times the smallest number and more that float32
#: holds, so that what vanishes beside them is less than their rounding; and 2^28 under the largest
_SMALLEST, _LARGEST = 2.0**-99, 2.0**100
#: a variance above this share of the second moment is off by at most four times as much as that
_SPREAD = 1 / 4


class Sized(NamedTuple):
    """Values as they are, and what is measured of ``values * 2^-shift``."""

    values: jax.Array | np.ndarray  # [G, B, n]
    shift: jax.Array  # int32 [G]
    second_moment: jax.Array  # [G]
    finite: jax.Array  # [G]


def sized(values: jax.Array | np.ndarray) -> Sized:
    """The mean square, and by which power of two values are to be divided before it is taken."""
    moment = _mean(values**2)
    fine = (moment > _SMALLEST) & (moment < _LARGEST)

    def carefully():
        scaled, shift, finite = each(normalized)(values)
        return shift, each(measures.mean)(scaled**2), finite

    return Sized(values, *_where(fine, (jnp.zeros_like(fine, int), moment, fine), carefully))


def with_variance(values: jax.Array | np.ndarray) -> tuple[Sized, jax.Array]:
    """The same, and the variance."""
    mean, moment = _mean(values), _mean(values**2)
    variance = moment - mean**2
    fine = (moment > _SMALLEST) & (moment < _LARGEST) & (variance > _SPREAD * moment)

    def carefully():
        scaled, shift, finite = each(normalized)(values)
        variance, moment = each(measures.moments)(scaled)
        return shift, moment, finite, variance

    quick = jnp.zeros_like(fine, int), moment, fine, variance
    *found, variance = _where(fine, quick, carefully)
    return Sized(values, *found), variance


def _where(fine, quick: tuple, carefully):
    """What was found quickly where that is fine, and else what is found with care.

    Each point has its own, whoever is its neighbour.
    """

    def both():
        return tuple(map(functools.partial(jnp.where, fine), quick, carefully()))

    return lax.cond(jnp.all(fine), lambda: quick, both)


def gram(x: Sized) -> jax.Array:
    """The products of examples with each other, ``[G, B, B]``, of ``values * 2^-shift``.

    Values that were measured without care have squares that float32 holds, and so have these sums.
    """

    def carefully():
        scaled = x.values * power_of_two(-x.shift)[:, None, None]
        return product(scaled, jnp.swapaxes(scaled, 1, 2))

    def as_they_are():
        return product(x.values, jnp.swapaxes(x.values, 1, 2))

    return lax.cond(jnp.all(x.shift == 0), as_they_are, carefully)


def _mean(x):
    # by example first, and no sum over all at once, which XLA would make one by one: it rounds more
    by_example = lax.optimization_barrier(jnp.sum(x, axis=2))
    return jnp.sum(by_example, axis=1) / (x.shape[1] * x.shape[2])
