"""What helps an examined network: its own parameters, with what is blamed put right."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from initlab.doctor.examining import parameters
from initlab.doctor.report import Layer, Report

MOST_ROUNDS = 64  # layers that are put right, one after the other
_FAMILY = 2.0  # gains within this factor of the blamed one are its like, and have the same cause
_CLOSE = 0.05  # relative, of a second moment to where it was to be brought


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Cure:
    """Parameters that start better, beside those that were examined, which are as they were."""

    params: object  # a tree like the one examined
    before: Report
    after: Report
    changed: tuple[str, ...]  # paths of what is not as it was

    def __repr__(self):
        return (
            f"{len(self.changed)} of {len(self.before.examination.paths)} parameters changed:"
            f" {', '.join(self.changed[:6])}{', …' if len(self.changed) > 6 else ''}."
            f"\nBefore: {self.before.summary}\nAfter: {self.after.summary}"
        )


def find_cure(report: Report) -> Cure | None:
    """Put right what is blamed first, examine again, and so on, as long as it helps.

    A layer of copies, of zeros, or of what is no number is drawn anew, independent normal entries;
    a bias that kills its units becomes 0; any other layer that is blamed is rescaled, and with it
    those of like gain. What is drawn or rescaled gets an output of second moment 1, as LSUV has it
    (Mishkin & Matas 2016), or of a share of it for each layer, whichever turns out better.
    """
    # where every layer's scale is right, and only their sum is not, each may add a share of 1
    attempts = (_treated(report, moment) for moment in (1.0, 1 / len(report.layers)))
    best = min(attempts, key=_score)
    if _score(best) >= _score(report):
        return None
    old, new = (_leaves(one.params) for one in (report, best))
    pairs = zip(report.examination.paths, old, new, strict=True)
    changed = [path for path, a, b in pairs if not np.array_equal(a, b)]
    return Cure(best.params, report, best, tuple(changed))


def _treated(report: Report, moment: float) -> Report:
    """The best that comes of bringing what is blamed to a second moment, again and again."""
    best, seen, generator = report, set(), np.random.default_rng(0)
    for _ in range(MOST_ROUNDS):
        if report.healthy or (report.failures[0].mode, report.failures[0].first_layer) in seen:
            break
        seen.add((report.failures[0].mode, report.failures[0].first_layer))
        report = _put_right(report, generator, moment)
        best = min(best, report, key=_score)
    return best


def _score(report: Report) -> tuple:
    ratios = [report.gradient_ratio(layer) for layer in report.layers]
    known = [abs(np.log(ratio)) for ratio in ratios if ratio > 0 and np.isfinite(ratio)]
    return len(report.failures), len(ratios) - len(known), max(known, default=np.inf)


def _put_right(report: Report, generator, moment: float) -> Report:
    failure = report.failures[0]
    blamed = report.layers[failure.first_layer]
    if failure.mode == "dead units":
        return _with_leaves(report, _without_bias(report, blamed))
    if failure.mode == "symmetry collapse" or not np.isfinite(blamed.weight_second_moment):
        drawn = _with_leaves(report, _redrawn(report, blamed, generator))
        return _rescaled(drawn, [blamed], moment)
    return _rescaled(report, _family(report, failure.mode, blamed), moment)


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
    for _ in range(len(places) + 1):
        wanted = {}  # a parameter may be the weight of several layers: they agree on one factor
        for place in places:
            layer = report.layers[place]
            goal = moment if layer.sources else 1.0  # what reads the batch is no summand
            size = layer.second_moment
            if not 0 < size < np.inf:  # too large to be measured: bring the weights near 1
                size = layer.weight_second_moment * np.prod(layer.shape[:-1], dtype=float)
            if 0 < size < np.inf:
                wanted.setdefault((layer.leaves[0], layer.turn), []).append(np.log(goal / size))
        if all(abs(np.mean(logs)) < _CLOSE for logs in wanted.values()):
            break
        leaves = _leaves(report.params)
        for (leaf, turn), logs in wanted.items():
            part = _part(turn, leaves[leaf])
            factor = np.exp(np.mean(logs) / 2)
            leaves[leaf][part] = leaves[leaf][part].astype(np.float64) * factor
        report = _with_leaves(report, leaves)
    return report


def _leaves(params) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in parameters(params)[1]]


def _with_leaves(report: Report, leaves) -> Report:
    _, old, rebuild = parameters(report.params)
    new = [jnp.asarray(leaf, was.dtype) for leaf, was in zip(leaves, old, strict=True)]
    return report.examination.report(rebuild(new))


def _part(turn, leaf: np.ndarray):
    """Where in a parameter a layer's own weights stand: all, or the slice of its turn."""
    return turn if turn is not None and leaf.ndim > len(turn) else ...


def _redrawn(report, layer: Layer, generator) -> list:
    leaves = _leaves(report.params)
    leaf = leaves[layer.leaves[0]]
    part = _part(layer.turn, leaf)
    size = np.prod(layer.shape[:-1], dtype=float)
    leaf[part] = generator.standard_normal(leaf[part].shape) / np.sqrt(size)
    return leaves


def _without_bias(report, layer: Layer) -> list:
    leaves = _leaves(report.params)
    for place in layer.biases:
        leaves[place][_part(layer.turn, leaves[place])] = 0
    return leaves
