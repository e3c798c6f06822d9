"""The explorer without a browser: every control driven to its ends, errors, and what is shown."""

import ast
import gc
import re

import ipywidgets
import numpy as np
import pytest

import initlab
from initlab import details, live, network, preparation
from initlab.activations import ACTIVATIONS, Activation
from initlab.controls import GAINS, WIDTHS, fields_by_control
from initlab.data import gaussian
from initlab.initializers import menu
from initlab.panels import panels_for


@pytest.fixture
def explorer():
    explorer = initlab.explore(depth=6, width=32, max_depth=24)
    explorer.update()
    yield explorer
    explorer.close()


def controls(explorer, *names):
    return [explorer.controls[name] for name in names]


def test_every_control_moves_the_setting_and_the_picture(explorer):
    ends = {
        "depth": (1, 24),
        "width": (16, 64),
        "gain": (GAINS[0], GAINS[-1]),
        "bias": (3.0, 0.5),
        "activation": ("sigmoid", "relu"),
        "initializer": ("zeros", "orthogonal"),
        "seed": (2**32 - 1, 1),
        "dtype": ("float16", "float32"),
    }
    assert set(ends) == set(fields_by_control(initlab.Setting))
    for name, values in ends.items():
        for value in values:
            before = explorer.image.value
            explorer.controls[name].value = value
            shown = getattr(explorer.setting, "bias_std" if name == "bias" else name)
            assert shown == pytest.approx(value) if isinstance(value, float) else shown == value
            assert explorer.signals.setting == explorer.setting
            assert explorer.image.value != before, (name, value)
            assert bytes(explorer.image.value).startswith(b"\x89PNG")


def test_every_choice_of_activation_and_initializer_can_be_shown(explorer):
    for name in ("activation", "initializer"):
        for value in explorer.controls[name].options:
            explorer.controls[name].value = value
            assert f", {value}," in explorer.status.value


def test_the_sentence_is_spoken_and_names_the_failure(explorer):
    explorer.setting = explorer.setting.replace(initializer="zeros")
    assert "role='status'" in explorer.status.value
    assert "Symmetry collapse" in explorer.status.value


def test_assigning_a_setting_draws_one_frame(explorer, monkeypatch):
    frames = []
    monkeypatch.setattr(explorer, "_draw", lambda *_: frames.append(explorer.setting))
    target = initlab.Setting(depth=9, width=16, gain=2.0, bias_std=0.5, activation="relu")
    explorer.setting = target
    assert frames == [target] == [explorer.setting]


def test_reset_returns_to_the_start(explorer):
    start = explorer.setting
    explorer.setting = start.replace(depth=20, gain=3.0, initializer="zeros")
    explorer.controls["reset"].click()
    assert explorer.setting == start


def test_draw_again_takes_the_next_seed(explorer):
    before = explorer.signals.activation_variance
    explorer.controls["draw again"].click()
    assert explorer.setting.seed == 1
    assert not np.array_equal(explorer.signals.activation_variance[1:], before[1:])


def test_a_pinned_ghost_stays_until_it_is_unpinned(explorer):
    plain = explorer.image.value
    (pin,) = controls(explorer, "pin")
    pin.value = True
    assert pin.description == "unpin"
    explorer.controls["gain"].value = 3.2
    with_ghost = explorer.image.value
    pin.value = False
    assert explorer.image.value != with_ghost
    explorer.controls["gain"].value = 1.0
    assert explorer.image.value == plain


def test_the_copied_line_makes_this_very_picture(explorer):
    explorer.setting = explorer.setting.replace(depth=12, gain=1.5, activation="relu", seed=3)
    explorer.controls["panels"].value = ("gradient", "similarity")
    explorer.controls["copy as code"].value = True
    line = re.search("<code[^>]*>(.*?)</code>", explorer.code.value).group(1)
    call = ast.parse(line.replace("&#x27;", "'"), mode="eval").body
    assert ast.unparse(call.func) == "initlab.explore"
    arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    again = initlab.explore(**arguments)
    again.update()
    assert again.image.value == explorer.image.value
    again.close()


def test_every_panel_can_be_chosen_and_the_last_one_cannot_be_taken_away(explorer):
    panels = tuple(panels_for(initlab.Setting))
    explorer.controls["panels"].value = panels
    assert len(explorer.figure.axes) >= len(panels)
    explorer.controls["panels"].value = ("histogram",)
    explorer.controls["panels"].value = ()
    assert explorer.controls["panels"].value == ("histogram",)


def test_theory_can_be_switched_off(explorer):
    with_theory = explorer.image.value
    explorer.controls["theory"].value = False
    assert explorer.image.value != with_theory


def test_an_overflow_is_drawn_and_named(explorer):
    explorer.setting = explorer.setting.replace(
        depth=24, activation="relu", gain=100.0, initializer="he_normal"
    )
    assert explorer.signals.first_overflow is not None
    assert "Numerical overflow" in explorer.status.value


def test_an_error_is_shown_and_raised_and_the_picture_stays(explorer):
    def fail(z):
        raise FloatingPointError("no such thing as phi")

    ACTIVATIONS.add(Activation("broken", fail))
    try:
        broken = initlab.explore(depth=3, width=16, max_depth=24)
        broken.update()
        before = broken.image.value
        with pytest.raises(FloatingPointError, match="no such thing"):
            broken.controls["activation"].value = "broken"
        assert "FloatingPointError: no such thing as phi" in broken.status.value
        assert broken.image.value == before
        broken.close()
    finally:
        ACTIVATIONS.remove("broken")


def test_a_registered_activation_appears_in_the_dropdown():
    initlab.register_activation("softsign", lambda z: z / (1 + abs(z)))
    try:
        mine = initlab.explore(depth=4, width=16, activation="softsign")
        assert mine.signals.setting.activation == "softsign"
        mine.close()
    finally:
        ACTIVATIONS.remove("softsign")


def test_two_explorers_share_nothing(explorer):
    other = initlab.explore(depth=6, width=32, max_depth=24)
    before, picture = explorer.setting, explorer.image.value
    other.setting = other.setting.replace(depth=20, initializer="zeros")
    other.controls["pin"].value = True
    assert explorer.setting == before
    assert explorer.image.value == picture
    other.close()


def test_a_batch_of_ones_own():
    batch = gaussian(64, features=12, classes=3)
    mine = initlab.explore(batch, depth=4, width=16)
    assert mine.signals.batch is batch
    mine.controls["copy as code"].value = True
    assert "explore(batch, depth=4, width=16)" in mine.code.value
    mine.close()


def test_moving_makes_no_new_widgets_figures_or_programs(explorer):
    explorer.warm_up()
    explorer.update()
    programs = network._measure._cache_size()
    widgets = len(_live_widgets())
    random = np.random.default_rng(0)
    for _ in range(50):
        explorer.setting = explorer.setting.replace(
            depth=int(random.integers(1, 25)),
            gain=float(np.exp(random.normal())),
            seed=int(random.integers(4)),
            initializer=str(random.choice(menu())),
        )
    assert network._measure._cache_size() == programs
    assert len(_live_widgets()) == widgets


def test_no_width_waits_for_the_programs_of_panels_that_are_measured_on_demand(
    explorer, monkeypatch
):
    tasks = {}
    monkeypatch.setattr(preparation.WARMER, "add", tasks.setdefault)
    explorer.controls["panels"].value = ("variance", "singular_values")
    assert not tasks  # it is not shown yet
    explorer._prepare_when_idle()
    explorer.controls["panels"].value = ("variance", "gradient")
    known = set(tasks)
    widths = [key[1][0] for key in known if key[0] == "details"]
    assert sorted(widths) == list(explorer.controls["width"].options)
    explorer.controls["panels"].value = ("correlation",)
    assert set(tasks) == known

    tasks["details", preparation.program(explorer.setting.replace(width=16), explorer.batch)]()
    programs = details._follow._cache_size()
    explorer.controls["width"].value = 16
    assert details._follow._cache_size() == programs


def test_what_no_shown_control_moves_is_not_compiled_ahead(monkeypatch):
    tasks = {}
    monkeypatch.setattr(preparation.WARMER, "add", tasks.setdefault)
    for controls, widths in ((("depth", "width"), WIDTHS), (("depth", "gain"), (8,))):
        tasks.clear()
        shown = initlab.explore(gaussian(6, 8, 3), controls=controls, depth=4, width=8)
        shown._prepare_when_idle()
        compiled = {task.args[0].width for task in tasks.values() if _compiles_a_pass(task)}
        assert compiled == {8, *widths}
        shown.close()


def _compiles_a_pass(task) -> bool:
    return getattr(task, "func", None) is preparation.compile_pass


def _live_widgets():
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, ipywidgets.Widget)]


def test_what_is_stored_with_the_widget(explorer, monkeypatch):
    """A reader without a kernel gets the picture and its sentence as alternative text."""
    shown = []

    class Handle:
        def update(self, data, **options):
            shown.append((data, options))

    def display(data, **options):
        shown.append((data, options))
        return Handle()

    monkeypatch.setattr(live, "display", display)
    monkeypatch.setattr(preparation, "prepare_when_idle", lambda *_: None)
    explorer._ipython_display_()
    (first, _), (last, options) = shown
    assert "application/vnd.jupyter.widget-view+json" in first
    assert "image/png" in last
    assert options["metadata"]["image/png"]["alt"].startswith(last["text/plain"])
    assert "Depth 6" in last["text/plain"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 129}, "the nearest is 128"),
        ({"depth": 40, "max_depth": 30}, "the depth slider goes from 1 to 30"),
        ({"gain": 1000.0}, "the nearest is 100"),
        ({"gain": 0.0}, "the nearest is 0.01"),
        ({"bias_std": 9.0}, "the nearest is 3"),
        ({"initializer": "hee_normal"}, "did you mean 'he_normal'"),
        ({"panels": ("variances",)}, "did you mean 'variance'"),
        ({"controls": ("dept",)}, "did you mean 'depth'"),
        ({"theme": "drak"}, "did you mean 'dark'"),
        ({"max_depth": 0}, "max_depth must be a whole number"),
    ],
)
def test_bad_arguments_name_the_nearest_choice(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        initlab.explore(**arguments)


def test_wrong_types_and_unknown_fields():
    with pytest.raises(TypeError, match="batch must be a Batch"):
        initlab.explore(np.zeros((3, 4)))
    with pytest.raises(TypeError, match="did you mean 'depth'"):
        initlab.explore(depht=3)


def test_gains_are_round_and_evenly_spread():
    steps = np.diff(np.log10(GAINS))
    assert (GAINS[0], GAINS[-1]) == (0.01, 100.0)
    assert {0.5, 1.0, 2.0} <= set(GAINS)
    assert steps.min() > 0.02
    assert steps.max() < 0.06


def test_a_gain_between_the_sliders_positions_is_kept_exactly():
    gain = 1.5925
    mine = initlab.explore(depth=4, width=16, gain=gain)
    assert mine.setting.gain == gain
    mine.setting = mine.setting.replace(gain=0.3333)
    assert mine.signals.setting.gain == 0.3333
    mine.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"network": initlab.setting.AnySetting}, "network must be a kind of setting, such as"),
        ({"controls": "depth"}, "controls must be several, such as .*, not 'depth'"),
        ({"panels": "variance"}, "panels must be several"),
        ({"panels": [None]}, "panel must be a name such as"),
        ({"batch": 3}, "batch must be a Batch"),
    ],
)
def test_what_no_explorer_can_show_is_named(arguments, words):
    with pytest.raises(TypeError, match=words):
        initlab.explore(**arguments)
