"""A sweep against the probe of each of its points, and against a plain network in float64."""

import itertools
import os

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import Setting, data, probe, sweep, weights
from initlab.activations import ACTIVATIONS
from initlab.initializers import menu
from initlab.sweeps.grid import grid_of
from initlab.sweeps.points import CHEAP, DIMENSIONS
from tests.plain_network import plain_logits, plain_measures

pytestmark = pytest.mark.numerics

BATCH = data.digits(24)
#: of float32, times to how many of them a sum of tens of terms adds up; see test_network.py
ROUNDING = 16 * 2.0**-24
TOLERANCE = 1e-4
AXES = {"depth": [1, 6], "activation": list(ACTIVATIONS), "bias_std": [0.0, 0.3]}
FIXED = {"width": 16, "gain": 1.5}


def points_of(dataset):
    """Every point: where it stands, and its setting."""
    axes = dataset.loss.dims
    for place in itertools.product(*(range(dataset.sizes[name]) for name in axes)):
        chosen = dataset.isel(dict(zip(axes, place, strict=True)))
        fields = {name: chosen[name].item() for name in grid_of().fixed}
        yield chosen, Setting(**fields)


def assert_same(chosen, setting, signals, names, rounding=0.0):
    """Hold one point of a sweep against its probe, both of which have rounded."""
    for name in names:
        found, expected = chosen[name].values, getattr(signals, name)
        beyond = found[len(expected) :]
        assert np.isnan(beyond).all(), name
        found = found[: len(expected)]
        assert (np.isfinite(found) == np.isfinite(expected)).all(), (setting, name)
        used = np.isfinite(expected)
        assert (found[~used] == expected[~used]).all() or np.isnan(expected[~used]).all()
        found, expected = found[used], expected[used]
        room = (TOLERANCE + rounding) * np.abs(expected)
        if name.endswith("variance"):
            # a value errs by rounding of the layer's size, in the probe and in the sweep
            size = getattr(signals, name.replace("variance", "second_moment"))[used]
            off = 2 * (ROUNDING + rounding) * np.sqrt(size)
            off = np.maximum(off, np.r_[0.0, off[:-1]])  # z has the error of what feeds it
            room = room + 2 * off * np.sqrt(expected) + off**2
        elif name in ("input_similarity", "saturated_fraction"):
            room = room + 2 * (ROUNDING + rounding)
        wrong = ~(np.abs(found - expected) <= room)
        assert not wrong.any(), (setting, name, found[wrong], expected[wrong])
    if signals.first_overflow is None:
        assert chosen.first_overflow == -1
        assert abs(chosen.loss - signals.loss) <= (TOLERANCE + rounding) * (1 + signals.loss)
    else:
        assert chosen.first_overflow == signals.first_overflow
        assert np.isnan(chosen.loss)


@pytest.mark.parametrize("initializer", menu(Setting))
def test_points_are_what_probe_measures(initializer):
    axes = AXES
    if Setting(initializer=initializer).fitted_by:  # which compiles for each of them
        axes = {"depth": [1, 3], "activation": ["tanh", "relu"]}
    found = sweep(BATCH, initializer=initializer, **axes, **FIXED)
    assert set(found.data_vars) == {*CHEAP, "loss", "gradient_ratio", "first_overflow"}
    for chosen, setting in points_of(found):
        assert_same(chosen, setting, probe(setting, BATCH), CHEAP)


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_lower_precisions_are_those_of_probe(dtype):
    # two programs add in float32 and round in the end; where that meets the middle between two
    # numbers of the precision, they part by its unit, which the layers behind then hand on
    rounding = 8 * float(jnp.finfo(dtype).eps) / np.sqrt(16 * len(BATCH))
    axes = {"depth": [1, 4], "activation": ["tanh", "relu"], "initializer": ["he_normal", "mup"]}
    found = sweep(BATCH, dtype=dtype, bias_std=[0.0, 0.3], **axes, **FIXED)
    for chosen, setting in points_of(found):
        assert_same(chosen, setting, probe(setting, BATCH), CHEAP, rounding)


def test_measures_that_cost_more_come_when_asked_for():
    names = ["effective_neurons", "distinct_neurons"]
    axes = {"initializer": ["he_normal", "orthogonal", "constant"], "activation": ["tanh", "relu"]}
    found = sweep(BATCH, measures=names, depth=3, width=16, **axes)
    assert set(found.data_vars) == {*names, "loss", "gradient_ratio", "first_overflow"}
    for chosen, setting in points_of(found):
        signals = probe(setting, BATCH)
        assert (chosen.distinct_neurons == signals.distinct_neurons).all()
        # these layers move as much as they are large: fourth powers err by 4 roundings each
        close = np.isclose(
            chosen.effective_neurons, signals.effective_neurons, rtol=TOLERANCE + 8 * ROUNDING
        )
        assert close.all(), (setting, chosen.effective_neurons.values, signals.effective_neurons)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_points_agree_with_a_plain_network_in_float64(activation):
    axes = {"initializer": ["he_normal", "orthogonal", "torch_default"], "gain": [0.5, 2.0]}
    found = sweep(BATCH, depth=5, width=16, activation=activation, bias_std=0.2, seed=3, **axes)
    for chosen, setting in points_of(found):
        parameters = weights(setting)
        plain = plain_measures(parameters, BATCH.inputs, BATCH.labels, activation)
        for name in ("activation_variance", "preactivation_second_moment", "weight_norm"):
            assert np.allclose(chosen[name], plain[name], rtol=TOLERANCE, atol=0), name
        gradient = np.array(plain["gradient_second_moment"])
        # what float32 rounds off a signal grows as gradients grow on their way back
        grown = ROUNDING * max(1, np.sqrt(gradient[0] / gradient[-1]))
        room = (TOLERANCE + grown) * gradient
        assert (np.abs(chosen.gradient_second_moment - gradient) <= room).all()
        assert np.isclose(chosen.gradient_ratio, gradient[0] / gradient[-1], rtol=2 * TOLERANCE)
        assert np.isclose(chosen.loss, plain["loss"], rtol=TOLERANCE)
        # a sum of products of examples errs by rounding of all of them, and its root accordingly
        deltas = [*plain["gradients"], _errors(parameters, activation)]
        for x, delta, norm, one in zip(
            plain["inputs_and_activations"],
            deltas,
            plain["weight_gradient_norm"],
            chosen.weight_gradient_norm.values,
            strict=True,
        ):
            lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(delta, axis=1)
            square = ROUNDING * (lengths.sum() / len(x)) ** 2
            assert abs(one - norm) <= TOLERANCE * norm + square / max(norm, np.sqrt(square))
        similar = np.array(plain["input_similarity"])
        assert np.abs(chosen.input_similarity - similar).max() <= TOLERANCE + ROUNDING


def _errors(parameters, activation):
    """Each example's gradient by its logits."""
    logits = plain_logits(parameters, BATCH.inputs, activation)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True) - np.eye(BATCH.classes)[BATCH.labels]


def test_what_vanishes_and_what_overflows_is_kept_apart():
    """Gains from the smallest to the largest, in one piece: signals from 0 to beyond float32."""
    gains = [0.0, 1e-6, 1e-3, 1.0, 1e3, 1e6]
    names = ("activation_variance", "gradient_second_moment", "weight_gradient_norm")
    found = sweep(BATCH, depth=12, width=16, activation="linear", gain=gains)
    for chosen, setting in points_of(found):
        assert_same(chosen, setting, probe(setting, BATCH), CHEAP)
    first = found.first_overflow.sel(gain=[1e3, 1e6])
    assert (first > 0).all()
    assert (found.activation_variance.sel(gain=1e6)[int(first[1]) :] == np.inf).all()
    small = found.sel(gain=1e-3)
    # 12 layers of 1e-3 times the weights' own factor: far below what float32 can hold
    assert 0 < small.gradient_second_moment[0] < 1e-60
    assert all(np.isfinite(small[name]).all() for name in names)


def test_small_examples_count_beside_large_ones():
    """Inputs near 1e29, of which activations make themselves, or a number near 1."""
    inputs = 1e29 * np.random.default_rng(0).standard_normal((12, 16))
    batch = data.Batch(np.float32(inputs), np.arange(12) % 3)
    axes = {"depth": [1, 3], "activation": ["selu", "elu", "tanh"], "seed": [0, 1]}
    found = sweep(batch, width=1, initializer="normal", **axes)
    gradient = found.weight_gradient_norm.sel(activation="selu", depth=3, seed=0)
    assert 0 < gradient[1] < 1e-3
    for chosen, setting in points_of(found):
        assert_same(chosen, setting, probe(setting, batch), CHEAP)


def test_a_point_does_not_depend_on_its_neighbours():
    """Care that one point needs must not touch the others."""
    among_like = sweep(BATCH, depth=5, width=16, gain=[1.0, 0.9, 1.1, 1.2])
    among_unlike = sweep(BATCH, depth=5, width=16, gain=[1.0, 1e-6, 1e6, 0.0])
    assert among_like.sel(gain=1.0).identical(among_unlike.sel(gain=1.0))


def test_one_program_serves_all_points():
    """Only the number of points at once, a power of four, is compiled anew."""
    compiled = []
    listening = True

    def listen(event, seconds, **details):
        if listening and event == "/jax/core/compile/backend_compile_duration":
            compiled.append(details.get("fun_name", ""))

    jax.monitoring.register_event_duration_secs_listener(listen)
    initializers = ["he_normal", "lecun_normal", "glorot_normal", "mup"]  # of one kind of draw
    axes = {"activation": list(ACTIVATIONS), "depth": range(2, 8), "seed": range(3)}
    batch = data.digits(20)  # of a size that no other test has
    found = sweep(batch, initializer=initializers, width=16, gain=[0.7, 1.0, 1.3], **axes)
    listening = False
    assert found.loss.size == 4 * 3 * 9 * 6 * 3
    # twelve points differ by gain and initializer alone; a stretch of 1,024 ends within them
    assert sum("run" in name for name in compiled) <= 2
    assert len(compiled) < 20  # draws and derivatives; not hundreds


def test_the_dataset_has_names_units_and_nothing_beyond_a_depth():
    found = sweep(BATCH, depth=[2, 4], width=16, seed=range(2))
    assert found.loss.dims == ("depth", "seed")
    assert found.activation_variance.dims == ("depth", "seed", "layer")
    assert found.layer.values.tolist() == [0, 1, 2, 3, 4]
    assert found.hidden_layer.values.tolist() == [1, 2, 3, 4]
    assert found.weight_layer.values.tolist() == [1, 2, 3, 4, 5]
    shallow = found.sel(depth=2).mean("seed")
    assert np.isfinite(shallow.activation_variance[:3]).all()
    assert np.isnan(shallow.activation_variance[3:]).all()
    for name in CHEAP:
        assert found[name].dims[-1] == DIMENSIONS[name]
        assert found[name].attrs["units"]
        assert found[name].attrs["long_name"]
    assert found.gain == 1.0
    assert dict(Setting(depth=4).changes()) == {"depth": 4}


def test_a_start_fitted_to_data_is_probed():
    found = sweep(BATCH, initializer=["lsuv", "orthogonal"], depth=3, width=16)
    variance = found.preactivation_variance.sel(initializer="lsuv")
    assert np.allclose(variance, 1, atol=1e-3)
    assert not np.allclose(found.preactivation_variance.sel(initializer="orthogonal"), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"dept": [1]}, TypeError, "no axis 'dept': did you mean 'depth'"),
        ({"gain": []}, ValueError, "the axis gain is empty"),
        ({"measures": ["los"]}, ValueError, "unknown measure 'los'"),
        ({"measures": "activation_varianc"}, ValueError, "did you mean 'activation_variance'"),
        ({"chunk": 0}, ValueError, "chunk must be a whole number from 1 .* the nearest is 1"),
        ({"progress": "yes"}, TypeError, "progress must be True, False or None, not 'yes'"),
        ({"batch": [1, 2]}, TypeError, "batch must be a Batch"),
    ],
)
def test_wrong_arguments_are_told_with_what_is_right(arguments, error, words):
    with pytest.raises(error, match=words):
        sweep(**arguments)


def test_a_bar_is_shown_when_it_is_asked_for(capsys):
    sweep(BATCH, gain=[0.5, 1.0], depth=2, width=16, progress=True)
    assert "2/2" in capsys.readouterr().err
    sweep(BATCH, gain=[0.5, 1.0], depth=2, width=16, progress=False)
    assert capsys.readouterr().err == ""


def test_a_device_that_fails_is_told_with_what_is_lost(monkeypatch):
    def fail(runner, settings):
        raise jax.errors.JaxRuntimeError("INTERNAL: device 0 is gone")

    monkeypatch.setattr("initlab.sweeps.running.Runner.measure", fail)
    with pytest.raises(RuntimeError, match="after 0 of 2 points; give a store to keep them"):
        sweep(BATCH, gain=[0.5, 1.0], depth=2, width=16)


def test_a_result_that_memory_has_no_room_for_is_refused_in_numbers(monkeypatch):
    """A point of depth 128 has 8 kB of results: ten measures of 128 layers, 4 or 8 bytes each."""
    pages = {"SC_PHYS_PAGES": 10**6, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    words = r"of 10,000,000 points is 8\d\.\d GB, and this machine has 4\.1 GB of memory"
    with pytest.raises(MemoryError, match=words):
        sweep(depth=128, gain=np.linspace(0.1, 3, 10_000), seed=range(1000))
