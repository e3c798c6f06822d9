"""A network watched while it is trained, by any loop."""

from collections.abc import Callable

from initlab.doctor.examining import Examination
from initlab.doctor.report import Report
from initlab.setting import whole_number

_MOST = 10_000_000


class Watch:
    """Examines parameters now and then while they are trained; see :func:`watch`."""

    def __init__(self, function: Callable, batch, loss: Callable | None, every: int):
        self._make = lambda params: Examination(function, params, batch, loss)
        self._examination = None
        self._every = every
        #: step -> Report
        self.reports: dict[int, Report] = {}

    def __call__(self, step: int, params) -> str | None:
        """Examine at every so manieth step; what is wrong now and was not before, in words.

        Raises:
          TypeError, ValueError: a step that is no whole number from 0 on.
        """
        step = whole_number("step", step, 0, _MOST)
        if step % self._every:
            return None
        if self._examination is None:
            self._examination = self._make(params)
        before = list(self.reports.values())[-1:]
        report = self.reports[step] = self._examination.report(params)
        known = {failure.mode for one in before for failure in one.failures}
        new = [str(one) for one in report.failures if one.mode not in known]
        return f"step {step}: {'; '.join(new)}" if new else None


def watch(function: Callable, batch, loss: Callable | None = None, *, every: int = 100) -> Watch:
    """A callback for any training loop, that says when a failure shows, at which layer.

    Args:
      function, batch, loss: as for :func:`initlab.examine`; the batch is examined at all steps.
      every: steps from one examination to the next, from 1; each costs about a step of training.

    Returns:
      A function of ``(step, params)``. It returns what is new and wrong, in words, or None, and
      keeps all reports by step as ``reports``.

    Raises:
      TypeError, ValueError: ``every`` is no whole number from 1 on.

    >>> import numpy as np
    >>> check = watch(lambda weight, x: x @ weight, np.eye(4), every=10)
    >>> check(0, np.eye(4)), check(1, np.eye(4)), list(check.reports)
    (None, None, [0])
    """
    return Watch(function, batch, loss, whole_number("every", every, 1, _MOST))
