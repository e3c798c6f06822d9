"""Whether an emergence-promoting start trains better than the start that it rescales.

Both get a learning rate of their own: of one grid, that with the best mean over the seeds. A seed
is a pair: the same draws, and the same examples in the same order. The interval of 95% is a
bootstrap's over the seeds, where each resample chooses both rates anew, so that the luck of the
choice is part of it.
"""

import numpy as np
import optax

import initlab
from benchmarks.harness import Row
from initlab.laws import Fan, steps_from_pivot

SEEDS = 24
ALPHAS = (1.0, 1.05, 1.2)  # the base itself, the catalogue's, and a larger one
EXAMPLES, EPOCHS = 32, 10  # in a step; each epoch of 1,024 digits
RESAMPLES = 2000
NETWORKS = (  # name, depth, optimizer, learning rates: four a decade
    ("5 layers, SGD", 5, optax.sgd, 10 ** np.arange(-2, 0.1, 0.25)),
    ("5 layers, Adam", 5, optax.adam, 10 ** np.arange(-3.5, -1.4, 0.25)),
    ("15 layers, SGD", 15, optax.sgd, 10 ** np.arange(-3.5, -0.9, 0.25)),
)


def run() -> list[Row]:
    """For each network and outcome, a row for the base and one for each alpha."""
    rows = []
    for name, depth, optimizer, rates in NETWORKS:
        setting = initlab.Setting(depth, 64, "relu", "he_normal")
        histories = [train(setting, optimizer(rate)) for rate in rates]
        for outcome, measure in (("epoch 1", log_loss), (f"epoch {EPOCHS}", held_out)):
            # [rates, alphas, seeds]; more is better
            scores = np.array([measure(h).reshape(len(ALPHAS), SEEDS) for h in histories])
            rows += described(f"{name}, {outcome}", scores, rates, measure is log_loss)
    return rows


def train(setting, optimizer) -> initlab.History:
    """Every alpha with every seed, side by side."""
    settings = [setting.replace(seed=seed) for _ in ALPHAS for seed in range(SEEDS)]
    initial = [
        rescaled(initlab.weights(setting.replace(seed=seed)), alpha)
        for alpha in ALPHAS
        for seed in range(SEEDS)
    ]
    return initlab.train(
        settings,
        initial=initial,
        optimizer=optimizer,
        steps=EPOCHS * 1024 // EXAMPLES,
        batch_size=EXAMPLES,
        record_every=1024 // EXAMPLES,
    )


def rescaled(weights: list, alpha: float) -> list:
    """The weights of a dense network, times alpha to the power of their steps from the middle."""
    depth = len(weights) - 1
    return [
        (weight * np.float32(alpha ** steps_from_pivot(Fan(*weight.shape, layer, depth))), bias)
        for layer, (weight, bias) in enumerate(weights, start=1)
    ]


def log_loss(history):
    """Minus the logarithm of the training loss after an epoch.

    A loss that is no number, or above ln 10, counts as that of a network which knows nothing.
    """
    loss = history.loss[:, 1]
    return -np.log(np.fmin(loss, np.log(10)))


def held_out(history):
    """Percent of the digits held out that are right at the end."""
    return 100 * history.held_out_accuracy[:, -1]


def best(scores):
    """``[…, rates, alphas, seeds]`` to the best mean of each alpha, and which rate has it."""
    means = scores.mean(axis=-1)
    return means.max(axis=-2), means.argmax(axis=-2)


def described(name: str, scores, rates, is_loss: bool) -> list[Row]:
    """What the base reaches, and how far each alpha is from it."""
    reached, chosen = best(scores)
    drawn = np.random.default_rng(0).integers(SEEDS, size=(RESAMPLES, SEEDS))
    resampled = np.array([best(scores[..., seeds])[0] for seeds in drawn])
    base = f"loss {np.exp(-reached[0]):.3f}" if is_loss else f"{reached[0]:.1f}% held out"
    rows = [Row(f"{name}, base", f"{base}, rate {rates[chosen[0]]:.2g}")]
    for place, alpha in enumerate(ALPHAS[1:], start=1):
        difference = reached[place] - reached[0]
        low, high = np.quantile(resampled[:, place] - resampled[:, 0], (0.025, 0.975))
        verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
        figure = f"{difference:+.2f} points [{low:+.2f}, {high:+.2f}]"
        if is_loss:
            ratios = np.exp([-difference, -high, -low])
            figure = "times {:.2f} [{:.2f}, {:.2f}]".format(*ratios)
        rows.append(
            Row(f"  alpha {alpha:g}", f"{figure}, rate {rates[chosen[place]]:.2g}: {verdict}")
        )
    return rows
