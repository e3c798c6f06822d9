"""Convolutional networks against a plain one in float64, closed forms, and mean-field theory."""

import jax
import numpy as np
import pytest

import initlab
from initlab import Batch, data, probe
from initlab.architectures import Convolutional
from initlab.architectures.chain import logits
from initlab.architectures.convolutional import KernelDraw
from initlab.architectures.measuring import _measure
from initlab.initializers import INITIALIZERS
from tests.plain_convolutional import plain_measures

pytestmark = pytest.mark.numerics

BATCH = data.digits(8)
SMALL = Convolutional(depth=5, width=6)
TOLERANCE = 1e-4
# a mean over pairs of cosines is a sum of products of float32 unit vectors, near 1 in deep layers
ROUNDING = 16 * 2.0**-24


def assert_agrees(setting, batch=BATCH):
    signals = probe(setting, batch)
    weights = initlab.weights(setting, batch.inputs.shape[1], batch.classes)
    plain = plain_measures(weights, setting, batch)
    for name in plain.keys() - {"loss", "logits"}:
        room = ROUNDING if name == "input_similarity" else 0.0
        np.testing.assert_allclose(
            getattr(signals, name), plain[name], rtol=TOLERANCE, atol=room, err_msg=name
        )
    assert signals.loss == pytest.approx(plain["loss"], rel=TOLERANCE)
    found = logits(setting, weights, batch.inputs)
    largest = np.abs(plain["logits"]).max()
    np.testing.assert_allclose(found, plain["logits"], rtol=0, atol=TOLERANCE * largest)


@pytest.mark.parametrize("padding", ["zero", pytest.param("circular", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "tanh", "initializer": "delta_orthogonal", "gain": 1.5},
        {"activation": "gelu", "initializer": "orthogonal", "seed": 3},
        {"activation": "tanh", "initializer": "sparse", "kernel": 5},
        {"activation": "selu", "initializer": "glorot_uniform", "gain": 0.1},
        {"activation": "silu", "initializer": "emergence", "kernel": 5, "depth": 3},
        {"depth": 1, "activation": "leaky_relu", "initializer": "zero_hadamard"},
    ],
    ids=str,
)
def test_every_measure_is_that_of_a_plain_network(changes, padding):
    assert_agrees(SMALL.replace(padding=padding, **changes))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [1, 5])
def test_images_and_kernels_of_other_sizes_will_do(kernel):
    generator = np.random.default_rng(0)
    batch = Batch(generator.standard_normal((6, 25)), generator.integers(3, size=6), classes=3)
    assert_agrees(SMALL.replace(kernel=kernel, padding="circular"), batch)


@pytest.mark.parametrize("padding", ["zero", "circular"])
def test_delta_orthogonal_kernels_keep_every_length_over_64_layers(padding):
    """Source: Xiao et al. 2018; only the central tap reads, so the padding does not matter."""
    setting = Convolutional(64, 6, padding=padding).replace(
        activation="linear", initializer="delta_orthogonal"
    )
    signals = probe(setting, BATCH)
    # the first layer has 6 channels for 1: lengths are kept, their mean square is a 6th
    moments = signals.preactivation_second_moment
    inputs = signals.activation_second_moment[0]
    np.testing.assert_allclose(moments * setting.width, inputs, rtol=1e-5)
    back = signals.gradient_second_moment
    np.testing.assert_allclose(back, back[-1], rtol=1e-5)


def test_orthogonal_kernels_of_all_taps_keep_no_length():
    """What is orthogonal over all taps keeps the mean, not each length (Xiao et al. 2018)."""
    setting = Convolutional(64, 6, padding="circular", activation="linear")
    moments = probe(setting.replace(initializer="orthogonal"), BATCH).preactivation_second_moment
    assert abs(np.log(moments[-1] / moments[0])) > 0.1


def test_the_fans_of_a_kernel_are_taps_times_channels():
    """As JAX counts them: receptive field size times channels."""
    first, hidden, readout = Convolutional(depth=2, width=16, kernel=5).fans(64, 10)
    assert first[:2] == (25, 25 * 16)
    assert hidden[:2] == (25 * 16, 25 * 16)
    assert readout[:2] == (64 * 16, 10)
    he = initlab.weights(Convolutional(depth=2, width=64, kernel=5)).layers["weight"]
    # a sample variance of N values has the relative deviation sqrt(2 / N) or less
    assert he.var() == pytest.approx(2 / (25 * 64), rel=4 * (2 / he.size) ** 0.5)


@pytest.mark.parametrize("name", list(INITIALIZERS))
def test_what_a_start_means_for_a_kernel(name):
    shape = (3, 3, 4, 6)
    draw = INITIALIZERS[name].draw
    kernel = np.asarray(KernelDraw(draw)(jax.random.key(0), shape))
    assert kernel.shape == shape
    elsewhere = kernel.copy()
    elsewhere[1, 1] = 0
    central = name in ("identity", "zero_hadamard", "zero_hadamard_paper", "delta_orthogonal")
    assert central == (not elsewhere.any())
    if name == "orthogonal":
        matrix = kernel.reshape(36, 6)
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(6), atol=1e-5)
    if name == "delta_orthogonal":
        np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(4), atol=1e-5)
    if name == "identity":
        np.testing.assert_array_equal(kernel[1, 1], np.eye(4, 6))


def test_delta_orthogonal_needs_as_many_outputs_as_inputs():
    draw = INITIALIZERS["delta_orthogonal"].draw
    with pytest.raises(ValueError, match=r"8 inputs and 4 outputs.*at least 8 outputs"):
        draw(jax.random.key(0), (3, 3, 8, 4))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel": 4}, "kernel must be one of 1, 3, 5, 7, not 4; the nearest is 3"),
        ({"kernel": 9}, "not 9; the nearest is 7"),
        ({"depth": 65}, "from 1 to 64, not 65"),
        ({"width": 0}, "from 1 to 128, not 0"),
        ({"padding": "zeros"}, "unknown padding 'zeros'.*'zero'"),
        ({"initializer": "orthognal"}, "orthogonal"),
    ],
    ids=str,
)
def test_a_wrong_choice_is_named(changes, words):
    with pytest.raises(ValueError, match=words):
        Convolutional(**changes)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (60, "square images.*not 60 features; the nearest square is 64"),
        (16, "kernel must be at most 4.*not 5; the nearest is 3"),
    ],
)
def test_a_wrong_batch_is_named(features, words):
    batch = Batch(np.ones((2, features)), np.array([0, 1]))
    for function in (probe, initlab.predict):
        with pytest.raises(ValueError, match=words):
            function(SMALL.replace(kernel=5), batch)


def test_nothing_compiles_but_for_width_and_kernel():
    probe(SMALL, BATCH)
    programs = _measure._cache_size()
    for changes in (
        {"depth": 64},
        {"padding": "circular"},
        {"activation": "tanh"},
        {"initializer": "delta_orthogonal"},
        {"gain": 2.0},
        {"seed": 5},
    ):
        probe(SMALL.replace(**changes), BATCH)
    assert _measure._cache_size() == programs


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"padding": "circular"},
        pytest.param(
            {"activation": "tanh", "initializer": "orthogonal", "gain": 1.2}, marks=pytest.mark.slow
        ),
        {"activation": "tanh", "initializer": "delta_orthogonal", "gain": 1.2},
        {"initializer": "lecun_normal", "activation": "selu"},
    ],
    ids=str,
)
def test_theory_is_the_mean_over_seeds(changes):
    """Of 12 networks of 64 channels, which stray by about sqrt(5 L / 64 / 12) = 0.2 at layer 6."""
    setting = Convolutional(depth=6, width=64).replace(**changes)
    found = [probe(setting.replace(seed=seed), BATCH) for seed in range(12)]
    theory = initlab.predict(setting, BATCH)
    for name in (
        "activation_second_moment",
        "activation_variance",
        "preactivation_second_moment",
        "gradient_second_moment",
    ):
        ratio = np.mean([getattr(s, name) for s in found], axis=0) / getattr(theory, name)
        assert np.abs(np.log(ratio)).max() < 0.3, (name, ratio)


def test_with_circular_padding_theory_is_the_dense_one():
    """Uniform images stay uniform, so the recursion and the phase are those of a dense network."""
    batch = Batch(np.outer([1.0, 2.0], np.ones(64)), np.array([0, 1]))
    for activation, gain in (("tanh", 1.5), ("relu", 1.0)):
        start = {"activation": activation, "initializer": "he_normal", "gain": gain, "depth": 20}
        convolutional = initlab.predict(Convolutional(padding="circular", **start), batch)
        dense = initlab.predict(initlab.Setting(**start), batch)
        for name in ("activation_second_moment", "preactivation_second_moment", "chi_1"):
            np.testing.assert_allclose(
                getattr(convolutional, name), getattr(dense, name), rtol=1e-5, err_msg=name
            )
        assert convolutional.phase == dense.phase


def test_theory_is_silent_about_patterns():
    theory = initlab.predict(SMALL.replace(initializer="identity"), BATCH)
    assert np.isnan(theory.activation_second_moment).all() and theory.phase is None


def test_a_start_that_vanishes_is_given_a_remedy():
    diagnosis = initlab.diagnose(
        probe(Convolutional(activation="tanh", initializer="normal", depth=20), BATCH)
    )
    assert not diagnosis.healthy
    assert isinstance(diagnosis.remedy.setting, Convolutional)


def test_theory_of_a_start_that_overflows_warns_of_nothing():
    setting = initlab.Convolutional(
        depth=27, width=1, kernel=1, initializer="lecun_normal", gain=1e6
    )
    assert np.isposinf(initlab.predict(setting).activation_second_moment[-1])
