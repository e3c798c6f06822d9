"""Starts fitted to data against plain NumPy in float64, and their way through settings."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import (
    Batch,
    Recurrent,
    Residual,
    Setting,
    adaptive,
    data,
    details,
    network,
    preparation,
    probe,
)
from initlab.adaptive import equal_rates, unit_variance
from initlab.architectures import measuring
from initlab.architectures.residual_starts import STARTS
from initlab.initializers import INITIALIZERS, menu
from initlab.laws import Fan, steps_from_pivot
from tests.plain_network import plain_logits, plain_measures
from tests.plain_residual import NORMALIZATIONS, plain

pytestmark = pytest.mark.numerics

WIDTH = 32
BATCH = data.digits(64)
#: a variance of 2,048 products of 64 numbers, in float32 where 2^-24 is rounded off each
ROUNDING = 1e-5
FITS = {"lsuv": adaptive.lsuv, "data_dependent": adaptive.data_dependent}
QUICK = [name for name in menu() if INITIALIZERS[name].fitted_by]


def forward(weights, inputs, activation):
    """Outputs of all matrices of a dense network, biases included, in float64."""
    plain = plain_measures(weights, inputs, np.zeros(len(inputs), int), activation)
    return [*plain["preactivations"], plain_logits(weights, inputs, activation)]


def variances(weights, inputs, activation):
    return np.array([z.var() for z in forward(weights, inputs, activation)])


def numpy_lsuv(weights, inputs, phi, tolerance=0.1, most_rounds=10):
    """Mishkin & Matas 2016, algorithm 1, in float64: weights, and rounds of each matrix."""
    x, found, rounds = np.asarray(inputs, np.float64), [], []
    for weight, bias in weights:
        weight, count = weight.astype(np.float64), 0
        while abs((x @ weight + bias).var() - 1) >= tolerance and count < most_rounds:
            weight = weight / np.sqrt((x @ weight + bias).var())
            count += 1
        found.append((weight, bias))
        rounds.append(count)
        x = phi(x @ weight + bias)
    return found, rounds


def assert_same(ours, theirs, rtol=0.0):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


# --- LSUV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid", "gelu", "selu"])
@pytest.mark.parametrize("initializer", ["orthogonal", "he_normal", "uniform"])
def test_without_biases_one_round_is_exact(initializer, activation):
    """Source: Mishkin & Matas 2016; their output is linear in the weights."""
    setting = Setting(8, WIDTH, activation, initializer, gain=3.0)
    fitted = adaptive.lsuv(setting, BATCH, tolerance=1e-4)
    found = variances(fitted.weights, BATCH.inputs, activation)
    np.testing.assert_allclose(found, 1, rtol=ROUNDING)
    assert fitted.steps <= 9
    assert fitted.stopped == "all 9 matrices put out a variance within 0.0001 of 1"
    assert fitted.objective[-1] < 1e-4


@pytest.mark.parametrize(
    ("activation", "phi"), [("tanh", np.tanh), ("relu", lambda z: np.maximum(z, 0))]
)
@pytest.mark.parametrize("bias_std", [0.0, 0.3, 0.8])
def test_it_is_the_papers_algorithm(activation, phi, bias_std):
    """Source: the algorithm in NumPy, float64. A factor is as good as the variance it is of."""
    setting = Setting(6, WIDTH, activation, "orthogonal", gain=0.5, bias_std=bias_std, seed=3)
    fitted = adaptive.lsuv(setting, BATCH)
    expected, rounds = numpy_lsuv(initlab.weights(setting), BATCH.inputs, phi)
    assert_same(fitted.weights, expected, rtol=1e-5)
    assert fitted.steps == sum(rounds)
    found = variances(fitted.weights, BATCH.inputs, activation)
    assert (np.abs(found - 1) < 0.1 + ROUNDING).all()
    for (_, ours), (_, own) in zip(fitted.weights, initlab.weights(setting), strict=True):
        np.testing.assert_array_equal(ours, own)  # biases are not changed


def test_each_step_is_one_round_of_one_matrix():
    setting = Setting(4, WIDTH, "tanh", "orthogonal", gain=2.0, bias_std=0.5)
    fitted = adaptive.lsuv(setting, BATCH, tolerance=0.01)
    assert fitted.matrices == ("layer 1", "layer 2", "layer 3", "layer 4", "readout")
    assert fitted.scale.shape == (fitted.steps + 1, 5) and fitted.steps > 5
    changed = np.diff(fitted.scale, axis=0) != 0
    assert (changed.sum(axis=1) == 1).all()
    assert (np.diff(np.argmax(changed, axis=1)) >= 0).all()
    assert_same(fitted.at(0), initlab.weights(setting))
    assert_same(fitted.at(fitted.steps), fitted.weights)
    for step in (0, 3, fitted.steps):
        norms = [np.linalg.norm(weight) for weight, _ in fitted.at(step)]
        own = [np.linalg.norm(weight) for weight, _ in fitted.at(0)]
        np.testing.assert_allclose(norms, fitted.scale[step] * own, rtol=1e-5)
    # a matrix that is done, and the one whose turn it is: as NumPy measures them
    step = np.argmax(changed[:, 2]) + 1  # the first round of layer 3 is behind it
    before = variances(fitted.at(step - 1), BATCH.inputs, "tanh")
    factor = fitted.scale[step, 2] / fitted.scale[step - 1, 2]
    assert factor == pytest.approx(before[2] ** -0.5, rel=1e-5)


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("placement", ["before", "after"])
def test_residual_networks(normalization, placement):
    """Source: the plain float64 network, whose branches and readout are measured here."""
    setting = Residual(
        5,
        WIDTH,
        activation="relu",
        start="skipinit",
        normalization=normalization,
        placement=placement,
        initializer="he_normal",
        gain=0.3,
    )
    fitted = adaptive.lsuv(setting, BATCH, tolerance=1e-4)
    assert len(fitted.matrices) == 12
    assert fitted.matrices[1:3] == ("block 1, inner", "block 1, outer")
    out = plain(setting, fitted.weights, BATCH)
    np.testing.assert_allclose([branch.var() for branch in out["branches"]], 1, rtol=ROUNDING)
    assert out["logits"].var() == pytest.approx(1, rel=ROUNDING)
    first = BATCH.inputs.astype(np.float64) @ fitted.weights.first["weight"]
    assert first.var() == pytest.approx(1, rel=ROUNDING)
    norm = NORMALIZATIONS[normalization if placement == "before" else "none"]
    for block, state in enumerate(out["states"][:-1]):
        hidden = np.maximum(norm(state), 0) @ fitted.weights.layers["inner"][block]
        assert np.var(hidden) == pytest.approx(1, rel=ROUNDING)


@pytest.mark.parametrize("start", STARTS)
def test_zeros_that_belong_to_a_residual_start_stay(start):
    setting = Residual(3, WIDTH, start=start)
    fitted, own = adaptive.lsuv(setting, BATCH), initlab.weights(setting)
    for name, array in own.layers.items():
        zero = not array.any()
        assert fitted.weights.layers[name].any() != zero
        assert np.isfinite(fitted.weights.layers[name]).all()
    still = not own.layers["outer"].any()
    assert ("block 1, outer puts out variance 0" in fitted.stopped) == still
    out = plain(setting, fitted.weights, BATCH)
    assert (out["logits"].var() == pytest.approx(1, abs=0.1)) == own.readout["weight"].any()


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_weights_of_zero_cannot_be_scaled(activation):
    setting = Setting(3, WIDTH, activation, "zeros")
    fitted = adaptive.lsuv(setting, BATCH)
    assert fitted.steps == 0 and np.isnan(fitted.objective).all()
    assert (
        fitted.stopped == "layer 1 puts out variance 0, which no factor changes, and so do 3 more"
    )
    assert_same(fitted.weights, initlab.weights(setting))
    biased = adaptive.lsuv(setting.replace(bias_std=2.0), BATCH)
    assert biased.steps <= 40
    for (weight, _), name in zip(biased.weights, biased.matrices, strict=True):
        assert not weight.any(), name


def test_equal_weights_are_scaled_and_stay_equal():
    fitted = adaptive.lsuv(Setting(3, WIDTH, "sigmoid", "constant"), BATCH)
    np.testing.assert_allclose(variances(fitted.weights, BATCH.inputs, "sigmoid"), 1, rtol=1e-3)
    assert all(np.ptp(weight) == 0 for weight, _ in fitted.weights)


def test_what_is_not_finite_is_named():
    batch = Batch(np.full((4, 64), 3e38), np.zeros(4, int), classes=10)
    fitted = adaptive.lsuv(Setting(3, WIDTH, gain=1e6), batch)
    assert fitted.stopped == "layer 1 puts out what is not finite, and so do 3 more"
    assert fitted.steps == 0


def test_what_nearly_overflows_is_fitted():
    """Squares of these outputs pass float32's 3.4e38."""
    setting = Setting(6, WIDTH, "relu", "he_normal", gain=1e6)
    scaled = Batch(BATCH.inputs * np.float32(1e15), BATCH.labels, classes=10)
    for start, batch in ((setting, BATCH), (setting, scaled), (setting.replace(gain=1e-6), BATCH)):
        found = variances(adaptive.lsuv(start, batch).weights, batch.inputs, "relu")
        np.testing.assert_allclose(found, 1, rtol=ROUNDING)


def test_one_example():
    one = data.digits(1)
    fitted = adaptive.lsuv(Setting(4, WIDTH, gain=2.0), one)
    np.testing.assert_allclose(variances(fitted.weights, one.inputs, "tanh"), 1, atol=0.1)
    alone = adaptive.lsuv(Setting(2, 1, gain=2.0), one)  # one unit, one example: no variance
    assert "layer 1 puts out variance 0" in alone.stopped


def test_biases_that_no_factor_makes_up_for():
    fitted = adaptive.lsuv(Setting(2, WIDTH, bias_std=2.0), BATCH, most_rounds=4)
    assert "layer 1 stays farther than 0.1 from variance 1" in fitted.stopped
    assert fitted.steps <= 12


# --- data-dependent ---------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_every_unit_is_normalized_first(activation):
    """Source: Kraehenbuehl et al. 2016, algorithm 1: mean 0, variance 1 of every unit's output."""
    fitted = adaptive.data_dependent(Setting(6, WIDTH, activation, "normal", seed=2), BATCH)
    for z in forward(fitted.at(1), BATCH.inputs, activation):
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)
        assert np.abs(z.mean(axis=0)).max() < 1e-4


def change_rates(weights, batch, activation, directions):
    """Logarithms of ``C_k`` by Kraehenbuehl et al. 2016, one example after the other."""
    weights = [(w.astype(np.float64), b.astype(np.float64)) for w, b in weights]
    slope = {"relu": lambda z: (z > 0) * 1.0, "tanh": lambda z: 1 - np.tanh(z) ** 2}[activation]
    phi = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]
    squares = np.zeros(len(weights))
    for x, direction in zip(batch.inputs.astype(np.float64), directions, strict=True):
        given, outputs = [x], []
        for weight, bias in weights:
            outputs.append(given[-1] @ weight + bias)
            given.append(phi(outputs[-1]))
        delta = direction
        for k in range(len(weights) - 1, -1, -1):
            squares[k] += (np.outer(given[k], delta) ** 2).sum() / len(batch)
            if k:
                delta = (weights[k][0] @ delta) * slope(outputs[k - 1])
    norms = np.array([np.linalg.norm(weight) for weight, _ in weights])
    return np.log(squares) / 2 - np.log(norms)


@pytest.mark.parametrize(("activation", "within"), [("relu", 1e-3), ("tanh", 0.05)])
def test_all_matrices_change_at_one_rate(activation, within):
    """Source: the rates in NumPy, one example at a time.

    Where a relu's input is rounded to the other side of 0 a slope changes, which costs a
    thousandth of a rate here. Nothing is homogeneous about tanh: rounds approach.
    """
    setting = Setting(8, WIDTH, activation, "data_dependent", seed=4)
    fitted = adaptive.data_dependent(setting, BATCH)
    directions = np.random.default_rng(4).standard_normal((64, 10))
    for step in (0, 1, fitted.steps):
        rates = change_rates(fitted.at(step), BATCH, activation, directions)
        away = np.abs(rates - rates.mean()).max()
        assert fitted.objective[step] == pytest.approx(away, abs=1e-3)
    assert away < within < fitted.objective[1]


def test_a_relu_network_is_rescaled_in_one_round_and_keeps_its_output():
    """Source: positive homogeneity, biases growing along: factors multiply to 1 here."""
    fitted = adaptive.data_dependent(Setting(8, WIDTH, "relu", "data_dependent"), BATCH)
    assert fitted.steps == 2
    before, after = (plain_logits(fitted.at(k), BATCH.inputs, "relu") for k in (1, 2))
    np.testing.assert_allclose(after, before, atol=1e-3)
    factors = fitted.scale[2] / fitted.scale[1]
    assert np.prod(factors) == pytest.approx(1, rel=1e-3) and np.ptp(factors) > 0.5


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_deep_networks_keep_what_was_reached(activation):
    """In float32 a round may overflow, or take rates farther apart: then it is not taken."""
    fitted = adaptive.data_dependent(Setting(100, WIDTH, activation, "data_dependent"), BATCH)
    assert "another round would take rates farther apart" in fitted.stopped
    assert np.isfinite(fitted.objective[1:]).all() and (np.diff(fitted.objective[1:]) <= 0).all()
    # rounding grows from layer to layer, to 6% in the last of them
    for z in forward(fitted.at(1), BATCH.inputs, activation)[:20]:
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("setting", "batch", "reason"),
    [
        (Setting(3, WIDTH, initializer="zeros"), BATCH, "there are no rates; 106 units do not"),
        (Setting(3, WIDTH, initializer="he_normal"), data.digits(1), "106 units do not move"),
    ],
)
def test_units_that_do_not_move_are_left_alone(setting, batch, reason):
    fitted = adaptive.data_dependent(setting, batch)
    assert reason in fitted.stopped
    own = initlab.weights(setting)
    assert_same(fitted.at(1), own)
    assert all(np.isfinite(array).all() for pair in fitted.weights for array in pair)


# --- emergence-promoting ----------------------------------------------------------------------


@pytest.mark.parametrize("depth", [5, 6])
def test_emergence_keeps_a_relu_networks_output_at_every_step(depth):
    """Source: positive homogeneity; factors of a pair multiply to 1."""
    setting = Setting(depth, WIDTH, "relu", "orthogonal", gain=1.4)
    fitted = adaptive.emergence_promoting(setting, BATCH, alpha=1.3)
    expected = plain_logits(initlab.weights(setting), BATCH.inputs, "relu")
    rounding = 4 * (depth + 1) * 2**-24 * np.abs(expected).max()
    for step in range(fitted.steps + 1):
        found = plain_logits(fitted.at(step), BATCH.inputs, "relu")
        np.testing.assert_allclose(found, expected, atol=rounding)
    steps = [steps_from_pivot(Fan(1, 1, layer, depth)) for layer in range(1, depth + 2)]
    np.testing.assert_allclose(fitted.scale[-1], 1.3 ** np.array(steps, float), rtol=1e-12)
    np.testing.assert_allclose(fitted.objective, fitted.objective[0], rtol=1e-5)


def test_emergence_is_the_catalogues():
    setting = Setting(7, WIDTH, "tanh", "he_normal", bias_std=0.2)
    fitted = adaptive.emergence_promoting(setting, BATCH)
    catalogue = initlab.weights(setting.replace(initializer="emergence"))
    assert_same(fitted.weights, catalogue, rtol=1e-6)


def test_emergence_of_a_residual_network_and_a_pivot():
    setting = Residual(2, WIDTH)
    fitted = adaptive.emergence_promoting(setting, BATCH, alpha=2.0, pivot=2)
    assert fitted.scale[-1].tolist() == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    own = initlab.weights(setting)
    np.testing.assert_array_equal(fitted.weights.layers["outer"][1], 8 * own.layers["outer"][1])
    np.testing.assert_array_equal(fitted.weights.layers["branch_scale"], own.layers["branch_scale"])


# --- through settings ---------------------------------------------------------------------------


def networks():
    for name in QUICK:
        yield Setting(5, WIDTH, "relu", name, seed=1)
        if "Residual" in INITIALIZERS[name].kinds:
            yield Residual(3, WIDTH, initializer=name, start="skipinit")


@pytest.mark.parametrize("setting", list(networks()), ids=repr)
@pytest.mark.parametrize(
    "batch",
    [None, pytest.param(data.gaussian(300, 20, 4), marks=pytest.mark.slow)],
    ids=["digits", "gaussian"],
)
def test_weights_probe_and_train_agree(setting, batch):
    weights = initlab.weights(setting, batch=batch)
    signals = probe(setting, batch)
    assert_same(signals.weights, weights)
    history = initlab.train(setting, batch, steps=1, record_every=1)
    again = initlab.train(setting, batch, steps=1, record_every=1, initial=weights)
    assert_same(history.parameters[0], again.parameters[0])
    few = batch or data.digits(setting.examples)
    few = Batch(few.inputs[: setting.examples], few.labels[: setting.examples], few.classes)
    by_hand = FITS[setting.fitted_by](setting, few)
    assert_same(weights, by_hand.weights)
    given = probe(setting, batch, by_hand.weights)
    np.testing.assert_array_equal(given.activation_variance, signals.activation_variance)


def test_a_setting_is_fitted_once_for_a_batch(monkeypatch):
    fits = []
    own = adaptive.lsuv
    monkeypatch.setattr(adaptive, "lsuv", lambda *given: fits.append(given) or own(*given))
    setting = Setting(3, WIDTH, initializer="lsuv", seed=77)
    probe(setting)
    initlab.weights(setting)
    initlab.train(setting, steps=1)
    probe(setting).jacobian_singular_values()
    assert len(fits) == 1
    probe(setting, data.digits(256, seed=1))
    probe(setting.replace(gain=2.0))
    assert len(fits) == 3


def test_what_is_kept_cannot_be_written_to_by_chance():
    setting = Setting(3, WIDTH, initializer="lsuv")
    before = initlab.weights(setting)
    initlab.weights(setting)[0][0][:] = 0
    assert_same(initlab.weights(setting), before)


def test_what_is_measured_on_demand_sees_the_fitted_weights():
    """Source: the product of a linear network's weights in float64."""
    setting = Setting(4, WIDTH, "linear", "lsuv", gain=3.0)
    product = np.eye(64)
    for weight, _ in initlab.weights(setting)[:-1]:
        product = product @ weight.astype(np.float64)
    expected = np.linalg.svd(product, compute_uv=False)
    np.testing.assert_allclose(probe(setting).jacobian_singular_values(), expected, rtol=1e-4)
    found = details.jacobian_singular_values(setting, data.digits())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_measures_on_demand_of_given_weights():
    setting, other = Setting(4, WIDTH), Setting(4, WIDTH, seed=5)
    given = probe(setting, weights=initlab.weights(other))
    np.testing.assert_allclose(  # the largest is 1.5, and what is rounded off is relative to it
        given.jacobian_singular_values(), probe(other).jacobian_singular_values(), atol=1e-6
    )
    np.testing.assert_allclose(
        given.neuron_correlation(), probe(other).neuron_correlation(), atol=1e-5
    )
    memory, another = Recurrent(steps=5, width=16), Recurrent(steps=5, width=16, seed=5)
    given = probe(memory, weights=initlab.weights(another))
    np.testing.assert_allclose(
        given.jacobian_singular_values(), probe(another).jacobian_singular_values(), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_lower_precision_rounds_what_float32_fitted(dtype):
    setting = Setting(3, WIDTH, initializer="lsuv", dtype=dtype)
    full = initlab.weights(setting.replace(dtype="float32"))
    rounded = [
        tuple(np.asarray(jnp.asarray(array, dtype), np.float32) for array in pair) for pair in full
    ]
    assert_same(initlab.weights(setting), rounded)
    assert probe(setting).preactivation_variance == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", QUICK)
def test_theory_is_silent(name):
    prediction = initlab.predict(Setting(initializer=name))
    assert np.isnan(prediction.gradient_second_moment).all() and prediction.phase is None
    with pytest.raises(ValueError, match=f"{name} .* has no weight variance"):
        initlab.plot_phases(Setting(initializer=name))


def test_sliders_compile_nothing():
    for name in QUICK:
        for activation in ("tanh", "relu", "gelu"):  # where one is flat is found once
            # of a seed of its own: what is drawn already needs no program, and has none, maybe
            probe(Setting(2, WIDTH, activation, name, seed=97), BATCH)
    programs = (network._measure, unit_variance._fit, equal_rates._rescale, equal_rates._normalize)
    before, chance = [program._cache_size() for program in programs], random.Random(2)
    compiled = []  # small ones count, too: a slice of another length is another program

    def listen(event, seconds, **details):
        if event.endswith("backend_compile_duration"):
            compiled.append(details.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    for _ in range(20):
        probe(
            Setting(
                chance.randint(1, 60),
                WIDTH,
                chance.choice(["tanh", "relu", "gelu"]),
                chance.choice(QUICK),
                gain=10 ** chance.uniform(-1, 1),
                bias_std=chance.choice([0.0, 0.5]),
                seed=chance.randint(0, 2),
            ),
            BATCH,
        )
    assert [program._cache_size() for program in programs] == before
    assert compiled == []
    probe(Residual(2, WIDTH, initializer="lsuv"), BATCH)
    before = measuring._measure._cache_size(), unit_variance._fit._cache_size()
    for blocks, start, normalization in ((9, "skipinit", "batch"), (30, "plain", "layer")):
        probe(
            Residual(blocks, WIDTH, "gelu", start, normalization, initializer="lsuv", gain=2.0),
            BATCH,
        )
    assert (measuring._measure._cache_size(), unit_variance._fit._cache_size()) == before


@pytest.mark.parametrize("name", ["metainit", "gradinit"])
def test_slow_fits_are_for_probes_and_not_for_sliders(name):
    setting = Setting(2, 16, initializer=name)
    weights = initlab.weights(setting, batch=BATCH)
    assert_same(weights, getattr(adaptive, name)(setting, BATCH).weights)
    assert_same(probe(setting, BATCH).weights, weights)
    assert INITIALIZERS[name].draw is INITIALIZERS["he_normal"].draw and name not in menu()
    with pytest.raises(ValueError, match="takes too long to fit for sliders"):
        initlab.explore(initializer=name)


def test_an_explorer_prepares_what_fits():
    start = Setting(2, 16)
    preparation.prepare(start, BATCH)
    programs = (network._measure, unit_variance._fit, equal_rates._rescale, equal_rates._normalize)
    before = [program._cache_size() for program in programs]
    for name in QUICK:
        probe(start.replace(depth=7, initializer=name), BATCH)
    assert [program._cache_size() for program in programs] == before


def test_menus_offer_what_a_slider_can_follow():
    assert {"lsuv", "data_dependent"} <= set(menu(Setting)) <= set(INITIALIZERS)
    assert "lsuv" in menu(Residual) and "data_dependent" not in menu(Residual)
    assert not any(INITIALIZERS[name].fitted_by for name in menu(Recurrent))
    explorer = initlab.explore(depth=3, width=16, initializer="lsuv")
    assert list(explorer.controls["initializer"].options) == menu(Setting)
    explorer.controls["depth"].value = 5
    assert explorer.signals.preactivation_variance == pytest.approx(1, abs=0.1)
    explorer.close()


# --- what is shown ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fit():
    return adaptive.lsuv(Setting(4, WIDTH, "relu", gain=0.5), BATCH)


def test_its_words_and_its_table(fit):
    assert repr(fit).startswith("lsuv: mean |ln Var z|, each matrix in its turn from ")
    markup = fit._repr_markdown_()
    assert markup.count("<tr>") == 6 and "readout" in markup
    table = fit.to_dataset()
    assert table.scale.dims == ("step", "matrix") and table.sizes == {"step": 6, "matrix": 5}
    assert table.attrs["method"] == "lsuv"
    deep = adaptive.lsuv(Setting(100, WIDTH), BATCH)
    assert deep._repr_markdown_().count("<tr>") == 13


def test_the_picture(fit):
    figure = initlab.plot_adapted(fit)
    scales, curve = figure.axes[:2]
    np.testing.assert_allclose(scales.images[0].get_array(), fit.scale.T)
    np.testing.assert_array_equal(curve.lines[0].get_ydata(), fit.objective)
    assert "lsuv" in figure.alternative_text
    nothing = adaptive.lsuv(Setting(3, WIDTH, initializer="zeros"), BATCH)
    assert initlab.plot_adapted(nothing).axes[1].texts[0].get_text() == "none"
    with pytest.raises(TypeError, match="plot_adapted takes what a function of"):
        initlab.plot_adapted(fit.weights)


def test_a_fit_is_dragged(fit):
    explorer = initlab.explore_fit(fit)
    assert explorer.batch is BATCH
    explorer.update()
    pictures = {explorer.image.value}
    for step in range(1, fit.steps + 1):
        explorer.step.value = step
        pictures.add(explorer.image.value)
        expected = probe(fit.setting, BATCH, fit.at(step))
        np.testing.assert_array_equal(
            explorer.signals.activation_variance, expected.activation_variance
        )
    assert len(pictures) == fit.steps + 1
    assert "changes readout by a factor of" in explorer.description
    explorer.close()


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: adaptive.lsuv("relu"), TypeError, "lsuv fits a Setting or a Residual, not 'relu'"),
        (lambda: adaptive.lsuv(Recurrent()), TypeError, "not a Recurrent"),
        (lambda: adaptive.lsuv(Setting(), 3), TypeError, "batch must be a Batch"),
        (lambda: adaptive.lsuv(Setting(), tolerance=2), ValueError, "the nearest is 1"),
        (lambda: adaptive.lsuv(Setting(), most_rounds=0), ValueError, "the nearest is 1"),
        (lambda: adaptive.data_dependent(Residual()), TypeError, "fits a Setting, not a Residual"),
        (lambda: adaptive.data_dependent(Setting(), tolerance=-1), ValueError, "nearest is 0"),
        (lambda: adaptive.data_dependent(Setting(), most_rounds=101), ValueError, "nearest is 100"),
        (lambda: adaptive.emergence_promoting(Setting(), alpha=0), ValueError, "must be above 0"),
        (lambda: adaptive.emergence_promoting(Setting(), alpha=-1), ValueError, "nearest is 0"),
        (lambda: adaptive.emergence_promoting(Setting(), pivot=50), ValueError, "nearest is 21"),
        (lambda: Recurrent(input_initializer="lsuv"), ValueError, "the nearest is 'orthogonal'"),
        (lambda: Residual(initializer="data_dependent"), ValueError, "the nearest is 'normal'"),
        (lambda: initlab.weights(Setting(), batch=3), TypeError, "batch must be a Batch"),
        (lambda: initlab.weights(Setting(), 20, batch=BATCH), ValueError, "64 features and 10"),
        (lambda: initlab.explore_fit(3), TypeError, "explore_fit takes what a function"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("step", "error"), [(-1, ValueError), (99, ValueError), ("1", TypeError)])
def test_a_step_that_is_none(fit, step, error):
    with pytest.raises(error, match="step must be a whole number from 0 to 5"):
        fit.at(step)


def test_batch_normalization_of_one_example():
    setting = Residual(2, WIDTH, normalization="batch", initializer="lsuv")
    with pytest.raises(ValueError, match="2 examples at least, not 1"):
        adaptive.lsuv(setting, data.digits(1))
