"""Networks of all other kinds, held against plain ones and against laws."""

import numpy as np
from hypothesis import strategies as st

import initlab
from initlab import data, diagnose, probe, weights
from initlab.architectures import Convolutional, Recurrent, Residual, Transformer
from initlab.signals import LAYER_FIELDS
from tests import plain_convolutional, plain_recurrent, plain_residual, plain_transformer
from tests.plain_network import mean_cosine
from tests.properties.strategies import (
    Examples,
    activations,
    any_kind,
    batches,
    convolutionals,
    holds,
    recurrents,
    residuals,
    transformers,
)

#: what 16 roundings of float32 a layer add up to in these few layers, grown tenfold by the way
TOLERANCE = 1e-3
BATCH = Examples("noise", 12).batch

small = {"gain": st.floats(0.5, 1.5), "activation": activations, "seed": st.integers(0, 3)}


def close(found, expected, name=""):
    """Relative, and 1e-9 for what is 0 but for float64's own rounding."""
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=1e-9, err_msg=name)


@holds(
    nightly=60,
    ci=0,  # tests of each kind compare some with the plain network
    setting=st.builds(
        Residual,
        blocks=st.integers(1, 3),
        width=st.just(8),
        start=st.sampled_from(("plain", "skipinit", "fixup", "zero_last")),
        normalization=st.sampled_from(("none", "layer", "rms", "batch")),
        placement=st.sampled_from(("before", "after")),
        **small,
    ),
)
def test_a_residual_network_is_the_plain_one(setting):
    """Source: the unrolled network in float64, differentiated by ``jax.grad``."""
    signals = probe(setting, BATCH)
    plain = plain_residual.plain(setting, weights(setting, batch=BATCH), BATCH)
    close(signals.loss, plain["loss"])
    close(signals.activation_second_moment[1:], [(x**2).mean() for x in plain["states"]])
    close(signals.gradient_second_moment, (plain["state_gradients"] ** 2).mean(axis=(1, 2)))
    close(signals.input_similarity[1:], [mean_cosine(x) for x in plain["states"]])


@holds(
    nightly=40,
    ci=0,
    setting=st.builds(
        Recurrent,
        steps=st.integers(1, 5),
        width=st.just(8),
        cell=st.sampled_from(("simple", "lstm", "gru")),
        forget_bias=st.floats(0, 3),
        **small,
    ),
)
def test_a_recurrent_network_is_the_plain_one(setting):
    """Source: the papers' steps one after the other, in float64."""
    with initlab.quadrature.double_precision():
        parameters = plain_recurrent.float64(weights(setting, batch=BATCH))
        probes = plain_recurrent.silent_probes(setting, len(BATCH))
        given = setting, parameters, probes, np.float64(BATCH.inputs), BATCH.labels
        loss = float(plain_recurrent.losses(*given).mean())
        back = plain_recurrent.gradients(setting, parameters, *given[3:])
        moments = [
            np.mean([np.mean(np.square(part)) for part in gradient.values()]) for gradient in back
        ]
    signals = probe(setting, BATCH)
    close(signals.loss, loss)
    close(signals.gradient_second_moment, moments)


@holds(
    nightly=40,
    ci=0,
    setting=st.builds(
        Convolutional,
        depth=st.integers(1, 3),
        width=st.just(4),
        kernel=st.just(3),
        padding=st.sampled_from(("zero", "circular")),
        initializer=st.sampled_from(("he_normal", "orthogonal", "uniform")),
        **small,
    ),
)
def test_a_convolutional_network_is_the_plain_one(setting):
    """Source: XLA's own convolution, in float64."""
    signals = probe(setting, BATCH)
    plain = plain_convolutional.plain_measures(weights(setting, batch=BATCH), setting, BATCH)
    for field in ("activation_second_moment", "gradient_second_moment", "input_similarity", "loss"):
        close(getattr(signals, field), plain[field], field)


@holds(
    nightly=40,
    ci=0,
    setting=st.builds(
        Transformer,
        blocks=st.integers(1, 2),
        width=st.just(8),
        heads=st.just(4),
        normalization=st.sampled_from(("pre", "post", "none")),
        start=st.sampled_from(("gpt2", "glorot", "lecun")),
        attention_gain=st.floats(0, 2),
        **small,
    ),
)
def test_a_transformer_is_the_plain_one(setting):
    """Source: one head at a time, in float64; of these starts the logits' factor is 1/sqrt(d)."""
    signals = probe(setting, BATCH)
    plain = plain_transformer.plain_measures(
        weights(setting, batch=BATCH), setting, BATCH, (setting.width // setting.heads) ** -0.5
    )
    for field in ("activation_second_moment", "gradient_second_moment", "input_similarity", "loss"):
        close(getattr(signals, field), plain[field], field)
    close(signals.more["attention_entropy"][1:], plain["attention_entropy"])


others = st.one_of(residuals, recurrents, convolutionals, transformers)


@holds(nightly=400, ci=2, few={"setting": residuals}, setting=others, batch=batches(sizes=(12,)))
def test_every_network_of_another_kind_can_be_measured_diagnosed_and_told(setting, batch):
    """Nothing raises, whatever the scales; shares are shares, and what overflowed is said."""
    signals = probe(setting, batch.batch)
    depth = setting.depth
    first = depth + 2 if signals.first_overflow is None else signals.first_overflow
    assert 0 <= first <= depth + 2
    for field in LAYER_FIELDS:
        values = getattr(signals, field)
        assert values.dtype == np.float64 and len(values) in (depth, depth + 1)
        assert not (values < 0).any() or field == "input_similarity"
    assert np.isposinf(signals.activation_second_moment[first:]).all()
    assert np.isfinite(signals.activation_second_moment[:first]).all()
    assert np.isnan(signals.loss) == (signals.first_overflow is not None)
    diagnosis = diagnose(signals)
    assert all(0 <= failure.first_layer <= depth + 1 for failure in diagnosis.failures)
    assert str(signals) and str(diagnosis) and signals.to_dataset().sizes["layer"] == depth + 1


@holds(nightly=400, ci=3, few={"setting": residuals}, setting=any_kind)
def test_any_networks_theory_is_silent_or_a_number(setting):
    """No warning, no error; moments are not negative, and cosines are such."""
    prediction = initlab.predict(setting, BATCH)
    for name in ("activation_second_moment", "gradient_second_moment", "activation_log_std"):
        values = getattr(prediction, name)
        assert (np.isnan(values) | (values >= 0)).all()
    similarity = prediction.input_similarity
    assert (np.isnan(similarity) | (np.abs(similarity) <= 1 + 1e-12)).all()
    assert prediction.phase in ("ordered", "critical", "chaotic", None)


@holds(nightly=60, ci=0, setting=others)
def test_weights_of_any_kind_that_are_given_back_are_measured_alike(setting):
    """Source: identity, but for the rounding of scaled weights; in the input and layer 1."""
    batch = data.gaussian(12, 16, 3)
    own, given = probe(setting, batch), probe(setting, batch, weights(setting, batch=batch))
    assert own.setting == given.setting
    same = min(
        signals.depth + 1 if signals.first_overflow is None else signals.first_overflow
        for signals in (own, given)
    )
    pairs = zip(own.activation_second_moment[:2], given.activation_second_moment[:2], strict=True)
    for ours, theirs in list(pairs)[: max(same, 1)]:
        np.testing.assert_allclose(theirs, ours, rtol=TOLERANCE, atol=1e-70)
