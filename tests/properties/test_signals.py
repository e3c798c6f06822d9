"""Signals of any numbers, as no network may ever give them: told, diagnosed and drawn."""

import io

import numpy as np
from hypothesis import strategies as st

import initlab
from initlab import Setting, data, diagnose
from initlab.architectures import Residual
from initlab.measures import HISTOGRAM_EDGES
from initlab.panels import panels_for
from initlab.plots import Picture
from initlab.signals import DIMENSIONS, LAYER_FIELDS, Signals
from tests.properties.strategies import ACTIVATION_NAMES, holds

BATCH = data.gaussian(4, 16, 3)
#: drawn from what signals hold; other panels measure the network itself
DRAWN = tuple(
    name for name in panels_for(Setting) if name not in ("correlation", "singular_values")
)
ODD = (np.nan, np.inf, 0.0, 1.0, 1e-308, 1e308, 5e-324)


def moments(depth: int):
    """Numbers from 0 to inf, and NaN, of any size."""
    sizes = st.floats(-320, 308).map(lambda power: 10.0**power)
    return st.lists(st.one_of(sizes, st.sampled_from(ODD)), min_size=depth, max_size=depth)


@st.composite
def signals(draw):
    """Signals made by hand: some like a network's, some of numbers that do not go together."""
    depth, width = draw(st.integers(1, 8)), draw(st.sampled_from((1, 2, 16)))
    setting = Setting(
        depth,
        width,
        activation=draw(st.sampled_from(ACTIVATION_NAMES)),
        dtype=draw(st.sampled_from(("float32", "float16"))),
    )
    if draw(st.booleans()):
        setting = Residual(blocks=depth, width=width, seed=3)
    depth = setting.depth
    all_odd = draw(st.sampled_from([None, None, None, *ODD]))
    fields = {}
    for name in LAYER_FIELDS:
        size = depth + (DIMENSIONS[name] != "hidden_layer")
        if all_odd is not None:
            fields[name] = np.full(size, all_odd)
        elif name.endswith("fraction"):
            shares = st.one_of(st.floats(0, 1), st.just(np.nan))
            fields[name] = np.array(draw(st.lists(shares, min_size=size, max_size=size)))
        elif name == "input_similarity":
            shares = st.one_of(st.floats(-1, 1), st.just(np.nan))
            fields[name] = np.array(draw(st.lists(shares, min_size=size, max_size=size)))
        elif name == "distinct_neurons":
            counts = st.one_of(st.integers(1, width).map(float), st.just(np.nan))
            fields[name] = np.array(draw(st.lists(counts, min_size=size, max_size=size)))
        else:
            fields[name] = np.array(draw(moments(size)))
    histogram = np.zeros((depth + 1, 61), int)
    histogram[:, draw(st.integers(0, 60))] = draw(st.sampled_from((0, 1, 10**9)))
    return Signals(
        setting=setting,
        batch=BATCH,
        **fields,
        activation_histogram=histogram,
        histogram_edges=HISTOGRAM_EDGES,
        loss=draw(st.sampled_from((2.3, 0.0, np.nan, np.inf))),
        first_overflow=draw(st.one_of(st.none(), st.integers(0, depth + 1))),
    )


@holds(nightly=2000, ci=60, signals=signals())
def test_any_signals_are_diagnosed(signals):
    """Nothing raises; healthy is who has no failure; layers that are named are there."""
    diagnosis = diagnose(signals)
    assert diagnosis.healthy == (not diagnosis.failures)
    assert diagnosis.healthy == str(diagnosis).startswith("Healthy: ")
    for failure in diagnosis.failures:
        assert 0 <= failure.first_layer <= signals.depth + 1
        assert failure.mode in str(failure) and failure.evidence in str(failure)
        assert "nan" not in str(failure), failure
    modes = [failure.mode for failure in diagnosis.failures]
    assert len(set(modes)) == len(modes)
    assert ("numerical overflow" in modes) >= (signals.first_overflow is not None)


@holds(nightly=300, ci=20, signals=signals())
def test_any_signals_are_told(signals):
    """Nothing raises, and every line of the table is as wide as its head."""
    lines = str(signals).splitlines()
    assert repr(signals) and len(lines) >= 3
    ratio = signals.update_to_weight_ratio(0.1)
    assert ratio.shape == signals.weight_norm.shape
    dataset = signals.to_dataset()
    np.testing.assert_array_equal(dataset.input_similarity.values, signals.input_similarity)


@holds(nightly=300, ci=3, signals=signals(), theme=st.sampled_from(("light", "dark")))
def test_any_signals_are_drawn(signals, theme):
    """No warning, no error, and a picture that is written with its words."""
    names = tuple(name for name in DRAWN if name in panels_for(type(signals.setting)))
    figure = initlab.plot(signals, panels=names, theme=theme)
    assert str(diagnose(signals)) in figure.alternative_text
    written = io.BytesIO()
    figure.savefig(written, format="png")
    assert written.getvalue().startswith(b"\x89PNG")


@holds(nightly=200, ci=2, first=signals(), others=st.lists(signals(), min_size=1, max_size=4))
def test_a_picture_follows_any_signals_and_keeps_a_ghost(first, others):
    """One picture is moved from signals to signals, as an explorer's is."""
    like = [one for one in others if type(one.setting) is type(first.setting)]
    names = tuple(name for name in DRAWN if name in panels_for(type(first.setting)))
    picture = Picture(names, layers=9)
    for one in (first, *like):
        picture.update(one)
        assert picture.png().startswith(b"\x89PNG")
        picture.pin(one)
    picture.pin(None)
    assert picture.png().startswith(b"\x89PNG")


curves = st.lists(
    st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(ODD)),
    min_size=1,
    max_size=6,
)


@holds(nightly=300, ci=15, values=curves, logarithmic=st.booleans())
def test_any_curve_is_drawn(values, logarithmic):
    """NaN, inf, zeros and all sizes, on both kinds of axis."""
    steps = np.arange(len(values))
    figure = initlab.plot_curves(steps, {"one": values}, "y", logarithmic=logarithmic)
    figure.savefig(io.BytesIO(), format="png")
    assert figure.alternative_text.startswith("y ")
