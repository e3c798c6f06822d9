"""Models in Flax NNX, as one writes them, with the library's own initializers."""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from tests.frameworks import data


class MLP(nnx.Module):
    def __init__(self, rngs, depth=6, width=64, activation="relu", **options):
        sizes = [data.FEATURES.shape[1], *[width] * depth]
        self.hidden = nnx.List(
            [nnx.Linear(*pair, rngs=rngs, **options) for pair in itertools.pairwise(sizes)]
        )
        self.readout = nnx.Linear(width, data.CLASSES, rngs=rngs)
        self.activation = getattr(nnx, activation)

    def __call__(self, x):
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.readout(x)


class Block(nnx.Module):
    def __init__(self, fan_in, channels, stride, rngs):
        def conv(inputs, size, stride):
            return nnx.Conv(inputs, channels, size, (stride, stride), use_bias=False, rngs=rngs)

        self.first, self.second = conv(fan_in, (3, 3), stride), conv(channels, (3, 3), 1)
        self.norms = nnx.List([nnx.BatchNorm(channels, rngs=rngs) for _ in range(3)])
        self.shortcut = conv(fan_in, (1, 1), stride) if fan_in != channels else None

    def __call__(self, x):
        y = nnx.relu(self.norms[0](self.first(x)))
        y = self.norms[1](self.second(y))
        if self.shortcut is not None:
            x = self.norms[2](self.shortcut(x))
        return nnx.relu(x + y)


class ResNet(nnx.Module):
    def __init__(self, rngs, channels=(16, 16, 32, 32)):
        self.stem = nnx.Conv(3, channels[0], (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(channels[0], rngs=rngs)
        pairs = itertools.pairwise((channels[0], *channels))
        self.blocks = nnx.List([Block(a, b, 1 if a == b else 2, rngs) for a, b in pairs])
        self.readout = nnx.Linear(channels[-1], data.CLASSES, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.readout(x.mean((1, 2)))


class Layer(nnx.Module):
    def __init__(self, width, rngs, heads=4):
        self.norms = nnx.List([nnx.LayerNorm(width, rngs=rngs) for _ in range(2)])
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.wide = nnx.Linear(width, 4 * width, rngs=rngs)
        self.back = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x):
        mask = nnx.make_causal_mask(x[..., 0])
        x = x + self.attention(self.norms[0](x), mask=mask)
        return x + self.back(nnx.gelu(self.wide(self.norms[1](x))))


class Transformer(nnx.Module):
    def __init__(self, rngs, width=32, depth=6):
        self.tokens = nnx.Embed(data.VOCABULARY, width, rngs=rngs)
        self.positions = nnx.Param(
            0.02 * jax.random.normal(rngs.params(), (data.TOKENS.shape[1], width))
        )

        @nnx.split_rngs(splits=depth)
        @nnx.vmap(in_axes=0, out_axes=0)
        def layers(rngs):
            return Layer(width, rngs)

        self.layers = layers(rngs)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.readout = nnx.Linear(width, data.VOCABULARY, rngs=rngs)

    def __call__(self, tokens):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def through(layer, x):
            return layer(x)

        x = self.tokens(tokens) + self.positions[...]
        return self.readout(self.norm(through(self.layers, x)))


class LSTM(nnx.Module):
    def __init__(self, rngs, width=32):
        self.rnn = nnx.RNN(
            nnx.OptimizedLSTMCell(data.SEQUENCES.shape[2], width, rngs=rngs), rngs=rngs
        )
        self.readout = nnx.Linear(width, data.CLASSES, rngs=rngs)

    def __call__(self, x):
        return self.readout(self.rnn(x)[:, -1])


def _made(model, batch):
    graph, params, others = nnx.split(model, nnx.Param, ...)

    def function(params, batch):
        return nnx.merge(graph, params, others, copy=True)(batch)

    return function, params, batch


def mlp(**options):
    return _made(MLP(nnx.Rngs(0), **options), data.FEATURES)


def resnet():
    return _made(ResNet(nnx.Rngs(0)), data.IMAGES)


def transformer():
    return _made(Transformer(nnx.Rngs(0)), jnp.asarray(data.TOKENS))


def lstm():
    return _made(LSTM(nnx.Rngs(0)), data.SEQUENCES)
