"""What is measured of a recurrent network on demand: its spectrum, and its Jacobian through time.

Shapes: n units, m numbers of memory (n; 2 n for an LSTM), F input features.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import details
from initlab.architectures.cells import CELLS, name_of
from initlab.architectures.draws import draws_for, scaled
from initlab.architectures.recurrent import Recurrent
from initlab.checking import short
from initlab.data import Batch
from initlab.initializers import INITIALIZERS
from initlab.measures import normalized

_SIZES = 64, 10  # of an input and an output, which recurrent matrices do not depend on


def spectrum(setting: Recurrent) -> np.ndarray:
    r"""Eigenvalues of the recurrent matrices: complex, ``[blocks, n]``, one row for each matrix.

    A linear network without input multiplies an eigenvector by ``eigenvalue^T`` in T steps: what
    lies inside the unit circle is forgotten, what lies outside explodes. Normal weights of standard
    deviation :math:`g/\sqrt n` fill the disk of radius g evenly (the circular law), while their
    largest singular value is near 2 g; an orthogonal matrix has all eigenvalues on a circle.

    Args:
      setting: a Recurrent. An LSTM has the blocks write, forget, output and candidate; a GRU
        update, reset and candidate; a simple cell a single one.

    Raises:
      TypeError: a setting of another kind.

    Sources: Ginibre 1965; Girko 1984 (circular law); Saxe, McClelland & Ganguli 2014.

    >>> circle = spectrum(Recurrent(width=64, gain=0.9))
    >>> circle.shape, bool(abs(abs(circle) - 0.9).max() < 1e-5)
    ((1, 64), True)
    """
    if not isinstance(setting, Recurrent):
        raise TypeError(
            f"spectrum takes a Recurrent, such as Recurrent(steps=100), not {short(setting)}"
        )
    drawn = Recurrent(
        width=setting.width,
        cell=setting.cell,
        recurrent_initializer=setting.recurrent_initializer,
        seed=setting.seed,
    )
    draw = INITIALIZERS[setting.recurrent_initializer].draw
    scales = setting.scales(*_SIZES).layers
    names = [name_of(block, "recurrent") for block in CELLS[setting.cell].blocks]
    return np.array([scales[name] for name in names])[:, None] * _eigenvalues_of_draws(drawn, draw)


@functools.lru_cache(maxsize=64)
def _eigenvalues_of_draws(setting: Recurrent, draw) -> np.ndarray:
    """Before any scale, ``[blocks, n]``. ``draw`` tells starts apart that went by one name."""
    draws = draws_for(setting, *_SIZES).layers
    names = [name_of(block, "recurrent") for block in CELLS[setting.cell].blocks]
    return np.linalg.eigvals(np.stack([np.asarray(draws[name], np.float64) for name in names]))


@functools.partial(jax.jit, static_argnames=("chain",))
def _follow(chain, draws: dict, scales: dict, knobs, depth, x):
    """``d memory_T / d memory_0 [m, m]`` for one example ``x [1, F]``, and its exponent of two."""
    weights, start = scaled(draws, scales), chain.silence(x)

    def follow(step, carry):
        memory, jacobian, exponent = carry
        memory, tangent = jax.linearize(
            lambda memory: chain.memory(
                knobs, chain.advance(weights, knobs, chain.read(x, step), memory)
            ),
            memory,
        )
        jacobian, shift, _ = normalized(jax.vmap(tangent)(jacobian[:, None])[:, 0])
        return memory, jacobian, exponent + shift

    carry = start, jnp.eye(start.shape[1]), jnp.int32(0)
    _, jacobian, exponent = lax.fori_loop(0, depth, follow, carry)
    return jacobian, exponent


@details.jacobian_singular_values.register
def _recurrent_singular_values(
    setting: Recurrent, batch: Batch, example: int = 0, weights=None
) -> np.ndarray:
    """Of ``d memory_T / d memory_0``, the product of all steps' Jacobians: ``[m]``."""
    sizes = batch.inputs.shape[1], batch.classes
    draws, scales = draws_for(setting, *sizes).layers, setting.scales(*sizes).layers
    if weights is not None:
        draws, scales = weights.layers, dict.fromkeys(weights.layers, np.float32(1))
    jacobian, exponent = _follow(
        setting.chain(*sizes),
        draws,
        scales,
        setting.knobs(),
        np.int32(setting.steps),
        batch.inputs[example][None],
    )
    return details.singular_values(np.asarray(jacobian), int(exponent))
