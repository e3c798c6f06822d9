"""The scales of He and of Glorot."""

import jax.numpy as jnp

from initlab.grading import CASES, Exercise, Mistake, against


def he_scale(fan_in, fan_out):
    """Standard deviation of the weights: relu halves the mean square, the 2 makes up for it."""
    return jnp.sqrt(2 / fan_in)


def glorot_scale(fan_in, fan_out):
    """Standard deviation of the weights that divides by the mean of both fans."""
    return jnp.sqrt(2 / (fan_in + fan_out))


def _fans(random):
    """Pairs of fans that differ by a fifth at least."""
    fan_in = random.integers(16, 2000, CASES)
    ratio = random.uniform(1.25, 4, CASES) ** random.choice([-1, 1], CASES)
    return [(int(n), max(2, int(n * r))) for n, r in zip(fan_in, ratio, strict=True)]


def _he_oracle(fan_in, fan_out):
    """fan_in · std² · E[relu(z)²] = 1, and that expectation is 1/2."""
    return (fan_in * 0.5) ** -0.5


def _glorot_oracle(fan_in, fan_out):
    """The harmonic mean of the variances that suit the way forward and the way back."""
    return (0.5 * fan_in + 0.5 * fan_out) ** -0.5


_VARIANCE = (
    "That is the variance of the weights. Asked for is their standard deviation, which"
    " multiplies a standard normal draw: take the square root."
)
_BOUND = (
    "That is the bound of the uniform law: a uniform number on [-b, b] has variance b²/3, hence"
    " the 6. Asked for is the standard deviation, where there is a 2."
)
_UPSIDE_DOWN = (
    "That is the inverse. The more inputs a neuron sums up, the smaller its weights have to be:"
    " the fan belongs below the line."
)
HE_SCALE = Exercise(
    name="he-scale",
    task="Return the standard deviation of the weights of a relu layer, by He's law.",
    solution=he_scale,
    cases=_fans,
    judge=against(_he_oracle),
    mistakes=(
        Mistake(lambda fan_in, fan_out: 2 / fan_in, _VARIANCE),
        Mistake(
            lambda fan_in, fan_out: (1 / fan_in) ** 0.5,
            "The 2 is missing. This is LeCun's scale, which keeps the mean square of a linear"
            " layer; relu sets half of it to zero, and the scale has to make up for that.",
        ),
        Mistake(
            lambda fan_in, fan_out: (2 / fan_out) ** 0.5,
            "You divided by fan_out. A preactivation is a sum over what comes in, of fan_in"
            " terms; fan_out counts the terms on the way back.",
        ),
        Mistake(
            lambda fan_in, fan_out: 2 / fan_in**0.5,
            "The 2 stands outside of the square root. The variance is 2 / fan_in, and the root"
            " is taken of all of it.",
        ),
        Mistake(
            lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
            "This is Glorot's scale, a compromise between both directions for activations that"
            " are about linear at 0. He's looks at fan_in alone.",
        ),
        Mistake(lambda fan_in, fan_out: (6 / fan_in) ** 0.5, _BOUND),
        Mistake(lambda fan_in, fan_out: (fan_in / 2) ** 0.5, _UPSIDE_DOWN),
    ),
)
GLOROT_SCALE = Exercise(
    name="glorot-scale",
    task="Return the standard deviation of the weights, by Glorot's law.",
    solution=glorot_scale,
    cases=_fans,
    judge=against(_glorot_oracle),
    mistakes=(
        Mistake(lambda fan_in, fan_out: 2 / (fan_in + fan_out), _VARIANCE),
        Mistake(
            lambda fan_in, fan_out: (1 / (fan_in + fan_out)) ** 0.5,
            "You divided by the sum of the fans. Glorot divides by their mean, which is half"
            " of the sum: a 2 belongs above the line.",
        ),
        Mistake(
            lambda fan_in, fan_out: (1 / fan_in) ** 0.5,
            "This is LeCun's scale: it looks at the way forward alone. Glorot's asks for a"
            " compromise with the way back, whose sums have fan_out terms.",
        ),
        Mistake(
            lambda fan_in, fan_out: (1 / fan_out) ** 0.5,
            "This looks at the way back alone. Glorot's is a compromise with the way forward,"
            " whose sums have fan_in terms.",
        ),
        Mistake(
            lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
            "This is He's scale, made for relu. Glorot's takes the activation for about linear"
            " and averages over both fans.",
        ),
        Mistake(
            lambda fan_in, fan_out: (fan_in * fan_out) ** -0.25,
            "That is the geometric mean of the fans. Glorot takes the arithmetic one,"
            " (fan_in + fan_out) / 2.",
        ),
        Mistake(lambda fan_in, fan_out: (6 / (fan_in + fan_out)) ** 0.5, _BOUND),
        Mistake(lambda fan_in, fan_out: ((fan_in + fan_out) / 2) ** 0.5, _UPSIDE_DOWN),
    ),
)
