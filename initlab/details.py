"""What is measured on demand only: a layer's neurons one against the other, and the Jacobian."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.activations import branches
from initlab.data import Batch
from initlab.draws import Draws, Scales, as_drawn, draws_for, empty_draws, scales_for
from initlab.measures import normalized, product
from initlab.network import affine, biases
from initlab.parameters import Pairs, Parameters
from initlab.setting import AnySetting, Setting
from initlab.starts import fitted

#: Eight roundings of float32, relative to a Jacobian's largest singular value.
LOST_TO_ROUNDING = 1e-6


@functools.partial(jax.jit, static_argnames=("activations", "dtype"))
def _follow(activations, dtype, draws: Draws, scales: Scales, depth, activation, inputs, example):
    """The last hidden layer's activations ``[B, n]``, and how they follow the input there.

    The second is ``d a / d x`` of one example, ``[features, n]``, times a power of two; its
    exponent is the third.
    """
    phi = functools.partial(lax.switch, activation, [entry.function for entry in activations])
    slope = functools.partial(lax.switch, activation, [entry.derivative for entry in activations])

    bias, _ = biases(draws, scales, depth)

    def layer(index, x, jacobian, exponent, weight):
        scale = scales.weight[index]
        z = affine(dtype, x, weight, scale, bias[index])
        jacobian = product(scale * jacobian, weight) * slope(z[example]).astype(jnp.float32)
        jacobian, shift, _ = normalized(jacobian)
        return phi(z), jacobian, exponent + shift

    state = layer(0, inputs.astype(dtype), jnp.eye(inputs.shape[1]), 0, draws.first)

    def further(index, state):
        x, jacobian, exponent = state
        return layer(index, x, jacobian, exponent, draws.hidden[index - 1])

    return lax.fori_loop(1, depth, further, state)


def follow(
    setting: Setting, batch: Batch, example: int = 0, weights: Pairs | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Last hidden activations ``[B, n]``, Jacobian ``[features, n]`` and its exponent, as NumPy.

    ``weights`` are by default the setting's own, as in all of these measures.
    """
    sizes = batch.inputs.shape[1], batch.classes
    weights = fitted(setting, batch) if weights is None else weights
    if weights is not None:
        return _run(setting, batch, *as_drawn(weights, *sizes), example)
    return _run(setting, batch, draws_for(setting, *sizes), scales_for(setting, *sizes), example)


@functools.singledispatch
def compile_details(setting: AnySetting, batch: Batch) -> None:
    """Compile what these measures take of a setting's width, without drawing its weights.

    Does nothing for a kind of network that has not registered how.
    """


@compile_details.register
def _compile_dense(setting: Setting, batch: Batch) -> None:
    features, shallow = batch.inputs.shape[1], setting.replace(depth=1)
    empty = empty_draws(features, setting.width, batch.classes)
    _run(shallow, batch, empty, scales_for(shallow, features, batch.classes), example=0)


def _run(setting: Setting, batch: Batch, draws: Draws, scales: Scales, example: int):
    activations, chosen = branches(setting.activation)
    return jax.device_get(
        _follow(
            activations,
            jnp.dtype(setting.dtype),
            draws,
            scales,
            np.int32(setting.depth),
            np.int32(chosen),
            batch.inputs,
            np.int32(example),
        )
    )


def can_measure(measure: Any, kind: type[AnySetting]) -> bool:
    """Whether a kind of network has registered its way to make one of the measures below."""
    return measure.dispatch(kind) is not measure.dispatch(AnySetting)


@functools.singledispatch
def jacobian_singular_values(
    setting: AnySetting, batch: Batch, example: int = 0, weights: Parameters | None = None
) -> np.ndarray:
    """Singular values of ``d a / d x`` at one example, largest first, ``[min(features, width)]``.

    ``a`` is the last hidden layer's activation and ``x`` the input. All equal to 1 is dynamical
    isometry (Saxe, McClelland & Ganguli 2014). Values under 1e-6 of the largest are NaN: float32
    has rounded them away. All are NaN after an overflow.

    Raises:
      TypeError: a kind of network that this is not measured of.
    """
    raise TypeError(f"there are no singular values of a {type(setting).__name__}")


@jacobian_singular_values.register
def _dense_singular_values(
    setting: Setting, batch: Batch, example: int = 0, weights=None
) -> np.ndarray:
    _, jacobian, exponent = follow(setting, batch, example, weights)
    return singular_values(jacobian, int(exponent))


def singular_values(jacobian: np.ndarray, exponent: int) -> np.ndarray:
    """Of ``jacobian * 2^exponent``, in float64, largest first; NaN where float32 has lost them."""
    if not np.isfinite(jacobian).all():
        return np.full(min(jacobian.shape), np.nan)
    values = np.linalg.svd(jacobian.astype(np.float64), compute_uv=False)
    values[values < LOST_TO_ROUNDING * values[0]] = np.nan
    return np.ldexp(values, int(exponent))


@functools.singledispatch
def neuron_correlation(
    setting: AnySetting, batch: Batch, weights: Parameters | None = None
) -> np.ndarray:
    """Correlation over the batch of every two neurons of the last hidden layer, ``[n, n]``.

    Neurons that never move are like each other, and unlike all that do. NaN after an overflow.

    Raises:
      TypeError: a kind of network that this is not measured of.
    """
    raise TypeError(f"there is no correlation of the neurons of a {type(setting).__name__}")


@neuron_correlation.register
def _dense_correlation(setting: Setting, batch: Batch, weights=None) -> np.ndarray:
    return correlation(follow(setting, batch, weights=weights)[0].astype(np.float64))


def correlation(activations: np.ndarray) -> np.ndarray:
    """Of the columns of ``[rows, units]``, in float64."""
    units = activations.shape[1]
    if not np.isfinite(activations).all():
        return np.full((units, units), np.nan)
    center = activations.mean(axis=0)
    moved = activations - center
    length = np.sqrt((moved**2).sum(axis=0))
    # what float32 rounds off a value that stays the same is no movement
    still = length <= 4 * np.finfo(np.float32).eps * np.abs(center) * np.sqrt(len(moved))
    moved = np.where(still, 0.0, moved / np.where(still, 1.0, length))
    return np.clip(moved.T @ moved, -1.0, 1.0) + np.outer(still, still)
