"""Models in Haiku, as one writes them, with the library's own initializers."""

import haiku as hk
import jax
import jax.numpy as jnp

from tests.frameworks import data


def _made(build, batch):
    model = hk.transform_with_state(lambda batch: build(batch))
    params, state = model.init(jax.random.key(0), batch)

    def function(params, batch):
        return model.apply(params, state, None, batch)[0]

    return function, params, batch


def mlp(depth=6, width=64, activation=jax.nn.relu):
    def build(x):
        return hk.nets.MLP([*[width] * depth, data.CLASSES], activation=activation)(x)

    return _made(build, data.FEATURES)


def convnet(depth=6, channels=32):
    def build(x):
        for _ in range(depth):
            x = jax.nn.relu(hk.Conv2D(channels, 3)(x))
        return hk.Linear(data.CLASSES)(hk.Flatten()(x))

    return _made(build, data.IMAGES)


def resnet():
    """Haiku's own, with four stages of one block."""

    def build(images):
        network = hk.nets.ResNet(
            blocks_per_group=(1, 1, 1, 1),
            num_classes=data.CLASSES,
            bottleneck=False,
            channels_per_group=(16, 16, 32, 32),
            use_projection=(False, True, True, True),
            initial_conv_config={"output_channels": 16},
        )
        return network(images, is_training=True)

    return _made(build, data.IMAGES)


def transformer(width=32, depth=6):
    def norm():
        return hk.LayerNorm(-1, True, True)

    def layer(x):
        mask = jnp.tril(jnp.ones((1, 1, x.shape[1], x.shape[1]), bool))
        attention = hk.MultiHeadAttention(4, width // 4, w_init=hk.initializers.VarianceScaling())
        y = norm()(x)
        x = x + attention(y, y, y, mask=mask)
        y = jax.nn.gelu(hk.Linear(4 * width)(norm()(x)))
        return x + hk.Linear(width)(y)

    def build(tokens):
        positions = hk.get_parameter(
            "positions", (tokens.shape[1], width), init=hk.initializers.RandomNormal(0.02)
        )
        x = hk.Embed(data.VOCABULARY, width)(tokens) + positions
        x = hk.experimental.layer_stack(depth)(layer)(x)
        return hk.Linear(data.VOCABULARY)(norm()(x))

    return _made(build, jnp.asarray(data.TOKENS))


def lstm(width=32):
    def build(x):
        core = hk.LSTM(width)
        x, _ = hk.dynamic_unroll(core, x, core.initial_state(len(x)), time_major=False)
        return hk.Linear(data.CLASSES)(x[:, -1])

    return _made(build, data.SEQUENCES)
