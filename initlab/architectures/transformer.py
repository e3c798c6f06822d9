"""Small transformers on digits: each row of pixels is a token, and attends to all others.

Layer 1 is the embedding of the rows, and each block one layer more: attention and a feedforward
part, which both add to the stream that runs past them. The readout reads the mean over tokens.
There are no biases, and layer normalization has no learned factor: at the start these are 0 and 1.

Positional embeddings are random, as those that are learned start: a recipe says how large they
are, which a fixed sinusoid would leave out.

Shapes: B examples, T tokens, n units (width), H heads of d = n / H units, K classes.
"""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.activations import ACTIVATIONS
from initlab.architectures.chain import Arrays, Chain, ChainSetting, Knobs, Layer, activation_knobs
from initlab.architectures.draws import Matrix
from initlab.architectures.images import image_side
from initlab.architectures.normalization import NORMALIZATIONS
from initlab.architectures.transformer_starts import STARTS, Sizes
from initlab.matrices import draw_normal
from initlab.measures import mean, product
from initlab.parameters import Weights
from initlab.remedy import candidates
from initlab.setting import (
    MAX_SCALE,
    MAX_SEED,
    bounded_number,
    choice,
    entry_of,
    one_of,
    one_of_numbers,
    whole_number,
)

MAX_BLOCKS = 32
MAX_UNITS = 1024
HEADS = (1, 2, 4, 8, 16)
PLACEMENTS = ("pre", "post", "none")


@dataclasses.dataclass(frozen=True)
class _Transformer(Chain):
    heads: int
    tokens: int

    def first(self, weights: Arrays, knobs: Knobs, inputs: jax.Array) -> jax.Array:
        rows = inputs.reshape(len(inputs), self.tokens, -1)
        return product(rows, weights["embedding"]) + weights["position"]

    def step(
        self, weights: Arrays, knobs: Knobs, inputs: jax.Array, layer: Layer, state: jax.Array
    ) -> jax.Array:
        return self._block(weights, knobs, state)[0]

    def observe(
        self,
        weights: Arrays,
        knobs: Knobs,
        inputs: jax.Array,
        layer: Layer,
        before: jax.Array,
        state: jax.Array,
    ) -> Arrays:
        _, logits, z = self._block(weights, knobs, before)
        likelihood = jax.nn.log_softmax(logits)
        # a sum of many like numbers rounds them all one way; what they lack of the most is small
        most = math.log(self.tokens)
        lacking = most + jnp.sum(jnp.exp(likelihood) * likelihood, axis=-1)
        attention = {
            "attention_logit_std": jnp.sqrt(mean(logits**2)),
            "attention_entropy": most - mean(lacking),
        }
        missing = {name: jnp.where(layer > 0, value, jnp.nan) for name, value in attention.items()}
        flat = self.flatness(knobs, z)
        return missing | {name: jnp.where(layer > 0, share, 0.0) for name, share in flat.items()}

    def summary(self, knobs: Knobs, activation: jax.Array) -> jax.Array:
        return jnp.mean(self._normalize(knobs["pre"], activation), axis=1)

    def _block(self, weights, knobs, stream):
        """The next stream, attention's logits ``[B, H, T, T]``, feedforward preactivations."""
        added, logits = self._attend(weights, knobs, self._normalize(knobs["pre"], stream))
        stream = self._normalize(knobs["post"], stream + added)
        z = product(self._normalize(knobs["pre"], stream), weights["inner"])
        stream = stream + product(self.phi(knobs, z), weights["outer"])
        return self._normalize(knobs["post"], stream), logits, z

    def _attend(self, weights, knobs, x):
        parts = self.heads, self.units // self.heads
        query, key, value = (
            product(x, weights[name]).reshape(*x.shape[:2], *parts)
            for name in ("query", "key", "value")
        )
        exact = lax.Precision.HIGHEST
        logits = jnp.einsum("bthd,bshd->bhts", query, key, precision=exact)
        logits = logits * knobs["logit_scale"]
        heard = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(logits), value, precision=exact)
        return product(heard.reshape(x.shape), weights["out"]), logits

    def _normalize(self, here, x):
        return lax.cond(here, NORMALIZATIONS["layer"], NORMALIZATIONS["none"], x)


@dataclasses.dataclass(frozen=True)
class Transformer(ChainSetting):
    """A transformer that classifies an image by its rows, and its start.

    ``Signals.more`` has, by layer, NaN for the embedding: ``attention_entropy``, the mean entropy
    of what a token attends to, in nats, at most ln T; and ``attention_logit_std``, the root mean
    square of attention's logits, whose mean is 0 over random weights.

    Args:
      blocks: attention and a feedforward part each, 1 to 32. The depth is one more.
      width: units of the stream, 1 to 1024; feedforward parts have four times as many.
      heads: of attention, 1, 2, 4, 8 or 16; they divide the width.
      normalization: layer normalization "pre", before each part and the readout; "post", after
        each sum; or "none".
      activation: a name in the catalogue of activations.
      start: the scales of the weights, a name in ``STARTS``: gpt2, glorot, lecun, t_fixup,
        zero_readout or mup.
      gain: factor on all weights; 0 or more.
      attention_gain: factor on the queries' weights, and so on attention's logits; 0 or more.
      seed: which random numbers are drawn; 0 to 2^32 - 1.

    Raises:
      ValueError: a value that is out of range or unknown, heads that do not divide the width, a
        normalization over one unit; when probed, a batch whose examples are no square images.
      TypeError: a value of the wrong type.

    >>> from initlab import probe
    >>> silent = probe(Transformer(blocks=2, attention_gain=0.0))
    >>> silent.more["attention_entropy"].round(4)  # ln 8: all tokens are heard alike
    array([   nan, 2.0794, 2.0794])
    """

    blocks: int = choice(12, whole_number, 1, MAX_BLOCKS)
    width: int = choice(64, whole_number, 1, MAX_UNITS)
    heads: int = choice(4, one_of_numbers, HEADS)
    normalization: str = choice("pre", one_of, PLACEMENTS)
    activation: str = choice("gelu", entry_of, ACTIVATIONS)
    start: str = choice("gpt2", entry_of, STARTS)
    gain: float = choice(1.0, bounded_number, MAX_SCALE)
    attention_gain: float = choice(1.0, bounded_number, MAX_SCALE)
    seed: int = choice(0, whole_number, 0, MAX_SEED)

    max_depth: ClassVar[int] = MAX_BLOCKS + 1
    examples: ClassVar[int] = 32
    counted: ClassVar[str] = "blocks"
    compiled: ClassVar[tuple[str, ...]] = ("width", "heads")
    more: ClassVar[tuple[str, ...]] = ("attention_entropy", "attention_logit_std")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            fitting = [heads for heads in HEADS if self.width % heads == 0]
            nearest = min(fitting, key=lambda heads: abs(heads - self.heads))
            raise ValueError(
                f"heads must divide the width, {self.width}, so that each has as many units:"
                f" {', '.join(map(str, fitting))}, not {self.heads}; the nearest is {nearest}"
            )
        if self.width == 1 and self.normalization != "none":
            raise ValueError(
                f"normalization {self.normalization!r} is over the units of a token, and over one"
                f" unit it leaves nothing but 0; with it, width must be 2 to {MAX_UNITS}, not 1;"
                " the nearest is 2"
            )

    @property
    def depth(self) -> int:
        """Layers that are measured: the embedding, and the blocks."""
        return self.blocks + 1

    def chain(self, features: int, classes: int) -> Chain:
        """What is compiled."""
        activations, _ = activation_knobs(self.activation)
        sizes = self.max_depth, self.width, features, classes
        return _Transformer(*sizes, activations, self.heads, image_side(features))

    def knobs(self) -> Knobs:
        """The numbers that may change without compiling."""
        _, knobs = activation_knobs(self.activation)
        places = {place: np.bool_(place == self.normalization) for place in ("pre", "post")}
        logit_scale = STARTS[self.start].logit_scale(self.width // self.heads)
        return knobs | places | {"logit_scale": np.float32(logit_scale)}

    def sizes(self, features: int, classes: int) -> Sizes:
        """What the start's laws read."""
        return Sizes(image_side(features), self.width, classes, self.blocks)

    def matrices(self, features: int, classes: int) -> Weights:
        """What is drawn."""
        shapes = self.sizes(features, classes).fans()
        shapes["position"] = image_side(features), self.width
        return _parts({name: Matrix(draw_normal, shape) for name, shape in shapes.items()})

    def scales(self, features: int, classes: int) -> Weights:
        """What the draws are multiplied by."""
        scales = STARTS[self.start].scales(self.sizes(features, classes))
        scales["query"] *= self.attention_gain
        parts = _parts({name: np.float32(self.gain * scale) for name, scale in scales.items()})
        layers = np.ones(self.max_depth - 1, np.float32)
        return parts._replace(layers={name: scale * layers for name, scale in parts.layers.items()})

    def learning_rates(self, features: int, classes: int) -> Weights:
        """By what the start multiplies Adam's learning rate for each array, a number each."""
        return _parts(STARTS[self.start].learning_rates(self.sizes(features, classes)))


def _parts(arrays: dict) -> Weights:
    """What is known of each array, by the part of the network that it belongs to."""
    first = {name: arrays[name] for name in ("embedding", "position")}
    layers = {name: one for name, one in arrays.items() if name not in (*first, "readout")}
    return Weights(first, layers, {"weight": arrays["readout"]})


@candidates.register
def _candidates(setting: Transformer):
    plain = setting.replace(gain=1.0, attention_gain=1.0)
    yield setting.replace(attention_gain=1.0)
    yield plain
    yield plain.replace(normalization="pre")
    for start in ("glorot", "gpt2"):
        yield plain.replace(start=start)
        yield plain.replace(start=start, normalization="pre")
    yield plain.replace(start="t_fixup", normalization="none")
