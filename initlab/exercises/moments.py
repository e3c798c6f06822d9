"""What a layer does to a mean square, and the gain that keeps it."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.grading import CASES, Exercise, Mistake, against

_NAMES = ("relu", "tanh", "sigmoid", "selu", "gelu")
_SAMPLES = 200_000  # a mean square then scatters by about 0.5%, and its root by half of that


def variance_map(q, activation, weight_variance):
    """Second moment of the next preactivation, where the present one is normal with moment q."""
    z = jax.random.normal(jax.random.key(0), (200_000,))
    return weight_variance * jnp.mean(activation(jnp.sqrt(q) * z) ** 2)


def critical_gain(activation):
    """The gain that keeps a preactivation's second moment at 1."""
    z = jax.random.normal(jax.random.key(0), (200_000,))
    return 1 / jnp.sqrt(jnp.mean(activation(z) ** 2))


def _stretched(name: str, height: float, slope: float):
    """An activation that no table lists: ``height * phi(slope * z)``."""
    phi = ACTIVATIONS[name].function

    def activation(z):
        return height * phi(slope * z)

    activation.__name__ = f"{height:.3g} * {name}({slope:.3g} * z)"
    return activation


def _activations(random):
    """Every activation in turn, stretched at random."""
    sizes = random.uniform(0.6, 1.6, (CASES, 2))
    return [
        _stretched(_NAMES[i % len(_NAMES)], float(height), float(slope))
        for i, (height, slope) in enumerate(sizes)
    ]


def _map_cases(random):
    q, weight_variance = np.exp(random.uniform(-1.5, 1.5, (2, CASES)))
    return [
        (float(q[i]), activation, float(weight_variance[i]))
        for i, activation in enumerate(_activations(random))
    ]


def _second_moment(activation, q=1.0) -> float:
    """``E[activation(sqrt(q) z)^2]`` by the trapezoidal rule, where solutions draw samples."""
    z = np.linspace(-9, 9, 20_001)
    weight = np.exp(-(z**2) / 2)
    values = np.asarray(activation(jnp.asarray(np.sqrt(q) * z, jnp.float32)), float)
    return float(values**2 @ weight / weight.sum())


def _map_oracle(q, activation, weight_variance):
    return weight_variance * _second_moment(activation, q)


def _gain_oracle(activation):
    return _second_moment(activation) ** -0.5


@functools.cache
def _normal():
    return jax.random.normal(jax.random.key(1), (_SAMPLES,))


def _slope(activation, z):
    return jax.jvp(activation, (z,), (jnp.ones_like(z),))[1]


_CENTRED = (
    "You took the variance, which subtracts the mean. What the next layer sums up are the squares"
    " themselves: the mean of phi², not its scatter around the mean of phi."
)
_SCATTER = "That is close: with more samples the mean scatters less; a million are quick."
# What an answer makes of each of the map's three parts, and what to say to it; "" is right.
_SCALINGS = {
    "": lambda q: q**0.5,
    "The q that came in is not used: the preactivation has second moment q, so it is sqrt(q)"
    " times a standard normal number.": lambda q: 1.0,
    "You multiplied z by q. A normal number with second moment q is sqrt(q) times a standard"
    " normal one.": lambda q: q,
}
_MEANS = {
    "": lambda a: (a**2).mean(),
    _CENTRED: lambda a: a.var(),
    "You squared the mean. Square every activation first, and take the mean then.": (
        lambda a: a.mean() ** 2
    ),
}
_FACTORS = {
    "": lambda weight_variance: weight_variance,
    "The next preactivations sum the activations up with random weights: weight_variance is still"
    " to be multiplied.": lambda weight_variance: 1.0,
    "You squared weight_variance. It is a variance already: the square of a weight's standard"
    " deviation, times fan_in.": lambda weight_variance: weight_variance**2,
}


def _map_mistakes():
    """Every way to get one part of the map wrong, or two, or all three."""
    for parts in itertools.product(_SCALINGS, _MEANS, _FACTORS):
        scaling, moment, factor = (
            kinds[part] for kinds, part in zip((_SCALINGS, _MEANS, _FACTORS), parts, strict=True)
        )

        def answer(q, activation, weight_variance, s=scaling, m=moment, f=factor):
            return f(weight_variance) * m(activation(s(q) * _normal()))

        slips = [part for part in parts if part]
        if slips:
            yield Mistake(answer, " And: ".join(slips))


VARIANCE_MAP = Exercise(
    name="variance-map",
    task="Return the second moment of the next layer's preactivations, within 3%.",
    solution=variance_map,
    cases=_map_cases,
    judge=against(_map_oracle, 0.03, _SCATTER),
    tolerance=0.03,
    mistakes=(
        *_map_mistakes(),
        Mistake(
            lambda q, activation, weight_variance: weight_variance * q,
            "That is the map of a linear layer. The activation changes the mean square before"
            " the weights do.",
        ),
    ),
)
CRITICAL_GAIN = Exercise(
    name="critical-gain",
    task="Return the gain that keeps the preactivations' second moment at 1, within 1%.",
    solution=critical_gain,
    cases=lambda random: [(activation,) for activation in _activations(random)],
    judge=against(_gain_oracle, 0.01, _SCATTER),
    tolerance=0.01,
    mistakes=(
        Mistake(
            lambda activation: 1 / (activation(_normal()) ** 2).mean(),
            "The square root is missing. A gain multiplies weights, so it acts on a mean square"
            " as its own square.",
        ),
        Mistake(
            lambda activation: (activation(_normal()) ** 2).mean() ** 0.5,
            "That is the inverse: what the activation leaves of the size. The gain has to make"
            " up for it, so divide 1 by it.",
        ),
        Mistake(
            lambda activation: (activation(_normal()) ** 2).mean(),
            "That is the mean square that the activation leaves. Find the gain g for which"
            " g² times it is 1.",
        ),
        Mistake(lambda activation: 1 / activation(_normal()).std(), _CENTRED),
        Mistake(
            lambda activation: (_slope(activation, _normal()) ** 2).mean() ** -0.5,
            "You used the slope: this gain keeps the gradient on its way back. The second"
            " moment of the signal asks for the activation itself.",
        ),
        Mistake(
            lambda activation: 1 / abs(activation(_normal())).mean(),
            "You took the mean of the size |phi|. What adds up over a sum of independent terms"
            " are squares: take the mean of phi², and the root at the end.",
        ),
    ),
)
