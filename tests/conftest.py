"""What all tests share."""

import itertools
from pathlib import Path

import jax
import pytest

_MAPS = Path("/proc/self/maps")  # Linux alone has it, and the limit
_MOST_MAPS = 30_000  # of the 65,530 that Linux allows a process
_EVERY = 8  # tests; to count takes some milliseconds

_tests = itertools.count()


@pytest.fixture(autouse=True)
def room_for_programs():
    """Forget compiled programs before there are so many that memory cannot be mapped for more.

    On a CPU every program takes hundreds of mappings, and XLA crashes where there are no more.
    """
    yield
    if next(_tests) % _EVERY == 0 and _MAPS.exists():
        with _MAPS.open() as maps:
            if sum(1 for _ in maps) > _MOST_MAPS:
                jax.clear_caches()
