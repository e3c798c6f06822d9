"""What is no argument: each is met by an error that says so, or by a right answer."""

import contextlib
import decimal
import fractions
import functools
import itertools
import tempfile

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import initlab
from initlab import Setting, adaptive, data, teaching, theory
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from tests.properties.strategies import holds, is_deliberate, watched
from tests.told import COUNTS

INF, NAN = float("inf"), float("nan")
LONGEST = 2500  # characters of an error: a catalogue is named in it


class Speechless:
    """An object whose ``repr`` fails."""

    def __repr__(self):
        raise RuntimeError("no words")


class Plain:
    """An object that is nothing else."""


HOSTILE = {
    "none and truth": [None, True, False, np.bool_(True), NotImplemented, ...],
    "whole numbers": [-1, 0, 3, 10**6, 2**63, 10**400, -(10**400), 10**5000],
    "numbers": [0.5, -0.5, -0.0, NAN, INF, -INF, 1e308, 5e-324, 1j, decimal.Decimal(3)],
    "more numbers": [fractions.Fraction(5, 2), np.float32(2), np.float64(NAN), np.int8(3)],
    "strings": ["", "3", "tanh", "reul", "xavier", "He normal", "tánh", "ключ", "a\nb", b"tanh"],
    "more strings": ["x" * 100_000, "<script>alert(1)</script>", np.str_("tanh"), "$\\frac{1$"],
    "lists": [[], [1], [1, 2], [[1], [1, 2]], (), ("tanh", 3), range(3), set(), {1, 2}],
    "mappings": [{}, {1: 2}, {"a": NAN}, {None: Plain}],
    "arrays": [np.array(3), np.array(3.5), np.array([3]), np.array([]), np.zeros((0, 4))],
    "odd arrays": [np.array([1, "a"], object), np.array(["tanh"]), np.array(1 + 1j), np.ma.masked],
    "jax's arrays": [jnp.array(3), jnp.array(2.5), jnp.ones((2, 3)), jnp.array(True)],
    "objects": [Plain(), Plain, object, len, slice(3), memoryview(b"ab"), Speechless()],
    "more objects": [np.datetime64("2020-01-01"), itertools.repeat(1.0, 5), Setting, data.Batch],
}
values = st.sampled_from(sorted(HOSTILE)).flatmap(
    lambda name: st.tuples(st.just(name), st.integers(0, len(HOSTILE[name]) - 1))
)


def assert_refused_or_right(call, value, allowed=(TypeError, ValueError)):
    """The call returns, or raises a clear error of the package's own."""
    COUNTS["hostile calls"] += 1
    before = set(ACTIVATIONS), set(INITIALIZERS)
    try:
        with watched():
            result = call()
    except allowed as error:
        assert (set(ACTIVATIONS), set(INITIALIZERS)) == before, "a catalogue was changed"
        words = str(error)
        assert is_deliberate(error), f"an error from within: {type(error).__name__}: {words[:300]}"
        assert 10 < len(words) < LONGEST, words[:300]
        return
    finally:
        for catalogue, names in zip((ACTIVATIONS, INITIALIZERS), before, strict=True):
            for name in set(catalogue) - names:
                catalogue.remove(name)
    if hasattr(result, "close"):
        result.close()


S = Setting(depth=2, width=8)
B = data.gaussian(12, 16, 3)
KINDS = {
    "Setting": Setting(2, 8),
    "Residual": initlab.Residual(blocks=2, width=8),
    "Recurrent": initlab.Recurrent(steps=2, width=8),
    "Convolutional": initlab.Convolutional(depth=2, width=4),
    "Transformer": initlab.Transformer(blocks=2, width=8, heads=1),
}
FIELDS = [(kind, name) for kind, one in KINDS.items() for name in vars(one)]


@holds(nightly=1500, ci=60, counts="hostile", field=st.sampled_from(FIELDS), place=values)
def test_every_field_of_every_setting(field, place):
    """Source: what a setting returns must be of the default's type, and in its catalogue."""
    (kind, name), (group, index) = field, place
    value = HOSTILE[group][index]
    setting = KINDS[kind]
    made = []
    assert_refused_or_right(lambda: made.append(setting.replace(**{name: value})), value)
    for one in made:  # a right answer is a plain one
        assert type(getattr(one, name)) is type(getattr(setting, name))
        assert getattr(one, name) == value or isinstance(value, str)


#: name -> a call with all arguments, and those that are replaced
CHEAP = {
    "Batch": (data.Batch, {"inputs": np.ones((3, 2)), "labels": np.array([0, 1, 0]), "classes": 3}),
    "digits": (data.digits, {"size": 4, "seed": 0}),
    "gaussian": (data.gaussian, {"size": 4, "features": 3, "classes": 2, "seed": 0}),
    "spirals": (data.spirals, {"size": 4, "classes": 3, "noise": 0.1, "seed": 0}),
    "recall": (data.recall, {"size": 4, "shown": 1, "seed": 0}),
    "weights": (initlab.weights, {"setting": S, "fan_in": 16, "fan_out": 3, "batch": B}),
    "predict": (initlab.predict, {"setting": S, "batch": B}),
    "predicted_overflow": (
        initlab.predicted_overflow,
        {"setting": S, "batch": B, "deviations": 0.0},
    ),
    "plot_curves": (
        initlab.plot_curves,
        {"steps": [0, 1], "curves": {"a": [1, 2]}, "label": "x", "unit": "s", "logarithmic": False},
    ),
    "plot_neurons": (
        initlab.plot_neurons,
        {"weight": np.ones((4, 3)), "count": 2, "shape": (2, 2)},
    ),
    "fixed_point": (
        theory.fixed_point,
        {"activation": "tanh", "weight_variance": 1.0, "bias_variance": 0.1, "start": 1.0},
    ),
    "depth_scales": (
        theory.depth_scales,
        {"activation": "tanh", "weight_variance": 1.0, "bias_variance": 0.1, "start": 1.0},
    ),
    "critical_line": (theory.critical_line, {"activation": "tanh", "bias_variance": 0.1}),
    "variance_map": (theory.variance_map, {"activation": "tanh", "q": 1.0, "weight_variance": 1.0}),
    "chi": (theory.chi, {"activation": "tanh", "q": 1.0, "weight_variance": 1.0}),
    "correlation_map": (
        theory.correlation_map,
        {"activation": "tanh", "correlation": 0.5, "q": 1.0, "weight_variance": 1.0},
    ),
    "phase_diagram": (
        theory.phase_diagram,
        {"activation": "tanh", "weight_variances": [1.0], "bias_variances": [0.1]},
    ),
    "plot_phases": (initlab.plot_phases, {"setting": S}),
    "explore_phases": (initlab.explore_phases, {"setting": S}),
    "plot_spectrum": (initlab.plot_spectrum, {"setting": KINDS["Recurrent"]}),
    "spectrum": (initlab.spectrum, {"setting": KINDS["Recurrent"]}),
    "ask": (teaching.ask, {"name": "start-copies"}),
    "check": (teaching.check, {"name": "he-scale", "function": lambda a, b: 1.0, "seed": 0}),
    "solution": (teaching.solution, {"name": "he-scale"}),
    "watch": (initlab.watch, {"function": lambda p, x: x @ p, "batch": np.eye(2), "every": 10}),
    "diagnose": (initlab.diagnose, {"signals": None}),
    "plot_report": (initlab.plot_report, {"report": None}),
    "plot_adapted": (initlab.plot_adapted, {"adapted": None}),
    "explore_fit": (initlab.explore_fit, {"adapted": None, "batch": None}),
    "early_warnings": (initlab.early_warnings, {"history": None}),
    "plot_race": (initlab.plot_race, {"history": None}),
    "plot_map": (initlab.plot_map, {"dataset": None, "name": "loss", "x": "gain", "y": "depth"}),
    "explore": (
        initlab.explore,
        {
            "batch": B,
            "network": Setting,
            "controls": ("depth",),
            "panels": ("variance",),
            "max_depth": 9,
            "theme": "auto",
            "depth": 2,
            "width": 8,
        },
    ),
}
ARGUMENTS = [(name, argument) for name, (_, usual) in CHEAP.items() for argument in usual]


@holds(nightly=3000, ci=100, counts="hostile", call=st.sampled_from(ARGUMENTS), place=values)
def test_every_argument_of_what_compiles_nothing(call, place):
    """One argument is replaced; the others are as they should be."""
    (name, argument), (group, index) = call, place
    function, usual = CHEAP[name]
    value = HOSTILE[group][index]
    assert_refused_or_right(lambda: function(**usual | {argument: value}), value)


# --- what is compiled ----------------------------------------------------------------------------


@functools.cache
def dear():
    """Calls that measure, and what they are given: made once, since they compile."""
    signals, history = initlab.probe(S, B), initlab.train(S, B, steps=2)
    dataset, fit = initlab.sweep(B, gain=[0.5, 1.0], depth=[1, 2], width=8), adaptive.lsuv(S, B)
    start = {"settings": S, "batch": B, "steps": 2}
    return {
        "probe": (initlab.probe, {"setting": S, "batch": B, "weights": None}),
        "diagnose": (initlab.diagnose, {"signals": signals}),
        "plot": (
            initlab.plot,
            {"signals": signals, "theory": None, "panels": ("variance",), "theme": "light"},
        ),
        "update_to_weight_ratio": (signals.update_to_weight_ratio, {"learning_rate": 0.1}),
        "jacobian_singular_values": (signals.jacobian_singular_values, {"example": 0}),
        "by_layer": (signals.by_layer, {"name": "dead_fraction"}),
        "band": (initlab.predict(S, B).band, {"field": "gradient_second_moment", "deviations": 1}),
        "train": (
            initlab.train,
            start
            | {"held_out": None, "optimizer": None, "batch_size": 12, "dropout": 0.0}
            | {"initial": None, "seed": 0, "record_every": 1, "keep_first_layer": False}
            | {"seeds": 1, "progress": None},
        ),
        "race": (initlab.race, start | {"by_layer": "gradient"}),
        "prophecy": (initlab.prophecy, start),
        "early_warnings": (initlab.early_warnings, {"history": history, "within": 1}),
        "plot_race": (initlab.plot_race, {"history": history, "by_layer": "gradient"}),
        "sweep": (
            initlab.sweep,
            {"batch": B, "measures": None, "store": None, "chunk": 4, "progress": False}
            | {"depth": [1, 2], "width": 8, "activation": "tanh", "gain": [0.5, 1.0]},
        ),
        "train_sweep": (
            initlab.train_sweep,
            {"batch": B, "optimizer": None, "steps": 2, "batch_size": 12, "chunk": 1}
            | {"progress": False, "depth": [2], "width": 8, "gain": 1.0},
        ),
        "plot_map": (
            initlab.plot_map,
            {"dataset": dataset, "name": "loss", "x": "gain", "y": "depth", "layer": None}
            | {"marked": None, "theory": True},
        ),
        "plot_table": (
            initlab.plot_table,
            {"depth": 2, "width": 8, "initializers": ("normal",), "activations": ("relu",)},
        ),
        "explore_fit": (initlab.explore_fit, {"adapted": fit, "batch": B}),
        "at": (fit.at, {"step": 0}),
        "feature_maps": (
            initlab.feature_maps,
            {"setting": KINDS["Convolutional"], "batch": B, "example": 0},
        ),
        "plot_features": (
            initlab.plot_features,
            {"setting": KINDS["Convolutional"], "batch": B, "example": 0, "channels": 2},
        ),
        "coordinate_check": (
            initlab.coordinate_check,
            {"setting": KINDS["Transformer"], "widths": (8, 16), "steps": 1, "learning_rate": 0.01}
            | {"batch": B},
        ),
        "examine": (
            initlab.examine,
            {"function": lambda p, x: x @ p, "params": np.eye(4), "batch": np.eye(4), "loss": None},
        ),
        **{
            name: (getattr(adaptive, name), {"setting": S, "batch": B} | options)
            for name, options in (
                ("lsuv", {"tolerance": 0.1, "most_rounds": 3}),
                ("data_dependent", {}),
                ("emergence_promoting", {"alpha": 1.1, "pivot": None}),
                ("metainit", {"steps": 1}),
                ("gradinit", {"steps": 1}),
            )
        },
        "gradient_quotient": (
            adaptive.gradient_quotient,
            {"loss": lambda w: (w**2).sum(), "parameters": np.ones(3), "epsilon": 1e-5},
        ),
    }


#: what no argument of these is, so that nothing large is asked for
NEVER = ("strings", "more strings", "mappings", "odd arrays", "objects", "more objects")
never = st.sampled_from(NEVER).flatmap(
    lambda name: st.tuples(st.just(name), st.integers(0, len(HOSTILE[name]) - 1))
)
#: what a wrong network, or a wrong loss, of a caller's own raises
THEIRS = {
    *(("examine", name) for name in ("function", "params", "batch")),
    *(("gradient_quotient", name) for name in ("loss", "parameters")),
}


@holds(nightly=1200, ci=40, counts="hostile", chance=st.integers(0, 10**6), place=never)
def test_every_argument_of_what_measures(chance, place):
    """One argument is replaced; the others are as they should be."""
    calls = [(name, argument) for name, (_, usual) in dear().items() for argument in usual]
    (name, argument), (group, index) = calls[chance % len(calls)], place
    function, usual = dear()[name]
    value = HOSTILE[group][index]
    # a weight may be any array, and whatever is callable may be called
    if (name, argument) in THEIRS or callable(value):
        return
    allowed = (TypeError, ValueError, OSError) if argument == "store" else (TypeError, ValueError)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # of a store's name
        assert_refused_or_right(lambda: function(**usual | {argument: value}), value, allowed)
