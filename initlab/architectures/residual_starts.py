r"""The catalogue of starts of a residual network: name -> what is multiplied by what.

A network of L blocks is :math:`x_{l+1} = x_l + \alpha\, W_o^\top \phi(W_i^\top \phi(x_l))`. All
starts have the same parameters and multiply the same random numbers, but for those of ZerO, which
has none. To add one, add an entry to ``STARTS``.
"""

import dataclasses
import math
from collections.abc import Callable

from initlab.catalogue import Catalogue


def _one(blocks: int) -> float:
    return 1.0


def _zero(blocks: int) -> float:
    return 0.0


def _root(blocks: int) -> float:
    return 1 / math.sqrt(blocks)


def fixup_scale(blocks: int, layers: int = 2) -> float:
    r"""Fixup's factor on all but the last layer of a branch: :math:`L^{-1/(2m-2)}`.

    Args:
      blocks: L, how many residual branches the network has.
      layers: m, how many layers a branch has; 2 or more.

    Source: Zhang, Dauphin & Ma 2019 (arXiv 1901.09321). Copies of it have lost the minus sign.

    >>> fixup_scale(100), round(fixup_scale(16, layers=3), 6)
    (0.1, 0.5)
    """
    return blocks ** (-1 / (2 * layers - 2))


@dataclasses.dataclass(frozen=True)
class Start:
    """What a start multiplies the drawn weights by. Each factor is a function of L."""

    name: str
    inner: Callable[[int], float] = dataclasses.field(default=_one, repr=False)
    outer: Callable[[int], float] = dataclasses.field(default=_one, repr=False)
    branch: Callable[[int], float] = dataclasses.field(default=_one, repr=False)  # alpha
    readout: Callable[[int], float] = dataclasses.field(default=_one, repr=False)
    #: the initializer that all matrices are drawn by, whichever one the reader chose
    initializer: str | None = None
    law: str = ""  # LaTeX, without dollar signs
    when: str = ""
    source: str = ""


STARTS: Catalogue[Start] = Catalogue("start")
for _entry in (
    Start(
        "plain",
        law=r"\alpha = 1",
        when="with normalization; without it the signal doubles from block to block",
        source="He, Zhang, Ren & Sun 2016",
    ),
    Start(
        "skipinit",
        branch=_root,
        law=r"\alpha = 1/\sqrt{L}",
        when="without normalization: the largest factor that trains at any depth",
        source="De & Smith 2020",
    ),
    Start(
        "rezero",
        branch=_zero,
        law=r"\alpha = 0",
        when="without normalization: every block starts as the identity, alpha learns first",
        source="Bachlechner et al. 2021; De & Smith 2020",
    ),
    Start(
        "zero_last",
        outer=_zero,
        law=r"W_o = 0",
        when="as rezero, by the last layer of every branch; batch normalization's gamma = 0",
        source="Goyal et al. 2017",
    ),
    Start(
        "fixup",
        inner=fixup_scale,
        outer=_zero,
        readout=_zero,
        law=r"W_i \to L^{-1/2} W_i,\quad W_o = 0,\quad W_{\mathrm{readout}} = 0",
        when="without normalization: what a step changes does not grow with depth",
        source="Zhang, Dauphin & Ma 2019",
    ),
    Start(
        "zero_identity",
        outer=_zero,
        initializer="identity",
        law=r"W_i = I,\quad W_o = 0,\quad \text{partial}\ I\ \text{elsewhere}",
        when="to see training degeneracy: what is learned has no more rank than the input",
        source="Zhao, Schaefer & Anandkumar 2022",
    ),
    Start(
        "zero_hadamard",
        outer=_zero,
        initializer="zero_hadamard",
        law=r"W_i = I,\quad W_o = 0,\quad 2^{-m/2} H_m\ \text{where a layer widens}",
        when="ZerO: no randomness, and no degeneracy either",
        source="Zhao, Schaefer & Anandkumar 2022",
    ),
):
    STARTS.add(_entry)
