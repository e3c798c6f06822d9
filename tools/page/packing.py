"""Numbers made small: logarithms in steps, differences from layer to layer, gzip, base64.

A code is a whole number of 16 bits. Of a size that spans orders of magnitude it is ``STEPS`` times
its binary logarithm, rounded; of a count it is the count. What has no logarithm has a code of its
own. A difference is kept as a zigzag number (0, -1, 1, -2, … become 0, 1, 2, 3, …), and all low
bytes stand before all high ones, which are nearly all 0. ``numbers.js`` reads it.
"""

import base64
import gzip
import json

import numpy as np

from tools.page.grid import Measured, first_layer

STEPS = 24  # to a doubling
ZERO, MISSING, INFINITE = -(2**15), -(2**15) + 1, 2**15 - 1
_EDGE = 2**15 - 2  # 2^±1365, beyond all that float64 holds
#: by what share a number that was packed may be off: half a step
LARGEST_ERROR = 2 ** (0.5 / STEPS) - 1
COUNTS = ("distinct_neurons",)


def log_codes(values: np.ndarray) -> np.ndarray:
    """Codes, int16, of numbers from 0 to inf, or NaN."""
    with np.errstate(divide="ignore"):
        codes = np.rint(np.clip(np.log2(values) * STEPS, -_EDGE, _EDGE))
    codes = np.where(np.isnan(values), MISSING, codes)
    codes = np.where(values == 0, ZERO, codes)
    return np.where(np.isposinf(values), INFINITE, codes).astype(np.int16)


def count_codes(values: np.ndarray) -> np.ndarray:
    """Codes, int16, of whole numbers from 0 to 32,766, or NaN."""
    return np.where(np.isnan(values), MISSING, values).astype(np.int16)


def packed(codes: np.ndarray) -> bytes:
    """Codes ``[..., layers]`` as bytes: differences along layers, low bytes before high ones."""
    before = np.zeros_like(codes)
    before[..., 1:] = codes[..., :-1]
    difference = codes - before  # of 16 bits: what passes them comes round again, both ways
    zigzag = ((difference << 1) ^ (difference >> 15)).view(np.uint16).ravel()
    return (zigzag & 0xFF).astype(np.uint8).tobytes() + (zigzag >> 8).astype(np.uint8).tobytes()


def squeezed(data: bytes) -> str:
    """Bytes as text that a script element can hold; the same each time."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def pack(measured: Measured) -> dict:
    """All that the page shows of a grid, ready for JSON.

    Returns:
      ``axes`` with the positions of all controls; ``blocks``, what the numbers are of, in their
      order; and, as squeezed text, ``numbers`` and ``verdicts``.
    """
    grid, blocks, parts = measured.grid, [], []

    def add(name: str, codes: np.ndarray, **about) -> None:
        blocks.append({"name": name, "shape": codes.shape, **about})
        parts.append(packed(codes))

    for field, values in measured.curves.items():
        count = field in COUNTS
        codes = (count_codes if count else log_codes)(values)
        add(field, codes, kind="count" if count else "log", first=first_layer(field))
    for (field, end), values in measured.theory.items():
        add(f"{field}.{end}", log_codes(values), kind="log", first=first_layer(field))
    add("overflow", measured.overflow[..., None].astype(np.int16), kind="count", first=0)
    return {
        "axes": {
            "activation": list(grid.activations),
            "initializer": list(grid.initializers),
            "gain": list(grid.gains),
            "seed": list(grid.seeds),
            "depth": list(grid.depths),
        },
        "steps": STEPS,
        "codes": {"zero": ZERO, "missing": MISSING, "infinite": INFINITE},
        "blocks": blocks,
        "numbers": squeezed(b"".join(parts)),
        "verdicts": squeezed(json.dumps(measured.verdicts).encode()),
    }
