"""The doctor's picture: what is drawn is what was measured, and it can be read at any depth."""

import io
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

import initlab
from initlab.doctor import picture
from initlab.failures import DEAD_SHARE, DISTINCT_SHARE, GRADIENT_FACTOR, SATURATED_SHARE
from tests.plain_models import INPUTS, dense

COLUMNS = {
    "E[z²]": "second_moment",
    "gradient ratio": "gradient_ratio",
    "saturated": "saturated_fraction",
    "dead": "dead_fraction",
}


def curves(figure):
    """Label -> line, of all that a value was drawn for."""
    lines = [line for axes in figure.axes for line in axes.lines if line.get_label() != "bound"]
    assert len({line.get_label() for line in lines}) == len(lines) or any(
        line.get_label().split()[0] in ("exactly", "unknown") for line in lines
    )
    return {line.get_label(): line for line in lines}


def scanned(depth):
    """A network whose names are as long as a transformer's, with the faults of ``ill``."""
    keys = jax.random.split(jax.random.key(0), depth)
    kernels = jnp.stack([jax.random.normal(key, (20, 20)) / 20**0.5 for key in keys])
    if depth > 5:
        kernels = kernels.at[2].mul(20).at[3].mul(0.01)
        kernels = kernels.at[5, :, :14].set(kernels[5, :, :1])

    def network(params, x):
        kernels = params["encoder"]["layers"]["self_attention"]["query_projection"]["kernel"]
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, kernels)[0]

    attention = {"query_projection": {"kernel": kernels}}
    return network, {"encoder": {"layers": {"self_attention": attention}}}


def ill(depth=12):
    """Saturated at 2, vanishing at 3, copies at 5."""
    network, params = dense(depth=depth, activation="tanh")
    params[2]["kernel"] *= 20
    params[3]["kernel"] *= 0.01
    params[5]["kernel"] = params[5]["kernel"].at[:, :40].set(params[5]["kernel"][:, :1])
    return network, params


def dead():
    network, params = dense()
    params[5]["bias"] -= 50.0
    return network, params


@pytest.fixture(scope="module")
def report():
    return initlab.examine(*ill(), INPUTS)


@pytest.fixture(scope="module")
def cure():
    return initlab.examine(*dead(), INPUTS).remedy()


# --- what is drawn -------------------------------------------------------------------------------


def test_the_curves_are_the_measures_in_the_order_of_layers(report):
    lines, measured = curves(initlab.plot_report(report)), report.to_dataset()
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(lines[name].get_xdata(), measured[column])
        np.testing.assert_array_equal(lines[name].get_ydata(), np.arange(len(report.layers)))
    shares = measured.distinct_neurons / measured.units
    np.testing.assert_array_equal(lines["distinct neurons"].get_xdata(), shares)
    assert shares[5] == 25 / 64


def test_a_remedy_is_drawn_over_what_was_before(cure):
    lines = curves(initlab.plot_report(cure))
    for name in ("before", "after"):
        measured = getattr(cure, name).to_dataset()
        np.testing.assert_array_equal(lines[f"dead {name}"].get_xdata(), measured.dead_fraction)
    assert lines["dead before"].get_linestyle() != lines["dead after"].get_linestyle()
    assert lines["dead before"].get_markerfacecolor() == "none"
    # a layer that is given zeros: 0 is not on the axis, and no gradient is known of any layer
    assert np.isnan(lines["E[z²] before"].get_xdata()[6:]).all()
    assert lines["exactly 0 before"].get_ydata().tolist() == [6, 7]
    assert lines["unknown before"].get_ydata().tolist() == list(range(8))
    assert np.isfinite(lines["gradient ratio after"].get_xdata()).all()


def test_overflow_lies_at_the_right_edge_and_is_said():
    network, params = dense(dtype=np.float16)
    params[3]["kernel"] *= 30000
    figure = initlab.plot_report(initlab.examine(network, params, INPUTS.astype(np.float16)))
    lines, signal = curves(figure), figure.axes[0]
    assert np.isnan(lines["E[z²]"].get_xdata()[3:]).all()
    assert lines["not finite"].get_ydata().tolist() == [3, 4, 5, 6, 7]
    figure.canvas.draw()
    right = signal.get_window_extent().x1
    shown = lines["not finite"].get_transform().transform(lines["not finite"].get_xydata())
    known = signal.transData.transform(lines["E[z²]"].get_xydata()[:3])
    assert known[:, 0].max() < shown[0, 0] <= right
    assert "not finite at 5 of 8 layers" in figure.alternative_text
    assert figure.alternative_text.startswith("Numerical overflow at 3/kernel")


def test_the_axes_hold_every_value_however_extreme():
    network, params = dense(depth=30, gain=0.01)
    report = initlab.examine(network, params, INPUTS)
    moments = report.to_dataset().second_moment.values
    assert moments.min() == 0 and moments[moments > 0].min() < 1e-70
    signal = initlab.plot_report(report).axes[0]
    low, high = signal.get_xlim()
    assert low < moments[moments > 0].min() and moments.max() < high
    usual = initlab.plot_report(initlab.examine(*dense(depth=1), INPUTS)).axes
    assert usual[0].get_xlim()[0] < 0.1 and usual[0].get_xlim()[1] > 10


def test_the_lines_of_failure_are_the_thresholds(report):
    figure = initlab.plot_report(report)
    bounds = [
        [line.get_xdata()[0] for line in axes.lines if line.get_label() == "bound"]
        for axes in figure.axes
    ]
    assert bounds == [
        [],
        [1 / GRADIENT_FACTOR, GRADIENT_FACTOR],
        [SATURATED_SHARE, DEAD_SHARE],
        [DISTINCT_SHARE],
    ]
    healthy = initlab.plot_report(initlab.examine(*dense(depth=1), INPUTS))
    keys = [text.get_text() for text in healthy.legends[0].get_texts()]
    assert keys == ["dead", "a failure from here on"]  # nothing of what was not drawn


# --- who is to blame -----------------------------------------------------------------------------


def bands(axes):
    return sorted(
        patch.get_y() + patch.get_height() / 2
        for patch in axes.patches
        if patch.get_label() == "blamed"
    )


def test_layers_to_blame_are_marked_named_and_told_what_for(report):
    figure = initlab.plot_report(report)
    found = {failure.first_layer: failure.mode for failure in report.failures}
    assert found == {5: "symmetry collapse", 2: "saturation", 3: "vanishing gradients"}
    for axes in figure.axes:
        assert bands(axes) == [2, 3, 5]
    words = {note.xy[1]: " ".join(note.get_text().split()) for note in figure.axes[-1].texts}
    assert words == found
    named = dict(zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True))
    assert {named[place].get_text() for place in found} == {"2/kernel", "3/kernel", "5/kernel"}


def test_a_remedy_says_what_was_and_what_is_left(cure):
    figure = initlab.plot_report(cure)
    assert [note.get_text() for note in figure.axes[-1].texts] == ["Before: dead units"]
    said = figure.alternative_text
    assert said.startswith("Before: Dead units at 5/kernel") and "After: Healthy: 8 layers" in said
    assert "Dead: before from 0 to 1; after from 0 to" in said
    assert "Gradient ratio: before unknown at 8 of 8 layers; after from" in said


def test_what_is_healthy_has_nobody_to_blame():
    figure = initlab.plot_report(initlab.examine(*dense(), INPUTS))
    assert not figure.axes[-1].texts and not any(map(bands, figure.axes))


# --- how it is read ------------------------------------------------------------------------------


def boxes(figure):
    """Where names, words beside layers, and the verdict lie on the page."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    names = [label.get_window_extent(renderer) for label in figure.axes[0].get_yticklabels()]
    # without the arrow, which an annotation's own extent would hold
    words = [Text.get_window_extent(note, renderer) for note in figure.axes[-1].texts]
    titles = [axes.title.get_window_extent(renderer) for axes in figure.axes]
    return names, words, [figure.texts[0].get_window_extent(renderer), *titles]


@pytest.mark.parametrize("depth", [2, 7, 100])
def test_names_neither_overlap_nor_leave_the_page(depth):
    report = initlab.examine(*scanned(depth), INPUTS)
    figure = initlab.plot_report(report)
    names, words, above = boxes(figure)
    assert 2 <= len(names) <= 45
    assert len(words) == len({failure.first_layer for failure in report.failures})
    assert len(words) == (3 if depth > 5 else 0)
    for group in (names, words):
        for one, other in itertools.combinations(group, 2):
            assert not one.overlaps(other)
    assert not any(above[0].overlaps(title) for title in above[1:])
    for box in (*names, *words, above[0], figure.legends[0].get_window_extent()):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
    assert figure.get_size_inches()[1] < 10
    panel = figure.axes[0].get_window_extent()
    assert panel.width > 120 and panel.height > 100


def test_long_names_are_shortened_and_stay_different():
    form = "encoder/layers_{}/self_attention/query_projection/{}"
    names = [form.format(place, kind) for place in range(100) for kind in ("kernel", "other")]
    short = picture._short(names)
    assert len(set(short)) == 200 and max(map(len, short)) <= 36
    assert short[14:16] == ["encoder/layers_7/…/kernel", "encoder/layers_7/…/other"]
    assert picture._short(["0/kernel", "1/kernel"]) == ["0/kernel", "1/kernel"]
    alone = picture._short(["a" * 30 + "/" + "b" * 30])
    assert len(alone[0]) <= 36
    odd = picture._short(["a" * 60 + "1", "a" * 60 + "2"])
    assert len(set(odd)) == 2 and max(map(len, odd)) <= 36


def test_a_name_is_no_mathematics():
    params = {"a$_{": jnp.eye(20), "b$^": jnp.eye(20), "c_$x$": jnp.eye(20) * jnp.nan}

    def network(params, x):
        for weight in params.values():
            x = x @ weight
        return x

    figure = initlab.plot_report(initlab.examine(network, params, INPUTS))
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [*params]


def test_it_stands_on_opaque_paper_and_is_told_in_words(report):
    figure = initlab.plot_report(report)
    saved = io.BytesIO()
    figure.savefig(saved, format="png")
    assert np.asarray(Image.open(saved))[..., 3].min() == 255
    data, metadata = figure._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"] == figure.alternative_text
    assert figure.alternative_text.startswith(report.summary)
    assert "Saturated: from 0 to 0.7" in figure.alternative_text


def test_curves_keep_a_contrast_of_3_to_1_to_the_band_behind_them():
    """Source: relative luminance and contrast as WCAG 2.2 defines them."""

    def luminance(color):
        channels = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    for measure in picture._MEASURES:
        contrast = (luminance(picture.BLAMED) + 0.05) / (luminance(measure.color) + 0.05)
        assert contrast > 3


def test_anything_else_is_refused(report):
    with pytest.raises(TypeError, match=r"plot_report takes what initlab.examine .* not tuple"):
        initlab.plot_report(report.layers)
