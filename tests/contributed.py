"""Asks a copy of the package, to which CONTRIBUTING.md added entries, whether they are everywhere.

Run by tests/test_contributing.py, in a process of its own: `python contributed.py FOLDER`, and
with `slow` behind it for what takes longer to compile.
"""

import sys
from pathlib import Path

import numpy as np

import initlab
from initlab import controls
from initlab.sweeps.grid import grid_of
from tools import atlas

INITIALIZER, ACTIVATION = "fan_out_normal", "prelu"


def look(mine: initlab.Setting) -> None:
    """Tables, menus, the atlas, a probe, theory and pictures."""
    for table, name in ((initlab.initializers(), INITIALIZER), (initlab.activations(), ACTIVATION)):
        (row,) = [row for row in table if row["name"] == name]
        assert row["law"] and row["when"] and row["source"]
        assert name in table._repr_markdown_()

    for kind in (initlab.Setting, initlab.Residual, initlab.Convolutional):
        menus = controls.make(kind(), 10, ())
        assert INITIALIZER in menus["initializer"].options
        assert ACTIVATION in menus["activation"].options

    assert atlas.GRID["initializer"] == atlas.GRID["activation"] == "all"
    axes = grid_of(**atlas.GRID).axes
    assert INITIALIZER in axes["initializer"] and ACTIVATION in axes["activation"]

    signals, prediction = initlab.probe(mine), initlab.predict(mine)
    assert np.isfinite(prediction.activation_second_moment).all()
    assert np.isfinite(prediction.gradient_second_moment).all()
    assert len(initlab.plot(signals, prediction).axes) >= 3
    initlab.plot_table(4, 32, [INITIALIZER], [ACTIVATION])


def compute(mine: initlab.Setting) -> None:
    """A sweep, and a race."""
    starts = ["he_normal", INITIALIZER]
    found = initlab.sweep(depth=4, width=32, initializer=starts, activation="all", progress=False)
    there = found.sel(initializer=INITIALIZER, activation=ACTIVATION)
    assert np.isfinite(there.gradient_second_moment.values).all()
    history = initlab.race({"mine": mine}, steps=4).wait()
    assert history.complete and np.isfinite(history.loss).all()


if __name__ == "__main__":
    folder, *slow = sys.argv[1:]
    assert Path(initlab.__file__).is_relative_to(folder), "another initlab was imported"
    (compute if slow else look)(initlab.Setting(4, 32, ACTIVATION, INITIALIZER))
