"""What MetaInit and GradInit share: a search over one scale for each array of a network.

The arrays keep their directions as drawn; what is searched for is how long they are. The search is
one program, whatever the number of its steps: a loop that writes its history into buffers.

Shapes: T steps, P matrices, L depth.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.adaptive.adapted import Adapted
from initlab.adaptive.parts import parts_of, places, weights_of
from initlab.data import Batch
from initlab.draws import drawn
from initlab.parameters import Weights
from initlab.setting import AnySetting, bounded_number

MOST_STEPS = 1000


class Found(NamedTuple):
    """A search: each array's scale and the objective, before the first step and after each."""

    scale: Any  # of the parts' structure: [MOST_STEPS + 1] or [MOST_STEPS + 1, L - 1]
    objective: jax.Array  # [MOST_STEPS + 1]
    visited: jax.Array  # how many of these were reached
    finite: jax.Array  # whether objective and slope were, in the last of them


def ones(parts: Weights) -> Weights:
    """A scale of 1 for every array: one number at either end, and one for each stacked layer."""
    ends = (jax.tree.map(lambda array: jnp.ones(()), part) for part in (parts.first, parts.readout))
    first, readout = ends
    return Weights(first, jax.tree.map(lambda array: jnp.ones(len(array)), parts.layers), readout)


def times(scale: Weights, parts: Weights) -> Weights:
    """Every array times its scale."""

    def multiply(factor, array):
        return factor.reshape(*factor.shape, *[1] * (array.ndim - factor.ndim)) * array

    return jax.tree.map(multiply, scale, parts)


def search(update: Callable[..., Any], start: Weights, state: Any, steps: Any) -> Found:
    """Take steps, until there were enough, or until what is measured is not finite.

    Args:
      update: ``(index, scale, state) -> (objective, finite, scale, state)``: what is measured at a
        scale before step ``index``, and what that step makes of scale and state.
      start: the arrays as drawn.
      state: what the steps hand on.
      steps: how many to take at most, a traced number up to ``MOST_STEPS``.
    """
    scale = ones(start)
    history = jax.tree.map(lambda one: jnp.zeros((MOST_STEPS + 1, *one.shape)), scale)
    objectives = jnp.full(MOST_STEPS + 1, jnp.nan)

    def goes_on(carry):
        index, *_, finite = carry
        return (index <= steps) & finite

    def one_step(carry):
        index, scale, state, history, objectives, _ = carry
        history = jax.tree.map(lambda kept, now: kept.at[index].set(now), history, scale)
        objective, finite, scale, state = update(index, scale, state)
        return index + 1, scale, state, history, objectives.at[index].set(objective), finite

    carry = jnp.int32(0), scale, state, history, objectives, jnp.bool_(True)
    visited, _, _, history, objectives, finite = lax.while_loop(goes_on, one_step, carry)
    return Found(history, objectives, visited, finite)


def all_finite(tree: Any) -> jax.Array:
    """Whether all numbers of a tree are."""
    return jnp.all(jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


def adapted(
    method: str,
    setting: AnySetting,
    start: Weights,
    found: Found,
    aim: str,
    batch: Batch | None = None,
) -> Adapted:
    """A search as an :class:`Adapted`; ``start`` is what was drawn."""
    found = jax.device_get(found)
    steps, stopped = int(found.visited) - 1, "all steps are used up"
    if not found.finite:
        stopped = f"after {steps} steps the {aim}, or its slope, is not finite"
        if steps and not np.isfinite(found.objective[steps]):
            stopped = f"step {steps} was taken back: after it the {aim} is not finite"
            steps -= 1

    def parts_at(step):
        return times(jax.tree.map(lambda kept: kept[step], found.scale), start)

    every = places(start)
    scale = np.stack([_of(found.scale, place)[: steps + 1] for place in every], axis=1)
    return Adapted(
        setting=setting,
        method=method,
        weights=weights_of(setting, parts_at(steps)),
        matrices=tuple(place.label for place in every),
        scale=np.abs(scale.astype(np.float64)),
        objective=np.asarray(found.objective[: steps + 1], np.float64),
        aim=aim,
        stopped=stopped,
        stages=lambda step: weights_of(setting, parts_at(step)),
        batch=batch,
    )


def _of(history: Weights, place) -> np.ndarray:
    """A matrix's scale by step, ``[MOST_STEPS + 1]``."""
    kept = getattr(history, place.part)[place.name]
    return kept if place.row is None else kept[:, place.row]


def start_of(setting: AnySetting, features: int, classes: int) -> Weights:
    """What a setting draws, in float32, as parts."""
    return parts_of(drawn(setting, features, classes))


def above_zero(name: str, value: object, highest: float) -> float:
    """``value`` as a float above 0. TypeError if it is no number, ValueError if out of range."""
    value = bounded_number(name, value, highest)
    if value == 0:
        raise ValueError(f"{name} must be above 0 and at most {highest:g}, not 0")
    return value
