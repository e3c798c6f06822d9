"""LSUV: layer-sequential unit variance.

Shapes: B examples, P matrices, R rounds.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.adaptive.adapted import Adapted, checked, full_precision
from initlab.adaptive.parts import parts_of, places, scaled, weights_of
from initlab.adaptive.walk import Met, way_of
from initlab.data import Batch
from initlab.draws import drawn as drawn_weights
from initlab.measures import NO_VARIATION, moments, normalized, power_of_two, product
from initlab.setting import AnySetting, bounded_number, whole_number

MOST_ROUNDS = 100
_FINE, _STILL, _NOT_FINITE = range(3)  # what a matrix's output is


def _deviation(z):
    """Standard deviation over examples and units, and what the output is."""
    scaled, exponent, finite = normalized(z)
    variance, _ = moments(scaled)
    still = variance <= NO_VARIATION**2
    deviation = jnp.where(still, 0.0, jnp.sqrt(variance)) * power_of_two(exponent)
    return deviation, jnp.where(finite, jnp.where(still, _STILL, _FINE), _NOT_FINITE)


@functools.partial(jax.jit, static_argnames=("network",))
def _fit(network, drawn, knobs, depth, inputs, tolerance, most_rounds) -> dict:
    """By matrix ``[P]``: its factor, what its output is, and deviations by round ``[P, R + 1]``."""

    def far(deviation):
        return ~(jnp.abs(deviation**2 - 1) < tolerance)  # NaN is

    def visit(kept: dict, met: Met):
        u = product(met.scale * met.given, met.weight)
        _, state = _deviation(u)  # what no factor moves is left alone, whatever the biases do
        deviation, with_bias = _deviation(u + met.bias)
        state = jnp.where(with_bias == _NOT_FINITE, _NOT_FINITE, state)
        deviations = jnp.full(MOST_ROUNDS + 1, jnp.nan).at[0].set(deviation)

        def goes_on(round_):
            count, _, deviation, _ = round_
            return far(deviation) & (deviation > 0) & (count < most_rounds) & (state == _FINE)

        def one_round(round_):
            count, factor, deviation, deviations = round_
            factor = factor / deviation
            deviation, _ = _deviation(factor * u + met.bias)
            return count + 1, factor, deviation, deviations.at[count + 1].set(deviation)

        start = jnp.int32(0), jnp.float32(1), deviation, deviations
        _, factor, deviation, deviations = lax.while_loop(goes_on, one_round, start)
        found = {
            "factor": factor,
            "state": jnp.where(far(deviation), state, _FINE),
            "deviations": deviations,
        }
        kept = {name: kept[name].at[met.index].set(value) for name, value in found.items()}
        return factor * u + met.bias, kept

    kept = {
        "factor": jnp.ones(network.matrices),
        "state": jnp.zeros(network.matrices, jnp.int32),
        "deviations": jnp.full((network.matrices, MOST_ROUNDS + 1), jnp.nan),
    }
    return network.walk(drawn, knobs, depth, inputs, visit, kept)


def lsuv(
    setting: AnySetting,
    batch: Batch | None = None,
    *,
    tolerance: float = 0.1,
    most_rounds: int = 10,
) -> Adapted:
    r"""Layer-sequential unit variance: each matrix is divided by what it makes of real examples.

    In the order in which a signal meets them, every matrix whose output :math:`z` has a variance
    farther than ``tolerance`` from 1 is changed, round after round, by

    .. math:: W \leftarrow W / \sqrt{\mathrm{Var}\, z}

    with the variance over examples and units together; what follows reads the new output. Without
    biases :math:`z` is proportional to :math:`W`, and one round is exact. Biases are left as they
    are, and so is a matrix whose output does not vary, or is not finite: ``stopped`` names it.

    Args:
      setting: the start, drawn by whatever initializer it names; the paper's are orthogonal, as
        are those of ``Setting(initializer="lsuv")``. A Setting or a Residual.
      batch: the examples; labels do not matter. By default the digits that ``probe`` takes.
      tolerance: how far from 1 a variance may be; 0.1 in the paper.
      most_rounds: how often a matrix is divided at most, 1 to 100; 10 in the paper.

    Returns:
      An :class:`Adapted` with one step for each round of a matrix, fitted in float32. Its
      objective is the mean of :math:`|\ln \mathrm{Var}\, z|` over the matrices, each as its turn
      finds it: those ahead as they will be met, when all before them fit.

    Raises:
      TypeError: a setting of another kind, or no Batch.
      ValueError: a number out of range, with the nearest choice.

    Source: Mishkin & Matas 2016, "All you need is a good init" (arXiv 1511.06422).

    >>> from initlab import Setting
    >>> fitted = lsuv(Setting(depth=3, width=32, activation="relu", gain=0.1))
    >>> fitted.steps, fitted.stopped
    (4, 'all 4 matrices put out a variance within 0.1 of 1')
    """
    batch = checked("lsuv", setting, batch, ("Setting", "Residual"))
    tolerance = bounded_number("tolerance", tolerance, 1.0)
    most_rounds = whole_number("most_rounds", most_rounds, 1, MOST_ROUNDS)
    sizes = batch.inputs.shape[1], batch.classes
    way = way_of(setting, *sizes)
    numbers = np.float32(tolerance), np.int32(most_rounds)
    out = jax.device_get(_fit(*way, batch.inputs, *numbers))
    start = parts_of(drawn_weights(full_precision(setting), *sizes))
    labels = tuple(place.label for place in places(start))
    deviations, state = (out[name][: len(labels)] for name in ("deviations", "state"))
    deviations = deviations.astype(np.float64)
    scale, objective = _history(deviations, state)
    return Adapted(
        setting=setting,
        method="lsuv",
        weights=weights_of(setting, scaled(start, scale[-1])),
        matrices=labels,
        scale=scale,
        objective=objective,
        aim="mean |ln Var z|, each matrix in its turn",
        stopped=_told(labels, deviations, state, tolerance),
        stages=lambda step: weights_of(setting, scaled(start, scale[step])),
        batch=batch,
    )


def _history(deviations, state) -> tuple[np.ndarray, np.ndarray]:
    """Factors after each step, ``[T + 1, P]``, and the objective, ``[T + 1]``."""
    rounds = np.isfinite(deviations[:, 1:]).sum(axis=1)
    factor, here = [np.ones(len(rounds))], deviations[:, 0].copy()
    with np.errstate(divide="ignore"):
        distances = [2 * np.abs(np.log(here))]
        for index, count in enumerate(rounds):
            for deviation, after in itertools.pairwise(deviations[index, : count + 1]):
                here[index] = after
                factor.append(factor[-1].copy())
                factor[-1][index] /= deviation
                distances.append(2 * np.abs(np.log(here)))
    judged = state == _FINE
    objective = [distance[judged].mean() if judged.any() else np.nan for distance in distances]
    return np.array(factor), np.array(objective)


def _told(labels, deviations, state, tolerance: float) -> str:
    """Why there was no more to be done."""
    rounds = np.isfinite(deviations[:, 1:]).sum(axis=1)
    last = deviations[np.arange(len(rounds)), rounds]
    beyond = (state == _FINE) & ~(np.abs(last**2 - 1) < tolerance)
    told = [
        _named(labels, state == _NOT_FINITE, "puts out what is not finite"),
        _named(labels, state == _STILL, "puts out variance 0, which no factor changes"),
        _named(labels, beyond, f"stays farther than {tolerance:g} from variance 1"),
    ]
    told = [words for words in told if words]
    everything = f"all {len(labels)} matrices put out a variance within {tolerance:g} of 1"
    return "; ".join(told) or everything


def _named(labels, where, words: str) -> str:
    """Which matrix it is said of first, and of how many more."""
    if not where.any():
        return ""
    others = where.sum() - 1
    more = f", and so {'does' if others == 1 else 'do'} {others} more" if others else ""
    return f"{labels[np.argmax(where)]} {words}{more}"
