"""MetaInit: a start from which a step of gradient descent hardly changes the gradient.

Shapes: B examples, F features, K classes, L depth.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.adaptive.adapted import Adapted, checked, full_precision
from initlab.adaptive.parts import network_of
from initlab.adaptive.searched import (
    MOST_STEPS,
    Found,
    above_zero,
    adapted,
    all_finite,
    ones,
    search,
    start_of,
    times,
)
from initlab.data import Batch
from initlab.setting import AnySetting, bounded_number, whole_number

EPSILON = 1e-5  # the paper's
FEATURES, CLASSES = 64, 10  # of random examples: those of the digits
MOST_MOMENTUM = 0.999


def gradient_quotient(
    loss: Callable[[Any], jax.Array], parameters: Any, epsilon: float = EPSILON
) -> jax.Array:
    r"""MetaInit's gradient quotient: how much a step along the gradient changes the gradient.

    .. math:: \frac{1}{N} \sum_i \left|
        \frac{g_i - (Hg)_i}{g_i + \epsilon\, \mathrm{sgn}(g_i)} - 1 \right|

    with the gradient :math:`g` and the Hessian :math:`H` of the loss, and sgn(0) = 1. It is 0 if
    the loss is linear, so that the gradient stays as it is; a quadratic :math:`k \theta^2 / 2` has
    the quotient k: from 2 on, a step of size 1 never comes closer to its minimum. Where gradients
    have vanished below epsilon, it is near 1.

    Args:
      loss: ``parameters -> a number``; any function that JAX can differentiate twice.
      parameters: a tree of arrays of floating-point numbers.
      epsilon: keeps small gradients from being divided by; above 0.

    Returns:
      A number that is 0 or more, as a JAX array; itself differentiable.

    Raises:
      TypeError: an epsilon that is no number; what ``jax.grad`` raises of ``loss`` and parameters.
      ValueError: an epsilon out of range, or no parameters at all.

    Source: Dauphin & Schoenholz 2019, "MetaInit: Initializing learning by learning to initialize",
    with the sign of 0, and the mean over all parameters, of the authors' code.

    >>> curve = lambda theta: 0.7 * theta**2 / 2
    >>> round(float(gradient_quotient(curve, 3.0)), 4)
    0.7
    """
    epsilon = above_zero("epsilon", epsilon, 1.0)
    if not jax.tree.leaves(parameters):
        raise ValueError("parameters must have at least one array, not none")
    gradient, pull = jax.vjp(jax.grad(loss), parameters)
    (product,) = pull(gradient)  # H is symmetric
    terms = jax.tree.map(functools.partial(_terms, epsilon), gradient, product)
    count = sum(jnp.size(leaf) for leaf in jax.tree.leaves(terms))
    return functools.reduce(operator.add, map(jnp.sum, jax.tree.leaves(terms))) / count


def _terms(epsilon, g, product):
    # (g - Hg) / (g + e) - 1 = -(Hg + e) / (g + e), and what cancels is left out
    signed = jnp.where(g >= 0, epsilon, -epsilon)
    return jnp.abs((product + signed) / (g + signed))


@functools.partial(jax.jit, static_argnames=("network", "shape"))
def _fit(network, shape, knobs, start, given, steps, seed, learning_rate, momentum) -> Found:
    """``given`` are inputs and labels, or None for random ones of ``shape`` (B, F, K)."""
    key = jax.random.key(seed)
    size = jax.tree.map(_norms, ones(start), start)

    def examples(index):
        if given is not None:
            return given
        of_inputs, of_labels = jax.random.split(jax.random.fold_in(key, index))
        inputs = jax.random.normal(of_inputs, shape[:2])
        return inputs, jax.random.randint(of_labels, shape[:1], 0, shape[2])

    def update(index, scale, speed):
        inputs, labels = examples(index)

        def quotient(scale):
            def loss(parts):
                return network.loss(knobs, parts, inputs, labels)

            return gradient_quotient(loss, times(scale, start))

        value, slope = jax.value_and_grad(quotient)(scale)
        speed = jax.tree.map(faster, speed, scale, slope)
        scale = jax.tree.map(moved, size, scale, speed)
        return value, jnp.isfinite(value) & all_finite(slope), scale, speed

    def faster(speed, scale, slope):
        """A norm is ``size * |scale|``: its slope has the sign of ``scale * slope``."""
        return momentum * speed - learning_rate * jnp.sign(scale * slope)

    def moved(size, scale, speed):
        """The scale when its matrix's norm has changed by ``speed``."""
        norm = size * jnp.abs(scale)
        moves = norm > 0  # not what has no direction, nor, where size is 0, a bias
        return jnp.where(moves, scale * (1 + speed / jnp.where(moves, norm, 1)), scale)

    return search(update, start, jax.tree.map(jnp.zeros_like, size), steps)


def _norms(one, array):
    """Frobenius norms of what has two axes or more, ``[]`` or by layer; 0 for all else."""
    own = tuple(range(one.ndim, array.ndim))
    if len(own) < 2:
        return jnp.zeros_like(one)
    return jnp.sqrt(jnp.sum(jnp.square(array), axis=own))


def metainit(
    setting: AnySetting,
    batch: Batch | None = None,
    *,
    steps: int = 100,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
) -> Adapted:
    r"""MetaInit: the norms of all matrices go down the gradient quotient's slope.

    In each step every matrix's norm changes by :math:`m \leftarrow \mu m - \eta\,\mathrm{sgn}(s)`,
    where s is the quotient's slope by that norm. Directions stay as drawn, and so do biases. No
    data are needed: each step has new random examples, standard normal inputs with uniform labels.

    Args:
      setting: the start, drawn by whatever initializer it names. A Setting or a Residual.
      batch: examples to use in every step instead; by default random ones, as in the paper, of 64
        features and 10 classes, as many as ``probe`` takes digits.
      steps: how many to take, 1 to 1000. The paper takes 500 for networks much larger; here the
        quotient has settled by 100.
      learning_rate: how far a norm moves in a first step; 0.1 in the paper.
      momentum: the share of a step that the next one keeps, 0 to 0.999; 0.9 in the paper.

    Returns:
      An :class:`Adapted`, fitted in float32; its objective is the quotient, on each step's own
      examples. If that is not finite, the search ends, and ``stopped`` tells.

    Raises:
      TypeError: a setting of another kind, no Batch, or a value that is no number.
      ValueError: a number out of range, with the nearest choice.

    Source: Dauphin & Schoenholz 2019, "MetaInit: Initializing learning by learning to initialize".

    >>> from initlab import Setting
    >>> fitted = metainit(Setting(depth=10, width=32, gain=0.3))
    >>> bool(fitted.objective[-1] < fitted.objective[0] / 2)
    True
    """
    given = None
    if batch is None:
        checked("metainit", setting, None, ("Setting", "Residual"))
        shape = (setting.examples, FEATURES, CLASSES)
    else:
        batch = checked("metainit", setting, batch, ("Setting", "Residual"))
        given, shape = (batch.inputs, batch.labels), (*batch.inputs.shape, batch.classes)
    steps = whole_number("steps", steps, 1, MOST_STEPS)
    learning_rate = above_zero("learning_rate", learning_rate, 100.0)
    momentum = bounded_number("momentum", momentum, MOST_MOMENTUM)
    start = start_of(full_precision(setting), *shape[1:])
    network, knobs = network_of(setting, *shape[1:])
    numbers = np.int32(steps), np.uint32(setting.seed)
    rates = np.float32(learning_rate), np.float32(momentum)
    found = _fit(network, shape, knobs, start, given, *numbers, *rates)
    return adapted("metainit", setting, start, found, "gradient quotient", batch)
