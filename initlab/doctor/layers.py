"""What was measured at every place of a program, told layer by layer, in the order of time."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from initlab.doctor import measuring
from initlab.doctor.report import Layer
from initlab.doctor.sites import Reading, Site
from initlab.doctor.trees import together


def layers_of(
    reading: Reading,
    paths: Sequence[str],
    found: tuple[dict[int, Any], dict[int, Any]],
    back: dict[int, Any],
) -> Iterator[Layer]:
    """What was measured, forward and back: one for each site, and for each turn of a scan's own."""
    by_site, by_gate = found
    uses = [
        (number, turn)
        for number, site in enumerate(reading.sites)
        for turn in (itertools.product(*map(range, site.turns)) if site.stacked else [None])
    ]
    uses.sort(key=lambda use: _moment(reading.sites[use[0]], use[1]))
    for place, (number, turn) in enumerate(uses):
        site = reading.sites[number]
        measured = {name: _of(values, turn) for name, values in by_site[number].items()}
        measured |= {
            name: _of(back[number][..., index], turn)
            for index, name in enumerate(measuring.BACKWARD)
        }
        biases = tuple(sorted(reading.biases.get(number, ())))
        flat = [
            _of(by_gate[gate], turn if reading.gates[gate].turns == site.turns else None)
            for gate in range(len(reading.gates))
            if number in reading.gates[gate].sites
        ]
        yield _layer(site, number, turn, place, biases, paths, measured, flat)


def _moment(site: Site, turn) -> list[int]:
    """When a site is met: the equations on the way to it, and the turns of the scans there."""
    turns = iter(turn or (0,) * len(site.turns))
    return [next(turns) if step is None else step for step in site.order]


def _of(values, turn):
    """A turn's value; without one, all of them."""
    return np.asarray(values, np.float64) if turn is None else np.asarray(values[turn], np.float64)


def _layer(site: Site, number: int, turn, place: int, biases, paths, measured, flat) -> Layer:
    mark = "" if turn is None else f"[{', '.join(map(str, turn))}]"

    def squared(name, exponent):
        return float(np.mean(np.ldexp(measured[name], 2 * np.asarray(measured[exponent], int))))

    finite = bool(np.all(measured["finite"]))
    gradient = measured["gradient_exponent"]
    known = np.isfinite(gradient).all()
    # moments are means over the turns that share a weight; a sum counts all of them
    summed = site.size * (math.prod(site.turns) if turn is None else 1)
    return Layer(
        place=place,
        site=number,
        turn=turn,
        leaves=site.leaves,
        biases=biases,
        name=together([paths[leaf] for leaf in site.leaves]) + mark,
        operation=site.operation,
        shape=site.shape,
        units=site.count,
        dtype=site.dtype,
        sources=site.sources,
        input_finite=bool(np.all(measured["input_finite"])),
        input_second_moment=squared("input_second_moment", "input_exponent"),
        second_moment=squared("second_moment", "exponent") if finite else math.inf,
        spread=float(np.max(measured["spread"])) if finite else math.nan,
        weight_second_moment=float(np.mean(measured["weight_second_moment"])),
        gradient=summed * squared(*measuring.BACKWARD[:2]) if known else math.nan,
        dead_fraction=float(np.min(measured["dead_fraction"])),
        distinct_neurons=float(np.max(measured["distinct_neurons"])),
        saturated_fraction=float(max(map(np.max, flat))) if flat else math.nan,
    )
