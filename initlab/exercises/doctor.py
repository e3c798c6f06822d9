"""What a doctor reads from a table: which layer is to blame, and how many units are dead."""

import numpy as np

from initlab.grading import CASES, Exercise, Mistake, against


def to_blame(received, made, wanted):
    """The place of the layer whose gain, made over received, is off by the largest factor."""
    gains = np.asarray(made) / np.asarray(received)
    return int(np.argmax(np.abs(np.log(gains / wanted))))


def dead_share(z):
    """The share of relu units whose preactivations, [examples, units], are never above 0."""
    return (np.asarray(z) <= 0).all(axis=0).mean()


# --- who is to blame -------------------------------------------------------------------------

#: How far off the layer to blame is, and another one, as factors; and in how many of 20 cases.
_FAULTS = (
    ((1 / 5, 1 / 4), (2.2, 3.0), 9),
    ((1 / 5, 1 / 4), (1.4, 1.5), 2),
    ((1 / 40, 1 / 25), (2.2, 3.0), 3),
    ((6.0, 9.0), (0.3, 0.5), 6),
)


def _chains(random):
    """E[x^2] and E[z^2] of layers of relu, each of which halves what it hands on."""
    faults = [fault for *fault, count in _FAULTS for _ in range(count)]
    cases = []
    for worst, other in (faults[place] for place in random.permutation(CASES)):
        count = int(random.integers(8, 13))
        wanted = float(random.uniform(2, 2.6))
        factors = random.uniform(0.8, 1.0, count)
        before, culprit = np.sort(random.choice(count - 4, 2, replace=False)) + 1
        factors[culprit], factors[before] = random.uniform(*worst), random.uniform(*other)
        received, made = [float(random.uniform(0.5, 2))], []
        for factor in factors:
            made.append(float(received[-1] * wanted * factor))
            received.append(made[-1] / 2)
        cases.append((received[:-1], made, wanted))
    return cases


def _blame_oracle(received, made, wanted):
    """Layer by layer, the gain over the wanted one or the other way round, as is larger."""
    off = []
    for before, after in zip(received, made, strict=True):
        off.append(max(after / before / wanted, wanted * before / after))
    return off.index(max(off))


def _gains(received, made):
    return np.divide(made, received)


TO_BLAME = Exercise(
    name="to-blame",
    task="Return the place, from 0, of the layer whose gain is off by the largest factor.",
    solution=to_blame,
    cases=_chains,
    judge=against(_blame_oracle),
    mistakes=(
        Mistake(
            lambda received, made, wanted: int(np.argmax(np.abs(np.log(made)))),
            "That is where the signal is the farthest off: the symptom. A layer is to blame for"
            " what it does to what it is given, made over received.",
        ),
        Mistake(
            lambda received, made, wanted: int(np.argmin(made)),
            "That is the smallest signal: the symptom. A layer is to blame for what it does to"
            " what it is given, made over received.",
        ),
        Mistake(
            lambda received, made, wanted: int(np.argmax(np.abs(_gains(received, made) - wanted))),
            "You measured by a difference. A gain that is too small never differs by more than the"
            " wanted gain itself, even if it is off by a factor of a thousand.",
        ),
        Mistake(
            lambda received, made, wanted: int(np.argmax(_gains(received, made))),
            "That is the largest gain. One that is too small is as bad: take the size of the"
            " logarithm.",
        ),
        Mistake(
            lambda received, made, wanted: int(np.argmax(np.abs(np.log(_gains(received, made))))),
            "You compared with a gain of 1. These layers need the wanted one, which makes up for"
            " what the activation takes away.",
        ),
    ),
)

# --- dead units ------------------------------------------------------------------------------


def _preactivations(random):
    """Some units are far below 0, some just reach it, some are above it for few examples."""
    cases = []
    for _ in range(CASES):
        examples, units = int(random.integers(12, 30)), int(random.integers(10, 20))
        z = random.standard_normal((examples, units)) + random.uniform(-0.5, 0.5, units)
        dead = random.permutation(units)[: random.integers(3, units - 4)]
        z[:, dead] = np.minimum(z[:, dead], 0) - random.uniform(0.1, 5, len(dead))
        z[0, dead[:2]] = 0.0
        alive = np.setdiff1d(np.arange(units), dead)
        z[:, alive[0]] = -np.abs(z[:, alive[0]])
        z[1, alive[0]] = 0.3
        z[2:4, alive] = np.abs(z[2:4, alive]) + 0.1
        cases.append((z,))
    return cases


def _dead_oracle(z):
    """One unit after the other: its largest preactivation is no more than 0."""
    return sum(max(float(one) for one in column) <= 0 for column in z.T) / z.shape[1]


DEAD_UNITS = Exercise(
    name="dead-share",
    task="Return the share of units whose z is above 0 for no example at all.",
    solution=dead_share,
    cases=_preactivations,
    judge=against(_dead_oracle),
    mistakes=(
        Mistake(
            lambda z: (z <= 0).mean(),
            "That is how often a unit is off. A relu is off for half of its inputs by design; dead"
            " is one that is off for all of them.",
        ),
        Mistake(
            lambda z: (z <= 0).any(axis=0).mean(),
            "That is the share of units that are off for some example. Nearly every relu is; dead"
            " is one that is off for all of them.",
        ),
        Mistake(
            lambda z: (z <= 0).all(axis=1).mean(),
            "That goes over the units of each example. Examples are the rows: ask of every column"
            " whether all of its numbers are off.",
        ),
        Mistake(
            lambda z: (z < 0).all(axis=0).mean(),
            "A unit that just reaches 0 passes no gradient either: count z = 0 as off.",
        ),
        Mistake(
            lambda z: (z.mean(axis=0) <= 0).mean(),
            "That asks for the mean of a unit. One example above 0 is enough to keep a unit"
            " learning.",
        ),
        Mistake(
            lambda z: (z <= 0).all(axis=0).sum(),
            "That is how many units are dead. Asked for is their share, from 0 to 1.",
        ),
    ),
)
