import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from initlab.doctor import watch
from tests.plain_models import INPUTS, dense, residual

LABELS = np.arange(len(INPUTS)) % 10


def loss(logits, inputs):
    return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()


def trained(network, params, check, steps, rate):
    """What is told while a plain loop trains; parameters are donated, as loops do."""
    optimizer, told = optax.sgd(rate), []

    def step(params, state):
        gradient = jax.grad(lambda params: loss(network(params, INPUTS), INPUTS))(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state

    step = jax.jit(step, donate_argnums=0)
    params = jax.tree.map(jnp.array, params)
    state = optimizer.init(params)
    for number in range(steps + 1):
        told.append(check(number, params))
        params, state = step(params, state)
    return [line for line in told if line]


def test_a_network_that_learns_is_told_nothing_of():
    network, params = dense(depth=3)
    check = watch(network, INPUTS, loss, every=10)
    assert trained(network, params, check, 30, rate=0.1) == [] and check.signs == []
    losses = [report.loss for report in check.reports.values()]
    assert list(check.reports) == [0, 10, 20, 30] and losses == sorted(losses, reverse=True)


def test_a_failure_is_told_once_and_at_its_layer():
    network, params = dense()
    params[5]["bias"] -= 50.0
    check = watch(network, INPUTS, loss, every=5)
    told = trained(network, params, check, 10, rate=0.1)
    assert told[0].startswith("step 0: dead units at 5/kernel: ")
    assert [sign.mode for sign in check.signs].count("dead units") == 1
    assert [sign.layer for sign in check.signs if sign.mode == "dead units"] == [5]


def test_a_loss_that_does_not_fall_and_updates_that_are_too_small():
    network, params = dense(depth=3)
    check = watch(network, INPUTS, loss, every=10)
    (told,) = trained(network, params, check, 20, rate=1e-7)
    assert told.startswith("step 10: loss not falling: ") and "; updates too small at " in told
    # by hand: the update's norm over the weights', of the layer that is named
    smallest = next(sign for sign in check.signs if sign.mode == "updates too small")
    gradient = jax.grad(lambda params: loss(network(params, INPUTS), INPUTS))(params)
    ratios = [
        1e-7 * np.linalg.norm(slope["kernel"]) / np.linalg.norm(layer["kernel"])
        for slope, layer in zip(gradient[:-1], params[:-1], strict=True)
    ]
    assert smallest.layer == np.argmin(ratios)
    # updates of 1e-9 of the weights are lost in float32, mostly
    assert float(smallest.evidence.split()[0]) < 1e-5


def test_updates_that_are_too_large_are_measured_by_layer():
    network, params = residual(blocks=3, branch=0.1)
    check = watch(network, INPUTS, every=2)
    check(0, params)
    check(1, params)
    params = jax.tree.map(lambda leaf: 1.001 * leaf, params)
    told = check(2, params | {"inner": params["inner"].at[1].multiply(1.5 / 1.001)})
    assert told == (
        "step 2: updates too large at inner[1]: 5.0e-01 of the weights' norm, where 0.001 is usual"
    )


def test_divergence_is_told():
    network, params = dense(depth=3)
    check = watch(network, INPUTS, loss, every=5)
    told = trained(network, params, check, 20, rate=1e6)
    assert any("divergence: the loss is not a finite number" in line for line in told)


def test_it_may_be_called_at_its_own_steps_only():
    network, params = dense(depth=3)
    check = watch(network, INPUTS, loss, every=10)
    assert check(0, params) is None and check(10, params) is not None  # the loss did not fall
    assert [sign.mode for sign in check.signs] == ["loss not falling"]


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (2.5, ValueError), ("2", TypeError)])
def test_every_is_a_whole_number(every, error):
    with pytest.raises(error, match="every must be a whole number from 1"):
        watch(dense()[0], INPUTS, every=every)
