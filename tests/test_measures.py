import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import measures
from tests.plain_network import distinct_units, mean_cosine, participation_ratio

GENERATOR = np.random.default_rng(5)
X = GENERATOR.standard_normal((40, 24)).astype(np.float32)


def test_powers_of_two_are_exact():
    """Source: NumPy's ldexp. Float32 holds 2^-126 to 2^127 normally."""
    exponents = np.arange(-126, 128)
    powers = np.asarray(jax.jit(measures.power_of_two)(exponents), np.float64)
    np.testing.assert_array_equal(powers, np.ldexp(1.0, exponents))


@pytest.mark.parametrize("exponent", [-120, -60, -1, 0, 1, 60, 124])
def test_normalizing_loses_no_digit(exponent):
    """Source: NumPy's ldexp. No entry is so small that it would leave float32's normal range."""
    x = np.ldexp(np.sign(X) * (0.25 + np.abs(X) / 8), exponent).astype(np.float32)
    scaled, shift, finite = jax.jit(measures.normalized)(x)
    assert bool(finite)
    assert 0.5 <= np.abs(scaled).max() < 1
    np.testing.assert_array_equal(np.ldexp(np.asarray(scaled), int(shift)), x)


@pytest.mark.parametrize("largest", [2.0**125, 2.0**126, 3.4028235e38])
def test_the_largest_numbers_keep_finite_squares(largest):
    """Source: float64."""
    x = np.array([[largest, -largest / 3]], np.float32)
    scaled, shift, finite = jax.jit(measures.normalized)(x)
    assert bool(finite) and np.isfinite(np.asarray(scaled) ** 2).all()
    assert np.abs(scaled).max() >= 0.5
    np.testing.assert_array_equal(np.ldexp(np.asarray(scaled, np.float64), int(shift)), x)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_are_left_alone_and_told(value):
    x = np.array([[1.0, value], [2.0, 3.0]], np.float32)
    scaled, shift, finite = measures.normalized(x)
    assert not bool(finite) and int(shift) == 0
    np.testing.assert_array_equal(scaled, x)
    zero, shift, finite = measures.normalized(np.zeros((2, 2), np.float32))
    assert bool(finite) and int(shift) == 0 and not np.asarray(zero).any()


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (17, 33), (-1, -1)])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_one_value_that_is_not_finite_is_found_among_many(place, value):
    """XLA's maximum over 128 x 64 floats passed over NaN on some versions, and was -inf at last."""
    x = np.ones((128, 64), np.float32)
    x[place] = value
    assert not bool(jax.jit(measures.normalized)(x)[2])
    assert not bool(jax.jit(measures.of_activation)(x)[1]["finite"])


@pytest.mark.parametrize("offset", [0.0, 1.0, 1000.0])
def test_moments(offset):
    """Source: NumPy in float64.

    Deviations are taken from a float32 mean, which errs by less than ``NO_VARIATION`` of itself;
    the square of that error is added to the variance.
    """
    x = (X * 0.01 + np.float32(offset)).astype(np.float32)
    variance, second = measures.moments(x)
    exact = x.astype(np.float64)
    error = (measures.NO_VARIATION * offset) ** 2
    assert float(variance) == pytest.approx(exact.var(), rel=2e-6, abs=error)
    assert float(second) == pytest.approx((exact**2).mean(), rel=2e-6)


def test_moments_of_a_constant_have_no_variance():
    variance, second = measures.moments(np.full((256, 128), np.float32(0.1)))
    assert float(variance) < (measures.NO_VARIATION * 0.1) ** 2
    assert float(second) == pytest.approx(0.01, rel=1e-6)


def test_histogram():
    """Source: numpy.histogram of the clipped values."""
    x = np.concatenate([X.ravel() * 2, [-1e30, 1e30, -3.05, 3.04, 0.0]]).astype(np.float32)[:, None]
    edges = measures.HISTOGRAM_EDGES
    expected, _ = np.histogram(np.clip(x.astype(float), -3.049, 3.049), edges)
    place = (X * 2 + 3.05) / 0.1
    assert np.abs(place - place.round()).min() > 1e-5  # none at an edge, where rounding decides
    counts = np.asarray(measures.histogram(x))
    np.testing.assert_array_equal(counts, expected)
    assert counts.sum() == x.size
    assert edges[30] < 0 < edges[31]  # the middle bin is around 0
    np.testing.assert_allclose(np.diff(edges), 0.1, rtol=1e-12)


@pytest.mark.parametrize("silent", [0, 1, 7, 40])
def test_input_similarity(silent):
    """Source: all pairs in float64; rows of zeros are alike, and unlike all else."""
    x = X + 0.5
    x[:silent] = 0
    assert float(measures.input_similarity(x)) == pytest.approx(
        mean_cosine(x.astype(float)), abs=1e-6
    )


def test_input_similarity_of_known_rows():
    assert float(measures.input_similarity(np.float32([[1, 2], [2, 4]]))) == pytest.approx(1)
    assert float(measures.input_similarity(np.float32([[1, 2], [-1, -2]]))) == -1
    assert float(measures.input_similarity(np.eye(5, dtype=np.float32))) == pytest.approx(
        0, abs=1e-7
    )
    assert np.isnan(measures.input_similarity(np.float32([[1, 2]])))


@pytest.mark.parametrize("shape", [(40, 24), (24, 40), (32, 32)])
def test_effective_neurons(shape):
    """Source: numpy.linalg.eigvalsh of the covariance, in float64."""
    x = GENERATOR.standard_normal(shape) * np.linspace(0.1, 1, shape[1])
    x = x.astype(np.float32) / 4
    found = float(jax.jit(measures.effective_neurons)(x))
    assert found == pytest.approx(participation_ratio(x.astype(float)), rel=1e-5)


@pytest.mark.parametrize("variances", [[1.0], [1.0, 1.0, 1.0], [1.0, 0.5, 0.25, 0.1]])
def test_effective_neurons_of_known_spectra(variances):
    """Source: the definition; orthogonal columns, centred, in more units than dimensions."""
    basis = np.linalg.qr(np.c_[np.ones(40), GENERATOR.standard_normal((40, 8))])[0][:, 1:]
    turn = np.linalg.qr(GENERATOR.standard_normal((24, 24)))[0]
    x = basis[:, : len(variances)] * np.sqrt(variances) @ turn[: len(variances)] + 0.1
    expected = sum(variances) ** 2 / sum(np.square(variances))
    assert float(measures.effective_neurons(x.astype(np.float32))) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("batch", [64, 4096])
@pytest.mark.parametrize("movement", [1e-4, 1e-2])
def test_effective_neurons_of_units_that_move_little(batch, movement):
    """Source: numpy.linalg.eigvalsh, in float64, of the very float32 values.

    A difference of values within a factor of 2 is exact, so that what a unit moves by is known to
    a rounding of itself, however much larger its value is. A sum of such differences errs by as
    many roundings as it has terms at the most, by the root of that as a rule.
    """
    directions = GENERATOR.standard_normal((24, 24)) * np.linspace(0.1, 1, 24)
    moved = GENERATOR.standard_normal((batch, 24)) @ directions / 20
    x = (0.75 + 0.2 * movement * moved).astype(np.float32)
    found = float(jax.jit(measures.effective_neurons)(x))
    expected = participation_ratio(x.astype(float))
    assert found == pytest.approx(expected, rel=8 * 2**-24 * np.sqrt(batch))


def test_units_that_do_not_move_are_no_effective_neurons():
    assert float(measures.effective_neurons(np.full((4096, 16), np.float32(0.7)))) == 0
    assert float(measures.effective_neurons(np.full((64, 16), np.float32(0.7)))) == 0
    assert float(measures.effective_neurons(np.zeros((64, 16), np.float32))) == 0
    assert float(measures.effective_neurons(X[:1] / 4)) == 0  # a single example


@pytest.mark.parametrize("groups", [1, 2, 5, 23, 24])
def test_distinct_neurons(groups):
    """Source: clusters by the full distance between columns, in float64."""
    which = GENERATOR.permutation(
        np.r_[np.arange(groups), GENERATOR.integers(groups, size=24 - groups)]
    )
    activation, gradient = X[:, which] / 4, X[::-1, which] / 4
    noise = GENERATOR.uniform(-1, 1, X.shape).astype(np.float32) * 1e-7  # as sums in another order
    found = int(measures.distinct_neurons(activation + noise, gradient - noise))
    assert found == groups == distinct_units(activation, gradient, measures.SAME_NEURON)


@pytest.mark.parametrize("part", ["activation", "gradient"])
def test_neurons_that_differ_in_one_way_only_are_distinct(part):
    """Source: the stated tolerance, 1e-5 root mean square: ten times more and less."""
    same, other = np.tile(X[:, :1], 24) / 4, np.tile(X[:, 1:2], 24) / 4
    for size, expected in ((1e-4, 2), (1e-6, 1)):
        changed = same.copy()
        changed[:, 3] += size * np.sign(X[:, 2])
        pair = (changed, other) if part == "activation" else (other, changed)
        assert int(measures.distinct_neurons(*pair)) == expected


def test_the_product_is_in_full_float32():
    """Source: float64, and the bound of a float32 dot product: n 2^-24 sum |x||y|."""
    x, y = X, X.T @ X
    bound = x.shape[1] * 2**-24 * (np.abs(x).astype(float) @ np.abs(y))
    exact = x.astype(float) @ y.astype(float)
    assert (np.abs(np.asarray(measures.product(x, y)) - exact) <= bound).all()
    text = jax.make_jaxpr(measures.product)(jnp.ones((2, 2)), jnp.ones((2, 2)))
    assert "HIGHEST" in str(text)


def test_rows_of_very_unlike_lengths_count_with_their_directions():
    """Source: float64. The square of 1e-24 is nothing to float32."""
    rows = np.random.default_rng(3).standard_normal((6, 5)) * 10.0 ** np.arange(-24, 6, 5)[:, None]
    found = measures.input_similarity(jnp.asarray(rows / np.abs(rows).max(), jnp.float32))
    assert float(found) == pytest.approx(mean_cosine(rows), abs=1e-6)
