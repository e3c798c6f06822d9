r"""The catalogue of initializers: name -> what is drawn, and by what it is multiplied.

Every entry is a *draw* (a matrix whose entries have variance 1, or a fixed pattern) times a
*scale* that follows from the layer's fans. Drawing is the slow part and scaling the lesson, so
entries that differ by their scale alone share one draw: going from LeCun to He rescales the
same random numbers. Weights are ``[fan_in, fan_out]``.

To add one to every slider, table, plot and test, add an entry to ``INITIALIZERS``, or call
:func:`initlab.register_initializer` in a notebook.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.catalogue import Catalogue

FIXED_SCALE = (
    0.05  # of the starts that ignore fans; Keras' default for RandomNormal and RandomUniform
)


class Fan(NamedTuple):
    """Where a weight matrix stands: its fans, and which of the ``depth + 1`` matrices it is."""

    fan_in: int
    fan_out: int
    layer: int = 1  # 1 reads the input, depth + 1 is the readout
    depth: int = 1  # hidden layers


@dataclasses.dataclass(frozen=True)
class Initializer:
    """A start for a layer's weights: ``gain * scale(fan) * draw(key, (fan_in, fan_out))``."""

    name: str
    draw: Callable = dataclasses.field(repr=False)  # (key, shape) -> jax.Array, float32
    scale: Callable = dataclasses.field(repr=False)  # Fan -> float
    law: str = ""  # LaTeX, without dollar signs
    when: str = ""
    source: str = ""
    #: what theory may assume: entries independent with variance ``scale^2``, a random orthogonal
    #: matrix times ``scale``, or nothing
    ensemble: Literal["independent", "orthogonal", "patterned"] = "independent"
    #: standard deviation of a uniform bias that belongs to the start itself: Fan -> float
    bias_scale: Callable = dataclasses.field(default=lambda fan: 0.0, repr=False)


# --- draws -----------------------------------------------------------------------------------


def draw_normal(key, shape):
    """Standard normal entries."""
    return jax.nn.initializers.normal(1.0)(key, shape, jnp.float32)


def draw_truncated_normal(key, shape):
    """Normal entries cut at two standard deviations, then rescaled to variance 1.

    This is what ``jax.nn.initializers.he_normal`` and its kin draw; PyTorch's do not cut.
    The largest entry is 2 / 0.87962566103423978 = 2.2737.
    """
    return jax.nn.initializers.variance_scaling(float(shape[0]), "fan_in", "truncated_normal")(
        key, shape, jnp.float32
    )


def draw_uniform(key, shape):
    """Entries uniform in [-sqrt(3), sqrt(3)): variance 1."""
    return jax.nn.initializers.variance_scaling(float(shape[0]), "fan_in", "uniform")(
        key, shape, jnp.float32
    )


def draw_orthogonal(key, shape):
    """A random matrix with orthonormal rows or columns, uniform in Haar's sense."""
    return jax.nn.initializers.orthogonal()(key, shape, jnp.float32)


def draw_delta_orthogonal(key, shape):
    """Zero but for the kernel's central tap, which is orthogonal; a dense layer is one such tap."""
    if len(shape) == 2:
        return draw_orthogonal(key, shape)
    return jax.nn.initializers.delta_orthogonal()(key, shape, jnp.float32)


def draw_ones(key, shape):
    """Every entry 1: the neurons of a layer are copies of each other."""
    return jnp.ones(shape, jnp.float32)


def draw_identity(key, shape):
    """Ones on the diagonal; passes the first ``min(shape)`` inputs on."""
    return jnp.eye(*shape, dtype=jnp.float32)


def hadamard(fan_in: int, fan_out: int) -> np.ndarray:
    """The first rows and columns of Sylvester's matrix: ``(-1)^popcount(i & j)``."""
    bits = np.bitwise_and.outer(np.arange(fan_in), np.arange(fan_out))
    parity = np.zeros_like(bits)
    while bits.any():
        parity, bits = parity ^ (bits & 1), bits >> 1
    return (1 - 2 * parity).astype(np.float32)


def draw_zero_hadamard(key, shape):
    """ZerO's pattern: identity, partial identity where a layer narrows, Hadamard where it widens.

    In the authors' code's normalization, ``2^(-m/2)`` with ``m = ceil(log2 fan_out)``, which
    makes a Hadamard matrix orthonormal. The paper's text has ``2^(-(m-1)/2)``.
    """
    fan_in, fan_out = shape
    if fan_out <= fan_in:
        return draw_identity(key, shape)
    m = math.ceil(math.log2(fan_out))
    return jnp.asarray(hadamard(fan_in, fan_out) * 2 ** (-m / 2))


def draw_zero_hadamard_paper(key, shape):
    """As :func:`draw_zero_hadamard`, with the Hadamard part as the paper's text scales it."""
    fan_in, fan_out = shape
    return draw_zero_hadamard(key, shape) * (2**0.5 if fan_out > fan_in else 1.0)


def draw_sparse(key, shape, connections: int = 15):
    """Each unit has ``connections`` incoming standard normal weights, the rest are zero."""
    pick, value = jax.random.split(key)
    fan_in, fan_out = shape
    connections = min(connections, fan_in)
    _, rows = jax.lax.top_k(jax.random.uniform(pick, (fan_out, fan_in)), connections)
    weights = jax.random.normal(value, (fan_out, connections))
    return jnp.zeros(shape).at[rows, jnp.arange(fan_out)[:, None]].set(weights)


# --- laws ------------------------------------------------------------------------------------


def _lecun(fan: Fan) -> float:
    return math.sqrt(1 / fan.fan_in)


def _glorot(fan: Fan) -> float:
    return math.sqrt(2 / (fan.fan_in + fan.fan_out))


def _he(fan: Fan) -> float:
    return math.sqrt(2 / fan.fan_in)


def _fixed(fan: Fan) -> float:
    return FIXED_SCALE


def _one(fan: Fan) -> float:
    return 1.0


def _mup(fan: Fan) -> float:
    return 1 / fan.fan_in if fan.layer == fan.depth + 1 else math.sqrt(1 / fan.fan_in)


def steps_from_pivot(fan: Fan, pivot: float | None = None) -> int:
    """Whole steps of a layer from the pivot: negative before it, positive behind it.

    The pivot is the middle of the ``depth + 1`` weight matrices unless given; where the middle
    falls between two matrices, these are one step away, and none is at 0.
    """
    offset = fan.layer - ((fan.depth + 2) / 2 if pivot is None else pivot)
    return int(math.copysign(math.ceil(abs(offset)), offset))


def emergence(base: str = "he_normal", alpha: float = 1.05, pivot: float | None = None):
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


INITIALIZERS = Catalogue("initializer")
for _entry, *_synonyms in (
    (
        Initializer(
            "zeros",
            draw_ones,
            lambda fan: 0.0,
            r"W = 0",
            "biases, and the last layer of a residual branch; never all hidden weights",
            "Rumelhart, Hinton & Williams 1986",
            ensemble="patterned",
        ),
    ),
    (
        Initializer(
            "constant",
            draw_ones,
            _fixed,
            r"W_{ij} = 0.05",
            "to see symmetry: all neurons of a layer stay one neuron",
            "Rumelhart, Hinton & Williams 1986",
            ensemble="patterned",
        ),
    ),
    (
        Initializer(
            "normal",
            draw_normal,
            _fixed,
            r"W_{ij} \sim \mathcal{N}(0,\ 0.05^2)",
            "to see what a scale that ignores the fans does",
            "Keras' RandomNormal",
        ),
    ),
    (
        Initializer(
            "uniform",
            draw_uniform,
            lambda fan: FIXED_SCALE / math.sqrt(3),
            r"W_{ij} \sim \mathcal{U}(-0.05,\ 0.05)",
            "as normal; its variance is a third of the bound squared",
            "Keras' RandomUniform",
        ),
    ),
    (
        Initializer(
            "truncated_normal",
            draw_truncated_normal,
            _fixed,
            r"W_{ij} \sim \mathcal{N}(0,\ 0.05^2)\ \text{cut at}\ 2.27 \times 0.05",
            "as normal without rare large weights; the standard deviation is that after the cut",
            "jax.nn.initializers.variance_scaling",
        ),
    ),
    (
        Initializer(
            "lecun_normal",
            draw_truncated_normal,
            _lecun,
            r"\mathrm{Var}\,W = 1/\mathrm{fan\_in}",
            "linear and selu layers; JAX's and Flax's default (truncated)",
            "LeCun, Bottou, Orr & Mueller 1998",
        ),
    ),
    (
        Initializer(
            "lecun_uniform",
            draw_uniform,
            _lecun,
            r"W_{ij} \sim \mathcal{U}(\pm\sqrt{3/\mathrm{fan\_in}})",
            "as lecun_normal, with bounded weights",
            "LeCun, Bottou, Orr & Mueller 1998",
        ),
    ),
    (
        Initializer(
            "glorot_normal",
            draw_truncated_normal,
            _glorot,
            r"\mathrm{Var}\,W = 2/(\mathrm{fan\_in} + \mathrm{fan\_out})",
            "tanh: a compromise between the forward and the backward pass",
            "Glorot & Bengio 2010",
        ),
        "xavier_normal",
    ),
    (
        Initializer(
            "glorot_uniform",
            draw_uniform,
            _glorot,
            r"W_{ij} \sim \mathcal{U}(\pm\sqrt{6/(\mathrm{fan\_in} + \mathrm{fan\_out})})",
            "as glorot_normal; the default of Keras",
            "Glorot & Bengio 2010",
        ),
        "xavier_uniform",
    ),
    (
        Initializer(
            "he_normal",
            draw_truncated_normal,
            _he,
            r"\mathrm{Var}\,W = 2/\mathrm{fan\_in}",
            "relu: makes up for the half that relu sets to zero",
            "He, Zhang, Ren & Sun 2015",
        ),
        "kaiming_normal",
    ),
    (
        Initializer(
            "he_uniform",
            draw_uniform,
            _he,
            r"W_{ij} \sim \mathcal{U}(\pm\sqrt{6/\mathrm{fan\_in}})",
            "as he_normal, with bounded weights",
            "He, Zhang, Ren & Sun 2015",
        ),
        "kaiming_uniform",
    ),
    (
        Initializer(
            "orthogonal",
            draw_orthogonal,
            _one,
            r"W^\top W = I\ \text{or}\ W W^\top = I",
            "deep linear or tanh networks, recurrent weights: keeps every length, not the mean",
            "Saxe, McClelland & Ganguli 2014",
            ensemble="orthogonal",
        ),
    ),
    (
        Initializer(
            "delta_orthogonal",
            draw_delta_orthogonal,
            _one,
            r"W_{k} = 0\ \text{but}\ W_{\mathrm{centre}}^\top W_{\mathrm{centre}} = I",
            "convolutions without normalization; in a dense layer it is orthogonal",
            "Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018",
            ensemble="orthogonal",
        ),
    ),
    (
        Initializer(
            "identity",
            draw_identity,
            _one,
            r"W = I",
            "recurrent relu weights: the state is kept; no randomness at all",
            "Le, Jaitly & Hinton 2015",
            ensemble="patterned",
        ),
    ),
    (
        Initializer(
            "zero_hadamard",
            draw_zero_hadamard,
            _one,
            r"W = I,\ \text{or}\ 2^{-m/2} H_m\ \text{where a layer widens}",
            "ZerO: a deterministic start that breaks symmetry",
            "Zhao, Schaefer & Anandkumar 2022, normalized as in the authors' code",
            ensemble="patterned",
        ),
    ),
    (
        Initializer(
            "zero_hadamard_paper",
            draw_zero_hadamard_paper,
            _one,
            r"W = I,\ \text{or}\ 2^{-(m-1)/2} H_m\ \text{where a layer widens}",
            "ZerO as its paper writes it: widening layers are sqrt(2) larger than in the code",
            "Zhao, Schaefer & Anandkumar 2022, normalized as in the paper's text",
            ensemble="patterned",
        ),
    ),
    (
        Initializer(
            "sparse",
            draw_sparse,
            lambda fan: 1 / math.sqrt(min(15, fan.fan_in)),
            r"15\ \text{incoming weights a unit},\ \mathrm{Var}\,W = 1/15",
            "wide layers whose units should differ much",
            "Martens 2010, rescaled to unit output variance",
            ensemble="patterned",
        ),
    ),
    (
        Initializer(
            "torch_default",
            draw_uniform,
            lambda fan: math.sqrt(1 / (3 * fan.fan_in)),
            r"W_{ij}, b_i \sim \mathcal{U}(\pm\sqrt{1/\mathrm{fan\_in}})",
            "what torch.nn.Linear does unasked: a third of LeCun's variance, and random biases",
            "PyTorch's nn.Linear: kaiming_uniform_ with a = sqrt(5)",
            bias_scale=lambda fan: math.sqrt(1 / (3 * fan.fan_in)),
        ),
    ),
    (
        Initializer(
            "mup",
            draw_truncated_normal,
            _mup,
            r"\mathrm{Var}\,W = 1/\mathrm{fan\_in},\ \text{readout}\ 1/\mathrm{fan\_in}^2",
            "to keep one learning rate over all widths",
            "Yang, Hu et al. 2022",
        ),
    ),
):
    INITIALIZERS.add(_entry, tuple(_synonyms))
INITIALIZERS.add(emergence())
