r"""Mean-field theory of an infinitely wide layer: what it makes of lengths and angles, and limits.

With independent weights of variance :math:`\sigma_w^2 / \mathrm{fan\_in}` and biases of variance
:math:`\sigma_b^2`, the preactivations of a wide layer are Gaussian. Their second moment
:math:`q`, and the correlation :math:`c` of two inputs' preactivations, say everything:

.. math:: q' = \sigma_w^2\, E[\phi(\sqrt q z)^2] + \sigma_b^2, \qquad
          c' = (\sigma_w^2\, E[\phi(u_1)\,\phi(u_2)] + \sigma_b^2) / q'

Sources: Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016 (arXiv 1606.05340); Schoenholz,
Gilmer, Ganguli & Sohl-Dickstein 2017 (arXiv 1611.01232). Arguments broadcast against each other
and results are NumPy arrays of their shape, in float64; ``activation`` is a name in the catalogue
or an ``Activation``.
"""

import functools
from typing import NamedTuple

import numpy as np

from initlab import quadrature
from initlab.activations import ACTIVATIONS, Activation

CRITICAL = 1e-3  # of |chi_1 - 1|: the deepest network here, 128 layers, amplifies it to 14%

_REACH = quadrature.LOG_VARIANCE_REACH
_PER_UNIT = 16  # points of the table in a unit of ln q
_FAR = 1e4  # |ln q| up to which power laws continue the table; float64 ends at 709
_FLAT = 1e-10  # a smaller change of ln q in one layer is rounding
_STILL = 1e-7  # a smaller change of a right angle in one layer: rounding, and q* = 0 as q = 2e-9
_HALVINGS = 55  # of an interval, down to the rounding of float64
_LOG_SEARCH = np.concatenate(
    [np.arange(-700, -_REACH, 10), np.arange(-_REACH, _REACH, 0.5), np.arange(_REACH, 701, 10)]
)  # where fixed points of ln q are looked for
_ANGLE_SEARCH = np.pi / 2 * np.geomspace(1, 1e-3, 100)  # a smaller one is taken as 0


class Kernels:
    """The Gaussian integrals of one activation, by ``t = ln q`` and by angle."""

    def __init__(self, activation: Activation):
        u, pairs = quadrature.points(), quadrature.pair_points()
        both = np.concatenate([u.ravel(), pairs.ravel()])
        samples = quadrature.sample([activation.function, activation.derivative], both)
        value, slope = samples[:, : u.size].reshape(2, *u.shape)
        value_pairs, slope_pairs = samples[:, u.size :].reshape(2, *pairs.shape)
        integrals = quadrature.pair_integrals
        self._by_angle = {  # [n, ANGLES] each, for E[f(u_1) g(u_2)]
            "value": integrals(value_pairs, value_pairs),
            "slope": integrals(slope_pairs, slope_pairs),
            "value^2": integrals(value_pairs**2, value_pairs**2),
            "slope^2": integrals(slope_pairs**2, slope_pairs**2),
            "value^2 slope^2": integrals(value_pairs**2, slope_pairs**2),
        }
        self.t = np.arange(-_REACH * _PER_UNIT, _REACH * _PER_UNIT + 1) / _PER_UNIT
        weight = quadrature.weights(self.t)
        # the density's derivative in t, by its logarithm: (z^2 - 1) / 2
        rate_weight = weight * (u[1] ** 2 * np.exp(-self.t)[:, None] - 1) / 2
        length, slope_length = (weight @ (samples**2).sum(0) for samples in (value, slope))
        with np.errstate(divide="ignore", invalid="ignore"):  # an activation that is 0 or flat
            self._log_length, self._log_slope = np.log(length), np.log(slope_length)
            self.length_rate = rate_weight @ (value**2).sum(0) / length  # d log_length / dt
            self.slope_rate = rate_weight @ (slope**2).sum(0) / slope_length
            self._length_bend = np.gradient(self.length_rate, 1 / _PER_UNIT)
            self.relative_mean = weight @ value.sum(0) / np.sqrt(length)  # E[phi] / sqrt(E[phi^2])

    def log_length(self, t):
        """``ln E[phi(sqrt(q) z)^2]``."""
        return self._cubic(t, self._log_length, self.length_rate)

    def log_slope(self, t):
        """``ln E[phi'(sqrt(q) z)^2]``."""
        return self._cubic(t, self._log_slope, self.slope_rate)

    def log_length_rate(self, t):
        """``d log_length / dt``."""
        return self._cubic(np.clip(t, -_REACH, _REACH), self.length_rate, self._length_bend)

    def _cubic(self, t, values, rates):
        """Hermite's interpolation; beyond the table, the power law at its end."""
        t = np.clip(t, -_FAR, _FAR)
        inside = np.clip(t, -_REACH, _REACH)
        left = np.minimum(((inside + _REACH) * _PER_UNIT).astype(int), len(self.t) - 2)
        x = (inside - self.t[left]) * _PER_UNIT
        rise = values[left + 1] - values[left]
        bend = (rates[left] / _PER_UNIT - rise) * (1 - x) + (rise - rates[left + 1] / _PER_UNIT) * x
        return values[left] + x * rise + x * (1 - x) * bend + (t - inside) * rates[left]

    def pair(self, name: str, t) -> np.ndarray:
        """``E[f(u_1) g(u_2)] [..., ANGLES]`` of the functions named, at ``t [...]``."""
        reach = quadrature.PAIR_LOG_VARIANCE_REACH
        return quadrature.pair_weights(np.clip(t, -reach, reach)) @ self._by_angle[name]

    def angles(self, t) -> np.ndarray:
        """``[..., ANGLES]``: the angle between two inputs' activations, by that before."""
        kernel = self.pair("value", t)
        with np.errstate(invalid="ignore"):
            return np.arccos(np.clip(kernel / kernel[..., :1], -1, 1))


@functools.lru_cache(maxsize=32)
def kernels(activation: Activation) -> Kernels:
    """The kernels of an activation, computed once."""
    return Kernels(activation)


def _of(activation) -> Kernels:
    return kernels(activation if isinstance(activation, Activation) else ACTIVATIONS[activation])


def _checked(**values) -> list[np.ndarray]:
    """Values as float64 arrays; ValueError for one that is negative or NaN."""
    arrays = []
    for name, value in values.items():
        array = np.asarray(value, np.float64)
        if not (array >= 0).all():
            wrong = array[~(array >= 0)].flat[0]
            raise ValueError(f"{name} must be 0 or more, not {wrong:g}")
        arrays.append(array)
    return arrays


def _log(x):
    with np.errstate(divide="ignore"):
        return np.log(x)


def _exp(x):
    with np.errstate(over="ignore"):
        return np.exp(x)


def variance_map(activation, q, weight_variance=1.0, bias_variance=0.0) -> np.ndarray:
    r"""The next layer's ``q``: :math:`\sigma_w^2 E[\phi(\sqrt q z)^2] + \sigma_b^2`.

    Source: Poole et al. 2016, equation 3. Raises ValueError for a negative argument.

    >>> round(float(variance_map("tanh", 1.0)), 6)
    0.394294
    """
    q, weight_variance, bias_variance = _checked(
        q=q, weight_variance=weight_variance, bias_variance=bias_variance
    )
    return weight_variance * _exp(_of(activation).log_length(_log(q))) + bias_variance


def chi(activation, q, weight_variance=1.0) -> np.ndarray:
    r"""Slope of the correlation map at 1: :math:`\chi_1 = \sigma_w^2 E[\phi'(\sqrt q z)^2]`.

    It is also what one layer multiplies a squared gradient by, between layers of equal width.
    Source: Schoenholz et al. 2017, equation 5. Raises ValueError for a negative argument.

    >>> round(float(chi("relu", 1.0, weight_variance=2.0)), 6)
    1.0
    """
    q, weight_variance = _checked(q=q, weight_variance=weight_variance)
    return weight_variance * _exp(_of(activation).log_slope(_log(q)))


def correlation_map(
    activation, correlation, q=1.0, weight_variance=1.0, bias_variance=0.0
) -> np.ndarray:
    r"""The next layer's correlation of two inputs whose preactivations have second moment ``q``.

    .. math:: c' = \frac{\sigma_w^2 E[\phi(u_1)\phi(u_2)] + \sigma_b^2}
                        {\sigma_w^2 E[\phi(u_1)^2] + \sigma_b^2}, \qquad
              u_1 = \sqrt q z_1,\ u_2 = \sqrt q (c z_1 + \sqrt{1 - c^2} z_2)

    Source: Poole et al. 2016, equation 5; for relu it is the arc-cosine kernel of Cho & Saul
    2009. Raises ValueError for a negative argument and for a correlation outside [-1, 1].

    >>> float(correlation_map("relu", 0.0).round(6))  # 1 / pi
    0.31831
    """
    q, weight_variance, bias_variance = _checked(
        q=q, weight_variance=weight_variance, bias_variance=bias_variance
    )
    correlation = np.asarray(correlation, np.float64)
    if not (np.abs(correlation) <= 1).all():
        wrong = correlation[~(np.abs(correlation) <= 1)].flat[0]
        raise ValueError(f"a correlation must be from -1 to 1, not {wrong:g}")
    kernel, t = _of(activation), _log(q)
    angle = _between(kernel.angles(t), np.arccos(correlation))
    return np.cos(_next_angle(kernel, angle, t, _log(weight_variance), _log(bias_variance)))


def _between(rows, angle):
    """Values ``rows [..., ANGLES]`` at ``angle [...]``."""
    return (rows * quadrature.between_angles(angle)).sum(-1)


def _next_angle(kernel, angle, t, log_weight, log_bias):
    """Angle between preactivations, from that between the activations before them."""
    length = kernel.log_length(t) + log_weight
    with np.errstate(invalid="ignore"):  # zero weights and no biases: there is no angle
        share = _exp(length - np.logaddexp(length, log_bias))  # of the length, from the weights
    # through the sine of the half angle, which keeps its digits where the angle is small
    return 2 * np.arcsin(np.clip(np.sqrt(share) * np.sin(angle / 2), 0, 1))


class FixedPoint(NamedTuple):
    """Where the maps lead: second moment of preactivations, correlation of two inputs."""

    q: np.ndarray
    c: np.ndarray


def fixed_point(activation, weight_variance, bias_variance=0.0, start=1.0) -> FixedPoint:
    r"""The limits :math:`q^*` and :math:`c^*` of many equal layers.

    ``q`` starts at ``start``, two inputs start orthogonal. ``q*`` may be 0, or inf where lengths
    grow without bound; where every ``q`` is a fixed point, as for relu with He's scale, it is
    ``start``. Source: Poole et al. 2016. Raises ValueError for a negative argument.

    >>> q, c = fixed_point("tanh", 2.0, 0.05)
    >>> round(float(q), 5), round(float(c), 5)
    (0.72176, 0.74408)
    """
    weight_variance, bias_variance, start = np.broadcast_arrays(
        *_checked(weight_variance=weight_variance, bias_variance=bias_variance, start=start)
    )
    kernel = _of(activation)
    logs = _log(weight_variance), _log(bias_variance)
    t = _fixed_length(kernel, *logs, _log(start))
    return FixedPoint(_exp(t), np.cos(_fixed_angle(kernel, *logs, t)))


def _fixed_length(kernel, log_weight, log_bias, start):
    """The ``t = ln q`` that layers lead to from ``start``; all have one shape."""

    def growth(t, log_weight, log_bias):
        return np.logaddexp(kernel.log_length(t) + log_weight, log_bias) - t

    start = np.clip(start, _LOG_SEARCH[0], _LOG_SEARCH[-1])
    direction = growth(start, log_weight, log_bias)
    grid = growth(_LOG_SEARCH, log_weight[..., None], log_bias[..., None])
    up = (_LOG_SEARCH >= start[..., None]) & (grid <= -_FLAT)
    down = (_LOG_SEARCH <= start[..., None]) & (grid >= _FLAT)
    above = np.where(up.any(-1), _LOG_SEARCH[up.argmax(-1)], np.inf)
    last = len(_LOG_SEARCH) - 1 - down[..., ::-1].argmax(-1)
    below = np.where(down.any(-1), _LOG_SEARCH[last], -np.inf)
    end = np.where(direction > 0, above, below)
    low, high = np.minimum(start, end), np.maximum(start, end)
    for _ in range(_HALVINGS):
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        rises = growth(np.clip(middle, -_FAR, _FAR), log_weight, log_bias) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    found = np.where(np.isinf(end), end, low)
    return np.where(np.abs(direction) <= _FLAT, start, found)


def _fixed_angle(kernel, log_weight, log_bias, t):
    """The angle that two orthogonal inputs are led to at the fixed point ``t``."""
    rows = kernel.angles(t)
    after = rows @ quadrature.between_angles(_ANGLE_SEARCH).T  # [..., angles of the search]
    args = t, log_weight, log_bias
    opening = _next_angle(kernel, after, *(x[..., None] for x in args)) - _ANGLE_SEARCH
    still = opening[..., 0] >= -_STILL
    opens = opening >= 0
    first = opens.argmax(-1)
    low, high = _ANGLE_SEARCH[first], _ANGLE_SEARCH[np.maximum(first - 1, 0)]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        wider = _next_angle(kernel, _between(rows, middle), *args) >= middle
        low, high = np.where(wider, middle, low), np.where(wider, high, middle)
    return np.where(still, np.pi / 2, np.where(opens.any(-1), low, 0.0))


class DepthScales(NamedTuple):
    """Layers over which something changes by a factor e near the fixed point; inf if it stays."""

    q: np.ndarray
    c: np.ndarray
    gradient: np.ndarray


def depth_scales(activation, weight_variance, bias_variance=0.0, start=1.0) -> DepthScales:
    r"""How deep lengths, correlations and gradients travel.

    .. math:: \xi_q = 1 / |\ln \partial q'/\partial q|, \qquad
              \xi_c = 1 / |\ln \sigma_w^2 E[\phi'(u_1)\phi'(u_2)]|\ \text{at}\ c^*, \qquad
              \xi_\nabla = 1 / |\ln \chi_1|

    Source: Schoenholz et al. 2017, equations 8, 9 and 15. By Stein's lemma,
    :math:`\partial q'/\partial q = \chi_1 + \sigma_w^2 E[\phi''\phi]`, as written there.
    Raises ValueError for a negative argument.

    >>> [round(float(scale), 2) for scale in depth_scales("tanh", 2.0, 0.05)]
    [1.39, 25.21, 21.48]
    """
    weight_variance, bias_variance, start = np.broadcast_arrays(
        *_checked(weight_variance=weight_variance, bias_variance=bias_variance, start=start)
    )
    kernel = _of(activation)
    log_weight, log_bias = _log(weight_variance), _log(bias_variance)
    t = np.clip(_fixed_length(kernel, log_weight, log_bias, _log(start)), -_REACH, _REACH)
    angle = _fixed_angle(kernel, log_weight, log_bias, t)
    length, log_slope = kernel.log_length(t) + log_weight, kernel.log_slope(t) + log_weight
    similarity = kernel.pair("slope", t)
    similarity = _between(similarity / similarity[..., :1], angle)
    with np.errstate(divide="ignore"):
        rates = (
            np.log(kernel.log_length_rate(t)) + length - t,
            np.log(similarity) + log_slope + t - np.logaddexp(length, log_bias),
            log_slope,
        )
    return DepthScales(*map(_scale, rates))


def _scale(rate):
    """Layers in which ``exp(rate)`` a layer makes a factor e."""
    with np.errstate(divide="ignore"):
        return np.where(np.abs(rate) > _FLAT, 1 / np.abs(rate), np.inf)


def critical_line(activation, bias_variance) -> tuple[np.ndarray, np.ndarray]:
    r"""``(weight_variance, q*)`` where :math:`\chi_1 = 1` at the fixed point; NaN where it cannot be.

    In ``q`` it is closed: :math:`\sigma_w^2 = 1 / E[\phi'^2]` and
    :math:`\sigma_b^2 = q - \sigma_w^2 E[\phi^2]`, of which the smallest solution is taken; relu is
    critical at (2, 0) alone. Source: Poole et al. 2016. Raises ValueError for a negative argument.

    >>> [round(float(x), 4) for x in critical_line("tanh", 0.05)]
    [1.761, 0.57]
    """
    (bias_variance,) = _checked(bias_variance=bias_variance)
    kernel = _of(activation)

    def share(t):  # of q that the biases must have for t to be critical
        return -np.expm1(kernel.log_length(t) - kernel.log_slope(t) - t)

    enough = share(kernel.t) >= np.maximum(bias_variance[..., None] * np.exp(-kernel.t), _FLAT)
    first = enough.argmax(-1)
    low, high = kernel.t[np.maximum(first - 1, 0)], kernel.t[first]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = share(middle) >= bias_variance * np.exp(-middle)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    at_zero = (bias_variance == 0) & (np.abs(share(kernel.t[0])) < _FLAT)
    high = np.where(at_zero, kernel.t[0], high)
    possible = at_zero | enough.any(-1)
    q = np.where(at_zero, 0.0, np.exp(high))
    return tuple(np.where(possible, x, np.nan) for x in (np.exp(-kernel.log_slope(high)), q))


class Limits(NamedTuple):
    """Where ever more equal layers lead."""

    q: float
    c: float
    chi_1: float
    xi_q: float
    xi_c: float
    xi_gradient: float
    phase: str | None


def limits(activation, weight_variance, bias_variance=0.0, start=1.0) -> Limits:
    """Fixed point and depth scales as plain numbers, and the phase in a word.

    'ordered' if chi_1 < 1, where gradients vanish; 'chaotic' if chi_1 > 1, where they explode;
    'critical' if they do neither within the depth of any network here.

    >>> limits("relu", 2.0).phase, limits("tanh", 25 / 9).phase
    ('critical', 'chaotic')
    """
    q, c = fixed_point(activation, weight_variance, bias_variance, start)
    chi_1 = float(chi(activation, q, weight_variance))
    scales = depth_scales(activation, weight_variance, bias_variance, start)
    phase = "critical" if abs(chi_1 - 1) < CRITICAL else "ordered" if chi_1 < 1 else "chaotic"
    return Limits(float(q), float(c), chi_1, *map(float, scales), phase)


class PhaseDiagram(NamedTuple):
    """``[weight variances, bias variances]`` each."""

    chi_1: np.ndarray
    q: np.ndarray
    xi_gradient: np.ndarray


def phase_diagram(activation, weight_variances, bias_variances) -> PhaseDiagram:
    r"""Where a start is ordered (:math:`\chi_1 < 1`) and where chaotic, at its fixed point.

    Args:
      activation: its name.
      weight_variances: ``[m]``, of sigma_w^2.
      bias_variances: ``[n]``, of sigma_b^2.

    Source: Poole et al. 2016, figure 1. Raises ValueError for a negative argument.

    >>> phase_diagram("tanh", [0.5, 3.0], [0.05]).chi_1.round(3).ravel().tolist()
    [0.432, 1.261]
    """
    weight_variances, bias_variances = _checked(
        weight_variances=weight_variances, bias_variances=bias_variances
    )
    weight_variances, bias_variances = weight_variances[:, None], bias_variances[None, :]
    kernel = _of(activation)
    shape = np.broadcast_shapes(weight_variances.shape, bias_variances.shape)
    logs = (np.broadcast_to(_log(x), shape) for x in (weight_variances, bias_variances))
    t = _fixed_length(kernel, *logs, np.zeros(shape))
    log_chi = kernel.log_slope(t) + _log(weight_variances)
    return PhaseDiagram(_exp(log_chi), _exp(t), _scale(log_chi))
