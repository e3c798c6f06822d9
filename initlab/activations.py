"""The catalogue of activations: name -> function; everything else about one is computed from it.

To add one to every slider, table, plot, theory curve and test, add an entry to ``ACTIVATIONS``,
or call :func:`initlab.register_activation` in a notebook.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from initlab.catalogue import Catalogue
from initlab.quadrature import double_precision, gaussian_mean

FLAT_SHARE = 0.01  # "flat" is where the slope is under this share of its largest value
_SCAN = np.arange(-30_000, 30_001) / 1000  # where flat tails are looked for


@dataclasses.dataclass(frozen=True)
class Activation:
    """An elementwise nonlinearity ``a = phi(z)`` and what follows from it.

    Two activations are equal when name and function are, so a compiled program that was built
    for one is never used for another.
    """

    name: str
    #: elementwise
    function: Callable[[jax.Array], jax.Array] = dataclasses.field(repr=False)
    law: str = dataclasses.field(default="", compare=False)  # LaTeX, without dollar signs
    when: str = dataclasses.field(default="", compare=False)
    source: str = dataclasses.field(default="", compare=False)

    def derivative(self, z: jax.Array | np.ndarray) -> jax.Array:
        """``phi'(z)``, elementwise, as JAX's own differentiation gives it."""
        return self.with_derivative(z)[1]

    def with_derivative(self, z: jax.Array | np.ndarray) -> tuple[jax.Array, jax.Array]:
        """``(phi(z), phi'(z))``, elementwise, in one go."""
        return jax.jvp(self.function, (z,), (jnp.ones_like(z),))

    @functools.cached_property
    def mean(self) -> float:
        """``E[phi(z)]`` for standard normal z."""
        return gaussian_mean(self.function)

    @functools.cached_property
    def second_moment(self) -> float:
        """``E[phi(z)^2]`` for standard normal z."""
        return gaussian_mean(lambda z: self.function(z) ** 2)

    @functools.cached_property
    def slope_second_moment(self) -> float:
        """``E[phi'(z)^2]`` for standard normal z: what a backward step multiplies by."""
        return gaussian_mean(lambda z: self.derivative(z) ** 2)

    @functools.cached_property
    def critical_gain(self) -> float:
        """The gain that keeps a preactivation's second moment at 1: ``1/sqrt(E[phi(z)^2])``.

        >>> round(ACTIVATIONS["tanh"].critical_gain, 4)  # not 5/3
        1.5925
        """
        return self.second_moment**-0.5

    @functools.cached_property
    def zero_at_zero(self) -> bool:
        """Whether ``phi(0) = 0``: then zero weights and biases pass nothing on at all."""
        return float(self.function(jnp.float32(0.0))) == 0.0

    @functools.cached_property
    def flat_range(self) -> tuple[float, float]:
        """``(below, above)``: the slope is under ``FLAT_SHARE`` of its largest value at z <= below
        and at z >= above; -inf or inf where that tail is not flat.

        >>> ACTIVATIONS["tanh"].flat_range, ACTIVATIONS["relu"].flat_range
        ((-2.994, 2.994), (0.0, inf))
        """
        with double_precision():
            slope = np.abs(np.asarray(jax.jit(self.derivative)(_SCAN)))
        steep = np.flatnonzero(slope >= FLAT_SHARE * slope.max())
        below = _SCAN[steep[0] - 1] if steep[0] > 0 else -np.inf
        above = _SCAN[steep[-1] + 1] if steep[-1] + 1 < len(_SCAN) else np.inf
        return float(below), float(above)


def _leaky_relu(z):
    return jax.nn.leaky_relu(z, negative_slope=0.01)


def _gelu(z):
    return jax.nn.gelu(z, approximate=False)


ACTIVATIONS: Catalogue[Activation] = Catalogue("activation")
for _entry in (
    Activation(
        "linear",
        lambda z: z,
        r"\phi(z) = z",
        "to see what the weights do by themselves: every product stays exact",
        "Saxe, McClelland & Ganguli 2014",
    ),
    Activation(
        "relu",
        jax.nn.relu,
        r"\phi(z) = \max(z, 0)",
        "the default of deep networks; its slope at 0 is taken as 0",
        "Nair & Hinton 2010",
    ),
    Activation(
        "leaky_relu",
        _leaky_relu,
        r"\phi(z) = \max(z, 0.01\,z)",
        "where relu units die: a slope of 0.01 lets them come back",
        "Maas, Hannun & Ng 2013",
    ),
    Activation(
        "tanh",
        jnp.tanh,
        r"\phi(z) = \tanh z",
        "bounded and odd; keeps layers centred, saturates beyond |z| = 2",
        "LeCun et al. 1998",
    ),
    Activation(
        "sigmoid",
        jax.nn.sigmoid,
        r"\phi(z) = 1/(1 + e^{-z})",
        "gates and probabilities; slope at most 1/4, and never centred",
        "Rumelhart, Hinton & Williams 1986",
    ),
    Activation(
        "gelu",
        _gelu,
        r"\phi(z) = z\,\Phi(z)",
        "transformers; the exact form, by erf",
        "Hendrycks & Gimpel 2016",
    ),
    Activation(
        "silu",
        jax.nn.silu,
        r"\phi(z) = z/(1 + e^{-z})",
        "a smooth relu, also called swish",
        "Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017",
    ),
    Activation(
        "selu",
        jax.nn.selu,
        r"\phi(z) = \lambda z \text{ if } z > 0,\ \lambda\alpha(e^z - 1) \text{ otherwise}",
        "with LeCun's scale it pulls every layer to mean 0 and variance 1",
        "Klambauer et al. 2017",
    ),
    Activation(
        "elu",
        jax.nn.elu,
        r"\phi(z) = z \text{ if } z > 0,\ e^z - 1 \text{ otherwise}",
        "a relu whose negative side brings the mean nearer to 0",
        "Clevert, Unterthiner & Hochreiter 2016",
    ),
):
    ACTIVATIONS.add(_entry)
_OWN = tuple(ACTIVATIONS.values())


def branches(name: str) -> tuple[tuple[Activation, ...], int]:
    """The activations that are compiled into one program with this one, and its place among them.

    The catalogue's own share one. One that a reader registered gets its own: that way it costs
    nobody else a compilation, and an error in it stays with it.
    """
    chosen = ACTIVATIONS[name]
    return (_OWN, _OWN.index(chosen)) if chosen in _OWN else ((chosen,), 0)
