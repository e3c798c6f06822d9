"""How often the diagnosis before training says what training then does, over a grid of starts.

Every start of the grid is diagnosed, trained on 1,024 digits, and judged on the 773 held out.
"""

import itertools

import initlab
from benchmarks.harness import Row
from initlab.prophet import OUTCOMES

ACTIVATIONS = ("tanh", "relu", "sigmoid", "gelu")
INITIALIZERS = ("zeros", "constant", "glorot_normal", "he_normal", "orthogonal")
DEPTHS = (3, 10, 30)
GAINS = (0.25, 0.5, 1.0, 2.0)
WIDTH, STEPS, BATCH_SIZE = 32, 300, 128
HIT_RATE = 0.8


def run() -> list[Row]:
    """The hit rate, what became of the healthy and of each failure, and the misses by name."""
    grid = itertools.product(DEPTHS, ACTIVATIONS, INITIALIZERS, GAINS)
    settings = [
        initlab.Setting(depth, WIDTH, activation, initializer, gain)
        for depth, activation, initializer, gain in grid
    ]
    found = initlab.prophecy(settings, steps=STEPS, batch_size=BATCH_SIZE)
    rate = found.hit_rate
    rows = [
        Row(
            f"{len(settings)} starts, {STEPS} steps of {BATCH_SIZE}: as was said",
            f"{rate:.1%}",
            f">= {HIT_RATE:.0%}",
            rate >= HIT_RATE,
        )
    ]
    for row in found.by_mode():
        became = ", ".join(f"{row[outcome]} {outcome}" for outcome in OUTCOMES)
        rows.append(Row(f"  {row['said before']}, {row['starts']} starts", became))
    for row in found.table(found.misses):
        rows.append(
            Row(
                f"  miss: {row['start']}",
                f"{row['said before']}; {row['outcome']}, loss {row['loss']}",
            )
        )
    return rows
