"""The grid of a sweep: its points, its coordinates, and the errors of a wrong axis."""

import itertools

import numpy as np
import pytest

from initlab import Setting
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS, menu
from initlab.sweeps.grid import grid_of


def test_points_are_the_product_of_the_axes_with_the_last_one_fastest():
    axes = {"gain": [0.5, 2], "activation": ("relu", "tanh"), "seed": range(3)}
    grid = grid_of(depth=7, **axes)
    expected = [
        Setting(depth=7, gain=gain, activation=activation, seed=seed)
        for gain, activation, seed in itertools.product(*axes.values())
    ]
    assert grid.settings() == expected
    assert grid.shape == (2, 2, 3)
    assert len(grid) == 12
    for name, column in grid.columns.items():
        assert column.tolist() == [getattr(setting, name) for setting in expected], name


def test_without_an_axis_there_is_one_point():
    grid = grid_of(width=64)
    assert grid.settings() == [Setting(width=64)]
    assert grid.shape == ()
    assert grid.columns["width"].tolist() == [64]


def test_sequences_of_all_kinds_make_axes():
    assert grid_of(depth=np.arange(1, 4)).axes == {"depth": (1, 2, 3)}
    assert grid_of(gain=np.float32([0.5])).axes == {"gain": (0.5,)}
    assert grid_of(gain=np.array(0.5)).fixed["gain"] == 0.5
    assert grid_of(seed=(n for n in (3, 1))).axes == {"seed": (3, 1)}
    values = grid_of(depth=np.arange(1, 4), initializer=np.array(["he_normal"])).axes
    assert [type(value) for axis in values.values() for value in axis] == [int, int, int, str]


def test_all_stands_for_a_catalogue():
    grid = grid_of(initializer="all", activation="all")
    assert grid.axes["activation"] == tuple(ACTIVATIONS)
    assert grid.axes["initializer"] == tuple(menu(Setting))
    assert {INITIALIZERS[name].quick for name in grid.axes["initializer"]} == {True}


def test_coordinates_have_names_and_units():
    dataset = grid_of(depth=[3, 5], gain=[0.5, 1.0, 2.0], initializer="xavier_normal").dataset()
    assert dict(dataset.sizes) == {"depth": 2, "gain": 3}
    assert dataset.depth.attrs["units"] == "hidden layers"
    assert dataset.sel(depth=5).depth == 5
    assert dataset.initializer == "glorot_normal"
    assert set(dataset.coords) == set(grid_of().fixed)


def test_the_deepest_point():
    assert grid_of(depth=[3, 9, 5]).deepest == 9
    assert grid_of(depth=4).deepest == 4


@pytest.mark.parametrize(
    ("axes", "error", "words"),
    [
        ({"gian": [1.0]}, TypeError, "no axis 'gian': did you mean 'gain'"),
        ({"depth": []}, ValueError, "the axis depth is empty.*such as 20"),
        ({"depth": [1, 200]}, ValueError, "depth must be a whole number from 1 to 128, not 200"),
        ({"depth": [1, "2"]}, TypeError, "depth must be a whole number"),
        ({"gain": float("nan")}, ValueError, "gain must be a finite number"),
        ({"seed": [1, 2, 1]}, ValueError, "the axis seed has 1 twice"),
        ({"initializer": ["xavier_normal", "glorot_normal"]}, ValueError, "'glorot_normal' twice"),
        ({"activation": ["tanh", "rleu"]}, ValueError, "did you mean 'relu'"),
        ({"gain": np.ones((2, 2))}, ValueError, r"not an array of shape \(2, 2\)"),
        ({"dtype": "all"}, ValueError, "unknown dtype 'all'"),
        (
            {"seed": range(10_000), "gain": np.arange(10_001.0)},
            ValueError,
            "at most 100,000,000 points, not 10000 x 10001 = 100,010,000",
        ),
    ],
)
def test_wrong_axes_are_told_with_what_is_right(axes, error, words):
    with pytest.raises(error, match=words):
        grid_of(**axes)


def test_an_axis_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr("initlab.sweeps.grid.MAX_VALUES", 1000)
    with pytest.raises(ValueError, match="the axis seed has more than 1,000 values"):
        grid_of(seed=itertools.count())
