import functools
import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from initlab import Batch, Residual, Setting, data, probe, train, trainer, weights
from tests.plain_network import plain_logits

pytestmark = pytest.mark.numerics

BATCH = data.digits(96)
SHARE = np.bincount(BATCH.labels, minlength=10) / len(BATCH)
SMALL = Setting(2, 16, "tanh")
FLOAT32 = np.finfo(np.float32).eps
START = weights(SMALL)


def shortly(settings, steps=3, **options):
    """A short run on few examples."""
    return train(settings, options.pop("batch", BATCH), steps=steps, **options)


def parted(weight):
    """How far the units of a layer, columns of its weights, are from being one."""
    return np.abs(weight - weight[:, :1]).max()


def moved(parameters, start):
    """For each layer, how far its weights are from those of the start, relative to the latter."""
    return [
        np.abs(now - then).max() / (np.abs(then).max() or 1.0)
        for (now, _), (then, _) in zip(parameters, start, strict=True)
    ]


# --- against a plain loop in NumPy -----------------------------------------------------------

PLAIN = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "sigmoid": (
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    ),
}


def plain_gradients(parameters, x, labels, activation):
    """The mean cross-entropy and its gradients in a flat list, by the chain rule, in float64."""
    phi, slope = PLAIN[activation]
    before, after = [], [x]
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        before.append(after[-1] @ weight + bias)
        after.append(phi(before[-1]))
    logits = after[-1] @ parameters[-2] + parameters[-1]
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    loss = -np.log(share[np.arange(len(x)), labels]).mean()
    delta = (share - np.eye(share.shape[1])[labels]) / len(x)
    gradients = []
    for index in reversed(range(len(after))):
        gradients = [after[index].T @ delta, delta.sum(axis=0), *gradients]
        if index:
            delta = (delta @ parameters[2 * index].T) * slope(before[index - 1])
    return loss, gradients


def plain_updates(name, history):
    """The update that an optimizer's paper makes of all gradients so far, newest last."""
    t = len(history)
    if name == "sgd":
        return -0.5 * history[-1]
    if name == "momentum":  # Polyak 1964
        return -0.1 * sum(0.9 ** (t - 1 - i) * g for i, g in enumerate(history))
    # Kingma & Ba 2015, with the sums written out
    first = sum(0.1 * 0.9 ** (t - 1 - i) * g for i, g in enumerate(history)) / (1 - 0.9**t)
    second = sum(0.001 * 0.999 ** (t - 1 - i) * g**2 for i, g in enumerate(history))
    return -0.01 * first / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)


def layer_norms(arrays):
    """Of weight and bias together, layer by layer, of a flat list."""
    pairs = zip(arrays[::2], arrays[1::2], strict=True)
    return np.array([np.sqrt((w**2).sum() + (b**2).sum()) for w, b in pairs])


@pytest.mark.parametrize(
    ("activation", "name", "optimizer"),
    [
        ("tanh", "sgd", optax.sgd(0.5)),
        ("relu", "momentum", optax.sgd(0.1, 0.9)),
        ("sigmoid", "adam", optax.adam(0.01)),
    ],
)
def test_steps_are_those_of_a_plain_loop(activation, name, optimizer):
    """Sources: the chain rule and each optimizer's paper, in NumPy's float64.

    An update's error is the gradient's relative rounding, some 10 eps of float32, times the
    update's size, over 6 steps; Adam divides small gradients by themselves, so its bound is wider.
    """
    setting = Setting(2, 8, activation, bias_std=0.3)
    history = shortly(setting, 6, optimizer=optimizer, record_every=1)
    start = weights(setting)
    plain = [array.astype(float) for pair in start for array in pair]
    inputs, losses, gradients = BATCH.inputs.astype(float), [], [[] for _ in plain]
    ratios = [[np.nan] * 3]
    for _ in range(7):
        loss, new = plain_gradients(plain, inputs, BATCH.labels, activation)
        losses.append(loss)
        [kept.append(gradient) for kept, gradient in zip(gradients, new, strict=True)]
        last = plain
        updates = [plain_updates(name, g) for g in gradients]
        plain = [p + update for p, update in zip(plain, updates, strict=True)]
        ratios.append(layer_norms(updates) / layer_norms(last))
    tolerance = 1e-4 if name == "adam" else 1e-5
    np.testing.assert_allclose(history.loss[0], losses, rtol=tolerance)
    np.testing.assert_allclose(history.update_ratio[0], ratios[:7], rtol=10 * tolerance)
    trained = [array for pair in history.parameters[0] for array in pair]
    for now, expected, then in zip(trained, last, (a for p in start for a in p), strict=True):
        size = np.abs(expected - then).max()
        assert size > 1e-4  # otherwise nothing is tested
        np.testing.assert_allclose(now, expected, atol=tolerance * size + 4 * FLOAT32)


def test_a_run_starts_from_the_very_weights_and_ends_in_the_parameters():
    setting = SMALL.replace(bias_std=0.2)
    history = shortly(setting, 5, record_every=2, keep_first_layer=True)
    np.testing.assert_array_equal(history.steps, [0, 2, 4, 5])
    np.testing.assert_array_equal(history.first_layer[0, 0], weights(setting)[0][0])
    np.testing.assert_array_equal(history.first_layer[0, -1], history.parameters[0][0][0])
    given = shortly(setting, 5, record_every=2, initial=weights(setting))
    np.testing.assert_array_equal(given.loss, history.loss)
    # the plain network with the final parameters has the last record's loss and accuracy
    logits = plain_logits(history.parameters[0], BATCH.inputs, "tanh")
    right = (logits.argmax(axis=1) == BATCH.labels).mean()
    assert history.accuracy[0, -1] == pytest.approx(right, abs=1e-6)
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    mean = -likelihood[np.arange(len(BATCH)), BATCH.labels].mean()
    assert history.loss[0, -1] == pytest.approx(mean, rel=1e-5)


def test_how_a_run_is_cut_into_records_changes_nothing():
    options = {"steps": 12, "batch_size": 32, "dropout": 0.2}
    often, seldom = (shortly(SMALL, record_every=n, **options) for n in (1, 12))
    np.testing.assert_array_equal(often.loss[:, [0, -1]], seldom.loss)
    for (one, _), (other, _) in zip(often.parameters[0], seldom.parameters[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_record_is_what_a_probe_says():
    """Source: initlab.probe, which is held against the plain network. The last one's gradients
    are so small that float32 cannot hold their squares.
    """
    kinds = ("zeros", "constant", "glorot_normal", "orthogonal")
    settings = [
        Setting(3, 16, activation, kind, bias_std=0.1)
        for activation in ("relu", "sigmoid")
        for kind in kinds
    ]
    settings += [Setting(8, 16, "tanh", gain=1e-3)]
    history = shortly(settings, 1)
    for place, setting in enumerate(settings):
        signals = probe(setting, BATCH)
        for name in ("activation_variance", "gradient_second_moment", "distinct_neurons"):
            expected = getattr(signals, name)
            measured = getattr(history, name)[place, 0, : len(expected)]
            np.testing.assert_allclose(measured, expected, rtol=1e-3, err_msg=f"{setting} {name}")
        assert history.loss[place, 0] == pytest.approx(signals.loss, rel=1e-6)
    assert 0 < history.gradient_second_moment[-1, 0, 0] < 1e-45


# --- zeros -----------------------------------------------------------------------------------


RUNS = {
    "sgd": {"optimizer": optax.sgd(0.1)},
    "adam": {"optimizer": optax.adam(0.01)},
    "momentum, decay, minibatches": {
        "optimizer": optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.02, 0.9)),
        "batch_size": 32,
    },
    "dropout": {"optimizer": optax.adam(0.01), "dropout": 0.3},
}


@functools.cache
def zeros_and_constants(run, activation="tanh"):
    """The two starts of copies, trained side by side."""
    settings = [Setting(2, 16, activation, kind) for kind in ("zeros", "constant")]
    return shortly(settings, 150, **RUNS[run])


@pytest.mark.parametrize(
    ("run", "activation"), [*((run, "tanh") for run in RUNS), ("sgd", "relu"), ("sgd", "gelu")]
)
def test_zeros_stay_exactly_zero_where_the_activation_does(run, activation):
    """Nothing reaches the readout, and nothing comes back through it: only its bias moves."""
    history = zeros_and_constants(run, activation)
    for weight, _ in history.parameters[0]:
        assert not weight.any()
    for _, bias in history.parameters[0][:-1]:
        assert not bias.any()
    assert history.parameters[0][-1][1].any()
    assert (history.distinct_neurons[0] == 1).all()
    assert (history.gradient_second_moment[0] == 0).all()


def test_zeros_learn_the_class_frequencies_and_no_more():
    """The logits tend to the logarithms of the frequencies, the loss to their entropy, and the
    accuracy is the largest class's share, not zero. The bias's Hessian has eigenvalues of about
    1/10, so 300 steps of size 1 leave (1 - 1/10)^300 = 1e-14 of the distance.
    """
    history = train(Setting(2, 16, "tanh", "zeros"), optimizer=optax.sgd(1.0), steps=300)
    labels = data.digits(1024).labels
    share = np.bincount(labels) / len(labels)
    bias = history.parameters[0][-1][1].astype(float)
    np.testing.assert_allclose(bias - bias.mean(), np.log(share) - np.log(share).mean(), atol=1e-5)
    assert history.loss[0, 0] == pytest.approx(np.log(10), rel=1e-6)
    assert history.loss[0, -1] == pytest.approx(-(share * np.log(share)).sum(), abs=1e-6)
    assert round(history.accuracy[0, -1] * 1024) == np.bincount(labels).max()
    rest = np.bincount(data.digits(1797).labels[1024:])
    largest = share == share.max()  # two classes are, and rounding decides between them
    assert round(history.held_out_accuracy[0, -1] * 773) in rest[largest]


def test_sigmoid_thaws_from_the_top_one_layer_a_step():
    """sigmoid(0) = 1/2 feeds the readout; a layer moves one step after the one above it did.
    Then all learn, as one unit a layer.
    """
    setting, optimizer = Setting(2, 16, "sigmoid", "zeros"), optax.adam(0.01)
    for steps in (1, 2, 3, 200):
        history = shortly(setting, steps, optimizer=optimizer)
        warm = [weight.any() for weight, _ in history.parameters[0]]
        assert warm == [steps >= 3, steps >= 2, True]
        assert max(parted(weight) for weight, _ in history.parameters[0][:-1]) <= 1e-6
    assert history.accuracy[0, -1] > SHARE.max() + 0.05
    assert history.loss[0, -1] < -(SHARE * np.log(SHARE)).sum() - 0.1
    assert (history.distinct_neurons == 1).all()


def zeros(bias=0.0, depth=2, width=16):
    """Zero weights, and hidden biases of one value or of a vector."""
    start = weights(Setting(depth, width, initializer="zeros"))
    return [(w, np.full_like(b, bias)) for w, b in start[:-1]] + start[-1:]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_constant_bias_thaws_zeros_and_the_units_stay_one(activation):
    setting, optimizer = Setting(2, 16, activation, "zeros"), optax.adam(0.01)
    first = shortly(setting, 1, optimizer=optimizer, initial=zeros(0.5)).parameters[0]
    assert [weight.any() for weight, _ in first] == [False, False, True]
    history = shortly(setting, 200, optimizer=optimizer, initial=zeros(0.5))
    assert history.loss[0, -1] < -(SHARE * np.log(SHARE)).sum() - 0.05
    assert (history.distinct_neurons == 1).all()


@pytest.mark.parametrize("bias", [0.0, -0.5])
def test_relu_without_a_positive_bias_is_dead_below_the_readout(bias):
    start = zeros(bias)
    setting = Setting(2, 16, "relu", "zeros")
    history = shortly(setting, 50, optimizer=optax.adam(0.01), initial=start)
    assert not any(weight.any() for weight, _ in history.parameters[0])
    for (_, now), (_, then) in zip(history.parameters[0][:-1], start[:-1], strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(("activation", "accuracy"), [("tanh", 0.9), ("sigmoid", 0.5)])
def test_random_biases_break_the_tie_of_zeros(activation, accuracy):
    setting = Setting(2, 16, activation, "zeros", bias_std=0.5)
    history = shortly(setting, 200, optimizer=optax.adam(0.01))
    assert (history.distinct_neurons[0, -1] == 16).all()
    assert history.accuracy[0, -1] > accuracy


def test_a_zero_readout_is_good_practice():
    """All but the readout's gradients are zero at the first step, none at the second."""
    setting, optimizer = Setting(2, 16, "relu", "he_normal"), optax.adam(0.01)
    start = weights(setting)
    start[-1] = tuple(np.zeros_like(array) for array in start[-1])
    first = shortly(setting, 1, optimizer=optimizer, initial=start)
    assert first.loss[0, 0] == pytest.approx(np.log(10), rel=1e-6)
    assert [change > 0 for change in moved(first.parameters[0], start)] == [False, False, True]
    history = shortly(setting, 100, optimizer=optimizer, initial=start)
    assert min(moved(history.parameters[0], start)) > 0
    assert history.accuracy[0, -1] > 0.98


# --- constants -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "activation"), [*((run, "tanh") for run in RUNS if run != "dropout"), ("sgd", "relu")]
)
def test_constants_stay_one_neuron_whatever_the_optimizer(run, activation):
    """Units that agree in all weights get the same update, and so agree after it."""
    history = zeros_and_constants(run, activation)
    assert (history.distinct_neurons[1] == 1).all()
    *hidden, (readout, _) = history.parameters[1]
    assert max(parted(weight) for weight, _ in hidden) <= 1e-6
    assert parted(readout.T) <= 1e-6
    assert history.loss[1, -1] < history.loss[0, -1] - 0.1


def test_dropout_makes_different_neurons_of_constants():
    history = zeros_and_constants("dropout")
    assert (history.distinct_neurons[1, 0] == 1).all()
    assert (history.distinct_neurons[1, -1] == 16).all()
    assert history.accuracy[1, -1] > 0.8


def test_equal_readout_weights_pass_nothing_back_at_the_first_step():
    """An example's gradients sum to 0 over the classes; what moves below is that sum's rounding."""
    setting = Setting(2, 16, "tanh", "constant")
    start = weights(setting)
    after_one, after_two = (moved(shortly(setting, n).parameters[0], start) for n in (1, 2))
    assert max(after_one[:-1]) < 1e-5 and after_one[-1] > 1e-2
    assert min(after_two) > 5e-5


@pytest.mark.parametrize(("inner", "outer"), [("constant", "random"), ("random", "constant")])
def test_units_stay_one_only_if_incoming_and_outgoing_weights_agree(inner, outer):
    setting = Setting(1, 16, "tanh")
    kinds = {"constant": "constant", "random": "glorot_normal"}
    start = [
        weights(setting.replace(initializer=kinds[inner]))[0],
        weights(setting.replace(initializer=kinds[outer]))[1],
    ]
    history = shortly(setting, 100, optimizer=optax.sgd(0.5), initial=start)
    assert history.distinct_neurons[0, -1, 0] == 16
    assert history.accuracy[0, -1] > 0.8


# --- dropout and minibatches -----------------------------------------------------------------


def test_dropout_silences_its_share_and_scales_up_the_others():
    """After one step on one example, a silent unit's outgoing weights have not moved, and the
    others moved 1 / (1 - share) as far as without dropout. The readout starts at zero, so delta
    does not depend on masks; the count of 512 has a standard deviation of 10.4.
    """
    setting, one = Setting(1, 512, "tanh", "constant"), data.digits(1)
    one = Batch(one.inputs, one.labels, 10)
    start = weights(setting)
    start[-1] = tuple(np.zeros_like(array) for array in start[-1])
    options = {"batch": one, "initial": start, "optimizer": optax.sgd(0.1)}
    (_, (plain, _)), (_, (masked, _)) = (
        shortly(setting, 1, dropout=share, **options).parameters[0] for share in (0.0, 0.3)
    )
    silent = ~masked.any(axis=1)
    assert abs(silent.sum() - 0.3 * 512) < 5 * 10.4
    np.testing.assert_allclose(masked[~silent], plain[~silent] / 0.7, rtol=1e-5)


def test_an_epoch_takes_every_example_once_in_an_order_of_its_own():
    """Each example has a class of its own, so the readout's bias tells which were chosen."""
    batch = Batch(np.ones((64, 3)), np.arange(64))
    setting = Setting(1, 4, "tanh", "zeros")

    def chosen(steps, **options):
        history = shortly(
            setting, steps, batch=batch, batch_size=16, optimizer=optax.sgd(1e-3), **options
        )
        # a step adds 1/16 - 1/64 to those in the batch and -1/64 to others, but for some 1e-3
        return np.round(history.parameters[0][-1][1] / 1e-3 * 16 + steps / 4, 2)

    after = [chosen(steps) for steps in range(1, 6)]
    for count, seen in enumerate(after[:4], start=1):
        assert sorted(seen) == [0.0] * (64 - 16 * count) + [1.0] * (16 * count)
    assert sorted(after[4]) == [1.0] * 48 + [2.0] * 16
    assert (after[0] != after[4] - 1).any()
    assert (after[0] != chosen(1, seed=1)).any()


def test_a_batch_of_all_examples_is_no_minibatch():
    full, whole = shortly(SMALL), shortly(SMALL, batch_size=len(BATCH))
    np.testing.assert_array_equal(full.loss, whole.loss)


def test_a_seed_repeats_a_run():
    options = {"batch_size": 32, "dropout": 0.2}
    first, again, other = (shortly(SMALL, 8, seed=n, **options) for n in (3, 3, 4))
    np.testing.assert_array_equal(first.loss, again.loss)
    assert (first.loss[0, 1:] != other.loss[0, 1:]).all()


# --- several starts --------------------------------------------------------------------------


def test_a_start_trains_alone_as_in_company():
    """Sums are taken in another order, by which a loss differs by some eps of float32 a step."""
    kinds = ("glorot_normal", "constant", "orthogonal")
    settings = [SMALL.replace(initializer=kind) for kind in kinds]
    options = {"steps": 20, "batch_size": 32, "dropout": 0.1}
    together = shortly(settings, **options)
    for place, setting in enumerate(settings):
        alone = shortly(setting, **options)
        np.testing.assert_allclose(together.loss[place], alone.loss[0], rtol=20 * 10 * FLOAT32)


def test_starts_of_different_shapes_keep_their_places():
    settings = [
        Setting(2, 16, "tanh"),
        Setting(3, 8, "relu"),
        Setting(2, 16, "tanh", "constant"),
    ]
    history = shortly(settings, 4, record_every=2, keep_first_layer=True)
    assert history.settings == tuple(settings) and len(history) == 3
    assert history.loss.shape == history.accuracy.shape == (3, 3)
    assert history.held_out_accuracy.shape == (3, 3) and np.isnan(history.held_out_accuracy).all()
    assert history.distinct_neurons.shape == history.gradient_second_moment.shape == (3, 3, 3)
    assert history.activation_variance.shape == (3, 3, 4)
    assert history.first_layer.shape == (3, 3, 64, 16)
    for place, setting in enumerate(settings):
        depth, width = setting.depth, setting.width
        assert np.isfinite(history.distinct_neurons[place, :, :depth]).all()
        assert np.isnan(history.distinct_neurons[place, :, depth:]).all()
        assert np.isnan(history.activation_variance[place, :, depth + 1 :]).all()
        assert np.isnan(history.first_layer[place, :, :, width:]).all()
        start = weights(setting)
        np.testing.assert_array_equal(history.first_layer[place, 0, :, :width], start[0][0])
        shapes = [(w.shape, b.shape) for w, b in history.parameters[place]]
        assert shapes == [(w.shape, b.shape) for w, b in start]
    table = repr(history).splitlines()
    assert table[0] == "after 4 steps:" and len(table) == 5
    assert table[4].split()[3:5] == ["1", "1"]


def test_some_starts_are_given_and_others_their_own():
    other = weights(SMALL.replace(seed=7))
    history = shortly([SMALL, SMALL], 1, initial=[None, other], keep_first_layer=True)
    np.testing.assert_array_equal(history.first_layer[0, 0], weights(SMALL)[0][0])
    np.testing.assert_array_equal(history.first_layer[1, 0], other[0][0])


def test_a_group_compiles_once_also_for_an_optimizer_made_again():
    def compiled():
        return trainer._advance._cache_size(), trainer._observe._cache_size()

    settings = [Setting(1, 12, "elu", seed=seed) for seed in (0, 1)]
    before = compiled()
    shortly(settings, 7, record_every=2, optimizer=optax.adam(0.01))
    assert compiled() == (before[0] + 1, before[1] + 1)
    shortly(settings, 4, optimizer=optax.adam(0.01))
    assert compiled() == (before[0] + 1, before[1] + 1)
    shortly([settings[1], Setting(2, 12, "elu"), settings[0]], 4, optimizer=optax.adam(0.01))
    assert compiled() == (before[0] + 2, before[1] + 2)


def test_optimizers_that_differ_are_not_taken_for_each_other():
    def schedule(step):
        return 0.1 + 0.0 * step

    makers = [
        lambda: optax.sgd(0.1),
        lambda: optax.sgd(0.1, 0.5),
        lambda: optax.sgd(0.1, 0.5, nesterov=True),
        lambda: optax.sgd(optax.linear_schedule(0.1, 0.0, 3)),
        lambda: optax.sgd(optax.linear_schedule(0.1, 0.0, 4)),
        lambda: optax.adam(optax.warmup_cosine_decay_schedule(0.0, 0.01, 2, 9)),
        lambda: optax.adam(optax.warmup_cosine_decay_schedule(0.0, 0.01, 3, 9)),
    ]
    keys = [trainer.shared_optimizer(make()).key for make in (*makers, *makers)]
    assert keys[:7] == keys[7:] and len(set(keys)) == 7
    losses = [shortly(SMALL, 3, optimizer=make()).loss[0, -1] for make in makers[:2]]
    assert losses[0] != losses[1]
    # a reader's own function counts as new each time it is written, and is taken as it is
    assert shortly(SMALL, 3, optimizer=optax.sgd(schedule)).loss[0, -1] == pytest.approx(losses[0])


def test_a_warm_up_schedule_is_followed_and_compiled_once():
    """The first step's rate is 0, the second's half the peak; source: the schedule itself."""

    def warmed_up():
        return optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10, 0.01))

    rates = [float(optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10, 0.01)(n)) for n in range(4)]
    optimizer = warmed_up()
    history = shortly(SMALL, 4, optimizer=optimizer, record_every=1)
    assert history.loss[0, 1] == history.loss[0, 0] and history.update_ratio[0, 1].max() == 0
    by_hand = START
    for rate in rates:
        by_hand = shortly(SMALL, 1, optimizer=optax.sgd(rate), initial=by_hand).parameters[0]
    for (now, _), (expected, _) in zip(history.parameters[0], by_hand, strict=True):
        np.testing.assert_allclose(now, expected, atol=1e-6)
    programs = trainer._advance._cache_size()
    for same in (optimizer, warmed_up()):  # optax's cosine changes its own numbers when called
        shortly(SMALL, 4, optimizer=same)
    assert trainer._advance._cache_size() == programs


def test_each_start_has_an_optimizer_state_of_its_own():
    """A gradient's norm is clipped by start, not over all of them."""
    settings = [Setting(2, 16, "relu", "he_normal", gain=gain) for gain in (1.0, 10.0)]
    optimizer = optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(1.0))
    history = shortly(settings, 1, optimizer=optimizer)
    for setting, parameters in zip(settings, history.parameters, strict=True):
        pairs = zip(sum(parameters, ()), sum(weights(setting), ()), strict=True)
        length = np.sqrt(sum(((now - then) ** 2).sum() for now, then in pairs))
        assert length == pytest.approx(0.1, rel=1e-3)


# --- names and seeds -------------------------------------------------------------------------


def test_starts_are_named_by_what_tells_them_apart():
    settings = [SMALL, SMALL.replace(gain=0.5), SMALL.replace(gain=0.5, seed=3)]
    history = shortly(settings, 1)
    assert history.names == ("gain 1", "gain 0.5", "gain 0.5")
    assert history.places == {"gain 1": [0], "gain 0.5": [1, 2]}
    grouped = history.by_name("loss")
    np.testing.assert_array_equal(grouped["gain 0.5"], history.loss[1:])
    given = shortly([SMALL, SMALL, SMALL], 1, initial=[None, START, START])
    assert len(set(given.names)) == 3 and given.names[2].endswith(", given weights 2")
    assert shortly({"one": SMALL, "other": SMALL}, 1).names == ("one", "other")
    mixed = shortly([SMALL, Residual(blocks=2, width=16)], 1)
    assert mixed.names == ("Setting", "Residual")


def test_seeds_train_each_setting_with_its_own_and_those_that_follow():
    settings = [SMALL.replace(seed=5), SMALL.replace(gain=0.5)]
    history = shortly(settings, 2, seeds=3)
    assert [setting.seed for setting in history.settings] == [5, 6, 7, 0, 1, 2]
    assert history.by_name("loss")["gain 0.5"].shape == (3, 3)
    alone = shortly(SMALL.replace(gain=0.5, seed=2), 2)
    np.testing.assert_allclose(history.loss[5], alone.loss[0], rtol=100 * FLOAT32)
    with pytest.raises(ValueError, match="seeds must be 1, not 2"):
        shortly(SMALL, 1, initial=START, seeds=2)


# --- divergence, streaming, stopping ---------------------------------------------------------


def test_a_start_that_diverges_is_recorded_and_the_others_go_on():
    settings = [Setting(2, 16, "linear", gain=gain) for gain in (1.0, 30.0, 0.5)]
    history = shortly(settings, 30, optimizer=optax.sgd(0.05), record_every=1)
    assert (history.loss[::2, -1] < history.loss[::2, 0]).all()
    step = history.diverged_at[1]
    assert history.diverged_at[::2] == (None, None) and 0 < step <= 30
    finite = np.isfinite(history.loss[1])
    np.testing.assert_array_equal(finite, np.arange(31) < step)
    assert np.isnan(history.distinct_neurons[1, -1]).all()
    assert np.isnan(history.gradient_second_moment[1, -1]).all()
    layer = history.diverged_layer[1]
    assert f"diverged at step {step}, first at " in repr(history)
    assert history.diverged_layer[::2] == (None, None)
    # it stays as it was, and the plain network with its weights says where
    weights_then, x = history.parameters[1], BATCH.inputs
    with np.errstate(over="ignore", invalid="ignore"):
        finite = [np.isfinite(x := x @ weight + bias).all() for weight, bias in weights_then]
    assert layer == 1 + finite.index(False)
    # an answer that is not finite is wrong; examples that do not overflow yet may be right
    right = np.isfinite(x).all(axis=1) & (np.argmax(x, axis=1) == BATCH.labels)
    assert history.accuracy[1, -1] == pytest.approx(right.mean(), abs=1e-6)
    np.testing.assert_array_equal(history.loss[1, step:], history.loss[1, step])
    # the step is found between records, too
    seldom = shortly(settings, 30, optimizer=optax.sgd(0.05), record_every=30)
    assert seldom.diverged_at == history.diverged_at


def test_a_start_that_overflows_at_once_diverged_before_any_step():
    setting = Setting(10, 16, "relu", "he_normal", gain=1e6)
    history = shortly(setting, 2)
    assert history.diverged_at == (0,) and not np.isfinite(history.loss).any()


def test_records_stream_and_false_stops():
    seen = []

    def progress(step, history):
        assert list(history.steps) == list(range(0, step + 1, 2))
        assert history.loss.shape == (1, len(history.steps)) and np.isfinite(history.loss).all()
        seen.append(history)
        return step < 6

    history = shortly(SMALL, 20, record_every=2, progress=progress)
    assert list(history.steps) == [0, 2, 4, 6] and not history.complete
    assert "not complete" in repr(history)
    full = shortly(SMALL, 6, record_every=2)
    assert full.complete
    np.testing.assert_array_equal(full.loss, history.loss)
    np.testing.assert_array_equal(full.parameters[0][0][0], history.parameters[0][0][0])
    assert [len(partial.steps) for partial in seen] == [1, 2, 3, 4]  # later ones changed nothing


def test_an_interrupt_keeps_what_was_recorded(monkeypatch):
    advance, calls = trainer._advance, []

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == 4:  # the second group's second turn
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(trainer, "_advance", interrupted)
    settings = [SMALL, Setting(1, 16, "tanh")]
    history = shortly(settings, 20, record_every=5)
    assert list(history.steps) == [0, 5] and not history.complete
    monkeypatch.undo()
    expected = shortly(settings, 5, record_every=5)
    np.testing.assert_array_equal(history.loss, expected.loss)
    for got, wanted in zip(history.parameters, expected.parameters, strict=True):
        np.testing.assert_array_equal(got[0][0], wanted[0][0])


# --- data and bad input ----------------------------------------------------------------------


def test_by_default_1024_digits_are_learned_and_773_held_out():
    default = train(SMALL, steps=2)
    everything = data.digits(1797)
    held_out = Batch(everything.inputs[1024:], everything.labels[1024:], 10)
    assert len(held_out) == 773
    given = train(SMALL, data.digits(1024), held_out=held_out, steps=2)
    for name in ("loss", "accuracy", "held_out_accuracy"):
        np.testing.assert_array_equal(getattr(default, name), getattr(given, name))
    logits = plain_logits(default.parameters[0], held_out.inputs, "tanh")
    right = (logits.argmax(axis=1) == held_out.labels).mean()
    assert default.held_out_accuracy[0, -1] == pytest.approx(right, abs=1e-6)


def test_other_data_is_taken_as_it_is():
    history = shortly(
        Setting(2, 32, "tanh"), 300, batch=data.spirals(60), optimizer=optax.adam(0.01)
    )
    assert history.parameters[0][0][0].shape == (2, 32)
    assert history.accuracy[0, -1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("tanh",), {}, TypeError, "settings must be several, such as"),
        ((3,), {}, TypeError, "not 3"),
        (([SMALL, "relu"],), {}, TypeError, "settings[1] must be a Setting, not 'relu'"),
        (([],), {}, ValueError, "the list of settings is empty"),
        ((SMALL.replace(dtype="float16"),), {}, ValueError, "settings[0] has dtype 'float16'"),
        ((SMALL, "digits"), {}, TypeError, "batch must be a Batch, such as"),
        ((SMALL, BATCH), {"held_out": 3}, TypeError, "held_out must be a Batch"),
        ((SMALL, BATCH), {"held_out": data.spirals(9)}, ValueError, "of 64 features and 10 cl"),
        ((SMALL,), {"optimizer": 0.1}, TypeError, "such as optax.adam(1e-3), not 0.1"),
        ((SMALL,), {"steps": 0}, ValueError, "steps must be a whole number from 1 to"),
        ((SMALL,), {"steps": 2.5}, ValueError, "the nearest is 2"),
        ((SMALL,), {"steps": "9"}, TypeError, "steps must be"),
        ((SMALL, BATCH), {"batch_size": 97}, ValueError, "not 97; the nearest is 96"),
        ((SMALL,), {"batch_size": 0}, ValueError, "from 1 to 1024, not 0"),
        ((SMALL,), {"dropout": 1.0}, ValueError, "from 0 to 0.99, not 1.0"),
        ((SMALL,), {"record_every": 0}, ValueError, "record_every must be"),
        ((SMALL,), {"seed": -1}, ValueError, "seed must be"),
        ((SMALL,), {"seeds": 0}, ValueError, "seeds must be a whole number from 1 to"),
        ((SMALL,), {"progress": 1}, TypeError, "progress must be a function"),
        ((SMALL,), {"initial": START[:2]}, ValueError, "have the shapes of the setting's, [(("),
        (([SMALL],), {"initial": START}, ValueError, "for each of 1 settings, not for 3"),
        ((SMALL,), {"initial": [1, 2, 3]}, TypeError, "must be pairs (weight, bias)"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(arguments, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        train(*arguments, **options)


def test_a_value_that_no_loss_can_take_back_is_never_shown_as_one():
    """A readout of minus infinity: the class it takes away costs inf, and nothing turns to NaN."""
    start = weights(SMALL)
    start[-1] = (start[-1][0], start[-1][1].copy())
    start[-1][1][BATCH.labels[0]] = -jnp.inf
    history = shortly(SMALL, 1, initial=start)
    assert history.loss[0, 0] == np.inf and history.diverged_at == (0,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"settings": np.array(3)}, "settings must be several"),
        ({"settings": jnp.ones(())}, "settings must be several"),
        ({"initial": 3}, "initial must be several"),
        ({"keep_first_layer": "no"}, "keep_first_layer must be True or False, not 'no'"),
        ({"progress": 1}, "progress must be a function"),
    ],
)
def test_what_cannot_be_trained_is_named(arguments, words):
    with pytest.raises(TypeError, match=words):
        train(**{"settings": [Setting(depth=1, width=8)], "steps": 1} | arguments)
