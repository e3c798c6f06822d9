"""The way back, and numbers that become too large on the way forward."""

import jax
import jax.numpy as jnp
import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.grading import CASES, Exercise, Mistake, against


def gradient_ratio(chi, depth):
    """The gradient's second moment in the first hidden layer, over that in the last."""
    return chi ** (depth - 1)


def backward(delta_next, weight_next, z, derivative):
    """The gradient by a layer's preactivations z, from that by the next layer's."""
    return delta_next @ weight_next.T * derivative(z)


def _ratio_cases(random):
    chi = random.uniform(1.1, 1.4, CASES) ** random.choice([-1, 1], CASES)
    return [(float(x), int(n)) for x, n in zip(chi, random.integers(4, 90, CASES), strict=True)]


def _ratio_oracle(chi, depth):
    """Step by step, as the backward pass goes."""
    moment = 1.0
    for _ in range(depth, 1, -1):
        moment *= chi
    return moment


GRADIENT_RATIO = Exercise(
    name="gradient-ratio",
    task="Return the gradient's second moment in the first hidden layer over that in the last.",
    solution=gradient_ratio,
    cases=_ratio_cases,
    judge=against(_ratio_oracle),
    mistakes=(
        Mistake(
            lambda chi, depth: chi**depth,
            "One factor too many. Between the first and the last of depth layers there are"
            " depth - 1 steps, as between the posts of a fence.",
        ),
        Mistake(
            lambda chi, depth: chi * (depth - 1),
            "You added where layers multiply. Each step takes the factor chi of what the step"
            " before has left: it is a power.",
        ),
        Mistake(
            lambda chi, depth: chi ** (2 * (depth - 1)),
            "You squared once too often. The factor chi belongs to the second moment, which is"
            " a square already.",
        ),
        Mistake(
            lambda chi, depth: chi ** ((depth - 1) / 2),
            "That is the ratio of sizes, the root of what is asked for: chi belongs to the"
            " second moment.",
        ),
        Mistake(
            lambda chi, depth: chi ** (1 - depth),
            "That is the last layer over the first. Gradients come from the last layer: the"
            " first has taken all the factors.",
        ),
    ),
)


def _backward_cases(random):
    names = ("tanh", "sigmoid", "gelu", "relu")
    cases = []
    for i in range(CASES):
        # in a square one, the shapes do not show that a transposition was forgotten
        batch, units, units_next = ((6, 3, 5), (4, 5, 5))[i % 2]
        shapes = (batch, units_next), (units, units_next), (batch, units)
        arrays = [jnp.asarray(random.standard_normal(shape), jnp.float32) for shape in shapes]
        cases.append((*arrays, _Derivative(names[i % len(names)])))
    return cases


class _Derivative:
    """An activation's derivative, which knows what it is the derivative of."""

    def __init__(self, name: str):
        self._entry = ACTIVATIONS[name]
        self.phi, self.__name__ = self._entry.function, f"the derivative of {name}"

    def __call__(self, z):
        return self._entry.derivative(z)


def _backward_oracle(delta_next, weight_next, z, derivative):
    """JAX's own backward pass through the two lines of the forward pass."""

    def forward(z):
        return jnp.matmul(derivative.phi(z), weight_next, precision="highest")

    _, pull_back = jax.vjp(forward, z)
    return pull_back(delta_next)[0]


BACKWARD = Exercise(
    name="backward",
    task="Return the gradient by z [batch, units], from that by the next preactivations.",
    solution=backward,
    cases=_backward_cases,
    judge=against(_backward_oracle, 0.01),  # where matrix products are rounded to bfloat16
    tolerance=0.01,
    mistakes=(
        Mistake(
            lambda delta_next, weight_next, z, derivative: delta_next @ weight_next * derivative(z),
            "The weights have to be transposed. Forward, column j of weight_next collects all"
            " that neuron j sums up; on the way back, row i collects all whom neuron i feeds.",
        ),
        Mistake(
            lambda delta_next, weight_next, z, derivative: delta_next @ weight_next.T,
            "This is the gradient by the activation. One step further, to z, the chain rule"
            " multiplies each entry by the activation's slope there.",
        ),
        Mistake(
            lambda delta_next, weight_next, z, derivative: (
                delta_next @ weight_next.T * derivative.phi(z)
            ),
            "You multiplied by the activation. The chain rule asks for its derivative at z.",
        ),
        Mistake(
            lambda delta_next, weight_next, z, derivative: derivative(delta_next @ weight_next.T),
            "You took the slope at the gradient. The slope is that of the forward pass, at z,"
            " and it multiplies what comes back.",
        ),
        Mistake(
            lambda delta_next, weight_next, z, derivative: (
                -(delta_next @ weight_next.T) * derivative(z)
            ),
            "The sign is turned. The minus of gradient descent belongs to the update, not to"
            " the gradient.",
        ),
        Mistake(
            lambda delta_next, weight_next, z, derivative: (
                delta_next @ weight_next.T * derivative(z) / len(z)
            ),
            "You divided by the batch. The mean over examples belongs to the loss: it is in"
            " delta_next already, where it is taken.",
        ),
    ),
)


def overflow_depth(factor, size):
    """The first layer whose values pass float32, if each is ``factor`` times the one before."""
    largest = jnp.finfo(jnp.float32).max
    return int(jnp.log(largest / size) / jnp.log(factor)) + 1


def _overflow_cases(random):
    """Factors for which the values do not overflow by a hair."""
    cases = []
    while len(cases) < CASES:
        factor, size = float(random.uniform(1.3, 9)), float(10 ** random.uniform(1, 4))
        if 0.05 < _steps(factor, size) % 1 < 0.95:
            cases.append((factor, size))
    return cases


def _overflow_oracle(factor, size):
    """Layer by layer in float32, until a value is not finite."""
    layer, value = 0, np.float32(size)
    with np.errstate(over="ignore"):
        while np.isfinite(value):
            layer, value = layer + 1, value * np.float32(factor)
    return layer


def _steps(factor, size, dtype: type[np.floating] = np.float32):
    """How many factors fit between the input and the largest number of a dtype."""
    return np.log(float(np.finfo(dtype).max) / size) / np.log(factor)


OVERFLOW_DEPTH = Exercise(
    name="overflow-depth",
    task="Return the number of the first layer whose values float32 cannot hold.",
    solution=overflow_depth,
    cases=_overflow_cases,
    judge=against(_overflow_oracle, 1e-6),
    tolerance=1e-6,
    mistakes=(
        Mistake(
            lambda factor, size: int(_steps(factor, size)),
            "That is the last layer that is still finite. Asked for is the first that is not.",
        ),
        Mistake(
            lambda factor, size: int(_steps(factor, size)) + 2,
            "One layer too late. The input is layer 0, of the given size; layer 1 is factor"
            " times as large.",
        ),
        Mistake(
            lambda factor, size: int(_steps(factor, size, np.float64)) + 1,
            "That is where float64 ends. Python's own numbers are float64: ask"
            " jnp.finfo(jnp.float32).max for the largest of float32, or make the numbers"
            " jnp.float32.",
        ),
        Mistake(
            lambda factor, size: int(_steps(factor, size, np.float16)) + 1,
            "That is where float16 ends, at 65504. float32 reaches to 3.4e38.",
        ),
        Mistake(
            lambda factor, size: int(_steps(factor, 1.0)) + 1,
            "You took an input of size 1; its size is given. It sets how much room there is.",
        ),
        Mistake(
            lambda factor, size: int(_steps(factor, 1.0)),
            "You took an input of size 1; its size is given. And: that is the last layer that is"
            " still finite. Asked for is the first that is not.",
        ),
        Mistake(
            lambda factor, size: int(_steps(factor, size) / 2) + 1,
            "That is where the squares overflow: at half of the depth, since the factor is"
            " squared too. Asked for are the values themselves.",
        ),
        Mistake(
            lambda factor, size: int(np.log(np.finfo(np.float32).max / size)) + 1,
            "The logarithm of the factor is missing. It counts how many factors fit:"
            " log(room) / log(factor).",
        ),
        Mistake(
            _steps,
            "A layer's number is whole: this is how many factors fit, and the first layer"
            " that overflows is the next whole number.",
        ),
    ),
)
