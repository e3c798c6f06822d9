"""What helps an examined network: its own parameters, with what is blamed put right."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from initlab.doctor.report import Layer, Report, compared
from initlab.tables import Table

MOST_ROUNDS = 64  # layers that are put right, one after the other
_FAMILY = 2.0  # gains within this factor of the blamed one are its like, and have the same cause
_CLOSE = 0.05  # relative, of a second moment to where it was to be brought
_MORE_ROUNDS = 5  # than layers, for weights that are made of several parameters


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Cure:
    """Parameters that start better, beside those that were examined, which are as they were."""

    params: Any  # a tree like the one examined
    before: Report
    after: Report
    changed: tuple[str, ...]  # paths of what is not as it was

    def table(self) -> Table:
        """Before and after side by side, a row for each layer."""
        caption = (
            f"{len(self.changed)} of {len(self.before.examination.paths)} parameters changed:"
            f" {', '.join(self.changed[:6])}{', …' if len(self.changed) > 6 else ''}."
            f" Before: {self.before.summary} After: {self.after.summary}"
        )
        return compared(caption, before=self.before, after=self.after)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self):
        return self.table()._repr_markdown_()


def find_cure(report: Report) -> Cure | None:
    """Put right what is blamed first, examine again, and so on, as long as it helps.

    A layer of copies, of zeros, or of what is no number is drawn anew, independent normal entries;
    a bias that kills or saturates its units becomes 0; any other layer that is blamed is rescaled,
    and with it those of like gain. What is drawn or rescaled gets an output of a given second
    moment, as LSUV has it (Mishkin & Matas 2016): of 1, of a share of 1 for each layer, or of 16,
    whichever turns out best.
    """
    # where every layer's scale is right, and only their sum is not, each may add a share of 1;
    # logistic units pass gradients on only where their inputs are spread wider than 1
    attempts = (_treated(report, moment) for moment in (1.0, 1 / len(report.layers), 16.0))
    best = min(attempts, key=_score)
    if _score(best) >= _score(report):
        return None
    examination = report.examination
    old, new = (examination.values(one.params) for one in (report, best))
    pairs = zip(examination.paths, old, new, strict=True)
    changed = [path for path, was, value in pairs if not np.array_equal(was, value)]
    return Cure(best.params, report, best, tuple(changed))


def _treated(report: Report, moment: float) -> Report:
    """The best that comes of bringing what is blamed to a second moment, again and again."""
    best, seen, generator = report, set(), np.random.default_rng(0)
    for _ in range(MOST_ROUNDS):
        if report.healthy or (report.failures[0].mode, report.failures[0].first_layer) in seen:
            break
        seen.add((report.failures[0].mode, report.failures[0].first_layer))
        report = min(_put_right(report, generator, moment), key=_score)
        best = min(best, report, key=_score)
    return best


def _score(report: Report) -> tuple:
    ratios = [report.gradient_ratio(layer) for layer in report.layers]
    known = [abs(np.log(ratio)) for ratio in ratios if ratio > 0 and np.isfinite(ratio)]
    return len(report.failures), len(ratios) - len(known), max(known, default=np.inf)


def _put_right(report: Report, generator, moment: float) -> Iterator[Report]:
    """What may help against the first failure, that which changes least first."""
    failure = report.failures[0]
    blamed = report.layers[failure.first_layer]
    if failure.mode in ("dead units", "saturation") and blamed.biases:
        report_without = _with_leaves(report, _without_bias(report, blamed))
        yield report_without
        if failure.mode == "saturation":
            yield _rescaled(report_without, [blamed], moment)
    no_number = not np.isfinite(blamed.weight_second_moment)
    if failure.mode in ("dead units", "symmetry collapse") or no_number:
        drawn = _with_leaves(report, _redrawn(report, blamed, generator))
        yield _rescaled(drawn, [blamed], moment)
    else:
        yield _rescaled(report, _family(report, failure.mode, blamed), moment)


def _family(report: Report, mode: str, blamed: Layer) -> list[Layer]:
    """The layers of like gain: a scale that is wrong is mostly wrong for many."""
    if "gradients" not in mode or not blamed.gain > 0:
        return [blamed]
    return [
        layer
        for layer in report.layers[:-1]
        if layer.gain > 0 and max(layer.gain / blamed.gain, blamed.gain / layer.gain) <= _FAMILY
    ]


def _rescaled(report: Report, layers: list[Layer], moment: float) -> Report:
    """Bring what these layers make to a second moment; what they read changes on the way."""
    places = [layer.place for layer in layers]
    step, before = 1.0, math.inf
    for _ in range(len(places) + _MORE_ROUNDS):
        wanted = {}  # a parameter may be the weight of several layers: they agree on one factor
        for place in places:
            layer = report.layers[place]
            goal = moment if layer.sources else 1.0  # what reads the batch is no summand
            size = layer.second_moment
            if not 0 < size < np.inf:  # too large to be measured: bring the weights near 1
                size = layer.weight_second_moment * np.prod(layer.shape[:-1], dtype=float)
            if 0 < size < np.inf:
                for leaf in layer.leaves:
                    _, logs = wanted.setdefault((leaf, layer.turn), (layer, []))
                    logs.append(np.log(goal / size))
        missing = max((abs(np.mean(logs)) for _, logs in wanted.values()), default=0.0)
        if missing < _CLOSE:
            break
        if missing > before / 2 and len(places) == 1:  # a product of parameters went too far
            step /= 2
        before, leaves = missing, _leaves(report)
        for (leaf, _), (layer, logs) in wanted.items():
            weight = layer.own(leaves[leaf])
            weight[...] = weight.astype(np.float64) * np.exp(step * np.mean(logs) / 2)
        report = _with_leaves(report, leaves)
    return report


def _leaves(report: Report) -> list[np.ndarray]:
    return report.examination.values(report.params)


def _with_leaves(report: Report, leaves: list[np.ndarray]) -> Report:
    return report.examination.report(report.examination.with_values(report.params, leaves))


def _redrawn(report, layer: Layer, generator) -> list:
    leaves = _leaves(report)
    size = np.prod(layer.shape[:-1], dtype=float)
    for place in layer.leaves:
        weight = layer.own(leaves[place])
        weight[...] = generator.standard_normal(weight.shape) / np.sqrt(size)
    return leaves


def _without_bias(report, layer: Layer) -> list:
    leaves = _leaves(report)
    for place in layer.biases:
        layer.own(leaves[place])[...] = 0
    return leaves
