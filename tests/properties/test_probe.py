"""What ``probe`` measures of a dense network, held against NumPy's float64 and against laws."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

import initlab
from initlab import Setting, diagnose, probe, weights
from initlab.activations import ACTIVATIONS
from initlab.data import Batch
from initlab.measures import NO_VARIATION, SAME_NEURON
from initlab.signals import LAYER_FIELDS
from tests.plain_network import distinct_units, plain_measures
from tests.properties.reference import FUNCTIONS, Passes, effective_units
from tests.properties.strategies import (
    batches,
    calm,
    calm_batches,
    dense,
    holds,
    one_program,
    one_shape,
)

#: what four roundings of float32 in a chain of 10 operations add to a mean over a layer
TOLERANCE = 1e-4
#: A measure's error is a normal number whose deviation is at most that of the shaken runs'
#: differences; the largest of six of these is under a tenth of it once in 10^6.
SPREADS = 10.0


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_the_reference_agrees_with_the_plain_network(activation):
    """Source: ``jax.grad`` of the unrolled network in float64; both are exact to 1e-12 or so."""
    setting = Setting(4, 8, activation, "lecun_normal", gain=1.5, bias_std=0.3)
    batch = initlab.data.gaussian(12, 16, 3)
    parameters = weights(setting, batch=batch)
    plain = plain_measures(parameters, batch.inputs, batch.labels, activation)
    passes = Passes(parameters, batch.inputs, batch.labels, activation, "float32", shake=False)
    for field, found in passes.measures().items():
        np.testing.assert_allclose(np.ravel(found), plain[field], rtol=1e-9, err_msg=field)
    np.testing.assert_allclose(passes.loss(), plain["loss"], rtol=1e-12)
    found = [effective_units(x[0]) for x in passes.after[1:]]
    np.testing.assert_allclose(found, plain["effective_neurons"], rtol=1e-9)


def overflow_range(passes, parameters, depth: int) -> tuple[int, int]:
    """The first layer where a value may pass what is held, and the first where it must."""
    largest = passes.precision.largest
    may = must = None
    with np.errstate(invalid="ignore"):
        for layer in range(depth + 2):
            if layer == 0:
                sizes = np.abs(passes.after[0])
                low = high = sizes.max()
            else:
                z = passes.before[layer - 1] if layer <= depth else passes.logits
                sizes = np.abs(z).max(axis=(1, 2))
                low, high = sizes.min(), max(sizes.max(), passes.summed[layer - 1])
                if not all(np.isfinite(array).all() for array in parameters[layer - 1]):
                    low = np.inf
            # half of the last rounding beyond the largest is still rounded to it
            if may is None and not high * (1 + 2 * passes.precision.rounding) < largest:
                may = layer
            if must is None and not low <= largest * (1 + 2 * passes.precision.rounding):
                must = layer
    return depth + 2 if may is None else may, depth + 2 if must is None else must


def assert_near(found, expected, allowed, name):
    wrong = ~(np.abs(found - expected) <= allowed)
    assert not wrong.any(), (name, np.flatnonzero(wrong), found[wrong], expected[wrong])


SMALL = {"setting": one_program, "batch": one_shape}


@holds(nightly=3000, ci=12, few=SMALL, setting=dense(), batch=batches())
def test_every_field_agrees_with_numpy(setting, batch):
    """Source: NumPy's float64, and how far it moves when each value is shaken by 16 roundings."""
    batch = batch.batch
    signals = probe(setting, batch)
    parameters = weights(setting, batch=batch)
    depth = setting.depth
    passes = Passes(parameters, batch.inputs, batch.labels, setting.activation, setting.dtype)
    may, must = overflow_range(passes, parameters, depth)
    first = depth + 2 if signals.first_overflow is None else signals.first_overflow
    # what a precision takes for nothing, such as 1e-30 in float16, is nothing for all that follows
    lost = next((layer for layer in range(depth + 1) if passes.loses_a_row(layer)), depth + 2)
    assert may <= first and (first <= must or lost < must), (may, first, must, lost)

    known = {
        "hidden_layer": np.arange(1, depth + 1) < first,
        "layer": np.arange(depth + 1) < first,
        "weight_layer": np.full(depth + 1, first > depth + 1),
    }
    backward = first > depth + 1
    measured = passes.measures()
    for field, runs in measured.items():
        found = getattr(signals, field)
        assert found.dtype == np.float64 and found.shape == (len(runs),)
        if field in ("gradient_second_moment", "weight_gradient_norm"):
            here = np.full(len(runs), backward)
        else:
            here = known["hidden_layer" if len(runs) == depth else "layer"]
        if field in ("input_similarity", "gradient_second_moment", "weight_gradient_norm"):
            assert np.isnan(found[~here]).all()
        else:
            assert np.isposinf(found[~here]).all()
        if field == "input_similarity" and len(batch) == 1:
            assert np.isnan(found).all()
            continue
        if field in ("gradient_second_moment", "weight_gradient_norm") and lost <= depth:
            continue
        here = here & (np.arange(len(runs)) < lost + (len(runs) > depth))
        values = np.array(runs)[here]  # [layers, R]
        if not values.size:
            continue
        exact = values[:, 0]
        with np.errstate(invalid="ignore", over="ignore"):
            spread = np.abs(values[:, 1:] - values[:, :1]).max(axis=1)
            allowed = SPREADS * spread + TOLERANCE * np.abs(exact)
        if field == "input_similarity":
            allowed += 1e-5  # a sum of products of unit vectors
            assert (np.abs(found[here]) <= 1).all()
            # of a row whose digits are lost nothing is known but that
            allowed[[passes.loses_a_row(layer) for layer in np.flatnonzero(here)]] = 2.0
        elif field in ("gradient_second_moment", "weight_gradient_norm") and passes.loses_signs:
            continue
        else:  # where chaos spreads a measure over powers of ten, by its logarithm
            with np.errstate(all="ignore"):
                logs = np.log(values)
                room = SPREADS * np.abs(logs[:, 1:] - logs[:, :1]).max(axis=1)
                far = np.abs(found[here] - exact)
                allowed = np.where(np.abs(np.log(found[here]) - logs[:, 0]) <= room, far, allowed)
        # what float64 itself does not hold in full
        allowed += 1e-300
        fine = np.isfinite(exact) & np.isfinite(allowed)
        assert_near(found[here][fine], exact[fine], allowed[fine], field)

    drawn = weights(setting.replace(dtype="float32"), batch=batch)  # whatever becomes of them
    norms = [np.linalg.norm(np.float64(weight)) for weight, _ in drawn]
    np.testing.assert_allclose(signals.weight_norm, norms, rtol=TOLERANCE, atol=1e-37)
    if backward and lost <= depth:
        assert np.isfinite(signals.loss)
    elif backward:
        losses = passes.loss()
        spread = np.abs(losses[1:] - losses[0]).max()
        allowed = SPREADS * spread + TOLERANCE * losses[0] + 1e-6
        assert abs(signals.loss - losses[0]) <= allowed, (signals.loss, losses)
    else:
        assert np.isnan(signals.loss)
    _check_units(signals, passes, known["hidden_layer"] & (np.arange(depth) < lost))


def _check_units(signals, passes, known):
    """Counts and shares of the layers that are known."""
    setting, width = signals.setting, signals.setting.width
    for field in ("saturated_fraction", "dead_fraction"):
        values = getattr(signals, field)
        values = values[~np.isnan(values)]
        assert ((values >= 0) & (values <= 1)).all()
    distinct = signals.distinct_neurons[~np.isnan(signals.distinct_neurons)]
    assert ((distinct >= 1) & (distinct <= width) & (distinct == np.round(distinct))).all()
    if setting.initializer in ("zeros", "constant") and setting.bias_std == 0:
        assert (distinct == 1).all()
    for layer in np.flatnonzero(known):
        x, z = passes.after[layer + 1], passes.before[layer]
        largest = np.abs(x[0]).max()
        assert signals.activation_histogram[layer + 1].sum() == x[0].size
        if largest < 2.0**20 * passes.precision.smallest:
            continue  # digits are lost
        found = signals.effective_neurons[layer]
        moved = (x[0] - x[0].mean(axis=0)) / largest
        moves = np.sqrt((moved**2).mean())
        error = np.abs(x[1:] - x[:1]).max() / largest
        if moves < NO_VARIATION / 4 and error < NO_VARIATION / 4:
            assert found == 0
        elif moves > 8 * NO_VARIATION and error < moves / 100:
            expected = effective_units(x[0] / largest)
            assert abs(found - expected) <= (TOLERANCE + 8 * error / moves) * expected
        below, above = ACTIVATIONS[setting.activation].flat_range
        room = np.abs(z[1:] - z[:1]).max()
        shares = [((z[0] <= below - e) | (z[0] >= above + e)).mean() for e in (room, -room)]
        share = signals.saturated_fraction[layer]
        assert shares[0] - 1e-6 <= share <= shares[1] + 1e-6


# --- laws ---------------------------------------------------------------------------------------

CALM = {"setting": calm, "batch": calm_batches}


def close(found, expected, tolerance=TOLERANCE, floor=0.0):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=floor)


@holds(nightly=500, ci=4, **CALM, factor=st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_a_relu_networks_moments_follow_the_gain_squared_layer_by_layer(setting, batch, factor):
    """Source: relu(c x) = c relu(x), exactly so for powers of two: layer l gets factor^(2 l)."""
    for activation in ("relu", "linear", "leaky_relu"):
        start = setting.replace(activation=activation, bias_std=0.0, initializer="he_normal")
        moments = [
            probe(start.replace(gain=gain), batch.batch).activation_second_moment
            for gain in (start.gain, factor * start.gain)
        ]
        layers = np.arange(start.depth + 1)
        close(moments[1], moments[0] * factor ** (2.0 * layers), 1e-5 * start.depth)


@holds(nightly=500, ci=0, **CALM)
def test_twice_the_input_is_four_times_the_moments_of_a_relu_network(setting, batch):
    """Source: homogeneity; without biases every layer's values double."""
    batch = batch.batch
    twice = Batch(2 * batch.inputs, batch.labels, batch.classes)
    for activation in ("relu", "linear", "leaky_relu"):
        start = setting.replace(activation=activation, bias_std=0.0, initializer="orthogonal")
        once, doubled = probe(start, batch), probe(start, twice)
        for field in ("activation_second_moment", "preactivation_variance"):
            close(getattr(doubled, field), 4 * getattr(once, field), 1e-5)
        close(doubled.input_similarity, once.input_similarity, floor=1e-5)


@holds(nightly=700, ci=5, **CALM, order=st.permutations(range(12)))
def test_the_order_of_examples_does_not_matter(setting, batch, order):
    """Source: every measure is a mean or a count over examples. Sums are rounded otherwise, and
    what a rounding in layer 1 grows to is what a gradient grows by on its way back."""
    batch = batch.batch
    other = Batch(batch.inputs[order], batch.labels[order], batch.classes)
    ours, theirs = probe(setting, batch), probe(setting, other)
    size = np.sqrt(ours.gradient_second_moment)
    grown = np.max(size[0] / np.where(size > 0, size, np.inf), initial=1.0)
    for field in ("activation_second_moment", "gradient_second_moment", "weight_norm"):
        close(getattr(theirs, field), getattr(ours, field), TOLERANCE + 1e-6 * grown, 1e-300)
    close(theirs.loss, ours.loss, TOLERANCE + 1e-6 * grown)


@holds(nightly=700, ci=5, **CALM, chance=st.integers(0, 99))
def test_the_order_of_units_does_not_matter(setting, batch, chance):
    """Source: a network whose units are numbered otherwise is the same network."""
    random, batch = np.random.default_rng(chance), batch.batch
    own = weights(setting, batch=batch)
    renumbered, before = [], np.arange(len(own[0][0]))
    for place, (weight, bias) in enumerate(own):
        units = np.arange(len(bias))
        after = units if place == setting.depth else random.permutation(units)
        renumbered.append((weight[before][:, after], bias[after]))
        before = after
    ours, theirs = probe(setting, batch), probe(setting, batch, renumbered)
    size = np.sqrt(ours.gradient_second_moment)
    grown = np.max(size[0] / np.where(size > 0, size, np.inf), initial=1.0)
    for field in ("activation_second_moment", "gradient_second_moment", "weight_gradient_norm"):
        # of a readout of equal weights the gradient is 0 but for the rounding of what is added up
        floor = 1e-6 * theirs.weight_gradient_norm.max() if "norm" in field else 1e-12
        close(getattr(theirs, field), getattr(ours, field), TOLERANCE + 1e-5 * grown, floor)
    close(theirs.activation_histogram.sum(1), ours.activation_histogram.sum(1))


@holds(nightly=700, ci=0, **CALM, further=st.integers(1, 20))
def test_a_deeper_network_begins_with_the_shallower_one(setting, batch, further):
    """Source: identity; what comes before a layer does not depend on it, to the last bit."""
    setting = setting.replace(initializer=setting.initializer.replace("emergence", "he_normal"))
    short = probe(setting, batch.batch)
    long = probe(setting.replace(depth=setting.depth + further), batch.batch)
    for field in ("activation_variance", "preactivation_second_moment", "input_similarity"):
        ours = getattr(short, field)
        np.testing.assert_array_equal(getattr(long, field)[: len(ours)], ours)
    shallow, deep = weights(setting), weights(setting.replace(depth=setting.depth + further))
    for ours, theirs in zip(shallow[:-1], deep, strict=False):
        np.testing.assert_array_equal(ours[0], theirs[0])


@holds(nightly=700, ci=5, few=SMALL, setting=dense(), batch=batches())
def test_weights_that_are_given_back_are_measured_alike(setting, batch):
    """Source: identity, but for the rounding of scaled weights; counted only where no gradient
    is grown, and nothing overflows."""
    batch = batch.batch
    own = probe(setting, batch)
    given = probe(setting, batch, weights(setting, batch=batch))
    assert given.setting == setting
    assume(own.first_overflow is None and given.first_overflow is None)
    np.testing.assert_allclose(given.activation_second_moment[0], own.activation_second_moment[0])
    passes = Passes(
        weights(setting, batch=batch), batch.inputs, batch.labels, setting.activation, setting.dtype
    )
    runs = np.array(passes.measures()["activation_second_moment"])
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.abs(runs[:, 1:] - runs[:, :1]).max(axis=1)
        room = 2 * SPREADS * spread + TOLERANCE * np.abs(runs[:, 0])
    wrong = np.abs(given.activation_second_moment - own.activation_second_moment) > room
    assert not wrong.any()


@holds(nightly=500, ci=4, few=SMALL, setting=dense(), batch=batches())
def test_a_dataset_holds_what_signals_hold(setting, batch):
    """Source: the fields themselves."""
    signals = probe(setting, batch.batch)
    dataset = signals.to_dataset()
    for field in LAYER_FIELDS:
        np.testing.assert_array_equal(dataset[field].values, getattr(signals, field))
    fields = {field.name for field in dataclasses.fields(setting)}
    assert Setting(**{name: dataset.attrs[name] for name in fields}) == setting
    overflow = dataset.attrs["first_overflow"]
    assert (None if overflow == -1 else overflow) == signals.first_overflow
    assert dataset.sizes == {
        "layer": setting.depth + 1,
        "hidden_layer": setting.depth,
        "weight_layer": setting.depth + 1,
        "bin": 61,
    }


@holds(nightly=300, ci=4, **CALM)
def test_distinct_neurons_are_those_that_pairs_tell_apart(setting, batch):
    """Source: every pair of units compared, in float64, with a tolerance 10 times and 1/10."""
    batch = batch.batch
    parameters = weights(setting, batch=batch)
    passes = Passes(parameters, batch.inputs, batch.labels, setting.activation, "float32")
    signals = probe(setting, batch)
    readout = parameters[-1][0]
    assume(not (readout == readout[0, 0]).all())  # of equal weights it passes rounding back
    for layer, found in enumerate(signals.distinct_neurons):
        x, gradient = passes.after[layer + 1], passes.gradients[layer]
        shaken = max(
            np.abs(values[1:] - values[:1]).max() / (np.abs(values[0]).max() or 1.0)
            for values in (x, gradient)
        )
        if shaken < SAME_NEURON:
            low, high = (
                distinct_units(x[0], gradient[0], SAME_NEURON * factor) for factor in (10, 0.1)
            )
            assert low <= found <= high, (layer, low, found, high)


@holds(nightly=300, ci=4, few=SMALL, setting=dense(), batch=batches())
def test_every_network_can_be_diagnosed_and_told(setting, batch):
    """Nothing raises, and layers that are named are there."""
    signals = probe(setting, batch.batch)
    diagnosis = diagnose(signals)
    assert diagnosis.healthy == (not diagnosis.failures)
    assert all(0 <= failure.first_layer <= setting.depth + 1 for failure in diagnosis.failures)
    assert str(setting) in str(signals)
    assert str(diagnosis) and setting.describe() and repr(signals)
