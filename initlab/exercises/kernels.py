"""The scale of a convolution's kernel."""

import jax.numpy as jnp

from initlab.grading import CASES, Exercise, Mistake, against


def kernel_scale(size, channels_in, channels_out):
    """Standard deviation of the weights: He's law, whose fan_in counts every tap."""
    return jnp.sqrt(2 / (size * size * channels_in))


def _kernels(random):
    """Sides of 3, 5 or 7 taps, and channels that differ by a quarter at least."""
    channels = random.integers(8, 256, CASES)
    ratio = random.uniform(1.25, 4, CASES) ** random.choice([-1, 1], CASES)
    sizes = random.choice([3, 5, 7], CASES)
    return [
        (int(k), int(n), max(2, int(n * r))) for k, n, r in zip(sizes, channels, ratio, strict=True)
    ]


def _oracle(size, channels_in, channels_out):
    """One output is a sum of size · size · channels_in products, of which relu keeps half."""
    return (sum(0.5 * channels_in for _ in range(size * size))) ** -0.5


KERNEL_SCALE = Exercise(
    name="kernel-scale",
    task="Return the standard deviation of the weights of a square kernel, by He's law.",
    solution=kernel_scale,
    cases=_kernels,
    judge=against(_oracle),
    mistakes=(
        Mistake(
            lambda size, channels_in, channels_out: (2 / channels_in) ** 0.5,
            "You counted channels alone. One output is a sum over all taps of all channels: the"
            " fan_in is size · size · channels_in.",
        ),
        Mistake(
            lambda size, channels_in, channels_out: (2 / (size * channels_in)) ** 0.5,
            "The kernel is a square: it has size · size taps, not size.",
        ),
        Mistake(
            lambda size, channels_in, channels_out: (2 / (size * size * channels_out)) ** 0.5,
            "That is the fan_out, which counts the terms of a sum on the way back. He's scale for"
            " the way forward divides by fan_in.",
        ),
        Mistake(
            lambda size, channels_in, channels_out: 2 / (size * size * channels_in),
            "That is the variance of the weights. Asked for is their standard deviation: take the"
            " square root.",
        ),
        Mistake(
            lambda size, channels_in, channels_out: (1 / (size * size * channels_in)) ** 0.5,
            "The 2 is missing: relu sets half of the mean square to zero, and the scale has to make"
            " up for that.",
        ),
    ),
)
