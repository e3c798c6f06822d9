"""The race without a browser: training in the background, pictures, Stop, and what is stored."""

import itertools
import math
import threading
import time

import numpy as np
import optax
import pytest

import initlab
from initlab import data, live, racing, train
from initlab.race_picture import BY_LAYER, STYLES, RacePicture, median_interval, say_band
from initlab.setting import Setting

pytestmark = pytest.mark.numerics

BATCH = data.digits(96)
SMALL = Setting(2, 16, "tanh")
STARTS = {
    "good": SMALL,
    "zeros": SMALL.replace(initializer="zeros"),
    "diverges": SMALL.replace(activation="linear", gain=30.0),
}
OPTIONS = {"steps": 30, "optimizer": optax.sgd(0.05)}


@pytest.fixture
def race():
    made = []

    def make(settings=STARTS, **options):
        made.append(initlab.race(settings, BATCH, **(OPTIONS | options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_race_ends_with_what_train_returns(race):
    shown = race(record_every=10)
    history = shown.wait()
    expected = train(STARTS, BATCH, record_every=10, **OPTIONS)
    np.testing.assert_array_equal(history.steps, expected.steps)
    assert history.complete and history is shown.history
    # stretches of other lengths are the same program
    np.testing.assert_array_equal(history.loss, expected.loss)
    np.testing.assert_array_equal(history.update_ratio, expected.update_ratio)
    assert shown.stop_button.disabled and shown.progress.value == 30


def test_the_sentence_names_who_leads_and_who_diverged(race):
    shown = race()
    shown.wait()
    text = shown.status.value
    assert text.index("good: loss") < text.index("zeros: loss") < text.index("diverges diverged")
    place = 2
    assert shown.history.say_divergence(place) in text and "role='status'" in text


def test_the_picture_grows_while_it_trains_and_the_kernel_is_free(race):
    shown = race(steps=3000, record_every=10)
    pictures = []
    shown.image.observe(lambda change: pictures.append(time.monotonic()), "value")
    shown.start()
    first = shown.history  # returns as soon as there is a record
    assert not first.complete and shown._thread.is_alive()
    while len(pictures) < 12:
        time.sleep(0.02)  # this thread does something else
    shown.stop()
    history = shown.wait()
    assert not history.complete and len(history.steps) > 3
    assert "Stopped." in shown.status.value


def test_stop_keeps_what_was_computed_to_the_last_step(race):
    shown = race(steps=10**6, record_every=10**6)
    shown.start()
    while shown._run.step < 20:
        time.sleep(0.01)
    shown.stop_button.click()
    start = time.monotonic()
    history = shown.wait()
    # a stretch of 0.12 s, a record and two pictures, on a machine that may do other things
    assert time.monotonic() - start < 5
    last = history.steps[-1]
    assert list(history.steps) == [0, last] and 20 <= last < 10**6
    expected = train(STARTS, BATCH, **(OPTIONS | {"steps": int(last), "record_every": int(last)}))
    np.testing.assert_array_equal(history.loss, expected.loss)


def test_closing_ends_the_thread(race):
    shown = race(steps=10**6)
    shown.start()
    shown.close()
    assert not shown._thread.is_alive()
    assert not [one for one in threading.enumerate() if one.name == "initlab-race"]


def test_what_is_shown_by_layer_can_be_chosen_during_the_race_and_after(race):
    shown = race(by_layer="neurons")
    shown.wait()
    pictures = {shown.image.value}
    for name in ("gradient", "update", "neurons"):
        shown.by_layer.value = name
        pictures.add(shown.image.value)
    assert len(pictures) == 4  # the first of them is sharper than the last


def test_an_error_in_the_thread_is_shown_and_raised(race, monkeypatch):
    def fail(*_):
        raise FloatingPointError("no step is possible")

    monkeypatch.setattr(racing.Run, "advance", fail)
    shown = race()
    for attempt in (shown.wait, lambda: shown.history):
        with pytest.raises(FloatingPointError, match="no step"):
            attempt()
    assert "FloatingPointError: no step is possible" in shown.status.value


# --- what a cell shows, and keeps ------------------------------------------------------------


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, shown, **options):
        self.shown.append((shown, options))


@pytest.fixture
def notebook(monkeypatch):
    """Where a race is displayed: what was shown so far, and which cell is run by whom."""
    page = {"shown": [], "cell": "a", "looks": False}

    def display(data, **options):
        page["shown"].append((data, options))
        return Handle(page["shown"])

    monkeypatch.setattr(racing, "display", display)
    monkeypatch.setattr(live, "display", display)
    monkeypatch.setattr(racing, "_cell", lambda: page["cell"])
    monkeypatch.setattr(racing, "_somebody_looks", lambda: page["looks"])
    return page


def test_where_nobody_looks_the_cell_holds_the_last_picture(race, notebook):
    shown = race()
    shown._ipython_display_()
    assert not shown._thread.is_alive()
    (first, _), (last, options) = notebook["shown"]
    assert "application/vnd.jupyter.widget-view+json" in first
    assert "image/png" in last and "application/vnd.jupyter.widget-view+json" in last
    assert last["text/plain"] == options["metadata"]["image/png"]["alt"] == shown.description


def test_a_race_that_is_over_is_shown_with_its_picture(race, notebook):
    shown = race()
    shown.wait()
    assert not notebook["shown"]
    shown._ipython_display_()
    assert len(notebook["shown"]) == 2 and "image/png" in notebook["shown"][1][0]


def test_where_somebody_looks_the_cell_returns_at_once(race, notebook):
    notebook["looks"] = True
    shown = race(steps=10**6)
    shown._ipython_display_()
    assert shown._thread.is_alive() and len(notebook["shown"]) == 1
    shown.stop()
    shown.wait()
    assert len(notebook["shown"]) == 2


def test_running_the_cell_again_stops_its_race_and_no_other(race, notebook):
    notebook["looks"] = True
    first, other, again = (race(steps=10**6) for _ in range(3))
    for shown, cell in ((first, "a"), (other, "b"), (again, "a")):
        notebook["cell"] = cell
        shown._ipython_display_()
    first.wait()
    assert other._thread.is_alive() and again._thread.is_alive()


# --- seeds, bands and curves -----------------------------------------------------------------


def test_seeds_are_one_curve_with_a_band(race):
    shown = race({"good": SMALL, "zeros": STARTS["zeros"]}, seeds=3)
    history = shown.wait()
    assert history.loss.shape[0] == 6
    figure = initlab.plot_race(history)
    curves = figure.axes[0].get_lines()
    loss = history.by_name("loss")["good"]
    median = np.median(loss, axis=0)
    drawn = [line.get_ydata() for line in curves if len(line.get_ydata()) == len(median)]
    assert any(np.allclose(values, median) for values in drawn)
    assert "75% confidence interval" in figure.legends[0].get_title().get_text()
    band = figure.axes[0].patches[0].get_xy()[:-1, 1]
    np.testing.assert_allclose(band, np.append(loss.min(axis=0), loss.max(axis=0)[::-1]))


def test_the_interval_of_a_median_covers_it_as_often_as_is_said():
    """Source: the chance that j or more of n fall on one side, counted over all 2^n outcomes."""
    for count in (1, 2, 3, 5, 8, 12):
        skipped, coverage = median_interval(count)
        sides = np.array(list(itertools.product((0, 1), repeat=count))).sum(axis=1)
        inside = (sides > skipped) & (sides < count - skipped)
        assert coverage == pytest.approx(inside.mean(), abs=1e-12)
        if skipped:
            assert coverage >= 0.9
        tighter = (sides > skipped + 1) & (sides < count - skipped - 1)
        assert tighter.mean() < 0.9
    assert median_interval(8) == (1, 1 - 2 * (1 + 8) / 2**8)
    assert say_band(1) is None


def test_eight_curves_are_told_apart_without_colour():
    """Contrast by WCAG 2.1: 3:1 to white paper for graphics; lines and markers all differ."""

    def luminance(color):
        channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return math.fsum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for color, _, _ in STYLES:
        assert 1.05 / (luminance(color) + 0.05) >= 3
    for part in range(3):
        assert len({style[part] for style in STYLES}) == 8


def test_a_diverged_start_is_marked_where_it_did():
    history = train(STARTS, BATCH, record_every=1, **OPTIONS)
    figure = initlab.plot_race(history)
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    drawn = [list(line.get_xdata()) for line in marks]
    assert drawn == [[], [], [history.diverged_at[2]]]
    assert history.say_divergence(2) in figure.alternative_text


@pytest.mark.parametrize("by_layer", BY_LAYER)
def test_networks_of_several_depths_stand_side_by_side(by_layer):
    settings = [SMALL, initlab.Residual(blocks=2, width=16)]
    history = train(settings, data.digits(64), steps=2)
    figure = initlab.plot_race(history, by_layer)
    values = getattr(history, BY_LAYER[by_layer].field)
    lines = [line for line in figure.axes[2].get_lines() if line.get_marker() != "x"]
    for place, line in enumerate(lines):
        count = settings[place].depth + (by_layer == "update")
        np.testing.assert_allclose(line.get_ydata(), values[place, -1, :count])


def test_a_picture_is_whole_pixels_at_any_sharpness():
    names = tuple(f"a long name of the start number {number}" for number in range(8))
    for dpi in (96, 192):
        picture = RacePicture(names, (SMALL,) * 8, 100, True, dpi=dpi)
        assert picture.png().startswith(b"\x89PNG")
        width, height = picture.size
        pixels = np.asarray(picture.figure.canvas.buffer_rgba()).shape
        assert pixels[:2] == (height * dpi // 96, width * dpi // 96)


@pytest.mark.parametrize(
    ("settings", "options", "error", "message"),
    [
        ([SMALL.replace(gain=1 + n) for n in range(9)], {}, ValueError, "at most 8 starts"),
        (STARTS, {"by_layer": "gradiant"}, ValueError, "did you mean 'gradient'"),
        (STARTS, {"steps": 0}, ValueError, "steps must be a whole number from 1"),
        (STARTS, {"batch_size": 97}, ValueError, "the nearest is 96"),
        ("tanh", {}, TypeError, "settings must be several, such as"),
        (STARTS, {"record_evry": 2}, TypeError, "record_evry"),
    ],
)
def test_wrong_input_is_named_at_once(settings, options, error, message):
    with pytest.raises(error, match=message):
        initlab.race(settings, BATCH, **options)


def test_what_is_no_history_is_named():
    with pytest.raises(TypeError, match="takes the History that train returns"):
        initlab.plot_race(SMALL)
