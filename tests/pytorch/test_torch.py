"""PyTorch's modules: JAX's numbers, planted faults found, the caller's module left alone."""

import copy
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from initlab import examine
from initlab.doctor.torch_modules import examine_torch
from tests.pytorch import models
from tests.pytorch.models import FEATURES, IMAGES, SEQUENCES, TOKENS

NUMBERS = (
    "input_second_moment",
    "second_moment",
    "spread",
    "weight_second_moment",
    "gradient",
    "dead_fraction",
    "distinct_neurons",
    "saturated_fraction",
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def numpy(module):
    return {name: value.detach().numpy() for name, value in module.named_parameters()}


# --- the same numbers as the same network in JAX -------------------------------------------------


def dense_in_jax(activation):
    def network(params, x):
        count = len(params) // 2
        for place in range(count):
            weight, bias = (params[f"{2 * place}.{name}"] for name in ("weight", "bias"))
            x = x @ weight.T + bias
            if place < count - 1:
                x = activation(x)
        return x

    return network


def convolutional_in_jax(params, x):
    for place in range(5):
        x = jax.lax.conv(x, params[f"{2 * place}.weight"], (1, 1), "SAME")
        x = jax.nn.relu(x + params[f"{2 * place}.bias"][:, None, None])
    return x.reshape(len(x), -1) @ params["11.weight"].T + params["11.bias"]


def lstm_in_jax(params, x):
    def step(state, x):
        h, c = state
        read = x @ params["cell.weight_ih_l0"].T + params["cell.bias_ih_l0"]
        gates = read + h @ params["cell.weight_hh_l0"].T + params["cell.bias_hh_l0"]
        i, f, g, o = jnp.split(gates, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    h = jnp.zeros((len(x), 32))
    (h, _), _ = jax.lax.scan(step, (h, h), jnp.swapaxes(x, 0, 1))
    return h @ params["readout.weight"].T + params["readout.bias"]


TWINS = {
    "relu": (models.mlp, FEATURES, dense_in_jax(jax.nn.relu)),
    "tanh": (lambda: models.mlp(activation=nn.Tanh), FEATURES, dense_in_jax(jnp.tanh)),
    "silu": (lambda: models.mlp(activation=nn.SiLU), FEATURES, dense_in_jax(jax.nn.silu)),
    "convolution": (models.convnet, IMAGES, convolutional_in_jax),
}


def names(report, sites):
    return {layer.name for layer in report.layers if layer.site in sites}


@pytest.mark.parametrize("name", TWINS)
def test_a_module_and_its_twin_in_jax_are_told_the_same(name):
    """Sums of up to 4,000 float32 products, in another order: relative 1e-7 x 4000^0.5, or so."""
    make, batch, network = TWINS[name]
    module = make()
    report = examine_torch(module, batch)
    twin = examine(network, numpy(module), batch.numpy())
    layers = {layer.name: layer for layer in twin.layers}
    assert {layer.name for layer in report.layers} == set(layers)
    for layer in report.layers:
        other = layers[layer.name]
        for number in NUMBERS:
            ours, theirs = getattr(layer, number), getattr(other, number)
            assert ours == pytest.approx(theirs, rel=2e-4, abs=1e-12, nan_ok=True), (layer, number)
        assert names(report, layer.sources) == names(twin, other.sources)


def test_a_recurrent_network_is_looked_into_step_by_step():
    """PyTorch reads all inputs in one product, and multiplies nothing by the first state, zero."""
    module, steps = models.Recurrent(), SEQUENCES.shape[1]
    report = examine_torch(module, SEQUENCES)
    twin = examine(lstm_in_jax, numpy(module), SEQUENCES.numpy())
    ours, theirs = ({one.name: one for one in told.layers} for told in (report, twin))
    for name, share in (("cell.weight_ih_l0", 1), ("cell.weight_hh_l0", steps / (steps - 1))):
        a, b = ours[name], theirs[name]
        assert a.second_moment == pytest.approx(share * b.second_moment, rel=2e-4)
        assert a.input_second_moment == pytest.approx(share * b.input_second_moment, rel=2e-4)
        assert a.saturated_fraction == pytest.approx(b.saturated_fraction, abs=1e-3)
    # of all steps together; the recurrent product lacks the first, faintest one
    whole, part = (ours[f"cell.weight_{kind}_l0"].gradient for kind in ("ih", "hh"))
    assert whole == pytest.approx(theirs["cell.weight_ih_l0"].gradient, rel=2e-4)
    assert 1 - 1 / steps < part / whole < 1 + 1e-6  # float32 rounds
    (read,) = (one for one in report.layers if one.name == "readout.weight")
    assert read.gradient == pytest.approx(theirs["readout.weight"].gradient, rel=2e-4)
    assert names(report, read.sources) == {"cell.weight_ih_l0", "cell.weight_hh_l0"}


def test_gradients_are_those_of_autograd():
    """Source: ``torch.autograd`` by the outputs of the linear modules, caught by hooks."""
    module, made = models.he(models.mlp(depth=3)), []
    labels = torch.arange(len(FEATURES)) % models.CLASSES
    hooks = [
        part.register_forward_hook(lambda _part, _given, out: made.append(out))
        for part in module
        if isinstance(part, nn.Linear)
    ]
    loss = nn.functional.cross_entropy(module(FEATURES), labels)
    gradients = torch.autograd.grad(loss, made)
    for hook in hooks:
        hook.remove()
    report = examine_torch(
        module, FEATURES, lambda output, _: nn.functional.cross_entropy(output, labels)
    )
    assert report.loss == pytest.approx(loss.item(), rel=1e-6)
    for layer, gradient in zip(report.layers, gradients, strict=True):
        assert layer.gradient == pytest.approx(float((gradient.double() ** 2).sum()), rel=1e-5)


# --- verdicts ------------------------------------------------------------------------------------

HEALTHY = {
    "mlp, He": (lambda: models.he(models.mlp()), FEATURES),
    "mlp of 3": (lambda: models.mlp(depth=3), FEATURES),
    "tanh": (lambda: models.mlp(activation=nn.Tanh, depth=4), FEATURES),
    "convnet, He": (lambda: models.he(models.convnet()), IMAGES),
    "resnet": (models.ResNet, IMAGES),
    "resnet, evaluated": (lambda: models.ResNet().eval(), IMAGES),
    "transformer": (models.Transformer, TOKENS),
    "lstm": (models.Recurrent, SEQUENCES),
    "gru": (lambda: models.Recurrent(nn.GRU), SEQUENCES),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_starts_well_is_told_so(name):
    make, batch = HEALTHY[name]
    module = make()
    report = examine_torch(module, batch)
    report.raise_if_unhealthy()
    met = {
        report.examination._program.parameters[leaf] for one in report.layers for leaf in one.leaves
    }
    weights = {name for name, value in module.named_parameters() if value.dim() > 1}
    assert weights - met <= {"tokens.weight"}


def test_pytorch_s_own_start_is_poor_in_a_deep_relu_network():
    """Uniform within 1 / sqrt(fan_in): a third of LeCun's variance, and each relu halves that."""
    report = examine_torch(models.mlp(depth=6), FEATURES)
    assert [one.mode for one in report.failures] == ["vanishing gradients"]


def constant(value):
    return lambda weight: weight.fill_(value)


def times(factor):
    return lambda weight: weight.mul_(factor)


def tied(weight):
    return weight[: 3 * len(weight) // 4].copy_(
        weight[:1].expand(3 * len(weight) // 4, *weight.shape[1:])
    )


MLP = (lambda: models.he(models.mlp()), FEATURES)
FAULTS = {
    "zeros": (*MLP, {"4.weight": constant(0.0)}, "symmetry collapse", "4.weight"),
    "constant": (*MLP, {"4.weight": constant(0.1)}, "symmetry collapse", "4.weight"),
    "large": (*MLP, {"6.weight": times(100)}, "exploding gradients", "6.weight"),
    "small": (*MLP, {"6.weight": times(0.01)}, "vanishing gradients", "6.weight"),
    "dead": (*MLP, {"6.bias": constant(-50.0)}, "dead units", "6.weight"),
    "no number": (*MLP, {"2.weight": constant(float("nan"))}, "numerical overflow", "2.weight"),
    "saturated": (
        lambda: models.mlp(activation=nn.Tanh),
        FEATURES,
        {"2.weight": times(50)},
        "saturation",
        "2.weight",
    ),
    "tied channels": (
        models.ResNet,
        IMAGES,
        {"blocks.1.first.weight": tied},
        "symmetry collapse",
        "blocks.1.first.weight",
    ),
    "constant, transformer": (
        models.Transformer,
        TOKENS,
        {"encoder.layers.2.linear1.weight": constant(0.1)},
        "symmetry collapse",
        "encoder.layers.2.linear1.weight",
    ),
    "lstm gates": (
        models.Recurrent,
        SEQUENCES,
        {"cell.weight_ih_l0": times(60)},
        "saturation",
        "cell.weight_ih_l0",
    ),
    "residual": (
        models.Residual,
        FEATURES,
        {r"blocks\.\d+\.weight": times(6**0.5)},
        "exploding gradients",
        r"blocks\.\d+\.weight",
    ),
    "float16": (
        lambda: models.he(models.mlp()).half(),
        FEATURES.half(),
        {"2.weight": times(30000)},
        "numerical overflow",
        "2.weight",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_at_its_layer_and_cured(name):
    make, batch, changes, mode, layer = FAULTS[name]
    module = make()
    with torch.no_grad():
        for pattern, change in changes.items():
            chosen = [v for n, v in module.named_parameters() if re.fullmatch(pattern, n)]
            assert chosen
            for weight in chosen:
                change(weight)
    before = copy.deepcopy(module.state_dict())
    report = examine_torch(module, batch)
    failure = report.failures[0]
    found = report.layers[failure.first_layer].name
    assert failure.mode == mode and re.fullmatch(layer, found), report.summary
    cure = report.remedy()
    cure.after.raise_if_unhealthy()
    for key, value in module.state_dict().items():  # equal_nan: one case plants NaN
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, equal_nan=True)
    for key, value in cure.params.items():
        assert (value.shape, value.dtype) == (before[key].shape, before[key].dtype)
        assert (key in cure.changed) != torch.equal(value, before[key])
    module.load_state_dict(cure.params, strict=False)
    examine_torch(module, batch).raise_if_unhealthy()


# --- the caller's module -------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(training):
    module = models.ResNet().train(training)
    module.blocks[0].insert = nn.Dropout()  # in no one's way
    module(IMAGES).sum().backward()
    seen = []
    module.stem.register_forward_hook(lambda *_: seen.append(1))
    state = copy.deepcopy(module.state_dict())
    gradients = {name: one.grad.clone() for name, one in module.named_parameters()}
    generator = torch.get_rng_state()
    parameters = dict(module.named_parameters())
    module(IMAGES)  # moves the running statistics, as training does
    state, called = copy.deepcopy(module.state_dict()), len(seen)
    examine_torch(module, IMAGES).remedy()
    assert module.training is training and len(seen) <= called + 1  # once, to be traced
    assert len(module.stem._forward_hooks) == 1
    assert torch.equal(torch.get_rng_state(), generator)
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name]), name
    for name, one in module.named_parameters():
        assert one is parameters[name] and one.requires_grad
        assert torch.equal(one.grad, gradients[name]), name


# --- what a module may be ------------------------------------------------------------------------


class Functional(nn.Module):
    """Weights that no submodule holds, on the right, on the left, and a gate by hand."""

    def __init__(self):
        super().__init__()
        self.right = nn.Parameter(torch.randn(20, 30) / 20**0.5)
        self.left = nn.Parameter(torch.randn(40, 30) / 30**0.5)
        self.experts = nn.Parameter(torch.randn(3, 40, 8) / 40**0.5)

    def forward(self, x, scale=1.0):
        x = x @ self.right
        x = x * torch.sigmoid(1.7 * x)
        x = torch.tanh((self.left @ x.T).T)
        x = torch.bmm(x.expand(3, -1, -1), self.experts) * scale
        return x.mean(0), x


def test_products_are_found_without_modules():
    report = examine_torch(Functional(), {"x": FEATURES, "scale": 2.0})
    assert [(one.name, one.shape, one.units) for one in report.layers] == [
        ("right", (20, 30), 30),
        ("left", (40, 30), 40),
        ("experts", (3, 40, 8), 24),
    ]
    assert np.isnan(report.layers[0].saturated_fraction)  # it multiplies its own input
    assert report.layers[1].saturated_fraction >= 0
    assert report.notes == ("the first of 2 outputs is taken",)
    assert report.layers[1].sources == (0,) and report.layers[2].sources == (1,)


class Of(nn.Module):
    """A function of parts, and of the batch."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *batch):
        return self.function(self, *batch)


CELLS = {nn.LSTMCell: lambda out: out[0], nn.GRUCell: lambda out: out, nn.RNNCell: lambda out: out}


@pytest.mark.parametrize("cell", CELLS)
def test_cells_are_looked_into_and_a_weight_is_no_bias(cell):
    def twice(module, x):
        given = module.cell(x)
        return module.readout(CELLS[cell](module.cell(x, given)))

    module = Of(twice, cell=cell(20, 7), readout=nn.Linear(7, 3))
    report = examine_torch(module, FEATURES)
    names = [layer.name for layer in report.layers]
    assert names == ["cell.weight_ih", "cell.weight_hh", "readout.weight"]
    for layer in report.layers:
        assert all("bias" in report.examination.paths[leaf] for leaf in layer.biases)


def test_a_bilinear_layer_is_linear_in_the_products_of_all_pairs():
    """Source: ``torch.nn.Bilinear`` itself, its bias taken off."""
    module = Of(lambda module, x: module.pair(x, x.roll(1, 1)), pair=nn.Bilinear(20, 20, 5))
    (layer,) = examine_torch(module, FEATURES).layers
    z = (module(FEATURES) - module.pair.bias).detach()
    assert layer.second_moment == pytest.approx(float((z.double() ** 2).mean()), rel=1e-4)
    assert layer.units == 5


def test_a_vector_has_one_unit():
    (layer,) = examine_torch(
        Of(lambda m, x: x @ m.v, v=nn.Parameter(torch.ones(20))), FEATURES
    ).layers
    assert layer.units == 1


def test_what_is_not_looked_into_is_told():
    both = Of(
        lambda m, x: torch.cdist(m.read(x), m.points),
        read=nn.Linear(20, 4),
        points=nn.Parameter(torch.randn(9, 4)),
    )
    assert any("cdist" in note for note in examine_torch(both, FEATURES).notes)


class Ordered(nn.Module):
    """Its features come in an order that a parameter of whole numbers tells."""

    def __init__(self):
        super().__init__()
        self.order = nn.Parameter(torch.arange(19, -1, -1), requires_grad=False)
        self.network = models.he(models.mlp(depth=4))

    def forward(self, x):
        return self.network(x[:, self.order])


def test_parameters_of_integers_are_told_of_and_left_alone():
    module = Ordered()
    with torch.no_grad():
        module.network[4].weight.mul_(0.01)
    report = examine_torch(module, FEATURES)
    assert report.notes == ("order is of int64, and taken as it is",)
    assert report.layers[report.failures[0].first_layer].name == "network.4.weight"
    cure = report.remedy()
    assert cure.after.healthy and cure.changed == ("network.4.weight",)


def test_tied_parameters_are_one_and_a_cure_of_them_survives_loading():
    module = models.he(models.mlp())
    module[6].weight = module[4].weight
    with torch.no_grad():
        module[4].weight.mul_(100)
    report = examine_torch(module, FEATURES)
    assert "6.weight" not in report.params
    cure = report.remedy()
    assert "4.weight" in cure.changed
    module.load_state_dict(cure.params, strict=False)
    assert torch.equal(module[6].weight, cure.params["4.weight"])
    examine_torch(module, FEATURES).raise_if_unhealthy()


def test_a_report_stays_what_it_was():
    module = models.mlp()
    report = examine_torch(module, FEATURES)
    kept = {name: value.detach().clone() for name, value in module.named_parameters()}
    with torch.no_grad():
        for one in module.parameters():
            one.mul_(2)
    assert all(torch.equal(report.params[name], value) for name, value in kept.items())


class Choosing(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.Linear(20, 4)

    def forward(self, x):
        return self.read(x) if x.sum() > 0 else x


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(20))

    def forward(self, x):
        return self.scale * x


@pytest.mark.parametrize(
    ("module", "batch", "error", "words"),
    [
        ("module", FEATURES, TypeError, "takes a torch.nn.Module, not str"),
        (nn.Linear(5, 3), FEATURES, ValueError, r"on a batch of float32\[64, 20\] that ended in"),
        (Choosing(), FEATURES, ValueError, "a module that torch.export can trace"),
        (Halves(), FEATURES, ValueError, "no product or convolution"),
        (nn.ReLU(), FEATURES, TypeError, "parameters of a floating-point type"),
    ],
)
def test_what_cannot_be_examined_is_an_error(module, batch, error, words):
    with pytest.raises(error, match=words):
        examine_torch(module, batch)


def test_a_loss_is_one_number():
    with pytest.raises(ValueError, match=r"a tensor of shape \(64, 10\); the nearest is its mean"):
        examine_torch(models.mlp(), FEATURES, lambda output, _: output)


def test_values_that_are_not_finite_are_told_of():
    holed = FEATURES.clone()
    holed[3, 4] = torch.inf
    report = examine_torch(models.mlp(), holed)
    assert "the batch's tensor 0 has 1 values that are not finite" in report.notes


def test_bfloat16_is_examined_and_cured_in_its_own_type():
    module = models.mlp().bfloat16()
    report = examine_torch(module, FEATURES.bfloat16())
    assert {layer.dtype for layer in report.layers} == {"bfloat16"}
    cure = report.remedy()
    assert cure.after.healthy
    assert {value.dtype for value in cure.params.values()} == {torch.bfloat16}
