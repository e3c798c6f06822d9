"""What benchmarks share: a description of the machine, paired timing, and tables."""

import dataclasses
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable

PAUSE = 0.05  # seconds before each measurement; threads that wait for work spin about half as long
PATIENCE = 60  # seconds, after which a busy machine gets no further rounds


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table. ``met`` is None where there is no target."""

    what: str
    figure: str
    target: str = ""
    met: bool | None = None


def machine(dropped: Iterable[str] = ()) -> str:
    """Processor, cores, system and versions, and which environment variables were dropped."""
    libraries = ("jax", "numpy", "matplotlib", "torch")
    lines = [
        f"processor  {_processor()}, {_cores()} cores, load {_load()} before the start",
        f"system     {platform.system()} {platform.release()} {platform.machine()}",
        f"Python     {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name in libraries if (version := _version(name))),
    ]
    if dropped:
        lines.append(f"ignored    {', '.join(sorted(dropped))}")
    return "\n".join(lines)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":")[1].strip() for line in info if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def paired(rounds: int, **functions: Callable) -> dict[str, list[float]]:
    """Seconds that each function took in each round, by name; at least one round.

    In a round each is called twice, after a pause, and the second call counts: the first finds
    the caches, and maybe a core, in the hands of another library. The order turns round by round.
    """
    seconds = {name: [] for name in functions}
    end = time.perf_counter() + PATIENCE
    for turn in range(rounds):
        if turn and time.perf_counter() > end:
            break
        for name in list(functions)[:: 1 if turn % 2 else -1]:
            time.sleep(PAUSE)
            functions[name]()
            start = time.perf_counter()
            functions[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not pass."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


def milliseconds(seconds: list[float]) -> str:
    """Median and 95th percentile."""
    median, high = statistics.median(seconds), percentile(seconds, 0.95)
    return f"{1e3 * median:.1f} ms (p95 {1e3 * high:.1f})"


def ratio(seconds: list[float], other: list[float]) -> float:
    """Median over rounds of how many times as long one function took as another."""
    return statistics.median(mine / its for mine, its in zip(seconds, other, strict=True))


def undisturbed(seconds: list[float], other: list[float]) -> float:
    """The same of the fastest of each: where a busy machine slows one library more than another.

    Threads that wait for each other in a spin, as OpenBLAS' do, suffer most from a busy core.
    """
    return min(seconds) / min(other)


def table(title: str, rows: list[Row]) -> str:
    """Aligned columns: what, figure, target, met or missed."""
    cells = [(title, "figure", "target", "")]
    for row in rows:
        verdict = {None: "", True: "met", False: "missed"}[row.met]
        cells.append((row.what, row.figure, row.target, verdict))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]
        )
        for line in cells
    ]
    return "\n".join([lines[0].rstrip(), "-" * max(map(len, lines)), *map(str.rstrip, lines[1:])])
