"""Models in Equinox, as one writes them, with the library's own initializers."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp

from tests.frameworks import data


class MLP(eqx.Module):
    layers: list
    activation: object = eqx.field(static=True)

    def __init__(self, key, depth=6, width=64, activation=jax.nn.relu):
        sizes = [data.FEATURES.shape[1], *[width] * depth, data.CLASSES]
        keys = jax.random.split(key, depth + 1)
        pairs = zip(itertools.pairwise(sizes), keys, strict=True)
        self.layers = [eqx.nn.Linear(*pair, key=key) for pair, key in pairs]
        self.activation = activation

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class Block(eqx.Module):
    first: eqx.nn.Conv2d
    second: eqx.nn.Conv2d
    norms: list
    shortcut: eqx.nn.Conv2d | None

    def __init__(self, key, fan_in, channels, stride):
        keys = jax.random.split(key, 3)
        self.first = eqx.nn.Conv2d(fan_in, channels, 3, stride, 1, use_bias=False, key=keys[0])
        self.second = eqx.nn.Conv2d(channels, channels, 3, 1, 1, use_bias=False, key=keys[1])
        self.norms = [eqx.nn.GroupNorm(4, channels) for _ in range(2)]
        self.shortcut = None
        if fan_in != channels:
            self.shortcut = eqx.nn.Conv2d(fan_in, channels, 1, stride, key=keys[2])

    def __call__(self, x):
        y = jax.nn.relu(self.norms[0](self.first(x)))
        y = self.norms[1](self.second(y))
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(eqx.Module):
    stem: eqx.nn.Conv2d
    blocks: list
    readout: eqx.nn.Linear

    def __init__(self, key, channels=(16, 16, 32, 32)):
        keys = jax.random.split(key, 2 + len(channels))
        self.stem = eqx.nn.Conv2d(3, channels[0], 3, padding=1, key=keys[0])
        pairs = itertools.pairwise((channels[0], *channels))
        self.blocks = [
            Block(key, a, b, 1 if a == b else 2)
            for key, (a, b) in zip(keys[2:], pairs, strict=True)
        ]
        self.readout = eqx.nn.Linear(channels[-1], data.CLASSES, key=keys[1])

    def __call__(self, x):
        x = jax.nn.relu(self.stem(jnp.moveaxis(x, -1, 0)))
        for block in self.blocks:
            x = block(x)
        return self.readout(x.mean((1, 2)))


class Layer(eqx.Module):
    norms: list
    attention: eqx.nn.MultiheadAttention
    wide: eqx.nn.Linear
    back: eqx.nn.Linear

    def __init__(self, key, width=32, heads=4):
        keys = jax.random.split(key, 3)
        self.norms = [eqx.nn.LayerNorm(width) for _ in range(2)]
        self.attention = eqx.nn.MultiheadAttention(heads, width, key=keys[0])
        self.wide = eqx.nn.Linear(width, 4 * width, key=keys[1])
        self.back = eqx.nn.Linear(4 * width, width, key=keys[2])

    def __call__(self, x):
        mask = jnp.tril(jnp.ones((len(x), len(x)), bool))
        y = jax.vmap(self.norms[0])(x)
        x = x + self.attention(y, y, y, mask=mask)
        y = jax.nn.gelu(jax.vmap(self.wide)(jax.vmap(self.norms[1])(x)))
        return x + jax.vmap(self.back)(y)


class Transformer(eqx.Module):
    tokens: eqx.nn.Embedding
    positions: jax.Array
    layers: Layer
    norm: eqx.nn.LayerNorm
    readout: eqx.nn.Linear

    def __init__(self, key, width=32, depth=6):
        keys = jax.random.split(key, 4)
        self.tokens = eqx.nn.Embedding(data.VOCABULARY, width, key=keys[0])
        self.positions = 0.02 * jax.random.normal(keys[1], (data.TOKENS.shape[1], width))
        self.layers = eqx.filter_vmap(Layer)(jax.random.split(keys[2], depth))
        self.norm = eqx.nn.LayerNorm(width)
        self.readout = eqx.nn.Linear(width, data.VOCABULARY, key=keys[3])

    def __call__(self, tokens):
        x = jax.vmap(self.tokens)(tokens) + self.positions
        arrays, rest = eqx.partition(self.layers, eqx.is_array)
        x, _ = jax.lax.scan(lambda x, layer: (eqx.combine(layer, rest)(x), None), x, arrays)
        return jax.vmap(lambda x: self.readout(self.norm(x)))(x)


class LSTM(eqx.Module):
    cell: eqx.nn.LSTMCell
    readout: eqx.nn.Linear

    def __init__(self, key, width=32):
        keys = jax.random.split(key)
        self.cell = eqx.nn.LSTMCell(data.SEQUENCES.shape[2], width, key=keys[0])
        self.readout = eqx.nn.Linear(width, data.CLASSES, key=keys[1])

    def __call__(self, x):
        state = jnp.zeros(self.cell.hidden_size), jnp.zeros(self.cell.hidden_size)
        (h, _), _ = jax.lax.scan(lambda state, x: (self.cell(x, state), None), state, x)
        return self.readout(h)


class Residual(eqx.Module):
    """Blocks without normalization, each of which adds as much as it is given."""

    read: eqx.nn.Linear
    blocks: list

    def __init__(self, key, blocks=32, width=32):
        first, *keys = jax.random.split(key, 1 + blocks)
        self.read = eqx.nn.Linear(data.FEATURES.shape[1], width, key=first)
        self.blocks = [eqx.nn.Linear(width, width, key=key) for key in keys]

    def __call__(self, x):
        x = self.read(x)
        for block in self.blocks:
            x = x + block(jax.nn.relu(x))
        return x


def _of_a_batch(model, batch):
    return jax.vmap(model)(batch)


def mlp(dtype="float32", **options):
    model = MLP(jax.random.key(0), **options)
    arrays, rest = eqx.partition(model, eqx.is_array)
    model = eqx.combine(jax.tree.map(lambda array: array.astype(dtype), arrays), rest)
    return _of_a_batch, model, data.FEATURES.astype(dtype)


def resnet():
    return _of_a_batch, ResNet(jax.random.key(0)), data.IMAGES


def transformer():
    return _of_a_batch, Transformer(jax.random.key(0)), jnp.asarray(data.TOKENS)


def lstm():
    return _of_a_batch, LSTM(jax.random.key(0)), data.SEQUENCES


def residual():
    return _of_a_batch, Residual(jax.random.key(0)), data.FEATURES
