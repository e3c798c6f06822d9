"""The measures of ``initlab.probe`` as one takes them in PyTorch: by hooks on a ``Sequential``.

Gradients are autograd's own, in float32 and not rescaled, so they vanish below 1e-38.
"""

import numpy as np
import torch
from torch import nn

from initlab import Batch, Setting
from initlab.activations import ACTIVATIONS
from initlab.measures import HISTOGRAM_EDGES, NO_VARIATION, SAME_NEURON

_BINS = len(HISTOGRAM_EDGES) - 1
_MODULES = {"tanh": nn.Tanh, "relu": nn.ReLU, "linear": nn.Identity}


def measurer(weights: list, weight_norm, setting: Setting, batch: Batch):
    """A function that runs the network once, forward and backward, and returns all measures."""
    below, above = ACTIVATIONS[setting.activation].flat_range
    depth, examples = setting.depth, len(batch)
    module = _MODULES[setting.activation]
    linears = [_linear(weight, bias) for weight, bias in weights]
    hidden = [part for linear in linears[:-1] for part in (linear, module())]
    network = nn.Sequential(*hidden, linears[-1])
    inputs = torch.tensor(batch.inputs)
    labels = torch.tensor(batch.labels, dtype=torch.long)
    random = np.random.default_rng(0).standard_normal((2, 4, examples)) / np.sqrt(examples)
    random = torch.tensor(random.astype(np.float32))
    forward, backward, activations = {}, {}, {}

    def after_linear(layer):
        def hook(_, arguments, z):
            variance, second_moment = _moments(z)
            flat = ((z <= below) | (z >= above)).float().mean()
            forward[layer] |= {
                "preactivation_variance": variance,
                "preactivation_second_moment": second_moment,
                "saturated_fraction": flat,
            }

        return hook

    def after_activation(layer):
        def hook(_, arguments, a):
            activations[layer] = a.detach()
            forward[layer] |= _layer_measures(a)
            forward[layer]["effective_neurons"] = _effective_neurons(a)

        return hook

    def back_through_activation(layer):
        def hook(_, to_input, from_output):
            delta, _ = _normalized(to_input[0])
            a, _ = _normalized(activations[layer])
            traits = random[0] @ a + random[1] @ delta
            traits = traits[:, traits[0].argsort()]
            apart = (traits.diff(dim=1).abs() > SAME_NEURON).any(dim=0)
            dead = (from_output[0] != 0) & (to_input[0] == 0)
            backward[layer] = {
                "gradient_second_moment": to_input[0].square().mean(),
                "distinct_neurons": 1 + apart.sum(),
                "dead_fraction": dead.all(dim=0).float().mean(),
            }

        return hook

    for layer in range(1, depth + 1):
        network[2 * layer - 2].register_forward_hook(_without_grad(after_linear(layer)))
        network[2 * layer - 1].register_forward_hook(_without_grad(after_activation(layer)))
        network[2 * layer - 1].register_full_backward_hook(back_through_activation(layer))

    def measure() -> dict:
        forward.update({layer: {} for layer in range(depth + 1)})
        forward[0] = _layer_measures(inputs)
        network.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(network(inputs), labels, reduction="sum")
        loss.backward()
        out = {"loss": loss.item() / examples, "weight_norm": weight_norm}
        gradients = [linear.weight.grad.norm() / examples for linear in linears]
        out["weight_gradient_norm"] = torch.stack(gradients).numpy()
        for name in forward[depth]:
            layers = [forward[layer] for layer in range(depth + 1)]
            out[name] = torch.stack([it[name] for it in layers if name in it]).numpy()
        for name in backward[depth]:
            layers = range(1, depth + 1)
            out[name] = torch.stack([backward[layer][name] for layer in layers]).numpy()
        return out

    return measure


def _linear(weight, bias) -> nn.Linear:
    linear = nn.Linear(*weight.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(weight.T))
        linear.bias.copy_(torch.tensor(bias))
    return linear


def _without_grad(hook):
    def wrapped(*arguments):
        with torch.no_grad():
            hook(*arguments)

    return wrapped


def _normalized(x):
    """``x`` over a power of two near its largest entry, and that power."""
    power = torch.exp2(torch.frexp(x.abs().max())[1].float())
    return x / power, power


def _moments(x):
    x, power = _normalized(x)
    variance, mean = torch.var_mean(x, correction=0)
    return variance * power**2, (variance + mean**2) * power**2


def _layer_measures(a):
    variance, second_moment = _moments(a)
    low, high = float(HISTOGRAM_EDGES[0]), float(HISTOGRAM_EDGES[-1])
    position = ((a - low) * (_BINS / (high - low))).clamp(0, _BINS - 1)
    return {
        "activation_variance": variance,
        "activation_second_moment": second_moment,
        "activation_histogram": torch.bincount(position.flatten().int(), minlength=_BINS),
        "input_similarity": _input_similarity(a),
    }


def _input_similarity(a):
    examples = len(a)
    length = a.norm(dim=1)
    silent = (length == 0).sum()
    total = (1 / torch.where(length > 0, length, 1.0)) @ a
    pairs = total @ total - (examples - silent) + silent * (silent - 1)
    return (pairs / (examples * (examples - 1))).clamp(-1, 1)


def _effective_neurons(a):
    a, _ = _normalized(a)
    a = a - a.mean(dim=0)
    gram = a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a
    total = gram.trace()
    moves = total > a.numel() * NO_VARIATION**2
    return torch.where(moves, total**2 / gram.square().sum(), 0.0)
