r"""The catalogue of starts of a transformer: name -> the standard deviation of each of its arrays.

All starts scale the same normal draws, so that going from one to another moves nothing else. To
add one, add an entry to ``STARTS``.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from initlab.catalogue import Catalogue

WIDENING = 4  # hidden units of a feedforward layer, in widths (Vaswani et al. 2017)
POSITION_STD = 0.02  # of positional embeddings that are learned: GPT-2's, BERT's and ViT's
_HIDDEN = ("query", "key", "value", "out", "inner", "outer")


class Sizes(NamedTuple):
    """What a start's laws read."""

    features: int  # of a token
    width: int
    classes: int
    blocks: int

    def fans(self) -> dict[str, tuple[int, int]]:
        """Name -> fan_in and fan_out of each matrix."""
        n, wide = self.width, WIDENING * self.width
        return {
            "embedding": (self.features, n),
            **dict.fromkeys(_HIDDEN[:4], (n, n)),
            "inner": (n, wide),
            "outer": (wide, n),
            "readout": (n, self.classes),
        }


def _by(law, positions=POSITION_STD):
    """Each matrix by one law of its fans."""

    def scales(sizes: Sizes) -> dict[str, float]:
        matrices = {name: law(*fans) for name, fans in sizes.fans().items()}
        return {"position": positions, **matrices}

    return scales


def _times(scales: dict, factors: dict) -> dict:
    return scales | {name: factor * scales[name] for name, factor in factors.items()}


_lecun = _by(lambda fan_in, fan_out: fan_in**-0.5)
_glorot = _by(lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5)


def _gpt2(sizes: Sizes) -> dict[str, float]:
    into_stream = 1 / math.sqrt(2 * sizes.blocks)  # a block adds two branches to it
    normal = _by(lambda fan_in, fan_out: 0.02)(sizes)
    return _times(normal, {"out": into_stream, "outer": into_stream})


def _t_fixup(sizes: Sizes) -> dict[str, float]:
    embedding = (9 * sizes.blocks) ** -0.25
    block = 0.67 * sizes.blocks**-0.25
    unit = _glorot(sizes) | {"embedding": sizes.features**-0.5}
    return _times(
        unit,
        dict.fromkeys(("embedding", "position"), embedding)
        | dict.fromkeys(("value", "out", "inner", "outer"), block),
    )


def _zero_readout(sizes: Sizes) -> dict[str, float]:
    return _glorot(sizes) | {"readout": 0.0}


def _mup(sizes: Sizes) -> dict[str, float]:
    return _lecun(sizes) | {"readout": 1 / sizes.width}


def _all_alike(sizes: Sizes) -> dict[str, float]:
    return dict.fromkeys(("position", *sizes.fans()), 1.0)


def _mup_rates(sizes: Sizes) -> dict[str, float]:
    hidden = {name: 1 / sizes.fans()[name][0] for name in (*_HIDDEN, "readout")}
    return _all_alike(sizes) | hidden


@dataclasses.dataclass(frozen=True)
class Start:
    """A transformer's start: the standard deviations of its weights, and what goes with them."""

    name: str
    scales: Callable[[Sizes], dict[str, float]] = dataclasses.field(repr=False)
    #: by what dot products of queries and keys are multiplied: of a head's units
    logit_scale: Callable[[int], float] = dataclasses.field(
        default=lambda units: units**-0.5, repr=False
    )
    #: by what Adam's learning rate is multiplied for each array
    learning_rates: Callable[[Sizes], dict[str, float]] = dataclasses.field(
        default=_all_alike, repr=False
    )
    law: str = ""  # LaTeX, without dollar signs
    when: str = ""
    source: str = ""


STARTS: Catalogue[Start] = Catalogue("start")
for _entry in (
    Start(
        "gpt2",
        _gpt2,
        law=r"W \sim \mathcal{N}(0,\ 0.02^2),\quad W_{\mathrm{out}} \to W_{\mathrm{out}}/\sqrt{2N}",
        when="pre-normalized; widths near 1,000, whose 1/fan_in it comes close to",
        source="Radford, Wu, Child, Luan, Amodei & Sutskever 2019",
    ),
    Start(
        "glorot",
        _glorot,
        law=r"\mathrm{Var}\,W = 2/(\mathrm{fan\_in} + \mathrm{fan\_out})",
        when="the first transformers, post-normalized and with a warm-up of the learning rate",
        source="Vaswani et al. 2017; Glorot & Bengio 2010",
    ),
    Start(
        "lecun",
        _lecun,
        law=r"\mathrm{Var}\,W = 1/\mathrm{fan\_in}",
        when="the standard parametrization that muP is compared with",
        source="LeCun, Bottou, Orr & Mueller 1998",
    ),
    Start(
        "t_fixup",
        _t_fixup,
        law=r"W_v, W_o, W_{\mathrm{mlp}} \to 0.67\,N^{-1/4}\,W,\quad E \to (9N)^{-1/4} E",
        when="without normalization or warm-up; the encoder's part of the recipe",
        source="Huang, Perez, Ba & Volkovs 2020",
    ),
    Start(
        "zero_readout",
        _zero_readout,
        law=r"W_{\mathrm{readout}} = 0",
        when="to start from the same answer to everything: the loss is ln K",
        source="Yang, Hu et al. 2022, appendix D.2, as advice for muP",
    ),
    Start(
        "mup",
        _mup,
        logit_scale=lambda units: 1 / units,
        learning_rates=_mup_rates,
        law=r"\mathrm{Var}\,W = 1/n,\ \text{readout}\ 1/n^2,\ \text{logits}\ q^\top k/d",
        when="to keep one learning rate over all widths",
        source="Yang, Hu et al. 2022",
    ),
):
    STARTS.add(_entry)
