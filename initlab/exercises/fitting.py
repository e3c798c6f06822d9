"""Weights fitted to examples, and how much a step changes a gradient."""

import numpy as np

from initlab.grading import CASES, Exercise, Mistake, against


def unit_variance(weight, x):
    """LSUV's step: the weights over the standard deviation of what they make of x."""
    return weight / (x @ weight).std()


def gradient_quotient(gradient, product):
    """MetaInit's quotient without its epsilon: mean |(g - Hg) / g - 1|."""
    return np.abs((gradient - product) / gradient - 1).mean()


# --- LSUV's step -----------------------------------------------------------------------------


def _layers(random):
    """Inputs that are not standardized, and weights of some size."""
    cases = []
    for _ in range(CASES):
        fan_in, fan_out = random.integers(3, 12, 2)
        x = random.uniform(0.5, 3) * (random.standard_normal((20, fan_in)) + random.uniform(1, 3))
        cases.append((random.uniform(0.1, 4) * random.standard_normal((fan_in, fan_out)), x))
    return cases


def _unit_oracle(weight, x):
    """The mean square of all differences of two outputs is twice the variance."""
    z = np.ravel(x @ weight)
    variance = ((z[:, None] - z[None, :]) ** 2).mean() / 2
    return weight * variance**-0.5


UNIT_VARIANCE = Exercise(
    name="unit-variance",
    task="Return weight times a factor, such that x @ weight has variance 1.",
    solution=unit_variance,
    cases=_layers,
    judge=against(_unit_oracle),
    mistakes=(
        Mistake(
            lambda weight, x: weight / (x @ weight).var(),
            "You divided by the variance. A factor c multiplies the variance by its square: divide"
            " by the root of the variance.",
        ),
        Mistake(
            lambda weight, x: weight / np.sqrt(((x @ weight) ** 2).mean()),
            "That makes the mean square 1. These outputs have a mean that is not 0, and the"
            " variance is what is left without it.",
        ),
        Mistake(
            lambda weight, x: weight / (x @ weight).std(axis=0),
            "That is one factor for each unit, as in Kraehenbuehl's start. LSUV has one for the"
            " whole matrix, from all examples and units together.",
        ),
        Mistake(
            lambda weight, x: weight / weight.std(),
            "That is the spread of the weights. What has to have variance 1 is what they make of"
            " x.",
        ),
        Mistake(
            lambda weight, x: weight / x.std(),
            "That is the spread of what comes in. What comes out depends on the weights too: it is"
            " x @ weight.",
        ),
    ),
)


# --- MetaInit's quotient ---------------------------------------------------------------------


def _gradients(random):
    """Gradients of both signs, none near 0, and products with a Hessian."""
    cases = []
    for size in random.integers(3, 12, CASES):
        gradient = random.uniform(0.2, 2, size) * random.choice([-1, 1], size)
        cases.append((gradient, random.standard_normal(size)))
    return cases


def _quotient_oracle(gradient, product):
    """(g - Hg) / g - 1 is -Hg / g, number by number."""
    terms = [abs(float(change) / float(one)) for one, change in zip(gradient, product, strict=True)]
    return sum(terms) / len(terms)


GRADIENT_QUOTIENT = Exercise(
    name="gradient-quotient",
    task="Return the mean of |(g - Hg) / g - 1|.",
    solution=gradient_quotient,
    cases=_gradients,
    judge=against(_quotient_oracle),
    mistakes=(
        Mistake(
            lambda gradient, product: ((gradient - product) / gradient - 1).mean(),
            "The absolute value is missing: changes of both signs cancel.",
        ),
        Mistake(
            lambda gradient, product: np.abs((gradient - product) / gradient).mean(),
            "That compares with 0. A gradient that stays as it is has the ratio 1: subtract it.",
        ),
        Mistake(
            lambda gradient, product: np.abs(product).mean() / np.abs(gradient).mean(),
            "That is a ratio of means. Each parameter has a ratio of its own, and the mean comes"
            " last.",
        ),
        Mistake(
            lambda gradient, product: np.abs((gradient - product) / gradient - 1).sum(),
            "That is the sum. The quotient is divided by the number of parameters.",
        ),
    ),
)
