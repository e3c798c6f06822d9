"""Recurrent networks against their papers' equations in float64, and against closed forms."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import Recurrent, data, diagnose, probe, weights
from initlab.architectures import chain, measuring
from initlab.architectures.cells import CELLS
from initlab.quadrature import double_precision
from tests import plain_recurrent as plain

pytestmark = pytest.mark.numerics

BATCH = data.digits(16)
TOLERANCE = 1e-4  # relative, of any gradient

SETTINGS = [
    Recurrent(steps=10, width=16, cell=cell, activation=activation, seed=seed, **more)
    for seed, (cell, activation, more) in enumerate(
        [
            ("simple", "tanh", {"gain": 1.1}),
            ("simple", "relu", {"recurrent_initializer": "he_normal"}),
            ("simple", "linear", {"recurrent_initializer": "lecun_normal"}),
            ("simple", "sigmoid", {"recurrent_initializer": "glorot_uniform", "gain": 2.0}),
            ("lstm", "tanh", {}),
            ("lstm", "tanh", {"recurrent_initializer": "lecun_normal", "forget_bias": 2.0}),
            ("lstm", "relu", {"gain": 0.5}),
            ("gru", "tanh", {}),
            ("gru", "silu", {"recurrent_initializer": "glorot_normal", "forget_bias": 3.0}),
        ]
    )
]


def name(setting):
    return f"{setting.cell}-{setting.activation}-{setting.recurrent_initializer}"


@pytest.mark.parametrize("setting", SETTINGS, ids=name)
def test_signals_and_gradients_are_those_of_the_papers_equations(setting):
    signals = probe(setting, BATCH)
    with double_precision():
        w = plain.float64(weights(setting))
        states, _ = plain.run(setting, w, plain.silent_probes(setting, 16), BATCH.inputs)
        gradients = plain.gradients(setting, w, BATCH.inputs, BATCH.labels)
        by_state = [np.mean([np.mean(g**2) for g in step.values()]) for step in gradients]
        moments = [np.mean([np.mean(v**2) for v in step.values()]) for step in states]
        loss = plain.losses(
            setting, w, plain.silent_probes(setting, 16), BATCH.inputs, BATCH.labels
        ).mean()
    np.testing.assert_allclose(signals.gradient_second_moment, by_state, rtol=TOLERANCE)
    np.testing.assert_allclose(signals.preactivation_second_moment, moments, rtol=TOLERANCE)
    assert signals.loss == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("setting", SETTINGS, ids=name)
def test_the_plain_function_has_the_gradients_of_the_papers_equations(setting):
    """``logits``, which training differentiates, entry by entry."""
    with double_precision():
        w = plain.float64(weights(setting))
        expected = plain.weight_gradients(setting, w, BATCH.inputs, BATCH.labels)

        def loss(w):
            answers = chain.logits(setting, w, jnp.asarray(BATCH.inputs, jnp.float64))
            chosen = jax.nn.log_softmax(answers)[jnp.arange(16), BATCH.labels]
            return -chosen.mean()

        found = jax.grad(loss)(w)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-7 * np.abs(other).max())


def test_the_steps_parts_of_the_weight_gradient_are_those_of_unshared_weights():
    setting = SETTINGS[0]
    signals = probe(setting, BATCH)
    with double_precision():
        w = plain.float64(weights(setting))
        states, _ = plain.run(setting, w, plain.silent_probes(setting, 16), BATCH.inputs)
        gradients = plain.gradients(setting, w, BATCH.inputs, BATCH.labels)
        h = np.tanh(states[8]["h"])  # after the rows: the input weights read zeros
        part = np.linalg.norm(h.T @ gradients[9]["h"]) / 16
    assert signals.weight_gradient_norm[9] == pytest.approx(part, rel=TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
def test_a_longer_sequence_has_the_same_first_steps(cell):
    short = probe(Recurrent(steps=5, width=16, cell=cell), BATCH)
    long = probe(Recurrent(steps=40, width=16, cell=cell), BATCH)
    np.testing.assert_allclose(
        short.activation_second_moment, long.activation_second_moment[:6], rtol=1e-6
    )


def test_a_digit_is_read_row_by_row_and_then_there_is_silence():
    """With zero recurrent weights a state is what was read in its step."""
    setting = Recurrent(steps=11, width=16, recurrent_initializer="zeros", activation="linear")
    found = probe(setting, BATCH).preactivation_second_moment
    read = weights(setting).layers["input"]
    rows = BATCH.inputs.reshape(16, 8, 8)
    expected = [np.mean((rows[:, step] @ read) ** 2) for step in range(8)]
    np.testing.assert_allclose(found, [*expected, 0, 0, 0], rtol=1e-5)


def test_features_that_fill_no_whole_row_are_read_to_the_end():
    batch = data.gaussian(16, features=11, classes=3)
    setting = Recurrent(steps=4, width=16, recurrent_initializer="zeros", activation="linear")
    found = probe(setting, batch).preactivation_second_moment
    read = weights(setting, 11, 3).layers["input"]
    expected = [np.mean((batch.inputs[:, :8] @ read) ** 2)]
    expected += [np.mean((batch.inputs[:, 8:] @ read[:3]) ** 2), 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# --- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_zero_recurrent_weights_forget_like_sigmoid_of_the_bias(cell, bias):
    """In silence, c_t = sigmoid(b) c_(t-1), and the gradient likewise on its way back."""
    forgets = Recurrent(
        steps=30, width=16, cell=cell, recurrent_initializer="zeros", forget_bias=bias
    )
    kept = 1 / (1 + np.exp(-bias))
    assert kept == pytest.approx({0.0: 0.5, 1.0: 0.7311, 2.0: 0.8808}[bias], abs=5e-5)
    signals = probe(forgets, BATCH)
    np.testing.assert_allclose(signals.more["forget_gate"][8:], kept, rtol=1e-6)

    # in silence, and before the last step, whose h is read
    gradient = signals.gradient_second_moment[8:29]
    steps = np.arange(20, -1, -1)
    np.testing.assert_allclose(gradient, gradient[-1] * kept ** (2.0 * steps), rtol=1e-5)
    if cell == "gru":
        size = signals.activation_second_moment[9:]
        np.testing.assert_allclose(size, size[0] * kept ** (2.0 * np.arange(22)), rtol=1e-5)


def test_identity_and_relu_keep_the_state_for_ever():
    keeps = Recurrent(steps=512, width=16, activation="relu", recurrent_initializer="identity")
    signals = probe(keeps, BATCH)
    assert len(set(signals.activation_second_moment[8:])) == 1  # to the last bit
    assert len(set(signals.gradient_second_moment[8:])) == 1


def test_identity_and_relu_have_the_identity_as_jacobian():
    """Without input, from a positive state: d h_T / d h_0 = I."""
    setting = Recurrent(steps=2, width=8, activation="relu", recurrent_initializer="identity")
    cell, knobs = setting.chain(8, 2), setting.knobs()
    w = weights(setting, 8, 2).layers

    @jax.jit
    def after_100(h):
        def step(_, h):
            return cell.memory(knobs, cell.advance(w, knobs, jnp.zeros((1, 8)), h[None]))[0]

        return jax.lax.fori_loop(0, 100, step, h)

    h0 = jnp.linspace(0.1, 2.0, 8)
    np.testing.assert_array_equal(after_100(h0), h0)
    np.testing.assert_array_equal(jax.jacobian(after_100)(h0), np.eye(8))


def test_linear_orthogonal_weights_are_an_isometry_through_512_steps():
    setting = Recurrent(steps=512, width=16, activation="linear")
    values = probe(setting, BATCH).jacobian_singular_values()
    # float32 keeps a matrix orthogonal to an epsilon, 1.2e-7, and here it is the same 512 times
    np.testing.assert_allclose(values, 1, atol=512 * 1.2e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_singular_values_are_those_of_the_jacobian_through_time(cell):
    setting = Recurrent(steps=10, width=8, cell=cell, gain=1.2, seed=3)
    found = probe(setting, BATCH).jacobian_singular_values(example=5)
    with double_precision():
        w = plain.float64(weights(setting))
        parts = ("h", "c") if cell == "lstm" else ("h",)

        def last(start):
            memory = {part: start[None, 8 * i : 8 * i + 8] for i, part in enumerate(parts)}
            for t in range(10):
                x = BATCH.inputs[5:6, 8 * t : 8 * t + 8] if t < 8 else np.zeros((1, 8))
                _, memory = plain.CELLS[cell](w.layers, jnp.asarray(x), memory, jnp.tanh)
            return jnp.concatenate([memory[part][0] for part in parts])

        jacobian = np.asarray(jax.jacobian(last)(jnp.zeros(8 * len(parts))))
    expected = np.linalg.svd(jacobian, compute_uv=False)
    kept = np.isfinite(found)
    assert kept.sum() >= 6  # float32 may lose the smallest
    # float32 errs by its rounding of the largest value
    np.testing.assert_allclose(found[kept], expected[kept], rtol=TOLERANCE, atol=2e-6 * expected[0])


def test_normal_weights_fill_the_disk_of_their_gain():
    """Spectral radius g, largest singular value 2 g, up to what a finite matrix adds.

    The edge of the circular law fluctuates by sqrt(ln n / (4 n)), 0.06 at n = 400 (Rider 2003),
    that of the singular values by n^(-2/3), 0.02 (Tracy & Widom): three times that is allowed.
    """
    setting = Recurrent(width=400, recurrent_initializer="lecun_normal", gain=0.8)
    (eigenvalues,) = initlab.spectrum(setting)
    assert abs(eigenvalues).max() == pytest.approx(0.8, rel=0.18)
    inside = np.mean(abs(eigenvalues) < 0.4)  # a quarter of the disk; 100 of 400, give or take 9
    assert inside == pytest.approx(0.25, abs=0.07)
    largest = np.linalg.svd(weights(setting).layers["recurrent"], compute_uv=False)[0]
    assert largest == pytest.approx(1.6, rel=0.06)


@pytest.mark.parametrize(("cell", "blocks"), [("simple", 1), ("lstm", 4), ("gru", 3)])
def test_spectra_are_those_of_the_weights_block_by_block(cell, blocks):
    setting = Recurrent(width=12, cell=cell, recurrent_initializer="glorot_normal", gain=1.7)
    found = initlab.spectrum(setting)
    assert found.shape == (blocks, 12)
    layers = weights(setting).layers
    matrices = [layers[key] for key in layers if key.endswith("recurrent")]
    for row, matrix in zip(found, matrices, strict=True):
        expected = np.linalg.eigvals(matrix.astype(np.float64))
        np.testing.assert_allclose(np.sort_complex(row), np.sort_complex(expected), atol=1e-5)


def test_each_gate_has_an_orthogonal_matrix_of_its_own():
    layers = weights(Recurrent(width=16, cell="lstm")).layers
    matrices = [layers[f"{block}_recurrent"] for block in CELLS["lstm"].blocks]
    for matrix in matrices:
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(16), atol=1e-5)
    assert len({matrix.tobytes() for matrix in matrices}) == 4
    # one 16 x 64 matrix cut in four would have rows of length 1 over all gates together
    np.testing.assert_allclose((np.hstack(matrices) ** 2).sum(axis=1), 4, rtol=1e-5)


def test_the_forget_bias_is_the_only_bias_that_is_not_zero():
    for cell, keeper in (("lstm", "forget_bias"), ("gru", "update_bias"), ("simple", None)):
        layers = weights(Recurrent(width=8, cell=cell, forget_bias=1.5)).layers
        biases = {key: array for key, array in layers.items() if key.endswith("bias")}
        for key, array in biases.items():
            np.testing.assert_array_equal(array, 1.5 if key == keeper else 0.0)


# --- what a setting is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("steps", 0, ValueError, "steps must be a whole number from 1 to 512, not 0; .* is 1"),
        ("steps", 513, ValueError, "not 513; the nearest is 512"),
        ("width", 0, ValueError, "width must be .* the nearest is 1"),
        ("width", 1024, ValueError, "the nearest is 512"),
        ("cell", "LSTM", ValueError, "unknown cell 'LSTM': did you mean 'lstm'?"),
        ("cell", 3, TypeError, "cell must be a name such as 'simple', not 3"),
        ("recurrent_initializer", "ortogonal", ValueError, "did you mean 'orthogonal'"),
        ("forget_bias", -1, ValueError, "forget_bias must be .* from 0 to 10, not -1"),
        ("gain", float("nan"), ValueError, "gain must be a finite number"),
    ],
)
def test_bad_values_are_named_with_the_nearest_choice(field, value, error, message):
    with pytest.raises(error, match=re.sub(r"\?$", r"\\?", message)):
        Recurrent(**{field: value})


def test_spectrum_takes_recurrent_settings_only():
    with pytest.raises(TypeError, match="spectrum takes a Recurrent"):
        initlab.spectrum(initlab.Setting())


def test_no_slider_but_width_and_cell_compiles():
    start = Recurrent(steps=20, width=16)
    probe(start, BATCH)
    programs = measuring._measure._cache_size()
    for field, value in {
        "steps": 300,
        "activation": "relu",
        "recurrent_initializer": "identity",
        "gain": 2.0,
        "input_initializer": "normal",
        "forget_bias": 3.0,
        "seed": 5,
    }.items():
        probe(start.replace(**{field: value}), BATCH)
    assert {field.name for field in dataclasses.fields(start)} - {"width", "cell"} == {
        "steps", "activation", "recurrent_initializer", "gain", "input_initializer",
        "forget_bias", "seed",
    }  # fmt: skip
    assert measuring._measure._cache_size() == programs


@pytest.mark.parametrize(
    ("failing", "helps"),
    [
        (Recurrent(width=64, activation="relu"), "identity"),
        (
            Recurrent(width=64, activation="linear", recurrent_initializer="lecun_normal"),
            "orthogonal",
        ),
        (Recurrent(width=64, cell="lstm", forget_bias=0.0), "forget_bias"),
        (Recurrent(width=64, cell="gru", forget_bias=0.0), "forget_bias"),
    ],
)
def test_a_failing_start_is_told_what_helps(failing, helps):
    diagnosis = diagnose(probe(failing))
    assert not diagnosis.healthy
    assert helps in str(diagnosis.remedy)
    assert diagnose(probe(diagnosis.remedy.setting)).healthy


# --- theory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "linear"])
@pytest.mark.parametrize("gain", [0.9, 1.1, 1.5])
def test_theory_holds_for_orthogonal_weights_though_all_steps_share_them(activation, gain):
    """Over 150 steps; in logarithms, the largest departures of 6 seeds are 0.25 and 0.5.

    Most of the first is the luck of the weights that read 8 features, in the first step.
    """
    setting = Recurrent(steps=150, width=128, activation=activation, gain=gain, seed=1)
    batch = data.digits(64)
    signals, prediction = probe(setting, batch), initlab.predict(setting, batch)
    for field, allowed in (
        ("preactivation_second_moment", 0.35),
        ("activation_second_moment", 0.35),
        ("gradient_second_moment", 0.7),
    ):
        found, expected = getattr(signals, field), getattr(prediction, field)
        worst = np.abs(np.log(found / expected)).max()
        assert worst < allowed, (field, worst)


@pytest.mark.parametrize(
    "other",
    [
        {"recurrent_initializer": "lecun_normal"},
        {"activation": "relu"},
        {"cell": "lstm"},
        {"cell": "gru"},
        {"input_initializer": "identity"},
    ],
)
def test_theory_is_silent_where_shared_weights_break_it(other):
    prediction = initlab.predict(Recurrent(steps=20).replace(**other))
    assert np.isnan(prediction.gradient_second_moment).all()
    assert np.isnan(prediction.activation_second_moment).all()


def test_theory_of_independent_weights_would_be_far_off():
    """Why it is silent: the same recursion, and normal weights that all steps share."""
    setting = Recurrent(
        steps=150, width=128, activation="linear", recurrent_initializer="lecun_normal"
    )
    sizes = [probe(setting.replace(seed=s), BATCH).activation_second_moment for s in range(3)]
    departures = [abs(np.log(size[-1] / size[9])) for size in sizes]  # silence: theory says 0
    assert np.median(departures) > 2
