"""The one compiled pass against a plain unrolled network in float64 with ``jax.grad``."""

import random
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import Setting, data, network, probe, weights
from initlab.activations import ACTIVATIONS
from initlab.initializers import menu
from initlab.measures import HISTOGRAM_EDGES, NO_VARIATION, SAME_NEURON
from tests.plain_network import (
    distinct_units,
    plain_logits,
    plain_measures,
    plain_weight_gradients,
)

pytestmark = pytest.mark.numerics

WIDTH = 32
BATCH = data.digits(64)
ROUNDING = 2.0**-24  # of a float32
#: to how many roundings a chain of operations adds up in a layer: sums of 32 or 64 terms err by
#: the root of so many
OPERATIONS = 16
TOLERANCE = 1e-4


def random_settings(count):
    """Settings in which every initializer and every activation comes up, and every pair may."""
    chance = random.Random(6)
    for index in range(count):
        yield Setting(
            depth=chance.randint(1, 12),
            width=WIDTH,
            activation=list(ACTIVATIONS)[index % len(ACTIVATIONS)],
            initializer=menu()[index % len(menu())],
            gain=10 ** chance.uniform(-1, 0.7),
            bias_std=chance.choice([0.0, 0.0, 0.1, 1.0]),
            seed=chance.randint(0, 3),
        )


SETTINGS = list(random_settings(60))


def test_the_settings_cover_both_catalogues():
    assert {setting.initializer for setting in SETTINGS} == set(menu())
    assert {setting.activation for setting in SETTINGS} == set(ACTIVATIONS)


def assert_agrees(setting, batch=BATCH):
    """Hold every field of ``Signals`` against the plain network, within the bounds stated here."""
    signals = probe(setting, batch)
    parameters = weights(setting, batch=batch)
    plain = plain_measures(parameters, batch.inputs, batch.labels, setting.activation)
    after, before = plain["inputs_and_activations"], plain["preactivations"]
    gradients = plain["gradients"]
    assert signals.first_overflow is None

    def close(field, extra=0.0):
        """Relative error at most 1e-4, and what float32 adds where it is worse."""
        found, expected = getattr(signals, field), np.asarray(plain[field])
        assert found.shape == expected.shape and found.dtype == np.float64, field
        allowed = (TOLERANCE + extra) * np.abs(expected)
        wrong = ~(np.abs(found - expected) <= allowed)
        assert not wrong.any(), (field, found[wrong], expected[wrong], np.flatnonzero(wrong))

    # What a rounding in layer 1 grows to on its way is what a gradient grows by on its way back.
    size = np.sqrt(plain["gradient_second_moment"])
    grown = np.max(size[0] / np.where(size > 0, size, np.inf), initial=1.0)
    chaos = OPERATIONS * ROUNDING * grown

    close("activation_second_moment", chaos)
    close("preactivation_second_moment", chaos)
    close("weight_norm")
    found, expected = signals.loss, plain["loss"]
    # logits err relative to the largest of them, and the loss of one by no more than they do
    largest = np.abs(plain_logits(parameters, batch.inputs, setting.activation)).max()
    assert abs(found - expected) <= TOLERANCE * expected + OPERATIONS * ROUNDING * grown * largest

    # A value errs by rounding of its own size. Where the values vary much less than their size,
    # with t = error / deviation, a variance errs by 2 t + t^2 of itself.
    def variation(arrays):
        t = chaos + np.array([_relative(np.abs(x).max(), x.std()) for x in arrays]) * (
            OPERATIONS * ROUNDING
        )
        return 2 * t + t**2

    # z inherits the error of the layer before, a that of z
    extra = np.maximum(variation(after)[1:], variation(before))
    extra = np.maximum(extra, np.r_[0.0, extra[:-1]])
    close("activation_variance", np.r_[variation(after[:1]), extra])
    close("preactivation_variance", extra)

    # A cosine is a sum of products of unit vectors, and its mean is one of such sums.
    similar = np.asarray(plain["input_similarity"])
    if len(batch) > 1:
        room = TOLERANCE * np.abs(similar) + OPERATIONS * ROUNDING + chaos
        assert (np.abs(signals.input_similarity - similar) <= room).all()
    else:
        assert np.isnan(signals.input_similarity).all()

    # Layers that move by less than NO_VARIATION of their largest value, which was brought
    # between 1/2 and 1, have 0 effective neurons by definition; near to that, errors of the
    # centred values are t of their deviation, and the ratio of fourth powers errs by 4 t + O(t^2).
    for x, found, expected in zip(
        after[1:], signals.effective_neurons, plain["effective_neurons"], strict=True
    ):
        moves = _relative(np.sqrt(((x - x.mean(0)) ** 2).mean()), np.abs(x).max())
        if moves < NO_VARIATION / 4:
            assert found == 0
        elif moves > 8 * NO_VARIATION:
            t = OPERATIONS * ROUNDING / moves + chaos
            assert abs(found - expected) <= (TOLERANCE + 4 * t + 4 * t**2) * expected

    if setting.initializer in ("zeros", "constant"):
        # A readout of equal weights passes nothing back, since softmax gradients add up to 0:
        # initlab reads exactly 0, where float64 keeps its rounding, grown by the weights' norms.
        assert not signals.gradient_second_moment.any()
        assert not signals.weight_gradient_norm[:-1].any()
        rounding, scale = 2.0**-48, 1.0
        for layer in reversed(range(setting.depth)):
            scale *= 1.8 * np.linalg.norm(parameters[layer + 1][0])
            assert np.abs(gradients[layer]).max() <= rounding * scale
        last = plain["weight_gradient_norm"][-1]
        # logits are alike but for their biases, of which large ones keep few digits
        room = TOLERANCE + OPERATIONS * ROUNDING * largest
        assert signals.weight_gradient_norm[-1] == pytest.approx(last, rel=room)
    else:
        close("gradient_second_moment", 2 * chaos)
        close("weight_gradient_norm", 2 * chaos)

    below, above = ACTIVATIONS[setting.activation].flat_range
    for layer, (z, slope) in enumerate(zip(before, plain["slopes"], strict=True)):
        # those that rounding may take over the edge
        error = (OPERATIONS * ROUNDING + chaos) * np.abs(z).max()
        flat = [((z <= below - e) | (z >= above + e)).sum() for e in (error, -error)]
        assert flat[0] <= round(signals.saturated_fraction[layer] * z.size, 2) <= flat[1]
        # exactly 0 in float64, and no more than a rounding of the steepest slope, 1.76
        dead = [(np.abs(slope) <= e).all(axis=0).sum() for e in (0.0, 2 * ROUNDING)]
        if setting.activation in ("relu", "leaky_relu"):
            near = (np.abs(z) <= error).any(axis=0).sum()
            dead = [dead[0] - near, dead[1] + near]
        assert dead[0] <= round(signals.dead_fraction[layer] * z.shape[1], 2) <= dead[1]
        if setting.initializer not in ("zeros", "constant"):
            low, high = (
                distinct_units(after[layer + 1], gradients[layer], SAME_NEURON * factor)
                for factor in (10, 0.1)
            )
            assert low <= signals.distinct_neurons[layer] <= high

    for layer, x in enumerate(after):
        clipped = np.clip(x, HISTOGRAM_EDGES[0] + 1e-9, HISTOGRAM_EDGES[-1] - 1e-9)
        counts, _ = np.histogram(clipped, HISTOGRAM_EDGES)
        place = (x - HISTOGRAM_EDGES[0]) / 0.1
        error = 10 * ((OPERATIONS * ROUNDING + chaos) * np.abs(x).max() + ROUNDING * 4)
        near = (np.abs(place - np.round(place)) <= error).sum()
        assert np.abs(signals.activation_histogram[layer] - counts).sum() <= 2 * near
        assert signals.activation_histogram[layer].sum() == x.size


def _relative(part, whole):
    """A quotient that is infinite for 0 in the denominator, and 0 for 0 / 0."""
    return part / whole if whole > 0 else (np.inf if part > 0 else 0.0)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.initializer}-{s.activation}")
def test_every_field_agrees_with_the_plain_network(setting):
    """Source: the unrolled network in float64, differentiated by ``jax.grad``.

    Relative error at most 1e-4. The bounds where float32 itself is worse, each derived where it
    is used: variations much smaller than the values, whose rounding they carry; chaotic networks,
    which amplify the rounding of layer 1 like they amplify gradients; and gradients that are zero
    by structure, of which float64 leaves 1e-16 and initlab nothing.
    """
    assert_agrees(setting)


def test_another_shape_of_data_and_other_classes():
    """Source: the plain network; spirals have 2 features and 3 classes."""
    assert_agrees(Setting(4, WIDTH, "gelu", "he_normal"), data.spirals(48, classes=3))


def test_a_single_example():
    """Source: the plain network. There is no other example, hence no similarity and no spread."""
    setting = Setting(3, WIDTH, "tanh", "orthogonal", bias_std=0.1)
    assert_agrees(setting, data.digits(1))
    assert not probe(setting, data.digits(1)).effective_neurons.any()


@pytest.mark.parametrize("depth", [20, 128])
def test_gradients_do_not_underflow(depth):
    """Source: the plain network in float64, which reaches down to 1e-308, float32 to 1e-38.

    Relative errors add up over the layers: ``depth`` times 16 roundings, on both ways. Signals
    are those of a float32 network, which holds nothing under 2^-126: from 2^-102 down they lose
    digits, and with them the gradients of the weights that they feed; these are left out here.
    """
    setting = Setting(depth, WIDTH, "tanh", "glorot_normal", gain=0.01 if depth == 20 else 0.3)
    signals = probe(setting, BATCH)
    plain = plain_measures(weights(setting), BATCH.inputs, BATCH.labels, "tanh")
    expected = np.array(plain["gradient_second_moment"])
    assert 0 < expected[0] < 1e-74
    tolerance = 4 * depth * OPERATIONS * ROUNDING
    np.testing.assert_allclose(signals.gradient_second_moment, expected, rtol=tolerance)
    held = np.array([np.abs(x).max() for x in plain["inputs_and_activations"]]) > 2.0**-102
    assert held.sum() > 10 and not held.all()
    expected = np.array(plain["weight_gradient_norm"])[held]
    np.testing.assert_allclose(signals.weight_gradient_norm[held], expected, rtol=tolerance)


def test_small_examples_make_up_the_gradient_where_large_ones_have_none():
    """Source: the plain network. Examples that layer 1 has at 1e28 meet a flat SELU in layer 3.

    Of all others layer 1 makes -1.76, and theirs is the whole gradient.
    """
    inputs = 1e29 * np.random.default_rng(0).standard_normal((12, 16))
    batch = data.Batch(np.float32(inputs), np.arange(12) % 3)
    setting = Setting(3, 1, "selu", "normal")
    parameters = weights(setting, batch=batch)
    gradients = plain_weight_gradients(parameters, batch.inputs, batch.labels, "selu")
    expected = [np.linalg.norm(weight) for weight, _ in gradients]
    assert 0 < expected[1] < 1e-3
    np.testing.assert_allclose(probe(setting, batch).weight_gradient_norm, expected, rtol=TOLERANCE)


@pytest.mark.parametrize("activation", [n for n in ACTIVATIONS if ACTIVATIONS[n].zero_at_zero])
def test_zeros_leave_a_gradient_in_the_readouts_bias_alone(activation):
    """Source: the plain network; hand: where phi(0) = 0 the readout's gradient is h^T delta = 0."""
    setting = Setting(5, WIDTH, activation, "zeros")
    gradients = plain_weight_gradients(weights(setting), BATCH.inputs, BATCH.labels, activation)
    assert all(not matrix.any() for matrix, _ in gradients)
    assert all(not bias.any() for _, bias in gradients[:-1])
    assert np.abs(gradients[-1][1]).max() > 0.01
    signals = probe(setting, BATCH)
    assert not signals.weight_gradient_norm.any() and not signals.gradient_second_moment.any()
    assert not signals.activation_variance[1:].any()
    assert (signals.distinct_neurons == 1).all()
    assert signals.loss == pytest.approx(np.log(10), rel=1e-6)


def test_zeros_with_sigmoid_leave_the_readout_a_gradient():
    """Source: the plain network: phi(0) = 1/2 reaches the readout's weights."""
    signals = probe(Setting(5, WIDTH, "sigmoid", "zeros"), BATCH)
    assert not signals.weight_gradient_norm[:-1].any() and signals.weight_gradient_norm[-1] > 0.01


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_constant_weights_make_one_neuron_of_every_layer(activation):
    """Source: symmetry: units with the same weights, in and out, do the same."""
    for depth, gain in ((1, 1.0), (7, 0.3), (30, 1.0), (128, 0.6)):
        signals = probe(Setting(depth, WIDTH, activation, "constant", gain=gain), BATCH)
        finite = ~np.isnan(signals.distinct_neurons)
        assert finite.all() or signals.first_overflow is not None
        assert (signals.distinct_neurons[finite] == 1).all()


def test_constant_weights_at_width_512():
    """Source: symmetry. Sums of 512 terms, in whatever order, do not look like other neurons."""
    for activation in ("tanh", "selu"):
        setting = Setting(128, 512, activation, "constant", gain=20 / 512, bias_std=0.0)
        signals = probe(setting, data.digits(32))
        assert signals.first_overflow is None
        assert (signals.distinct_neurons == 1).all()


@pytest.mark.parametrize("initializer", ["glorot_normal", "orthogonal", "sparse"])
def test_one_more_layer_leaves_the_signals_before_it_bit_identical(initializer):
    """Source: identity. What comes before a layer does not depend on it."""
    setting = Setting(20, WIDTH, "tanh", initializer, gain=1.3, bias_std=0.1)
    short, long = probe(setting, BATCH), probe(setting.replace(depth=21), BATCH)
    for field in (
        "activation_variance",
        "activation_second_moment",
        "input_similarity",
        "activation_histogram",
        "preactivation_variance",
        "preactivation_second_moment",
        "saturated_fraction",
        "effective_neurons",
    ):
        ours = getattr(short, field)
        np.testing.assert_array_equal(ours, getattr(long, field)[: len(ours)], err_msg=field)
    again = probe(setting, BATCH)  # after the draws and the scratch were used for more
    np.testing.assert_array_equal(again.gradient_second_moment, short.gradient_second_moment)


def plain_overflow(setting, batch, dtype):
    """The hidden layer where a plain NumPy forward pass first holds a value that is not finite.

    Weights, inputs and every layer are rounded to ``dtype``, sums are taken in float32.
    """
    phi = {"relu": lambda z: np.maximum(z, 0), "linear": lambda z: z}[setting.activation]
    x = batch.inputs.astype(dtype)
    largest = []
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, (weight, bias) in enumerate(weights(setting), start=1):
            z = (x.astype(np.float32) @ weight).astype(dtype) + bias.astype(dtype)
            x = phi(z).astype(dtype)
            largest.append(np.abs(z.astype(np.float64)).max())
            if not np.isfinite(z.astype(np.float32)).all():
                return layer, largest
    return None, largest


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize(
    ("dtype", "gain"),
    [("float32", 100.0), ("bfloat16", 100.0), ("float16", 100.0), ("float16", 4.0)],
)
def test_overflow_is_found_where_a_plain_forward_pass_has_it(dtype, gain, activation):
    """Source: a forward pass in NumPy, with ml_dtypes for bfloat16.

    Each layer multiplies values by more than 2, so the layer where they pass the largest number
    is the same unless the last finite one came within rounding of it: 2^-7 in bfloat16.
    """
    setting = Setting(60, WIDTH, activation, "he_normal", gain=gain, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signals = probe(setting, BATCH)
        text = str(signals)
    layer, largest = plain_overflow(setting, BATCH, jnp.dtype(dtype))
    limit = float(jnp.finfo(dtype).max)
    assert largest[layer - 2] < limit * (1 - 2**-4)  # not within rounding
    assert signals.first_overflow == layer
    assert f"values overflow {dtype} at layer {layer}" in text
    assert np.isfinite(signals.activation_variance[:layer]).all()
    assert np.isinf(signals.activation_variance[layer:]).all()
    assert np.isinf(signals.preactivation_second_moment[layer - 1 :]).all()
    assert np.isnan(signals.gradient_second_moment).all()
    assert np.isnan(signals.weight_gradient_norm).all() and np.isnan(signals.loss)
    assert np.isfinite(signals.effective_neurons[: layer - 1]).all()
    assert np.isnan(signals.effective_neurons[layer - 1 :]).all()
    assert not signals.activation_histogram[layer:].any()


def test_float16_overflows_before_bfloat16_and_float32():
    """Source: the largest numbers of the formats: 65504, and 3.4e38 for the two others."""
    setting = Setting(60, WIDTH, "relu", "he_normal", gain=100.0)
    layers = {
        d: probe(setting.replace(dtype=d), BATCH).first_overflow
        for d in ("float16", "bfloat16", "float32")
    }
    assert layers["float16"] < layers["bfloat16"]
    # each layer multiplies by the gain: log(65504)/log(100) = 2.4 and log(3.4e38)/log(100) = 19.3
    assert layers["float16"] in (2, 3)
    assert abs(layers["bfloat16"] - 19.3) < 2 and abs(layers["float32"] - 19.3) < 2


def test_overflow_of_the_readout_alone():
    """Source: NumPy's forward pass. Some logits are -inf here, which leaves gradients finite."""
    depth = 18
    signals = probe(Setting(depth, WIDTH, "relu", "he_normal", gain=100.0), BATCH)
    plain, _ = plain_overflow(signals.setting, BATCH, np.dtype("float32"))
    assert signals.first_overflow == plain == depth + 1
    assert np.isfinite(signals.activation_variance).all()
    assert np.isnan(signals.gradient_second_moment).all()
    assert "at the readout" in str(signals)


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_a_lower_precision_measures_the_rounded_network(dtype, bits):
    """Source: the plain float64 network with the rounded weights.

    Every value is rounded to ``bits`` bits, in four steps a layer (product, bias, activation,
    slope); in a second moment over 2,048 values the errors' squares stay, 2^-2bits, and twice
    their mean, which is at most the rounding of a layer.
    """
    setting = Setting(4, WIDTH, "tanh", "glorot_normal", gain=1.2, bias_std=0.1, dtype=dtype)
    signals = probe(setting, BATCH)
    plain = plain_measures(weights(setting), BATCH.inputs, BATCH.labels, "tanh")
    tolerance = 2 * 4 * setting.depth * 2.0**-bits
    for field in ("activation_second_moment", "gradient_second_moment", "weight_gradient_norm"):
        np.testing.assert_allclose(getattr(signals, field), plain[field], rtol=tolerance)
    full = probe(setting.replace(dtype="float32"), BATCH)
    assert not np.array_equal(full.activation_second_moment, signals.activation_second_moment)


def test_no_slider_but_width_compiles():
    """Source: the size of the compiled function's cache."""
    for initializer in menu():  # drawing is compiled by itself
        probe(Setting(2, WIDTH, initializer=initializer), BATCH)
    before = network._measure._cache_size()
    chance = random.Random(1)
    for _ in range(50):
        probe(
            Setting(
                depth=chance.randint(1, 128),
                width=WIDTH,
                activation=chance.choice(list(ACTIVATIONS)),
                initializer=chance.choice(menu()),
                gain=10 ** chance.uniform(-2, 2),
                bias_std=chance.choice([0.0, 0.5]),
                seed=chance.randint(0, 2),
            ),
            BATCH,
        )
    assert network._measure._cache_size() == before


def test_probing_changes_no_configuration():
    assert not jax.config.jax_enable_x64
    assert initlab.probe(Setting(2, WIDTH), BATCH).activation_variance.dtype == np.float64
    assert jnp.ones(1).dtype == jnp.float32
