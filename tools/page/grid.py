"""What the page can show: a grid of settings, measured, predicted and judged beforehand.

Shapes: A activations, I initializers, G gains, S seeds, D depths, L the deepest.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

import initlab
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS, menu
from initlab.measures import HISTOGRAM_EDGES
from initlab.signals import DIMENSIONS, LAYER_FIELDS

#: the measures that are drawn, and those of them that theory speaks of
DRAWN = (
    "activation_variance",
    "gradient_second_moment",
    "distinct_neurons",
    "effective_neurons",
)
PREDICTED = ("activation_variance", "gradient_second_moment")
#: theory's curve, and the ends of the band that a finite width leaves
ENDS = ("mean", "low", "high")


@dataclasses.dataclass(frozen=True)
class Grid:
    """The positions of all controls, and on what is measured.

    By default every activation and every initializer that menus offer. Depths, gains and width are
    those that the course's first notebook asks for, as many as two cores measure in minutes.
    """

    activations: tuple[str, ...] = dataclasses.field(default_factory=lambda: tuple(ACTIVATIONS))
    initializers: tuple[str, ...] = dataclasses.field(
        default_factory=lambda: tuple(menu(initlab.Setting))
    )
    gains: tuple[float, ...] = (
        *(0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.1),
        *(1.2, 1.414, 1.6, 1.8, 2.0, 3.0, 5.0, 20.0),  # 16: a sweep computes so many at once
    )
    seeds: tuple[int, ...] = (0, 1, 2)
    depths: tuple[int, ...] = (2, 5, 10, 20, 30, 50)
    width: int = 128
    examples: int = 64

    @property
    def shape(self) -> tuple[int, ...]:
        """How many positions each control has: ``(A, I, G, S, D)``."""
        axes = (self.activations, self.initializers, self.gains, self.seeds, self.depths)
        return tuple(map(len, axes))

    @property
    def batch(self) -> initlab.Batch:
        """The digits that everything is measured on."""
        return initlab.data.digits(self.examples)

    def setting(self, place: tuple[int, ...]) -> initlab.Setting:
        """The setting that is measured at ``(a, i, g, s, d)``.

        A start that is fitted to data is measured at gain 1: its fit takes any gain away.
        """
        activation, initializer, gain, seed, depth = place
        name = self.initializers[initializer]
        return initlab.Setting(
            depth=self.depths[depth],
            width=self.width,
            activation=self.activations[activation],
            initializer=name,
            gain=1.0 if is_fitted(name) else self.gains[gain],
            seed=self.seeds[seed],
        )


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is known of a grid, by field.

    ``curves`` are ``[A, I, G, S, D, layers]``, ``theory`` ``[A, I, G, D, layers]`` by field and
    end of the band, ``overflow [A, I, G, S, D]`` the layer where a value first is not finite, -1
    for none, and ``verdicts`` the diagnoses, in the order of the flattened ``overflow``.
    """

    grid: Grid
    curves: dict[str, np.ndarray]
    overflow: np.ndarray
    theory: dict[tuple[str, str], np.ndarray]
    verdicts: list[str]


def is_fitted(initializer: str) -> bool:
    """Whether a start is fitted to data, so that gain says nothing."""
    return INITIALIZERS[initializer].fitted_by is not None


def first_layer(field: str) -> int:
    """0 if the input has this measure, too, else 1."""
    return 0 if DIMENSIONS[field] == "layer" else 1


def measure(grid: Grid, progress: bool | None = None) -> Measured:
    """Measure, predict and judge every setting of a grid; ``progress`` as :func:`initlab.sweep`."""
    found = _swept(grid, progress)
    overflow = found.pop("first_overflow").astype(int)
    return Measured(
        grid=grid,
        curves={field: found[field] for field in DRAWN},
        overflow=overflow,
        theory=_predicted(grid),
        verdicts=list(_judged(grid, found, overflow)),
    )


def _swept(grid: Grid, progress: bool | None) -> dict[str, np.ndarray]:
    """Every measure by layer, and where values overflow; fitted starts repeated for all gains."""
    names = (*LAYER_FIELDS, "first_overflow")
    fitted = np.array([is_fitted(name) for name in grid.initializers])
    found = {}
    for these, gains in ((~fitted, grid.gains), (fitted, (1.0,))):
        if not these.any():
            continue
        swept = initlab.sweep(
            grid.batch,
            measures=LAYER_FIELDS,
            progress=progress,
            activation=grid.activations,
            initializer=np.array(grid.initializers)[these],
            gain=gains,
            seed=grid.seeds,
            depth=grid.depths,
            width=grid.width,
        )
        for name in names:
            values = swept[name].values
            shape = grid.shape + values.shape[5:]
            found.setdefault(name, np.empty(shape, values.dtype))[:, these] = values
    return found


def _judged(grid: Grid, found: dict, overflow: np.ndarray) -> Iterator[str]:
    """What ``initlab.diagnose`` says of every point of the sweep."""
    batch, bins = grid.batch, len(HISTOGRAM_EDGES) - 1
    for place in np.ndindex(grid.shape):
        setting = grid.setting(place)
        layers = {"hidden_layer": setting.depth, "layer": setting.depth + 1}
        layers["weight_layer"] = setting.depth + 1
        fields = {
            name: found[name][place][: layers[DIMENSIONS[name]]].astype(float)
            for name in LAYER_FIELDS
        }
        first = overflow[place]
        signals = initlab.Signals(
            setting=setting,
            batch=batch,
            **fields,
            activation_histogram=np.zeros((setting.depth + 1, bins)),  # a sweep keeps none
            histogram_edges=HISTOGRAM_EDGES,
            loss=float("nan"),
            first_overflow=None if first < 0 else int(first),
        )
        yield str(initlab.diagnose(signals))


def _predicted(grid: Grid) -> dict[tuple[str, str], np.ndarray]:
    """Theory's curves and their bands; NaN where it is silent, and beyond a setting's depth."""
    activations, initializers, gains, _, depths = grid.shape
    batch, deepest = grid.batch, max(grid.depths)
    shape = (activations, initializers, gains, depths)
    found = {
        (field, end): np.full((*shape, deepest + 1 - first_layer(field)), np.nan)
        for field in PREDICTED
        for end in ENDS
    }
    for a, i, g, d in np.ndindex(shape):
        prediction = initlab.predict(grid.setting((a, i, g, 0, d)), batch)
        for field in PREDICTED:
            curves = getattr(prediction, field), *prediction.band(field)
            for end, values in zip(ENDS, curves, strict=True):
                found[field, end][a, i, g, d, : len(values)] = values
    return found
