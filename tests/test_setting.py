import dataclasses
import pickle
import re

import numpy as np
import pytest

import initlab
from initlab import Setting
from initlab.setting import MAX_SCALE

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("depth", 0, "depth must be a whole number from 1 to 128, not 0; the nearest is 1"),
        ("depth", 129, "from 1 to 128, not 129; the nearest is 128"),
        ("depth", 2.5, "from 1 to 128, not 2.5; the nearest is 2"),
        ("depth", NAN, "from 1 to 128, not nan"),
        ("depth", -INF, "from 1 to 128, not -inf; the nearest is 1"),
        ("depth", 10**400, "; the nearest is 128"),
        ("width", -64, "width must be a whole number from 1 to 2048, not -64; the nearest is 1"),
        ("width", 2049, "not 2049; the nearest is 2048"),
        ("gain", NAN, "gain must be a finite number from 0 to 1e+06, not nan"),
        (
            "gain",
            INF,
            "gain must be a finite number from 0 to 1e+06, not inf; the nearest is 1e+06",
        ),
        ("gain", -1.0, "not -1.0; the nearest is 0"),
        ("gain", 10**400, "; the nearest is 1e+06"),
        ("bias_std", NAN, "bias_std must be a finite number from 0 to 1e+06, not nan"),
        ("bias_std", -0.1, "not -0.1; the nearest is 0"),
        ("seed", -1, "seed must be a whole number from 0 to 4294967295, not -1; the nearest is 0"),
        ("seed", 2**32, "the nearest is 4294967295"),
        (
            "activation",
            "tahn",
            "unknown activation 'tahn': did you mean 'tanh'? Known are: linear,",
        ),
        (
            "initializer",
            "hee_normal",
            "unknown initializer 'hee_normal': did you mean 'he_normal'?",
        ),
        ("initializer", "xavier_nromal", "did you mean 'xavier_normal'?"),
        ("initializer", "HE_NORMAL", "unknown initializer 'HE_NORMAL': did you mean 'he_normal'?"),
        ("initializer", "", "unknown initializer ''. Known are: zeros,"),
        ("dtype", "float8", "unknown dtype 'float8': did you mean 'float"),
        ("dtype", "float64", "Known are: float32, bfloat16, float16"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed_and_the_nearest_choice(field, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Setting(**{field: value})
    with pytest.raises(ValueError, match=re.escape(message)):
        Setting().replace(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", "20"),
        ("depth", None),
        ("depth", True),
        ("width", [128]),
        ("gain", "1"),
        ("gain", None),
        ("gain", 1j),
        ("gain", False),
        ("bias_std", np.zeros(1)),
        ("seed", "0"),
        ("activation", np.tanh),
        ("initializer", None),
        ("initializer", ["he_normal"]),
        ("dtype", np.float32),
    ],
)
def test_a_wrong_type_is_a_type_error_that_shows_the_value(field, value):
    with pytest.raises(TypeError, match=re.escape(repr(value))):
        Setting(**{field: value})


@pytest.mark.parametrize(
    ("synonym", "name"),
    [
        (f"{ours}_{law}", f"{theirs}_{law}")
        for ours, theirs in (("xavier", "glorot"), ("kaiming", "he"))
        for law in ("normal", "uniform")
    ],
)
def test_synonyms_are_the_entries_they_stand_for(synonym, name):
    assert Setting(initializer=synonym) == Setting(initializer=name)
    assert Setting(initializer=synonym).initializer == name


def test_numpy_numbers_become_plain_ones():
    setting = Setting(
        depth=np.int64(7), width=np.uint16(64), gain=np.float32(2), bias_std=0, seed=np.float64(3.0)
    )
    assert setting == Setting(depth=7, width=64, gain=2.0, seed=3)
    assert [type(getattr(setting, name)) for name in ("depth", "width", "seed")] == [int] * 3
    assert [type(getattr(setting, name)) for name in ("gain", "bias_std")] == [float] * 2
    assert "np" not in repr(setting)


@pytest.mark.parametrize(
    "limits",
    [
        {"depth": 1, "width": 1, "gain": 0.0, "bias_std": 0.0, "seed": 0},
        {"depth": 128, "width": 2048, "gain": MAX_SCALE, "bias_std": MAX_SCALE, "seed": 2**32 - 1},
    ],
)
def test_limits_are_allowed(limits):
    assert {name: getattr(Setting(**limits), name) for name in limits} == limits


def test_a_setting_is_frozen_and_can_be_a_key():
    setting = Setting()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setting.depth = 3
    assert {setting: 1}[Setting()] == 1
    assert pickle.loads(pickle.dumps(setting)) == setting


def test_replace_changes_one_field_and_names_an_unknown_one():
    assert Setting(seed=3).replace(depth=5) == Setting(depth=5, seed=3)
    message = (
        "Setting has no field 'initialiser': did you mean 'initializer'? Its fields are: depth,"
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        Setting().replace(initialiser="zeros")


def test_changes_are_what_one_types_to_get_the_setting():
    assert Setting().changes() == {}
    setting = Setting(depth=50, initializer="xavier_uniform", gain=2)
    assert list(setting.changes().items()) == [
        ("depth", 50),
        ("initializer", "glorot_uniform"),
        ("gain", 2.0),
    ]
    assert Setting(**setting.changes()) == setting


def test_the_public_names_are_there():
    assert all(hasattr(initlab, name) for name in initlab.__all__)


@pytest.mark.parametrize("field", ["depth", "gain", "activation", "dtype"])
def test_what_is_too_long_to_show_is_shortened(field):
    """An integer of thousands of digits has no ``repr``; a name of as many has a long one."""
    for value in (10**5000, "x" * 100_000):
        with pytest.raises((TypeError, ValueError), match=field) as caught:
            Setting(**{field: value})
        assert len(str(caught.value)) < 1000


def test_numpys_strings_and_minus_zero_become_plain():
    setting = Setting(
        activation=np.str_("relu"), initializer=np.str_("he_normal"), dtype=np.str_("float16")
    ).replace(gain=-0.0)
    assert (
        eval(repr(setting)) == setting and "np" not in repr(setting) and "-0" not in repr(setting)
    )


@pytest.mark.parametrize(
    ("value", "end"), [(INF, "not inf; the nearest is 16"), (NAN, "16, not nan"), (3, "is 2")]
)
def test_the_nearest_of_a_few_numbers_is_named(value, end):
    with pytest.raises(ValueError, match=f"heads must be one of 1, 2, 4, 8, .*{end}$"):
        initlab.Transformer(heads=value)
