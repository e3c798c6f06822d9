"""``initlab.probe`` against the same measures in plain NumPy, and in PyTorch where it is installed.

All compute with the same weights, made beforehand; the numbers are compared before they are timed.
"""

import importlib.util

import numpy as np

import initlab
from benchmarks import usual
from benchmarks.harness import Row, milliseconds, paired, ratio, undisturbed
from initlab.signals import LAYER_FIELDS

SIZES = (  # depth, width, rounds, target: at most so many times as long as NumPy
    (50, 256, 25, 1.2),
    (10, 64, 100, 1.0),
)
TOLERANCE = 1e-3  # relative; far above what float32 rounds, far below a wrong formula
EXAMPLES = 256


def run() -> list[Row]:
    """A block of rows for each size."""
    rows = []
    for depth, width, rounds, target in SIZES:
        setting = initlab.Setting(depth=depth, width=width)
        batch = initlab.data.digits(EXAMPLES)
        weights = initlab.weights(setting)
        norms = usual.norms(weights)

        def ours(setting=setting, batch=batch):
            return initlab.probe(setting, batch)

        def numpy(setting=setting, batch=batch, weights=weights, norms=norms):
            return usual.measure(weights, norms, setting, batch)

        functions = {"ours": ours, "numpy": numpy}
        if importlib.util.find_spec("torch"):
            from benchmarks import hooks

            functions["torch"] = hooks.measurer(weights, norms, setting, batch)
        signals = ours()
        errors = {
            name: difference(signals, function())
            for name, function in functions.items()
            if name != "ours"
        }
        for name, error in errors.items():
            assert error <= TOLERANCE, f"{name} and initlab.probe differ by {error:.1e}"

        seconds = paired(rounds, **functions)
        where = f"depth {depth}, width {width}, batch {EXAMPLES}: "
        times = ratio(seconds["ours"], seconds["numpy"])
        best = undisturbed(seconds["ours"], seconds["numpy"])
        rows += [
            Row(f"{where}probe", milliseconds(seconds["ours"])),
            Row(f"{where}NumPy", milliseconds(seconds["numpy"])),
            Row(f"{where}probe / NumPy", f"{times:.2f}", f"<= {target}", times <= target),
            Row(f"{where}the same, undisturbed", f"{best:.2f}", f"<= {target}", best <= target),
        ]
        if "torch" in seconds:
            times = ratio(seconds["ours"], seconds["torch"])
            rows += [
                Row(f"{where}PyTorch with hooks", milliseconds(seconds["torch"])),
                Row(f"{where}probe / PyTorch", f"{times:.2f}"),
            ]
        rows.append(Row(f"{where}largest relative difference", f"{max(errors.values()):.0e}"))
    return rows


def difference(signals: initlab.Signals, others: dict) -> float:
    """The largest relative difference of any measure at any layer, and of the loss.

    A histogram's is the share of values that fell into another bin.
    """
    worst = abs(others["loss"] / signals.loss - 1)
    for name in LAYER_FIELDS:
        ours, theirs = getattr(signals, name), others[name]
        scale = np.maximum(np.abs(ours), 1e-2 if name.endswith(("fraction", "similarity")) else 0)
        worst = max(worst, np.max(np.abs(ours - theirs) / np.where(scale > 0, scale, 1.0)))
    moved = np.abs(signals.activation_histogram - others["activation_histogram"]).sum(axis=1)
    return max(worst, np.max(moved / signals.activation_histogram.sum(axis=1)))
