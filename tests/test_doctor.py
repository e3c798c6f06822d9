import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import data
from initlab.__main__ import main
from initlab.doctor import examine
from tests.plain_models import INPUTS, dense, residual, winding

pytestmark = pytest.mark.numerics


def by_name(report):
    return {layer.name: layer for layer in report.layers}


def blamed(report):
    return [(one.mode, report.layers[one.first_layer].name) for one in report.failures]


# --- what is found, and measured -----------------------------------------------------------------


def test_products_are_found_however_they_are_nested():
    network, params = winding()
    report = examine(network, params, INPUTS)
    once = ["jit", "remat", "cond", "custom_jvp", "custom_vjp", "vmap"]
    assert [layer.name for layer in report.layers] == [
        *once,
        *(f"scan[{turn}]" for turn in range(3)),
        "shared",
    ]
    assert not report.notes


def test_measures_agree_with_numpy():
    """Source: the network in float64. Sums of 128 x 64 float32 numbers err by less than 1e-5."""
    network, params = dense(depth=6, activation="tanh")
    report = examine(network, params, INPUTS)
    x = INPUTS.astype(np.float64)
    for layer, weights in zip(report.layers, params, strict=True):
        z = x @ np.asarray(weights["kernel"], np.float64)
        assert layer.input_second_moment == pytest.approx((x**2).mean(), rel=1e-5)
        assert layer.second_moment == pytest.approx((z**2).mean(), rel=1e-5)
        assert layer.spread == pytest.approx(z.std(axis=0).mean(), rel=0.2)  # of another kind
        assert layer.spread**2 == pytest.approx(((z - z.mean(axis=0)) ** 2).mean(), rel=1e-5)
        x = np.tanh(z)
        if layer is not report.layers[-1]:
            flat = np.mean(np.abs(z) >= np.arccosh(10))
            assert layer.saturated_fraction == pytest.approx(flat, abs=1e-3)


@pytest.mark.parametrize("make", [dense, residual, winding])
def test_gradients_agree_with_jax_grad(make):
    """Source: ``jax.grad`` by a number added to each product, in a network written again."""
    network, params = make()

    def loss(output, x):
        return jnp.sum(jnp.sin(output))

    report = examine(network, params, INPUTS, loss)
    assert report.loss == pytest.approx(float(loss(network(params, INPUTS), INPUTS)), rel=1e-5)
    weights = jax.grad(lambda params: loss(network(params, INPUTS), INPUTS))(params)
    if make is dense:
        # d loss / d bias is the sum over examples of d loss / d z; one example alone shows it all
        one = INPUTS[:1]
        report = examine(network, params, one, loss)
        weights = jax.grad(lambda params: loss(network(params, one), one))(params)
        for layer, gradient in zip(report.layers, weights, strict=True):
            exact = np.sum(np.asarray(gradient["bias"], np.float64) ** 2)
            assert layer.gradient == pytest.approx(exact, rel=1e-4)
    # nothing that is measured changes what the network computes
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights))


def test_layers_of_a_scan_come_in_the_order_of_time():
    report = examine(*residual(blocks=3), INPUTS)
    names = [layer.name for layer in report.layers]
    blocks = [f"{name}[{turn}]" for turn in range(3) for name in ("inner", "outer")]
    assert names == ["read", *blocks, "readout"]


@pytest.mark.parametrize(
    ("activation", "saturates"),
    {
        "tanh": (jnp.tanh, True),
        "sigmoid": (jax.nn.sigmoid, True),
        "glu": (jax.nn.glu, True),
        "gelu": (jax.nn.gelu, False),
        "silu": (jax.nn.silu, False),
        "by hand": (lambda x: x * jax.nn.sigmoid(1.702 * x), False),
        "nested": (lambda x: x * jax.jit(jnp.tanh)(x), False),
        "mish": (lambda x: x * jnp.tanh(jax.nn.softplus(x)), False),
    }.values(),
)
def test_what_multiplies_its_own_input_is_no_gate(activation, saturates):
    params = {"w": 50 * jnp.eye(20), "v": jnp.eye(20)}

    def network(params, x):
        x = activation(x @ params["w"])
        return x @ params["v"][: x.shape[1]]

    layer = examine(network, params, INPUTS).layers[0]
    assert (layer.saturated_fraction > 0.9) if saturates else np.isnan(layer.saturated_fraction)


def test_parameters_side_by_side_have_one_name():
    params = {"cell": {gate: {"w": jnp.eye(20)} for gate in "ifgo"}, "bias": jnp.zeros(80)}

    def network(params, x):
        w = jnp.concatenate([gate["w"] for gate in params["cell"].values()], axis=1)
        return x @ w + params["bias"]

    (layer,) = examine(network, params, INPUTS).layers
    assert layer.name == "cell/{f,g,i,o}/w" and layer.shape == (20, 80)


def test_a_callback_inside_is_called_and_told_of():
    seen = []

    def network(w, x):
        jax.debug.callback(lambda size: seen.append(float(size)), jnp.sum(x))
        return x @ w

    report = examine(network, np.eye(20), INPUTS)
    assert "side effects (DebugEffect) happen in every examination" in report.notes
    assert seen == pytest.approx([INPUTS.sum()], rel=1e-4)


def test_a_weight_counts_alike_within_a_scan_and_before_it():
    """Its gradient is a sum over all steps either way, and so is the verdict."""
    generator = np.random.default_rng(0)
    shapes = {"read": (20, 16), "carry": (16, 16), "out": (16, 3)}
    params = {name: generator.standard_normal(shape) / 4 for name, shape in shapes.items()}
    sequence = generator.standard_normal((30, 8, 20)).astype(np.float32)

    def within(params, x):
        def step(h, x):
            return jnp.tanh(x @ params["read"] + h @ params["carry"]), None

        return jax.lax.scan(step, jnp.zeros((8, 16)), x)[0] @ params["out"]

    def before(params, x):
        def step(h, z):
            return jnp.tanh(z + h @ params["carry"]), None

        return jax.lax.scan(step, jnp.zeros((8, 16)), x @ params["read"])[0] @ params["out"]

    one, other = (by_name(examine(network, params, sequence)) for network in (within, before))
    for name in shapes:
        assert one[name].gradient == pytest.approx(other[name].gradient, rel=1e-5)
        assert one[name].second_moment == pytest.approx(other[name].second_moment, rel=1e-5)


def test_gradients_are_judged_though_the_last_layer_but_one_has_none():
    network, params = dense(depth=20, gain=0.5)
    idle = {"kernel": jnp.eye(20), "bias": jnp.zeros(20)}

    def with_idle(params, x):
        aside = x @ params[-2]["kernel"]
        return network([*params[:-2], params[-1]], x) + 0 * aside.sum()

    report = examine(with_idle, [*params[:-1], idle, params[-1]], INPUTS)
    assert [one.mode for one in report.failures] == ["vanishing gradients"]


# --- verdicts ------------------------------------------------------------------------------------


def with_kernel(place, change, **options):
    network, params = dense(**options)
    params[place]["kernel"] = change(params[place]["kernel"])
    return network, params


def dead():
    network, params = dense()
    params[5]["bias"] -= 50.0
    return network, params


ILL = {
    "zeros": (with_kernel(4, lambda w: 0 * w), "symmetry collapse", "4/kernel"),
    "constant": (with_kernel(3, lambda w: 0 * w + 0.1), "symmetry collapse", "3/kernel"),
    "copies": (
        with_kernel(5, lambda w: w.at[:, :40].set(w[:, :1])),
        "symmetry collapse",
        "5/kernel",
    ),
    "dead": (dead(), "dead units", "5/kernel"),
    "large": (with_kernel(5, lambda w: 100 * w), "exploding gradients", "5/kernel"),
    "small": (with_kernel(5, lambda w: w / 100), "vanishing gradients", "5/kernel"),
    "saturated": (
        with_kernel(2, lambda w: 20 * w, activation="tanh"),
        "saturation",
        "2/kernel",
    ),
    "no number": (
        with_kernel(0, lambda w: w.at[0, 0].set(jnp.nan)),
        "numerical overflow",
        "0/kernel",
    ),
    "float16": (
        with_kernel(3, lambda w: 30000 * w, dtype=np.float16),
        "numerical overflow",
        "3/kernel",
    ),
}
WELL = {
    "relu": dense(),
    "tanh": dense(activation="tanh"),
    "zero readout": with_kernel(-1, lambda w: 0 * w),
    "one layer": dense(depth=0),
    "residual, scaled": residual(branch=16**-0.5),
    "residual, zero last": residual(branch=0.0),
    "residual, 100 blocks": residual(blocks=100, branch=0.1),
}


@pytest.mark.parametrize("case", ILL)
def test_what_is_wrong_is_named_at_its_layer(case):
    (network, params), mode, layer = ILL[case]
    inputs = INPUTS.astype(params[0]["kernel"].dtype)
    report = examine(network, params, inputs)
    assert blamed(report)[0] == (mode, layer)
    assert layer in report.summary and not report.healthy
    with pytest.raises(AssertionError, match=mode.capitalize()):
        report.raise_if_unhealthy()


@pytest.mark.parametrize("case", WELL)
def test_what_starts_well_is_told_so(case):
    report = examine(*WELL[case], INPUTS)
    report.raise_if_unhealthy()
    assert report.healthy and report.summary.startswith("Healthy")


def test_one_bad_layer_of_many_is_blamed_though_the_others_drift():
    """A gradient depends on the gains behind it: the culprit lies beyond where it is smallest."""
    network, params = dense(depth=60, gain=1.3)
    params[2]["kernel"] /= 100
    (failure,) = examine(network, params, INPUTS).failures
    assert (failure.mode, failure.first_layer) == ("vanishing gradients", 2)


def test_adapters_of_which_one_half_is_zero_start_well():
    """LoRA (Hu et al. 2022): the frozen network is no parameter, and A waits for B."""
    _, frozen = dense(depth=4)
    draw = np.random.default_rng(0).standard_normal
    adapters = [{"A": draw((64, 4)) / 8, "B": np.zeros((4, 64))} for _ in range(3)]

    def adapted(params, x):
        x = jax.nn.relu(x @ frozen[0]["kernel"])
        for layer, adapter in zip(frozen[1:4], params["adapters"], strict=True):
            x = jax.nn.relu(x @ layer["kernel"] + x @ adapter["A"] @ adapter["B"])
        return x @ params["readout"]

    params = {"adapters": adapters, "readout": frozen[-1]["kernel"]}
    report = examine(adapted, params, INPUTS)
    assert [layer.gradient == 0 for layer in report.layers] == 3 * [True, False] + [False]
    report.raise_if_unhealthy()


@pytest.mark.parametrize(("gain", "mode"), [(0.5, "vanishing"), (3.0, "exploding")])
def test_a_scale_that_is_wrong_everywhere(gain, mode):
    report = examine(*dense(depth=20, gain=gain), INPUTS)
    assert [one.mode for one in report.failures] == [f"{mode} gradients"]


# --- remedies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*ILL, "residual", "all small", "all large", "all zero"])
def test_a_remedy_was_tried_and_leaves_the_rest_alone(case):
    whole = {
        "residual": residual(),
        "all small": dense(depth=20, gain=0.5),
        "all large": dense(depth=20, gain=3.0),
        "all zero": dense(depth=5, gain=0.0),
    }
    network, params = whole[case] if case in whole else ILL[case][0]
    before = jax.tree.map(np.array, params)
    dtype = jax.tree.leaves(params)[0].dtype
    cure = examine(network, params, INPUTS.astype(dtype)).remedy()
    assert cure.after.healthy, cure
    examine(network, cure.params, INPUTS.astype(dtype)).raise_if_unhealthy()
    jax.tree.map(np.testing.assert_array_equal, params, before)
    assert jax.tree.structure(cure.params) == jax.tree.structure(params)
    same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), params, cure.params)
    assert all(jax.tree.leaves(same))
    if case in ILL:
        assert len(cure.changed) == 1
        assert cure.changed[0].split("/")[0] == ILL[case][2].split("/")[0]


def test_a_remedy_keeps_types_and_leaves_alone_what_it_does_not_change():
    network, params = dense()
    params[5]["kernel"] = np.asarray(params[5]["kernel"], np.float64) * 100
    cure = examine(network, params, INPUTS).remedy()
    assert cure.changed == ("5/kernel",)
    assert isinstance(cure.params[5]["kernel"], np.ndarray)
    assert cure.params[5]["kernel"].dtype == np.float64
    assert cure.params[3]["kernel"] is params[3]["kernel"]
    table = str(cure.table())
    assert "exploding gradients" in table and "After: Healthy" in table
    assert len(cure.table()) == len(params)


def test_weights_made_of_several_parameters_are_rescaled_together():
    """Side by side one factor is exact; of a product of two, each needs the root of it."""
    network, params = dense()
    params[4] = {"a": params[4]["kernel"] * 10, "b": 10 * jnp.eye(64), "bias": params[4]["bias"]}

    def of_product(params, x):
        merged = [*params]
        merged[4] = {"kernel": params[4]["a"] @ params[4]["b"], "bias": params[4]["bias"]}
        return network(merged, x)

    report = examine(of_product, params, INPUTS)
    assert blamed(report)[0] == ("exploding gradients", "4/{a,b}")
    cure = report.remedy()
    assert cure.after.healthy and set(cure.changed) == {"4/a", "4/b"}
    assert cure.after.layers[4].second_moment == pytest.approx(1, rel=0.05)


def test_sigmoid_layers_get_the_scale_at_which_they_pass_gradients():
    """Source: at E[z^2] = 16, fan_in Var(W) E[phi'^2] is near 1, by quadrature."""
    z = np.linspace(-40, 40, 200_001)
    phi = 1 / (1 + np.exp(-z))
    normal = np.exp(-(z**2) / 32) / np.sqrt(32 * np.pi) * (z[1] - z[0])
    chi = 16 / (phi**2 @ normal) * ((phi * (1 - phi)) ** 2 @ normal)
    assert 0.5 < chi < 1.5
    cure = examine(*dense(depth=10, activation="sigmoid"), INPUTS).remedy()
    assert not cure.before.healthy and cure.after.healthy
    assert cure.after.layers[5].second_moment == pytest.approx(16, rel=0.05)


def test_what_is_healthy_needs_no_remedy():
    assert examine(*dense(), INPUTS).remedy() is None


# --- what a reader gets --------------------------------------------------------------------------


def test_a_report_is_a_table_a_dataset_and_json():
    (network, params), mode, layer = ILL["dead"]
    report = examine(network, params, INPUTS)
    assert layer in repr(report) and mode in repr(report)
    assert report._repr_markdown_().count("<tr>") == 1 + len(report.layers)
    dataset = report.to_dataset()
    assert float(dataset.dead_fraction.sel(layer=layer)) == 1
    told = json.loads(report.to_json())
    assert told["failures"][0]["layer"] == layer and not told["healthy"]
    assert told["loss"] is None and len(told["layers"]) == len(report.layers)


def make_ill():
    return *ILL["dead"][0], INPUTS


def make_well():
    return *dense(), INPUTS, lambda output, x: jnp.mean(output**2)


def test_the_command_line(capsys, monkeypatch):
    monkeypatch.syspath_prepend("tests/..")
    assert main(["examine", "tests.test_doctor:make_ill"]) == 1
    assert "dead units" in capsys.readouterr().out
    assert main(["examine", "tests.test_doctor:make_well", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"]
    for wrong in ("tests.test_doctor", "tests.nowhere:f", "tests.test_doctor:nothing"):
        assert main(["examine", wrong]) == 2
        assert capsys.readouterr().err
    assert main(["examine", "tests.test_doctor:dense"]) == 2
    assert "must return (function, params, batch)" in capsys.readouterr().err


# --- bad input -----------------------------------------------------------------------------------


def test_a_loss_that_is_no_function_is_an_error():
    with pytest.raises(TypeError, match="loss must be a function of output and batch, not 'mse'"):
        examine(lambda w, x: x @ w, np.eye(20), INPUTS, loss="mse")


@pytest.mark.parametrize(
    ("function", "params", "error", "words"),
    [
        ("network", {}, TypeError, "examine takes a function"),
        (lambda w, x: x * float(w.sum()), np.eye(20), TypeError, "can trace"),
        (lambda w, x: x @ w, np.eye(20, dtype=int), TypeError, "floating-point"),
        (lambda w, x: x @ w, {}, TypeError, "floating-point"),
        (lambda w, x: x * w[0], np.eye(20), ValueError, "no product or convolution"),
        (lambda w, x: "text", np.eye(20), TypeError, "must give an array"),
        (lambda w, x: x @ w, np.eye(5), ValueError, r"batch of float32\[128, 20\] with TypeError"),
        (lambda w, x: {}["key"], np.eye(20), ValueError, "KeyError: 'key'"),
    ],
)
def test_what_cannot_be_examined_is_an_error(function, params, error, words):
    with pytest.raises(error, match=words):
        examine(function, params, INPUTS)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (data.digits(4), r"not a Batch; the nearest is \(batch.inputs, batch.labels\)"),
        ({"x": "text"}, "a tree of arrays, not of str: 'text'"),
        ([object], "a tree of arrays, not of type"),
    ],
)
def test_a_batch_is_a_tree_of_arrays(batch, words):
    with pytest.raises(TypeError, match=words):
        examine(lambda w, batch: batch @ w, np.eye(20), batch)


def test_a_loss_is_one_number():
    with pytest.raises(ValueError, match="one number, not an array of shape"):
        examine(*dense(), INPUTS, lambda output, x: output)


def test_what_is_left_out_is_said():
    network, params = dense(depth=2)
    report = examine(lambda p, x: (network(p, x), x), params, INPUTS)
    assert report.notes == ("the first of 2 outputs is taken",)
    report = examine(lambda p, x: x @ p[0] * p[1], [np.eye(20), np.arange(20)], INPUTS)
    assert report.notes == ("1 is of int64, and taken as it is",)

    def experts(params, x):
        def row(x):
            weight = params["experts"][jnp.argmax(x @ params["router"])]
            return x @ weight

        return jax.vmap(row)(x) @ params["out"]

    parts = {"experts": np.ones((3, 20, 20)), "router": np.eye(20, 3), "out": np.eye(20)}
    report = examine(experts, parts, INPUTS)
    assert report.notes == ("the batch chooses parts of experts, which are not looked into",)
    holed = INPUTS.copy()
    holed[3, 4] = np.nan
    report = examine(network, params, holed)
    assert "batch's params has 1 values that are not finite" in report.notes[0]

    def until(params, x):
        def turn(state):
            return state[0] @ params["w"], state[1] + 1

        return jax.lax.while_loop(lambda state: state[1] < 3, turn, (x @ params["v"], 0))[0]

    report = examine(until, {"v": np.eye(20) / 2, "w": np.eye(20)}, INPUTS)
    assert "while is not looked into" in report.notes
    assert any("no gradient could be taken" in note for note in report.notes)
    assert [layer.name for layer in report.layers] == ["v"]
    assert np.isnan(report.layers[0].gradient)


@pytest.mark.parametrize("loss", ["x" * 10**5, type("Mute", (), {"__repr__": None})()])
def test_a_loss_that_is_none_is_told_in_few_words(loss):
    weights, function = [np.eye(8), np.zeros((8, 3))], lambda w, x: jnp.tanh(x @ w[0]) @ w[1]
    with pytest.raises(TypeError, match="loss must be a function of output and batch") as told:
        examine(function, weights, np.eye(4, 8), loss)
    assert len(str(told.value)) < 300
