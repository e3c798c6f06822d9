"""What a sum of many branches comes to, and how small each must be."""

from initlab.grading import CASES, Exercise, Mistake, against


def residual_growth(branch_scale, blocks):
    """By how much blocks multiply the mean square, if a branch alone would keep it."""
    return (1 + branch_scale**2) ** blocks


def fixup_scale(blocks, layers):
    """Fixup's factor on all layers of a branch but the last: L^(-1/(2m-2))."""
    return blocks ** (-1 / (2 * layers - 2))


def _growth_cases(random):
    scale, blocks = random.uniform(0.1, 1.2, CASES), random.integers(3, 60, CASES)
    return [(float(x), int(n)) for x, n in zip(scale, blocks, strict=True)]


def _growth_oracle(branch_scale, blocks):
    """Block by block: what is there, and what the branch adds."""
    moment = 1.0
    for _ in range(blocks):
        moment += branch_scale * branch_scale * moment
    return moment


RESIDUAL_GROWTH = Exercise(
    name="residual-growth",
    task="Return the mean square after all blocks over that before the first.",
    solution=residual_growth,
    cases=_growth_cases,
    judge=against(_growth_oracle),
    mistakes=(
        Mistake(
            lambda branch_scale, blocks: (1 + branch_scale) ** blocks,
            "The branch's values are multiplied by the factor, so their mean square is by its"
            " square.",
        ),
        Mistake(
            lambda branch_scale, blocks: (1 + branch_scale) ** (2 * blocks),
            "You added sizes. Sum and branch are uncorrelated, so it is mean squares that add up:"
            " 1 and the factor's square.",
        ),
        Mistake(
            lambda branch_scale, blocks: 1 + blocks * branch_scale**2,
            "Each branch reads the sum, not the input: what it adds grows with the sum. Blocks"
            " multiply.",
        ),
        Mistake(
            lambda branch_scale, blocks: branch_scale ** (2 * blocks),
            "That is a network without the shortcut. What is added to is still there: 1 + the"
            " factor's square.",
        ),
    ),
)


def _fixup_cases(random):
    blocks, layers = random.integers(4, 300, CASES), random.integers(2, 6, CASES)
    return [(int(n), int(m)) for n, m in zip(blocks, layers, strict=True)]


def _fixup_oracle(blocks, layers):
    """The share by which a branch may be changed, 1 over its root, spread over the others."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle, product = (low + high) / 2, 1.0
        for _ in range(layers - 1):
            product *= middle
        low, high = (middle, high) if product * product * blocks < 1 else (low, middle)
    return low


FIXUP_SCALE = Exercise(
    name="fixup-scale",
    task="Return the factor c for which layers - 1 of them, squared, make 1 / blocks.",
    solution=fixup_scale,
    cases=_fixup_cases,
    judge=against(_fixup_oracle),
    mistakes=(
        Mistake(
            lambda blocks, layers: blocks ** (1 / (2 * layers - 2)),
            "The sign of the exponent is lost, as in many copies of the formula. More blocks need"
            " smaller weights.",
        ),
        Mistake(
            lambda blocks, layers: blocks ** (-1 / (2 * layers)),
            "You spread it over all layers. The last one starts as zeros: layers - 1 are left.",
        ),
        Mistake(
            lambda blocks, layers: blocks ** (-1 / (layers - 1)),
            "That makes the product 1 / blocks. It is the product's square that should be.",
        ),
        Mistake(
            lambda blocks, layers: blocks**-0.5,
            "That is right for two layers in a branch. With more of them, each takes a smaller"
            " part.",
        ),
    ),
)
