"""Feature maps: what each channel of a convolutional network makes of an image, as pictures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab.architectures.chain import Chain
from initlab.architectures.convolutional import Convolutional
from initlab.checking import short
from initlab.data import Batch, digits
from initlab.figures import DPI, SpokenFigure
from initlab.setting import whole_number
from initlab.starts import weights
from initlab.themes import DIVERGING, THEMES

_COLUMNS = 7  # layers that are shown


@functools.partial(jax.jit, static_argnames=("chain",))
def _maps(chain: Chain, knobs, first, layers, image):
    def step(state, weights):
        state = chain.step(weights, knobs, image, 0, state)
        return state, state

    state = chain.first(first, knobs, image)
    _, rest = lax.scan(step, state, layers)
    return chain.activation(knobs, jnp.concatenate([state[None], rest])[:, 0])


def feature_maps(
    setting: Convolutional, batch: Batch | None = None, example: int = 0
) -> np.ndarray:
    """The activations of every channel of every layer for one image.

    Args:
      setting: a convolutional network and its start.
      batch: images; by default handwritten digits, as for ``probe``.
      example: which of them.

    Returns:
      ``[depth, side, side, width]``.

    Raises:
      TypeError: a setting that is no Convolutional, or an example that is no number.
      ValueError: a batch of no square images, or without such an example.

    >>> from initlab.architectures import Convolutional
    >>> feature_maps(Convolutional(depth=3, width=4)).shape
    (3, 8, 8, 4)
    """
    if not isinstance(setting, Convolutional):
        raise TypeError(
            f"feature maps are those of a Convolutional(depth=8), not of {short(setting)}"
        )
    batch = digits(setting.examples) if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    example = whole_number("example", example, 0, len(batch) - 1)
    sizes = batch.inputs.shape[1], batch.classes
    chain, parameters = setting.chain(*sizes), weights(setting, *sizes)
    image = batch.inputs[example : example + 1]
    return np.asarray(_maps(chain, setting.knobs(), parameters.first, parameters.layers, image))


def plot_features(
    setting: Convolutional, batch: Batch | None = None, example: int = 0, channels: int = 4
) -> SpokenFigure:
    """What the first channels make of one image, layer by layer, as pictures.

    Each layer has its own scale of colours, whose end, the largest value, stands above it.

    Args:
      setting, batch, example: as for :func:`feature_maps`.
      channels: how many rows; at most ``width``.

    Raises:
      TypeError, ValueError: as :func:`feature_maps`.
    """
    maps = feature_maps(setting, batch, example)
    batch = digits(setting.examples) if batch is None else batch
    channels = min(whole_number("channels", channels, 1, 16), setting.width)
    count = min(setting.depth, _COLUMNS)
    shown = np.unique(np.linspace(1, setting.depth, count).round().astype(int))
    figure = SpokenFigure(
        (1.05 * (len(shown) + 1), 1.0 * channels + 0.45),
        dpi=DPI,
        facecolor=THEMES["light"].paper,
    )
    grid = figure.subplots(channels, len(shown) + 1, squeeze=False)
    image = batch.inputs[example].reshape(maps.shape[1:3])
    columns = [("input", np.repeat(image[..., None], channels, axis=-1))]
    columns += [(f"layer {layer}", maps[layer - 1]) for layer in shown]
    for column, (name, values) in zip(grid.T, columns, strict=True):
        largest = np.abs(values).max()
        limit = largest if 0 < largest < np.inf else 1.0
        for channel, axes in enumerate(column):
            axes.set(xticks=[], yticks=[])
            if name == "input" and channel:
                axes.set_visible(False)
                continue
            axes.imshow(values[..., channel], cmap=DIVERGING, vmin=-limit, vmax=limit)
        column[0].set_title(f"{name}\n{largest:.2g}", fontsize=9)
    figure.tight_layout()
    first, last = (np.abs(maps[layer - 1]).max() for layer in shown[[0, -1]])
    apart = maps.std(axis=(1, 2)).mean(axis=1) / np.maximum(np.abs(maps).max(axis=(1, 2, 3)), 1e-30)
    figure.alternative_text = (
        f"An image and what {channels} of {setting.width} channels make of it in layers"
        f" {', '.join(map(str, shown))}. The largest value goes from {first:.2g} to {last:.2g};"
        f" relative to it, a channel varies over positions by {apart[shown[0] - 1]:.2f} in the"
        f" first and by {apart[shown[-1] - 1]:.2f} in the last layer."
    )
    return figure
