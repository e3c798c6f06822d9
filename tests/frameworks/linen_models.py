"""Models in Flax Linen, as one writes them, with the library's own initializers."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.frameworks import data


class MLP(nn.Module):
    depth: int = 6
    width: int = 64
    activation: str = "relu"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x):
        types = {"dtype": self.dtype, "param_dtype": self.dtype}
        for _ in range(self.depth):
            x = getattr(nn, self.activation)(nn.Dense(self.width, **types)(x))
        return nn.Dense(data.CLASSES, **types)(x)


class ConvNet(nn.Module):
    depth: int = 6
    channels: int = 32

    @nn.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = nn.relu(nn.Conv(self.channels, (3, 3), kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(data.CLASSES)(x.mean((1, 2)))


class Residual(nn.Module):
    """Blocks of two layers without normalization."""

    blocks: int = 20
    width: int = 32

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(self.width)(x)
        for _ in range(self.blocks):
            y = nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(nn.relu(x))
            x = x + nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(nn.relu(y))
        return nn.Dense(data.CLASSES)(x)


class Block(nn.Module):
    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x):
        def norm():
            return nn.BatchNorm(use_running_average=False)

        stride = (self.stride, self.stride)
        y = nn.relu(norm()(nn.Conv(self.channels, (3, 3), stride, use_bias=False)(x)))
        y = norm()(nn.Conv(self.channels, (3, 3), use_bias=False)(y))
        if y.shape != x.shape:
            x = norm()(nn.Conv(self.channels, (1, 1), stride, use_bias=False)(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    channels: tuple = (16, 16, 32, 32)

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.channels[0], (3, 3), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
        last = self.channels[0]
        for channels in self.channels:
            x = Block(channels, 1 if channels == last else 2)(x)
            last = channels
        return nn.Dense(data.CLASSES)(x.mean((1, 2)))


class Layer(nn.Module):
    width: int = 32
    heads: int = 4

    @nn.compact
    def __call__(self, x, _):
        mask = nn.make_causal_mask(x[..., 0])
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.heads)(y, y, mask=mask)
        y = nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(x)))
        return x + nn.Dense(self.width)(y), None


class Transformer(nn.Module):
    width: int = 32
    depth: int = 6

    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(data.VOCABULARY, self.width)(tokens)
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])
        layers = nn.scan(
            nn.remat(Layer),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.depth,
            in_axes=nn.broadcast,
        )
        x, _ = layers(self.width)(x, None)
        return nn.Dense(data.VOCABULARY)(nn.LayerNorm()(x))


class LSTM(nn.Module):
    width: int = 32

    @nn.compact
    def __call__(self, x):
        x = nn.RNN(nn.OptimizedLSTMCell(self.width))(x)
        return nn.Dense(data.CLASSES)(x[:, -1])


def _made(model, batch):
    variables = model.init(jax.random.key(0), batch)
    params = variables.pop("params")

    def function(params, batch):
        mutable = [*variables]
        output = model.apply({"params": params, **variables}, batch, mutable=mutable)
        return output[0]

    return function, params, batch


def mlp(**options):
    return _made(MLP(**options), data.FEATURES)


def resnet():
    return _made(ResNet(), data.IMAGES)


def transformer():
    return _made(Transformer(), jnp.asarray(data.TOKENS))


def lstm():
    return _made(LSTM(), data.SEQUENCES)


def convnet():
    return _made(ConvNet(), data.IMAGES)


def residual():
    return _made(Residual(), data.FEATURES)
