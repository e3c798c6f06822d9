"""The coordinate check: does one learning rate move networks of all widths by as much?"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from initlab.architectures.chain import Chain, observed_answer
from initlab.architectures.draws import Matrix, key_of
from initlab.architectures.transformer import Transformer
from initlab.checking import several, short
from initlab.data import Batch, digits
from initlab.parameters import Weights
from initlab.setting import MAX_SCALE, bounded_number, is_number, whole_number

WIDTHS = (64, 128, 256, 512, 1024)
MAX_STEPS = 100


@dataclasses.dataclass(frozen=True, eq=False)
class CoordinateCheck:
    """How large activations are, by width, after each of a few steps of training."""

    setting: Transformer  # at the smallest width
    learning_rate: float
    widths: np.ndarray  # [W]
    #: [W, steps + 1, depth + 1] mean of ``|x|`` over batch and units, by layer, the logits last
    mean_absolute: np.ndarray

    @property
    def growth(self) -> np.ndarray:
        """``[steps + 1, depth + 1]``: the power of width by which the mean of \\|x\\| grows.

        The slope of a straight line through its logarithm. 0 is flat; 1 is as the width.
        """
        x, y = np.log(self.widths), np.log(self.mean_absolute)
        x = x - x.mean()
        return np.tensordot(x, y, axes=(0, 0)) / (x @ x)

    def __str__(self) -> str:
        layers = [f"layer {index}" for index in range(1, self.mean_absolute.shape[2])]
        lines = ["width" + "".join(f"{name:>10}" for name in (*layers, "logits"))]
        rows = zip(self.widths, self.mean_absolute[:, -1], strict=True)
        lines += [f"{width:5d}" + "".join(f"{x:10.3g}" for x in row) for width, row in rows]
        return "\n".join([*lines, "power" + "".join(f"{x:10.2f}" for x in self.growth[-1])])


#: what is drawn, by part of the network, in a form that can be compiled for
Matrices = tuple[tuple[tuple[str, Matrix], ...], ...]


@functools.partial(jax.jit, static_argnames=("matrices", "layers"))
def _draw(matrices: Matrices, layers: int, scales: Weights, seed) -> Weights:
    """Only the layers that there are: the draws that are kept have room for all there might be."""
    parts = []
    for place, (arrays, own) in enumerate(zip(matrices, scales, strict=True)):
        part = {}
        for position, (name, matrix) in enumerate(arrays):
            key = key_of(seed, place, position)
            shape = (layers, *matrix.shape) if place == 1 else matrix.shape
            part[name] = own[name] * jax.random.normal(key, shape)
        parts.append(part)
    return Weights(*parts)


def _size(x):
    return jnp.mean(jnp.abs(x))


def _pass(chain: Chain, knobs, parameters: Weights, inputs):
    """Logits, and the mean of |x| of each layer and of the logits."""
    depth = 1 + len(parameters.layers["inner"])
    logits, first, others = observed_answer(chain, knobs, depth, parameters, inputs, _size)
    return logits, jnp.concatenate([first[None], others, _size(logits)[None]])


@functools.partial(jax.jit, static_argnames=("chain", "steps"))
def _train(chain: Chain, steps: int, knobs, parameters: Weights, rates: Weights, inputs, labels):
    """The mean of |x| by layer before each step and after the last: ``[steps + 1, depth + 1]``."""
    adam = optax.scale_by_adam()

    def loss(parameters):
        logits, sizes = _pass(chain, knobs, parameters, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), sizes

    def step(carry, _):
        parameters, state = carry
        gradient, sizes = jax.grad(loss, has_aux=True)(parameters)
        direction, state = adam.update(gradient, state)
        moved = jax.tree.map(lambda p, rate, d: p - rate * d, parameters, rates, direction)
        return (moved, state), sizes

    start = parameters, adam.init(parameters)
    (parameters, _), sizes = lax.scan(step, start, length=steps)
    return jnp.concatenate([sizes, _pass(chain, knobs, parameters, inputs)[1][None]])


def coordinate_check(
    setting: Transformer,
    widths: Sequence[int] = WIDTHS,
    steps: int = 3,
    learning_rate: float = 0.01,
    batch: Batch | None = None,
) -> CoordinateCheck:
    """Train transformers of several widths for a few steps of Adam, and see how large they become.

    Each array's learning rate is the start's own: with muP, ``learning_rate`` is that of the
    smallest width, and hidden arrays learn in inverse proportion to their fan_in. Under muP what
    a layer's units become does not depend on the width; where all learn at one rate, it grows.

    Args:
      setting: all but the width.
      widths: two or more.
      steps: how many, 1 to 100, all on one batch.
      learning_rate: Adam's, above 0.
      batch: by default 16 of the handwritten digits.

    Raises:
      ValueError: fewer than two widths, or a value out of range.
      TypeError: a setting that is no Transformer.

    Source: Yang, Hu et al. 2022 (arXiv 2203.03466), appendix D.1.

    >>> from initlab.architectures import Transformer
    >>> narrow = Transformer(blocks=1, start="mup", heads=1)
    >>> coordinate_check(narrow, widths=(8, 16), steps=1).mean_absolute.shape
    (2, 2, 3)
    """
    if not isinstance(setting, Transformer):
        raise TypeError(f"coordinate_check takes a Transformer(start='mup'), not {short(setting)}")
    widths = several("widths", widths, (64, 128))
    settings = {setting.replace(width=width) for width in widths}
    settings = sorted(settings, key=lambda setting: setting.width)
    if len(settings) < 2:
        raise ValueError(f"widths must be two or more, such as 64 and 128, not {short(widths)}")
    steps = whole_number("steps", steps, 1, MAX_STEPS)
    if is_number(learning_rate) and learning_rate <= 0:
        raise ValueError(f"learning_rate must be above 0, such as 0.01, not {learning_rate:g}")
    learning_rate = bounded_number("learning_rate", learning_rate, MAX_SCALE)
    batch = digits(16) if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    sizes = batch.inputs.shape[1], batch.classes
    base = settings[0].learning_rates(*sizes)
    found = []
    for one in settings:
        rates = jax.tree.map(
            lambda rate, at_base: np.float32(learning_rate * rate / at_base),
            one.learning_rates(*sizes),
            base,
        )
        matrices = tuple(tuple(part.items()) for part in one.matrices(*sizes))
        scales = one.scales(*sizes)
        scales = scales._replace(layers={name: scale[0] for name, scale in scales.layers.items()})
        parameters = _draw(matrices, one.blocks, scales, np.uint32(one.seed))
        chain, knobs = one.chain(*sizes), one.knobs()
        # no menu here: one activation compiles in a third of the time that all take
        chosen = chain.activations[int(knobs["activation"])]
        chain = dataclasses.replace(chain, activations=(chosen,))
        knobs |= {"activation": np.int32(0)}
        found.append(_train(chain, steps, knobs, parameters, rates, batch.inputs, batch.labels))
    return CoordinateCheck(
        settings[0],
        float(learning_rate),
        np.array([one.width for one in settings]),
        np.asarray(jax.device_get(found), np.float64),
    )
