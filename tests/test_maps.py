"""Maps of sweeps: the numbers that are drawn, what is hatched, and where theory's lines run."""

import numpy as np
import pytest
from matplotlib.collections import PolyQuadMesh, QuadMesh

from initlab import Setting, plot_map
from initlab.maps.boundary import lines
from initlab.maps.reading import ABSENT, OVERFLOW, UNDEFINED, cut
from initlab.maps.scales import edges_of, is_geometric
from initlab.sweeps.grid import grid_of

RANDOM = np.random.default_rng(0)


def made(values=None, name="loss", extra=None, **axes):
    """A Dataset over a grid, with random values from 1 to 2 unless they are given."""
    grid = grid_of(**axes)
    values = RANDOM.uniform(1, 2, grid.shape) if values is None else np.asarray(values)
    variables = {name: (tuple(grid.axes), values, {"units": "nat"})}
    variables |= {key: (tuple(grid.axes), array) for key, array in (extra or {}).items()}
    return grid.dataset(variables)


def read(dataset, name="loss", x="gain", y="depth", layer=None, marked=None):
    return cut(dataset, name, x, y, layer, marked)


def meshes(figure, kind):
    return [artist for artist in figure.axes[0].collections if type(artist) is kind]


# --- what is read ----------------------------------------------------------------------------


def test_two_axes_of_two_are_the_values_themselves_in_rising_order():
    dataset = made(depth=[4, 2, 8], gain=[2.0, 1.0])
    table = read(dataset)
    assert table.up.tolist() == [2, 4, 8]
    assert table.across.tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(table.values, dataset.loss.values[[1, 0, 2]][:, ::-1])
    turned = read(dataset, x="depth", y="gain")
    np.testing.assert_array_equal(turned.values, table.values.T)
    assert (table.faults == "").all()
    assert (table.quantity, table.summary) == ("loss (nat)", "")


def test_over_further_axes_the_median_is_taken():
    dataset = made(seed=range(4), depth=[2, 4], bias_std=[0, 0.5, 1], gain=[1.0, 2.0, 3.0])
    table = read(dataset)
    np.testing.assert_allclose(table.values, np.median(dataset.loss.values, axis=(0, 2)))
    assert table.summary == "median of 4 seeds and 3 bias_stds"
    assert table.setting is None  # of unlike biases theory has nothing to say


def test_in_a_median_what_is_no_number_is_larger_than_any():
    some, most = [1.0, 2.0, np.nan], [1.0, np.inf, np.nan]
    table = read(made([[some, most]], depth=[3], gain=[1.0, 2.0], seed=range(3)))
    np.testing.assert_array_equal(table.values, [[2.0, np.nan]])
    assert table.faults.tolist() == [["", OVERFLOW]]


@pytest.mark.parametrize("told", ["first_overflow", "diverged_at"])
def test_overflow_and_what_is_not_defined_are_told_apart(told):
    values = [[1.0, np.nan, np.nan, np.inf]]
    extra = {told: [[-1, -1, 0, -1]]}
    table = read(made(values, extra=extra, depth=[3], gain=[1.0, 2.0, 3.0, 4.0]))
    assert table.faults.tolist() == [["", UNDEFINED, OVERFLOW, OVERFLOW]]


def test_of_what_is_true_the_share_is_shown_and_ticks_are_for_more_than_half():
    learned = [[[True, True], [True, False], [False, False]]]
    dataset = made(learned, "learned", depth=[3], gain=[1.0, 2.0, 3.0], seed=[0, 1])
    table = read(dataset, "learned", marked="learned")
    assert table.values.tolist() == [[1.0, 0.5, 0.0]]
    assert table.marked.tolist() == [[True, False, False]]
    assert table.mark == "learned in most seeds"
    assert table.summary == "share of 2 seeds"


def by_layer(**axes):
    """A measure with a value for each hidden layer that a network has: the layer's number."""
    grid = grid_of(**axes)
    layers = np.arange(1, grid.deepest + 1)
    depth = grid.columns["depth"].reshape(*grid.shape, 1)
    values = np.where(layers <= depth, layers, np.nan)
    return grid.dataset(
        {"dead_fraction": ((*grid.axes, "hidden_layer"), values)}, {"hidden_layer": layers}
    )


def test_a_measure_by_layer_is_shown_at_one_and_networks_without_it_are_absent():
    dataset = by_layer(depth=[2, 4, 6], gain=[1.0, 2.0])
    table = read(dataset, "dead_fraction", layer=3)
    assert table.faults.tolist() == [[ABSENT, ABSENT], ["", ""], ["", ""]]
    assert table.values[1:].tolist() == [[3, 3], [3, 3]]
    assert table.quantity == "dead fraction of layer 3"
    # among the others, that without the layer does not count
    gains = read(dataset, "dead_fraction", y="hidden_layer")
    assert gains.values[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    layers = read(dataset, "dead_fraction", x="hidden_layer")
    assert (layers.faults == ABSENT).sum(axis=1).tolist() == [4, 2, 0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": "lose"}, ValueError, "no variable 'lose': did you mean 'loss'"),
        ({"x": "gian"}, ValueError, "'gian' is no axis of loss: did you mean 'gain'.*depth, gain"),
        ({"y": "width"}, ValueError, "'width' is no axis of loss"),
        ({"x": {}}, TypeError, "x must be a name in the Dataset, not {}"),
        ({"theory": "yes"}, TypeError, "theory must be True or False"),
        ({"x": "depth"}, ValueError, "x and y must be two axes, not 'depth' twice"),
        ({"layer": 3}, ValueError, "layer must not be given, as loss has no layers"),
        ({"marked": "learnt"}, ValueError, "no variable 'learnt'"),
        ({"dataset": [1]}, TypeError, "the Dataset that sweep or train_sweep returns, not list"),
        (
            {
                "dataset": by_layer(depth=[2, 4], gain=[1.0, 2.0]),
                "name": "dead_fraction",
                "layer": 5,
            },
            ValueError,
            "layer must be a whole number from 1 to 4, not 5",
        ),
    ],
)
def test_what_is_not_there_is_told_with_what_is(options, error, words):
    options = {"dataset": made(depth=[2, 4], gain=[1.0, 2.0]), "x": "gain", "y": "depth"} | options
    with pytest.raises(error, match=words):
        plot_map(options.pop("dataset"), options.pop("name", "loss"), **options)


# --- theory's lines --------------------------------------------------------------------------

# Depth scales of tanh by an independent quadrature: weight variance, bias variance, chi_1
KNOWN = [(0.5, 0.05, 0.431987), (1.5, 0.05, 0.938636), (1.7, 0.05, 0.986741), (2.0, 0.05, 1.047666)]


@pytest.mark.parametrize(("weight_variance", "bias_variance", "chi"), KNOWN)
def test_six_depth_scales_are_where_an_independent_quadrature_has_them(
    weight_variance, bias_variance, chi
):
    setting = Setting(activation="tanh", initializer="glorot_normal", bias_std=bias_variance**0.5)
    gain = weight_variance**0.5
    drawn = lines(setting, "gain", "depth", [gain, 2 * gain], [1, 64])
    *_, depths = drawn
    assert depths.x[0] == pytest.approx(gain)
    # six digits of chi, of which 1 - chi, and so the scale, keeps fewer the nearer to 1
    assert depths.y[0] == pytest.approx(6 / abs(np.log(chi)), rel=2e-6 / abs(1 - chi))


def test_the_edge_is_where_an_independent_quadrature_has_it():
    setting = Setting(activation="tanh", initializer="glorot_normal", bias_std=0.05**0.5)
    edge, _ = lines(setting, "gain", "depth", [0.5, 3.0], [1, 64])
    np.testing.assert_allclose(edge.x, 1.760955**0.5, rtol=1e-6)
    assert edge.y.tolist() == [1, 64]
    # he's scale has the 2 in its weights already, and its edge without biases is a point
    edge, _ = lines(
        Setting(initializer="he_normal", activation="relu"), "gain", "depth", [0.5, 2], [1, 9]
    )
    np.testing.assert_allclose(edge.x, 1.0, rtol=1e-9)
    # with biases relu has none
    biased = Setting(initializer="he_normal", activation="relu", bias_std=0.1)
    assert [line.label for line in lines(biased, "gain", "depth", [0.5, 2], [1, 9])] == [
        "6 depth scales"
    ]


def test_over_gain_and_biases_the_edge_is_a_curve():
    (edge,) = lines(Setting(), "gain", "bias_std", [0.5, 3.0], [0.0, 0.4])
    for bias_variance, weight_variance in ((0.01, 1.424205), (0.05, 1.760955), (0.1, 1.986073)):
        gain = np.interp(bias_variance**0.5, edge.y, edge.x)
        # straight between 201 points, of which the curve bends away by less
        assert gain == pytest.approx(weight_variance**0.5, rel=1e-4)
    (turned,) = lines(Setting(), "bias_std", "gain", [0.0, 0.4], [0.5, 3.0])
    np.testing.assert_array_equal(turned.x, edge.y)
    np.testing.assert_array_equal(turned.y, edge.x)


def test_without_biases_gradients_alone_limit_the_depth_below_the_edge():
    """tanh is then linear in the end: chi_1 is the gain squared, and angles stay."""
    _, depths = lines(Setting(), "gain", "depth", [0.25, 4.0], [1, 64])
    below = depths.x < 0.9
    assert below.sum() > 50
    np.testing.assert_allclose(depths.y[below], 6 / np.abs(np.log(depths.x[below] ** 2)), rtol=1e-6)


@pytest.mark.parametrize(
    "silent",
    [
        (Setting(initializer="identity"), "gain", "depth"),
        (Setting(initializer="emergence"), "gain", "depth"),
        (Setting(), "depth", "width"),
        (Setting(), "gain", "seed"),
    ],
    ids=str,
)
def test_theory_is_silent_where_it_knows_nothing(silent):
    assert lines(*silent, [0.5, 2.0], [1.0, 8.0]) == []


# --- what is drawn ---------------------------------------------------------------------------


def test_cells_have_the_colors_of_their_values_and_the_others_are_hatched():
    values = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, np.inf]])
    figure = plot_map(made(values, depth=[2, 4], gain=[1.0, 2.0, 3.0]), "loss", x="gain", y="depth")
    (mesh,) = meshes(figure, QuadMesh)
    shown = mesh.get_array()
    np.testing.assert_array_equal(shown.mask, ~np.isfinite(values))
    np.testing.assert_array_equal(shown.compressed(), [1, 3, 4, 5])
    hatched = {
        patch.get_hatch(): patch.get_array().count() for patch in meshes(figure, PolyQuadMesh)
    }
    assert hatched == {"////": 1, "....": 1}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["edge: $\\chi_1 = 1$", "6 depth scales", OVERFLOW, UNDEFINED]
    assert [axes.get_ylabel() for axes in figure.axes] == ["depth (hidden layers)", "loss (nat)"]
    words = figure.alternative_text
    assert "From 1 at gain 1, depth 2, to 5 at gain 2, depth 4." in words
    assert "1 of 6 cells: overflow. 1 of 6 cells: not defined." in words
    assert "edge, chi_1 = 1, is at gain 1." in words


def test_theory_is_drawn_unless_it_is_not_wanted():
    dataset = made(depth=[2, 4, 8], gain=[0.5, 1.0, 2.0])
    with_theory = plot_map(dataset, "loss", x="gain", y="depth")
    edge, depths = with_theory.axes[0].lines
    assert edge.get_xdata().tolist() == [1.0, 1.0]
    assert depths.get_xdata()[0] == pytest.approx(0.5 / 2**0.5)  # where the first cell begins
    without = plot_map(dataset, "loss", x="gain", y="depth", theory=False)
    assert len(without.axes[0].lines) == 0
    assert "theory" not in without.alternative_text


def test_two_axes_of_names_make_a_table_that_is_read_from_the_top():
    names = {"initializer": ["zeros", "he_normal"], "activation": ["tanh", "relu", "gelu"]}
    ratios = [[np.nan, 1e-30, 0.0], [1e3, 1.02, 1e25]]
    healthy = {"healthy": [[False, False, False], [False, True, False]]}
    dataset = made(ratios, "gradient_ratio", healthy, **names)
    figure = plot_map(dataset, "gradient_ratio", x="activation", y="initializer", marked="healthy")
    axes = figure.axes[0]
    cells = [text.get_text() for text in axes.texts]
    assert cells == ["", "< -20", "< -20", "+3", "0 ✓", "> +20"]
    assert [label.get_text() for label in axes.get_yticklabels()] == names["initializer"]
    assert [label.get_text() for label in axes.get_xticklabels()] == names["activation"]
    low, high = axes.get_ylim()
    assert low > high
    assert "1 of 6 cells: healthy." in figure.alternative_text


def test_colors_go_by_powers_where_values_span_many():
    axes = {"depth": [2, 4], "gain": [1.0, 2.0]}
    norms = {}
    for name, values in {
        "linear": [[1.0, 2.0], [3.0, 99.0]],
        "logarithmic": [[1.0, 2.0], [3.0, 1e9]],
        "with zeros": [[0.0, 2.0], [3.0, 1e9]],
        "signed": [[-1.0, 2.0], [3.0, 1e9]],
        "equal": [[2.0, 2.0], [2.0, 2.0]],
    }.items():
        figure = plot_map(made(values, **axes), "loss", x="gain", y="depth")
        (mesh,) = meshes(figure, QuadMesh)
        norms[name] = type(mesh.norm).__name__, mesh.norm.vmin, mesh.norm.vmax
    assert norms == {
        "linear": ("Normalize", 1, 99),
        "logarithmic": ("LogNorm", 1, 1e9),
        "with zeros": ("LogNorm", 2, 1e9),
        "signed": ("Normalize", -1, 1e9),
        "equal": ("Normalize", 2, 3),
    }


def test_a_map_without_any_number_is_hatched_and_says_so():
    figure = plot_map(
        made(np.full((2, 2), np.inf), depth=[2, 4], gain=[1.0, 2.0]), "loss", x="gain", y="depth"
    )
    assert "4 of 4 cells: overflow" in figure.alternative_text
    assert len(figure.axes) == 1  # no bar of colors


def test_axes_are_logarithmic_where_they_are_spaced_so():
    assert is_geometric(np.array([2, 4, 8, 16]))
    assert is_geometric(np.array([2, 3, 5, 8, 12, 20]))
    assert not is_geometric(np.array([1, 2, 3, 4]))
    assert not is_geometric(np.array([0, 1, 10, 100]))
    np.testing.assert_allclose(edges_of(np.array([2, 4, 8])), np.array([1, 2, 4, 8]) * 2**0.5)
    assert edges_of(np.array([1.0, 2.0, 3.0])).tolist() == [0.5, 1.5, 2.5, 3.5]
    assert edges_of(np.array([5])).tolist() == [4.5, 5.5]
    assert edges_of(np.array(["relu", "tanh"])).tolist() == [-0.5, 0.5, 1.5]
