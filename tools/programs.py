"""Compiled programs are kept, so that what one kernel has compiled the next one only loads."""

import os
from pathlib import Path

_UNREAD = "ignore:Error reading persistent compilation cache entry"


def kept_in(folder: Path) -> dict[str, str]:
    """The environment by which JAX keeps them in a folder, unless it was told another place."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return {}
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        # Small programs, too: an explorer has hundreds of them.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # What another kernel has half written is compiled once more, and nobody need know.
        "PYTHONWARNINGS": ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), _UNREAD])),
    }
