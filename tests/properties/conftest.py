"""Says at the end how many examples were run."""

from tests.properties.strategies import COUNTS


def pytest_terminal_summary(terminalreporter):
    """One line."""
    if COUNTS:
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(COUNTS.items()))
        terminalreporter.write_line(f"generated examples: {told}")
