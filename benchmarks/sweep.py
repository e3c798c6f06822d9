"""``initlab.sweep`` against the bare matrix products, and against a loop of jitted probes.

Then whether its cost grows with the number of points and no faster, and its memory not at all.
Products are those that any way to do it must take: forward and backward one for each matrix; where
gradients by weights are measured, one more.
"""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import initlab
from benchmarks.harness import Row, paired, percentile, ratio, undisturbed
from initlab.sweeps.grid import grid_of
from initlab.sweeps.points import CHEAP

DEPTH, WIDTH, EXAMPLES = 64, 128, 32
GRID = {"gain": np.linspace(0.5, 2.0, 32), "bias_std": np.linspace(0.0, 0.5, 32), "seed": range(4)}
SHARE = 4  # one seed of four is measured
ROUNDS = 3
PRODUCTS = 2.0  # at most so many times as long as forward's and backward's products
LOOP = 3.5  # at least so many times as fast as a loop of probes
PROBES = 64  # points of the loop that are measured
#: what takes a forward and a backward pass, and no products but theirs
PASSES = tuple(name for name in CHEAP if name not in ("weight_gradient_norm", "input_similarity"))
FEW, MANY = 1_024, 30_720  # in pieces of equal size: another size is compiled once
LINEAR = 0.15  # points per second may differ by so much between few and many points


def run() -> list[Row]:
    """Rows for speed, then for growth."""
    return [*speed(), *growth()]


def speed() -> list[Row]:
    """32 x 32 x 4 points; a fourth of them is timed, and the loop of probes less."""
    batch = initlab.data.digits(EXAMPLES)
    fixed = {"depth": DEPTH, "width": WIDTH}
    axes = fixed | GRID | {"seed": [0]}
    points = len(grid_of(**GRID))
    settings = grid_of(**axes).settings()[:: len(grid_of(**axes)) // PROBES]
    seconds = paired(
        ROUNDS,
        all=lambda: initlab.sweep(batch, progress=False, **axes),
        passes=lambda: initlab.sweep(batch, progress=False, measures=PASSES, **axes),
        products=products(points // SHARE),
        loop=lambda: [initlab.probe(setting, batch) for setting in settings],
    )
    # as long as all points would have taken
    seconds["loop"] = [value * points / SHARE / len(settings) for value in seconds["loop"]]

    def whole(name):
        return f"{SHARE * percentile(seconds[name], 0.5):.2f} s"

    def times(name, other):
        return ratio(seconds[name], seconds[other])

    passes, best = times("passes", "products"), undisturbed(seconds["passes"], seconds["products"])
    faster = times("loop", "all")
    return [
        Row(f"{points:,} points, depth {DEPTH}, width {WIDTH}, batch {EXAMPLES}", ""),
        Row("  bare products, forward and backward", whole("products")),
        Row("  sweep of what both passes give", whole("passes")),
        Row("  the same / products", f"{passes:.2f}", f"<= {PRODUCTS}", passes <= PRODUCTS),
        Row("  the same, undisturbed", f"{best:.2f}", f"<= {PRODUCTS}", best <= PRODUCTS),
        Row("  sweep of all default measures", whole("all")),
        Row("  the same / products", f"{times('all', 'products'):.2f}"),
        Row("  a loop of jitted probes", whole("loop")),
        Row("  loop / sweep of all", f"{faster:.2f}", f">= {LOOP}", faster >= LOOP),
    ]


def products(points: int):
    """A function that makes the bare products of so many points, in the best of sizes."""
    random = np.random.default_rng(0)
    weights = jnp.asarray(random.standard_normal((DEPTH, WIDTH, WIDTH)) / 11.3, jnp.float32)

    @jax.jit
    def make(x, weights):
        def forward(index, x):
            return jnp.matmul(x, weights[index], precision="highest")

        def backward(step, x):
            return jnp.matmul(x, weights[DEPTH - 1 - step].T, precision="highest")

        return lax.fori_loop(0, DEPTH, backward, lax.fori_loop(0, DEPTH, forward, x))

    at_once = 64
    rows = jnp.asarray(random.standard_normal((at_once * EXAMPLES, WIDTH)), jnp.float32)
    return lambda: jax.block_until_ready(
        [make(rows, weights) for _ in range(points // at_once)][-1]
    )


_GROWTH = """
    import resource, time
    import numpy as np
    import initlab

    def sweep(points):
        gain = np.linspace(0.5, 2.0, points // 8)
        batch, axes = initlab.data.digits(32), {"gain": gain, "seed": range(8)}
        start = time.process_time()
        found = initlab.sweep(batch, depth=16, width=64, progress=False, **axes)
        return time.process_time() - start, found.nbytes / 2**20

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    sweep(FEW), sweep(2048)
    few, before = [sweep(FEW)[0] for _ in range(REPEATS)], peak()
    many, result = sweep(MANY)
    after = peak()
    few += [sweep(FEW)[0] for _ in range(REPEATS)]
    print(sum(few) / len(few), many, after - before, result)
"""


def growth() -> list[Row]:
    """Processor time for few and for many points, and memory, in a process that does no more.

    Time of the processor, since the one takes a second and the other a minute, in which a machine
    may be busy with something else.
    """
    code = textwrap.dedent(_GROWTH)
    for name, value in {"FEW": FEW, "MANY": MANY, "REPEATS": 5}.items():
        code = code.replace(name, str(value))
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    few, many, grown, result = (float(word) for word in output.split())
    rates = FEW / few, MANY / many
    difference = rates[1] / rates[0] - 1
    return [
        Row(f"{FEW:,} points, depth 16, width 64", f"{rates[0]:,.0f} points a processor second"),
        Row(f"{MANY:,} points", f"{rates[1]:,.0f} points a processor second"),
        Row("  more / fewer", f"{difference:+.0%}", f"{LINEAR:.0%}", abs(difference) <= LINEAR),
        Row("  peak memory beyond that of 2,048 points", f"{grown:.0f} MB"),
        Row("  of which the result", f"{result:.0f} MB"),
    ]
