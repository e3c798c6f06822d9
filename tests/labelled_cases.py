"""Starts whose failures follow from theory: what is wrong with each, and from which layer on.

Nothing here was read off a run. The reasons use these facts:

- The 64 digits have mean squared pixel 1.0, mean cosine 0.475, and pixels that add up to a
  positive number in 59% of them, of mean size 4.4.
- Hidden layers are square, so both passes multiply second moments by the same
  ``s = gain^2 n Var(W)``: forward ``q' = s E[phi^2]``, backward ``chi = s E[phi'^2]``.
- Gradients have vanished or exploded k layers under the last if ``chi^k`` passes 1e3 or 1e-3;
  gains are chosen so that ``chi^(k-1)`` does not by far. Exact for orthogonal linear layers.
- A relu's correlation map at criticality, from cosine 0 on: 0.493 after 2 layers, 0.948 after 20,
  0.988 after 50; ``1 - c = 44 / l^2`` far up (Cho & Saul 2009).
- What is left to chance has a logarithm that spreads by ``sqrt(5 L / n)`` in relu and by
  ``sqrt(2 L / n)`` in linear networks (Hanin & Rolnick 2018): hence some ranges of layers.
"""

import dataclasses
import functools

import numpy as np

from initlab import Batch, Setting, data

DIGITS = data.digits(64)
#: One digit, 64 times: the shape of DIGITS, so that nothing is compiled anew.
ONE_DIGIT = Batch(np.repeat(DIGITS.inputs[:1], 64, axis=0), np.repeat(DIGITS.labels[:1], 64), 10)
LARGE_DIGITS = Batch(DIGITS.inputs * 1e5, DIGITS.labels, 10)

SYMMETRY, VANISH, EXPLODE = "symmetry collapse", "vanishing gradients", "exploding gradients"
SATURATE, DEAD, ALIKE = "saturation", "dead units", "loss of input distinctions"
OVERFLOW, UNDERFLOW = "numerical overflow", "numerical underflow"


@dataclasses.dataclass(frozen=True)
class Case:
    """A start, and its failures: mode -> layer, or ``(lowest, highest)`` that it may be."""

    reason: str
    setting: Setting
    expected: dict
    batch: Batch = DIGITS

    def __str__(self):
        setting = self.setting
        return (
            f"{setting.activation}-{setting.initializer}-{setting.gain:g}-{setting.bias_std:g}"
            f"-{setting.depth}x{setting.width}-{setting.dtype}"
        )


CASES: list[Case] = []


def case(reason, depth, width, activation, initializer, expected, batch=DIGITS, **more):
    CASES.append(
        Case(reason, Setting(depth, width, activation, initializer, **more), expected, batch)
    )


# --- nothing is wrong -------------------------------------------------------------------------
healthy = functools.partial(case, expected={})

healthy("one layer has nothing to lose", 1, 32, "relu", "he_normal")
healthy("chi = 1; cosine 0.86 after 10", 10, 256, "relu", "he_normal")
healthy("chi = 1; cosine 0.97 after 30", 30, 256, "relu", "he_uniform")
healthy("chi = 1.0001", 20, 256, "leaky_relu", "he_uniform")
healthy("chi = 1", 10, 256, "linear", "lecun_normal")
healthy("an isometry at any depth", 64, 32, "linear", "orthogonal")
healthy("q = 1/(2l), so gradients fall by 1/L only", 10, 256, "tanh", "glorot_normal")
healthy("q = 1/(2l), so gradients fall by 1/L only", 64, 256, "tanh", "lecun_normal")
healthy("chi = 1.0716: 7.4 after 29", 30, 256, "selu", "lecun_normal")
healthy("q = 1 kept; chi = 1.07", 10, 256, "gelu", "lecun_normal", gain=1.5335)
healthy("q = 1 kept", 5, 256, "silu", "lecun_normal", gain=1.6765)
healthy("q = 1 kept; chi = 1.04", 10, 256, "elu", "lecun_normal", gain=1.2452)
healthy("1/3 a layer: 1/81 after 4", 5, 256, "linear", "torch_default")
healthy("factors 1.05^n multiply to 1", 10, 256, "relu", "emergence")
healthy("on the critical line", 10, 256, "tanh", "lecun_normal", gain=1.32701, bias_std=0.223607)
healthy("a small readout passes less, but evenly", 5, 256, "tanh", "mup")
healthy("one input has no distinctions to lose", 10, 256, "relu", "he_normal", batch=ONE_DIGIT)
healthy("32 pixels pass, most of them different", 5, 32, "tanh", "zero_hadamard")

# --- symmetry collapse: equal units; equal readout weights pass nothing back ------------------
# zero weights: no gradient below the readout, all inputs alike; relu' = 0 at 0 besides
for activation in ("tanh", "sigmoid", "linear", "gelu", "leaky_relu", "selu"):
    for depth in (1, 10):
        everything_equal = {SYMMETRY: 1, VANISH: depth, ALIKE: 1}
        case("a = phi(0) everywhere", depth, 32, activation, "zeros", everything_equal)
for depth in (1, 50):
    off = {SYMMETRY: 1, VANISH: depth, DEAD: 1, ALIKE: 1}
    case("a = 0, slope 0", depth, 32, "relu", "zeros", off)
# constant weights: z' = 0.05 n a, by the sign of the pixels' sum, so inputs stay two kinds
case("z' = 1.6 tanh z ends at 1.42", 10, 32, "tanh", "constant", {SYMMETRY: 1, VANISH: 10})
case("z' = 1.6 tanh z ends at 1.42", 50, 32, "tanh", "constant", {SYMMETRY: 1, VANISH: 50})
case("z' = 1.6 z where positive", 5, 32, "relu", "constant", {SYMMETRY: 1, VANISH: 5})
case("12.8^20 = 1e22 is in range", 20, 256, "linear", "constant", {SYMMETRY: 1, VANISH: 20})
case("gelu keeps the sign", 3, 32, "gelu", "constant", {SYMMETRY: 1, VANISH: 3})
case("equal positive units: cosine 1", 10, 32, "sigmoid", "constant",
     {SYMMETRY: 1, VANISH: 10, ALIKE: 1})  # fmt: skip
case("z = 12.8 from layer 3 on", 10, 256, "sigmoid", "constant",
     {SYMMETRY: 1, VANISH: 10, SATURATE: (2, 3), ALIKE: 1})  # fmt: skip
case("|z| = 12.8, where tanh is 1 in float32", 10, 256, "tanh", "constant",
     {SYMMETRY: 1, VANISH: 10, SATURATE: (2, 3), DEAD: (3, 6)})  # fmt: skip
for dtype in ("float16", "bfloat16"):
    case("copies round alike", 10, 32, "tanh", "constant", {SYMMETRY: 1, VANISH: 10}, dtype=dtype)
# patterns that are no copies of one unit, but of a few
case("columns of H that differ by 64 agree on 64 rows", 5, 256, "tanh", "zero_hadamard",
     {SYMMETRY: 1})  # fmt: skip
case("192 units get neither signal nor gradient", 5, 256, "tanh", "identity", {SYMMETRY: 1})
# random biases tell copies apart, though the readout still passes nothing
case("a = tanh(b)", 5, 256, "tanh", "zeros", {VANISH: 5, ALIKE: 1}, bias_std=0.5)
case("half of the units on", 5, 256, "relu", "zeros", {VANISH: 5, ALIKE: 1}, bias_std=0.5)
case("z' = 1.6 mean(a) + b", 3, 32, "tanh", "constant", {VANISH: 3}, bias_std=0.5)

# --- vanishing gradients ----------------------------------------------------------------------
case("0.25^5 = 1/1024", 20, 32, "linear", "orthogonal", {VANISH: 15}, gain=0.5)
case("0.1225^4 = 2e-4", 30, 256, "linear", "lecun_normal", {VANISH: 26}, gain=0.35)
case("0.1225^4 = 2e-4", 10, 256, "linear", "lecun_uniform", {VANISH: 6}, gain=0.35)
case("small z: tanh is linear", 20, 256, "tanh", "lecun_normal", {VANISH: 16}, gain=0.35)
case("small z: elu is linear", 20, 256, "elu", "lecun_normal", {VANISH: 16}, gain=0.35)
case("0.5^10 = 1/1024", 20, 256, "relu", "lecun_normal", {VANISH: (8, 12)})
case("slope 1/2 at 0: 0.25^5 = 1/1024", 20, 256, "gelu", "glorot_normal", {VANISH: (14, 16)})
case("n 0.05^2 = 0.08; 0.08^3 = 5e-4", 10, 32, "linear", "normal", {VANISH: (6, 8)})
# 1/6 a layer; the biases, of variance 1/768, outweigh the inputs from about layer 4 on
case("6^-4 = 8e-4", 20, 256, "relu", "torch_default", {VANISH: (15, 17), ALIKE: (4, 8)})
# slope 1/4 at most, and a mean of 1/2 that all inputs share: cosine 0.957, then 0.997
case("0.055^3 = 2e-4", 10, 256, "sigmoid", "glorot_normal", {VANISH: 7, ALIKE: 2})
case("0.055^3 = 2e-4", 30, 32, "sigmoid", "glorot_normal", {VANISH: (26, 28), ALIKE: (2, 3)})

# --- exploding gradients ----------------------------------------------------------------------
case("4^5 = 1024", 20, 32, "linear", "orthogonal", {EXPLODE: 15}, gain=2.0)
case("4^5 = 1024, pixels kept apart", 12, 32, "linear", "identity", {EXPLODE: 7}, gain=2.0)
case("7.29^4 = 2824", 20, 256, "linear", "lecun_normal", {EXPLODE: 16}, gain=2.7)
case("7.29^4 = 2824", 20, 256, "relu", "he_normal", {EXPLODE: 16}, gain=2.7)
case("7.29^4 = 2824", 10, 32, "leaky_relu", "he_normal", {EXPLODE: (5, 7)}, gain=2.7)
case("8^4 = 4096", 12, 256, "relu", "sparse", {EXPLODE: (7, 9)}, gain=4.0)
# gain 5/3 is chaotic: 1.2098^37 > 1e3; at gain 3 chi is about 1.8 and 1.8^12 > 1e3
case("1.21^37 > 1e3", 64, 256, "tanh", "glorot_normal", {EXPLODE: (18, 36)}, gain=5 / 3)
case("1.8^12 > 1e3", 20, 256, "tanh", "lecun_normal", {EXPLODE: (5, 11)}, gain=3.0)

# --- saturation: tanh is flat beyond 2.994, sigmoid beyond 5.987 ------------------------------
# 88% of N(0, 20^2) lie beyond; chi = s 4/3 / (gain sqrt(2 pi)) = 10.6, and 10.6^2 = 112 only
case("z of deviation 20", 3, 256, "tanh", "lecun_normal", {SATURATE: 1}, gain=20.0)
case("z of deviation 20", 3, 32, "tanh", "lecun_uniform", {SATURATE: 1}, gain=20.0)
case("z of deviation 20", 3, 32, "tanh", "lecun_normal", {SATURATE: 1}, gain=20.0, dtype="float16")
case("z of deviation 50; chi = 27", 2, 32, "tanh", "lecun_normal", {SATURATE: 1}, gain=50.0)
case("76% of N(0, 20^2); chi = 2", 4, 256, "sigmoid", "lecun_normal", {SATURATE: 1}, gain=20.0)
# biases of deviation 10: 76% flat; chi = 0.053, 0.053^3 = 1e-4; inputs no longer count
case("the biases alone saturate", 10, 256, "tanh", "lecun_normal",
     {SATURATE: 1, VANISH: (6, 8), ALIKE: (1, 3)}, bias_std=10.0)  # fmt: skip

# --- dead units: slope exactly 0 for every example --------------------------------------------
# 64 pixels for 256 units leave 192 at z = 0, where relu' is 0; 10 more of the pixels, on the rim,
# are below the mean in all digits: 79%. The rest pass unchanged
case("202 of 256 units are off", 5, 256, "relu", "identity", {DEAD: 1})
case("202 of 256 units are off", 40, 256, "relu", "identity", {DEAD: 1})
# in float32 tanh is 1 beyond |z| = 9.01, sigmoid 1 beyond 17 and 0 under -88
case("P(|z| < 9) = 7e-4 an example", 1, 256, "tanh", "lecun_normal",
     {SATURATE: 1, DEAD: 1}, gain=1e4)  # fmt: skip
case("P(-88 < z < 17) = 4e-4 an example", 1, 256, "sigmoid", "lecun_normal",
     {SATURATE: 1, DEAD: 1}, gain=1e5)  # fmt: skip
case("P(|z| < 9) = 4%, of one example", 1, 256, "tanh", "lecun_normal",
     {SATURATE: 1, DEAD: 1}, ONE_DIGIT, gain=200.0)  # fmt: skip
case("P(|z| < 3.5) = 9%, where tanh is 1 in 8 bits", 1, 32, "tanh", "lecun_normal",
     {SATURATE: 1, DEAD: 1}, ONE_DIGIT, gain=30.0, dtype="bfloat16")  # fmt: skip

# --- loss of input distinctions ---------------------------------------------------------------
case("cosine 0.957, then 0.997", 3, 256, "sigmoid", "glorot_normal", {ALIKE: 2})
case("a = 0.5 + 0.0125 N(0, 1)", 1, 32, "sigmoid", "lecun_normal", {ALIKE: 1}, gain=0.05)
case("44 / l^2 < 0.01 from l = 66 on", 128, 256, "relu", "he_normal", {ALIKE: (45, 90)})
# s = 0.5, b = 0.05: chi = 0.432 and 0.432^9 = 5e-4; by hand c = 0.970, 0.987, 0.994 at layers 6..8
case("deep in the ordered phase", 20, 256, "tanh", "lecun_normal",
     {VANISH: (10, 12), ALIKE: (7, 9)}, gain=0.5**0.5, bias_std=0.05**0.5)  # fmt: skip

# --- numerical overflow: 3.4e38 in float32 and bfloat16, 65504 in float16 ---------------------
# the largest of batch and units is about 4 deviations; 4 x 50^22 = 1e38, 4 x 50^23 = 5e39
case("50^23 x 4 > 3.4e38", 40, 256, "linear", "lecun_normal", {OVERFLOW: 23}, gain=50.0)
case("50^23 x 4 > 3.4e38", 40, 32, "linear", "orthogonal", {OVERFLOW: 23}, gain=50.0,
     dtype="bfloat16")  # fmt: skip
case("20^29 x 4 = 2e38", 60, 256, "relu", "he_normal", {OVERFLOW: (28, 31)}, gain=20.0)
case("4^7 x 4 = 65536", 20, 32, "linear", "lecun_normal", {OVERFLOW: (6, 8)}, gain=4.0,
     dtype="float16")  # fmt: skip
case("the input is 1e5", 5, 32, "tanh", "lecun_normal", {OVERFLOW: 0}, LARGE_DIGITS,
     dtype="float16")  # fmt: skip
case("1e36, then 1e42 at the readout", 6, 32, "linear", "orthogonal", {OVERFLOW: 7}, gain=1e6)
# gradients only: chi = 10.8, so their root mean square passes 3.4e38 after about 77 layers
case("tanh bounds the signal, not the gradient", 128, 256, "tanh", "lecun_normal",
     {OVERFLOW: (44, 60), EXPLODE: (124, 125), SATURATE: 1}, gain=20.0)  # fmt: skip

# --- numerical underflow: 1.2e-38 in float32, 6.1e-5 = 2^-14 in float16 -----------------------
# one layer earlier if the rounding of single values to 0 is felt
case("0.05^30 = 9e-40; 0.0025^2 = 6e-6", 40, 32, "linear", "orthogonal",
     {UNDERFLOW: (29, 30), VANISH: 38}, gain=0.05)  # fmt: skip
case("0.035^26 = 2e-38, and relu then passes nothing back", 40, 256, "relu", "lecun_normal",
     {UNDERFLOW: (25, 27), VANISH: 40}, gain=0.05)  # fmt: skip
case("0.5^14 = 6.1e-5", 30, 32, "linear", "orthogonal",
     {UNDERFLOW: (14, 15), VANISH: (24, 25)}, gain=0.5, dtype="float16")  # fmt: skip
# gradients only: the signal stays near 1/2 while sqrt(0.055) = 0.235 a layer falls to 1e-38
case("sigmoid keeps the signal, not the gradient", 100, 256, "sigmoid", "glorot_normal",
     {UNDERFLOW: (36, 47), VANISH: 97, ALIKE: 2})  # fmt: skip
case("0.05 x 0.235^5 = 4e-5", 20, 32, "sigmoid", "glorot_normal",
     {UNDERFLOW: (13, 16), VANISH: (16, 18), ALIKE: (2, 3)}, dtype="float16")  # fmt: skip
