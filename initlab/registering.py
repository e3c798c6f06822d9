"""Adding one's own activation or initializer to every slider, table, plot and theory curve.

A function is tried out when it is registered, so that a mistake shows there, as the call that
went wrong, and not as a curve that nobody can explain.
"""

import math
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.activations import ACTIVATIONS, Activation
from initlab.catalogue import Catalogue
from initlab.checking import short
from initlab.initializers import INITIALIZERS
from initlab.laws import Initializer
from initlab.setting import is_number

_REACH = 5.0  # activations are tried on [-5, 5]
_SHAPES = ((64, 16), (16, 16), (16, 10))  # of the weights that initializers are tried on
_KEYS = 16  # draws that a given variance is checked on
_ERRORS = 5  # standard errors by which a right variance may miss; by chance one in a million does
_LONGEST_NAME = 64
_ROUNDING = 1e-5  # relative, of float32 sums; a function of one entry may differ by so much


def register_activation(
    name: str, function: Callable, law: str = "", when: str = "", source: str = ""
) -> Activation:
    r"""Add an activation to the catalogue; all else about it is computed from the function.

    Args:
      name: letters, digits and underscores; not taken yet.
      function: elementwise, one JAX array to another of the same shape; differentiable.
      law: the formula in LaTeX.
      when: one line on when to use it.
      source: who proposed it.

    Returns:
      The catalogue's entry, with ``critical_gain``, ``flat_range`` and the moments.

    Raises:
      TypeError: an argument of the wrong type.
      ValueError: a name that is taken, or a function that fails its trial on [-5, 5]; the message
        shows the call that failed.

    >>> entry = register_activation("softsign", jax.nn.soft_sign, r"\phi(z) = z/(1 + |z|)")
    >>> round(entry.critical_gain, 2)
    2.34
    >>> ACTIVATIONS.remove("softsign")
    """
    _check_arguments(ACTIVATIONS, name, function, law, when, source)
    trial = _Trial(f"register_activation({name!r}, f): ")
    grid = np.linspace(-_REACH, _REACH, 105, dtype=np.float32)
    grid[52] = 0.0  # where many a formula divides by zero

    def compiled(z):
        return jax.jit(lambda z: function(z))(z)  # jit itself does not take every callable

    some = np.linspace(-_REACH, _REACH, 7, dtype=np.float32)
    trial.array(function, (jnp.asarray(some),), "f(array of shape (7,))", (7,))
    values = trial.array(
        compiled, (grid.reshape(21, 5),), "jax.jit(f)(array of shape (21, 5))", (21, 5)
    )
    trial.finite(values.ravel(), grid, "f({}) returned {}")
    alone = trial.array(compiled, (grid[:1],), "f(array of shape (1,))", (1,))
    if abs(alone[0] - values[0, 0]) > _ROUNDING * (1 + abs(alone[0])):
        trial.fail(
            f"f is not elementwise: for the entry {grid[0]:g} it returned {alone[0]:g} when called"
            f" with that alone, but {values[0, 0]:g} among {grid.size} others"
        )

    def phi(z):
        z = jnp.asarray(z)
        return lax.convert_element_type(function(z), z.dtype)  # in every precision

    entry = Activation(name, phi, law.strip("$ "), when, source)
    slopes = trial.array(
        jax.jit(entry.derivative), (grid,), "jax.jvp(f, array of shape (105,))", (105,)
    )
    trial.finite(slopes, grid, "the derivative of f at {} is {}")
    ACTIVATIONS.add(entry)
    return entry


def register_initializer(
    name: str,
    function: Callable,
    law: str = "",
    when: str = "",
    source: str = "",
    variance: Callable[[int, int], float] | None = None,
) -> Initializer:
    r"""Add an initializer to the catalogue.

    Args:
      name: letters, digits and underscores; not taken yet.
      function: ``function(key, shape, dtype) -> array``, as all of ``jax.nn.initializers``;
        ``shape`` is ``(fan_in, fan_out)``.
      law: the formula in LaTeX.
      when: one line on when to use it.
      source: who proposed it.
      variance: ``variance(fan_in, fan_out) -> float``, if the entries are independent with mean 0
        and this variance: theory then predicts the start. Without it theory is silent.

    Returns:
      The catalogue's entry.

    Raises:
      TypeError: an argument of the wrong type.
      ValueError: a name that is taken, a function that fails its trial on weights of several
        shapes, or a variance that is not that of its draws; the message shows the call that failed.

    >>> entry = register_initializer(
    ...     "signs",
    ...     lambda key, shape, dtype: jax.random.rademacher(key, shape, dtype) / shape[0] ** 0.5,
    ...     law=r"W_{ij} = \pm 1/\sqrt{\mathrm{fan\_in}}",
    ...     variance=lambda fan_in, fan_out: 1 / fan_in,
    ... )
    >>> entry.ensemble
    'independent'
    >>> INITIALIZERS.remove("signs")
    """
    _check_arguments(INITIALIZERS, name, function, law, when, source)
    if variance is not None and not callable(variance):
        raise TypeError(f"variance must be a function of fan_in and fan_out, not {short(variance)}")
    trial = _Trial(f"register_initializer({name!r}, f): ")
    key, shape = jax.random.key(0), _SHAPES[0]
    shown = f"f(key, {shape}, float32)"
    first, again = (
        trial.array(function, (key, shape, jnp.float32), shown, shape) for _ in range(2)
    )
    if not np.array_equal(first, again, equal_nan=True):
        trial.fail(f"{shown} returned other numbers when it was called again with the same key")
    for shape in _SHAPES:
        shown = f"jax.jit of f(key, {shape}, float32)"
        compiled = jax.jit(lambda key, shape=shape: function(key, shape, jnp.float32))
        weight = trial.array(compiled, (key,), shown, shape)
        if not np.isfinite(weight).all():
            trial.fail(f"{shown} returned {weight[~np.isfinite(weight)][0]}")
        if variance is not None:
            _check_variance(trial, compiled, shape, variance)

    def deviation(fan_in, fan_out):
        if variance is None:
            return 1.0
        return math.sqrt(_positive(trial, variance, (fan_in, fan_out)))

    def draw(key, shape):
        weight = jnp.asarray(function(key, shape, jnp.float32), jnp.float32)
        if weight.shape != tuple(shape):
            trial.fail(f"f(key, {shape}, float32) returned shape {weight.shape}")
        return weight / deviation(*shape)

    entry = Initializer(
        name,
        draw,
        lambda fan: deviation(fan.fan_in, fan.fan_out),
        law.strip("$ "),
        when,
        source,
        ensemble="patterned" if variance is None else "independent",
    )
    INITIALIZERS.add(entry)
    return entry


def _check_arguments(catalogue: Catalogue[Any], name, function, law, when, source) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name must be a string such as 'mine', not {short(name)}")
    if not name.isidentifier() or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"the name must be letters, digits and underscores, {_LONGEST_NAME} at most, not"
            f" {short(name)}"
        )
    if name in catalogue:
        raise ValueError(f"{catalogue.kind} {name!r} is registered already; choose another name")
    if not callable(function):
        raise TypeError(f"{catalogue.kind} {name!r} must be a function, not {short(function)}")
    for label, text in (("law", law), ("when", when), ("source", source)):
        if not isinstance(text, str):
            raise TypeError(f"{label} must be a string, not {short(text)}")


def _check_variance(trial: "_Trial", compiled, shape, variance) -> None:
    """Hold the given variance, and the mean 0, against ``_KEYS`` draws."""
    shown, expected = f"variance{shape}", _positive(trial, variance, shape)
    keys = jax.random.split(jax.random.key(0), _KEYS)
    weight = np.concatenate([np.ravel(compiled(key)) for key in keys]).astype(np.float64)
    for values, law, measured in (
        (weight, 0.0, "the mean"),
        (weight**2, float(expected), "the mean square"),
    ):
        room = _ERRORS * values.std() / math.sqrt(values.size)
        room += _ROUNDING * expected ** (0.5 if law == 0 else 1)
        if abs(values.mean() - law) > room:
            trial.fail(
                f"{shown} returned {expected:g}, so {measured} of f(key, {shape}, float32) should"
                f" be {law:g}, but over {_KEYS} keys it is {values.mean():.4g}"
            )


def _positive(trial: "_Trial", variance, shape) -> float:
    """What ``variance`` says of a shape, which may be one that it was not tried on."""
    try:
        expected = variance(*shape)
    except Exception as error:
        trial.fail(f"variance{shape} raised {type(error).__name__}: {error}", error)
    if not is_number(expected) or not 0 < expected < math.inf:
        trial.fail(f"variance{shape} returned {short(expected)}, not a positive finite number")
    return float(expected)


class _Trial:
    """Calls of a function being registered; a failure is a ValueError that shows the call."""

    def __init__(self, prefix: str):
        self._prefix = prefix

    def fail(self, what: str, cause: BaseException | None = None) -> NoReturn:
        """Raise."""
        raise ValueError(self._prefix + what) from cause

    def array(self, function, arguments, shown: str, shape) -> np.ndarray:
        """Call, and return the result in float64 if it is a real array of the right shape."""
        try:
            result = function(*arguments)
        except Exception as error:
            first_line = str(error).strip().partition("\n")[0]
            self.fail(f"{shown} raised {type(error).__name__}: {first_line}", error)
        if not isinstance(result, jax.Array | np.ndarray):
            self.fail(f"{shown} returned {short(result)}, not an array")
        if result.shape != shape:
            self.fail(f"{shown} returned shape {result.shape}")
        if not jnp.issubdtype(result.dtype, jnp.floating):
            self.fail(f"{shown} returned {result.dtype}, not real numbers such as float32")
        return np.asarray(result, np.float64)

    def finite(self, values, points, message: str) -> None:
        """Fail at the first value that is not finite; ``message`` takes its point and the value."""
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            self.fail(message.format(f"{points[wrong[0]]:g}", values[wrong[0]]))
