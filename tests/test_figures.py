"""Curves over steps or layers: ticks that can be read, and the words for the figure."""

import numpy as np
import pytest

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


def test_curves_are_told_in_words_and_too_many_are_refused():
    figure = plot_curves([0, 10], {"a": [2.0, 1.0], "b": [2.0, 0.5]}, "loss")
    assert figure.alternative_text == "loss over 10 steps: a from 2 to 1, b from 2 to 0.5."
    with pytest.raises(ValueError, match="7 curves"):
        plot_curves([0], {str(number): [0] for number in range(7)}, "loss")
