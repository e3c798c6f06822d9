"""GradInit: a start whose first step of training ends as low as can be.

Shapes: B examples, H half a minibatch.
"""

import functools

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
from initlab.parameters import Weights
from initlab.setting import AnySetting, one_of, whole_number

HALF = 64  # examples; a minibatch has two halves
LEAST_SCALE = 0.01  # of weights; biases may go to 0
MOST_SLOPE = 1.0  # to which each scale's own slope is clipped
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of the Adam that moves the scales
#: optimizer -> learning rate, bound on the gradient
DEFAULTS = {"sgd": (0.1, 1.0), "adam": (1e-3, 100.0)}
_UNBOUNDED = 1e30


def _step(optimizer: str, gradient):
    """The first step's direction, and the gradient's norm that belongs to it."""
    leaves = jax.tree.leaves(gradient)
    if optimizer == "adam":
        norm = sum(jnp.sum(jnp.abs(leaf)) for leaf in leaves)
        return jax.tree.map(jnp.sign, gradient), norm
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in leaves))
    return jax.tree.map(lambda leaf: leaf / jnp.where(norm > 0, norm, 1.0), gradient), norm


@functools.partial(jax.jit, static_argnames=("network", "optimizer"))
def _fit(network, optimizer, knobs, start, batch, steps, seed, rate, bound, scale_rate) -> Found:
    key, (inputs, labels) = jax.random.key(seed), batch
    lowest = _lowest(start)

    def loss(parts, examples):
        return network.loss(knobs, parts, *examples)

    def after_step(scale, step, examples):
        """The loss when a step, whatever made it, was taken from a scaled start."""
        taken = jax.tree.map(lambda array, by: array - rate * by, times(scale, start), step)
        return loss(taken, examples)

    def update(index, scale, moments):
        places = _minibatches(jax.random.fold_in(key, index), len(labels))
        before, after = ((inputs[chosen], labels[chosen]) for chosen in places)

        def norm_and_step(scale):
            step, norm = _step(optimizer, jax.grad(loss)(times(scale, start), before))
            return norm, step

        norm, pull, step = jax.vjp(norm_and_step, scale, has_aux=True)
        too_long = norm > bound

        def shorten():
            return pull(jnp.ones_like(norm))[0]

        def descend():  # the step is held fixed, and the slope is that of loss / rate
            slope = jax.grad(after_step)(scale, step, after)
            return jax.tree.map(lambda by: by / rate, slope)

        slope = jax.lax.cond(too_long, shorten, descend)
        whole, _ = _step(optimizer, jax.grad(loss)(times(scale, start), batch))
        objective = after_step(scale, whole, batch)
        finite = jnp.isfinite(objective) & jnp.isfinite(norm) & all_finite(slope)
        scale, moments = _adam(scale, slope, moments, too_long, scale_rate, lowest)
        return objective, finite, scale, moments

    return search(update, start, _no_moments(start), steps)


def _minibatches(key, count: int):
    """Places of two minibatches that share a half, as in the authors' code: ``[2, 2 H]``."""
    half = min(HALF, -(-count // 3))
    order = jax.random.permutation(key, count)[jnp.arange(3 * half) % count]
    common, one, other = order.reshape(3, half)
    return jnp.stack([jnp.concatenate([common, own]) for own in (one, other)])


def _lowest(start: Weights) -> Weights:
    """The lowest scale of each array; a trained factor of a branch counts as a weight."""

    def lowest(part):
        return {name: 0.0 if name.startswith("bias") else LEAST_SCALE for name in part}

    return Weights(*map(lowest, start))


def _no_moments(start: Weights):
    """Adam's moments of either kind of step, and how many there were of each."""
    zeros = jax.tree.map(lambda one: jnp.zeros((2, *one.shape)), ones(start))
    return zeros, zeros, jnp.zeros(2)


def _adam(scale, slope, moments, kind, rate, lowest):
    """One of Adam's steps; those that shorten the gradient have their own moments (``kind`` 1)."""
    kind = kind.astype(jnp.int32)
    first, second, counts = moments
    slope = jax.tree.map(lambda by: jnp.clip(by, -MOST_SLOPE, MOST_SLOPE), slope)
    counts = counts.at[kind].add(1)
    b1, b2 = BETAS

    def mixed(beta, power):
        return lambda kept, by: kept.at[kind].set(beta * kept[kind] + (1 - beta) * by**power)

    first = jax.tree.map(mixed(b1, 1), first, slope)
    second = jax.tree.map(mixed(b2, 2), second, slope)
    corrections = 1 - b1 ** counts[kind], 1 - b2 ** counts[kind]

    def moved(one, mean, square, least):
        mean, square = mean[kind] / corrections[0], square[kind] / corrections[1]
        return jnp.maximum(one - rate * mean / (jnp.sqrt(square) + EPSILON), least)

    return jax.tree.map(moved, scale, first, second, lowest), (first, second, counts)


def gradinit(
    setting: AnySetting,
    batch: Batch | None = None,
    *,
    optimizer: str = "sgd",
    learning_rate: float | None = None,
    gradient_bound: float | None = None,
    scale_rate: float = 0.01,
    steps: int = 200,
) -> Adapted:
    r"""GradInit: the scale of every array, such that training's first step ends as low as can be.

    .. math:: \min_m L\bigl(\tilde S;\ m\theta - \eta\, A[g]\bigr)
        \quad\text{with}\quad |g|_p \le \gamma,\quad g = \nabla L(S;\ m\theta)

    where A makes a step of a gradient: ``sgd`` divides it by its length (p = 2), ``adam`` takes its
    signs (p = 1). As long as a minibatch's gradient is too long, scales go down its norm's slope,
    and else down the loss's, A[g] held fixed; both by an Adam of their own. Minibatches share half
    their examples. Scales of weights stay above 0.01, biases that are not 0 have one, too.

    Args:
      setting: the start, drawn by whatever initializer it names. A Setting or a Residual.
      batch: the examples. By default the digits that ``probe`` takes.
      optimizer: what will train the network: ``sgd`` or ``adam``.
      learning_rate: :math:`\eta`, of the step that is looked ahead; by default 0.1 for sgd and
        0.001 for adam, as in the authors' runs.
      gradient_bound: :math:`\gamma`; by default 1 for sgd, as in their runs, and 100 for adam, for
        which they set none: to first order the loss may fall by :math:`\eta\gamma = 0.1` in
        either case.
      scale_rate: how far a scale moves in a step of the search; 0.001 to 0.1 in the authors' runs.
      steps: of the search, 1 to 1000. The authors take 390 minibatches of 128.

    Returns:
      An :class:`Adapted`, fitted in float32; its objective is the loss after one step, both on the
      whole batch. If what is looked at is not finite, the search ends, and ``stopped`` tells.

    Raises:
      TypeError: a setting of another kind, no Batch, or a value of the wrong type.
      ValueError: an unknown optimizer, or a number out of range, with the nearest choice.

    Source: Zhu, Ni, Xu, Kong, Huang & Goldstein 2021, "GradInit: Learning to initialize neural
    networks for stable and efficient training" (arXiv 2102.08098), and the authors' code.

    >>> from initlab import Setting
    >>> fitted = gradinit(Setting(depth=3, width=16, gain=0.3), steps=20)
    >>> bool(fitted.objective[-1] < fitted.objective[0])
    True
    """
    batch = checked("gradinit", setting, batch, ("Setting", "Residual"))
    optimizer = one_of("optimizer", optimizer, tuple(DEFAULTS))
    usual_rate, usual_bound = DEFAULTS[optimizer]
    learning_rate = usual_rate if learning_rate is None else learning_rate
    gradient_bound = usual_bound if gradient_bound is None else gradient_bound
    rates = (
        above_zero("learning_rate", learning_rate, 100.0),
        above_zero("gradient_bound", gradient_bound, _UNBOUNDED),
        above_zero("scale_rate", scale_rate, 1.0),
    )
    steps = whole_number("steps", steps, 1, MOST_STEPS)
    sizes = batch.inputs.shape[1], batch.classes
    start = start_of(full_precision(setting), *sizes)
    network, knobs = network_of(setting, *sizes)
    examples = batch.inputs, batch.labels
    numbers = np.int32(steps), np.uint32(setting.seed), *map(np.float32, rates)
    found = _fit(network, optimizer, knobs, start, examples, *numbers)
    return adapted("gradinit", setting, start, found, "loss after one step", batch)
