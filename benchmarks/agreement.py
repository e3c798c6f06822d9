"""Whether networks do what theory says: 64 of them for every activation and every random start.

A cell is a layer of one activation with one initializer. It agrees if the median over the seeds
lies in theory's band of two standard deviations; cells outside are listed.
"""

import itertools

import numpy as np

import initlab
from benchmarks.harness import Row
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS

SEEDS = 64
DEPTH, WIDTH = 20, 512
BATCH = 64
FIELDS = ("activation_second_moment", "activation_variance", "gradient_second_moment")
TARGET = 0.95  # of all cells


def run() -> list[Row]:
    """A row for each field, one for each pair with cells outside, and one for all."""
    batch = initlab.data.digits(BATCH)
    starts = [name for name, entry in INITIALIZERS.items() if entry.ensemble != "patterned"]
    settings = [
        initlab.Setting(depth=DEPTH, width=WIDTH, activation=activation, initializer=start)
        for start, activation in itertools.product(starts, ACTIVATIONS)
    ]
    measured = {setting: {field: [] for field in FIELDS} for setting in settings}
    for seed in range(SEEDS):  # outermost: settings then share what is drawn
        for setting in settings:
            signals = initlab.probe(setting.replace(seed=seed), batch)
            for field in FIELDS:
                measured[setting][field].append(getattr(signals, field)[-DEPTH:])
    inside, outside = {field: [] for field in FIELDS}, []
    for setting, fields in measured.items():
        prediction = initlab.predict(setting, batch)
        for field, values in fields.items():
            low, high = (edge[-DEPTH:] for edge in prediction.band(field))
            median = np.median(values, axis=0)
            agrees = (low <= median) & (median <= high)
            inside[field].append(agrees)
            if not agrees.all():
                layers = np.flatnonzero(~agrees) + 1
                ratio = median[~agrees] / getattr(prediction, field)[-DEPTH:][~agrees]
                outside.append(
                    Row(
                        f"  {setting.activation}, {setting.initializer}: {field}",
                        f"layers {layers[0]} to {layers[-1]} ({len(layers)}),"
                        f" {ratio.min():.2f} to {ratio.max():.2f} of theory",
                    )
                )
    total = np.concatenate([cells for field in FIELDS for cells in inside[field]])
    rows = [Row(f"cells inside, {field}", f"{np.mean(inside[field]):.1%}") for field in FIELDS]
    share = total.mean()
    return [
        Row(
            f"cells inside, of {total.size:,}", f"{share:.1%}", f">= {TARGET:.0%}", share >= TARGET
        ),
        *rows,
        *outside,
    ]
