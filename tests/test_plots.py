"""Pictures: what is drawn is what was measured, on axes that stay where they are."""

import io

import numpy as np
import pytest
from PIL import Image

import initlab
from initlab.panels import PANELS
from initlab.plots import DPI, Picture
from initlab.themes import THEMES


@pytest.fixture(scope="module")
def signals():
    return initlab.probe(initlab.Setting(depth=12, width=32))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_curves_are_the_measures(signals):
    figure = initlab.plot(signals)
    by_label = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    np.testing.assert_array_equal(
        by_label["variance"].get_xydata(),
        np.column_stack([np.arange(13), signals.activation_variance]),
    )
    np.testing.assert_array_equal(
        by_label["distinct"].get_xydata(),
        np.column_stack([np.arange(1, 13), signals.distinct_neurons]),
    )


def test_a_blitted_frame_is_the_picture_that_a_full_drawing_gives(signals):
    picture = Picture(layers=20)
    other = initlab.probe(initlab.Setting(depth=20, width=32, gain=3.0))
    for shown in (other, signals):
        picture.update(shown, initlab.predict(shown.setting))
        frame = pixels(picture.png())
    saved = io.BytesIO()
    picture.figure.savefig(saved, format="png", dpi=DPI)
    full = pixels(saved.getvalue())[..., :3]
    # curves lie above grid and axes in a frame, which a full drawing sorts among them
    different = (np.abs(frame.astype(int) - full).max(axis=-1) > 64).mean()
    assert different < 0.002


DENSE, SMALL = initlab.Setting(depth=30, width=16), {"width": 16}
#: three networks of each kind, which differ in all that any panel draws
THREE = [
    [DENSE, DENSE.replace(gain=0.1), DENSE.replace(gain=40.0, activation="relu")],
    [
        initlab.Recurrent(30, 16, "lstm"),
        initlab.Recurrent(30, 16, "lstm", forget_bias=3.0, gain=0.5),
        initlab.Recurrent(30, 16, "gru", forget_bias=0.0, gain=2.0),
    ],
    [initlab.Transformer(blocks=4, gain=gain, **SMALL) for gain in (0.3, 1.0, 3.0)],
    [initlab.Convolutional(depth=4, gain=gain, **SMALL) for gain in (0.3, 1.0, 3.0)],
]


@pytest.mark.parametrize("panel", PANELS)
def test_axes_do_not_move(panel):
    three = next(three for three in THREE if PANELS[panel].serves(type(three[0])))
    picture = Picture((panel,), layers=30)
    limits = [(axes.get_xlim(), axes.get_ylim()) for axes in picture.figure.axes]
    frames = set()
    for setting in three:
        shown = initlab.probe(setting)
        picture.update(shown, initlab.predict(setting))
        frames.add(picture.png())
        assert [(axes.get_xlim(), axes.get_ylim()) for axes in picture.figure.axes] == limits
    assert len(frames) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activation": "relu", "gain": 100.0, "depth": 40}, "overflow at layer"),
        ({"initializer": "zeros"}, "exactly 0 in layers 1 to 12"),
        ({"initializer": "zeros", "depth": 1}, "exactly 0 in layer 1"),
    ],
)
def test_what_a_logarithmic_curve_cannot_show_is_said(signals, changes, words):
    figure = initlab.plot(initlab.probe(signals.setting.replace(**changes)))
    assert any(words in text.get_text() for axes in figure.axes for text in axes.texts)


def test_values_beyond_the_axes_are_marked_at_their_edge(signals):
    figure = initlab.plot(initlab.probe(signals.setting.replace(initializer="zeros")))
    low = figure.axes[1].get_ylim()[0]
    marks = [line for line in figure.axes[1].get_lines() if line.get_marker() == "v"]
    assert any(len(line.get_ydata()) and set(line.get_ydata()) == {low} for line in marks)


@pytest.mark.parametrize("theme", THEMES)
def test_curves_stand_out_from_the_paper(theme):
    """Contrast of at least 3:1 for curves and 4.5:1 for text, by WCAG 2.2's formula."""

    def luminance(color):
        parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(one, other):
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    colors = THEMES[theme]
    assert contrast(colors.ink, colors.paper) >= 4.5
    for color in (colors.blue, colors.red, colors.green, colors.ghost):
        assert contrast(color, colors.paper) >= 3


def test_a_sharper_picture_shows_the_same(signals):
    small, large = Picture(layers=20), Picture(layers=20, dpi=2 * DPI)
    assert small.size == large.size
    for picture in (small, large):
        picture.update(signals)
    assert pixels(large.png()).shape[0] == 2 * pixels(small.png()).shape[0]


def test_no_pyplot_state_is_touched(signals):
    import matplotlib.pyplot

    initlab.plot(signals)
    assert matplotlib.pyplot.get_fignums() == []


def test_bad_input(signals):
    with pytest.raises(TypeError, match="Signals"):
        initlab.plot(signals.setting)
    with pytest.raises(ValueError, match="did you mean 'gradient'"):
        initlab.plot(signals, panels=("gradients",))
    with pytest.raises(ValueError, match="did you mean 'light'"):
        initlab.plot(signals, theme="lihgt")
    with pytest.raises(ValueError, match="a picture needs a panel"):
        initlab.plot(signals, panels=())


def test_theory_of_another_network_is_refused():
    start = initlab.Setting(depth=3, width=16)
    signals = initlab.probe(start)
    with pytest.raises(ValueError, match="must be that of 3 layers, as the signals are, not of 4"):
        initlab.plot(signals, initlab.predict(start.replace(depth=4)))
    with pytest.raises(TypeError, match="theory must be what predict returns, not 'tanh'"):
        initlab.plot(signals, "tanh")


@pytest.mark.parametrize(
    ("panels", "error", "words"),
    [
        ("variance", TypeError, "panels must be several, such as .*, not 'variance'"),
        ([["variance"]], TypeError, "panel must be a name such as"),
        (("attention",), ValueError, "unknown panel 'attention'"),
    ],
)
def test_panels_that_a_network_does_not_have_are_refused(panels, error, words):
    with pytest.raises(error, match=words):
        initlab.plot(initlab.probe(initlab.Setting(depth=3, width=16)), panels=panels)
