import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, special

from initlab.activations import ACTIVATIONS, FLAT_SHARE, Activation
from initlab.quadrature import double_precision

LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017
Z = np.linspace(-8, 8, 801)  # with 0


def density(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


#: value and derivative in closed form, by NumPy and SciPy
CLOSED = {
    "linear": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.maximum(z, 0.01 * z), lambda z: np.where(z >= 0, 1.0, 0.01)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sigmoid": (special.expit, lambda z: special.expit(z) * special.expit(-z)),
    "gelu": (lambda z: z * special.ndtr(z), lambda z: special.ndtr(z) + z * density(z)),
    "silu": (
        lambda z: z * special.expit(z),
        lambda z: special.expit(z) * (1 + z * special.expit(-z)),
    ),
    "selu": (
        lambda z: LAMBDA * np.where(z > 0, z, ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: LAMBDA * np.where(z > 0, 1, ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
}
#: exact gains and moments at unit variance, by an independent program: FACTS of the project
GAIN = {"linear": 1.0, "relu": 1.414214, "tanh": 1.592537, "sigmoid": 1.846229, "gelu": 1.533530}
GAIN |= {"silu": 1.676532, "elu": 1.245198, "selu": 1.000000, "leaky_relu": (2 / 1.0001) ** 0.5}
SLOPE = {"tanh": 0.464403, "relu": 0.5, "sigmoid": 0.044836, "gelu": 0.455851, "silu": 0.379482}
SLOPE |= {"elu": 0.668102, "linear": 1.0, "leaky_relu": 1.0001 / 2}
MEAN = {"relu": 0.398942, "gelu": 0.282095, "silu": 0.206621, "elu": 0.160521, "sigmoid": 0.5}
MEAN |= {"linear": 0.0, "tanh": 0.0, "selu": 0.0, "leaky_relu": 0.99 / np.sqrt(2 * np.pi)}


def test_every_activation_has_an_oracle():
    assert list(ACTIVATIONS) == list(CLOSED)


@pytest.mark.parametrize("name", CLOSED)
def test_value_in_both_precisions(name):
    """Source: NumPy's and SciPy's functions in float64."""
    function = ACTIVATIONS[name].function
    expected = CLOSED[name][0](Z)
    with double_precision():
        np.testing.assert_allclose(function(Z), expected, rtol=1e-13, atol=1e-15)
    single = Z.astype(np.float32)
    value = np.asarray(function(single))
    assert value.dtype == np.float32
    # some units in the last place; the tails of gelu and elu are differences of numbers near 1
    np.testing.assert_allclose(value, CLOSED[name][0](single.astype(float)), rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize("name", CLOSED)
def test_derivative(name):
    """Source: closed forms; and central differences of NumPy's function, away from the kink.

    Their error is ``step^2 phi'''/6`` and rounding ``2^-53 max|phi| / step``: under 1e-8.
    """
    function, slope = CLOSED[name]
    with double_precision():
        derivative = np.asarray(ACTIVATIONS[name].derivative(jnp.asarray(Z)))
    np.testing.assert_allclose(derivative, slope(Z), rtol=1e-12, atol=1e-14)
    step = 1e-5
    smooth = np.abs(Z) > 2 * step
    difference = (function(Z + step) - function(Z - step)) / (2 * step)
    np.testing.assert_allclose(derivative[smooth], difference[smooth], atol=1e-8)


def test_the_slope_of_relu_at_0_is_0():
    """Source: the convention that the catalogue states."""
    assert ACTIVATIONS["relu"].derivative(jnp.float32(0.0)) == 0
    assert ACTIVATIONS["relu"].derivative(jnp.float32(-0.0)) == 0


@pytest.mark.parametrize("name", CLOSED)
def test_gain_and_moments(name):
    """Source: known values, and adaptive quadrature by SciPy of NumPy's functions, split at 0."""
    entry = ACTIVATIONS[name]
    function, slope = CLOSED[name]

    def expectation(f):
        parts = [
            integrate.quad(lambda z: f(np.float64(z)) * density(z), *half, epsabs=1e-13)[0]
            for half in ((-40, 0), (0, 40))
        ]
        return sum(parts)

    assert entry.critical_gain == pytest.approx(GAIN[name], abs=1e-5)
    assert entry.mean == pytest.approx(MEAN[name], abs=1e-5)
    if name != "selu":
        assert entry.slope_second_moment == pytest.approx(SLOPE[name], abs=1e-5)
    assert entry.mean == pytest.approx(expectation(function), abs=1e-9)
    assert entry.second_moment == pytest.approx(expectation(lambda z: function(z) ** 2), abs=1e-9)
    assert entry.slope_second_moment == pytest.approx(
        expectation(lambda z: slope(z) ** 2), abs=1e-9
    )


def test_selu_has_its_fixed_point():
    """Source: Klambauer et al. 2017: mean 0 and variance 1 are kept; slopes grow by 1.0716."""
    selu = ACTIVATIONS["selu"]
    assert selu.mean == pytest.approx(0, abs=1e-9)
    assert selu.second_moment == pytest.approx(1, abs=1e-9)
    assert selu.slope_second_moment == pytest.approx(1.0716, abs=1e-4)


def test_the_exact_gain_of_tanh_is_not_five_thirds():
    """Source: PyTorch's documentation of calculate_gain gives 5/3."""
    assert abs(ACTIVATIONS["tanh"].critical_gain - 5 / 3) > 0.07


@pytest.mark.parametrize("name", CLOSED)
def test_zero_at_zero(name):
    assert ACTIVATIONS[name].zero_at_zero == (name != "sigmoid")


@pytest.mark.parametrize(
    ("name", "below", "above"),
    [
        ("linear", None, None),
        ("relu", 0.0, None),
        ("leaky_relu", None, None),  # a slope of 1% is just not flat
        ("tanh", -np.arccosh(10), np.arccosh(10)),  # sech^2 = 0.01
        ("sigmoid", -2 * np.arccosh(10), 2 * np.arccosh(10)),  # a tanh of half the argument
        ("elu", np.log(0.01), None),
        ("selu", np.log(0.01), None),  # its steepest slope is on the left, lambda alpha
        ("gelu", (-8, -1), None),
        ("silu", (-12, -2), None),
    ],
)
def test_the_flat_range(name, below, above):
    """Source: the closed form of the slope, solved for 1% of its largest value."""
    slope = CLOSED[name][1]
    if isinstance(below, tuple):
        steepest = -optimize.minimize_scalar(
            lambda z: -slope(z), bounds=(0, 5), method="bounded"
        ).fun
        below = optimize.brentq(lambda z: abs(slope(np.float64(z))) - 0.01 * steepest, *below)
    found_below, found_above = ACTIVATIONS[name].flat_range
    assert FLAT_SHARE == 0.01
    # looked for in steps of 0.001, and given where it is flat already
    for found, expected, sign in ((found_below, below, 1), (found_above, above, -1)):
        if expected is None:
            assert found == -sign * np.inf
        else:
            assert 0 <= sign * (expected - found) <= 0.001


def test_a_flat_middle_is_not_a_flat_tail():
    bump = Activation("bump", lambda z: jnp.where(jnp.abs(z) < 1, 0.0, z))
    assert bump.flat_range == (-np.inf, np.inf)


def test_equality_is_of_name_and_function():
    tanh = ACTIVATIONS["tanh"]
    assert tanh == Activation("tanh", jnp.tanh) and hash(tanh) == hash(Activation("tanh", jnp.tanh))
    assert tanh != Activation("tanh", jnp.sin) and tanh != Activation("other", jnp.tanh)


def test_reading_moments_changes_no_configuration():
    before = jax.config.jax_enable_x64
    assert isinstance(Activation("sine", jnp.sin).second_moment, float)
    assert jax.config.jax_enable_x64 == before
    assert jnp.ones(1).dtype == jnp.float32
