"""A figure, or several, of every public function that gives one, as small as shows all it draws.

What is drawn is judged elsewhere: a function that draws something new is added here, and nothing
else. ``test_every_function_that_draws_is_here`` finds the ones that are missing.
"""

import functools
import inspect

import jax
import numpy as np
import optax
import pytest
import xarray
from matplotlib.figure import Figure

import initlab
from initlab.live import Live
from initlab.panels import panels_for
from initlab.plots import Picture
from initlab.race_picture import BY_LAYER, MOST_CURVES
from initlab.sweeps.grid import grid_of
from initlab.themes import THEMES

BATCH = initlab.data.digits(48)
SMALL = initlab.Setting(depth=6, width=16)
NETWORKS = (
    SMALL,
    initlab.Recurrent(steps=6, width=8, cell="lstm"),
    initlab.Transformer(blocks=2, width=16, heads=2),
)
PATHS = {  # settings whose curves leave the axes, or end
    "healthy": SMALL,
    "exactly zero": SMALL.replace(initializer="zeros"),
    "overflow": SMALL.replace(activation="relu", gain=400.0, dtype="float16"),
}


@functools.cache
def signals(setting) -> initlab.Signals:
    """Measured once for all figures."""
    return initlab.probe(setting)


def pinned(setting, theme: str) -> Figure:
    """All panels of a kind of network, with theory and over the ghost of another start."""
    picture = Picture(tuple(panels_for(type(setting))), max(setting.depth, 2), theme)
    picture.pin(signals(setting.replace(gain=0.5)))
    picture.update(signals(setting), initlab.predict(setting))
    return picture.figure


@functools.cache
def history() -> initlab.History:
    """As many starts as a race may have, of three seeds, the last of which diverges."""
    gains = np.geomspace(0.5, 2, MOST_CURVES - 1).tolist()
    starts = {f"gain {gain:.2f}": initlab.Setting(2, 16, "tanh", gain=gain) for gain in gains}
    starts["diverges"] = initlab.Setting(2, 16, "linear", gain=40.0)
    return initlab.train(starts, BATCH, steps=12, optimizer=optax.sgd(0.05), seeds=3)


@functools.cache
def reports() -> dict:
    """A network that is healthy, one that is not and its remedy, one that overflows."""

    def network(weights, x):
        for weight in weights:
            x = jax.numpy.tanh(x @ weight)
        return x

    keys = jax.random.split(jax.random.key(0), 8)
    weights = [jax.random.normal(key, (16, 16)) / 4 for key in keys]
    x = jax.random.normal(jax.random.key(1), (32, 16))
    copies = [w.at[:, :].set(w[:, :1]) if place == 4 else w for place, w in enumerate(weights)]
    ill = [w * {2: 30.0, 3: 1e-3}.get(place, 1.0) for place, w in enumerate(copies)]
    found = {name: initlab.examine(network, w, x) for name, w in (("well", weights), ("ill", ill))}
    found["remedy"] = found["ill"].remedy()
    found["overflow"] = initlab.examine(
        lambda w, x: functools.reduce(lambda x, w: jax.nn.relu(x @ w * 1e30), w, x), weights, x
    )
    return found


def sweep_of(name: str, values, extra=None, **axes) -> xarray.Dataset:
    """A sweep with these values."""
    grid = grid_of(**axes)
    variables = {name: (tuple(grid.axes), np.asarray(values, float), {"units": "1"})}
    variables |= {key: (tuple(grid.axes), array) for key, array in (extra or {}).items()}
    return grid.dataset(variables)


def table_map(name: str, values) -> Figure:
    """A map of names by names, whose cells have numbers; every other one is marked."""
    axes = {
        "initializer": ["he_normal", "orthogonal", "glorot_normal", "normal"],
        "activation": ["tanh", "relu", "gelu", "selu", "elu", "silu"],
    }
    values = np.resize(values, (4, 6))
    healthy = {"healthy": np.arange(24).reshape(4, 6) % 2 == 0}
    dataset = sweep_of(name, values, healthy, **axes)
    return initlab.plot_map(dataset, name, x="activation", y="initializer", marked="healthy")


def number_map() -> Figure:
    """A map of gain by depth with theory's lines, faults of every kind, and ticks."""
    gains, depths = np.linspace(0.5, 2.0, 12), list(range(2, 42, 5))
    values = np.geomspace(1e-3, 1e3, len(depths) * len(gains)).reshape(len(depths), len(gains))
    values[0, :3], values[1, :3] = np.nan, np.inf
    marked = {"healthy": values > 1}
    dataset = sweep_of("loss", values, marked, depth=depths, gain=gains.tolist())
    return initlab.plot_map(dataset, "loss", x="gain", y="depth", marked="healthy")


@functools.cache
def fit() -> initlab.adaptive.Adapted:
    """A start that was fitted."""
    return initlab.adaptive.lsuv(SMALL, BATCH)


def curves(count: int, **options) -> Figure:
    """Curves of which no two are alike."""
    steps = np.arange(20)
    named = {f"curve {place}": np.exp(-steps / (3 + 3 * place)) for place in range(count)}
    return initlab.plot_curves(steps, named, "loss", **options)


def spread(count: int) -> np.ndarray:
    """Powers of ten from one end of a map's colours to the other."""
    return 10.0 ** np.linspace(-25, 25, count)


#: public name -> what is drawn -> a function that draws it
FIGURES = {
    "plot": {
        f"{type(setting).__name__}, {theme}": functools.partial(pinned, setting, theme)
        for setting in NETWORKS
        for theme in THEMES
    }
    | {
        name: functools.partial(
            lambda setting: initlab.plot(signals(setting), panels=tuple(panels_for(type(setting)))),
            setting,
        )
        for name, setting in PATHS.items()
    },
    "plot_curves": {
        "six": functools.partial(curves, 6),
        "logarithmic": functools.partial(curves, 2, logarithmic=True),
    },
    "plot_neurons": {
        "ten": lambda: initlab.plot_neurons(initlab.weights(SMALL)[0][0]),
    },
    "plot_map": {
        "numbers": number_map,
        "ratios": lambda: table_map("gradient_ratio", spread(24)),
        "a table of losses": lambda: table_map("loss", np.linspace(0, 1, 24)),
        "a table of powers": lambda: table_map("loss", np.geomspace(1e-6, 1e6, 24)),
    },
    "plot_table": {"small": lambda: initlab.plot_table(20, 16)},
    "plot_phases": {
        "a line": lambda: initlab.plot_phases(initlab.Setting(activation="tanh", bias_std=0.3)),
        "a point": lambda: initlab.plot_phases(initlab.Setting(activation="relu")),
    },
    "plot_race": {
        name: functools.partial(lambda name: initlab.plot_race(history(), name), name)
        for name in BY_LAYER
    },
    "plot_report": {
        name: functools.partial(lambda name: initlab.plot_report(reports()[name]), name)
        for name in ("well", "ill", "remedy", "overflow")
    },
    "plot_spectrum": {
        "small": lambda: initlab.plot_spectrum(initlab.Recurrent(width=16, gain=1.2)),
    },
    "plot_features": {
        "small": lambda: initlab.plot_features(initlab.Convolutional(depth=4, width=4)),
    },
    "plot_adapted": {"lsuv": lambda: initlab.plot_adapted(fit())},
    "explore": {
        "small": lambda: initlab.explore(BATCH, depth=6, width=16, max_depth=8).figure,
    },
    "explore_table": {"small": lambda: shown(live("explore_table"))},
    "explore_phases": {"tanh": lambda: shown(live("explore_phases"))},
    "explore_fit": {"lsuv": lambda: shown(live("explore_fit"))},
    "race": {"small": lambda: shown(live("race"))},
}


def live(name: str) -> Live:
    """An explorer of each kind, which was moved to where it stands."""
    made = {
        "explore": lambda: initlab.explore(BATCH, depth=6, width=16, max_depth=8),
        "explore_table": lambda: initlab.explore_table(
            5, 16, ("he_normal", "zeros"), ("tanh", "relu")
        ),
        "explore_phases": lambda: initlab.explore_phases(SMALL),
        "explore_fit": lambda: initlab.explore_fit(fit()),
        "race": lambda: initlab.race(
            {"good": SMALL, "zeros": SMALL.replace(initializer="zeros")}, BATCH, steps=5
        ),
    }[name]()
    if name == "race":
        made.wait()
    else:
        made.update()
    return made


def shown(widget: Live) -> Figure:
    """The figure that a widget shows."""
    return widget._frame(96).figure


def drawing_functions() -> set[str]:
    """The public names whose results are figures, or widgets with one, by what they promise."""
    found = set()
    for name in initlab.__all__:
        public = getattr(initlab, name)
        if not inspect.isfunction(public):
            continue
        given = inspect.signature(public).return_annotation
        given = public.__globals__.get(given) if isinstance(given, str) else given
        if inspect.isclass(given) and issubclass(given, Figure | Live):
            found.add(name)
    return found


#: what compiles for seconds, and draws what others draw, too
SLOW = {
    ("plot", "Recurrent, light"),
    ("plot", "Recurrent, dark"),
    ("plot", "Transformer, light"),
    ("plot", "Transformer, dark"),
    ("plot", "overflow"),
    ("plot_report", "well"),
    ("plot_report", "remedy"),
    ("plot_features", "small"),
    ("explore", "small"),
    ("race", "small"),
}
CASES = [
    pytest.param(name, case, marks=[pytest.mark.slow] if (name, case) in SLOW else [])
    for name, cases in FIGURES.items()
    for case in cases
]


def draw(name: str, case: str) -> Figure:
    """A fresh figure, drawn."""
    figure = FIGURES[name][case]()
    figure.canvas.draw()
    return figure
