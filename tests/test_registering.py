import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import Setting
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from initlab.laws import Fan
from tests.plain_network import plain_measures


@pytest.fixture
def cleared():
    """Takes back what a test registers."""
    before = [set(catalogue) for catalogue in (ACTIVATIONS, INITIALIZERS)]
    yield
    for catalogue, names in zip((ACTIVATIONS, INITIALIZERS), before, strict=True):
        for name in set(catalogue) - names:
            catalogue.remove(name)


def normal(key, shape, dtype):
    return jax.random.normal(key, shape, dtype) / shape[0] ** 0.5


def test_a_registered_pair_is_probed(cleared):
    """Source: the plain float64 network with the same function."""

    def function(z):
        return z / (1 + jnp.abs(z)) * np.float32(2.0)

    initlab.register_activation("mine", function, law="$2z/(1 + |z|)$")
    initlab.register_initializer("ours", normal, variance=lambda fan_in, fan_out: 1 / fan_in)
    assert ACTIVATIONS["mine"].law == "2z/(1 + |z|)"
    setting = Setting(3, 16, "mine", "ours", gain=1.5, bias_std=0.1)
    batch = initlab.data.digits(16)
    signals = initlab.probe(setting, batch)
    expected = plain_measures(initlab.weights(setting), batch.inputs, batch.labels, function)
    for field in ("activation_variance", "gradient_second_moment", "weight_gradient_norm"):
        np.testing.assert_allclose(getattr(signals, field), expected[field], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_registered_activation_computes_in_the_precision_it_is_given(cleared, dtype):
    # NumPy's float32 is a type, not only a number, and raises lower precisions
    entry = initlab.register_activation("mine", lambda z: z * np.float32(2.0))
    z = jnp.ones(3, dtype)
    assert entry.function(z).dtype == entry.derivative(z).dtype == dtype


def test_a_registered_activation_has_moments(cleared):
    """Source: E[erf(z)^2] for standard normal z is 2/pi arcsin(2/3) (Williams 1997)."""
    entry = initlab.register_activation("erf", jax.lax.erf)
    assert entry.critical_gain == pytest.approx((2 / np.pi * np.arcsin(2 / 3)) ** -0.5, rel=1e-9)
    assert entry.zero_at_zero


def test_a_registered_initializer_is_what_the_function_draws(cleared):
    """Source: the function itself, called with the shapes of a network."""
    initlab.register_initializer("pattern", lambda key, shape, dtype: jnp.eye(*shape) * 3)
    entry = initlab.register_initializer("ours", normal, variance=lambda fan_in, _: 1 / fan_in)
    assert INITIALIZERS["pattern"].ensemble == "patterned"
    assert entry.ensemble == "independent"
    for weight, _ in initlab.weights(Setting(2, 16, initializer="pattern", gain=2.0)):
        np.testing.assert_array_equal(weight, 6 * np.eye(*weight.shape))
    key = jax.random.key(4)
    np.testing.assert_allclose(
        entry.draw(key, (30, 20)) * entry.scale(Fan(30, 20)),
        normal(key, (30, 20), jnp.float32),
        rtol=1e-6,
    )


def not_elementwise(z):
    return z - z.mean()


class Fickle:
    """An initializer that gives other numbers at every call."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def __call__(self, key, shape, dtype):
        return self.generator.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda z: z[:3], "f(array of shape (7,)) returned shape (3,)"),
        (lambda z: z.sum(), "f(array of shape (7,)) returned shape ()"),
        (lambda z: 1.0, "f(array of shape (7,)) returned 1.0, not an array"),
        (lambda z: None, "f(array of shape (7,)) returned None, not an array"),
        (lambda z: z > 0, "f(array of shape (7,)) returned bool, not real numbers"),
        (lambda z: jnp.round(z).astype(int), "returned int32, not real numbers"),
        (lambda z: z + 1j, "returned complex64, not real numbers"),
        (lambda z, slope: z, "f(array of shape (7,)) raised TypeError: "),
        (lambda: 0, "f(array of shape (7,)) raised TypeError: "),
        (np.tanh, "jax.jit(f)(array of shape (21, 5)) raised TracerArrayConversionError: "),
        (lambda z: jnp.stack(list(z)[:7]) * jnp.ones(7), "f)(array of shape (21, 5)) raised "),
        (lambda z: jnp.log(z + 1), "f(-5) returned nan"),
        (lambda z: jnp.where(z == 0, jnp.inf, z), "f(0) returned inf"),
        (not_elementwise, "f is not elementwise: for the entry -5 it returned 0 when called"),
        (jax.nn.softmax, "f is not elementwise"),
        (lambda z: jnp.sqrt(jnp.abs(z)), "the derivative of f at 0 is "),
        (
            lambda z: jnp.where(z > -6, z, 0) / jnp.sqrt(z**2) ** 0 + jnp.cbrt(z),
            "derivative of f at 0",
        ),
    ],
)
def test_a_wrong_activation_is_shown_by_the_call_that_failed(cleared, function, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        initlab.register_activation("mine", function)
    assert str(caught.value).startswith("register_activation('mine', f): ")
    assert "mine" not in ACTIVATIONS


@pytest.mark.parametrize(
    ("function", "variance", "message"),
    [
        (lambda key: 0, None, "f(key, (64, 16), float32) raised TypeError: "),
        (lambda key, shape, dtype: 0.1, None, "f(key, (64, 16), float32) returned 0.1, not an a"),
        (lambda key, shape, dtype: jnp.zeros(shape[::-1]), None, "returned shape (16, 64)"),
        (
            lambda key, shape, dtype: jnp.zeros((64, 16)),
            None,
            "(16, 16), float32) returned shape (6",
        ),
        (lambda key, shape, dtype: jnp.zeros(shape, int), None, "returned int32, not real numbers"),
        (lambda key, shape, dtype: jnp.full(shape, jnp.nan), None, "float32) returned nan"),
        (
            lambda key, shape, dtype: jnp.eye(*shape) / (shape[1] - 10),
            None,
            "(16, 10), float32) ret",
        ),
        (Fickle(), None, "returned other numbers when it was called again with the same key"),
        (
            lambda key, shape, dtype: np.asarray(normal(key, shape, dtype)),
            None,
            "jax.jit of f(key, (64, 16), float32) raised TracerArrayConversionError: ",
        ),
        (normal, lambda fan_in: 1, "variance(64, 16) raised TypeError: "),
        (normal, lambda *fans: 0.0, "variance(64, 16) returned 0.0, not a positive finite number"),
        (normal, lambda *fans: float("nan"), "variance(64, 16) returned nan, not a positive"),
        (normal, lambda *fans: "1", "variance(64, 16) returned '1', not a positive"),
        (
            normal,
            lambda fan_in, fan_out: 2 / fan_in,
            "variance(64, 16) returned 0.03125, so the mean square of f(key, (64, 16), float32)",
        ),
        (normal, lambda fan_in, fan_out: 1 / fan_out, "variance(64, 16) returned 0.0625, so the"),
        (normal, lambda fan_in, fan_out: 1.1 / fan_in, "over 16 keys it is 0.015"),
        (
            lambda key, shape, dtype: jnp.abs(normal(key, shape, dtype)),
            lambda fan_in, fan_out: 1 / fan_in,
            "so the mean of f(key, (64, 16), float32) should be 0, but",
        ),
    ],
)
def test_a_wrong_initializer_is_shown_by_the_call_that_failed(cleared, function, variance, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        initlab.register_initializer("mine", function, variance=variance)
    assert str(caught.value).startswith("register_initializer('mine', f): ")
    assert "mine" not in INITIALIZERS


@pytest.mark.parametrize(
    ("register", "function", "taken"),
    [
        (initlab.register_activation, jnp.tanh, "tanh"),
        (initlab.register_initializer, normal, "he_normal"),
        (initlab.register_initializer, normal, "xavier_normal"),
    ],
)
def test_names_and_types_are_checked(cleared, register, function, taken):
    with pytest.raises(ValueError, match=f"{taken!r} is registered already"):
        register(taken, function)
    with pytest.raises(
        ValueError, match="letters, digits and underscores, 64 at most, not 'two words'"
    ):
        register("two words", function)
    with pytest.raises(TypeError, match="the name must be a string such as 'mine', not None"):
        register(None, function)
    with pytest.raises(TypeError, match="must be a function, not 'tanh'"):
        register("mine", "tanh")
    for text in ("law", "when", "source"):
        with pytest.raises(TypeError, match=f"{text} must be a string, not 1"):
            register("mine", function, **{text: 1})
    register("mine", function)
    with pytest.raises(ValueError, match="'mine' is registered already"):
        register("mine", function)


def test_a_variance_is_a_function(cleared):
    with pytest.raises(TypeError, match=r"variance must be a function .* not 0\.1"):
        initlab.register_initializer("mine", normal, variance=0.1)


@pytest.mark.parametrize("draw", [jax.random.rademacher, jax.random.laplace])
def test_a_right_variance_is_accepted_whatever_the_distribution(cleared, draw):
    """Source: textbook variances, 2 for Laplace's distribution, whose kurtosis is 6."""
    spread = 2.0 if draw is jax.random.laplace else 1.0

    def function(key, shape, dtype):
        return draw(key, shape, dtype) / shape[1] ** 0.5

    entry = initlab.register_initializer("mine", function, variance=lambda _, out: spread / out)
    assert entry.scale(Fan(64, 16)) == pytest.approx((spread / 16) ** 0.5)
