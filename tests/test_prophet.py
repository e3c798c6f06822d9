"""The prophet: outcomes by their definition, hits and misses counted anew."""

import numpy as np
import optax
import pytest

from initlab import Setting, data, diagnose, probe, prophecy

pytestmark = pytest.mark.numerics

BATCH = data.digits(256)
TANH = Setting(3, 32, "tanh")
STARTS = {
    "good": TANH,
    "zeros": TANH.replace(initializer="zeros"),
    "copies": TANH.replace(initializer="constant"),
    "overflows": TANH.replace(activation="linear", gain=1e6, depth=10),
}


@pytest.fixture(scope="module")
def found():
    return prophecy(STARTS, BATCH, steps=100, optimizer=optax.sgd(0.1))


def test_outcomes_are_those_of_the_definition(found):
    """Written out: majority share and entropy of the labels, with the documented margins."""
    share = np.bincount(BATCH.labels) / len(BATCH)
    entropy = -(share * np.log(share)).sum()
    history = found.history
    for place, outcome in enumerate(found.outcomes):
        learned = (
            history.accuracy[place, -1] > share.max() + 0.05
            and history.loss[place, -1] < 0.95 * entropy
        )
        diverged = not np.isfinite(history.loss[place, -1])
        assert outcome == ("diverged" if diverged else "learned" if learned else "stalled")
    assert found.outcomes[0] == "learned" and found.outcomes[1] == "stalled"
    assert found.outcomes[3] == "diverged"


def test_what_was_said_is_the_diagnosis(found):
    for setting, diagnosis in zip(STARTS.values(), found.diagnoses, strict=True):
        assert str(diagnosis) == str(diagnose(probe(setting, BATCH)))
    assert list(found.healthy) == [True, False, False, False]


def test_hits_and_misses_are_counted(found):
    right = [said == came for said, came in zip(found.healthy, found.learned, strict=True)]
    assert found.hit_rate == sum(right) / 4
    assert found.misses == [place for place, hit in enumerate(right) if not hit]
    rows = {row["said before"]: row for row in found.by_mode()}
    assert rows["healthy"]["starts"] == "1" and rows["healthy"]["learned"] == "1"
    assert rows["symmetry collapse"]["starts"] == "2"
    assert [row["start"] for row in found.table(found.misses)] == [
        found.history.names[place] for place in found.misses
    ]
    assert "of 4 starts did as was said" in repr(found)
    assert found._repr_markdown_().count("<table>") == 2


def test_given_weights_are_refused():
    with pytest.raises(TypeError, match="takes no initial"):
        prophecy(TANH, BATCH, initial=[])
