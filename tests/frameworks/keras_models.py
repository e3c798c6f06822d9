"""Models in Keras 3 on its JAX backend, as one writes them, with the library's own initializers."""

import jax.numpy as jnp
import keras
from keras import layers

from tests.frameworks import data


def _made(inputs, outputs, batch):
    model = keras.Model(inputs, outputs)
    others = [variable.value for variable in model.non_trainable_variables]

    def function(params, batch):
        values = [params[variable.path] for variable in model.trainable_variables]
        outputs, _ = model.stateless_call(values, others, batch, training=True)
        return outputs

    return function, {one.path: one.value for one in model.trainable_variables}, batch


def _begin():
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()  # names of layers count from here


def mlp(depth=6, width=64, activation="relu", **options):
    _begin()
    x = inputs = layers.Input(data.FEATURES.shape[1:])
    for _ in range(depth):
        x = layers.Dense(width, activation, **options)(x)
    return _made(inputs, layers.Dense(data.CLASSES)(x), data.FEATURES)


def convnet(depth=6, channels=32):
    _begin()
    x = inputs = layers.Input(data.IMAGES.shape[1:])
    for _ in range(depth):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    return _made(inputs, layers.Dense(data.CLASSES)(layers.Flatten()(x)), data.IMAGES)


def resnet(channels=(16, 16, 32, 32)):
    _begin()

    def conv(x, count, size=3, stride=1):
        x = layers.Conv2D(count, size, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = layers.Input(data.IMAGES.shape[1:])
    x = layers.ReLU()(conv(inputs, channels[0]))
    last = channels[0]
    for count in channels:
        stride = 1 if count == last else 2
        y = conv(layers.ReLU()(conv(x, count, stride=stride)), count)
        x = layers.ReLU()(layers.add([y, x if count == last else conv(x, count, 1, stride)]))
        last = count
    x = layers.Dense(data.CLASSES)(layers.GlobalAveragePooling2D()(x))
    return _made(inputs, x, data.IMAGES)


def transformer(width=32, depth=6):
    _begin()
    inputs = layers.Input(data.TOKENS.shape[1:], dtype="int32")
    x = layers.Embedding(data.VOCABULARY, width)(inputs)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(4, width // 4)(y, y, use_causal_mask=True)
        x = layers.add([x, y])
        y = layers.Dense(4 * width, "gelu")(layers.LayerNormalization()(x))
        x = layers.add([x, layers.Dense(width)(y)])
    x = layers.Dense(data.VOCABULARY)(layers.LayerNormalization()(x))
    return _made(inputs, x, jnp.asarray(data.TOKENS))


def lstm(width=32):
    _begin()
    inputs = layers.Input(data.SEQUENCES.shape[1:])
    x = layers.Dense(data.CLASSES)(layers.LSTM(width)(inputs))
    return _made(inputs, x, data.SEQUENCES)
