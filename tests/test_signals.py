import re

import numpy as np
import pytest

from initlab import Batch, Residual, Setting, data, probe, weights
from initlab.signals import LAYER_FIELDS
from tests.plain_network import plain_weight_gradients

pytestmark = pytest.mark.numerics

BATCH = data.digits(64)
SETTING = Setting(12, 32, "relu", "he_normal", bias_std=0.1)


@pytest.fixture(scope="module")
def signals():
    return probe(SETTING, BATCH)


def test_shapes(signals):
    on_all = {"activation_variance", "activation_second_moment", "input_similarity"}
    on_weights = {"weight_gradient_norm", "weight_norm"}
    for field in LAYER_FIELDS:
        values = getattr(signals, field)
        assert values.dtype == np.float64
        assert values.shape == (13 if field in on_all | on_weights else 12,), field
    assert signals.activation_histogram.shape == (13, 61)
    assert signals.histogram_edges.shape == (62,)
    assert signals.depth == 12 and signals.setting == SETTING and signals.batch is BATCH


def test_layer_0_is_the_input(signals):
    """Source: NumPy in float64."""
    inputs = BATCH.inputs.astype(float)
    assert signals.activation_variance[0] == pytest.approx(inputs.var(), rel=1e-6)
    assert signals.activation_second_moment[0] == pytest.approx((inputs**2).mean(), rel=1e-6)


def test_the_default_batch_is_256_digits():
    setting = Setting(2, 32)
    by_default, given = probe(setting), probe(setting, data.digits(256))
    np.testing.assert_array_equal(by_default.batch.labels, data.digits(256).labels)
    np.testing.assert_array_equal(by_default.activation_variance, given.activation_variance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tanh",), "probe takes a Setting, such as Setting(depth=50), not 'tanh'"),
        (({"depth": 3},), "probe takes a Setting"),
        (
            (SETTING, np.ones((3, 64))),
            "batch must be a Batch, such as Batch(inputs, labels), not nd",
        ),
        ((SETTING, "digits"), "not str"),
    ],
)
def test_wrong_types_are_named(arguments, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        probe(*arguments)


def test_gradients_do_not_depend_on_the_batchs_size():
    """Source: the definition: each example has its own loss, so copies change nothing."""
    one = data.digits(1)
    many = Batch(np.tile(one.inputs, (64, 1)), np.tile(one.labels, 64), 10)
    once, often = probe(SETTING, one), probe(SETTING, many)
    for field in ("gradient_second_moment", "weight_gradient_norm", "activation_variance"):
        np.testing.assert_allclose(getattr(often, field), getattr(once, field), rtol=1e-5)


def test_the_printed_table(signals):
    setting_line, header, *rows = str(signals).splitlines()
    assert setting_line == repr(SETTING)
    assert header.split() == [
        "layer", "variance", "E[a^2]", "E[gradient^2]", "distinct", "effective", "similarity",
    ]  # fmt: skip
    assert len(rows) == 8  # never more
    table = [row.split() for row in rows]
    layers = [int(row[0]) for row in table]
    assert layers[0] == 0 and layers[-1] == 12 and layers == sorted(set(layers))
    assert table[0][3:6] == ["-", "-", "-"]
    for row, layer in zip(table[1:], layers[1:], strict=True):
        printed = [float(cell) for cell in row[1:]]
        expected = [
            signals.activation_variance[layer],
            signals.activation_second_moment[layer],
            signals.gradient_second_moment[layer - 1],
            signals.distinct_neurons[layer - 1],
            signals.effective_neurons[layer - 1],
            signals.input_similarity[layer],
        ]
        np.testing.assert_allclose(printed, expected, rtol=5e-3, atol=5e-2)
        np.testing.assert_allclose(printed[:3], expected[:3], rtol=5e-3)
    assert len({len(row) for row in rows}) == 1  # columns stand under each other


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_a_shallow_network_prints_every_layer(depth):
    rows = str(probe(SETTING.replace(depth=depth), BATCH)).splitlines()[2:]
    assert [int(row.split()[0]) for row in rows] == list(range(depth + 1))


def test_two_prints_are_the_same(signals):
    assert str(probe(SETTING, BATCH)) == str(signals)


def test_the_dataset_holds_every_field_by_layer(signals):
    dataset = signals.to_dataset()
    assert set(dataset.data_vars) == {*LAYER_FIELDS, "activation_histogram"}
    for field in LAYER_FIELDS:
        variable, values = dataset[field], getattr(signals, field)
        np.testing.assert_array_equal(variable.values, values)
        (dimension,) = variable.dims
        first = 0 if dimension == "layer" else 1
        assert dataset[dimension].values.tolist() == list(range(first, first + len(values)))
    assert dataset["weight_norm"].dims == ("weight_layer",)
    assert dataset["dead_fraction"].dims == ("hidden_layer",)
    np.testing.assert_array_equal(dataset["activation_histogram"], signals.activation_histogram)
    np.testing.assert_allclose(dataset["bin"], np.arange(-30, 31) / 10, atol=1e-12)


def test_the_dataset_remembers_the_setting(signals):
    attributes = signals.to_dataset().attrs
    assert Setting(**{name: attributes[name] for name in vars(SETTING)}) == SETTING
    assert attributes["loss"] == signals.loss
    assert attributes["first_overflow"] == -1  # none; files know no None
    overflown = probe(SETTING.replace(gain=1e6), BATCH)
    assert overflown.to_dataset().attrs["first_overflow"] == overflown.first_overflow > 0


def test_update_to_weight_ratio_is_that_of_a_step_taken(signals):
    """Source: one step of SGD on the plain float64 network."""
    network = weights(SETTING)
    gradients = plain_weight_gradients(network, BATCH.inputs, BATCH.labels, "relu")
    for rate in (0.01, 0.5):
        expected = []
        for (matrix, _), (gradient, _) in zip(network, gradients, strict=True):
            after = matrix.astype(float) - rate * gradient
            expected.append(np.linalg.norm(after - matrix) / np.linalg.norm(matrix))
        np.testing.assert_allclose(signals.update_to_weight_ratio(rate), expected, rtol=1e-4)
    np.testing.assert_array_equal(
        signals.update_to_weight_ratio(), signals.update_to_weight_ratio(0.01)
    )


def test_zero_weights_have_no_update_ratio():
    zeros = probe(SETTING.replace(initializer="zeros"), BATCH)
    assert np.isnan(zeros.update_to_weight_ratio()).all()


@pytest.mark.parametrize(
    "setting",
    [Setting(depth=3, width=16, bias_std=0.3, initializer="torch_default"), Residual(3, 16)],
)
def test_given_weights_are_measured_as_drawn_ones(setting):
    batch = data.digits(16)
    drawn, given = probe(setting, batch), probe(setting, batch, weights(setting))
    for name in LAYER_FIELDS:
        # a scale that is applied before the product, not after it: a few roundings
        np.testing.assert_allclose(getattr(given, name), getattr(drawn, name), rtol=2e-5)
    with pytest.raises(ValueError, match="weights must have the shapes of the setting's"):
        probe(setting, batch, weights(setting.replace(width=8)))
    with pytest.raises(TypeError, match=r"weights must be .* weights returns"):
        probe(setting, batch, [1, 2])


def test_only_what_is_measured_by_layer_is_found_by_layer():
    signals = probe(Setting(depth=2, width=16), data.digits(8))
    for name in ("setting", "loss", "dead_fractoin", "__class__"):
        with pytest.raises(ValueError, match=f"unknown measure '{name}'"):
            signals.by_layer(name)
    assert signals.by_layer("dead_fraction") is signals.dead_fraction


def test_an_example_that_is_not_there_has_no_jacobian():
    """JAX would take the last one for any beyond it."""
    signals = probe(Setting(depth=2, width=16), data.digits(8))
    with pytest.raises(
        ValueError, match=r"example must be .* from 0 to 7, not 8; the nearest is 7"
    ):
        signals.jacobian_singular_values(8)
    with pytest.raises(ValueError, match=r"learning_rate must be .*, not nan"):
        signals.update_to_weight_ratio(float("nan"))
