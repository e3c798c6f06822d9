"""Neurons that are copies, and what makes them differ."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from initlab.grading import CASES, Exercise, Mistake


def break_symmetry(parameters, key):
    """The same weights, and in each layer a random bias for each neuron."""
    keys = jax.random.split(key, len(parameters))
    return [
        (weight, jax.random.normal(key, bias.shape))
        for key, (weight, bias) in zip(keys, parameters, strict=True)
    ]


def _constant_starts(random):
    """Tanh networks of two or three hidden layers, all weights equal, all biases 0."""
    cases = []
    for i in range(CASES):
        sizes = ((5, 6, 6, 4), (4, 5, 6, 5, 3))[i % 2]
        constant = random.uniform(0.1, 0.4)
        parameters = [
            (jnp.full(shape, constant), jnp.zeros(shape[1])) for shape in itertools.pairwise(sizes)
        ]
        cases.append((parameters, jax.random.key(int(random.integers(2**31)))))
    return cases


_SAME_WEIGHTS = (
    "The weights have changed. They may not: look for the other thing that each neuron owns, and"
    " that can differ between neurons."
)
_STILL_COPIES = (
    "Neurons of one layer are still copies of each other: they read the same inputs by the same"
    " weights, and so far they get the same bias. Give each neuron of the layer a bias of its own."
)
_LATER_COPIES = (
    "The first layer's neurons differ now, but in a later one they are still copies: each of them"
    " sums up the same inputs with the same weights. Every hidden layer needs biases that differ."
)
_FLAT = (
    "Each neuron has a bias of its own, yet some of a layer do the same: biases so large drive"
    " tanh to where it is flat. Draw them from a normal law of size 1."
)
_SHAPES = (
    "Return the same list of pairs (weight, bias), each array in the shape it had; for instance"
    " jax.random.normal(key, bias.shape) has the bias's."
)


def _judge_symmetry(arguments, answer) -> str:
    """Forward and backward pass in NumPy: are the neurons of each hidden layer told apart?"""
    before, _ = arguments
    try:
        after = [[np.asarray(part, float) for part in layer] for layer in answer]
    except (TypeError, ValueError):
        return _SHAPES
    shapes = [[part.shape for part in layer] for layer in after]
    if shapes != [[part.shape for part in layer] for layer in before]:
        return _SHAPES
    if not all(np.isfinite(bias).all() for _, bias in after):
        return "Some bias is not a finite number."
    if any((new != old).any() for (new, _), (old, _) in zip(after, before, strict=True)):
        return _SAME_WEIGHTS
    counts = _distinct_neurons(after)
    if all(found == width for found, width in counts):
        return ""
    if all(len(np.unique(bias)) == len(bias) for _, bias in after[:-1]):
        return _FLAT
    first, width = counts[0]
    return _STILL_COPIES if first < width else _LATER_COPIES


def _distinct_neurons(parameters) -> list[tuple[int, int]]:
    """For each hidden layer, how many neurons differ by activation and gradient, and its width."""
    random = np.random.default_rng(0)
    inputs = [random.standard_normal((16, len(parameters[0][0])))]
    for weight, bias in parameters:
        inputs.append(np.tanh(inputs[-1] @ weight + bias))
    delta = (inputs[-1] - random.standard_normal(inputs[-1].shape)) * (1 - inputs[-1] ** 2)
    counts = []
    for layer in reversed(range(len(parameters) - 1)):
        activation = inputs[layer + 1]
        delta = delta @ parameters[layer + 1][0].T * (1 - activation**2)
        gradient = inputs[layer].T @ delta
        found = min(_distinct_columns(activation), _distinct_columns(gradient))
        counts.insert(0, (found, activation.shape[1]))
    return counts


def _distinct_columns(matrix) -> int:
    scale = np.abs(matrix).max() or 1.0
    return len(np.unique(np.round(matrix / scale, 6), axis=1).T) if np.isfinite(scale) else 0


BREAK_SYMMETRY = Exercise(
    name="break-symmetry",
    task="Make the neurons of each hidden layer differ, without touching the weights.",
    solution=break_symmetry,
    cases=_constant_starts,
    judge=_judge_symmetry,
    mistakes=(
        Mistake(lambda parameters, key: parameters, _STILL_COPIES),
        Mistake(
            lambda parameters, key: [
                (weight, bias + jax.random.normal(key)) for weight, bias in parameters
            ],
            _STILL_COPIES,
        ),
        Mistake(
            lambda parameters, key: [
                (weight + jax.random.normal(key, weight.shape), bias) for weight, bias in parameters
            ],
            _SAME_WEIGHTS,
        ),
        Mistake(
            lambda parameters, key: [
                (parameters[0][0], jax.random.normal(key, parameters[0][1].shape)),
                *parameters[1:],
            ],
            _LATER_COPIES,
        ),
        Mistake(
            lambda parameters, key: [
                (weight, 1000 * jax.random.normal(key, bias.shape)) for weight, bias in parameters
            ],
            _FLAT,
        ),
        Mistake(
            lambda parameters, key: [
                (weight, jax.random.normal(key, weight.shape)) for weight, _ in parameters
            ],
            _SHAPES,
        ),
    ),
)
