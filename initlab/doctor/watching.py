"""A network watched while it is trained, by any loop."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from initlab.doctor.examining import Examination
from initlab.doctor.report import Layer, Report
from initlab.doctor.trees import Loss, Tree, parameters
from initlab.setting import whole_number
from initlab.warning_signs import LOSS_FALL, UPDATE_FACTOR, UPDATE_RATIO, Sign

_MOST = 10_000_000


class Watch:
    """Examines parameters now and then while they are trained; see :func:`watch`."""

    def __init__(self, function: Callable[..., Any], batch: Tree, loss: Loss | None, every: int):
        self._make = lambda params: Examination(function, params, batch, loss)
        self._examination: Examination | None = None
        self._every = every
        self._before = None  # the parameters one step before an examination, if they were shown
        self._known = set()  # modes that the last examination told of
        #: step -> Report
        self.reports: dict[int, Report] = {}
        #: what was told so far, each at the step where it was new
        self.signs: list[Sign] = []

    def __call__(self, step: int, params: Tree) -> str | None:
        """Examine at every so manieth step; what is wrong now and was not before, in words.

        Called at every step, it also tells of updates that are too large or too small.

        Raises:
          TypeError, ValueError: a step that is no whole number from 0 on.
        """
        step = whole_number("step", step, 0, _MOST)
        if step % self._every:
            if (step + 1) % self._every == 0:
                self._before = step, _values(params)
            return None
        if self._examination is None:
            self._examination = self._make(params)
        report = self.reports[step] = self._examination.report(params)
        shown = [*_failures(step, report), *self._losses(step), *self._updates(step)]
        new = [sign for sign in shown if sign.mode not in self._known]
        self._known = {sign.mode for sign in shown}
        self.signs += new
        told = (" ".join(filter(None, (one.mode, one.where))) + f": {one.evidence}" for one in new)
        return f"step {step}: {'; '.join(told)}" if new else None

    def _losses(self, step: int) -> Iterator[Sign]:
        if self._examination is None or not self._examination.is_loss:
            return
        first, *others = (report.loss for report in self.reports.values())
        if not math.isfinite([first, *others][-1]):
            yield Sign("divergence", step, None, "the loss is not a finite number", "")
        elif others and first > 0 and min(others) > (1 - LOSS_FALL) * first:
            evidence = f"{first:.4g} at the start, {min(others):.4g} at the best"
            yield Sign("loss not falling", step, None, evidence, "")

    def _updates(self, step: int) -> Iterator[Sign]:
        """Of all layers but the last, which may well start at zero."""
        if self._before is None or self._before[0] != step - 1:
            return
        report, old = self.reports[step], self._before[1]
        new = _values(report.params)
        sizes = [(_ratio(layer, old, new), layer) for layer in report.layers[:-1]]
        for size, extreme, strange in (
            ("large", max, lambda ratio: ratio > UPDATE_RATIO * UPDATE_FACTOR),
            ("small", min, lambda ratio: ratio < UPDATE_RATIO / UPDATE_FACTOR),
        ):
            found = [pair for pair in sizes if strange(pair[0])]
            if found:
                ratio, worst = extreme(found, key=lambda pair: pair[0])
                evidence = f"{ratio:.1e} of the weights' norm, where {UPDATE_RATIO:g} is usual"
                yield Sign(f"updates too {size}", step, worst.place, evidence, f"at {worst.name}")


def _values(params) -> list[np.ndarray]:
    """A copy: a loop may donate its parameters to the next step."""
    return [np.array(leaf, np.float32) for leaf in parameters(params)[1]]


def _failures(step: int, report: Report) -> Iterator[Sign]:
    for one in report.failures:
        yield Sign(one.mode, step, one.first_layer, one.evidence, one.where)


def _ratio(layer: Layer, old, new) -> float:
    """A layer's update over its weights, by their norms; NaN if these are 0."""
    pairs = [(layer.own(old[leaf]), layer.own(new[leaf])) for leaf in layer.leaves]
    update = math.hypot(*(np.linalg.norm(after - before) for before, after in pairs))
    size = math.hypot(*(np.linalg.norm(before) for before, _ in pairs))
    return update / size if size > 0 else math.nan


def watch(
    function: Callable[..., Any],
    batch: Tree,
    loss: Loss | None = None,
    *,
    every: int = 100,
) -> Watch:
    """A callback for any training loop, that warns early of what goes wrong, and at which layer.

    It tells of the failures that :func:`initlab.examine` finds, and by the thresholds of
    :func:`initlab.early_warnings` of what only training shows: a loss that is not a number, or
    that does not fall, and updates far from a thousandth of the weights.

    Args:
      function, batch, loss: as for :func:`initlab.examine`; the batch is examined at all steps.
        Of the loss only what ``loss`` gives, or a ``function`` that is one, can be told.
      every: steps from one examination to the next, from 1; each costs about a step of training.

    Returns:
      A function of ``(step, params)``, to be called at every step. It returns what is new and
      wrong, in words, or None, and keeps all reports by step as ``reports``, and what it told of
      as ``signs``.

    Raises:
      TypeError, ValueError: ``every`` is no whole number from 1 on.

    Source: for the size of updates, see :mod:`initlab.warning_signs`.

    >>> check = watch(lambda weight, x: x @ weight, np.eye(4), every=10)
    >>> check(0, np.eye(4)), check(1, np.eye(4)), list(check.reports)
    (None, None, [0])
    """
    return Watch(function, batch, loss, whole_number("every", every, 1, _MOST))
