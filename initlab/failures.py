"""What can go wrong with a start, and how it is told from ``Signals``.

The thresholds, each with its reason, are the constants below; everything else is reading
``Signals``. A failure that travels forward starts at the lowest layer that shows it; one that
travels back starts at the highest.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.measures import SAME_NEURON
from initlab.signals import Signals

#: Gradient second moments of two layers may differ by this factor. Networks were found to train
#: up to about six depth scales (Schoenholz et al. 2017), where they differ by e^6 = 400; the rest
#: is room for what a finite width adds by chance.
GRADIENT_FACTOR = 1e3
#: A layer has collapsed if fewer of its responsive neurons than this share are different ones.
#: Random weights give no copies at all; one copy of every neuron would leave just this many.
DISTINCT_SHARE = 0.5
#: A layer whose values vary by less than this, root mean square relative to their size, answers
#: whatever comes with one number: ten times of what tells two neurons apart.
ONE_ANSWER = 10 * SAME_NEURON
#: More than half of the preactivations where the slope is under 1% of its largest. Judged only
#: where both tails are flat: a relu is flat for half of its inputs by design.
SATURATED_SHARE = 0.5
#: A relu layer that sees one single input, or only like ones, has half of its units off, and up to
#: this share by chance: three standard deviations of 36 units. Above, it is a failure of its own.
DEAD_SHARE = 0.75
#: Two examples differ by 2(1 - cosine) of their squared length: at 0.99 by 14% of the length.
SIMILAR = 0.99


@dataclasses.dataclass(frozen=True)
class Failure:
    """One thing that is wrong: its name, where it starts, and the numbers that show it."""

    mode: str
    first_layer: int  # 0 is the input, depth + 1 the readout
    evidence: str
    where: str  # in words

    def __str__(self) -> str:
        return f"{self.mode} {self.where}: {self.evidence}"


def find_failures(signals: Signals) -> tuple[Failure, ...]:
    """Every failure that the signals show, in the order in which it is told."""
    # comparisons with NaN are False, as they should be; a ratio may well be inf
    with np.errstate(invalid="ignore", over="ignore"):
        judged = _judged(signals)
        found = (
            _overflow(signals),
            _symmetry(signals, judged),
            _vanishing(signals),
            exploding(signals.gradient_second_moment),
            _saturation(signals, judged),
            _dead(signals, judged),
            _alike(signals, judged),
            _underflow(signals),
        )
        return tuple(failure for failure in found if failure is not None)


# --- where ------------------------------------------------------------------------------------


def start_of(shown: np.ndarray, backward: bool = False) -> int:
    """The layer, from 1, at which a condition by hidden layer starts on its way."""
    layers = np.flatnonzero(shown) + 1
    return int(layers[-1] if backward else layers[0])


def where_shown(shown: np.ndarray, within: np.ndarray, backward: bool = False) -> str:
    """Which layers show a condition, among those ``within`` which it could be judged."""
    start, count = start_of(shown, backward), int(shown.sum())
    layers = np.arange(1, len(shown) + 1)
    beyond = within & (layers <= start if backward else layers >= start)
    if count == 1:
        return f"at layer {start}"
    if count == beyond.sum():
        return f"from layer {start} {'down' if backward else 'on'}"
    return f"at {count} layers, the {'highest' if backward else 'first'} of them layer {start}"


def _judged(signals: Signals):
    """The layers that forward failures are looked for in: those that are still told something.

    Where a precision has lost the signal, or all units below are off, neurons are equal and
    examples alike because nothing arrives. That is the failure of the layer where it was lost.
    """
    lost, silent = _signal_lost(signals), signals.activation_second_moment[1:] == 0
    judged = np.arange(signals.depth) < _none_before(lost)
    if signals.first_overflow is not None:
        judged &= np.arange(1, signals.depth + 1) < signals.first_overflow
    return judged & (np.arange(signals.depth) <= _none_before(silent))


def _none_before(condition) -> int:
    """How many hidden layers lie below the first that shows a condition."""
    return int(np.argmax(condition)) if condition.any() else len(condition)


# --- numbers ----------------------------------------------------------------------------------


def _overflow(signals: Signals) -> Failure | None:
    mode, dtype, layer = "numerical overflow", signals.setting.dtype, signals.first_overflow
    largest = float(jnp.finfo(dtype).max)
    bound = f"pass {largest:.2g}, the largest number of {dtype}"
    if layer is not None:
        ends = {0: "at the input", signals.depth + 1: "at the readout"}
        where = ends.get(layer, f"from layer {layer} on")
        return Failure(mode, layer, f"values {bound}", where)
    unknown = np.isnan(signals.activation_second_moment[1:] + signals.gradient_second_moment)
    if unknown.any():
        return Failure(
            mode,
            start_of(unknown),
            "values are no numbers",
            where_shown(unknown, np.ones_like(unknown)),
        )
    over = np.sqrt(signals.gradient_second_moment) > largest
    if not over.any():
        return None
    where = where_shown(over, np.ones_like(over), backward=True)
    return Failure(mode, start_of(over, backward=True), f"gradients {bound}", where)


def _signal_lost(signals: Signals):
    """Hidden layers whose preactivations are too small for their precision, or made of such.

    Weights of zero, and an exactly silent layer below, give zeros that are no underflow.
    """
    fed = (signals.weight_norm[:-1] > 0) & (signals.activation_second_moment[:-1] > 0)
    smallest = float(jnp.finfo(signals.setting.dtype).tiny)
    return fed & (np.sqrt(signals.preactivation_second_moment) < smallest)


def _underflow(signals: Signals) -> Failure | None:
    mode, dtype = "numerical underflow", signals.setting.dtype
    smallest = float(jnp.finfo(dtype).tiny)
    evidence = f"are under {smallest:.2g}, the smallest number that {dtype} holds in full"
    lost = _signal_lost(signals)
    if lost.any():
        layer = start_of(lost)
        where = f"at layer {layer}" if layer == signals.depth else f"from layer {layer} on"
        return Failure(mode, layer, f"preactivations {evidence}", where)
    gradient = signals.gradient_second_moment
    lost = (gradient > 0) & (np.sqrt(gradient) < smallest)
    if not lost.any():
        return None
    where = where_shown(lost, gradient > 0, backward=True)
    return Failure(mode, start_of(lost, backward=True), f"gradients {evidence}", where)


# --- gradients --------------------------------------------------------------------------------


def gradient_ratio(signals: Signals) -> float:
    """Gradient second moment of the first hidden layer over that of the last; NaN if undefined."""
    first, last = signals.gradient_second_moment[[0, -1]]
    with np.errstate(over="ignore"):
        return float(first / last) if last > 0 else float("nan")


def readout_learns_first(signals: Signals) -> bool:
    """Whether no gradient passes because the readout, and it alone, is zero, but will not stay so.

    That is good practice (Zhang, Dauphin & Ma 2019; Yang et al. 2022): after one step it passes.
    """
    *hidden, readout = signals.weight_norm
    return bool(readout == 0 and min(hidden) > 0 and signals.weight_gradient_norm[-1] > 0)


def _vanishing(signals: Signals) -> Failure | None:
    return None if readout_learns_first(signals) else vanishing(signals.gradient_second_moment)


def vanishing(gradient: np.ndarray) -> Failure | None:
    """Whether gradients of second moments ``[depth]`` become too small on their way down."""
    mode = "vanishing gradients"
    if gradient[-1] == 0:
        where = "from the readout down"
        return Failure(mode, len(gradient), "no gradient reaches a hidden layer", where)
    small = gradient < gradient[-1] / GRADIENT_FACTOR
    if not small.any():
        return None
    start, worst = start_of(small, backward=True), int(np.argmin(gradient)) + 1
    if gradient.min() == 0:
        evidence = f"no gradient reaches layer {start_of(gradient == 0, backward=True)}"
    else:
        evidence = _say_ratio(gradient, worst)
    where = where_shown(small, np.ones_like(small), backward=True)
    return Failure(mode, start, evidence, where)


def exploding(gradient: np.ndarray) -> Failure | None:
    """Whether gradients of second moments ``[depth]`` become too large on their way down."""
    large = (gradient > gradient[-1] * GRADIENT_FACTOR) & (gradient[-1] > 0)
    if not large.any():
        return None
    worst = int(np.argmax(gradient)) + 1
    where = where_shown(large, np.ones_like(large), backward=True)
    start = start_of(large, backward=True)
    return Failure("exploding gradients", start, _say_ratio(gradient, worst), where)


def _say_ratio(gradient, layer: int) -> str:
    ratio = gradient[layer - 1] / gradient[-1]
    amount = f"{ratio:.1e}" if np.isfinite(ratio) else "over 1e308"
    return f"gradient ratio {amount} between layer {layer} and layer {len(gradient)}"


# --- neurons and examples -----------------------------------------------------------------------


def _symmetry(signals: Signals, judged) -> Failure | None:
    """Fewer units differ than respond. Units that are off are alike without being copies."""
    width, distinct = signals.setting.width, signals.distinct_neurons
    if width == 1:
        return None
    off = np.fmax(signals.dead_fraction, signals.saturated_fraction)
    # one answer to whatever comes, as of a layer that is off or saturated, hides whether neurons
    # differ; that of zero weights does not
    spread, size = signals.activation_variance[1:], signals.activation_second_moment[1:]
    judged = judged & ((spread > ONE_ANSWER**2 * size) | (signals.weight_norm[:-1] == 0))
    return collapse(distinct, width * (1 - off), width, judged)


def collapse(
    distinct: np.ndarray, responsive: np.ndarray, width: int, judged: np.ndarray
) -> Failure | None:
    """Whether neurons are copies: ``distinct [depth]``, and how many respond at all, ``[depth]``.

    ``judged`` are the layers to be looked at.
    """
    collapsed = judged & ((distinct == 1) | (distinct < DISTINCT_SHARE * responsive))
    if not collapsed.any():
        return None
    layer = start_of(collapsed)
    count = int(distinct[layer - 1])
    evidence = f"{count} distinct neuron{'s' if count > 1 else ''} among {width}"
    return Failure("symmetry collapse", layer, evidence, where_shown(collapsed, judged))


def both_tails_flat(signals: Signals) -> bool:
    """Whether saturation is looked for: where only one tail is flat, that is by design."""
    return bool(np.isfinite(ACTIVATIONS[signals.setting.activation].flat_range).all())


def _saturation(signals: Signals, judged) -> Failure | None:
    share = signals.saturated_fraction
    saturated = judged & (share > SATURATED_SHARE)
    if not saturated.any() or not both_tails_flat(signals):
        return None
    layer, activation = start_of(saturated), signals.setting.activation
    evidence = f"{_percent(share[layer - 1])} of its preactivations lie where {activation} is flat"
    return Failure("saturation", layer, evidence, where_shown(saturated, judged))


def _dead(signals: Signals, judged) -> Failure | None:
    share = signals.dead_fraction
    dead = judged & (share > DEAD_SHARE)
    if not dead.any():
        return None
    layer = start_of(dead)
    evidence = f"{_percent(share[layer - 1])} of its units pass no gradient for any example"
    return Failure("dead units", layer, evidence, where_shown(dead, judged))


def _alike(signals: Signals, judged) -> Failure | None:
    similarity = signals.input_similarity
    alike = judged & (similarity[1:] > SIMILAR)
    # inputs that were alike, or a single one (NaN), have no distinctions to lose
    if not alike.any() or not similarity[0] <= SIMILAR:
        return None
    layer, most = start_of(alike), similarity[1:][alike].max()
    evidence = f"mean cosine up to {most:.4f} between two different inputs"
    return Failure("loss of input distinctions", layer, evidence, where_shown(alike, judged))


def _percent(share: float) -> str:
    """A share in whole percent; not 100% unless all."""
    return f"{min(share, 0.99):.0%}" if share < 1 else "100%"
