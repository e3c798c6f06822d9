"""What all tests share."""

import os
import tempfile
from pathlib import Path

from tools import programs

# Before JAX is there, which looks once: for this process, and for the kernels that it starts.
_programs = tempfile.TemporaryDirectory(prefix="initlab-programs-")
os.environ |= programs.kept_in(Path(_programs.name))

if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # or it reads what another has half written
    os.environ["JAX_COMPILATION_CACHE_DIR"] += f"/{worker}"

import jax  # noqa: E402
import pytest  # noqa: E402

from tests.told import COUNTS, NO_CHROMIUM, NO_COLAB  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Forget compiled programs, of which each takes memory and hundreds of mappings of it."""
    yield
    jax.clear_caches()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where several processes run the tests: each takes whole files, and one all properties.

    These count the examples that they generate, and ask at the end whether there were enough.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            properties = "tests/properties"
            return properties if nodeid.startswith(properties) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes hands over what it has counted."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["examples"] = dict(COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """And the one that started it takes that over."""
    COUNTS.update(getattr(node, "workeroutput", {}).get("examples", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS:
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(COUNTS.items()))
        terminalreporter.write_line(f"generated examples: {told}")
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in (NO_CHROMIUM, NO_COLAB):
        if any(reason in str(report.longrepr) for report in skipped):
            terminalreporter.section("WARNING", sep="!", red=True, bold=True)
            terminalreporter.line(reason, red=True, bold=True)
