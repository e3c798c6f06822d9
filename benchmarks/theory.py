"""How long theory takes: a prediction beside every frame, and a phase diagram.

The first prediction of an activation samples and tabulates it; that is timed with a new one.
"""

import itertools

import jax.numpy as jnp
import numpy as np

import initlab
from benchmarks.harness import Row, milliseconds, paired, percentile
from initlab.activations import Activation
from initlab.theory import phase_diagram, predict, variance_map

ROUNDS = 30
PREDICTION = 2.0  # ms, at the greatest depth
PHASE_DIAGRAM = 200.0  # ms, of 64 x 64


def run() -> list[Row]:
    """Rows for prediction, phase diagram, and an activation's first use."""
    gains = itertools.cycle(np.linspace(0.8, 1.6, 17))
    setting = initlab.Setting(depth=128, width=512)
    grid = np.linspace(0.1, 4, 64), np.linspace(0, 0.5, 64)
    # another activation each time, so that nothing is remembered of it
    new = (
        Activation(f"sine {k}", lambda z, frequency=1 + k / 1000: jnp.sin(frequency * z))
        for k in itertools.count()
    )
    seconds = paired(
        ROUNDS,
        prediction=lambda: predict(setting.replace(gain=float(next(gains)))),
        diagram=lambda: phase_diagram("tanh", *grid),
        first=lambda: variance_map(next(new), 1.0),
    )

    def row(what, name, target=None):
        median = 1e3 * percentile(seconds[name], 0.5)
        goal = f"<= {target:g} ms" if target else ""
        return Row(what, milliseconds(seconds[name]), goal, median <= target if target else None)

    return [
        row("predict, depth 128", "prediction", PREDICTION),
        row("phase diagram, 64 x 64", "diagram", PHASE_DIAGRAM),
        row("an activation's first use", "first"),
    ]
