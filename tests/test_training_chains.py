"""Training of networks that are chains: the steps of a plain loop, the records of a probe."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab.architectures.chain import logits
from initlab.data import digits

pytestmark = pytest.mark.numerics

SMALL = initlab.Residual(blocks=3, width=16)
STARTS = [SMALL.replace(gain=0.5), SMALL.replace(seed=1)]


def layer_norms(weights):
    """Of all arrays of a layer together, in float64; layer 1 first, readout last."""
    first, layers, readout = jax.tree.map(lambda array: np.asarray(array, np.float64), weights)
    depth = 1 + len(next(iter(layers.values())))
    hidden = [{name: array[at] for name, array in layers.items()} for at in range(depth - 1)]
    return np.array(
        [np.sqrt(sum((a**2).sum() for a in layer.values())) for layer in (first, *hidden, readout)]
    )


@pytest.mark.slow
def test_the_steps_are_those_of_a_plain_loop():
    batch = digits(64)
    history = initlab.train(STARTS, batch, optimizer=optax.adam(1e-2), steps=5, record_every=1)

    def loss_of(parameters, setting):
        likelihood = jax.nn.log_softmax(logits(setting, parameters, jnp.asarray(batch.inputs)))
        return -jnp.mean(likelihood[jnp.arange(len(batch)), batch.labels])

    for place, setting in enumerate(STARTS):
        parameters, optimizer = initlab.weights(setting), optax.adam(1e-2)
        state, losses, ratios = optimizer.init(parameters), [], [[np.nan] * (setting.depth + 1)]
        for _ in range(5):
            loss, gradient = jax.value_and_grad(loss_of)(parameters, setting)
            updates, state = optimizer.update(gradient, state)
            # as in the setting's own words: what is fixed stays
            updates.layers.update({name: 0 * updates.layers[name] for name in setting.fixed})
            ratios.append(layer_norms(updates) / layer_norms(parameters))
            parameters = optax.apply_updates(parameters, updates)
            losses.append(float(loss))
        # five steps of rounding, which Adam's division by small second moments enlarges
        np.testing.assert_allclose(history.loss[place, :5], losses, rtol=2e-4)
        np.testing.assert_allclose(history.update_ratio[place], ratios, rtol=5e-3)
        for ours, theirs in zip(
            jax.tree.leaves(history.parameters[place]), jax.tree.leaves(parameters), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_the_first_record_is_what_probe_measures():
    batch = digits(SMALL.examples)
    history = initlab.train(STARTS, batch, steps=1)
    for place, setting in enumerate(STARTS):
        signals = initlab.probe(setting, batch)
        for name in ("activation_variance", "gradient_second_moment", "distinct_neurons"):
            # one product more in another order
            np.testing.assert_allclose(
                getattr(history, name)[place, 0], getattr(signals, name), rtol=1e-5
            )
        assert history.loss[place, 0] == pytest.approx(signals.loss, rel=1e-5)


def test_kinds_of_network_stand_side_by_side():
    dense = initlab.Setting(depth=2, width=16)
    history = initlab.train([dense, SMALL], digits(64), steps=2)
    assert history.distinct_neurons.shape[2] == SMALL.depth
    assert np.isnan(history.distinct_neurons[0, :, dense.depth :]).all()
    assert isinstance(history.parameters[0], list)
    assert history.parameters[1].layers["inner"].shape == (3, 16, 16)


def test_what_only_dense_networks_have_is_refused():
    for option in ({"dropout": 0.5}, {"keep_first_layer": True}):
        with pytest.raises(ValueError, match=f"{next(iter(option))} is for dense networks"):
            initlab.train(SMALL, steps=1, **option)
    with pytest.raises(TypeError, match=r"initial for settings\[0\] must be the Weights"):
        initlab.train(SMALL, steps=1, initial=[(np.zeros((2, 2)), np.zeros(2))])


def test_training_goes_on_from_what_was_learnt():
    batch = digits(64)
    twice = initlab.train(SMALL, batch, steps=4)
    half = initlab.train(SMALL, batch, steps=2)
    rest = initlab.train(SMALL, batch, steps=2, initial=half.parameters[0])
    assert rest.loss[0, -1] == pytest.approx(twice.loss[0, -1], rel=1e-4)


def test_the_layer_where_a_chain_diverged():
    """Source: the probe of the very weights, which names where a value first is not finite."""
    settings = [SMALL.replace(gain=gain) for gain in (1.0, 1e6)]
    history = initlab.train(settings, digits(64), steps=8, optimizer=optax.sgd(10.0))
    assert history.diverged_at[1] is not None
    found = initlab.probe(settings[1], digits(64), history.parameters[1])
    assert history.diverged_layer[1] == (found.first_overflow or SMALL.depth + 1)


def test_steps_in_time_share_their_update():
    """A recurrent network has one set of weights for all its layers."""
    history = initlab.train(initlab.Recurrent(steps=4, width=16), digits(64), steps=2)
    hidden = history.update_ratio[0, -1, :-1]
    assert hidden.shape == (4,) and (hidden == hidden[0]).all() and hidden[0] > 0
