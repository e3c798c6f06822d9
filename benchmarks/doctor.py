"""What an examination costs, beside one step's ``jax.value_and_grad`` of the same network.

Two networks of the size that people train, as plain functions: a residual convolutional network
of 18 layers on 32 x 32 images (He et al. 2016), and a transformer of 12 blocks with GPT-2's start.
Both start well, so a report that finds anything is a false alarm. Memory is XLA's own account.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Row, paired, ratio, undisturbed
from initlab.doctor.examining import Examination

ROUNDS = 5
TIMES, MEMORY = 3.0, 2.0  # at most so many times the step's
STAGES = (64, 128, 256, 512)  # channels; two blocks each
IMAGES = 16
BLOCKS, WIDTH, HEADS, LENGTH, SEQUENCES, TOKENS = 12, 256, 4, 64, 8, 512


def run() -> list[Row]:
    """A block of rows for each network."""
    return [*compare("ResNet-18, 32 x 32", *resnet()), *compare("transformer, 12 blocks", *gpt())]


def compare(name: str, network, params, batch, loss) -> list[Row]:
    """Rows of one network: time, memory, and what was found."""
    examination = Examination(network, params, batch, loss)
    step = jax.jit(jax.value_and_grad(lambda params, batch: loss(network(params, batch), batch)))
    report = examination.report(params)
    seconds = paired(
        ROUNDS,
        examine=lambda: examination.report(params),
        step=lambda: jax.block_until_ready(step(params, batch)),
    )
    times = ratio(seconds["examine"], seconds["step"])
    best = undisturbed(seconds["examine"], seconds["step"])
    memory = examination.memory(params) / _memory(step.lower(params, batch))
    found = ", ".join(str(failure) for failure in report.failures) or "none"
    return [
        Row(f"{name}: examine / step", f"{times:.2f}", f"<= {TIMES:g}", times <= TIMES),
        Row("  the same, undisturbed", f"{best:.2f}", f"<= {TIMES:g}", best <= TIMES),
        Row("  memory, examine / step", f"{memory:.2f}", f"<= {MEMORY:g}", memory <= MEMORY),
        Row(f"  failures in {len(report.layers)} layers", found, "none", report.healthy),
    ]


def _memory(lowered) -> int:
    """Bytes that a program needs beside its arguments."""
    return lowered.compile().memory_analysis().temp_size_in_bytes


def _mean_loss(labels):
    def loss(logits, batch):
        likelihood = jax.nn.log_softmax(logits)
        return -jnp.mean(jnp.take_along_axis(likelihood, labels[..., None], axis=-1))

    return loss


def resnet():
    """He's start, batch normalization, 3 x 3 kernels, and a mean over positions at the end."""
    generator = np.random.default_rng(0)

    def kernel(size, fan_in, fan_out):
        scale = (2 / (size * size * fan_in)) ** 0.5
        return jnp.asarray(
            scale * generator.standard_normal((size, size, fan_in, fan_out)), jnp.float32
        )

    blocks, last = [], STAGES[0]
    for channels in STAGES:
        for place in range(2):
            block = {"first": kernel(3, last, channels), "second": kernel(3, channels, channels)}
            if place == 0 and channels != last:
                block["shortcut"] = kernel(1, last, channels)
            blocks.append(block)
            last = channels
    readout = generator.standard_normal((last, 10)) / last**0.5
    params = {
        "stem": kernel(3, 3, STAGES[0]),
        "blocks": blocks,
        "readout": jnp.asarray(readout, jnp.float32),
    }

    def convolve(x, weight, stride=1):
        numbers = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
            x, weight, (stride, stride), "SAME", dimension_numbers=numbers
        )
        center = jnp.mean(x, (0, 1, 2))
        return (x - center) * jax.lax.rsqrt(jnp.var(x, (0, 1, 2)) + 1e-5)

    def network(params, images):
        x = jax.nn.relu(convolve(images, params["stem"]))
        for block in params["blocks"]:
            stride = 1 if block["first"].shape[2] == block["first"].shape[3] else 2
            inner = jax.nn.relu(convolve(x, block["first"], stride))
            skip = convolve(x, block["shortcut"], stride) if "shortcut" in block else x
            x = jax.nn.relu(skip + convolve(inner, block["second"]))
        return jnp.mean(x, (1, 2)) @ params["readout"]

    images = jnp.asarray(generator.standard_normal((IMAGES, 32, 32, 3)), jnp.float32)
    return network, params, images, _mean_loss(jnp.arange(IMAGES) % 10)


def gpt():
    """Pre-normalized blocks in a scan; normal weights of 0.02, branches ending by 1/sqrt(2 L)."""
    generator = np.random.default_rng(0)

    def draw(*shape, scale=0.02):
        return jnp.asarray(scale * generator.standard_normal(shape), jnp.float32)

    end = 0.02 / (2 * BLOCKS) ** 0.5
    params = {
        "tokens": draw(TOKENS, WIDTH),
        "positions": draw(LENGTH, WIDTH),
        "blocks": {
            "qkv": draw(BLOCKS, WIDTH, 3 * WIDTH),
            "out": draw(BLOCKS, WIDTH, WIDTH, scale=end),
            "wide": draw(BLOCKS, WIDTH, 4 * WIDTH),
            "back": draw(BLOCKS, 4 * WIDTH, WIDTH, scale=end),
        },
        "readout": draw(WIDTH, TOKENS),
    }
    causal = np.tril(np.ones((LENGTH, LENGTH), bool))

    def normalize(x):
        center = jnp.mean(x, -1, keepdims=True)
        return (x - center) * jax.lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-5)

    def block(x, weights):
        heads = (*x.shape[:2], 3, HEADS, WIDTH // HEADS)
        q, k, v = jnp.moveaxis((normalize(x) @ weights["qkv"]).reshape(heads), 2, 0)
        attention = jnp.einsum("bthd,bshd->bhts", q, k) / (WIDTH // HEADS) ** 0.5
        attention = jax.nn.softmax(jnp.where(causal, attention, -jnp.inf))
        mixed = jnp.einsum("bhts,bshd->bthd", attention, v).reshape(x.shape)
        x = x + mixed @ weights["out"]
        return x + jax.nn.gelu(normalize(x) @ weights["wide"]) @ weights["back"], None

    def network(params, tokens):
        x = params["tokens"][tokens] + params["positions"]
        x, _ = jax.lax.scan(block, x, params["blocks"])
        return normalize(x) @ params["readout"]

    tokens = jnp.asarray(generator.integers(TOKENS, size=(SEQUENCES, LENGTH)))
    return network, params, tokens, _mean_loss(jnp.roll(tokens, -1, axis=1))
