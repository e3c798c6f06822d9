"""``python -m initlab sweep``: a sweep from a command line."""

import argparse
import sys
from typing import Any

import numpy as np

from initlab.checking import short
from initlab.data import DIGITS, digits
from initlab.setting import whole_number
from initlab.sweeps.grid import FIELDS, MAX_VALUES, AxisValues

_ALL = {"initializer": "all", "activation": "all"}
_EXAMPLE = (
    "python -m initlab sweep --depth 1:100:5 --activation tanh,relu --initializer all --seeds 16"
    " --store map.zarr"
)


def add_command(commands: Any) -> None:
    """Add the command to argparse's sub-commands."""
    parser = commands.add_parser(
        "sweep",
        help="measure a grid of settings and keep the result in a Zarr store",
        description="Values are one, or several with commas between them, or from:to:step, with"
        " both ends if the steps meet them. What is not named is as in Setting().",
        epilog=f"For example: {_EXAMPLE}",
    )
    for name in FIELDS:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="VALUES", help=_help(name))
    parser.add_argument("--seeds", type=int, metavar="N", help="the seeds from 0 to N - 1")
    parser.add_argument("--store", required=True, metavar="FOLDER", help="where results are kept")
    parser.add_argument("--examples", type=int, default=64, help="how many digits to measure on")
    parser.add_argument("--measures", metavar="NAMES", help="fields of Signals, with commas")
    parser.add_argument("--chunk", type=int, metavar="N", help="the most points at once")
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="share the work with the other processes of a Slurm job, a Kubernetes job or a TPU"
        " slice: start the same command once on each host",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the command; returns 0, or 2 for a sweep that cannot be."""
    from initlab.sweeps.sweeping import sweep

    try:
        if chosen.distributed:
            import jax

            jax.distributed.initialize()
        axes = _axes(chosen)
        found = sweep(
            digits(whole_number("examples", chosen.examples, 1, DIGITS)),
            measures=chosen.measures and chosen.measures.split(","),
            store=chosen.store,
            chunk=chosen.chunk,
            progress=True,
            **axes,
        )
    except (TypeError, ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
        print(f"initlab: {error}", file=sys.stderr)
        return 2
    print(found)
    return 0


def _help(name: str) -> str:
    default = f"by default {FIELDS[name]}"
    return f"{default}; all for the whole catalogue" if name in _ALL else default


def _axes(chosen: argparse.Namespace) -> dict[str, AxisValues]:
    """The axes that were named, as :func:`initlab.sweep` takes them."""
    axes: dict[str, AxisValues] = {
        name: values_of(name, text)
        for name in FIELDS
        if (text := getattr(chosen, name)) is not None
    }
    if chosen.seeds is not None:
        if "seed" in axes:
            raise ValueError("give --seed or --seeds, not both")
        axes["seed"] = range(whole_number("seeds", chosen.seeds, 1, 10**6))
    return axes


def values_of(name: str, text: str) -> list[int] | list[float] | list[str] | str:
    """What a field's option means.

    >>> values_of("depth", "1:11:5"), values_of("gain", "0.5,2"), values_of("activation", "all")
    ([1, 6, 11], [0.5, 2.0], 'all')
    """
    if isinstance(FIELDS[name], str):
        return text.split(",") if "," in text else text
    kind = type(FIELDS[name])
    try:
        if ":" in text:
            first, last, *step = (kind(part) for part in text.split(":"))
            (step,) = step or (1,)
            # half a rounding more, so that a last value that is met is not lost to a rounding
            count = int(np.floor((last - first) / step + 1e-9)) + 1
            if count > MAX_VALUES:
                raise ValueError("more values than an axis may have")
            return [kind(first + place * step) for place in range(count)]
        values = [kind(part) for part in text.split(",")]
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            f"--{name.replace('_', '-')} takes {kind.__name__} values such as 3, 1,5,9 or 1:100:5,"
            f" {MAX_VALUES:,} at most, not {short(text)}"
        ) from None
    return values if "," in text else values[0]
