"""Trainability maps: the same as training one by one and as a plain loop, in few programs."""

import numpy as np
import optax
import pytest

from initlab import Setting, data, prophecy, train, train_sweep, trainability, weights
from initlab.run import Run
from initlab.trainer import Group, _advance

pytestmark = pytest.mark.numerics

BATCH = data.digits(64)
HELD_OUT = data.digits(128)
SMALL = {"width": 16, "batch": BATCH}
#: SGD's steps multiply float32's rounding, 6e-8, by the network's own sensitivity
ROUNDING = 2e-5


def test_every_point_is_what_training_it_alone_gives():
    axes = {"depth": [1, 3], "activation": ["relu"], "gain": [0.5, 2.0]}
    trained = train_sweep(held_out=HELD_OUT, steps=5, batch_size=32, **SMALL, **axes)
    assert trained.loss.dims == ("depth", "activation", "gain")
    for point in trained.stack(point=axes).transpose("point", ...).point:
        chosen = dict(zip(axes, point.item(), strict=True))
        alone = train(Setting(width=16, **chosen), BATCH, held_out=HELD_OUT, steps=5, batch_size=32)
        here = trained.sel(chosen)
        for name in ("loss", "accuracy", "held_out_accuracy"):
            expected = getattr(alone, name)[0, -1]
            assert float(here[name]) == pytest.approx(expected, rel=ROUNDING), (chosen, name)
    assert trained.loss.attrs["units"] == "nat"
    assert trained.attrs["steps"] == 5


def plain_training(setting, steps, rate):
    """Gradient descent on softmax cross-entropy for a tanh network: the chain rule in float64."""
    parameters = [[w.astype(float), b.astype(float)] for w, b in weights(setting)]
    x, labels = BATCH.inputs.astype(float), BATCH.labels

    def losses():
        after = [x]
        for weight, bias in parameters[:-1]:
            after.append(np.tanh(after[-1] @ weight + bias))
        logits = after[-1] @ parameters[-1][0] + parameters[-1][1]
        likelihood = logits - logits.max(axis=1, keepdims=True)
        likelihood -= np.log(np.exp(likelihood).sum(axis=1, keepdims=True))
        return after, logits, likelihood

    for _ in range(steps):
        after, _, likelihood = losses()
        delta = (np.exp(likelihood) - np.eye(likelihood.shape[1])[labels]) / len(x)
        for index in reversed(range(len(parameters))):
            weight, bias = parameters[index]
            back = delta @ weight.T
            weight -= rate * after[index].T @ delta
            bias -= rate * delta.sum(axis=0)
            delta = back * (1 - after[index] ** 2)
    _, logits, likelihood = losses()
    loss = -likelihood[np.arange(len(x)), labels].mean()
    return loss, (logits.argmax(axis=1) == labels).mean()


def test_a_point_is_what_a_plain_loop_in_float64_gives():
    depths, gains, seeds = [2, 4], [0.7, 1.3], [0, 5]
    trained = train_sweep(
        depth=depths, gain=gains, seed=seeds, steps=8, optimizer=optax.sgd(0.3), **SMALL
    )
    for (row, column, seed), loss in np.ndenumerate(trained.loss.values):
        setting = Setting(depths[row], 16, gain=gains[column], seed=seeds[seed])
        expected, accuracy = plain_training(setting, 8, 0.3)
        assert loss == pytest.approx(expected, rel=ROUNDING), setting
        assert trained.accuracy.values[row, column, seed] == pytest.approx(accuracy), setting


def test_who_learns_stalls_and_diverges():
    # 20 relu layers and a readout with a gain of 60: outputs of 10^37, which the loss overflows
    axes = {"depth": 20, "activation": "relu", "initializer": "he_normal", "gain": [0.1, 1.0, 60.0]}
    trained = train_sweep(width=32, steps=40, **axes)
    prophets = prophecy(
        [Setting(20, 32, "relu", "he_normal", gain) for gain in axes["gain"]], steps=40
    )
    assert prophets.outcomes == ("stalled", "learned", "diverged")
    assert trained.learned.values.tolist() == [False, True, False]
    assert trained.diverged_at.values.tolist()[:2] == [-1, -1]
    assert trained.diverged_at.values[2] == prophets.history.diverged_at[2]
    assert not np.isfinite(trained.loss.values[2])
    assert trained.initializer == "he_normal"


def test_without_examples_held_out_their_accuracy_is_not_a_number(capfd):
    trained = train_sweep(depth=1, steps=1, progress=True, **SMALL)
    assert trained.loss.shape == ()
    assert np.isnan(trained.held_out_accuracy)
    out, err = capfd.readouterr()
    assert "1/1" in err
    assert not out
    train_sweep(depth=1, steps=1, progress=False, **SMALL)
    assert capfd.readouterr() == ("", "")


def test_chunks_change_nothing_but_rounding_and_share_a_program():
    options = {"depth": 2, "gain": np.linspace(0.5, 1.5, 7), "steps": 4, **SMALL}
    options["width"] = 11  # of no other test, whose programs may be there already
    whole = train_sweep(**options)
    before = _advance._cache_size()
    parts = train_sweep(chunk=3, **options)  # 7 points are 3, 3 and 1
    assert _advance._cache_size() == before + 1
    np.testing.assert_allclose(parts.loss, whole.loss, rtol=ROUNDING)


def test_chunks_are_as_large_as_memory_allows(monkeypatch):
    deep = [Setting(100, 256, gain=gain) for gain in np.linspace(0.1, 1, 50)]
    sizes = {}
    for bound in (2**30, 2**28):
        monkeypatch.setattr(trainability, "CHUNK_BYTES", bound)
        pieces = list(trainability._pieces(deep, None, data.digits(1024), 1024))
        assert {place for piece in pieces for place in piece} == set(range(50))
        (sizes[bound],) = {len(piece) for piece in pieces}
        # parameters alone, with a gradient and an update, and a layer's activations
        least = 4 * (3 * 99 * 256**2 + 100 * 256 * 1024)
        assert sizes[bound] == 1 or sizes[bound] * least <= bound
    assert 1 <= sizes[2**28] < sizes[2**30] < 50


def test_the_bound_on_memory_is_about_what_a_step_takes():
    """What XLA says that it allocates for the step of a start, arguments and results included."""
    setting, batch = Setting(20, 64), data.digits(256)
    group = trainability.begin([setting] * 8, batch, optimizer=optax.adam(1e-3))._groups[0]
    lowered = _advance.lower(
        group._model,
        group._knobs,
        group._optimizer,
        256,
        False,
        group.state,
        np.int32(1),
        batch.inputs,
        batch.labels,
        np.uint32(0),
        np.float32(0),
    )
    used = lowered.compile().memory_analysis()
    taken = used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes
    assert taken / 8 == pytest.approx(trainability._size(20, 64, batch, 256), rel=0.5)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"gian": [1.0]}, TypeError, "no axis 'gian': did you mean 'gain'"),
        ({"dtype": ["float32", "float16"]}, ValueError, "train computes in float32"),
        ({"steps": 0}, ValueError, "steps must be a whole number from 1"),
        ({"gain": [1.0, 2.0], "chunk": 3}, ValueError, "chunk must be .* from 1 to 2, not 3"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be one of optax's"),
        ({"batch": 3}, TypeError, "batch must be a Batch"),
        ({"progress": "yes"}, TypeError, "progress must be True, False or None"),
        ({"batch_size": 65}, ValueError, "batch_size must be .* from 1 to 64"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_trained(options, error, words, monkeypatch):
    monkeypatch.setattr(Run, "finish", None)
    with pytest.raises(error, match=words):
        train_sweep(**{"depth": 1, **SMALL} | options)


def test_an_interrupt_is_not_taken_for_the_end(monkeypatch):
    def interrupted(group, count):
        raise KeyboardInterrupt

    monkeypatch.setattr(Group, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_sweep(depth=1, **SMALL)
