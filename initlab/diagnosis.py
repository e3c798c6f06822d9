"""Which failure a start shows, from which layer on, with what evidence, and what helps.

The thresholds, each with its reason, are the constants below; everything else is reading
``Signals``. A failure that travels forward starts at the lowest layer that shows it; one that
travels back starts at the highest.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.setting import Setting
from initlab.signals import Signals, probe

#: Gradient second moments of two layers may differ by this factor. Networks were found to train
#: up to about six depth scales (Schoenholz et al. 2017), where they differ by e^6 = 400; the rest
#: is room for what a finite width adds by chance.
GRADIENT_FACTOR = 1e3
#: A layer has collapsed if fewer than this share of its live units differ from each other.
DISTINCT_SHARE = 0.5
#: More than half of the units where the slope is under 1% of its largest. Judged only where both
#: tails are flat: a relu is flat for half of its inputs by design.
SATURATED_SHARE = 0.5
#: A relu layer that sees one single input has half of its units off, so more than that is a
#: failure of its own.
DEAD_SHARE = 0.7
#: Two examples differ by 2(1 - cosine) of their squared length: at 0.99 by 14% of the length.
SIMILAR = 0.99


@dataclasses.dataclass(frozen=True)
class Failure:
    """One thing that is wrong: its name, where it starts, and the numbers that show it."""

    mode: str
    first_layer: int
    evidence: str

    def __str__(self):
        return f"{self.mode} from layer {self.first_layer}: {self.evidence}"


@dataclasses.dataclass(frozen=True)
class Remedy:
    """A setting that was probed and found better, and what the probe said."""

    setting: Setting
    evidence: str

    def __str__(self):
        return self.evidence


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is wrong with a network's start. ``failures`` is empty if nothing is."""

    signals: Signals = dataclasses.field(repr=False)
    failures: tuple[Failure, ...]

    @property
    def healthy(self) -> bool:
        """Whether no failure was found."""
        return not self.failures

    @functools.cached_property
    def remedy(self) -> Remedy | None:
        """A change that helps, tried out before it is proposed; None if none does."""
        return None if self.healthy else _find_remedy(self)

    def __str__(self):
        if self.healthy:
            return f"Healthy: {_summary(self.signals)}."
        lines = [
            f"{failure.mode.capitalize()} {_where(failure, self.signals)}: {failure.evidence}."
            for failure in self.failures
        ]
        return " ".join(lines)


def _where(failure: Failure, signals: Signals) -> str:
    if failure.first_layer > signals.depth:
        return "at the readout"
    if failure.mode in BACKWARD:
        return f"from layer {failure.first_layer} down"
    return f"from layer {failure.first_layer} on"


def gradient_ratio(signals: Signals) -> float:
    """Gradient second moment of the first hidden layer over that of the last; NaN if undefined."""
    first, last = signals.gradient_second_moment[[0, -1]]
    return float(first / last) if last > 0 else float("nan")


def _summary(signals: Signals) -> str:
    distinct = int(signals.distinct_neurons.min())
    return (
        f"gradient ratio {gradient_ratio(signals):.2g} between first and last layer,"
        f" at least {distinct} of {signals.setting.width} neurons differ in every layer"
    )


def _first(condition) -> int | None:
    """The lowest layer, from 1, at which a condition by hidden layer holds."""
    return int(np.argmax(condition)) + 1 if condition.any() else None


def _last(condition) -> int | None:
    """The highest layer at which a condition by hidden layer holds."""
    return len(condition) - int(np.argmax(condition[::-1])) if condition.any() else None


def _overflow(signals: Signals):
    dtype = signals.setting.dtype
    if signals.first_overflow is not None:
        return signals.first_overflow, f"values pass the largest that {dtype} can hold"
    largest = float(jnp.finfo(dtype).max)
    layer = _last(np.sqrt(signals.gradient_second_moment) > largest)
    return layer, f"gradients pass {largest:.1e}, the largest number of {dtype}"


def _underflow(signals: Signals):
    dtype = signals.setting.dtype
    smallest = float(jnp.finfo(dtype).tiny)
    lost_gradient = signals.gradient_second_moment > 0
    lost_gradient &= np.sqrt(signals.gradient_second_moment) < smallest
    evidence = f"are under {smallest:.1e}, the smallest number that {dtype} holds in full"
    # zero weights and an exactly silent layer below give zeros that are no underflow
    fed = (signals.weight_norm[:-1] > 0) & (signals.activation_second_moment[:-1] > 0)
    lost_signal = fed & (np.sqrt(signals.preactivation_second_moment) < smallest)
    if lost_signal.any():
        return _first(lost_signal), f"preactivations {evidence}"
    return _last(lost_gradient), f"gradients {evidence}"


def _symmetry(signals: Signals):
    live = signals.setting.width * (1 - signals.dead_fraction)
    distinct = signals.distinct_neurons
    collapsed = (distinct < DISTINCT_SHARE * live) | (distinct == 1)
    if signals.setting.width == 1:
        return None, ""
    layer = _first(collapsed)
    if layer is None:
        return None, ""
    count = int(distinct[layer - 1])
    neurons = "neuron" if count == 1 else "neurons"
    return layer, f"{count} distinct {neurons} among {signals.setting.width}"


def _vanishing(signals: Signals):
    gradient = signals.gradient_second_moment
    if gradient[-1] == 0:
        return signals.depth, "no gradient arrives at all"
    layer = _last(gradient < gradient[-1] / GRADIENT_FACTOR)
    return layer, f"gradient ratio {gradient_ratio(signals):.1e} between first and last layer"


def _exploding(signals: Signals):
    gradient = signals.gradient_second_moment
    layer = _last((gradient > gradient[-1] * GRADIENT_FACTOR) & (gradient[-1] > 0))
    return layer, f"gradient ratio {gradient_ratio(signals):.1e} between first and last layer"


def _saturation(signals: Signals):
    below, above = ACTIVATIONS[signals.setting.activation].flat_range
    if np.isinf(below) or np.isinf(above):
        return None, ""
    layer = _first(signals.saturated_fraction > SATURATED_SHARE)
    share = np.nanmax(signals.saturated_fraction, initial=0)
    return (
        layer,
        f"{share:.0%} of a layer's preactivations lie where {signals.setting.activation} is flat",
    )


def _dead(signals: Signals):
    layer = _first(signals.dead_fraction > DEAD_SHARE)
    share = np.nanmax(signals.dead_fraction, initial=0)
    return layer, f"{share:.0%} of a layer's units pass no gradient for any example"


def _alike(signals: Signals):
    similarity = signals.input_similarity
    if not similarity[0] <= SIMILAR:
        return None, ""
    layer = _first(similarity[1:] > SIMILAR)
    return layer, f"mean cosine {np.nanmax(similarity):.4f} between two different inputs"


#: What can go wrong, in the order in which it is told: name -> (layer, evidence) from Signals.
MODES: dict[str, Callable] = {
    "numerical overflow": _overflow,
    "symmetry collapse": _symmetry,
    "vanishing gradients": _vanishing,
    "exploding gradients": _exploding,
    "saturation": _saturation,
    "dead units": _dead,
    "loss of input distinctions": _alike,
    "numerical underflow": _underflow,
}
BACKWARD = ("vanishing gradients", "exploding gradients")


def diagnose(signals: Signals) -> Diagnosis:
    """Name every failure that a network's signals show.

    Args:
      signals: what :func:`initlab.probe` measured.

    >>> diagnosis = diagnose(probe(Setting(depth=50, initializer="constant")))
    >>> diagnosis.failures[0].mode, diagnosis.failures[0].first_layer
    ('symmetry collapse', 1)
    """
    if not isinstance(signals, Signals):
        raise TypeError(f"diagnose takes the Signals that probe returns, not {signals!r}")
    failures = []
    with np.errstate(invalid="ignore"):  # comparisons with NaN are False, as they should be
        for mode, find in MODES.items():
            layer, evidence = find(signals)
            if layer is not None:
                failures.append(Failure(mode, layer, evidence))
    return Diagnosis(signals, tuple(failures))


def _candidates(setting: Setting):
    """Starts to try against a failure, the least change first."""
    plain = setting.replace(gain=1.0, bias_std=0.0, dtype="float32")
    activation = ACTIVATIONS[setting.activation]
    for initializer in ("he_normal", "glorot_normal", "lecun_normal"):
        yield plain.replace(initializer=initializer)
    gain = round(activation.critical_gain, 4)
    yield plain.replace(initializer="lecun_normal", gain=gain)
    yield plain.replace(initializer="orthogonal")
    yield plain.replace(initializer="orthogonal", gain=gain)
    for name, initializer in (("tanh", "orthogonal"), ("relu", "he_normal")):
        yield plain.replace(activation=name, initializer=initializer)


def _describe_change(old: Setting, new: Setting) -> str:
    fields = [field.name for field in dataclasses.fields(Setting)]
    changed = [name for name in fields if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name}={getattr(new, name)!r}" for name in changed)


def _find_remedy(diagnosis: Diagnosis) -> Remedy | None:
    """Probe every candidate; the fewest failures win, then the most even gradient."""
    signals = diagnosis.signals
    best, best_score = None, (len(diagnosis.failures), np.inf)
    for setting in _candidates(signals.setting):
        if setting == signals.setting:
            continue
        tried = diagnose(probe(setting, signals.batch))
        with np.errstate(divide="ignore"):
            unevenness = abs(np.log(gradient_ratio(tried.signals)))
        score = (len(tried.failures), unevenness if np.isfinite(unevenness) else np.inf)
        if score < best_score:
            best, best_score = tried, score
        if tried.healthy:
            break
    if best is None:
        return None
    before, after = gradient_ratio(signals), gradient_ratio(best.signals)
    change = _describe_change(signals.setting, best.signals.setting)
    left = "" if best.healthy else f"; still {', '.join(f.mode for f in best.failures)}"
    return Remedy(
        best.signals.setting, f"{change}: gradient ratio {after:.2g} instead of {before:.2g}{left}"
    )
