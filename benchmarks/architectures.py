"""A frame of each architecture, its probe alone, and the same pass as a plain program.

A frame is a move of the gain: probe, picture, PNG. The plain program is ``jax.value_and_grad`` of
the loss by all weights, compiled for this one network with its layers unrolled: what a frame would
cost without depth as a slider, and without any measure of what lies between.
"""

import jax
import jax.numpy as jnp
import numpy as np

import initlab
from benchmarks.harness import Row, milliseconds, paired, percentile, ratio
from initlab.plots import Picture

ROUNDS = 25
GAINS = np.geomspace(0.9, 1.1, 17)
NETWORKS = (  # name, setting, target in ms for the median of a frame
    ("RNN, 256 steps, width 128", initlab.Recurrent(steps=256), 60),
    ("residual, 128 blocks, width 128", initlab.Residual(blocks=128, start="skipinit"), 60),
    (
        "residual, 128 blocks, width 128, layer normalization",
        initlab.Residual(blocks=128, normalization="layer"),
        60,
    ),
    ("convolutional, 32 layers of 16 channels", initlab.Convolutional(), 120),
    ("transformer, 12 blocks, width 64", initlab.Transformer(), 150),
)


def run() -> list[Row]:
    """A block of rows for each network."""
    rows = []
    for name, setting, target in NETWORKS:
        batch = initlab.data.digits(setting.examples)
        functions = {
            "frame": frame(setting, batch),
            "probe": probe(setting, batch),
            "plain": unrolled(setting, batch),
        }
        seconds = paired(ROUNDS, **functions)
        median = 1e3 * percentile(seconds["frame"], 0.5)
        rows += [
            Row(
                f"{name}, batch {len(batch)}: frame",
                milliseconds(seconds["frame"]),
                f"<= {target} ms",
                median <= target,
            ),
            Row("  of which probe", milliseconds(seconds["probe"])),
            Row("  unrolled value_and_grad", milliseconds(seconds["plain"])),
            Row("  probe / unrolled", f"{ratio(seconds['probe'], seconds['plain']):.2f}"),
        ]
    return rows


def moves(setting):
    """The same setting with one gain after the other, for ever."""
    while True:
        for gain in GAINS:
            yield setting.replace(gain=float(gain))


def frame(setting, batch):
    """A function that makes the next frame, and returns its PNG."""
    positions = moves(setting)
    picture = Picture(layers=setting.depth, axis=setting.axis)

    def next_frame() -> bytes:
        picture.update(initlab.probe(next(positions), batch))
        return picture.png()

    return next_frame


def probe(setting, batch):
    """A function that measures the next position."""
    positions = moves(setting)
    return lambda: initlab.probe(next(positions), batch)


def unrolled(setting, batch):
    """A function that gives loss and gradients of the network at its own start."""
    chain, knobs = setting.chain(batch.inputs.shape[1], batch.classes), setting.knobs()
    parameters = jax.tree.map(
        jnp.asarray, initlab.weights(setting, batch.inputs.shape[1], batch.classes)
    )
    inputs, labels = jnp.asarray(batch.inputs), jnp.asarray(batch.labels)

    def loss(parameters):
        shared = parameters.layers if chain.shared else None
        state = chain.first(shared if chain.shared else parameters.first, knobs, inputs)
        for layer in range(1, setting.depth):
            here = shared or {name: array[layer - 1] for name, array in parameters.layers.items()}
            state = chain.step(here, knobs, inputs, layer, state)
        read = chain.summary(knobs, chain.activation(knobs, state))
        answers = read @ parameters.readout["weight"] + parameters.readout.get("bias", 0.0)
        return -jax.nn.log_softmax(answers)[jnp.arange(len(labels)), labels].mean()

    program = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(program(parameters))
