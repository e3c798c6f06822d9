"""One frame of the explorer against two other ways, in the same run.

A frame is what follows a move of the gain: compute, draw, encode a PNG. The usual way is what a
function under ``interact`` does: scale the weights, measure with NumPy (as in ``usual``), make a
new pyplot figure of three panels, and save it, cropped, as the inline backend does. The persistent
way moves the lines of one figure and saves that. Weights are drawn beforehand on all sides; no
side's way through kernel and browser is in it: see ``live_browser``.
"""

import io
import itertools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np

import initlab
from benchmarks import live_ways
from benchmarks.harness import Row, milliseconds, paired, percentile, ratio, undisturbed

ROUNDS = {(20, 128): 40, (50, 256): 25}  # by depth and width
SMALL_FRAME = 16.0  # ms in the median: 60 a second, at the first size
AROUND_COMPUTE = 15.0  # ms in the median that drawing adds to computing, at the second
TIMES_FASTER = 6.0  # than the usual way, at the first
GAINS = tuple(map(float, np.geomspace(0.8, 1.6, 17)))


def run() -> list[Row]:
    """Rows for each size."""
    plt.switch_backend("agg")
    return [row for (depth, width), rounds in ROUNDS.items() for row in rows(depth, width, rounds)]


def rows(depth: int, width: int, rounds: int) -> list[Row]:
    """What a frame takes at a size, whose batch is of 256 examples."""
    setting = initlab.Setting(depth=depth, width=width)
    seconds = paired(
        rounds,
        usual=moved(usual_way(depth, width)),
        persistent=moved(live_ways.saved_anew(depth, width)),
        explorer=moved(explorer_way(setting)),
        probe=moved(lambda gain: initlab.probe(setting.replace(gain=gain))),
    )
    small = (depth, width) == next(iter(ROUNDS))
    ours, compute = seconds["explorer"], seconds["probe"]
    median = 1e3 * percentile(ours, 0.5)
    around = 1e3 * percentile(
        [whole - part for whole, part in zip(ours, compute, strict=True)], 0.5
    )
    faster, best = ratio(seconds["usual"], ours), undisturbed(seconds["usual"], ours)
    where = f"depth {depth}, width {width}: "

    def row(what: str, figure: str, target: str, met: bool, held: bool) -> Row:
        return Row(where + what, figure, *((target, met) if held else ()))

    return [
        Row(f"{where}usual way", milliseconds(seconds["usual"])),
        Row(f"{where}persistent figure, savefig", milliseconds(seconds["persistent"])),
        row("explorer", milliseconds(ours), f"<= {SMALL_FRAME:g} ms", median <= SMALL_FRAME, small),
        Row(f"{where}explorer, of which probe", milliseconds(compute)),
        row(
            "explorer, less probe",
            f"{around:.1f} ms",
            f"<= {AROUND_COMPUTE:g} ms",
            around <= AROUND_COMPUTE,
            not small,
        ),
        row(
            "usual way / explorer",
            f"{faster:.1f}",
            f">= {TIMES_FASTER:g}",
            faster >= TIMES_FASTER,
            small,
        ),
        row(
            "the same, undisturbed",
            f"{best:.1f}",
            f">= {TIMES_FASTER:g}",
            best >= TIMES_FASTER,
            small,
        ),
        Row(f"{where}persistent / explorer", f"{ratio(seconds['persistent'], ours):.1f}"),
    ]


def moved(frame: Callable[[float], object]) -> Callable[[], object]:
    """A function that goes to one gain after the other; never twice to the same in a row."""
    gains = itertools.cycle(GAINS)
    return lambda: frame(next(gains))


def usual_way(depth: int, width: int) -> Callable[[float], bytes]:
    """A function of the gain that makes a frame in the usual way: its PNG."""
    measure = live_ways.measurer(depth, width)

    def frame(gain: float) -> bytes:
        figure, axes = plt.subplots(1, 3, figsize=(12, 3.6))
        live_ways.draw(axes, measure(gain), width)
        png = io.BytesIO()
        figure.savefig(png, format="png", bbox_inches="tight")
        plt.close(figure)
        return png.getvalue()

    return frame


def explorer_way(setting: initlab.Setting) -> Callable[[float], bytes]:
    """A function of the gain that makes the explorer's frame: its PNG."""
    explorer = initlab.explore(depth=setting.depth, width=setting.width)

    def frame(gain: float) -> bytes:
        explorer.setting = setting.replace(gain=gain)  # updates the picture before it returns
        return explorer.image.value

    assert frame(1.0) != frame(1.1), "the explorer's picture does not follow the gain"
    return frame
