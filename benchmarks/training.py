"""Eight starts trained at once, against the bare matrix products of the same shapes.

Also against what is usual: a compiled step for each start, called from a loop that reads each
loss; and the same loop in PyTorch, where it is installed. All take Adam's steps on minibatches of
the same shape.
"""

import importlib.util
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

import initlab
from benchmarks.harness import Row, paired, percentile, ratio, undisturbed
from initlab.training import begin

INITIALIZERS = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "normal",
)
SIZES = ((20, 128), (3, 32))  # depth and width
BATCH_SIZE, STEPS, RATE = 128, 500, 1e-3
ROUNDS = 3
PRODUCTS = 1.3  # at most so many times as long as the bare products, at the larger size
LOOPS = 3.0  # at least so many times as fast as eight loops
SHARE = 10  # a measured stretch is so many times shorter than the run


def run() -> list[Row]:
    """A block of rows for each size."""
    return [row for size in SIZES for row in compare(*size)]


def compare(depth: int, width: int) -> list[Row]:
    """Rows for training, a record, the products, and the loops."""
    settings = [initlab.Setting(depth, width, "tanh", name) for name in INITIALIZERS]
    batch = initlab.data.digits(1024)
    steps = STEPS // SHARE
    functions = {
        "train": trainer(settings, batch, steps),
        "products": products(settings, steps),
        "loops": loops(settings, batch, steps),
        "record": recorder(settings, batch),
    }
    if importlib.util.find_spec("torch"):
        functions["torch"] = torch_loops(settings, batch, steps)
    seconds = paired(ROUNDS, **functions)

    def whole_run(name):
        return f"{SHARE * percentile(seconds[name], 0.5):.2f} s"

    rows = [
        Row(f"8 starts, depth {depth}, width {width}, {STEPS} steps of {BATCH_SIZE}, Adam", ""),
        Row("  training, without records", whole_run("train")),
        Row("  bare matrix products", whole_run("products")),
    ]
    if (depth, width) == SIZES[0]:  # small products are bound by what surrounds them
        times = ratio(seconds["train"], seconds["products"])
        best = undisturbed(seconds["train"], seconds["products"])
        rows += [
            Row("  training / products", f"{times:.2f}", f"<= {PRODUCTS}", times <= PRODUCTS),
            Row("  the same, undisturbed", f"{best:.2f}", f"<= {PRODUCTS}", best <= PRODUCTS),
        ]
    faster = ratio(seconds["loops"], seconds["train"])
    rows += [
        Row("  a compiled step for each start, called from loops", whole_run("loops")),
        Row("  loops / training", f"{faster:.2f}", f">= {LOOPS}", faster >= LOOPS),
        Row("  a step and a record", f"{1e3 * percentile(seconds['record'], 0.5):.0f} ms"),
    ]
    if "torch" in seconds:
        faster = ratio(seconds["torch"], seconds["train"])
        rows += [
            Row("  PyTorch's loops", whole_run("torch")),
            Row("  PyTorch's loops / training", f"{faster:.2f}"),
        ]
    return rows


def trainer(settings, batch, steps: int):
    """A function that takes some more steps of all starts."""
    training = begin(
        settings,
        batch,
        optimizer=optax.adam(RATE),
        steps=10**6,
        batch_size=BATCH_SIZE,
        record_every=10**6,
    )
    training.advance(1)  # the record of the start
    return lambda: training.advance(steps)


def recorder(settings, batch):
    """A function that makes a step of all starts, and a record."""
    options = {"optimizer": optax.adam(RATE), "batch_size": BATCH_SIZE, "record_every": 1}
    training = begin(settings, batch, steps=10 * ROUNDS, **options)
    return lambda: training.advance(1)


def products(settings, steps: int):
    """A function that makes the products of as many steps: three for each matrix."""
    random, starts = np.random.default_rng(0), len(settings)
    sizes = [64] + [settings[0].width] * settings[0].depth + [10]
    shapes = list(itertools.pairwise(sizes))

    def normal(*shape):
        return jnp.asarray(random.standard_normal((starts, *shape)) / 16, jnp.float32)

    weights = [normal(*shape) for shape in shapes]
    x = [normal(BATCH_SIZE, rows) for rows, _ in shapes]
    delta = [normal(BATCH_SIZE, columns) for _, columns in shapes]

    @jax.jit
    def make(weights, x, delta):
        def step(_, kept):
            total = kept[0][0, 0, 0]  # of the step before, so that no product is left out
            out = []
            for w, a, d in zip(weights, x, delta, strict=True):
                d = d + 1e-30 * total
                out += [
                    jnp.matmul(a, w),
                    jnp.matmul(jnp.swapaxes(a, 1, 2), d),
                    jnp.matmul(d, jnp.swapaxes(w, 1, 2)),
                ]
            return out

        empty = [
            jnp.zeros((starts, *shape), jnp.float32)
            for rows, columns in shapes
            for shape in ((BATCH_SIZE, columns), (rows, columns), (BATCH_SIZE, rows))
        ]
        return lax.fori_loop(0, steps, step, empty)

    return lambda: jax.block_until_ready(make(weights, x, delta))


def loops(settings, batch, steps: int):
    """A function that trains one start after the other as is usual: a compiled step, a float."""
    optimizer = optax.adam(RATE)

    @jax.jit
    def step(parameters, state, x, y):
        def loss_of(parameters):
            a = x
            for weight, bias in parameters[:-1]:
                a = jnp.tanh(a @ weight + bias)
            logits = a @ parameters[-1][0] + parameters[-1][1]
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, gradient = jax.value_and_grad(loss_of)(parameters)
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    starts = [initlab.weights(setting) for setting in settings]

    def train_all():
        random = np.random.default_rng(0)
        for parameters in starts:
            state, losses = optimizer.init(parameters), []
            for _ in range(steps):
                chosen = random.choice(len(batch), BATCH_SIZE, replace=False)
                parameters, state, loss = step(
                    parameters, state, batch.inputs[chosen], batch.labels[chosen]
                )
                losses.append(float(loss))

    return train_all


def torch_loops(settings, batch, steps: int):
    """The same in PyTorch, whose loop reads each loss with ``item``."""
    import torch

    inputs, labels = torch.tensor(batch.inputs), torch.tensor(batch.labels, dtype=torch.long)

    def network(setting):
        modules = []
        for weight, bias in initlab.weights(setting):
            linear = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(weight.T))
                linear.bias.copy_(torch.tensor(bias))
            modules += [linear, torch.nn.Tanh()]
        return torch.nn.Sequential(*modules[:-1])

    def train_all():
        for setting in settings:
            model = network(setting)
            optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
            for _ in range(steps):
                chosen = torch.randperm(len(batch))[:BATCH_SIZE]
                loss = torch.nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss.item()

    return train_all
