"""What is measured at one layer, each a few lines of JAX, to be called inside a compiled pass.

Arrays are ``[batch, units]``. Sums run over the batch first and over the units then: XLA adds a
whole array up one by one on a CPU, but many columns at once.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

#: Two units are the same neuron if what they do over the batch, forward and backward, differs by
#: less than this, root mean square, relative to the layer's largest value: 100 times the rounding
#: of float32, by which copies part when their sums are taken in another order.
SAME_NEURON = 1e-5
#: A layer whose units move by less than this over the batch, relative to its largest value, does
#: not move at all: eight roundings of float32.
NO_VARIATION = 5e-7

HISTOGRAM_EDGES = np.linspace(-3.05, 3.05, 62)  # 61 bins of 0.1, the middle one around 0
_PROJECTIONS = 4  # two different neurons agree in one by chance now and then, in four never


def product(left: jax.Array | np.ndarray, right: jax.Array | np.ndarray) -> jax.Array:
    """Matrix product in full float32: GPUs and TPUs would otherwise round to 10 or 7 bits."""
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def cross_entropy(logits: jax.Array | np.ndarray, labels: jax.Array | np.ndarray) -> jax.Array:
    """Mean over the examples, in nats."""
    # not through a sum of products with a one-hot row, where minus infinity times 0 is NaN
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


def unless_rounding(sums: jax.Array, sizes: jax.Array) -> jax.Array:
    """``sums``, but 0 where one is no larger than what float32 rounds off its summands.

    ``sizes`` are the sums of the summands' absolute values. An example's gradients add up to 0
    over the classes, so a readout of equal weights passes nothing back; what float32 leaves of
    that sum is its rounding, not a gradient.
    """
    return jnp.where(jnp.abs(sums) > 4 * jnp.finfo(jnp.float32).eps * sizes, sums, 0.0)


def mean(x: jax.Array) -> jax.Array:
    """Mean over batch and units."""
    return jnp.sum(jnp.sum(x, axis=0)) / x.size


def mean_loss(log_likelihood: jax.Array, classes: jax.Array) -> jax.Array:
    """Mean cross-entropy; ``classes`` are one-hot. Shares are added up: a sum may overflow."""
    return -jnp.sum(jnp.sum(log_likelihood * classes, axis=1) / len(classes))


def power_of_two(exponent: ArrayLike) -> jax.Array:
    """``2^exponent`` in float32, exactly. XLA's ``exp2`` errs by 4e-6, and gives 0 for -126."""
    return jnp.ldexp(jnp.float32(1.0), exponent)


def normalized(x: jax.Array | np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``x`` times a power of two that brings its largest entry into [0.5, 1), and the exponent.

    Squares of the result neither overflow nor underflow, and no digit is lost. Returns
    ``(x * 2^-exponent, exponent, all finite)``; zeros and non-finite values are left alone.
    """
    # as whole numbers, since the maximum of floats of some versions of XLA passes over NaN;
    # sizes are in the same order as their bits, with inf above all numbers and NaN above inf
    bits = lax.bitcast_convert_type(jnp.abs(x), jnp.int32)
    largest = lax.bitcast_convert_type(jnp.max(jnp.max(bits, axis=0)), jnp.float32)
    finite = jnp.isfinite(largest)
    usable = finite & (largest > 0)
    # 2^-126 is the smallest power that float32 holds normally
    exponent = jnp.frexp(jnp.where(usable, largest, 0.5))[1]  # 0 for 0.5
    exponent = jnp.clip(exponent, -125, 126)
    return jnp.multiply(x, power_of_two(-exponent)), exponent, finite


def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``(variance, second moment)`` over batch and units together.

    The deviation is taken from the mean first: a mean of squares less a squared mean would read
    2e-9 where the variance is 0.
    """
    center = mean(x)
    variance = mean((x - center) ** 2)
    return variance, variance + center**2


def of_activation(
    a: jax.Array, by_unit: Callable[[jax.Array], jax.Array] = lambda a: a
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What is measured of any layer's activation in float32, the input's included.

    Args:
      a: ``[examples, …]``.
      by_unit: how it is read as ``[rows, units]``.

    Returns:
      ``(rows, measures)``: the normalized activation by unit, and a dict.
    """
    scaled, exponent, finite = normalized(a)
    rows = by_unit(scaled)
    variance, second_moment = moments(rows)
    return rows, {
        "finite": finite,
        "activation_exponent": exponent,
        "activation_variance": variance,
        "activation_second_moment": second_moment,
        "activation_histogram": histogram(a),
        "input_similarity": input_similarity(a.reshape(len(a), -1)),
    }


def histogram(x: jax.Array) -> jax.Array:
    """Counts ``[61]`` between ``HISTOGRAM_EDGES``; the outermost bins also hold all beyond."""
    bins = len(HISTOGRAM_EDGES) - 1
    low, high = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1]
    position = jnp.clip((x - low) * (bins / (high - low)), 0, bins - 1)
    return jnp.zeros(bins, jnp.int32).at[position.astype(jnp.int32).ravel()].add(1)


def input_similarity(x: jax.Array) -> jax.Array:
    """Mean cosine between the rows of two different examples; NaN if there is only one.

    Rows of zeros are like each other and unlike all else.
    """
    examples = x.shape[0]
    if examples == 1:
        return jnp.float32(jnp.nan)
    # each by itself: of a row 10^19 times as small as others, squares would be 0
    x, _, _ = jax.vmap(normalized)(x)
    length = jnp.sqrt(jnp.sum(x * x, axis=1))
    total = product(1 / jnp.where(length > 0, length, 1.0), x)
    silent = jnp.sum(length == 0)
    pairs = jnp.sum(total**2) - (examples - silent) + silent * (silent - 1)
    return jnp.clip(pairs / (examples * (examples - 1)), -1.0, 1.0)


def effective_neurons(x: jax.Array) -> jax.Array:
    """Participation ratio of the units' covariance: ``(sum of eigenvalues)^2 / sum of squares``.

    0 if no unit moves over the batch. ``x`` is normalized. The eigenvalues' sums are read off
    the smaller of the two Gram matrices, which share them.
    """
    x = x.T  # as the network keeps it
    # where a unit hardly moves, the mean's rounding may exceed the movement: hence a second time
    for _ in range(2):
        x = x - jnp.mean(x, axis=1, keepdims=True)
    gram = product(x, x.T) if x.shape[0] <= x.shape[1] else product(x.T, x)
    total = jnp.trace(gram)
    moves = total > x.size * NO_VARIATION**2
    return jnp.where(moves, total**2 / jnp.sum(jnp.sum(gram * gram, axis=0)), 0.0)


def distinct_neurons(activation: jax.Array, gradient: jax.Array) -> jax.Array:
    """How many different neurons a layer has, judged by activation and by gradient together.

    Both are normalized. Each unit's two columns are projected on the same few random vectors;
    sorted by the first projection, copies stand side by side.
    """
    examples = activation.shape[0]
    random = np.random.default_rng(0).standard_normal((2, _PROJECTIONS, examples))
    random = (random / np.sqrt(examples)).astype(np.float32)
    traits = product(random[0], activation) + product(random[1], gradient)  # [projections, units]
    traits = traits[:, jnp.argsort(traits[0])]
    differs = jnp.any(jnp.abs(traits[:, 1:] - traits[:, :-1]) > SAME_NEURON, axis=0)
    return 1 + jnp.sum(differs)
