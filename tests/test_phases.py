"""The phase diagram: where a setting's point is drawn, and the words for it."""

import numpy as np
import pytest

from initlab import Setting, plot_phases
from initlab.figures import SpokenFigure
from initlab.phases import variances


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (Setting(initializer="he_normal"), (2.0, 0.0)),
        (Setting(initializer="glorot_normal", gain=2.0, bias_std=0.5), (4.0, 0.25)),
        (Setting(initializer="orthogonal", gain=1.5), (2.25, 0.0)),
        (Setting(initializer="torch_default", width=100), (1 / 3, 1 / 300)),
    ],
)
def test_a_setting_stands_at_its_weight_and_bias_variance(setting, expected):
    np.testing.assert_allclose(variances(setting), expected, rtol=1e-9)


def test_the_star_is_drawn_there_and_on_the_axes():
    figure = plot_phases(Setting(gain=3.0, bias_std=1.0))
    axes = figure.axes[0]
    star = axes.get_lines()[-1]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (9.0, 1.0)
    assert axes.get_xlim()[1] > 9 and axes.get_ylim()[1] > 1


@pytest.mark.parametrize(
    ("setting", "phase"),
    [
        (Setting(gain=0.7), "is ordered"),
        (Setting(gain=2.0), "is chaotic"),
        (Setting(activation="relu", initializer="he_normal"), "is critical, with chi_1 = 1."),
    ],
)
def test_phases_are_told_in_words(setting, phase):
    figure = plot_phases(setting)
    assert isinstance(figure, SpokenFigure)
    assert phase in figure.alternative_text


def test_the_edge_of_tanh_is_a_line_and_that_of_relu_a_point():
    assert "runs from weight variance 1 at" in plot_phases(Setting()).alternative_text
    relu = plot_phases(Setting(activation="relu", initializer="he_normal"))
    assert "the one point at weight variance 2," in relu.alternative_text


def test_a_pattern_has_no_point():
    with pytest.raises(ValueError, match="fixed pattern"):
        plot_phases(Setting(initializer="identity"))


def test_something_else_than_a_setting_is_refused():
    with pytest.raises(TypeError, match="takes a Setting"):
        plot_phases("tanh")
