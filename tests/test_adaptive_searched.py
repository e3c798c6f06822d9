"""Searches over scales against plain ones in float64: dense Hessians, finite differences, NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import initlab
from initlab import Batch, Recurrent, Residual, Setting, adaptive, data, probe
from initlab.adaptive import first_step, quotient
from initlab.quadrature import double_precision
from tests.plain_network import ACTIVATIONS, _losses

pytestmark = pytest.mark.numerics

TINY = Batch(np.random.default_rng(0).standard_normal((6, 3)), [0, 1, 2, 0, 1, 2])
#: twice one example: any two minibatches of it are the same
ALIKE = Batch(np.tile(TINY.inputs[:1], (6, 1)), np.zeros(6, int), classes=3)
#: of float32 arrays after a few steps, each rounded by 2^-24
ROUNDING = 1e-5
STEP = 1e-6  # of central differences in float64, whose error is about its square


def in_float64(parameters):
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), parameters)


def plain_loss(parameters, batch, activation):
    """The mean loss of the unrolled network; to be called in double precision."""
    probes = [0.0] * (len(parameters) - 1)
    inputs, phi = jnp.asarray(batch.inputs, jnp.float64), ACTIVATIONS[activation]
    return _losses(parameters, probes, inputs, batch.labels, phi).mean()


def scaled(parameters, scale):
    """``scale [2 (L + 1)]``: of weight and bias of each layer, one after the other."""
    arrays, form = jax.tree.flatten(parameters)
    return form.unflatten([one * array for one, array in zip(scale, arrays, strict=True)])


def slopes(function, scale):
    """Central differences."""
    unit = STEP * np.eye(len(scale))
    return np.array([(function(scale + u) - function(scale - u)) / (2 * STEP) for u in unit])


def dense_quotient(loss, parameters, epsilon=1e-5):
    """Equation 1 of MetaInit, with all of the Hessian; to be called in double precision."""
    flat, unflatten = ravel_pytree(parameters)
    gradient = np.asarray(jax.grad(lambda x: loss(unflatten(x)))(flat))
    hessian = np.asarray(jax.hessian(lambda x: loss(unflatten(x)))(flat))
    sign = np.where(gradient >= 0, 1, -1)
    return np.abs((gradient - hessian @ gradient) / (gradient + epsilon * sign) - 1).mean()


def network(**changes):
    setting = Setting(depth=2, width=4, activation="tanh", bias_std=0.5, seed=3).replace(**changes)
    return setting, initlab.weights(setting, fan_in=3, fan_out=3)


# --- the quotient -------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0.0, 0.3, 1.0, 2.5])
def test_a_quadratic_has_its_curvature(k):
    """(k^2 |x| + e) / (k |x| + e): with |x| of 1 or more it is k to e / k, where k > 0."""
    theta = {"a": jnp.array([1.0, -2.0, 3.0]), "b": jnp.array(5.0)}
    found = adaptive.gradient_quotient(
        lambda tree: sum(k * jnp.sum(leaf**2) / 2 for leaf in jax.tree.leaves(tree)), theta
    )
    assert float(found) == pytest.approx(k if k else 1.0, rel=1e-4)


def test_a_linear_loss_has_the_share_of_epsilon():
    slope = np.array([1e-6, -1e-5, 1e-3, 1.0], np.float32)
    found = adaptive.gradient_quotient(lambda theta: jnp.sum(slope * theta), jnp.ones(4))
    assert float(found) == pytest.approx((1e-5 / (np.abs(slope) + 1e-5)).mean(), rel=1e-6)


@pytest.mark.parametrize(
    "activation",
    ["relu", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tanh", "gelu"))],
)
def test_it_is_that_of_the_dense_hessian(activation):
    _, weights = network()
    with double_precision():
        weights = in_float64(weights)

        def loss(parameters):
            return plain_loss(parameters, TINY, activation)

        expected = dense_quotient(loss, weights)
        found = float(adaptive.gradient_quotient(loss, weights))
    assert found == pytest.approx(expected, rel=1e-9)  # sums of 50 numbers in float64


def test_it_is_differentiable_and_compiles():
    loss = jax.jit(jax.grad(lambda x: adaptive.gradient_quotient(lambda y: jnp.sum(y**4), x)))
    # g = 4 x^3 and Hg = 48 x^5: the quotient is 12 x^2 where epsilon does not matter
    np.testing.assert_allclose(loss(jnp.array([1.0])), [24.0], rtol=1e-4)


# --- MetaInit -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_metainits_steps_are_those_of_the_authors_loop(activation):
    """Source: their code, with a dense Hessian and central differences by each matrix's scale."""
    setting, own = network(activation=activation)
    fitted = adaptive.metainit(setting, TINY, steps=3)
    with double_precision():
        weights, memory, quotients = in_float64(own), np.zeros(6), []

        def measured(scale):
            return dense_quotient(
                lambda parameters: plain_loss(parameters, TINY, activation), scaled(weights, scale)
            )

        for _ in range(3):
            quotients.append(measured(np.ones(6)))
            slope = slopes(measured, np.ones(6))
            norm = np.array([np.linalg.norm(array) for array in jax.tree.leaves(weights)])
            memory = 0.9 * memory - 0.1 * np.sign(slope)
            matrices = np.array([True, False] * 3)
            weights = scaled(weights, np.where(matrices, (norm + memory) / norm, 1.0))
        quotients.append(measured(np.ones(6)))
        expected = jax.tree.map(np.asarray, weights)
    for ours, theirs in zip(
        jax.tree.leaves(fitted.weights), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)
    # a term of the quotient divides by a gradient, of which float32 keeps 2^-24 of its parts
    np.testing.assert_allclose(fitted.objective, quotients, rtol=1e-2)
    norms = [[np.linalg.norm(weight) for weight, _ in fitted.at(step)] for step in range(4)]
    np.testing.assert_allclose(np.array(norms) / norms[0], fitted.scale, rtol=ROUNDING)


@pytest.mark.parametrize("seed", range(4))
def test_metainit_lowers_the_quotient_of_a_start_that_is_too_small(seed):
    setting = Setting(depth=10, width=32, activation="tanh", gain=0.3, seed=seed)
    fitted = adaptive.metainit(setting)
    assert fitted.objective[-1] < fitted.objective[0] / 2
    assert fitted.steps == 100 and fitted.stopped == "all steps are used up"
    assert (fitted.scale[-1, :-1] > 1).all()  # all layers grow; the readout need not


def test_its_random_examples_are_the_seeds():
    setting = Setting(depth=2, width=8)
    one, again, other = (
        adaptive.metainit(setting.replace(seed=seed), steps=2) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.objective, again.objective)
    assert one.objective[0] != other.objective[0]
    assert one.batch is None and adaptive.metainit(setting, TINY, steps=1).batch is TINY


# --- GradInit -----------------------------------------------------------------------------------


def plain_gradinit(own, batch, optimizer, eta, bound, steps, rate=0.01):
    """The authors' loop on one batch: weights after it, and how often the gradient was too long."""
    moments = np.zeros((2, 2, 6))  # of two kinds of step
    counts, scale, long = np.zeros(2), np.ones(6), 0
    with double_precision():
        weights = in_float64(own)

        def loss(parameters):
            return plain_loss(parameters, batch, "tanh")

        def gradient(scale):
            leaves = jax.tree.leaves(jax.grad(loss)(scaled(weights, scale)))
            return np.concatenate([np.ravel(leaf) for leaf in leaves])

        def length(scale):
            g = gradient(scale)
            return np.abs(g).sum() if optimizer == "adam" else np.sqrt((g**2).sum())

        def after(scale, direction):
            flat, unflatten = ravel_pytree(scaled(weights, scale))
            return float(loss(unflatten(flat - eta * direction)))

        for _ in range(steps):
            g = gradient(scale)
            direction = np.sign(g) if optimizer == "adam" else g / np.linalg.norm(g)
            kind = int(length(scale) > bound)
            long += kind
            if kind:
                slope = slopes(length, scale)
            else:
                slope = slopes(lambda at, by=direction: after(at, by), scale) / eta
            slope = np.clip(slope, -1, 1)
            counts[kind] += 1
            moments[kind] = [
                0.9 * moments[kind][0] + 0.1 * slope,
                0.999 * moments[kind][1] + 0.001 * slope**2,
            ]
            mean = moments[kind][0] / (1 - 0.9 ** counts[kind])
            square = moments[kind][1] / (1 - 0.999 ** counts[kind])
            scale = scale - rate * mean / (np.sqrt(square) + 1e-8)
            scale = np.maximum(scale, [0.01, 0.0] * 3)
        return jax.tree.map(np.asarray, scaled(weights, scale)), long


@pytest.mark.parametrize(
    ("optimizer", "bound", "long"),
    [("sgd", 1e6, 0), ("adam", 1e6, 0), ("sgd", 0.1, 6), ("adam", 0.1, 6), ("sgd", None, None)],
)
def test_gradinits_steps_are_those_of_the_authors_loop(optimizer, bound, long):
    """Source: their code in NumPy; every slope is a central difference, biases scaled too."""
    setting, own = network(gain=2.0)
    eta = 0.1 if optimizer == "sgd" else 0.05
    if bound is None:  # passed on the way, so that both kinds of step are taken
        start = plain_gradinit(own, ALIKE, optimizer, eta, 1e6, 0)[0]
        with double_precision():
            g = jax.grad(lambda p: plain_loss(p, ALIKE, "tanh"))(in_float64(start))
            bound = 0.97 * float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(g))))
    fitted = adaptive.gradinit(
        setting, ALIKE, optimizer=optimizer, learning_rate=eta, gradient_bound=bound, steps=6
    )
    expected, count = plain_gradinit(own, ALIKE, optimizer, eta, bound, 6)
    assert count == long if long is not None else 0 < count < 6
    # where a slope is nearly 0, Adam divides what float32 rounds off by as little
    for ours, theirs in zip(
        jax.tree.leaves(fitted.weights), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("optimizer", "eta"), [("sgd", 0.1), ("adam", 1e-3)])
def test_its_objective_is_the_loss_after_one_step(optimizer, eta):
    """Source: the gradient of the plain network, in float64."""
    setting, _ = network()
    fitted = adaptive.gradinit(setting, TINY, optimizer=optimizer, steps=2)
    for step in range(3):
        with double_precision():
            flat, unflatten = ravel_pytree(in_float64(fitted.at(step)))

            def loss(flat, unflatten=unflatten):
                return plain_loss(unflatten(flat), TINY, "tanh")

            g = jax.grad(loss)(flat)
            direction = jnp.sign(g) if optimizer == "adam" else g / jnp.sqrt(jnp.sum(g**2))
            expected = float(loss(flat - eta * direction))
        assert fitted.objective[step] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("count", "half"), [(1, 1), (2, 1), (3, 1), (10, 4), (64, 22), (500, 64)])
def test_minibatches_share_a_half(count, half):
    one, other = np.asarray(first_step._minibatches(jax.random.key(0), count))
    assert one.shape == other.shape == (2 * half,)
    np.testing.assert_array_equal(one[:half], other[:half])
    assert max(one.max(), other.max()) < count
    if count >= 3 * half:
        assert len({*one, *other}) == 3 * half


@pytest.mark.parametrize("seed", range(4))
def test_gradinit_lowers_the_loss_of_a_start_that_is_too_large(seed):
    setting = Setting(depth=10, width=32, activation="relu", gain=3.0, seed=seed)
    fitted = adaptive.gradinit(setting)
    assert fitted.objective[-1] < fitted.objective[0]
    assert fitted.objective[-1] < np.log(10)  # and below that of guessing
    assert (fitted.scale[-1] < 1).all()


def test_a_scale_has_a_lower_limit():
    setting = Setting(depth=2, width=8, activation="relu", gain=3.0)
    fitted = adaptive.gradinit(setting, gradient_bound=1e-9, scale_rate=1.0, steps=20)
    assert fitted.scale.min() == pytest.approx(0.01, rel=1e-6)


# --- both ---------------------------------------------------------------------------------------

SEARCHES = {
    "metainit": (adaptive.metainit, quotient._fit),
    "gradinit": (adaptive.gradinit, first_step._fit),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_residual_networks(name):
    fit, _ = SEARCHES[name]
    setting = Residual(blocks=4, width=16, activation="relu")
    fitted = fit(setting, steps=30)
    assert fitted.objective[-1] < fitted.objective[0]
    assert len(fitted.matrices) == 10 == fitted.scale.shape[1]
    own = initlab.weights(setting)
    for kind in ("inner", "outer"):
        arrays = zip(fitted.weights.layers[kind], own.layers[kind], strict=True)
        ratios = np.array([np.linalg.norm(now) / np.linalg.norm(then) for now, then in arrays])
        place = 1 if kind == "inner" else 2
        np.testing.assert_allclose(ratios, fitted.scale[-1, place:-1:2], rtol=ROUNDING)
    assert not fitted.weights.layers["biases"].any()
    moved = (fitted.weights.layers["branch_scale"] != 1).all()
    assert moved == (name == "gradinit")  # a factor of its own is trained, but is no matrix
    assert probe(setting, weights=fitted.weights).first_overflow is None


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("depth", [1, 3])
def test_overflow_in_the_start_is_told(name, depth):
    setting = Setting(depth, 8, "linear", gain=1e6)
    fitted = SEARCHES[name][0](setting, Batch(TINY.inputs * 1e30, TINY.labels), steps=3)
    assert fitted.steps == 0 and "after 0 steps the " in fitted.stopped
    assert "not finite" in fitted.stopped
    for (ours, _), (own, _) in zip(
        fitted.weights, initlab.weights(setting, fan_in=3, fan_out=3), strict=True
    ):
        np.testing.assert_array_equal(ours, own)


def test_a_step_that_overflows_is_taken_back():
    setting = Setting(depth=30, width=8, activation="linear", gain=1.0)
    fitted = adaptive.metainit(setting, TINY, learning_rate=100.0, steps=50)
    assert "was taken back" in fitted.stopped
    assert np.isfinite(fitted.objective).all()
    assert all(np.isfinite(weight).all() for weight, _ in fitted.weights)


@pytest.mark.parametrize("name", SEARCHES)
def test_zeros_stay(name):
    fitted = SEARCHES[name][0](Setting(2, 8, "relu", "zeros"), steps=3)
    assert not any(weight.any() for weight, _ in fitted.weights)
    assert np.isfinite(fitted.objective).all()


@pytest.mark.parametrize("name", SEARCHES)
def test_neither_seed_nor_scale_nor_steps_compile_anything(name):
    fit, program = SEARCHES[name]
    fit(Setting(3, 8), TINY, steps=2)
    before = program._cache_size()
    for changes in ({"seed": 5}, {"gain": 2.0}, {"bias_std": 0.3}, {"initializer": "orthogonal"}):
        fit(Setting(3, 8, **changes), TINY, steps=4)
    assert program._cache_size() == before


@pytest.mark.parametrize("name", SEARCHES)
def test_a_setting_can_name_it(name):
    setting = Setting(2, 8, initializer=name)
    own = SEARCHES[name][0](Setting(2, 8, initializer="he_normal"), data.digits(256))
    for (ours, _), (weight, _) in zip(initlab.weights(setting), own.weights, strict=True):
        np.testing.assert_array_equal(ours, weight)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: adaptive.metainit("relu"), TypeError, "metainit fits a Setting or a Residual"),
        (lambda: adaptive.metainit(Recurrent()), TypeError, "not a Recurrent"),
        (lambda: adaptive.metainit(Setting(), 3), TypeError, "batch must be a Batch"),
        (lambda: adaptive.metainit(Setting(), steps=0), ValueError, "the nearest is 1"),
        (lambda: adaptive.metainit(Setting(), steps=2000), ValueError, "the nearest is 1000"),
        (lambda: adaptive.metainit(Setting(), learning_rate=0), ValueError, "above 0 and at most"),
        (lambda: adaptive.metainit(Setting(), momentum=1), ValueError, "the nearest is 0.999"),
        (lambda: adaptive.gradinit(Recurrent()), TypeError, "not a Recurrent"),
        (lambda: adaptive.gradinit(Setting(), 3), TypeError, "batch must be a Batch"),
        (lambda: adaptive.gradinit(Setting(), optimizer="adamw"), ValueError, "'adam'"),
        (lambda: adaptive.gradinit(Setting(), learning_rate="1"), TypeError, "learning_rate must"),
        (lambda: adaptive.gradinit(Setting(), gradient_bound=0), ValueError, "above 0"),
        (lambda: adaptive.gradinit(Setting(), scale_rate=2), ValueError, "the nearest is 1"),
        (lambda: adaptive.gradient_quotient(jnp.sum, 1.0, 0), ValueError, "epsilon must be above"),
        (lambda: adaptive.gradient_quotient(jnp.sum, {}), ValueError, "at least one array"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
