"""Maps that are dragged: the picture follows, the words too, and nothing is compiled on the way."""

import dataclasses
import io
import logging

import ipywidgets
import jax
import numpy as np
import pytest
from matplotlib import image

import initlab
from initlab import Setting, theory

NAMES = ("glorot_normal", "he_normal"), ("linear", "tanh")


@pytest.fixture
def table():
    widget = initlab.explore_table(5, 16, *NAMES)
    widget.update()
    yield widget
    widget.close()


@pytest.fixture
def phases():
    widget = initlab.explore_phases(Setting(gain=1.2, bias_std=0.3))
    widget.update()
    yield widget
    widget.close()


def pixels(widget):
    return image.imread(io.BytesIO(widget.image.value))


def test_the_table_at_each_depth_is_that_of_plot_table(table):
    for depth in (2, 20, 100):
        table.depth.value = depth
        figure = initlab.plot_table(depth, 16, *NAMES)
        assert table.description == figure.alternative_text


def test_who_is_healthy_with_whom_is_spoken(table):
    table.depth.value = 100
    healthy = "Healthy at depth 100: glorot_normal with linear, tanh; he_normal with none."
    table._tables[100] = dataclasses.replace(
        table.table, healthy=np.array([[True, True], [False, False]])
    )
    table.update()
    assert f">{healthy}<" in table.status.value


def test_a_cell_of_the_table_is_what_a_probe_measures(table):
    table.depth.value = 40
    setting = Setting(depth=40, width=16, initializer="he_normal", activation="linear")
    signals = initlab.probe(setting)
    first, last = signals.gradient_second_moment[[0, -1]]
    assert table.table.powers[1, 0] == pytest.approx(np.log10(first / last))
    assert table.table.healthy[1, 0] == initlab.diagnose(signals).healthy


def test_a_depth_is_measured_once(table, monkeypatch):
    table.depth.value = 20
    monkeypatch.setattr("initlab.pairs.probe", None)
    for depth in (5, 20, 5):
        table.depth.value = depth


def test_nothing_is_compiled_while_depth_is_dragged(table, caplog):
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        table.depth.value = 30
    assert [record for record in caplog.records if "Compiling" in record.message] == []


def test_the_table_starts_at_any_depth_and_refuses_what_plot_table_does():
    assert initlab.explore_table(17, 16, *NAMES).depth.value == 17
    with pytest.raises(ValueError, match="at least"):
        initlab.explore_table(activations=())
    with pytest.raises(ValueError, match="depth"):
        initlab.explore_table(depth=0)


def test_the_star_moves_and_only_the_star(phases):
    before = pixels(phases)
    phases.weight_variance.value = 3.5
    moved = (pixels(phases) != before).any(axis=2)
    assert 0 < moved.mean() < 0.02


@pytest.mark.parametrize(
    ("activation", "weight_variance", "bias_variance"),
    [("tanh", 0.5, 0.05), ("tanh", 2.0, 0.05), ("relu", 2.0, 0.0)],
)
def test_the_words_say_phase_and_depth_scale(phases, activation, weight_variance, bias_variance):
    phases.activation.value = activation
    phases.weight_variance.value, phases.bias_variance.value = weight_variance, bias_variance
    limits = theory.limits(activation, weight_variance, bias_variance)
    assert f"is {limits.phase}, with chi_1 = {limits.chi_1:.3g}" in phases.description
    told = f"every {limits.xi_gradient:.3g} layers"
    assert (told in phases.description) == (limits.phase != "critical")
    assert phases.sentence in phases.status.value
    assert f"Phase diagram of {activation}" in phases.description


def test_its_setting_stands_where_the_star_does(phases):
    phases.weight_variance.value, phases.bias_variance.value = 2.25, 0.25
    assert phases.setting == Setting(gain=1.5, bias_std=0.5)
    words = initlab.plot_phases(phases.setting).alternative_text
    assert "at weight variance 2.25 and bias variance 0.25" in words


def test_what_lies_beyond_the_diagram_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"from 0.01 to 4, not to 9; initlab.plot_phases"):
        initlab.explore_phases(Setting(gain=3.0))
    with pytest.raises(ValueError, match="fixed pattern"):
        initlab.explore_phases(Setting(initializer="identity"))
    with pytest.raises(TypeError, match="takes a Setting"):
        initlab.explore_phases("tanh")


@pytest.mark.parametrize("name", ["table", "phases"])
def test_without_a_kernel_there_are_a_picture_and_its_words(name, request, monkeypatch):
    widget = request.getfixturevalue(name)
    shown = []

    class Handle:
        def update(self, data, raw, metadata):
            shown.append((data, metadata))

    monkeypatch.setattr("initlab.live.display", lambda *_, **__: Handle())
    monkeypatch.setattr(type(widget), "_prepare_when_idle", lambda self: None)
    widget._ipython_display_()
    [(data, metadata)] = shown
    assert metadata["image/png"]["alt"] == widget.description
    assert data["text/plain"] == widget.sentence
    assert data["image/png"]


@pytest.mark.parametrize("name", ["table", "phases"])
def test_closing_leaves_no_widget(name, request):
    widget = request.getfixturevalue(name)
    children = [child for child in widget.children if not isinstance(child, ipywidgets.Box)]
    widget.close()
    assert all(child.comm is None for child in (widget, *children))
