"""What helps against a failure: starts that are near the failing one, tried before proposed."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.failures import Failure, find_failures, gradient_ratio
from initlab.setting import MAX_SCALE, AnySetting, Setting
from initlab.signals import Signals, probe


@dataclasses.dataclass(frozen=True)
class Remedy:
    """A setting that was probed and found better, and what the probe said."""

    setting: AnySetting
    evidence: str

    def __str__(self) -> str:
        return self.evidence


def find_remedy(signals: Signals, failures: tuple[Failure, ...]) -> Remedy | None:
    """The first candidate without any failure, or the one with the fewest.

    None if no candidate has fewer failures than there are. Of two with as many, the one whose
    gradient is more even wins.
    """
    best, best_left, best_score = None, (), (len(failures), -np.inf)
    tried = {signals.setting}
    for setting in candidates(signals.setting):
        if best_score[0] == 0:
            break
        if setting in tried:
            continue
        tried.add(setting)
        found = probe(setting, signals.batch)
        left = find_failures(found)
        score = (len(left), _unevenness(found))
        if score < best_score:
            best, best_left, best_score = found, left, score
    return (
        None
        if best is None
        else Remedy(best.setting, _evidence(signals, failures, best, best_left))
    )


@functools.singledispatch
def candidates(setting: AnySetting) -> Iterator[AnySetting]:
    """Starts to try against a failure, the least change first; each kind of setting has its own."""
    return iter(())


@candidates.register
def _dense(setting: Setting) -> Iterator[Setting]:
    if setting.dtype != "float32":
        yield setting.replace(dtype="float32")
    yield setting.replace(gain=1.0)
    plain = setting.replace(gain=1.0, bias_std=0.0)
    yield from _starts(plain)
    yield from _starts(plain.replace(dtype="float32"))
    for activation, initializer in (("tanh", "orthogonal"), ("relu", "he_normal")):
        yield plain.replace(activation=activation, initializer=initializer, dtype="float32")


def _starts(plain: Setting) -> Iterator[Setting]:
    """The starts of good repute; those that are slow to draw come last."""
    gain = round(ACTIVATIONS[plain.activation].critical_gain, 4)
    for initializer in ("he_normal", "glorot_normal", "lecun_normal"):
        yield plain.replace(initializer=initializer)
    critical = {"gain": gain} if 0 < gain <= MAX_SCALE else {}
    yield plain.replace(initializer="lecun_normal", **critical)
    yield plain.replace(initializer="orthogonal")
    yield plain.replace(initializer="orthogonal", **critical)


def _unevenness(signals: Signals) -> float:
    """How far first and last gradient are apart, by logarithm; inf if there is none."""
    with np.errstate(divide="ignore"):
        distance = abs(np.log(gradient_ratio(signals)))
    return float(distance) if np.isfinite(distance) else np.inf


def _evidence(before: Signals, failures, after: Signals, left) -> str:
    """What is changed, and what the probe of it said where the failing start was worst."""
    told = [_TELLING[failure.mode] for failure in failures if failure.mode in _TELLING][:1]
    if before.depth > 1 or not told:
        told.append(("gradient ratio", "{:.2g}", gradient_ratio))
    numbers = [_compared(*telling, before, after) for telling in told]
    still = f"; still {', '.join(failure.mode for failure in left)}" if left else ""
    return f"{_change(before.setting, after.setting)}: {', '.join(numbers)}{still}"


def _change(old: AnySetting, new: AnySetting) -> str:
    fields = [field.name for field in dataclasses.fields(old)]
    changed = [name for name in fields if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name}={getattr(new, name)!r}" for name in changed)


def _compared(name: str, form: str, measure, before: Signals, after: Signals) -> str:
    values = measure(after), measure(before)
    words = ["none" if np.isnan(value) else form.format(value) for value in values]
    return f"{name} {words[0]} instead of {words[1]}"


#: mode -> what a remedy is told by before the gradient: name, form, and the worst layer's number.
#: Where no layer has one, it is NaN.
_TELLING = {
    "symmetry collapse": (
        "distinct neurons",
        "{:.0f}",
        lambda signals: np.fmin.reduce(signals.distinct_neurons),
    ),
    "saturation": (
        "saturated share",
        "{:.0%}",
        lambda signals: np.fmax.reduce(signals.saturated_fraction),
    ),
    "dead units": ("dead units", "{:.0%}", lambda signals: np.fmax.reduce(signals.dead_fraction)),
    "loss of input distinctions": (
        "mean cosine",
        "{:.4f}",
        lambda signals: np.fmax.reduce(signals.input_similarity),
    ),
}
