"""Explorers that are moved a thousand times, without a browser: no error, no growing memory."""

import ctypes
import gc
import random

import pytest

import initlab
from initlab import Setting, adaptive, data
from initlab.controls import fields_by_control, positions
from tests.properties.strategies import watched

BATCH = data.gaussian(12, 16, 3)
DENSE = Setting(depth=8, width=8)
#: Moves after which random ones have led everywhere, so that what will be kept is kept: programs,
#: and of draws as many as are ever kept. For dense networks that was so after 400.
FIRST_MOVES = 600
MOST_GROWTH = 20  # MiB that a process may grow by in the thousand moves after them


def explorer(network, **options):
    """An explorer of small networks of a kind, and how it is moved at random."""
    shown = initlab.explore(BATCH, network=network, max_depth=12, **options)
    names = [name for name in fields_by_control(network) if name != "dtype"]
    still = {name.replace("_", " ") for name in network.compiled}  # each is a program of its own
    movable = [name for name in names if name not in still]

    def move(chance):
        name = chance.choice([*movable, "theory", "pin", "copy as code", "draw again", "reset"])
        widget = shown.controls[name]
        if name in ("draw again", "reset"):
            widget.click()
        elif name == "seed":
            widget.value = chance.randrange(4)
        elif name in ("theory", "pin", "copy as code"):
            widget.value = not widget.value
        elif hasattr(widget, "options") or name == shown.setting.counted.replace("_", " "):
            widget.value = chance.choice(positions(widget))
        else:  # a slider of real numbers
            widget.value = chance.uniform(widget.min, widget.max)

    return shown, move


def fit_explorer():
    shown = initlab.explore_fit(adaptive.lsuv(DENSE, BATCH), BATCH)

    def move(chance):
        shown.step.value = chance.randint(0, shown.step.max)

    return shown, move


def table_explorer():
    shown = initlab.explore_table(5, 8, ("he_normal", "orthogonal"), ("relu", "tanh"))

    def move(chance):
        shown.depth.value = chance.choice(shown.depth.options)

    return shown, move


def phase_explorer():
    shown = initlab.explore_phases(Setting(width=8))

    def move(chance):
        widget = chance.choice([shown.activation, shown.weight_variance, shown.bias_variance])
        if widget is shown.activation:
            widget.value = chance.choice(widget.options)
        else:
            widget.value = round(chance.uniform(widget.min, widget.max), 2)

    return shown, move


EXPLORERS = {
    "dense": lambda: explorer(Setting, depth=8, width=8),
    "residual": lambda: explorer(initlab.Residual, blocks=4, width=8),
    "recurrent": lambda: explorer(initlab.Recurrent, steps=4, width=8),
    "convolutional": lambda: explorer(initlab.Convolutional, depth=4, width=4),
    "transformer": lambda: explorer(initlab.Transformer, blocks=4, width=8, heads=1),
    "fit": fit_explorer,
    "table": table_explorer,
    "phases": phase_explorer,
}


def resident() -> float:
    """MiB of memory that the process holds, without what it would give back at once."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/status") as lines:
            (line,) = [line for line in lines if line.startswith("VmRSS")]
    except OSError:
        pytest.skip("only Linux tells how much memory a process holds")
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("name", ["dense", "fit", "phases"])
def test_an_explorer_follows_a_few_dozen_moves(name):
    shown, move = EXPLORERS[name]()
    chance = random.Random(1)
    with watched():
        for _ in range(36):
            move(chance)
            assert "Error" not in shown.status.value
    shown.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorers_memory_does_not_grow(name, record_property, capsys):
    """Source: the process's own memory, once what is compiled is compiled."""
    shown, move = EXPLORERS[name]()
    chance = random.Random(2)
    for _ in range(FIRST_MOVES):
        move(chance)
    before = resident()
    for _ in range(1000):
        move(chance)
    growth = resident() - before
    assert "Error" not in shown.status.value
    shown.close()
    record_property("MiB in a thousand moves", round(growth, 1))
    with capsys.disabled():
        print(f"\n{name}: {growth:+.1f} MiB in a thousand moves")
    assert growth < MOST_GROWTH
