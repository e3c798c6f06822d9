r"""The catalogue of initializers: name -> what is drawn, and by what it is multiplied.

Every entry is a *draw* (a matrix whose entries have variance 1, or a fixed pattern) times a
*scale* that follows from the layer's fans. Drawing is the slow part and scaling the lesson, so
entries that differ by their scale alone share one draw: going from LeCun to He rescales the
same random numbers. Weights are ``[fan_in, fan_out]``. Some are then fitted to the data that a
network meets, by a function of ``initlab.adaptive``.

To add one to every slider, table, plot and test, add an entry to ``INITIALIZERS``, or call
:func:`initlab.register_initializer` in a notebook.
"""

import dataclasses
import math

from initlab import laws, matrices
from initlab.catalogue import Catalogue
from initlab.laws import FIXED_SCALE, Initializer, steps_from_pivot


def emergence(
    base: str = "he_normal", alpha: float = 1.05, pivot: float | None = None
) -> Initializer:
    r"""Emergence-promoting rescaling of any start: layer ``n`` from the pivot times ``alpha^n``.

    Args:
      base: name of the start that is rescaled.
      alpha: factor per layer, above 1. The layers before the pivot are divided, those behind
        it multiplied.
      pivot: the layer left alone; by default the middle of the weight matrices. The paper
        leaves open what exactly is counted, hence an argument.

    A relu or linear network without biases keeps its output, since the factors multiply to 1:
    what changes is how fast each layer learns. The gains claimed for it are contested.

    Source: Li, George & Silva 2024 (arXiv 2407.19044).
    """
    entry = INITIALIZERS[base]
    return dataclasses.replace(
        entry,
        name="emergence",
        scale=lambda fan: entry.scale(fan) * alpha ** steps_from_pivot(fan, pivot),
        law=r"W_n \to \alpha^{n} W_n,\quad \alpha = " + f"{alpha:g}",
        when="contested: a rescaling that speeds up early layers at the cost of late ones",
        source="Li, George & Silva 2024",
    )


INITIALIZERS: Catalogue[Initializer] = Catalogue("initializer")
_SYNONYMS = {
    "glorot_normal": ("xavier_normal",),
    "glorot_uniform": ("xavier_uniform",),
    "he_normal": ("kaiming_normal",),
    "he_uniform": ("kaiming_uniform",),
}
for _entry in (
    Initializer(
        "zeros",
        matrices.draw_ones,
        lambda fan: 0.0,
        r"W = 0",
        "biases, and the last layer of a residual branch; never all hidden weights",
        "Rumelhart, Hinton & Williams 1986",
        ensemble="patterned",
    ),
    Initializer(
        "constant",
        matrices.draw_ones,
        laws.fixed,
        r"W_{ij} = 0.05",
        "to see symmetry: all neurons of a layer stay one neuron",
        "Rumelhart, Hinton & Williams 1986",
        ensemble="patterned",
    ),
    Initializer(
        "normal",
        matrices.draw_normal,
        laws.fixed,
        r"W_{ij} \sim \mathcal{N}(0,\ 0.05^2)",
        "to see what a scale that ignores the fans does",
        "Keras' RandomNormal",
    ),
    Initializer(
        "uniform",
        matrices.draw_uniform,
        lambda fan: FIXED_SCALE / math.sqrt(3),
        r"W_{ij} \sim \mathcal{U}(-0.05,\ 0.05)",
        "as normal; its variance is a third of the bound squared",
        "Keras' RandomUniform",
    ),
    Initializer(
        "truncated_normal",
        matrices.draw_truncated_normal,
        laws.fixed,
        r"W_{ij} \sim \mathcal{N}(0,\ 0.05^2)\ \text{cut at}\ 2.27 \times 0.05",
        "as normal without rare large weights; the standard deviation is that after the cut",
        "jax.nn.initializers.variance_scaling",
    ),
    Initializer(
        "lecun_normal",
        matrices.draw_truncated_normal,
        laws.lecun,
        r"\mathrm{Var}\,W = 1/\mathrm{fan\_in}",
        "linear and selu layers; JAX's and Flax's default (truncated)",
        "LeCun, Bottou, Orr & Mueller 1998",
    ),
    Initializer(
        "lecun_uniform",
        matrices.draw_uniform,
        laws.lecun,
        r"W_{ij} \sim \mathcal{U}(\pm\sqrt{3/\mathrm{fan\_in}})",
        "as lecun_normal, with bounded weights",
        "LeCun, Bottou, Orr & Mueller 1998",
    ),
    Initializer(
        "glorot_normal",
        matrices.draw_truncated_normal,
        laws.glorot,
        r"\mathrm{Var}\,W = 2/(\mathrm{fan\_in} + \mathrm{fan\_out})",
        "tanh: a compromise between the forward and the backward pass",
        "Glorot & Bengio 2010",
    ),
    Initializer(
        "glorot_uniform",
        matrices.draw_uniform,
        laws.glorot,
        r"W_{ij} \sim \mathcal{U}(\pm\sqrt{6/(\mathrm{fan\_in} + \mathrm{fan\_out})})",
        "as glorot_normal; the default of Keras",
        "Glorot & Bengio 2010",
    ),
    Initializer(
        "he_normal",
        matrices.draw_truncated_normal,
        laws.he,
        r"\mathrm{Var}\,W = 2/\mathrm{fan\_in}",
        "relu: makes up for the half that relu sets to zero",
        "He, Zhang, Ren & Sun 2015",
    ),
    Initializer(
        "he_uniform",
        matrices.draw_uniform,
        laws.he,
        r"W_{ij} \sim \mathcal{U}(\pm\sqrt{6/\mathrm{fan\_in}})",
        "as he_normal, with bounded weights",
        "He, Zhang, Ren & Sun 2015",
    ),
    Initializer(
        "orthogonal",
        matrices.draw_orthogonal,
        laws.one,
        r"W^\top W = I\ \text{or}\ W W^\top = I",
        "deep linear or tanh networks, recurrent weights: keeps every length, not the mean",
        "Saxe, McClelland & Ganguli 2014",
        ensemble="orthogonal",
    ),
    Initializer(
        "delta_orthogonal",
        matrices.draw_delta_orthogonal,
        laws.one,
        r"W_{k} = 0\ \text{but}\ W_{\mathrm{centre}}^\top W_{\mathrm{centre}} = I",
        "convolutions without normalization; in a dense layer it is orthogonal",
        "Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018",
        ensemble="orthogonal",
    ),
    Initializer(
        "identity",
        matrices.draw_identity,
        laws.one,
        r"W = I",
        "recurrent relu weights: the state is kept; no randomness at all",
        "Le, Jaitly & Hinton 2015",
        ensemble="patterned",
    ),
    Initializer(
        "zero_hadamard",
        matrices.draw_zero_hadamard,
        laws.one,
        r"W = I,\ \text{or}\ 2^{-m/2} H_m\ \text{where a layer widens}",
        "ZerO: a deterministic start that breaks symmetry",
        "Zhao, Schaefer & Anandkumar 2022, normalized as in the authors' code",
        ensemble="patterned",
    ),
    Initializer(
        "zero_hadamard_paper",
        matrices.draw_zero_hadamard_paper,
        laws.one,
        r"W = I,\ \text{or}\ 2^{-(m-1)/2} H_m\ \text{where a layer widens}",
        "ZerO as its paper writes it: widening layers are sqrt(2) larger than in the code",
        "Zhao, Schaefer & Anandkumar 2022, normalized as in the paper's text",
        ensemble="patterned",
    ),
    Initializer(
        "sparse",
        matrices.draw_sparse,
        lambda fan: 1 / math.sqrt(min(15, fan.fan_in)),
        r"15\ \text{incoming weights a unit},\ \mathrm{Var}\,W = 1/15",
        "wide layers whose units should differ much",
        "Martens 2010, rescaled to unit output variance",
        ensemble="patterned",
    ),
    Initializer(
        "torch_default",
        matrices.draw_uniform,
        lambda fan: math.sqrt(1 / (3 * fan.fan_in)),
        r"W_{ij}, b_i \sim \mathcal{U}(\pm\sqrt{1/\mathrm{fan\_in}})",
        "what torch.nn.Linear does unasked: a third of LeCun's variance, and random biases",
        "PyTorch's nn.Linear: kaiming_uniform_ with a = sqrt(5)",
        bias_scale=lambda fan: math.sqrt(1 / (3 * fan.fan_in)),
    ),
    Initializer(
        "mup",
        matrices.draw_truncated_normal,
        laws.mup,
        r"\mathrm{Var}\,W = 1/\mathrm{fan\_in},\ \text{readout}\ 1/\mathrm{fan\_in}^2",
        "to keep one learning rate over all widths",
        "Yang, Hu et al. 2022",
    ),
):
    INITIALIZERS.add(_entry, _SYNONYMS.get(_entry.name, ()))
INITIALIZERS.add(emergence())
for _base, _kinds, _quick, _words in (
    (
        "orthogonal",
        ("Setting", "Residual"),
        True,
        {
            "name": "lsuv",
            "law": r"W_l \to W_l / \sqrt{\mathrm{Var}\,z_l}\ \text{on a batch, layer by layer}",
            "when": "any activation at any depth: the scale is measured, so gain says nothing",
            "source": "Mishkin & Matas 2016",
        },
    ),
    (
        "normal",
        ("Setting",),
        True,
        {
            "name": "data_dependent",
            "law": r"\text{each}\ z_{lj}\ \text{to mean 0, variance 1; then equal}\ |g_l| / |W_l|",
            "when": "to let all layers learn at one rate; needs a bias in every unit",
            "source": "Kraehenbuehl, Doersch, Donahue & Darrell 2016",
        },
    ),
    (
        "he_normal",
        ("Setting", "Residual"),
        False,
        {
            "name": "metainit",
            "law": r"\min_{|W_l|}\ \tfrac{1}{N} \sum |(g - Hg) / g - 1|",
            "when": "no formula for the architecture: gradients that a step hardly changes",
            "source": "Dauphin & Schoenholz 2019",
        },
    ),
    (
        "he_normal",
        ("Setting", "Residual"),
        False,
        {
            "name": "gradinit",
            "law": r"\min_{m}\ L(m \theta - \eta A[g])\ \text{with}\ |g| \le \gamma",
            "when": "no formula for the architecture: the lowest loss after one step",
            "source": "Zhu, Ni, Xu, Kong, Huang & Goldstein 2021",
        },
    ),
):
    _fitted = {"fitted_by": _words["name"], "kinds": _kinds, "quick": _quick}
    _entry = dataclasses.replace(INITIALIZERS[_base], **_words, **_fitted, ensemble="patterned")
    INITIALIZERS.add(_entry)


def menu(kind: type | None = None) -> list[str]:
    """Names of the starts that sliders can follow, of any network or of one kind of setting."""
    return [
        name
        for name, entry in INITIALIZERS.items()
        if entry.quick and (kind is None or can_start(kind, entry))
    ]


def can_start(kind: type, entry: Initializer) -> bool:
    """Whether a kind of setting can have a start: all that is drawn, and some that is fitted."""
    return entry.fitted_by is None or kind.__name__ in entry.kinds
