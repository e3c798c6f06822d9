"""Transformers against a plain one in float64, closed forms, and what papers say of starts."""

import math

import numpy as np
import pytest

import initlab
from initlab import Batch, data, probe
from initlab.activations import ACTIVATIONS
from initlab.architectures import Transformer
from initlab.architectures.chain import logits
from initlab.architectures.measuring import _measure
from initlab.architectures.transformer_starts import STARTS, Sizes
from initlab.quadrature import gaussian_mean
from tests.plain_transformer import plain_measures

pytestmark = pytest.mark.numerics

BATCH = data.digits(6)
SMALL = Transformer(blocks=3, width=12, heads=2)
TOLERANCE = 1e-4
ROUNDING = 16 * 2.0**-24  # a cosine is a sum of products of float32 unit vectors


def assert_agrees(setting, batch=BATCH):
    signals = probe(setting, batch)
    weights = initlab.weights(setting, batch.inputs.shape[1], batch.classes)
    scale = STARTS[setting.start].logit_scale(setting.width // setting.heads)
    plain = plain_measures(weights, setting, batch, scale)
    for name in plain.keys() - {"loss", "logits"}:
        if name in signals.more:
            assert np.isnan(signals.more[name][0])  # the embedding attends to nothing
            found = signals.more[name][1:]
        else:
            found = getattr(signals, name)
        room = ROUNDING if name == "input_similarity" else 0.0
        np.testing.assert_allclose(found, plain[name], rtol=TOLERANCE, atol=room, err_msg=name)
    assert signals.loss == pytest.approx(plain["loss"], rel=TOLERANCE)
    found = logits(setting, weights, batch.inputs)
    largest = np.abs(plain["logits"]).max()
    np.testing.assert_allclose(found, plain["logits"], rtol=0, atol=TOLERANCE * largest)


@pytest.mark.parametrize(
    "normalization", ["pre", "post", pytest.param("none", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "changes",
    [
        {"start": "glorot", "attention_gain": 3.0, "seed": 2},
        {"start": "gpt2", "activation": "relu", "gain": 5.0},
        {"start": "t_fixup", "blocks": 5},
        {"start": "mup", "activation": "tanh", "blocks": 1},
    ],
    ids=str,
)
def test_every_measure_is_that_of_a_plain_network(changes, normalization):
    assert_agrees(SMALL.replace(normalization=normalization, **changes))


@pytest.mark.slow
def test_other_images_and_one_head_will_do():
    generator = np.random.default_rng(0)
    batch = Batch(generator.standard_normal((5, 25)), generator.integers(3, size=5), classes=3)
    assert_agrees(SMALL.replace(heads=1, start="lecun"), batch)


def test_a_zero_readout_answers_alike():
    """The loss is ln K, and nothing but the readout learns from the first step."""
    signals = probe(SMALL.replace(start="zero_readout"), BATCH)
    assert signals.loss == pytest.approx(math.log(10), rel=1e-6)
    assert not signals.gradient_second_moment.any()
    assert not signals.weight_gradient_norm[:-1].any() and signals.weight_gradient_norm[-1] > 0


@pytest.mark.parametrize("start", ["gpt2", "glorot", "mup"])
def test_without_queries_all_tokens_are_heard_alike(start):
    signals = probe(SMALL.replace(start=start, attention_gain=0.0), BATCH)
    np.testing.assert_allclose(signals.more["attention_entropy"][1:], math.log(8), rtol=1e-6)
    assert not signals.more["attention_logit_std"][1:].any()


@pytest.mark.parametrize("start", ["gpt2", "lecun", "mup"])
def test_the_variance_of_attentions_logits(start):
    r"""With h normalized, E[(q k)^2] = d (n s_q^2) (n s_k^2): each of d products has n x n terms.

    So it is (n s^2)^2 under 1/sqrt(d), and 1/d of that under 1/d.
    """
    setting = Transformer(blocks=1, width=64, start=start)
    found = [
        probe(setting.replace(seed=seed), BATCH).more["attention_logit_std"][1] ** 2
        for seed in range(48)
    ]
    d, stds = 16, STARTS[start].scales(Sizes(8, 64, 10, 1))
    expected = d * (64 * stds["query"] ** 2) * (64 * stds["key"] ** 2)
    expected *= STARTS[start].logit_scale(d) ** 2
    # measured: the squares of one network stray by 0.15 of their mean
    assert np.mean(found) == pytest.approx(expected, rel=4 * np.std(found) / expected / 48**0.5)
    assert np.std(found) / expected < 0.3


def test_gpt2s_residual_scale_bounds_the_stream():
    r"""2 N branches of a share 1/(2 N) each add what does not depend on N (Radford et al. 2019).

    Feedforward parts add 4 n s^2 E[phi(sqrt(n s^2) z)^2] / (2 N) each, s = 0.02; attention at most
    (n s^2)^2 / (2 N), as an average of values is no longer than they are.
    """
    n, variance = 64, 0.02**2
    phi = ACTIVATIONS["gelu"].function
    feedforward = 4 * n * variance * gaussian_mean(lambda z: phi((n * variance) ** 0.5 * z) ** 2)
    attention = (n * variance) ** 2
    gained = []
    for blocks in (4, 32):
        setting = Transformer(blocks=blocks, width=n)
        moments = np.mean(
            [
                probe(setting.replace(seed=seed), BATCH).activation_second_moment
                for seed in range(8)
            ],
            axis=0,
        )
        gained.append(moments[-1] - moments[1])
        assert feedforward / 2 * 0.9 < gained[-1] < (feedforward + attention) / 2 * 1.1
    assert gained[1] == pytest.approx(gained[0], rel=0.2)


def test_the_last_blocks_gradient_falls_with_depth_where_normalization_comes_first():
    """Source: Xiong et al. 2020, theorem 1: as 1/sqrt(L) pre-normalized, not at all post."""
    last = {}
    for normalization in ("pre", "post"):
        for blocks in (2, 32):
            setting = Transformer(blocks, width=32, start="glorot", normalization=normalization)
            norms = [
                probe(setting.replace(seed=seed), BATCH).weight_gradient_norm[-2]
                for seed in range(4)
            ]
            last[normalization, blocks] = np.mean(norms)
    # measured: 0.24 and 1.29 on other seeds, each a mean over 4
    assert last["pre", 32] / last["pre", 2] == pytest.approx((2 / 32) ** 0.5, rel=0.4)
    assert 0.7 < last["post", 32] / last["post", 2] < 2


def test_the_scales_of_the_recipes():
    """As their papers and their authors' code have them."""
    sizes = Sizes(features=8, width=64, classes=10, blocks=8)
    gpt2 = STARTS["gpt2"].scales(sizes)
    assert gpt2["query"] == gpt2["inner"] == gpt2["readout"] == 0.02
    assert gpt2["out"] == gpt2["outer"] == pytest.approx(0.02 / 4)
    glorot, fixup = STARTS["glorot"].scales(sizes), STARTS["t_fixup"].scales(sizes)
    for name in ("value", "out", "inner", "outer"):
        assert fixup[name] / glorot[name] == pytest.approx(0.67 * 8**-0.25)
    assert fixup["query"] == glorot["query"] == (2 / 128) ** 0.5
    assert fixup["embedding"] == pytest.approx(8**-0.5 * 72**-0.25)
    mup = STARTS["mup"].scales(sizes)
    assert mup["readout"] == 1 / 64 and mup["outer"] == 1 / 16
    rates = STARTS["mup"].learning_rates(sizes)
    assert rates["embedding"] == rates["position"] == 1
    assert rates["query"] == rates["readout"] == 1 / 64 and rates["outer"] == 1 / 256
    assert STARTS["mup"].logit_scale(16) == 1 / 16
    assert set(STARTS["gpt2"].learning_rates(sizes).values()) == {1.0}


def test_nothing_compiles_but_for_width_and_heads():
    probe(SMALL, BATCH)
    programs = _measure._cache_size()
    for changes in (
        {"blocks": 32},
        {"normalization": "post"},
        {"normalization": "none"},
        {"activation": "relu"},
        {"start": "mup"},
        {"gain": 2.0},
        {"attention_gain": 0.0},
        {"seed": 5},
    ):
        probe(SMALL.replace(**changes), BATCH)
    assert _measure._cache_size() == programs


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 5}, "heads must be one of 1, 2, 4, 8, 16, not 5; the nearest is 4"),
        ({"width": 20, "heads": 8}, "divide the width, 20.*: 1, 2, 4, not 8; the nearest is 4"),
        ({"heads": 0}, "not 0; the nearest is 1"),
        ({"blocks": 33}, "from 1 to 32, not 33; the nearest is 32"),
        ({"width": 1, "heads": 1}, "over one unit.*the nearest is 2"),
        ({"normalization": "before"}, "unknown normalization 'before'"),
        ({"start": "gpt"}, "gpt2"),
    ],
    ids=str,
)
def test_a_wrong_choice_is_named(changes, words):
    with pytest.raises(ValueError, match=words):
        Transformer(**changes)


def test_a_batch_of_no_square_images_is_named():
    with pytest.raises(ValueError, match="the nearest square is 64"):
        probe(SMALL, Batch(np.ones((2, 60)), np.array([0, 1])))


def test_a_start_that_fails_is_given_a_remedy():
    diagnosis = initlab.diagnose(
        probe(Transformer(width=32, start="glorot", attention_gain=100.0), BATCH)
    )
    assert not diagnosis.healthy
    assert isinstance(diagnosis.remedy.setting, Transformer)
