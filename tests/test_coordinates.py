"""The coordinate check: muP is flat over widths, where the standard start grows."""

import numpy as np
import pytest

from initlab.architectures import Convolutional, Transformer
from initlab.coordinates import coordinate_check

pytestmark = pytest.mark.numerics

SMALL = Transformer(blocks=2, start="mup")
WIDTHS = (32, 64, 128, 256)


@pytest.mark.slow
def test_mup_stays_flat_and_the_standard_start_grows():
    """Source: Yang, Hu et al. 2022: what Adam adds to a hidden unit is of order fan_in."""
    mup = coordinate_check(SMALL, WIDTHS).growth[-1]
    standard = coordinate_check(SMALL.replace(start="lecun"), WIDTHS).growth[-1]
    assert np.abs(mup).max() < 0.15
    assert standard[1:-1].min() > 0.7 and abs(standard[0]) < 0.15  # the embedding learns alike


def test_mups_logits_start_as_one_over_the_root_of_the_width():
    growth = coordinate_check(SMALL, WIDTHS).growth[0]
    assert growth[-1] == pytest.approx(-0.5, abs=0.2)
    assert np.abs(growth[:-1]).max() < 0.1


def test_a_step_of_no_length_moves_nothing():
    sizes = coordinate_check(SMALL, (8, 16), steps=1, learning_rate=1e-30).mean_absolute
    assert sizes.shape == (2, 2, 4)
    np.testing.assert_allclose(sizes[:, 1], sizes[:, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"setting": Convolutional()}, TypeError, "takes a Transformer"),
        ({"widths": (64,)}, ValueError, "two or more"),
        ({"widths": (64, 66)}, ValueError, "heads must divide the width, 66"),
        ({"steps": 0}, ValueError, "from 1 to 100, not 0"),
        ({"learning_rate": -1.0}, ValueError, "above 0"),
    ],
    ids=str,
)
def test_a_wrong_choice_is_named(change, error, words):
    with pytest.raises(error, match=words):
        coordinate_check(**({"setting": SMALL} | change))
