"""The Gaussian integrals of an activation: its means over one input, and over two at an angle.

They are computed once for an activation, from one compiled call of it, and tabulated in the
logarithm of the variance; what follows is NumPy. Any activation that is registered will do.
"""

import functools

import numpy as np

from initlab import quadrature
from initlab.activations import Activation

REACH = quadrature.LOG_VARIANCE_REACH
FAR = 1e4  # |ln q| up to which power laws continue the table; float64 ends at 709
_PER_UNIT = 16  # points of the table in a unit of ln q


class Kernels:
    """The Gaussian integrals of one activation, by ``t = ln q`` and by angle."""

    def __init__(self, activation: Activation):
        u, pairs = quadrature.points(), quadrature.pair_points()
        both = np.concatenate([u.ravel(), pairs.ravel()])
        samples = quadrature.sample([activation.function, activation.derivative], both)
        value, slope = samples[:, : u.size].reshape(2, *u.shape)
        value_pairs, slope_pairs = samples[:, u.size :].reshape(2, *pairs.shape)
        # one that is 0, flat, or beyond float64 makes for NaN
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            self._tabulate(u, value, slope)
            self._by_angle = _by_angle(value_pairs, slope_pairs)

    def _tabulate(self, u, value, slope):
        self.t: np.ndarray = np.arange(-REACH * _PER_UNIT, REACH * _PER_UNIT + 1) / _PER_UNIT
        weight = quadrature.weights(self.t)
        # the density's derivative in t, by its logarithm: (z^2 - 1) / 2
        rate_weight = weight * (u[1] ** 2 * np.exp(-self.t)[:, None] - 1) / 2
        length, slope_length = (weight @ (samples**2).sum(0) for samples in (value, slope))
        self._log_length, self._log_slope = np.log(length), np.log(slope_length)
        self.length_rate: np.ndarray = rate_weight @ (value**2).sum(0) / length  # d log_length / dt
        self.slope_rate: np.ndarray = rate_weight @ (slope**2).sum(0) / slope_length
        #: whether all moments are finite and none is 0, as theory needs
        self.proper: bool = bool(np.isfinite([self._log_length, self._log_slope]).all())
        self._length_bend = np.gradient(self.length_rate, 1 / _PER_UNIT)
        self.relative_mean: np.ndarray = (
            weight @ value.sum(0) / np.sqrt(length)
        )  # E[phi] / sqrt(E[phi^2])

    def log_length(self, t: np.ndarray) -> np.ndarray:
        """``ln E[phi(sqrt(q) z)^2]``."""
        return self._cubic(t, self._log_length, self.length_rate)

    def log_slope(self, t: np.ndarray) -> np.ndarray:
        """``ln E[phi'(sqrt(q) z)^2]``."""
        return self._cubic(t, self._log_slope, self.slope_rate)

    def log_length_rate(self, t: np.ndarray) -> np.ndarray:
        """``d log_length / dt``."""
        return self._cubic(np.clip(t, -REACH, REACH), self.length_rate, self._length_bend)

    def _cubic(self, t, values, rates):
        """Hermite's interpolation; beyond the table, the power law at its end."""
        t = np.clip(t, -FAR, FAR)
        inside = np.clip(t, -REACH, REACH)
        left = np.minimum(((inside + REACH) * _PER_UNIT).astype(int), len(self.t) - 2)
        x = (inside - self.t[left]) * _PER_UNIT
        rise = values[left + 1] - values[left]
        bend = (rates[left] / _PER_UNIT - rise) * (1 - x) + (rise - rates[left + 1] / _PER_UNIT) * x
        return values[left] + x * rise + x * (1 - x) * bend + (t - inside) * rates[left]

    def pair(self, name: str, t: np.ndarray) -> np.ndarray:
        """``E[f(u_1) g(u_2)] [..., ANGLES]`` of the functions named, at ``t [...]``."""
        reach = quadrature.PAIR_LOG_VARIANCE_REACH
        return quadrature.pair_weights(np.clip(t, -reach, reach)) @ self._by_angle[name]

    def angles(self, t: np.ndarray) -> np.ndarray:
        """``[..., ANGLES]``: the angle between two inputs' activations, by that before."""
        kernel = self.pair("value", t)
        with np.errstate(invalid="ignore"):
            return np.arccos(np.clip(kernel / kernel[..., :1], -1, 1))


def _by_angle(value, slope) -> dict:
    """``[n, ANGLES]`` each, for ``E[f(u_1) g(u_2)]`` of the functions named."""
    integrals = quadrature.pair_integrals
    return {
        "value": integrals(value, value),
        "slope": integrals(slope, slope),
        "value^2": integrals(value**2, value**2),
        "slope^2": integrals(slope**2, slope**2),
        "value^2 slope^2": integrals(value**2, slope**2),
        "value^2 value": integrals(value**2, value),
    }


@functools.lru_cache(maxsize=32)
def kernels(activation: Activation) -> Kernels:
    """The kernels of an activation, computed once."""
    return Kernels(activation)
