"""Which failures a start shows, from which layer on, with what evidence, and what helps."""

import dataclasses
import functools

from initlab.failures import Failure, find_failures, gradient_ratio, readout_learns_first
from initlab.remedy import Remedy, find_remedy
from initlab.signals import Signals


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
        return find_remedy(self.signals, self.failures)

    def __str__(self) -> str:
        if self.healthy:
            return f"Healthy: {_summary(self.signals)}."
        told = [str(failure) for failure in self.failures]
        return " ".join(f"{words[0].upper()}{words[1:]}." for words in told)


def _summary(signals: Signals) -> str:
    width, fewest = signals.setting.width, signals.distinct_neurons.min()
    facts = []
    if readout_learns_first(signals):
        facts.append("the readout is zero and learns first")
    elif signals.depth > 1:
        facts.append(f"gradient ratio {gradient_ratio(signals):.2g} between first and last layer")
    if width > 1 and fewest > 0:  # it is NaN where a count is not known
        many = f"all {width}" if fewest == width else f"at least {fewest:.0f} of {width}"
        facts.append(f"{many} neurons differ in every layer")
    return ", ".join(facts) or "signal and gradient pass"


def diagnose(signals: Signals) -> Diagnosis:
    """Name every failure that a network's signals show.

    Args:
      signals: what :func:`initlab.probe` measured.

    Raises:
      TypeError: if ``signals`` is not Signals.

    >>> from initlab import Setting, probe
    >>> diagnosis = diagnose(probe(Setting(depth=50, initializer="constant")))
    >>> diagnosis.failures[0].mode, diagnosis.failures[0].first_layer
    ('symmetry collapse', 1)
    """
    if not isinstance(signals, Signals):
        raise TypeError(
            "diagnose takes the Signals that probe returns, such as diagnose(probe(setting)),"
            f" not {type(signals).__name__}"
        )
    return Diagnosis(signals, find_failures(signals))
