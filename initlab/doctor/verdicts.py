"""Which failures a report shows, and which layer is to blame.

The modes and thresholds are those of :mod:`initlab.failures`. What differs is that layers here are
of any kind and in any arrangement, so that a layer is blamed only if others suffer from it: a
zero readout, or a branch that ends in zeros, starts well.
"""

import itertools
import math
from typing import TYPE_CHECKING

import jax.numpy as jnp

from initlab.failures import (
    DEAD_SHARE,
    DISTINCT_SHARE,
    GRADIENT_FACTOR,
    ONE_ANSWER,
    SATURATED_SHARE,
    Failure,
)

if TYPE_CHECKING:  # what imports this module
    from initlab.doctor.report import Report


def find(report: "Report") -> tuple[Failure, ...]:
    """Every failure that a report shows, in the order in which it is told."""
    layers = report.layers
    over = _overflow(layers)
    if over is not None:  # what lies behind it shows nothing else
        layers = layers[: over.first_layer]
    found = (
        over,
        _silent(layers),
        _copies(layers),
        _dead(layers),
        _saturated(layers),
        *_gradients(layers, report),
        _underflow(layers),
    )
    return tuple(failure for failure in found if failure is not None)


def _failure(mode: str, layer, evidence: str) -> Failure:
    return Failure(mode, layer.place, evidence, f"at {layer.name}")


def _overflow(layers):
    for layer in layers:
        if layer.input_finite and layer.second_moment < math.inf:
            continue
        largest = float(jnp.finfo(layer.dtype).max)
        evidence = f"values pass {largest:.2g}, the largest number of {layer.dtype}"
        if not math.isfinite(layer.weight_second_moment):
            evidence = "its weights hold values that are not finite"
        elif not layer.input_finite:
            evidence = "what it reads is not finite"
        return _failure("numerical overflow", layer, evidence)
    return None


def _moves(layer) -> bool:
    return layer.spread > ONE_ANSWER * math.sqrt(layer.second_moment)


def _silent(layers):
    """A layer of zeros behind which every example looks the same."""
    for layer, later in itertools.pairwise(layers):
        rest = layers[layer.place + 1 :]
        zeros = layer.weight_second_moment == 0
        if zeros and layer.input_second_moment > 0 and not any(map(_moves, rest)):
            return _failure(
                "symmetry collapse", layer, f"all weights are zero, and {later.name} learns nothing"
            )
    return None


def _copies(layers):
    for layer in layers:
        if layer.units == 1 or layer.second_moment == 0 or not _moves(layer):
            continue
        live = layer.units * (1 - _or_zero(layer.dead_fraction))
        distinct = layer.distinct_neurons
        if distinct == 1 or distinct < DISTINCT_SHARE * live:
            plural = "s" if distinct > 1 else ""
            evidence = f"{distinct:.0f} distinct neuron{plural} among {layer.units}"
            return _failure("symmetry collapse", layer, evidence)
    return None


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _dead(layers):
    """Units that pass no gradient for any example, where some do, or where nothing is handed on."""
    for layer in layers[:-1]:
        share = layer.dead_fraction
        readers = [other for other in layers if layer.site in other.sources]
        unheard = readers and all(other.input_second_moment == 0 for other in readers)
        if _moves(layer) and (DEAD_SHARE < share < 1 or (share == 1 and unheard)):
            told = "100%" if share == 1 else f"{min(share, 0.99):.0%}"
            evidence = f"{told} of its units pass no gradient for any example"
            return _failure("dead units", layer, evidence)
    return None


def _saturated(layers):
    shown = [layer for layer in layers if layer.saturated_fraction > SATURATED_SHARE]
    if not shown:
        return None
    first = shown[0]
    # the gate adds up what several layers made: the largest of them pushed it there
    together = [other for other in shown if other.saturated_fraction == first.saturated_fraction]
    worst = max(together, key=lambda layer: layer.second_moment)
    evidence = f"{worst.saturated_fraction:.0%} of what it makes lies where its gate is flat"
    return _failure("saturation", worst, evidence)


def _gradients(layers, report):
    """Vanishing and exploding: of everything up to a layer, beside the last but one."""
    if len(layers) < 3 or len(layers) < len(report.layers):
        return
    last = report.last_gradient
    if not last > 0:
        return
    judged = [layer for layer in layers[:-2] if not _waits(layer, layers)]
    if any(layer.gradient > last * GRADIENT_FACTOR for layer in judged):
        yield _blamed("exploding gradients", layers, judged, last, max)
    strongest = list(itertools.accumulate((layer.gradient for layer in judged), max))
    low = [
        layer
        for layer, most in zip(judged, strongest, strict=True)
        if most < last / GRADIENT_FACTOR
    ]
    if low:
        yield _blamed("vanishing gradients", layers, low, last, min)


def _waits(layer, layers) -> bool:
    """Whether only layers of zeros read it, which learn first: an adapter's second half, say."""
    readers = [other for other in layers if layer.site in other.sources]
    learn = (other.weight_second_moment == 0 and other.gradient > 0 for other in readers)
    return layer.gradient == 0 and bool(readers) and all(learn)


def _blamed(mode: str, layers, judged, last: float, extreme):
    """The layer whose own gain is the most extreme on the gradient's way to where it shows most."""
    shown = extreme(judged, key=lambda layer: layer.gradient)
    between = [layer for layer in layers[:-1] if layer.place > shown.place and layer.gain > 0]
    worst = extreme(between, key=lambda layer: layer.gain, default=shown)
    ratio = shown.gradient / last
    amount = f"gradient ratio {ratio:.1e} at {shown.name}"
    return _failure(mode, worst, f"{amount}; its own gain is {worst.gain:.2g}")


def _underflow(layers):
    for layer in layers:
        smallest = float(jnp.finfo(layer.dtype).tiny)
        size = math.sqrt(layer.second_moment)
        if 0 < size < smallest:
            evidence = (
                f"values are under {smallest:.2g}, the smallest that {layer.dtype} holds in full"
            )
            return _failure("numerical underflow", layer, evidence)
    return None
