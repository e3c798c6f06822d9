"""What all tests share."""

import itertools
import os
import tempfile
from pathlib import Path

from tools import programs

# Before JAX is there, which looks once: for this process, and for the kernels that it starts.
_programs = tempfile.TemporaryDirectory(prefix="initlab-programs-")
os.environ |= programs.kept_in(Path(_programs.name))

import jax  # noqa: E402
import pytest  # noqa: E402

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
