import threading

import jax
import numpy as np
import pytest

import initlab
from initlab import Setting, draws
from initlab.architectures import draws as chain_draws
from initlab.draws import Kept
from initlab.initializers import menu
from initlab.setting import MAX_DEPTH


def pairs(setting, **sizes):
    return [array for pair in initlab.weights(setting, **sizes) for array in pair]


def assert_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("depth", [1, 2, 5, MAX_DEPTH])
def test_shapes_and_types(depth):
    network = initlab.weights(Setting(depth, 32), fan_in=20, fan_out=3)
    assert [w.shape for w, _ in network] == [(20, 32), *[(32, 32)] * (depth - 1), (32, 3)]
    assert [b.shape for _, b in network] == [(32,)] * depth + [(3,)]
    for array in pairs(Setting(depth, 32)):
        assert isinstance(array, np.ndarray) and array.dtype == np.float32


@pytest.mark.parametrize("initializer", ["glorot_normal", "sparse", "torch_default", "mup"])
def test_another_layer_leaves_the_others_bit_identical(initializer):
    setting = Setting(20, 32, initializer=initializer, bias_std=0.3)
    short, long = initlab.weights(setting), initlab.weights(setting.replace(depth=21))
    assert_same([a for p in short[:20] for a in p], [a for p in long[:20] for a in p])
    assert_same(short[-1], long[-1])  # the readout stays, too
    assert_same(pairs(setting), pairs(setting))  # and so it does when the draws grew
    assert not np.array_equal(long[19][0], long[20][0])


def test_no_two_layers_or_seeds_share_their_numbers():
    setting = Setting(MAX_DEPTH, 32, bias_std=1.0)
    network = initlab.weights(setting, fan_in=32, fan_out=32)
    for kind in (0, 1):
        numbers = {pair[kind].tobytes() for pair in network}
        assert len(numbers) == MAX_DEPTH + 1
        other = {p[kind].tobytes() for p in initlab.weights(setting.replace(seed=1), 32, 32)}
        assert not numbers & other


def test_the_gain_rescales_the_same_draw():
    setting = Setting(6, 32, initializer="he_normal")
    plain = pairs(setting)
    for gain in (0.5, 3.0, 1e-3):
        for scaled, one in zip(pairs(setting.replace(gain=gain)), plain, strict=True):
            np.testing.assert_allclose(scaled, gain * one, rtol=2**-22)
    for array in pairs(setting.replace(gain=0.0)):
        assert not array.any()


def test_initializers_of_one_family_rescale_the_same_draw():
    ours = initlab.weights(Setting(4, 32, initializer="lecun_uniform"))
    theirs = initlab.weights(Setting(4, 32, initializer="torch_default"))
    for (one, _), (other, _) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other * 3**0.5, rtol=2**-21)


def test_biases_are_normal_with_the_settings_deviation():
    """Source: the deviation of N normal numbers errs by 1/sqrt(2 N)."""
    network = initlab.weights(Setting(MAX_DEPTH, 32, bias_std=0.3))
    biases = np.concatenate([bias for _, bias in network]).astype(float) / 0.3
    assert abs(biases.mean()) < 4 / biases.size**0.5
    assert abs((biases**2).mean() - 1) < 4 * (2 / biases.size) ** 0.5
    assert abs((biases**4).mean() - 3) < 4 * (96 / biases.size) ** 0.5
    matrix = network[5][0]  # and independent of the weights
    assert abs(np.corrcoef(matrix[0], network[5][1])[0, 1]) < 4 / 32**0.5


def test_a_seed_gives_the_same_weights_whatever_was_asked_before():
    setting = Setting(5, 32, seed=9)
    first = pairs(setting)
    initlab.weights(setting.replace(depth=40))
    initlab.weights(Setting(3, 32, initializer="orthogonal"))
    assert_same(pairs(setting), first)
    assert_same(pairs(Setting(5, 32, seed=np.uint32(9))), first)


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_in_a_lower_precision_weights_are_the_rounded_ones(dtype, bits):
    """Source: round to nearest: a relative error of at most half a unit in the last place."""
    setting = Setting(3, 32, bias_std=0.1)
    for low, full in zip(pairs(setting.replace(dtype=dtype)), pairs(setting), strict=True):
        assert low.dtype == np.float32
        mantissa = np.frexp(low)[0] * 2.0**bits
        normal = np.abs(full) > 2**-14  # float16's smallest normal number
        np.testing.assert_array_equal(mantissa[normal], mantissa[normal].round())
        error = np.abs(low - full)[normal] / np.abs(full)[normal]
        assert 0 < error.max() <= 2.0**-bits


@pytest.mark.parametrize("name", menu())
def test_two_seeds_differ_where_the_start_is_random(name):
    ours, theirs = (initlab.weights(Setting(2, 32, initializer=name, seed=s)) for s in (0, 1))
    deterministic = {"zeros", "constant", "identity", "zero_hadamard", "zero_hadamard_paper"}
    for (one, _), (other, _) in zip(ours, theirs, strict=True):
        assert np.array_equal(one, other) == (name in deterministic)
        assert one.any() == (name != "zeros")


@pytest.mark.parametrize("sizes", [{"fan_in": 0}, {"fan_out": 0}, {"fan_in": 2.5}, {"fan_out": -1}])
def test_sizes_are_checked(sizes):
    with pytest.raises(ValueError, match=f"{next(iter(sizes))} must be a whole number from 1"):
        initlab.weights(Setting(2, 32), **sizes)


def test_the_setting_is_checked():
    with pytest.raises(TypeError, match=r"weights takes a Setting, such as Setting\(depth=50\)"):
        initlab.weights("he_normal")


def test_kept_values_go_when_memory_ends_oldest_first():
    kept = Kept(limit=10)
    for key in "abc":
        kept.keep(key, key.upper(), 4)
    assert kept.take("a") is None
    assert kept.take("b") == "B" and kept.take("b") is None
    kept.keep("d", "D", 100)  # too large alone: kept, since it is in use, and all else dropped
    assert kept.take("c") is None and kept.take("d") == "D"


def test_weights_beyond_a_precision_are_infinite_in_it():
    """Source: 65,504 is the largest number of float16. Warnings are errors here."""
    setting = Setting(2, 8, initializer="identity", gain=1e6, dtype="float16")
    for weight, _ in initlab.weights(setting):
        assert set(np.unique(weight)) == {0.0, np.inf}
    assert initlab.probe(setting).first_overflow == 1


@pytest.mark.parametrize("setting", [Setting(2, 16), initlab.Residual(blocks=2, width=16)], ids=str)
def test_a_thread_that_draws_deeper_takes_nothing_from_another(setting):
    """What is drawn ahead in the background must not end what is being measured meanwhile."""
    draws_of = draws.draws_for if isinstance(setting, Setting) else chain_draws.draws_for
    ours = draws_of(setting, 64, 10)
    deeper = setting.replace(**{setting.counted: 9})
    other = threading.Thread(target=draws_of, args=(deeper, 64, 10))
    other.start()
    other.join()
    assert all(np.isfinite(array).all() for array in jax.tree.leaves(ours))
