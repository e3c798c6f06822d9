import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from initlab import quadrature

VARIANCES = [1e-8, 1e-3, 0.3, 1.0, 7.0, 1e3, 1e8]


def by_scipy(function, variance):
    """E[f(sqrt(q) z)] by adaptive quadrature, piece by piece: a different method altogether."""

    def integrand(z):
        return function(np.sqrt(variance) * z) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    half = np.concatenate([[0.0], np.geomspace(1e-7, 10, 20)])
    edges = np.concatenate([-half[:0:-1], half])
    pieces = (
        integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(edges)
    )
    return sum(pieces)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize(
    "function",
    [
        lambda u: np.tanh(u) ** 2,
        lambda u: np.maximum(u, 0) ** 2,
        lambda u: special.expit(u),
        lambda u: special.ndtr(u) ** 2,
        lambda u: np.where(u > 0, u, np.expm1(np.minimum(u, 0))) ** 2,
    ],
    ids=["tanh^2", "relu^2", "sigmoid", "step", "elu^2"],
)
def test_one_gaussian_against_scipy(function, variance):
    mean = quadrature.weights(np.log(variance)) @ function(quadrature.points()).sum(0)
    # the adaptive rule is asked for 1e-12 in each of its 40 pieces
    assert mean == pytest.approx(by_scipy(function, variance), rel=1e-11)


@pytest.mark.parametrize("power", range(0, 9, 2))
def test_moments_of_a_gaussian(power):
    double_factorial = np.prod(np.arange(1, power, 2))
    assert quadrature.gaussian_mean(lambda z: z**power) == pytest.approx(
        double_factorial, rel=1e-12
    )


@pytest.mark.parametrize("kink", [0.5, 1.0, 3.0])
def test_a_kink_away_from_zero(kink):
    exact = by_scipy(lambda z: np.clip(z, -kink, kink) ** 2, 1.0)
    # the trapezoidal rule's error at a kink is of the order of its step squared: (1/256)^2 = 1.5e-5
    mean = quadrature.gaussian_mean(lambda z: jnp.clip(z, -kink, kink) ** 2)
    assert mean == pytest.approx(exact, rel=1.5e-5)
    # and in the tables, (1/8)^2 / 4
    clipped = np.clip(quadrature.points(), -kink, kink) ** 2
    assert quadrature.weights(0.0) @ clipped.sum(0) == pytest.approx(exact, rel=4e-3)


def pair_mean(f, g, variance, correlation):
    points = quadrature.pair_points()
    rows = quadrature.pair_weights(np.log(variance)) @ quadrature.pair_integrals(
        f(points), g(points)
    )
    return quadrature.between_angles(np.arccos(correlation)) @ rows


CORRELATIONS = np.array([-1, -0.7, -1e-3, 0, 0.2, 0.5, 0.9, 0.999, 1 - 1e-6, 1])


@pytest.mark.parametrize("variance", [1e-6, 1.0, 30.0])
def test_two_gaussians_arc_cosine_kernels(variance):
    """Cho & Saul 2009, of order 1 and 0, and the second moment of squares (Isserlis)."""
    c = CORRELATIONS
    angle = np.arccos(c)
    relu = variance / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * c)
    assert pair_mean(relu_of, relu_of, variance, c) == pytest.approx(relu, abs=1e-11 * variance)
    step = (np.pi - angle) / (2 * np.pi)
    assert pair_mean(step_of, step_of, variance, c) == pytest.approx(step, abs=1e-10)
    squares = variance**2 * (1 + 2 * c**2)
    square = pair_mean(np.square, np.square, variance, c)
    assert square == pytest.approx(squares, abs=1e-9 * variance**2)


def relu_of(u):
    return np.maximum(u, 0)


def step_of(u):
    return (u > 0).astype(float)


# The rule has 43 rays between two changes of sign and 33 angles: few where a sigmoid turns within
# less than their spacing, at lengths far beyond those of any network that learns.
@pytest.mark.parametrize(("variance", "digits"), [(1e-6, 11), (1.0, 11), (10.0, 8), (100.0, 5)])
def test_two_gaussians_through_the_error_function(variance, digits):
    """Williams 1997: E[erf(u_1) erf(u_2)] = 2/pi asin(2 q c / (1 + 2 q))."""
    exact = 2 / np.pi * np.arcsin(2 * variance * CORRELATIONS / (1 + 2 * variance))
    mean = pair_mean(special.erf, special.erf, variance, CORRELATIONS)
    assert mean == pytest.approx(exact, abs=10.0**-digits * exact[-1])


def test_two_different_functions_are_taken_symmetrically():
    """E[u_1^2 1(u_2 > 0)] = q / 2, at every correlation."""
    mean = pair_mean(np.square, step_of, 3.0, CORRELATIONS)
    assert mean == pytest.approx(np.full(len(CORRELATIONS), 1.5), abs=1e-9)


def test_between_angles_is_exact_for_polynomials():
    rng = np.random.default_rng(0)
    polynomial = np.polynomial.Chebyshev(rng.standard_normal(len(quadrature.ANGLES)), [0, np.pi])
    angle = np.append(rng.uniform(0, np.pi, 50), quadrature.ANGLES)
    values = quadrature.between_angles(angle) @ polynomial(quadrature.ANGLES)
    assert values == pytest.approx(polynomial(angle), abs=1e-11)


def test_double_precision_is_given_back():
    before = jnp.ones(1).dtype
    with quadrature.double_precision():
        assert jnp.ones(1).dtype == jnp.float64
    assert jnp.ones(1).dtype == before
    assert jax.jit(lambda x: x)(1.0).dtype == before
