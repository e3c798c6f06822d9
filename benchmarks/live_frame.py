"""One frame of the explorer against the usual way, in the same run.

A frame is what follows a move of the gain: compute, draw, encode a PNG. The usual way is what a
function under ``interact`` does: scale the weights, measure with NumPy (as in ``usual``), make a
new pyplot figure of three panels, and save it, cropped, as the inline backend does. Weights are
drawn beforehand on both sides; neither side's way through kernel and browser is in it.
"""

import io

import matplotlib.pyplot as plt
import numpy as np

import initlab
from benchmarks import usual
from benchmarks.harness import Row, milliseconds, paired, percentile, ratio, undisturbed

SIZES = (  # depth, width, rounds, target in ms for the median of a frame
    (20, 128, 40, 30.0),
    (50, 256, 25, None),
)
TIMES_FASTER = 6.0  # than the usual way, at the first size
GAINS = np.geomspace(0.8, 1.6, 17)


def run() -> list[Row]:
    """Rows for each size; without an explorer, of the usual way alone."""
    rows = []
    plt.switch_backend("agg")
    for depth, width, rounds, target in SIZES:
        setting = initlab.Setting(depth=depth, width=width)
        functions = {"usual": usual_way(setting, initlab.data.digits())}
        if hasattr(initlab, "explore"):
            functions["explorer"] = explorer_way(setting)
            functions["probe"] = probe_alone(setting)
        seconds = paired(rounds, **functions)
        where = f"depth {depth}, width {width}: "
        rows.append(Row(f"{where}usual way", milliseconds(seconds["usual"])))
        if "explorer" not in seconds:
            continue
        median = 1e3 * percentile(seconds["explorer"], 0.5)
        faster = ratio(seconds["usual"], seconds["explorer"])
        best = undisturbed(seconds["usual"], seconds["explorer"])
        rows += [
            Row(
                f"{where}explorer",
                milliseconds(seconds["explorer"]),
                f"<= {target:g} ms" if target else "",
                median <= target if target else None,
            ),
            Row(f"{where}explorer, of which probe", milliseconds(seconds["probe"])),
            Row(
                f"{where}usual way / explorer",
                f"{faster:.1f}",
                f">= {TIMES_FASTER:g}" if target else "",
                faster >= TIMES_FASTER if target else None,
            ),
            Row(
                f"{where}the same, undisturbed",
                f"{best:.1f}",
                f">= {TIMES_FASTER:g}" if target else "",
                best >= TIMES_FASTER if target else None,
            ),
        ]
    return rows


def moves(setting: initlab.Setting):
    """The same setting with one gain after the other, for ever; never twice the same in a row."""
    while True:
        for gain in GAINS:
            yield setting.replace(gain=float(gain))


def usual_way(setting: initlab.Setting, batch: initlab.Batch):
    """A function that makes the next frame in the usual way, and returns its PNG."""
    drawn = initlab.weights(setting)
    positions = moves(setting)

    def frame() -> bytes:
        position = next(positions)
        weights = [(position.gain * weight, bias) for weight, bias in drawn]
        weights = [(weight.astype(np.float32, copy=False), bias) for weight, bias in weights]
        signals = usual.measure(weights, usual.norms(weights), position, batch)
        layers = np.arange(setting.depth + 1)
        figure, (variance, gradient, neurons) = plt.subplots(1, 3, figsize=(12, 3.6))
        variance.semilogy(layers, signals["activation_variance"])
        variance.set(title="Activation variance", xlabel="layer", ylim=(1e-12, 1e6))
        gradient.semilogy(layers[1:], signals["gradient_second_moment"])
        gradient.set(title="Gradient second moment", xlabel="layer", ylim=(1e-12, 1e6))
        neurons.plot(layers[1:], signals["distinct_neurons"], label="distinct")
        neurons.plot(layers[1:], signals["effective_neurons"], label="effective")
        neurons.set(title="Neurons", xlabel="layer", ylim=(0, setting.width))
        neurons.legend()
        png = io.BytesIO()
        figure.savefig(png, format="png", bbox_inches="tight")
        plt.close(figure)
        return png.getvalue()

    return frame


def explorer_way(setting: initlab.Setting):
    """A function that makes the explorer's next frame, and returns its PNG."""
    explorer = initlab.explore(depth=setting.depth, width=setting.width)
    positions = moves(setting)

    def frame() -> bytes:
        explorer.setting = next(positions)  # which updates the picture before it returns
        return explorer.image.value

    assert frame() != frame(), "the explorer's picture does not follow the gain"
    return frame


def probe_alone(setting: initlab.Setting):
    """A function that measures the next setting with ``initlab.probe``."""
    positions = moves(setting)
    return lambda: initlab.probe(next(positions))
