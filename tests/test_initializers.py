"""Every initializer against something that is not initlab: JAX's own, formulas, SciPy."""

import functools
import math

import jax
import numpy as np
import pytest
import scipy.linalg
from scipy import stats

import initlab
from initlab import Setting
from initlab.initializers import INITIALIZERS, emergence
from initlab.laws import FIXED_SCALE, Fan, steps_from_pivot
from initlab.matrices import draw_sparse, draw_zero_hadamard, draw_zero_hadamard_paper, hadamard
from tests.plain_network import plain_logits, plain_weight_gradients

pytestmark = pytest.mark.numerics

JAX = jax.nn.initializers
SHAPES = [(48, 48), (24, 96), (96, 24)]  # square, wide, tall
SEEDS = 64
CUT = 0.87962566103423978  # standard deviation of a normal that is cut at +-2

UNIFORM = {
    "uniform": lambda fan_in, fan_out: 0.05,
    "lecun_uniform": lambda fan_in, fan_out: math.sqrt(3 / fan_in),
    "glorot_uniform": lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out)),
    "he_uniform": lambda fan_in, fan_out: math.sqrt(6 / fan_in),
    "torch_default": lambda fan_in, fan_out: 1 / math.sqrt(fan_in),
}
TRUNCATED = {
    "truncated_normal": lambda fan_in, fan_out: 0.05,
    "lecun_normal": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "glorot_normal": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "he_normal": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "mup": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "emergence": lambda fan_in, fan_out: math.sqrt(2 / fan_in) / 1.05,  # first of two matrices
}
NORMAL = {"normal": lambda fan_in, fan_out: 0.05}


@functools.cache
def drawn(draw, shape):
    """``SEEDS`` draws."""
    return np.asarray(jax.jit(jax.vmap(lambda key: draw(key, shape)))(keys()), np.float64)


def keys():
    return jax.random.split(jax.random.key(11), SEEDS)


def weight(name, shape, key=None):
    """The weights of one layer as the catalogue defines them: scale times draw."""
    entry = INITIALIZERS[name]
    draws = drawn(entry.draw, shape) if key is None else np.asarray(entry.draw(key, shape))
    return entry.scale(Fan(*shape)) * draws


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("normal", JAX.normal(0.05)),
        ("truncated_normal", JAX.truncated_normal(0.05 / CUT)),
        ("lecun_normal", JAX.lecun_normal()),
        ("lecun_uniform", JAX.lecun_uniform()),
        ("glorot_normal", JAX.glorot_normal()),
        ("glorot_uniform", JAX.glorot_uniform()),
        ("he_normal", JAX.he_normal()),
        ("he_uniform", JAX.he_uniform()),
        ("orthogonal", JAX.orthogonal()),
        ("zeros", JAX.zeros),
        ("constant", JAX.constant(FIXED_SCALE)),
    ],
)
def test_jax_draws_the_same_from_the_same_key(name, function, shape):
    """Source: jax.nn.initializers. Rounding: three factors in another order, 3 x 2^-24."""
    key = jax.random.key(7)
    expected = np.asarray(function(key, shape))
    np.testing.assert_allclose(weight(name, shape, key), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "deviation", "kurtosis"),
    [(name, law, 3.0) for name, law in NORMAL.items()]
    + [(name, law, float(stats.truncnorm(-2, 2).stats("k")) + 3) for name, law in TRUNCATED.items()]
    + [
        (name, lambda *fans, law=law: law(*fans) / math.sqrt(3), 1.8)
        for name, law in UNIFORM.items()
    ],
)
def test_mean_and_variance_follow_the_law(name, deviation, kurtosis, shape):
    """Source: LeCun et al. 1998, Glorot & Bengio 2010, He et al. 2015; PyTorch's documentation.

    Over N entries the mean errs by sigma/sqrt(N), and the mean square by
    sigma^2 sqrt((kurtosis - 1)/N), with the kurtosis of the distribution by SciPy.
    """
    sample, sigma = weight(name, shape), deviation(*shape)
    assert abs(sample.mean()) < 4 * sigma / sample.size**0.5
    error = sigma**2 * ((kurtosis - 1) / sample.size) ** 0.5
    assert abs((sample**2).mean() - sigma**2) < 4 * error
    # the distribution too: a normal's kurtosis would pass as any other's above
    fourth = (sample**4).mean() / sigma**4
    assert fourth == pytest.approx(kurtosis, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_bounds_are_never_exceeded(name, shape):
    """Source: the laws' bounds. Of N entries the largest reaches 1 - 10/N of it, but for e^-10."""
    bound, largest = UNIFORM[name](*shape), np.abs(weight(name, shape)).max()
    assert bound * (1 - 10 / (SEEDS * math.prod(shape))) < largest <= bound * (1 + 2**-22)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_normals_end_at_2_27_deviations(name, shape):
    """Source: JAX's documentation: cut at two deviations of the normal, then rescaled by 0.8796."""
    largest = np.abs(weight(name, shape)).max() / TRUNCATED[name](*shape)
    assert 2.25 < largest <= 2 / CUT * (1 + 2**-22)


def test_each_matrix_of_a_network_has_its_own_fans():
    """Source: the bounds of Glorot & Bengio 2010 and He et al. 2015.

    The largest of n uniform entries lies within 12/n of its bound, but for e^-12.
    """
    sizes = [(100, 32), (32, 32), (32, 7)]
    for name, bound in (
        ("glorot_uniform", UNIFORM["glorot_uniform"]),
        ("he_uniform", UNIFORM["he_uniform"]),
    ):
        network = initlab.weights(Setting(2, 32, initializer=name, gain=3.0), 100, 7)
        assert [w.shape for w, _ in network] == sizes
        for (matrix, bias), fans in zip(network, sizes, strict=True):
            share = np.abs(matrix).max() / (3 * bound(*fans))
            assert 1 - 12 / matrix.size < share <= 1 + 2**-22
            assert bias.shape == (fans[1],) and not bias.any()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["orthogonal", "delta_orthogonal"])
def test_orthogonal_matrices_have_equal_singular_values(name, shape):
    """Source: Saxe, McClelland & Ganguli 2014."""
    for matrix in weight(name, shape)[:8]:
        np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 1, atol=1e-5)
    # entries have the variance 1/max(shape): the trace of W^T W is min(shape), exactly
    assert (weight(name, shape) ** 2).mean() == pytest.approx(1 / max(shape), rel=1e-5)


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("name", ["orthogonal", "delta_orthogonal"])
def test_in_a_network_the_singular_values_are_the_gain(name, gain):
    """Source: Saxe, McClelland & Ganguli 2014."""
    for matrix, _ in initlab.weights(Setting(4, 32, initializer=name, gain=gain)):
        np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), gain, rtol=1e-5)


def test_orthogonal_matrices_are_uniform_in_haars_sense():
    """Source: Diaconis & Shahshahani 1994: the trace of a Haar matrix has mean 0 and variance 1.

    Mezzadri 2007: without the signs of R's diagonal, QR gives another distribution.
    """
    trace = np.trace(weight("orthogonal", (48, 48)), axis1=1, axis2=2)
    assert abs(trace.mean()) < 4 / SEEDS**0.5
    assert abs((trace**2).mean() - 1) < 4 * (2 / SEEDS) ** 0.5


@pytest.mark.parametrize("channels", [(8, 8), (4, 16)])
def test_a_delta_orthogonal_kernel_keeps_every_length(channels):
    """Source: Xiao et al. 2018: a convolution of stride 1 with zero padding is an isometry."""
    draw = INITIALIZERS["delta_orthogonal"].draw
    kernel = np.asarray(draw(jax.random.key(1), (3, 3, *channels)), np.float64)
    image = np.random.default_rng(0).standard_normal((5, 6, channels[0]))
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    out = sum(
        padded[row : row + 5, column : column + 6] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )
    assert np.linalg.norm(out) == pytest.approx(np.linalg.norm(image), rel=1e-5)
    assert np.count_nonzero(np.abs(kernel).sum(axis=(2, 3))) == 1


def test_zeros_and_constant_ignore_fans():
    for matrix, bias in initlab.weights(Setting(3, 32, initializer="zeros", gain=2.0)):
        assert not matrix.any() and not bias.any()
    for matrix, _ in initlab.weights(Setting(3, 32, initializer="constant", gain=2.0)):
        np.testing.assert_array_equal(matrix, np.float32(0.1))


@pytest.mark.parametrize("shape", SHAPES)
def test_identity_passes_the_first_inputs_on(shape):
    """Source: Le, Jaitly & Hinton 2015; NumPy's eye for what is not square."""
    for matrix in weight("identity", shape):
        np.testing.assert_array_equal(matrix, np.eye(*shape))


@pytest.mark.parametrize("order", [1, 2, 8, 64])
def test_hadamard_is_sylvesters(order):
    """Source: scipy.linalg.hadamard."""
    expected = scipy.linalg.hadamard(order)
    np.testing.assert_array_equal(hadamard(order, order), expected)
    np.testing.assert_array_equal(hadamard(order // 2, order), expected[: order // 2])


@pytest.mark.parametrize(
    ("fan_in", "fan_out", "code", "paper"),
    [
        (4, 8, [1.0] * 4, [math.sqrt(2)] * 4),
        (6, 10, [0.935414] * 2 + [0.707107] * 4, [1.322876] * 2 + [1.0] * 4),
        (8, 8, [1.0] * 8, [1.0] * 8),
        (8, 4, [1.0] * 4, [1.0] * 4),
    ],
)
def test_zero_hadamard_singular_values(fan_in, fan_out, code, paper):
    """Source: Zhao, Schaefer & Anandkumar 2022, text and code; values by an independent program.

    A truncated Hadamard matrix is orthogonal only where ``fan_out`` is a power of 2.
    """
    for draw, expected in ((draw_zero_hadamard, code), (draw_zero_hadamard_paper, paper)):
        values = np.linalg.svd(np.asarray(draw(None, (fan_in, fan_out))), compute_uv=False)
        np.testing.assert_allclose(values, expected, atol=2e-6)


def test_zero_hadamard_is_a_block_of_a_hadamard_matrix():
    """Source: scipy.linalg.hadamard, times 2^(-m/2) as in the authors' code."""
    matrix = np.asarray(draw_zero_hadamard(None, (24, 40)))
    np.testing.assert_allclose(matrix, scipy.linalg.hadamard(64)[:24, :40] / 8, rtol=1e-6)
    paper = np.asarray(draw_zero_hadamard_paper(None, (24, 40)))
    np.testing.assert_allclose(paper, matrix * math.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize("shape", [(96, 24), (10, 20)])
def test_sparse_units_have_15_inputs(shape):
    """Source: Martens 2010: 15 incoming weights a unit; fewer only where there are fewer inputs."""
    sample = weight("sparse", shape)
    connections = min(15, shape[0])
    assert (np.count_nonzero(sample, axis=1) == connections).all()
    entries = sample[sample != 0] * math.sqrt(connections)
    assert abs(entries.mean()) < 4 / entries.size**0.5
    assert abs((entries**2).mean() - 1) < 4 * (2 / entries.size) ** 0.5
    # each input is as likely as any other: a binomial count
    used, share = (sample != 0).sum(axis=(0, 2)), connections / shape[0]
    trials = SEEDS * shape[1]
    assert np.abs(used / trials - share).max() <= 4.5 * (share * (1 - share) / trials) ** 0.5
    assert (
        np.count_nonzero(np.asarray(draw_sparse(keys()[0], shape, 3)), axis=0).tolist()
        == [3] * shape[1]
    )


def test_torch_default_has_torchs_bounds_for_biases_too():
    """Source: PyTorch's nn.Linear: weights and biases uniform within 1/sqrt(fan_in)."""
    fans = (64, 32, 32, 32)
    for seed in range(3):
        network = initlab.weights(Setting(3, 32, initializer="torch_default", seed=seed))
        for (matrix, bias), fan_in in zip(network, fans, strict=True):
            for array in (matrix, bias):
                largest = np.abs(array).max() * math.sqrt(fan_in)
                assert 1 - 12 / array.size < largest <= 1 + 2**-22
                spread = (array.astype(float) ** 2).mean() * 3 * fan_in
                assert abs(spread - 1) < 4 * (0.8 / array.size) ** 0.5


def test_torch_default_beside_torch():
    """Source: torch.nn.Linear itself; both sample deviations err by sqrt(0.8/N)/2."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 64)
    matrix, bias = initlab.weights(Setting(1, 64, initializer="torch_default"), fan_in=96)[0]
    for ours, theirs in ((matrix, linear.weight), (bias, linear.bias)):
        theirs = theirs.detach().numpy()
        error = (0.8 / ours.size) ** 0.5 / 2
        assert abs(ours.std() / theirs.std() - 1) < 4 * error * math.sqrt(2)
        assert np.abs(theirs).max() * math.sqrt(96) <= 1 + 2**-22


def test_the_readout_of_mup_shrinks_with_the_width():
    """Source: Yang, Hu et al. 2022, table 3: variance 1/fan_in, 1/fan_in^2 in the readout."""
    spread = np.array(
        [
            [(w.astype(float) ** 2).mean() for w, _ in network]
            for network in (
                initlab.weights(Setting(2, 32, initializer="mup", seed=seed)) for seed in range(64)
            )
        ]
    ).mean(axis=0)
    law = np.array([1 / 64, 1 / 32, 1 / 32**2])
    kurtosis = float(stats.truncnorm(-2, 2).stats("k")) + 3
    errors = law * np.sqrt((kurtosis - 1) / (64 * np.array([64 * 32, 32 * 32, 32 * 10])))
    assert (np.abs(spread - law) < 4 * errors).all()


@pytest.mark.parametrize("depth", [1, 2, 5, 8, 127])
def test_emergence_factors_multiply_to_1(depth):
    """Source: Li, George & Silva 2024: W_-n / alpha^n before the middle, W_n alpha^n behind it."""
    steps = [steps_from_pivot(Fan(8, 8, layer, depth)) for layer in range(1, depth + 2)]
    assert sum(steps) == 0
    assert steps == sorted(steps) and steps == [-step for step in reversed(steps)]
    assert max(steps) == (depth + 1) // 2
    entry = emergence("glorot_normal", alpha=1.3)
    base = INITIALIZERS["glorot_normal"]
    fans = [Fan(8, 8, layer, depth) for layer in range(1, depth + 2)]
    factors = [entry.scale(fan) / base.scale(fan) for fan in fans]
    np.testing.assert_allclose(factors, 1.3 ** np.array(steps, float), rtol=1e-12)


def test_a_pivot_of_ones_own():
    steps = [steps_from_pivot(Fan(8, 8, layer, 4), pivot=2) for layer in range(1, 6)]
    assert steps == [-1, 0, 1, 2, 3]


@pytest.mark.parametrize("depth", [5, 6])
def test_emergence_keeps_a_relu_networks_output_and_divides_its_gradients(depth):
    """Source: positive homogeneity: relu(c z) = c relu(z); checked on the plain float64 network.

    Each of depth + 1 weights carries float32's rounding, of its scale and of the product.
    """
    setting = Setting(depth, 32, "relu", "emergence", seed=3)
    plain = setting.replace(initializer="he_normal")
    batch = initlab.data.digits(16)
    ours, base = initlab.weights(setting), initlab.weights(plain)
    rounding = 4 * (depth + 1) * 2**-24
    expected = plain_logits(base, batch.inputs, "relu")
    np.testing.assert_allclose(
        plain_logits(ours, batch.inputs, "relu"), expected, atol=rounding * np.abs(expected).max()
    )
    gradients = [
        plain_weight_gradients(w, batch.inputs, batch.labels, "relu") for w in (ours, base)
    ]
    for layer, ((changed, _), (original, _)) in enumerate(zip(*gradients, strict=True), start=1):
        factor = 1.05 ** steps_from_pivot(Fan(32, 32, layer, depth))
        np.testing.assert_allclose(
            changed * factor, original, atol=8 * rounding * np.abs(original).max()
        )


def test_every_entry_is_covered_by_one_of_these_tests():
    other = {"zeros", "constant", "orthogonal", "delta_orthogonal", "identity", "sparse"}
    other |= {"zero_hadamard", "zero_hadamard_paper"}
    # tests/test_adaptive.py has those that are fitted to data
    drawn = {name for name, entry in INITIALIZERS.items() if entry.fitted_by is None}
    assert drawn == other | set(UNIFORM) | set(TRUNCATED) | set(NORMAL)


def test_what_theory_may_assume_is_so():
    independent = {name for name in INITIALIZERS if INITIALIZERS[name].ensemble == "independent"}
    assert independent == set(UNIFORM) | set(TRUNCATED) | set(NORMAL)
    orthogonal = {name for name in INITIALIZERS if INITIALIZERS[name].ensemble == "orthogonal"}
    assert orthogonal == {"orthogonal", "delta_orthogonal"}
