"""What is checked before a sweep begins, so that it does not fail when half is done."""

import errno
import hashlib
import importlib.metadata
import os
import shutil
from pathlib import Path
from typing import Any

from initlab.checking import short
from initlab.data import Batch
from initlab.sweeps import points
from initlab.sweeps.grid import Grid

FORMAT = 1


def record_of(grid: Grid, names: tuple[str, ...], batch: Batch) -> dict[str, Any]:
    """What all runs into one store have in common."""
    data = hashlib.sha256(batch.inputs.tobytes() + batch.labels.tobytes())
    data.update(f"{batch.inputs.shape} {batch.classes}".encode())
    return {
        "format": FORMAT,
        "version": importlib.metadata.version("initlab"),
        "axes": sorted(grid.axes),
        "fixed": grid.fixed,
        "measures": list(names),
        "batch": data.hexdigest(),
    }


def check_record(path: Path, found: object, wanted: dict[str, Any]) -> None:
    """ValueError that says in what a store differs from the sweep that is asked for."""
    if not isinstance(found, dict):
        raise ValueError(f"{path} is a Zarr group, but no store of a sweep; name another folder")
    words = {
        "format": "was written in format {} of stores, and this initlab writes {}",
        "version": "was written by initlab {}, and this is {}",
        "axes": "has the axes {}, and this sweep {}",
        "fixed": "has the fixed fields {}, and this sweep {}",
        "measures": "has the measures {}, and this sweep {}",
        "batch": "was measured on another batch: {}, and not {}",
    }
    for name, sentence in words.items():
        if found.get(name) != wanted[name]:
            difference = sentence.format(found.get(name), wanted[name])
            raise ValueError(
                f"the store {path} {difference}; name another store, or sweep as it was written."
                " Only an axis may grow"
            )


def check_folder(path: Path) -> None:
    """OSError for a place where nothing can be written."""
    try:
        there = _nearest(path)
    except OSError as error:  # such as a name that is too long
        words = f"the store cannot be there ({error.strerror})"
        raise OSError(error.errno, words, short(str(path))) from error
    if there == path.absolute() and not path.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, "a store is a folder, and this is a file", str(path)
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "the store cannot be written", str(path))


def check_room(path: Path, grid: Grid, names: tuple[str, ...], count: int) -> None:
    """OSError, in numbers, if so many points do not fit the disk."""
    needed = _size(grid, names, count)
    free = shutil.disk_usage(_nearest(path)).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"{count:,} points need up to {_bytes(needed)}, and {_bytes(free)} are free: sweep"
            " fewer points, or fewer measures, or name a store on another disk",
            str(path),
        )


def _nearest(path: Path) -> Path:
    """The folder that there is, on the way to a path."""
    path = path.absolute()
    return next(there for there in (path, *path.parents) if there.exists())


def check_memory(grid: Grid, names: tuple[str, ...]) -> None:
    """MemoryError, in numbers, if the result does not fit this machine, where that can be known."""
    needed = _size(grid, names, len(grid))
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise MemoryError(
            f"the result of {len(grid):,} points is {_bytes(needed)}, and this machine has"
            f" {_bytes(there)} of memory: sweep fewer points, or fewer measures"
        )


def _size(grid: Grid, names: tuple[str, ...], count: int) -> int:
    """Bytes that the measures of so many points take."""
    return count * sum(array.nbytes for array in points.empty(names, 1, grid.deepest).values())


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}"
        count /= 1000
    return ""
