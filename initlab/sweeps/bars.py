"""The bar that shows how far a sweep is."""

import sys
from typing import TYPE_CHECKING, Any

from initlab.checking import short

if TYPE_CHECKING:
    from tqdm import tqdm

_PATIENCE = 2.0  # seconds before a bar is shown that nobody asked for


def check_progress(progress: object) -> None:
    """Raise TypeError for what :func:`bar` does not take, before there is anything to show."""
    if not isinstance(progress, bool | None):
        raise TypeError(f"progress must be True, False or None, not {short(progress)}")


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
