"""How long a gate keeps what it was told."""

import jax.numpy as jnp

from initlab.grading import CASES, Exercise, Mistake, against


def forget_bias(half_life):
    """The bias of a forget gate that halves its memory in so many steps: sigmoid(b)^T = 1/2."""
    kept = 0.5 ** (1 / half_life)
    return jnp.log(kept / (1 - kept))


def _half_lives(random):
    return [(int(steps),) for steps in random.integers(2, 200, CASES)]


def _oracle(half_life):
    """Bisection: what is left after the half-life falls short of a half, or does not."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        left = (1 + 2.718281828459045**-middle) ** -half_life
        low, high = (middle, high) if left < 0.5 else (low, middle)
    return low


FORGET_BIAS = Exercise(
    name="forget-bias",
    task="Return the bias b for which sigmoid(b)^half_life is a half.",
    solution=forget_bias,
    cases=_half_lives,
    judge=against(_oracle),
    mistakes=(
        Mistake(
            lambda half_life: 0.5 ** (1 / half_life),
            "That is the share which the gate has to keep in each step. Asked for is the bias:"
            " undo the sigmoid, ln(s / (1 - s)).",
        ),
        Mistake(
            lambda half_life: jnp.log(half_life),
            "ln(T) is a known rule of thumb, and near. It keeps (1 + 1/T)^(-T), which is 1/e"
            " and not a half, after T steps.",
        ),
        Mistake(
            lambda half_life: jnp.log(1 / 0.5 ** (1 / half_life) - 1),
            "The sign is turned: this gate forgets what it should keep. The sigmoid's inverse"
            " is ln(s / (1 - s)), positive where s is above a half.",
        ),
        Mistake(
            lambda half_life: jnp.log(0.5) / half_life,
            "That is the logarithm of what is kept in a step. A sigmoid is not an exponential:"
            " its inverse is ln(s / (1 - s)).",
        ),
        Mistake(
            lambda half_life: jnp.log((1 - 0.5 / half_life) / (0.5 / half_life)),
            "You let the gate lose 1/(2 T) a step, which adds up to a half. What is left is"
            " multiplied in each step: take the T-th root of a half.",
        ),
    ),
)
