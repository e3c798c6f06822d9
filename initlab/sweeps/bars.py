"""The bar that shows how far a sweep is."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

_PATIENCE = 2.0  # seconds before a bar is shown that nobody asked for


def bar(points: int, progress: bool | None, done: int = 0) -> "tqdm[Any]":
    """A bar on stderr, to be entered with ``with``.

    Args:
      points: how many there are in all.
      progress: True shows it at once, False never, None if it takes some time.
      done: how many points are there already.
    """
    from tqdm import tqdm  # only here

    return tqdm(
        total=points,
        initial=done,
        unit=" points",
        file=sys.stderr,
        disable=progress is False,
        delay=_PATIENCE if progress is None else 0,
    )
