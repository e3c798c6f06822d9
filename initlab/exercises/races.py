"""What a comparison of trained networks needs: a floor, a finishing line, and an error bar."""

import math

import numpy as np

from initlab.grading import CASES, Exercise, Mistake, against


def blind_loss(labels):
    """The least mean cross-entropy, in nats, of an answer that is the same for every input."""
    share = np.bincount(labels) / len(labels)
    share = share[share > 0]
    return -(share * np.log(share)).sum()


def steps_to(steps, losses, target):
    """The step of the first record whose loss is at most the target; -1 if there is none."""
    there = np.flatnonzero(np.asarray(losses) <= target)
    return steps[there[0]] if len(there) else -1


def paired_interval(first, second):
    """The mean difference of the pairs, minus and plus two standard errors."""
    difference = np.subtract(second, first)
    mean, error = difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))
    return mean - 2 * error, mean + 2 * error


# --- a loss without looking ------------------------------------------------------------------


def _labels(random):
    """Classes of unequal shares, each with an example at least, and one that has none."""
    cases = []
    for classes in random.integers(3, 12, CASES):
        counts = random.integers(1, 60, classes)
        counts[-2] = 0
        counts[0] += 40
        cases.append((random.permutation(np.repeat(np.arange(classes), counts)),))
    return cases


def _blind_oracle(labels):
    """One example after the other: minus the logarithm of its class's share."""
    labels = [int(label) for label in labels]
    surprise = [-math.log(labels.count(label) / len(labels)) for label in labels]
    return math.fsum(surprise) / len(labels)


def _share(labels):
    counts = np.bincount(labels)
    return counts[counts > 0] / len(labels)


BLIND_LOSS = Exercise(
    name="blind-loss",
    task="Return the least mean cross-entropy of one answer for all inputs.",
    solution=blind_loss,
    cases=_labels,
    judge=against(_blind_oracle),
    mistakes=(
        Mistake(
            lambda labels: np.log(labels.max() + 1),
            "That is the loss of equal probabilities, where training begins. Frequent classes"
            " deserve more, and the bias learns as much.",
        ),
        Mistake(
            lambda labels: np.log(len(_share(labels))),
            "That is the loss of equal probabilities for the classes that occur. Frequent classes"
            " deserve more, and the bias learns as much.",
        ),
        Mistake(
            lambda labels: -(_share(labels) * np.log2(_share(labels))).sum(),
            "Those are bits. Losses are in nats: take the natural logarithm.",
        ),
        Mistake(
            lambda labels: (_share(labels) * np.log(_share(labels))).sum(),
            "The sign is lost: logarithms of shares are negative, a cross-entropy is not.",
        ),
        Mistake(
            lambda labels: -np.log(_share(labels).max()),
            "That is the loss on examples of the largest class alone. The mean goes over all"
            " examples.",
        ),
        Mistake(
            lambda labels: -np.log(_share(labels)).mean(),
            "You gave each class the same weight. The mean goes over examples, so a class counts"
            " by its share.",
        ),
    ),
)

# --- steps to a loss -------------------------------------------------------------------------


def _runs(random):
    """Noisy losses: half of them get there, the others stay above or are lost on the way."""
    cases = []
    for number in range(CASES):
        every = int(random.integers(5, 50))
        steps = [every * record for record in range(12)]
        losses = 2.3 * np.exp(-0.25 * np.arange(12)) + random.uniform(0, 0.3, 12)
        target = float(random.uniform(0.7, 1.1))
        losses[9 + number // 2 % 2] += 1.5  # above the target once more
        if number % 4 == 1:
            losses = losses + 1.5
        if number % 4 == 3:
            losses[int(random.integers(1, 3)) :] = np.nan
        cases.append((steps, [float(loss) for loss in losses], target))
    return cases


def _steps_oracle(steps, losses, target):
    for step, loss in zip(steps, losses, strict=True):
        if loss <= target:  # not for NaN
            return step
    return -1


def _never_is_zero(steps, losses, target):
    return steps[int((np.asarray(losses) <= target).argmax())]


def _index(steps, losses, target):
    return _steps_oracle(range(len(losses)), losses, target)


def _last_time(steps, losses, target):
    above = [place for place, loss in enumerate(losses) if not loss <= target]
    return steps[above[-1] + 1] if above[-1] + 1 < len(steps) else -1


STEPS_TO = Exercise(
    name="steps-to",
    task="Return the first of the steps at which the loss is at most the target, or -1.",
    solution=steps_to,
    cases=_runs,
    judge=against(_steps_oracle),
    mistakes=(
        Mistake(
            _never_is_zero,
            "Where the loss never gets there, you say 0 steps: argmax of all False is 0. The worst"
            " start would be the fastest.",
        ),
        Mistake(
            _index,
            "That is the record's place in the list. Records are several steps apart: look the"
            " step up in steps.",
        ),
        Mistake(
            _last_time,
            "That is from when on the loss stays below. Losses on their way down are noisy; asked"
            " for is the first time.",
        ),
    ),
)

# --- an interval for a difference ------------------------------------------------------------


def _pairs(random):
    """Runs that differ far more between seeds than within a pair."""
    cases = []
    for count in random.integers(6, 12, CASES):
        first = random.normal(80, 8, count)
        second = first + random.normal(random.uniform(-1, 2), 1, count)
        cases.append(([float(x) for x in first], [float(x) for x in second]))
    return cases


def _interval_oracle(first, second):
    """By sums, with the variance as the mean square over all pairs of differences."""
    difference = [b - a for a, b in zip(first, second, strict=True)]
    count = len(difference)
    mean = math.fsum(difference) / count
    squares = math.fsum((a - b) ** 2 for a in difference for b in difference)
    error = math.sqrt(squares / (2 * count * (count - 1)) / count)
    return np.array([mean - 2 * error, mean + 2 * error])


def _around(mean, error):
    return mean - 2 * error, mean + 2 * error


def _difference(first, second):
    return np.subtract(second, first)


PAIRED_INTERVAL = Exercise(
    name="paired-interval",
    task="Return the mean of second minus first, minus and plus two standard errors.",
    solution=paired_interval,
    cases=_pairs,
    judge=against(_interval_oracle),
    mistakes=(
        Mistake(
            lambda first, second: _around(
                _difference(first, second).mean(),
                np.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / len(first)),
            ),
            "You treated the two as strangers. Each pair shares its seed, and with it most of its"
            " luck: take the differences first, then their deviation.",
        ),
        Mistake(
            lambda first, second: _around(
                _difference(first, second).mean(), _difference(first, second).std(ddof=1)
            ),
            "That is where single differences lie. Their mean is known better, by the root of"
            " their number.",
        ),
        Mistake(
            lambda first, second: _around(
                _difference(first, second).mean(),
                _difference(first, second).std(ddof=1) / len(first),
            ),
            "The error of a mean falls with the root of the number of pairs, not with the number.",
        ),
        Mistake(
            lambda first, second: _around(
                _difference(first, second).mean(),
                _difference(first, second).std() / np.sqrt(len(first)),
            ),
            "The deviation was taken around a mean that comes from the same few pairs: divide by"
            " one pair less, ddof=1 in NumPy.",
        ),
        Mistake(
            lambda first, second: _around(
                -_difference(first, second).mean(),
                _difference(first, second).std(ddof=1) / np.sqrt(len(first)),
            ),
            "You subtracted the second from the first. Asked for is by how much the second is"
            " larger.",
        ),
    ),
)
