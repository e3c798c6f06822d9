"""Curves over steps or layers: ticks that can be read, and the words for the figure."""

import numpy as np
import pytest

import initlab
from initlab import plot_curves


def tick_labels(axis):
    axis.figure.canvas.draw()
    low, high = axis.get_view_interval()
    return [
        label.get_text()
        for label, at in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
        if low <= at <= high
    ]


@pytest.mark.parametrize("last", [3, 7, 20, 300])
def test_steps_and_layers_are_whole_numbers(last):
    steps = np.arange(1, last + 1)
    figure = plot_curves(steps, {"loss": 1 / steps}, "loss")
    labels = tick_labels(figure.axes[0].xaxis)
    assert 2 <= len(labels) <= 8
    assert all(label.isdigit() for label in labels)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.4, 2.3], ["0.5", "1", "2"]),
        ([0.04, 2.3], ["0.1", "0.3", "1"]),
        ([2e-4, 2.3], ["0.001", "0.01", "0.1", "1"]),
        ([1e-9, 1.0], ["1e\N{MINUS SIGN}08", "1e\N{MINUS SIGN}06", "0.0001", "0.01", "1"]),
    ],
)
def test_logarithmic_ticks_are_plain_numbers(values, expected):
    figure = plot_curves([0, 1], {"loss": values}, "loss", logarithmic=True)
    assert tick_labels(figure.axes[0].yaxis) == expected


def test_every_name_stands_in_the_legend():
    figure = plot_curves([0, 1], {"a": [1, 2], "_b": [2, 3]}, "loss")
    names = [text.get_text().strip() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["a", "_b"]


def test_curves_are_told_in_words_and_too_many_are_refused():
    figure = plot_curves([0, 10], {"a": [2.0, 1.0], "b": [2.0, 0.5]}, "loss")
    assert figure.alternative_text == "loss over 10 steps: a from 2 to 1, b from 2 to 0.5."
    with pytest.raises(ValueError, match="7 curves"):
        plot_curves([0], {str(number): [0] for number in range(7)}, "loss")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"steps": [0, 1, 2]}, ValueError, "curve a must have 3 numbers, one for each step"),
        ({"steps": []}, ValueError, "steps must be a list of one number or more"),
        ({"curves": {}}, ValueError, "curves must have one curve at least"),
        ({"curves": [1, 2]}, TypeError, "curves must be a dict"),
        ({"curves": {"a": ["x", "y"]}}, TypeError, "curve a must be real numbers"),
        ({"label": None}, TypeError, "label must be a string, not None"),
        ({"label": "$\\frac{1$"}, ValueError, "label has LaTeX that cannot be drawn"),
        ({"logarithmic": "no"}, TypeError, "logarithmic must be True or False, not 'no'"),
    ],
)
def test_curves_that_cannot_be_drawn_are_named(arguments, error, words):
    usual = {"steps": [0, 1], "curves": {"a": [1.0, 2.0]}, "label": "y"}
    with pytest.raises(error, match=words):
        plot_curves(**usual | arguments)


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("values", [[np.nan] * 3, [np.inf, 1.0, -1.0], [1e308, 5e-324, -1e308]])
def test_curves_of_any_numbers_are_drawn_without_a_warning(values, logarithmic):
    plot_curves([0, 1, 2], {"a": values}, "y", logarithmic=logarithmic).draw_without_rendering()


def test_neurons_are_pictures_of_whole_numbers_of_pixels():
    weight = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"count must be a whole number .*, not 0"):
        initlab.plot_neurons(weight, 0, (2, 2))
    with pytest.raises(TypeError, match="shape must be several"):
        initlab.plot_neurons(weight, 1, 4)
    with pytest.raises(ValueError, match="weight must have a unit at least"):
        initlab.plot_neurons(np.ones((4, 0)), 1, (2, 2))
    weight[0, 0] = np.inf
    assert "largest weight is 1." in initlab.plot_neurons(weight, 3, (2, 2)).alternative_text
