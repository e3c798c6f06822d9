"""Data-dependent start: every unit of variance 1, and every matrix learning at one rate.

Shapes: B examples, n units (width), K classes, P matrices, U the larger of n and K.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.adaptive.adapted import Adapted, checked, full_precision
from initlab.adaptive.parts import parts_of, places
from initlab.adaptive.walk import Met, way_of
from initlab.data import Batch
from initlab.draws import drawn as drawn_weights
from initlab.measures import NO_VARIATION, mean, normalized, power_of_two, product
from initlab.setting import Setting, bounded_number, whole_number

MOST_ROUNDS = 100


def _output(met: Met):
    """What a matrix makes as it was drawn, without a bias."""
    return product(met.scale * met.given, met.weight)


def _padded(values, units: int):
    return jnp.pad(values, (0, units - len(values)))


@functools.partial(jax.jit, static_argnames=("network", "units"))
def _normalize(network, drawn, knobs, depth, inputs, biases, units) -> dict:
    """Factor and bias of every unit, ``[P, U]``, by which its output has mean 0 and variance 1."""

    def visit(kept, met):
        u = _output(met)
        width = u.shape[1]
        near_1, exponent, _ = normalized(u)
        center = jnp.mean(near_1, axis=0)
        deviation = jnp.sqrt(jnp.mean((near_1 - center) ** 2, axis=0))
        moves = deviation > NO_VARIATION * jnp.max(jnp.abs(near_1), axis=0)
        own = power_of_two(-exponent) / jnp.where(moves, deviation, 1.0)
        factor = jnp.where(moves, own, 1.0)
        bias = jnp.where(moves, -center * power_of_two(exponent) * own, biases[met.index][:width])
        found = {
            "factor": _padded(factor, units),
            "bias": _padded(bias, units),
            "still": jnp.sum(~moves),
        }
        return factor * u + bias, {n: kept[n].at[met.index].set(v) for n, v in found.items()}

    shape = network.matrices, units
    kept = {
        "factor": jnp.ones(shape),
        "bias": jnp.zeros(shape),
        "still": jnp.zeros(network.matrices, jnp.int32),
    }
    return network.walk(drawn, knobs, depth, inputs, visit, kept)


@functools.partial(jax.jit, static_argnames=("network",))
def _rescale(network, drawn, knobs, depth, inputs, directions, now: dict, scale) -> dict:
    """Multiply each matrix by its number in ``scale``, ``[P]``, and measure the change rates.

    ``now`` has ``factor`` and ``bias``, ``[P, U]``, and ``given``, ``[P]``: the mean size of what
    each matrix read when they were found, or NaN. A bias grows with its matrix and with that size.
    """
    draws, scales = drawn

    def visit(kept, met):
        u = _output(met)
        index, width = met.index, u.shape[1]
        given = mean(jnp.abs(met.given))
        grown = given / now["given"][index]
        grown = jnp.where(jnp.isfinite(grown), grown, 1.0)
        factor = now["factor"][index] * scale[index]
        bias = now["bias"][index] * scale[index] * grown
        near_1, exponent, _ = normalized(met.given)
        columns = met.scale * factor[:width] * jnp.sqrt(jnp.sum(met.weight**2, axis=0))
        found = {
            "factor": factor,
            "bias": bias,
            "given": given,
            "norm": jnp.sqrt(jnp.sum(columns**2)),
            "squares": jnp.sum(near_1**2, axis=1),
            "exponent": exponent,
        }
        kept = kept | {name: kept[name].at[index].set(value) for name, value in found.items()}
        z = factor[:width] * u + bias[:width]
        if met.last:
            return z, kept | {"deviation": jnp.mean(jnp.std(z, axis=0))}
        return z, kept | {"z": kept["z"].at[index].set(z)}

    matrices, examples = network.matrices, len(inputs)
    numbers = jnp.zeros(matrices)
    kept = {
        "factor": jnp.zeros_like(now["factor"]),
        "bias": jnp.zeros_like(now["bias"]),
        "given": numbers,
        "norm": numbers,
        "squares": jnp.zeros((matrices, examples)),
        "exponent": jnp.zeros(matrices, jnp.int32),
        "z": jnp.zeros((matrices, examples, draws.first.shape[1])),
        "deviation": 0.0,
    }
    kept = network.walk(drawn, knobs, depth, inputs, visit, kept)

    def log_rate(index, delta, exponent):
        """Of the root mean square over examples of a gradient's norm, to that of the matrix."""
        squares = jnp.mean(kept["squares"][index] * jnp.sum(delta**2, axis=1))
        exponent = (exponent + kept["exponent"][index]) * math.log(2)
        return jnp.log(squares) / 2 + exponent - jnp.log(kept["norm"][index])

    def passed_on(index, delta, weight):
        columns = scales.weight[index] * kept["factor"][index, : weight.shape[1]]
        return product(columns * delta, weight.T)

    slopes = [entry.derivative for entry in network.activations]

    def backward(step, state):
        back, exponent, rates = state
        index = depth - 1 - step
        slope = lax.switch(knobs["activation"], slopes, kept["z"][index])
        delta, shift, _ = normalized(back * slope)
        rates = rates.at[index].set(log_rate(index, delta, exponent + shift))
        # from the first layer the way leads on to one that nobody looks at
        return passed_on(index, delta, draws.hidden[index - 1]), exponent + shift, rates

    delta, exponent, _ = normalized(directions)
    rates = jnp.full(matrices, jnp.nan).at[depth].set(log_rate(depth, delta, exponent))
    state = passed_on(depth, delta, draws.readout), exponent, rates
    _, _, rates = lax.fori_loop(0, depth, backward, state)
    shown = ("factor", "bias", "given", "norm", "deviation")
    return {name: kept[name] for name in shown} | {"rate": rates}


def data_dependent(
    setting: Setting,
    batch: Batch | None = None,
    *,
    tolerance: float = 0.01,
    most_rounds: int = 10,
) -> Adapted:
    r"""Kraehenbuehl's data-dependent start: units of variance 1, matrices that learn at one rate.

    First, in the order in which a signal meets them, every unit's weights are divided by the
    standard deviation of its output over the batch, and its bias makes the mean 0. Then matrices
    are rescaled against each other, until what gradients change of each is as much of its size:

    .. math:: C_k^2 = \frac{E\, |\partial \ell / \partial W_k|^2}{|W_k|^2}, \qquad
              W_k \leftarrow W_k \sqrt{C_k / C}, \qquad
              C = \sigma^{1/P} \prod_k C_k^{1/P}

    with :math:`\ell` each example's logits along a random normal direction, and :math:`\sigma` the
    standard deviation of a logit. A bias grows with its matrix, and with what that reads. Where
    scales pass through the activation, as in relu and linear networks, one round is exact and the
    output stays; elsewhere rounds go on until all :math:`C_k` are within ``tolerance`` of C.

    Taken from the paper's two algorithms, in the form of the authors' code (magic_init.py): normal
    weights, mean 0 of every output (their beta), the target C with the output's deviation. Left
    out: weights by principal components or clusters of the data. Squares are taken example by
    example, as the paper writes; the code squares a batch's sum, which is the same on average. Its
    directions are new in every round, these stay; it judges rounds by the ratio of logarithms; and
    it goes on where a round takes rates farther apart, as happens to deep saturating networks.

    Args:
      setting: the start, drawn by whatever initializer it names: for
        ``Setting(initializer="data_dependent")`` independent normal weights. A dense network's:
        others have no bias for every unit.
      batch: the examples; labels do not matter. By default the digits that ``probe`` takes.
      tolerance: on the natural logarithm of a rate.
      most_rounds: of rescaling at most, 1 to 100; 10 in the authors' code.

    Returns:
      An :class:`Adapted`, fitted in float32. Its first step normalizes all units, each further one
      is a round of rescaling; the objective is the largest distance of a rate's logarithm from
      the mean. Directions are ``numpy.random.default_rng(seed).standard_normal((B, K))``.

    Raises:
      TypeError: a setting of another kind, or no Batch.
      ValueError: a number out of range, with the nearest choice.

    Source: Kraehenbuehl, Doersch, Donahue & Darrell 2016, "Data-dependent Initializations of
    Convolutional Neural Networks" (arXiv 1511.06856), algorithms 1 and 2.

    >>> fitted = data_dependent(Setting(depth=3, width=32, activation="relu"))
    >>> fitted.steps, bool(fitted.objective[-1] < 1e-3)
    (2, True)
    """
    batch = checked("data_dependent", setting, batch, ("Setting",))
    tolerance = bounded_number("tolerance", tolerance, 10.0)
    most_rounds = whole_number("most_rounds", most_rounds, 1, MOST_ROUNDS)
    sizes = batch.inputs.shape[1], batch.classes
    start = drawn_weights(full_precision(setting), *sizes)
    count = len(start)
    way = way_of(setting, *sizes)
    normal = np.random.default_rng(setting.seed).standard_normal((len(batch), batch.classes))
    directions = normal.astype(np.float32)
    shape = way.network.matrices, max(setting.width, batch.classes)
    as_drawn = {
        "factor": np.ones(shape, np.float32),
        "bias": np.zeros(shape, np.float32),
        "given": np.full(shape[0], np.nan, np.float32),
    }
    for row, (_, bias) in zip(as_drawn["bias"], start, strict=False):
        row[: len(bias)] = bias

    def rescaled(now, log_scale):
        scale = np.ones(shape[0], np.float32)
        scale[:count] = np.exp(log_scale)
        now = {name: now[name] for name in as_drawn}
        return jax.device_get(_rescale(*way, batch.inputs, directions, now, scale))

    found = jax.device_get(_normalize(*way, batch.inputs, as_drawn["bias"], shape[1]))
    unmoved = np.zeros(count)
    stages = [rescaled(as_drawn, unmoved), rescaled(as_drawn | found, unmoved)]
    away = _away(stages[-1], count)
    stopped = f"{most_rounds} rounds left a rate {np.abs(away).max():.2g} from the common one"
    for _ in range(most_rounds):
        if not np.isfinite(away).all():
            stopped = "a matrix or its gradient is 0 or not finite, so that there are no rates"
            break
        if np.abs(away).max() < tolerance:
            break
        following = rescaled(stages[-1], away / 2)
        then = _away(following, count)
        if not np.abs(then).max() < np.abs(away).max():  # NaN is not, either
            stopped = "another round would take rates farther apart"
            break
        stages.append(following)
        away = then
        stopped = f"{most_rounds} rounds left a rate {np.abs(away).max():.2g} from the common one"
    if np.abs(away).max() < tolerance:
        stopped = f"all rates are within {tolerance:g} of the common one"
    still = int(found["still"][:count].sum())
    if still:
        stopped += f"; {still} units do not move over the batch, and were left as drawn"
    return _adapted(setting, batch, start, stages, stopped)


def _away(stage: dict, count: int) -> np.ndarray:
    """``[P]`` logarithms of all rates over the common one; not finite where there is no rate."""
    rate, deviation = stage["rate"][:count].astype(np.float64), stage["deviation"]
    if not (np.isfinite(rate).all() and 0 < deviation < np.inf):
        return np.full(count, np.nan)
    return rate - rate.mean() - np.log(deviation) / count


def _adapted(setting, batch, start, stages: list[dict], stopped: str) -> Adapted:
    count = len(start)

    def weights_at(step):
        rows = zip(start, stages[step]["factor"], stages[step]["bias"], strict=False)
        return [(w * f[: len(b)], row[: len(b)].copy()) for (w, b), f, row in rows]

    norms = np.array([stage["norm"][:count] for stage in stages], np.float64)
    rates = np.array([stage["rate"][:count] for stage in stages], np.float64)
    with np.errstate(invalid="ignore"):
        objective = np.abs(rates - rates.mean(axis=1, keepdims=True)).max(axis=1)
    return Adapted(
        setting=setting,
        method="data_dependent",
        weights=weights_at(len(stages) - 1),
        matrices=tuple(place.label for place in places(parts_of(start))),
        scale=np.where(norms[0] > 0, norms / np.where(norms[0] > 0, norms[0], 1.0), 1.0),
        objective=objective,
        aim="largest distance of ln(|gradient| / |W|) from its mean",
        stopped=stopped,
        stages=weights_at,
        batch=batch,
    )
