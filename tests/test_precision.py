import numpy as np
import pytest

from initlab import Batch, Setting, data, probe
from initlab.precision import predicted_overflow

BATCH = data.digits(64)
STARTS = [
    ("relu", "he_normal"),
    ("linear", "lecun_normal"),
    ("linear", "orthogonal"),
    ("relu", "glorot_uniform"),
]


def measured(setting, seeds=3):
    return [probe(setting.replace(seed=seed), BATCH).first_overflow for seed in range(seeds)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(("activation", "initializer"), STARTS)
@pytest.mark.parametrize("gain", [4.0, 8.0, 20.0, 100.0])
def test_overflow_comes_where_it_is_predicted(activation, initializer, gain, dtype):
    """Within one layer, where a layer multiplies by more than networks differ."""
    setting = Setting(60, 32, activation, initializer, gain=gain, dtype=dtype)
    expected = predicted_overflow(setting, BATCH)
    for layer in measured(setting):
        if expected is None:
            assert layer is None
        else:
            assert abs(layer - expected) <= 1


@pytest.mark.parametrize(("activation", "initializer"), STARTS)
@pytest.mark.parametrize("gain", [1.5, 2.0])
def test_slow_overflow_comes_within_the_band(activation, initializer, gain):
    """Where a layer multiplies by less, the networks' own spread, to three deviations, decides."""
    setting = Setting(100, 32, activation, initializer, gain=gain, dtype="float16")
    early, typical, late = (predicted_overflow(setting, BATCH, d) for d in (3, 0, -3))
    if late is None:
        assert typical is None or typical > 60
        return
    assert early <= typical <= late
    for layer in measured(setting):
        assert early - 1 <= layer <= late + 1


def test_input_and_readout_may_overflow_too():
    large = Batch(BATCH.inputs * 1e5, BATCH.labels, 10)
    setting = Setting(4, 32, "linear", "orthogonal", dtype="float16")
    assert predicted_overflow(setting, large) == 0 == probe(setting, large).first_overflow
    setting = Setting(6, 32, "linear", "orthogonal", gain=1e6)
    assert predicted_overflow(setting, BATCH) == 7 == probe(setting, BATCH).first_overflow


def test_what_stays_in_range_is_not_predicted_to_leave_it():
    for setting in (
        Setting(100, 32, "tanh", "lecun_normal", gain=20.0, dtype="float16"),
        Setting(100, 32, "relu", "he_normal"),
        Setting(100, 32, "relu", "he_normal", gain=0.0),
    ):
        assert predicted_overflow(setting, BATCH) is None
        assert measured(setting, seeds=1) == [None]


def test_theory_is_silent_about_patterns():
    assert predicted_overflow(Setting(60, 32, "linear", "constant", gain=1e3), BATCH) is None


def test_the_default_batch_is_256_digits():
    setting = Setting(40, 32, "relu", "he_normal", gain=8.0, dtype="float16")
    assert predicted_overflow(setting) == predicted_overflow(setting, data.digits(256))
    assert isinstance(predicted_overflow(setting), int)


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match="takes a Setting"):
        predicted_overflow("relu")
    with pytest.raises(TypeError, match="batch must be a Batch"):
        predicted_overflow(Setting(3, 32), np.ones((3, 64)))
