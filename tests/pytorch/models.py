"""Modules as one writes them, with PyTorch's own initialization or He's."""

import itertools

import torch
from torch import nn

CLASSES = 10
_GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(64, 20, generator=_GENERATOR)
IMAGES = torch.randn(16, 3, 16, 16, generator=_GENERATOR)
SEQUENCES = torch.randn(16, 24, 12, generator=_GENERATOR)
TOKENS = torch.randint(64, (8, 16), generator=_GENERATOR)


def he(module):
    """He's scale for every matrix and kernel, and biases of zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module


def mlp(depth=6, width=64, activation=nn.ReLU):
    sizes = [FEATURES.shape[1], *[width] * depth]
    layers = [
        part
        for fan_in, fan_out in itertools.pairwise(sizes)
        for part in (nn.Linear(fan_in, fan_out), activation())
    ]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


def convnet(depth=5, channels=16):
    sizes = [IMAGES.shape[1], *[channels] * depth]
    layers = [
        part
        for fan_in, fan_out in itertools.pairwise(sizes)
        for part in (nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.ReLU())
    ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16 * 16, CLASSES))


class Block(nn.Module):
    def __init__(self, fan_in, channels, stride):
        super().__init__()
        self.first = nn.Conv2d(fan_in, channels, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels) for _ in range(2)])
        self.shortcut = nn.Identity()
        if fan_in != channels:
            self.shortcut = nn.Conv2d(fan_in, channels, 1, stride, bias=False)

    def forward(self, x):
        y = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(y)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, channels=(16, 16, 32, 32)):
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        pairs = zip((channels[0], *channels[:-1]), channels, strict=True)
        self.blocks = nn.ModuleList([Block(a, b, 1 if a == b else 2) for a, b in pairs])
        self.readout = nn.Linear(channels[-1], CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.readout(x.mean((2, 3)))


class Transformer(nn.Module):
    def __init__(self, width=32, depth=4):
        super().__init__()
        self.tokens = nn.Embedding(64, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.readout = nn.Linear(width, 64)

    def forward(self, tokens):
        return self.readout(self.encoder(self.tokens(tokens)))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM, width=32):
        super().__init__()
        self.cell = kind(SEQUENCES.shape[2], width, batch_first=True)
        self.readout = nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.readout(self.cell(x)[0][:, -1])


class Residual(nn.Module):
    """Blocks without normalization, each of which adds as much as it is given."""

    def __init__(self, blocks=20, width=32):
        super().__init__()
        self.read = nn.Linear(FEATURES.shape[1], width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(blocks)])

    def forward(self, x):
        x = self.read(x)
        for block in self.blocks:
            x = x + block(torch.relu(x))
        return x
