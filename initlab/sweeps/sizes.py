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
from initlab.measures import normalized, product

each: Callable[..., Any] = jax.vmap  # a measure of [B, n], of each point by itself

#: mean squares between these need no care: 2^27 times the smallest number and more that float32
#: holds, so that what vanishes beside them is less than their rounding; and 2^28 under the largest
_SMALLEST, _LARGEST = 2.0**-99, 2.0**100
#: a variance above this share of the second moment is off by at most four times as much as that
_SPREAD = 1 / 4


class Sized(NamedTuple):
    """Values as they are, and what is measured of ``values * 2^-shift``."""

    values: jax.Array | np.ndarray  # [G, B, n]
    squares: jax.Array  # [G, B] sums of the squares of each example's values, as they are
    shift: jax.Array  # int32 [G]
    second_moment: jax.Array  # [G]
    finite: jax.Array  # [G]


class Gram(NamedTuple):
    """Products of examples with each other, and what each example was divided by before.

    The products of ``values * 2^-shift`` are ``products[i, j] * 2^(exponents[i] + exponents[j])``.
    """

    products: jax.Array  # [G, B, B]
    squares: jax.Array  # [G, B] of each example with itself
    exponents: jax.Array  # int32 [G, B]


def sized(values: jax.Array | np.ndarray) -> Sized:
    """The mean square, and by which power of two values are to be divided before it is taken."""
    squares = _by_example(values**2)
    moment = _mean(squares, values)
    fine = (moment > _SMALLEST) & (moment < _LARGEST)

    def carefully():
        scaled, shift, finite = each(normalized)(values)
        return shift, each(measures.mean)(scaled**2), finite

    quick = jnp.zeros_like(fine, int), moment, fine
    return Sized(values, squares, *_where(fine, quick, carefully))


def with_variance(values: jax.Array | np.ndarray) -> tuple[Sized, jax.Array]:
    """The same, and the variance."""
    squares = _by_example(values**2)
    mean, moment = _mean(_by_example(values), values), _mean(squares, values)
    variance = moment - mean**2
    fine = (moment > _SMALLEST) & (moment < _LARGEST) & (variance > _SPREAD * moment)

    def carefully():
        scaled, shift, finite = each(normalized)(values)
        variance, moment = each(measures.moments)(scaled)
        return shift, moment, finite, variance

    quick = jnp.zeros_like(fine, int), moment, fine, variance
    *found, variance = _where(fine, quick, carefully)
    return Sized(values, squares, *found), variance


def _where(fine, quick: tuple, carefully):
    """What was found quickly where that is fine, and else what is found with care.

    Each point has its own, whoever is its neighbour.
    """

    def both():
        return tuple(map(functools.partial(jnp.where, fine), quick, carefully()))

    return lax.cond(jnp.all(fine), lambda: quick, both)


def gram(x: Sized) -> Gram:
    """The products of examples with each other.

    Of an example 10^19 times as small as others, squares would be 0 beside theirs. So where any is
    far from 1, or all zeros, all are brought near 1 before they are multiplied.
    """
    fine = (x.squares > _SMALLEST) & (x.squares < _LARGEST)

    def carefully():
        scaled, exponents, _ = each(each(normalized))(x.values)
        return _products(scaled), jnp.sum(scaled**2, axis=2), exponents

    def as_they_are():
        return _products(x.values), x.squares, jnp.zeros(x.squares.shape, jnp.int32)

    products, squares, exponents = lax.cond(jnp.all(fine), as_they_are, carefully)
    return Gram(products, squares, exponents - x.shift[:, None])


def _products(rows):
    return product(rows, jnp.swapaxes(rows, 1, 2))


def _by_example(x):
    # no sum over all at once, which XLA would make one by one: it rounds more
    return lax.optimization_barrier(jnp.sum(x, axis=2))


def _mean(by_example, values):
    return jnp.sum(by_example, axis=1) / (values.shape[1] * values.shape[2])
