r"""Gaussian expectations in float64, accurate for smooth, kinked and saturating functions.

Gauss-Hermite nodes are wrong for what this package integrates: a kink at 0 costs them five
digits, and ``tanh(sqrt(q) z)`` is a step for large ``q``. In the logarithm of ``|u|`` all of that
is smooth, each sign by itself, and the trapezoidal rule converges exponentially:

.. math:: E[f(\sqrt q z)] = \sum_\pm \int f(\pm e^\rho)\, p(\rho - \ln\sqrt q)\, d\rho,
          \qquad p(x) = e^x e^{-e^{2x}/2} / \sqrt{2\pi}

So a function is sampled once, on a grid of ``rho``; another variance ``q`` only slides the
weights. Two correlated Gaussians are treated alike along each ray of the plane, between the rays
where one of them changes its sign. A kink elsewhere than at 0 costs digits: two or three are left.
"""

import contextlib
import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

_STEP = 1 / 8  # of rho; the rule's relative error is exp(-pi^2 / (2 step)) = 7e-18
_LOG_NODES = np.arange(-42, 33, _STEP)
LOG_VARIANCE_REACH = 60.0  # |ln q| up to which the grid of rho is long enough

_PAIR_LOG_NODES = np.arange(-17.5, 12.6, _STEP)
PAIR_LOG_VARIANCE_REACH = 20.0
#: angles between two inputs where their kernels are sampled: Chebyshev's points of [0, pi]
ANGLES = (1 - np.cos(np.pi * np.arange(33) / 32)) * np.pi / 2


def double_precision() -> contextlib.AbstractContextManager[Any]:
    """Context in which JAX computes in float64; it leaves the reader's own settings alone."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64(True)  # JAX before 0.8


def sample(functions: Sequence[Callable[[jax.Array], jax.Array]], points: ArrayLike) -> np.ndarray:
    """Elementwise JAX functions at ``points``, in float64: ``[functions, *points.shape]``.

    They are compiled together, which takes less than one by one.
    """
    with double_precision():
        values = jax.jit(lambda z: [f(z) for f in functions])(np.asarray(points, np.float64))
        return np.stack([np.asarray(value, np.float64) for value in values])


def points() -> np.ndarray:
    """``u [2, n]``: where a function is sampled to be integrated; negative ones first."""
    return np.stack([-np.exp(_LOG_NODES), np.exp(_LOG_NODES)])


def weights(log_variance: ArrayLike) -> np.ndarray:
    """``w [..., n]``: ``E[f(sqrt(q) z)] = sum(w * (f(u[0]) + f(u[1])))`` for ``u = points()``."""
    return _weights(_LOG_NODES - np.asarray(log_variance)[..., None] / 2, _STEP)


def _weights(x, step):
    w = step / np.sqrt(2 * np.pi) * np.exp(x - np.exp(np.minimum(2 * x, 7.0)) / 2)
    w[..., 0] += 0.5 - w.sum(-1)  # all that is nearer to 0 than the first node
    return w


def gaussian_mean(function: Callable[[jax.Array], jax.Array], variance: float = 1.0) -> float:
    """``E[f(sqrt(variance) z)]`` for standard normal z, of an elementwise JAX function.

    On a finer grid than the tables, so that a kink away from 0 leaves five digits.

    >>> round(gaussian_mean(lambda z: z**2, variance=4.0), 12)
    4.0
    """
    step = _STEP / 32
    x = np.arange(-40, 2.8, step)
    u = np.sqrt(variance) * np.exp(x)
    return float(sample([function], np.stack([-u, u])).sum((0, 1)) @ _weights(x, step))


@functools.cache
def _rays():
    """Sines of the rays along which pairs are sampled, and their weights.

    For the angle ``omega`` between the inputs, a ray is ``(u_1, u_2) = r (sin s, sin(s + omega))``
    where both have one sign, ``s < (pi - omega) / 2`` by symmetry, and
    ``r (-sin s, sin(omega - s))`` where they differ. Double-exponential nodes crowd at the ends,
    where a saturating function turns.
    """
    step = 0.16
    y = np.arange(-3.4, 3.4, step)
    crowd = np.exp(2.2 * np.sinh(y))
    share = crowd / (1 + crowd)  # of the way from 0 to 1
    length = step * 2.2 * np.cosh(y) * crowd / (1 + crowd) ** 2
    omega = ANGLES[:, None]
    same, opposite = (np.pi - omega) / 2 * share, omega * share
    sines = np.sin(np.stack([same, same + omega, opposite, omega - opposite]))
    weight = np.stack([(np.pi - omega) / 2 * length, omega * length]) / np.pi
    return sines, weight  # [4, angles, rays], [2, angles, rays]


def pair_points() -> np.ndarray:
    """``u [6, n, angles, rays]``: where a function of two correlated inputs is sampled."""
    sines, _ = _rays()
    u = np.exp(_PAIR_LOG_NODES)[:, None, None] * np.maximum(sines, 0)[:, None]
    return np.stack([u[0], u[1], -u[0], -u[1], -u[2], u[3]])


def pair_integrals(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """``[n, angles]``: mean of ``f(u_1) g(u_2)`` over directions, from samples at `pair_points`."""
    _, weight = _rays()
    same = f[0] * g[1] + f[1] * g[0] + f[2] * g[3] + f[3] * g[2]
    opposite = f[4] * g[5] + g[4] * f[5]
    return ((same * weight[0] + opposite * weight[1]) / 2).sum(-1)


def pair_weights(log_variance: ArrayLike) -> np.ndarray:
    """``w [..., n]`` with ``E[f(sqrt(q) z_1) g(sqrt(q) z_2)] = w @ pair_integrals(f, g)``."""
    x = _PAIR_LOG_NODES - np.asarray(log_variance)[..., None] / 2
    w = _STEP * np.exp(2 * x - np.exp(np.minimum(2 * x, 7.0)) / 2)
    w[..., 0] += 1.0 - w.sum(-1)
    return w


def between_angles(angle: ArrayLike) -> np.ndarray:
    """``[..., angles]``: matrix that takes values at `ANGLES` to values at ``angle`` in [0, pi].

    Barycentric interpolation (Berrut & Trefethen 2004). It is exact to many digits because what
    is tabulated is analytic in the angle, also for kinked functions: of the correlation ``c``,
    relu's kernel has a term ``(1 - c)^1.5``.
    """
    scale = (-1.0) ** np.arange(len(ANGLES))
    scale[[0, -1]] /= 2
    distance = np.asarray(angle)[..., None] - ANGLES
    hit = distance == 0
    terms = scale / np.where(hit, 1.0, distance)
    terms = np.where(hit.any(-1, keepdims=True), hit, terms)
    return terms / terms.sum(-1, keepdims=True)
