"""The doctor on real models of five libraries: no false alarm, and planted faults are found."""

import functools
import importlib
import re

import jax
import numpy as np
import pytest

from initlab.doctor.examining import Examination
from initlab.doctor.trees import parameters

LIBRARIES = ("linen", "nnx", "equinox", "haiku", "keras")


@functools.cache
def made(library: str, kind: str, **options):
    """A model's function, parameters and batch, and its program, which is compiled once."""
    models = importlib.import_module(f"tests.frameworks.{library}_models")
    function, params, batch = getattr(models, kind)(**options)
    return function, params, batch, Examination(function, params, batch, None)


def name_of(case) -> str:
    library, kind, *rest = case
    return "-".join([library, kind, *(str(value) for part in rest[:1] for value in part.values())])


# --- as their libraries initialize them ----------------------------------------------------------

HEALTHY = [
    *((library, kind, {}) for library in LIBRARIES for kind in ("resnet", "transformer", "lstm")),
    *((library, "mlp", {}) for library in LIBRARIES if library != "equinox"),
    *((library, "convnet", {}) for library in ("linen", "haiku", "keras")),
    ("equinox", "mlp", {"depth": 3}),
    ("equinox", "residual", {}),
    ("linen", "mlp", {"activation": "tanh"}),
    ("nnx", "mlp", {"activation": "gelu", "depth": 4}),
    ("keras", "mlp", {"activation": "selu", "kernel_initializer": "lecun_normal", "depth": 12}),
]
#: starts of a library that are poor in truth: weights uniform within 1 / sqrt(fan_in), a third of
#: LeCun's variance, and a sixth of He's, so that each relu layer keeps a sixth of what it is given
POOR = [("equinox", "mlp", {})]


def _slow_but_for_two(case):
    """A minute of compiling for all libraries: two of them at every landing, all by night."""
    return case if case[0] in ("linen", "equinox") else pytest.param(case, marks=pytest.mark.slow)


def test_there_are_as_many_as_are_spoken_of():
    assert len(HEALTHY) >= 24 and len(FAULTS) >= 24
    assert len({library for library, *_ in FAULTS}) >= 4


@pytest.mark.parametrize("case", [_slow_but_for_two(case) for case in HEALTHY], ids=name_of)
def test_what_a_library_starts_well_is_told_so(case):
    library, kind, options = case
    _, params, _, examination = made(library, kind, **options)
    report = examination.report(params)
    report.raise_if_unhealthy()
    # every matrix and kernel is met, but for what is looked up or added: embeddings, positions
    paths, leaves, _ = parameters(params)
    met = {leaf for layer in report.layers for leaf in layer.leaves}
    for place, (path, leaf) in enumerate(zip(paths, leaves, strict=True)):
        weight = re.search(r"kernel|weight|/w$", path) and not re.search(r"norm|tokens", path)
        assert place in met or not weight, path
        assert (leaf.ndim > 1 and "norm" not in path.lower()) or place not in met, path


@pytest.mark.parametrize("case", POOR, ids=name_of)
def test_what_a_library_starts_poorly_is_told_too(case):
    library, kind, options = case
    _, params, _, examination = made(library, kind, **options)
    report = examination.report(params)
    assert [failure.mode for failure in report.failures] == ["vanishing gradients"]
    gains = [layer.gain for layer in report.layers[1:-1]]
    assert np.median(gains) == pytest.approx(1 / 3, rel=0.15)  # 64 units' chance


# --- planted faults ------------------------------------------------------------------------------


def times(factor):
    return lambda leaf: leaf * factor


def constant(value):
    return lambda leaf: np.full_like(leaf, value)


def of_variance(variance):
    """Normal entries of this variance: what a wrong fan makes."""
    draw = np.random.default_rng(0).standard_normal
    return lambda leaf: np.sqrt(variance) * draw(leaf.shape)


def tied(axis, at=...):
    """Three quarters of the units read with the same weights."""

    def change(leaf):
        leaf, part = leaf.copy(), np.moveaxis(leaf[at], axis, 0).copy()
        part[: 3 * len(part) // 4] = part[0]
        leaf[at] = np.moveaxis(part, 0, axis)
        return leaf

    return change


def at(place, change):
    """In one layer of those that are stacked along the first axis."""

    def there(leaf):
        leaf = leaf.copy()
        leaf[place] = change(leaf[place])
        return leaf

    return there


ZERO, CONSTANT, FIT = constant(0.0), constant(0.1), {"kernel_initializer": "he_normal"}
COLLAPSE, VANISH, EXPLODE = "symmetry collapse", "vanishing gradients", "exploding gradients"
DEAD, SATURATED, OVERFLOW = "dead units", "saturation", "numerical overflow"
#: library, model, options; {parameters: what was done to them}; failure, layers to be blamed.
#: Parameters and layers are named by regular expressions.
FAULTS = [
    # a layer of zeros, a constant layer, tied units
    ("linen", "mlp", {}, {"Dense_3/kernel": ZERO}, COLLAPSE, "Dense_3/kernel"),
    ("keras", "mlp", {}, {".*kernel": ZERO}, COLLAPSE, "dense/kernel"),
    ("haiku", "mlp", {}, {"mlp/~/linear_2/w": CONSTANT}, COLLAPSE, "mlp/~/linear_2/w"),
    ("keras", "convnet", {}, {"conv2d_2/kernel": CONSTANT}, COLLAPSE, "conv2d_2/kernel"),
    (
        "nnx",
        "transformer",
        {},
        {"layers/wide/kernel": at(2, CONSTANT)},
        COLLAPSE,
        r"layers/wide/kernel\[2\]",
    ),
    ("nnx", "resnet", {}, {"blocks/1/first/kernel": tied(-1)}, COLLAPSE, "blocks/1/first/kernel"),
    (
        "equinox",
        "transformer",
        {},
        {"layers/wide/weight": tied(0, at=4)},
        COLLAPSE,
        r"layers/wide/weight\[4\]",
    ),
    ("haiku", "lstm", {}, {"lstm/linear/w": tied(-1)}, COLLAPSE, "lstm/linear/w"),
    # a wrong fan: none at all; that of the classes; of one position in place of a kernel's nine
    ("linen", "mlp", {}, {r"Dense_\d/kernel": of_variance(2.0)}, EXPLODE, r"Dense_[1-5]/kernel"),
    ("keras", "convnet", {}, {r"conv2d.*/kernel": of_variance(2 / 3)}, EXPLODE, "conv2d.*/kernel"),
    ("nnx", "mlp", {}, {r"hidden/\d/kernel": of_variance(1e-4)}, VANISH, r"hidden/\d/kernel"),
    # a kernel [3, 3, in, out] taken for [out, in, 3, 3]: fan_in 3 x 32 x 32, not 9 x 32
    (
        "linen",
        "convnet",
        {},
        {r"Conv_\d/kernel": of_variance(2 / (3 * 32 * 32))},
        VANISH,
        r"Conv_\d/kernel",
    ),
    (
        "haiku",
        "convnet",
        {},
        {r"conv2_d.*/w": of_variance(1 / (3 * 32 * 32))},
        VANISH,
        r"conv2_d.*/w",
    ),
    # one layer with a gain that is too large, or too small
    ("equinox", "mlp", {"depth": 4}, {"layers/2/weight": times(300)}, EXPLODE, "layers/2/weight"),
    ("nnx", "mlp", {}, {"hidden/3/kernel": times(0.01)}, VANISH, "hidden/3/kernel"),
    ("haiku", "mlp", {}, {"mlp/~/linear_4/w": times(0.01)}, VANISH, "mlp/~/linear_4/w"),
    # biases that switch relu off
    ("nnx", "mlp", {}, {"hidden/3/bias": constant(-30.0)}, DEAD, "hidden/3/kernel"),
    ("keras", "mlp", {}, {"dense_2/bias": constant(-30.0)}, DEAD, "dense_2/kernel"),
    ("haiku", "convnet", {}, {"conv2_d_1/b": constant(-30.0)}, DEAD, "conv2_d_1/w"),
    # gates, and tanh, that are pushed to their ends
    ("linen", "lstm", {}, {"OptimizedLSTMCell_0/i./kernel": times(50)}, SATURATED, ".*LSTMCell.*"),
    ("keras", "lstm", {}, {"lstm/lstm_cell/kernel": times(50)}, SATURATED, "lstm/lstm_cell/kernel"),
    ("equinox", "lstm", {}, {"cell/bias": constant(20.0)}, SATURATED, "cell/weight_.h"),
    (
        "linen",
        "mlp",
        {"activation": "tanh"},
        {"Dense_2/kernel": times(20)},
        SATURATED,
        "Dense_2/kernel",
    ),
    # a residual scale that was forgotten
    ("linen", "residual", {}, {}, EXPLODE, r"Dense_\d+/kernel"),
    (
        "equinox",
        "residual",
        {},
        {r"blocks/\d+/weight": times(6**0.5)},
        EXPLODE,
        r"blocks/\d+/weight",
    ),
    # what float16 cannot hold
    (
        "linen",
        "mlp",
        {"dtype": "float16"},
        {"Dense_1/kernel": times(3e4)},
        OVERFLOW,
        "Dense_1/kernel",
    ),
    (
        "equinox",
        "mlp",
        {"dtype": "float16"},
        {"layers/0/weight": times(1.5e5)},
        OVERFLOW,
        "layers/0/weight",
    ),
]


def planted(params, changes):
    """The same tree with some parameters changed."""
    paths, leaves, rebuild = parameters(params)
    new = [np.asarray(leaf) for leaf in leaves]
    for pattern, change in changes.items():
        chosen = [place for place, path in enumerate(paths) if re.fullmatch(pattern, path)]
        assert chosen, (pattern, paths)
        for place in chosen:
            new[place] = change(new[place].astype(np.float64))
    return rebuild([np.asarray(a, leaf.dtype) for a, leaf in zip(new, leaves, strict=True)])


def fault_name(case) -> str:
    return f"{case[0]}-{case[1]}-{case[4].split()[0]}-{case[5]}"


@pytest.mark.parametrize("case", FAULTS, ids=fault_name)
def test_a_planted_fault_is_found_at_its_layer_and_cured(case):
    library, kind, options, changes, mode, layer = case
    _, params, _, examination = made(library, kind, **options)
    ill = planted(params, changes)
    before = jax.tree.map(np.array, ill)
    report = examination.report(ill)
    found = [(one.mode, report.layers[one.first_layer].name) for one in report.failures]
    assert found and found[0][0] == mode and re.fullmatch(layer, found[0][1]), report.summary
    cure = report.remedy()
    cure.after.raise_if_unhealthy()
    jax.tree.map(np.testing.assert_array_equal, before, ill)
