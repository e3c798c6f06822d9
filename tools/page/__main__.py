"""Make the page: `python -m tools.page`."""

import argparse
import time
from pathlib import Path

from tools import lab
from tools.page import building
from tools.page.grid import Grid, measure

PAGE = lab.ROOT / "build" / "page" / "initlab.html"
LARGEST = 5_000_000  # bytes: what an LMS takes, and a phone loads at once


def main() -> None:
    """Measure the whole grid, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.page", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="default: %(default)s")
    output = parser.parse_args().output
    start = time.perf_counter()
    text = building.build(measure(Grid(), progress=True))
    size = len(text.encode())
    if size > LARGEST:
        raise SystemExit(f"the page has {size:,d} bytes, of at most {LARGEST:,d}")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print(f"{output}: {size:,d} bytes, in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
