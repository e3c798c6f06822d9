"""How often XLA compiles while somebody plays with every control but width: it should be never.

Each width is first warmed up: by ``Explorer.warm_up``, or by one network of every initializer and
of every activation. What that compiled is listed. Then the controls move at random, all at once.
"""

import time

import jax.monitoring
import numpy as np

import initlab
from benchmarks.harness import Row
from initlab.activations import ACTIVATIONS
from initlab.initializers import menu
from initlab.setting import MAX_DEPTH

MOVES = {64: 1000, 128: 100}  # by width
_COMPILED = []  # what XLA was asked to compile, by name, since the start


def _listen(event: str, seconds: float, **details) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _COMPILED.append(details.get("fun_name", "unnamed"))


def run() -> list[Row]:
    """Rows for the explorer, then for ``initlab.probe`` alone."""
    jax.monitoring.register_event_duration_secs_listener(_listen)
    rows = []
    for what, prepare in {"explorer": explorer_moves, "probe": probe_moves}.items():
        jax.clear_caches()
        warm_up, move = prepare()
        for width, moves in MOVES.items():
            rows += measure(what, width, moves, warm_up, move)
    return rows


def explorer_moves():
    """How the explorer warms up at a width, and how it moves to a setting."""
    explorer = initlab.explore(width=min(MOVES))

    def warm_up(width):
        move(explorer.setting.replace(width=width))
        explorer.warm_up()

    def move(setting):
        explorer.setting = setting  # which updates the picture before it returns

    return warm_up, move


def probe_moves():
    """The same for ``initlab.probe``; hidden layers have to be drawn, hence depth 2."""

    def warm_up(width):
        setting = initlab.Setting(depth=2, width=width)
        for initializer in menu():
            initlab.probe(setting.replace(initializer=initializer))
        for activation in ACTIVATIONS:
            initlab.probe(setting.replace(activation=activation))

    return warm_up, initlab.probe


def measure(what: str, width: int, moves: int, warm_up, move) -> list[Row]:
    """Warm up at a width, then move ``moves`` times; count programs."""
    start = len(_COMPILED)
    began = time.perf_counter()
    warm_up(width)
    seconds = time.perf_counter() - began
    warm = len(_COMPILED)
    random = np.random.default_rng(width)
    for _ in range(moves):
        move(random_setting(random, width))
    during = _COMPILED[warm:]
    measuring = sum("_measure" in name for name in _COMPILED[start:])
    where = f"{what}, width {width}: "
    return [
        Row(
            f"{where}programs by the warm-up, draws too",
            f"{warm - start} in {seconds:.1f} s",
        ),
        Row(
            f"{where}programs that measure, in all",
            f"{measuring}",
            "<= 1",
            measuring <= 1,
        ),
        Row(
            f"{where}compilations in {moves:,} moves",
            f"{len(during)}" + (f" ({', '.join(sorted(set(during)))})" if during else ""),
            "0",
            not during,
        ),
    ]


def random_setting(random: np.random.Generator, width: int) -> initlab.Setting:
    """A random position of every control but width."""
    return initlab.Setting(
        depth=int(random.integers(1, MAX_DEPTH + 1)),
        width=width,
        activation=str(random.choice(list(ACTIVATIONS))),
        initializer=str(random.choice(menu())),
        gain=float(10 ** random.uniform(-1, 1)),
        bias_std=float(random.choice([0.0, random.uniform(0, 2)])),
        seed=int(random.integers(0, 2**32)),
    )
