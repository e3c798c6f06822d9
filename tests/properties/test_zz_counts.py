"""The last test of all: that as many examples were run as is said."""

import pytest

from tests.properties import strategies
from tests.told import COUNTS


@pytest.mark.slow
def test_there_were_ten_thousand_settings_and_two_thousand_hostile_inputs():
    """Counted where they are run; a run of some of the tests says nothing."""
    missing = strategies.NIGHTLY - strategies.DONE
    if missing:
        pytest.skip(f"not all nightly properties were run, or hold: {', '.join(sorted(missing))}")
    assert COUNTS["settings"] >= 10_000
    assert COUNTS["hostile"] >= 2_000
