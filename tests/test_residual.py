"""Residual networks against a plain implementation in float64, and against closed forms."""

import itertools
import random

import jax
import numpy as np
import optax
import pytest

import initlab
from initlab import Batch, data, diagnose, probe, weights
from initlab.activations import ACTIVATIONS
from initlab.architectures import Residual, chain, measuring
from initlab.architectures.normalization import NORMALIZATIONS, normalize
from initlab.architectures.residual import PLACEMENTS
from initlab.architectures.residual_starts import STARTS, fixup_scale
from initlab.initializers import menu
from tests import plain_residual
from tests.plain_network import mean_cosine, participation_ratio
from tests.plain_residual import plain

pytestmark = pytest.mark.numerics

BATCH = data.digits(16)
WIDTH = 16
TOLERANCE = 1e-4  # of the house: relative, float32 against float64
CASES = [
    Residual(
        blocks=3,
        width=WIDTH,
        activation=("relu", "tanh", "gelu", "linear")[place % 4],
        start=list(STARTS)[place % len(STARTS)],
        normalization=normalization,
        placement=placement,
        initializer=("he_normal", "orthogonal", "glorot_uniform")[place % 3],
        gain=(1.0, 0.7, 1.3)[place % 3],
        branch_scale=(1.0, 0.5)[place % 2],
        seed=place,
    )
    for place, (normalization, placement, _) in enumerate(
        itertools.product(NORMALIZATIONS, PLACEMENTS, range(3))
    )
]


def close(found, expected, tolerance=TOLERANCE):
    """Every number within the tolerance of itself."""
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)


def test_the_cases_cover_all_starts():
    assert {setting.start for setting in CASES} == set(STARTS)


@pytest.mark.parametrize("setting", CASES, ids=lambda s: f"{s.normalization}-{s.start}")
def test_signals_agree_with_the_plain_network(setting):
    """Source: the unrolled network in float64, differentiated by ``jax.grad``."""
    signals = probe(setting, BATCH)
    expected = plain(setting, weights(setting), BATCH)
    states, gradients = expected["states"], expected["gradients"]
    moments = [(x**2).mean() for x in states]
    close(signals.activation_second_moment[1:], moments)
    close(signals.preactivation_second_moment, moments)
    close(signals.activation_variance[1:], [x.var() for x in states])
    close(signals.effective_neurons, [participation_ratio(x) for x in states])
    np.testing.assert_allclose(  # a cosine is a sum of products of unit vectors
        signals.input_similarity[1:], [mean_cosine(x) for x in states], rtol=0, atol=1e-5
    )
    close(signals.loss, expected["loss"])
    # what is 0 but for float64's rounding is 0 here; the rest is larger by ten orders
    of_states = (expected["state_gradients"] ** 2).mean(axis=(1, 2))
    close(signals.gradient_second_moment, np.where(of_states > 1e-25, of_states, 0))
    blocks = [
        np.hypot(*(np.linalg.norm(gradients.layers[name][i]) for name in ("inner", "outer")))
        for i in range(setting.blocks)
    ]
    ends = (np.linalg.norm(part["weight"]) for part in (gradients.first, gradients.readout))
    norms = np.array([next(ends), *blocks, next(ends)])
    close(signals.weight_gradient_norm, np.where(norms > 1e-12, norms, 0))
    of_scale = gradients.layers["branch_scale"]
    found = signals.more["branch_scale_gradient"]
    assert np.isnan(found[0])
    # a sum over units and examples, which may cancel: relative to the largest of the blocks
    np.testing.assert_allclose(found[1:], of_scale, rtol=0, atol=TOLERANCE * np.abs(of_scale).max())


@pytest.mark.parametrize("setting", CASES[::4], ids=lambda s: f"{s.normalization}-{s.placement}")
def test_gradients_of_every_parameter(setting):
    """Source: ``jax.grad`` of the plain network in float64, at parameters none of which is 0.

    Relative to the norm of each array.
    """
    random_numbers = np.random.default_rng(setting.seed)
    parameters = jax.tree.map(
        lambda array: (array + 0.3 * random_numbers.standard_normal(array.shape)).astype("float32"),
        weights(setting),
    )

    def loss(parameters):
        logits = chain.logits(setting, parameters, BATCH.inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, BATCH.labels).mean()

    expected = plain(setting, parameters, BATCH)
    close(loss(parameters), expected["loss"])
    found = jax.tree.leaves_with_path(jax.grad(loss)(parameters))
    for (path, gradient), true in zip(found, jax.tree.leaves(expected["gradients"]), strict=True):
        error = np.linalg.norm(gradient - true) / np.linalg.norm(true)
        assert error <= TOLERANCE, (jax.tree_util.keystr(path), error)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_normalizations(name):
    """Source: the plain network's, in float64."""
    x = np.random.default_rng(0).normal(2, 3, (8, 5))
    found = normalize(list(NORMALIZATIONS).index(name), x.astype("float32"))
    np.testing.assert_allclose(found, plain_residual.NORMALIZATIONS[name](x), rtol=0, atol=1e-5)


# --- closed forms ------------------------------------------------------------------------------

WIDE, SEEDS = 128, 16


def over_seeds(setting, field, seeds=SEEDS):
    """The mean over seeds of a field of Signals."""
    return np.mean([getattr(probe(setting.replace(seed=s)), field) for s in range(seeds)], axis=0)


def test_the_second_moment_doubles_from_block_to_block():
    """Source: E|x + b|^2 = |x|^2 + E|b|^2, where He makes E|b|^2 = |x|^2.

    One block's ratio has the relative variance 4/n: 4/n of 2 x.b / |x|^2 and 12/n of |b|^2, of a
    value of 2. Eight blocks and 16 seeds: 4 sqrt(4 * 8 / (128 * 16)) = 0.5 of the product.
    """
    moment = over_seeds(Residual(blocks=8, width=WIDE), "activation_second_moment")
    assert abs(np.log(moment[-1] / moment[1] / 2**8)) <= 0.5
    close(initlab.predict(Residual(blocks=8)).activation_second_moment[1:] / 2.0 ** np.arange(9),
          np.full(9, 2.02982187), 1e-5)  # fmt: skip


def test_a_branch_scale_of_one_over_root_of_blocks_keeps_the_signal():
    """Source: (1 + 1/L)^L. Variance as above, 4/n + 12/(n L): 4 sqrt(4.2 / (128 * 16)) = 0.18."""
    blocks = 64
    setting = Residual(blocks=blocks, width=WIDE, branch_scale=blocks**-0.5)
    moment = over_seeds(setting, "activation_second_moment")
    expected = (1 + 1 / blocks) ** blocks
    assert abs(np.log(moment[-1] / moment[1] / expected)) <= 0.18
    theory = initlab.predict(setting).activation_second_moment
    close(theory[-1] / theory[1], expected, 1e-5)
    skipinit = probe(setting.replace(start="skipinit", branch_scale=1.0), BATCH)
    close(skipinit.activation_second_moment, probe(setting, BATCH).activation_second_moment, 1e-5)


@pytest.mark.parametrize("normalization", ["batch", "layer", "rms"])
def test_normalization_before_makes_the_signal_grow_by_one_a_block(normalization):
    """Source: a branch of He's weights that is given second moment 1 returns 1: q_l = q_1 + l.

    Spread: 12/n of each branch and 4 q_l / n of x.b, together (12 L + 2 L^2) / n of L^2, in 16
    seeds 4 sqrt(2.4 / (128 * 16)) = 0.14; a part in n of each block is layer normalization's mean.
    """
    setting = Residual(blocks=32, width=WIDE, normalization=normalization)
    growth = over_seeds(setting, "activation_second_moment")
    assert abs((growth[-1] - growth[1]) / 32 - 1) <= 0.14
    assert abs((growth[17] - growth[1]) / 16 - 1) <= 0.18
    theory = initlab.predict(setting).activation_second_moment
    close(np.diff(theory[1:]), np.ones(32), 3e-5)  # the normalization's epsilon is 1e-5


def test_rezero_moves_its_factors_alone():
    """Source: dL/dtheta = alpha (...) = 0 and dL/dalpha = <delta, F(x)> (Bachlechner et al.)."""
    setting = Residual(blocks=5, width=WIDTH, start="rezero")
    signals, expected = probe(setting, BATCH), plain(setting, weights(setting), BATCH)
    assert not signals.weight_gradient_norm[1:-1].any()
    assert signals.weight_gradient_norm[[0, -1]].all()
    delta = expected["state_gradients"][0] / len(BATCH)  # the same at all states
    inner = [(delta * branch).sum() for branch in expected["branches"]]
    np.testing.assert_allclose(
        signals.more["branch_scale_gradient"][1:], inner, rtol=0, atol=1e-5 * np.abs(inner).max()
    )
    assert np.abs(inner).min() > 0
    w = weights(setting)
    shallow = np.maximum(BATCH.inputs @ w.first["weight"], 0) @ w.readout["weight"]
    np.testing.assert_allclose(chain.logits(setting, w, BATCH.inputs), shallow, atol=1e-4)
    assert (signals.activation_second_moment[1:] == signals.activation_second_moment[1]).all()


def test_fixup_at_the_start():
    """Source: Zhang, Dauphin & Ma 2019, rules 1 to 3, with m = 2 layers in a branch."""
    blocks = 25
    setting = Residual(blocks=blocks, width=WIDTH, start="fixup")
    signals, w = probe(setting, BATCH), weights(setting)
    he = weights(setting.replace(start="plain"))
    np.testing.assert_allclose(w.layers["inner"], he.layers["inner"] / 5, rtol=1e-6)
    np.testing.assert_array_equal(w.first["weight"], he.first["weight"])
    assert not w.layers["outer"].any() and not w.readout["weight"].any()
    assert (w.layers["branch_scale"] == 1).all() and not w.layers["biases"].any()
    assert signals.loss == pytest.approx(np.log(10), rel=1e-6)
    assert signals.weight_gradient_norm[-1] > 0 and not signals.weight_gradient_norm[:-1].any()


@pytest.mark.parametrize(("blocks", "layers"), [(16, 2), (54, 2), (54, 3), (100, 4)])
def test_fixups_factor_has_a_negative_exponent(blocks, layers):
    """Source: L^(-1/(2m - 2)): what m - 1 factors make of a branch, squared, is 1/L."""
    assert fixup_scale(blocks, layers) ** (2 * (layers - 1)) == pytest.approx(1 / blocks)


def test_overflow_of_a_plain_start():
    """Source: 2^128 is the first power of 2 that float32 does not hold."""
    # (1 + alpha^2)^(L / 2) is passed at 110 blocks for alpha = 2, give or take what width 16 adds
    layer = probe(Residual(blocks=256, width=WIDTH, branch_scale=2.0), BATCH).first_overflow
    assert 80 < layer < 180


# --- theory ------------------------------------------------------------------------------------

PREDICTED = [
    Residual(blocks=12),
    Residual(blocks=48, start="skipinit", activation="tanh", initializer="glorot_normal"),
    Residual(blocks=32, normalization="rms"),
    Residual(blocks=32, normalization="layer", activation="gelu", initializer="lecun_uniform"),
    Residual(blocks=32, normalization="rms", placement="after"),
]


@pytest.mark.parametrize("setting", PREDICTED, ids=lambda s: f"{s.normalization}-{s.activation}")
def test_theory_agrees_with_networks(setting):
    """Source: 16 networks of width 128.

    Forward spread as derived above: 4 sqrt(4 * 12 / (128 * 16)) = 0.6 of twelve doubling blocks.
    A gradient multiplies as many factors.
    """
    setting = setting.replace(width=WIDE)
    theory = initlab.predict(setting)
    for field, room in (
        ("activation_second_moment", 0.6),
        ("activation_variance", 0.6),
        ("gradient_second_moment", 0.6),
    ):
        found = over_seeds(setting, field)
        assert np.abs(np.log(found / getattr(theory, field))).max() <= room, field
    found = over_seeds(setting, "input_similarity")
    np.testing.assert_allclose(found, theory.input_similarity, rtol=0, atol=0.06)


def test_theory_of_orthogonal_weights():
    """Source: square ones times sqrt(2) have He's variance, so that relu's signal doubles."""
    theory = initlab.predict(Residual(blocks=9, initializer="orthogonal", gain=2**0.5))
    close(theory.activation_second_moment[1:] / theory.activation_second_moment[1],
          2.0 ** np.arange(10), 1e-5)  # fmt: skip


def test_the_gradient_telescopes_where_relu_is_normalized_before():
    """Source: g_l / g_{l+1} = 1 + 1/q_l = q_{l+1} / q_l, so that g_1 / g_L = q_L / q_1."""
    batch = Batch(np.eye(2, dtype="float32"), np.array([0, 1]))  # one length
    theory = initlab.predict(Residual(blocks=100, normalization="rms"), batch)
    q, g = theory.preactivation_second_moment, theory.gradient_second_moment
    close(g[0] / g[-1], q[-1] / q[0], 1e-3)  # epsilon is 1e-5 of each of 100 factors


@pytest.mark.parametrize(
    "setting",
    [
        Residual(blocks=4, start="zero_hadamard"),
        Residual(blocks=4, initializer="identity"),
        Residual(blocks=4, normalization="batch", activation="tanh"),
    ],
)
def test_theory_is_silent_where_it_does_not_hold(setting):
    theory = initlab.predict(setting)
    assert theory.activation_second_moment.shape == (6,)
    assert np.isnan(theory.activation_second_moment).all()


def test_theory_of_batch_normalization_speaks_of_moments_alone():
    theory = initlab.predict(Residual(blocks=4, normalization="batch"))
    assert np.isfinite(theory.activation_second_moment).all()
    assert np.isnan(theory.gradient_second_moment).all()
    assert np.isnan(theory.input_similarity).all()


def test_theory_of_a_readout_of_zeros():
    theory = initlab.predict(Residual(blocks=4, start="fixup"))
    assert not theory.gradient_second_moment.any()
    close(theory.activation_second_moment[1:], np.full(5, theory.activation_second_moment[1]))


# --- ZerO ---------------------------------------------------------------------------------------


def rank(matrix):
    """Singular values above float32's rounding of the largest."""
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    return int((values > 1e-5 * values[0]).sum())


def trained(setting, batch, steps=300):
    """Parameters after some steps of gradient descent on the mean loss."""
    optimizer = optax.sgd(0.1)
    parameters = weights(setting, batch.inputs.shape[1], batch.classes)

    @jax.jit
    def run(parameters):
        def loss(parameters):
            logits = chain.logits(setting, parameters, batch.inputs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

        def step(_, state):
            parameters, memory = state
            updates, memory = optimizer.update(jax.grad(loss)(parameters), memory)
            return optax.apply_updates(parameters, updates), memory

        state = parameters, optimizer.init(parameters)
        return jax.lax.fori_loop(0, steps, step, state)[0]

    return run(parameters)


def test_only_hadamard_learns_more_rank_than_the_input_has():
    """Source: Zhao, Schaefer & Anandkumar 2022, theorem 1: with identities alone, what a layer
    learns beside its start has at most the input's rank. The single biases are one feature more.
    """
    numbers = np.random.default_rng(0)
    batch = Batch(numbers.standard_normal((64, 5)).astype("float32"), numbers.integers(0, 4, 64))
    ranks = {}
    for start in ("zero_identity", "zero_hadamard"):
        layers = trained(Residual(blocks=3, width=8, start=start), batch).layers
        learned = [*layers["outer"], *(inner - np.eye(8) for inner in layers["inner"])]
        ranks[start] = [rank(matrix) for matrix in learned]
    assert max(ranks["zero_identity"]) <= 5 + 1
    assert max(ranks["zero_hadamard"]) == 8


def test_hadamard_columns_repeat_where_a_layer_doubles():
    """Source: Sylvester's H_7 = [[H_6, H_6], [H_6, -H_6]]: its first 64 rows say all twice."""
    weight = weights(Residual(blocks=1, width=128, start="zero_hadamard")).first["weight"]
    np.testing.assert_array_equal(weight[:, :64], weight[:, 64:])


# --- the house's rules --------------------------------------------------------------------------


def test_no_slider_but_width_compiles():
    """Source: the size of the compiled function's cache."""
    for initializer in menu(Residual):  # drawing is compiled by itself
        probe(Residual(blocks=2, width=WIDTH, initializer=initializer), BATCH)
    before, chance = measuring._measure._cache_size(), random.Random(1)
    for _ in range(30):
        probe(
            Residual(
                blocks=chance.randint(1, 256),
                width=WIDTH,
                activation=chance.choice(list(ACTIVATIONS)),
                start=chance.choice(list(STARTS)),
                normalization=chance.choice(list(NORMALIZATIONS)),
                placement=chance.choice(PLACEMENTS),
                initializer=chance.choice(menu(Residual)),
                gain=10 ** chance.uniform(-1, 1),
                branch_scale=10 ** chance.uniform(-2, 1),
                seed=chance.randint(0, 2),
            ),
            BATCH,
        )
    assert measuring._measure._cache_size() == before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"blocks": 0}, ValueError, "blocks must be a whole number from 1 to 256, not 0"),
        ({"blocks": 300}, ValueError, "the nearest is 256"),
        ({"width": 1024}, ValueError, "the nearest is 512"),
        ({"start": "fix_up"}, ValueError, "did you mean 'fixup'"),
        ({"normalization": "leyer"}, ValueError, "did you mean 'layer'"),
        ({"normalization": None}, TypeError, "normalization must be a name such as 'none'"),
        ({"placement": "behind"}, ValueError, "Known are: before, after"),
        ({"branch_scale": -1}, ValueError, "the nearest is 0"),
        ({"width": 1, "normalization": "layer"}, ValueError, "width must be 2 to 512, not 1"),
        ({"width": 1, "normalization": "rms"}, ValueError, "the nearest is 2"),
    ],
)
def test_bad_input(changes, error, message):
    with pytest.raises(error, match=message):
        Residual(**changes)


def test_batch_normalization_of_one_example():
    setting = Residual(blocks=2, width=WIDTH, normalization="batch")
    with pytest.raises(ValueError, match="2 examples at least, not 1; or take"):
        probe(setting, data.digits(1))
    with pytest.raises(ValueError, match="2 examples at least, not 1"):
        chain.logits(setting, weights(setting), BATCH.inputs[:1])


def test_a_remedy_of_a_plain_start():
    """A candidate is probed before it is proposed."""
    diagnosis = diagnose(probe(Residual(blocks=100, width=WIDTH), BATCH))
    assert diagnosis.failures[0].mode == "exploding gradients"
    assert diagnosis.remedy.setting.start == "skipinit"
    assert diagnose(probe(diagnosis.remedy.setting, BATCH)).healthy
