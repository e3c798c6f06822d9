"""Early warnings: each failure made on purpose, and a start that shows none."""

import numpy as np
import optax
import pytest

from initlab import Setting, data, diagnose, early_warnings, probe, train, weights
from initlab.failures import GRADIENT_FACTOR
from initlab.warning_signs import LOSS_FALL, UPDATE_FACTOR, UPDATE_RATIO

pytestmark = pytest.mark.numerics

BATCH = data.digits(96)
TANH, LINEAR = Setting(8, 16, "tanh"), Setting(8, 16, "linear")
STARTS = {
    "healthy": TANH,
    "zeros": TANH.replace(initializer="zeros"),
    "vanishing": TANH.replace(gain=0.2),
    "diverges": LINEAR.replace(gain=3.0),
    "overflows": LINEAR.replace(gain=1e6),
    "exploding": LINEAR.replace(gain=2.0),
}


@pytest.fixture(scope="module")
def history():
    return train(STARTS, BATCH, steps=20, record_every=1, optimizer=optax.sgd(1e-3))


def modes(history, start, within=10):
    place = history.names.index(start)
    return {sign.mode: sign for sign in early_warnings(history, within)[place]}


def test_a_healthy_start_shows_nothing(history):
    longer = train(TANH, BATCH, steps=40, optimizer=optax.sgd(0.1))
    assert early_warnings(longer, 40)[0] == ()


def test_modes_and_layers_are_those_of_the_diagnosis_before_training(history):
    """Source: diagnose. What a history does not record is left out."""
    told = {"symmetry collapse", "vanishing gradients", "exploding gradients"}
    for name in ("healthy", "zeros", "vanishing", "exploding"):
        failures = diagnose(probe(STARTS[name], BATCH)).failures
        expected = {f.mode: f.first_layer for f in failures if f.mode in told}
        found = {m: s.layer for m, s in modes(history, name, 1).items() if m in told}
        assert found == expected, name
        assert all(modes(history, name)[mode].step == 0 for mode in expected)
    gradient = history.gradient_second_moment[history.names.index("vanishing"), 0]
    small = np.flatnonzero(gradient < gradient[-1] / GRADIENT_FACTOR)
    assert modes(history, "vanishing")["vanishing gradients"].layer == small.max() + 1


def test_a_divergence_is_named_with_step_and_layer(history):
    for name, mode in (("diverges", "divergence"), ("overflows", "numerical overflow")):
        place = history.names.index(name)
        found = modes(history, name)
        assert list(found)[-1] == mode
        assert found[mode].step == history.diverged_at[place]
        assert found[mode].layer == history.diverged_layer[place]
    assert history.diverged_at[history.names.index("overflows")] == 0
    between = train(STARTS["diverges"], BATCH, steps=20, record_every=10, optimizer=optax.sgd(1e-3))
    sign = early_warnings(between, 10)[0][-1]
    assert sign.mode == "divergence" and 0 < sign.step < 10


def test_a_loss_that_does_not_fall(history):
    assert "loss not falling" in modes(history, "zeros")
    loss = history.loss[history.names.index("zeros")]
    assert loss[:11].min() > (1 - LOSS_FALL) * loss[0]


@pytest.mark.parametrize(
    ("rate", "mode"), [(0.5, "updates too large"), (1e-7, "updates too small")]
)
def test_steps_far_from_a_thousandth_of_the_weights(rate, mode):
    history = train(TANH, BATCH, steps=10, record_every=1, optimizer=optax.adam(rate))
    (sign,) = [sign for sign in early_warnings(history, 5)[0] if sign.mode.startswith("updates")]
    assert sign.mode == mode and sign.step == 1 and sign.layer == 1
    ratio = history.update_ratio[0, 1, 0]
    factor = ratio / UPDATE_RATIO if mode.endswith("large") else UPDATE_RATIO / ratio
    assert factor > UPDATE_FACTOR


def test_a_readout_that_is_zero_and_learns_first_is_no_failure():
    start = weights(TANH)
    start[-1] = tuple(np.zeros_like(array) for array in start[-1])
    options = {"steps": 8, "record_every": 1, "optimizer": optax.adam(1e-2)}
    history = train(TANH, BATCH, initial=start, **options)
    assert (history.gradient_second_moment[0, 0] == 0).all()
    assert early_warnings(history, 8)[0] == ()


def test_the_table_has_a_row_for_each_start(history):
    warnings = early_warnings(history)
    assert warnings.within == 2 and len(warnings) == len(STARTS)
    rows = list(warnings.table())
    assert [row["start"] for row in rows] == list(STARTS)
    assert "symmetry collapse from layer 1 on, from step 0 on" in rows[1]["warnings"]
    assert "zeros" in repr(warnings) and "<table>" in warnings._repr_markdown_()


@pytest.mark.parametrize(
    ("within", "error", "message"),
    [
        (0, ValueError, "within must be a whole number from 1 to 20, not 0; the nearest is 1"),
        (21, ValueError, "the nearest is 20"),
        ("soon", TypeError, "within must be"),
    ],
)
def test_a_step_out_of_range_is_named(history, within, error, message):
    with pytest.raises(error, match=message):
        early_warnings(history, within)


def test_what_is_no_history_is_named():
    with pytest.raises(TypeError, match="takes the History that train returns"):
        early_warnings(TANH)
    start_alone = train(TANH, BATCH, steps=4, progress=lambda *_: False)
    with pytest.raises(ValueError, match="records of two steps"):
        early_warnings(start_alone)
