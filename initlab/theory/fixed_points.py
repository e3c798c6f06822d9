"""Where ever more equal layers lead: fixed points, depth scales, and the edge of chaos.

Sources: Poole et al. 2016 (arXiv 1606.05340); Schoenholz et al. 2017 (arXiv 1611.01232). Arguments
broadcast against each other, and results are NumPy arrays of their shape, in float64.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from initlab import quadrature
from initlab.activations import Activation
from initlab.theory.kernels import FAR, REACH
from initlab.theory.maps import between, checked, chi, exp, kernels_of, log, next_angle

CRITICAL = 1e-3  # of |chi_1 - 1|: the deepest network here, 128 layers, amplifies it to 14%

_FLAT = 1e-10  # a smaller change of ln q in one layer is rounding
_STILL = 1e-7  # a smaller change of a right angle in one layer: rounding, and q* = 0 as q = 2e-9
_HALVINGS = 55  # of an interval, down to the rounding of float64
_LOG_SEARCH = np.concatenate(
    [np.arange(-700, -REACH, 10), np.arange(-REACH, REACH, 0.5), np.arange(REACH, 701, 10)]
)  # where fixed points of ln q are looked for
_ANGLE_SEARCH = np.pi / 2 * np.geomspace(1, 1e-3, 100)  # a smaller one is taken as 0


class FixedPoint(NamedTuple):
    """Where the maps lead: second moment of preactivations, correlation of two inputs."""

    q: np.ndarray
    c: np.ndarray


def fixed_point(
    activation: str | Activation,
    weight_variance: ArrayLike,
    bias_variance: ArrayLike = 0.0,
    start: ArrayLike = 1.0,
) -> FixedPoint:
    r"""The limits :math:`q^*` and :math:`c^*` of many equal layers.

    ``q`` starts at ``start``, two inputs start orthogonal. ``q*`` may be 0, or inf where lengths
    grow without bound; where every ``q`` is a fixed point, as for relu with He's scale, it is
    ``start``. Source: Poole et al. 2016. Raises ValueError for a negative argument.

    >>> q, c = fixed_point("tanh", 2.0, 0.05)
    >>> round(float(q), 5), round(float(c), 5)
    (0.72176, 0.74408)
    """
    weight_variance, bias_variance, start = np.broadcast_arrays(
        *checked(weight_variance=weight_variance, bias_variance=bias_variance, start=start)
    )
    kernel = kernels_of(activation)
    logs = log(weight_variance), log(bias_variance)
    t = _fixed_length(kernel, *logs, log(start))
    return FixedPoint(exp(t), np.cos(_fixed_angle(kernel, *logs, t)))


def _fixed_length(kernel, log_weight, log_bias, start):
    """The ``t = ln q`` that layers lead to from ``start``; all have one shape."""

    def growth(t, log_weight, log_bias):
        return np.logaddexp(kernel.log_length(t) + log_weight, log_bias) - t

    start = np.clip(start, _LOG_SEARCH[0], _LOG_SEARCH[-1])
    direction = growth(start, log_weight, log_bias)
    grid = growth(_LOG_SEARCH, log_weight[..., None], log_bias[..., None])
    up = (start[..., None] <= _LOG_SEARCH) & (grid <= -_FLAT)
    down = (start[..., None] >= _LOG_SEARCH) & (grid >= _FLAT)
    above = np.where(up.any(-1), _LOG_SEARCH[up.argmax(-1)], np.inf)
    last = len(_LOG_SEARCH) - 1 - down[..., ::-1].argmax(-1)
    below = np.where(down.any(-1), _LOG_SEARCH[last], -np.inf)
    end = np.where(direction > 0, above, below)
    low, high = np.minimum(start, end), np.maximum(start, end)
    for _ in range(_HALVINGS):
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        rises = growth(np.clip(middle, -FAR, FAR), log_weight, log_bias) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    found = np.where(np.isinf(end), end, low)
    return np.where(np.abs(direction) <= _FLAT, start, found)


def _fixed_angle(kernel, log_weight, log_bias, t):
    """The angle that two orthogonal inputs are led to at the fixed point ``t``."""
    rows = kernel.angles(t)
    after = rows @ quadrature.between_angles(_ANGLE_SEARCH).T  # [..., angles of the search]
    args = t, log_weight, log_bias
    opening = next_angle(kernel, after, *(x[..., None] for x in args)) - _ANGLE_SEARCH
    still = opening[..., 0] >= -_STILL
    opens = opening >= 0
    first = opens.argmax(-1)
    low, high = _ANGLE_SEARCH[first], _ANGLE_SEARCH[np.maximum(first - 1, 0)]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        wider = next_angle(kernel, between(rows, middle), *args) >= middle
        low, high = np.where(wider, middle, low), np.where(wider, high, middle)
    return np.where(still, np.pi / 2, np.where(opens.any(-1), low, 0.0))


class DepthScales(NamedTuple):
    """Layers over which something changes by a factor e near the fixed point; inf if it stays."""

    q: np.ndarray
    c: np.ndarray
    gradient: np.ndarray


def depth_scales(
    activation: str | Activation,
    weight_variance: ArrayLike,
    bias_variance: ArrayLike = 0.0,
    start: ArrayLike = 1.0,
) -> DepthScales:
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
        *checked(weight_variance=weight_variance, bias_variance=bias_variance, start=start)
    )
    kernel = kernels_of(activation)
    log_weight, log_bias = log(weight_variance), log(bias_variance)
    t = np.clip(_fixed_length(kernel, log_weight, log_bias, log(start)), -REACH, REACH)
    angle = _fixed_angle(kernel, log_weight, log_bias, t)
    length, log_slope = kernel.log_length(t) + log_weight, kernel.log_slope(t) + log_weight
    similarity = kernel.pair("slope", t)
    similarity = between(similarity / similarity[..., :1], angle)
    with np.errstate(divide="ignore", invalid="ignore"):  # zero weights, no biases: NaN
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


def critical_line(
    activation: str | Activation, bias_variance: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    r"""``(weight_variance, q*)`` where :math:`\chi_1 = 1` at the fixed point; NaN where nowhere.

    In ``q`` it is closed: :math:`\sigma_w^2 = 1 / E[\phi'^2]` and
    :math:`\sigma_b^2 = q - \sigma_w^2 E[\phi^2]`, of which the smallest solution is taken; relu is
    critical at (2, 0) alone. Source: Poole et al. 2016. Raises ValueError for a negative argument.

    >>> [round(float(x), 4) for x in critical_line("tanh", 0.05)]
    [1.761, 0.57]
    """
    (bias_variance,) = checked(bias_variance=bias_variance)
    kernel = kernels_of(activation)

    def share(t):  # of q that the biases must have for t to be critical
        return -np.expm1(kernel.log_length(t) - kernel.log_slope(t) - t)

    with np.errstate(over="ignore"):
        wanted = np.maximum(bias_variance[..., None] * np.exp(-kernel.t), _FLAT)
    enough = share(kernel.t) >= wanted
    first = enough.argmax(-1)
    low, high = kernel.t[np.maximum(first - 1, 0)], kernel.t[first]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        with np.errstate(over="ignore"):
            beyond = share(middle) >= bias_variance * np.exp(-middle)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    at_zero = (bias_variance == 0) & (np.abs(share(kernel.t[0])) < _FLAT)
    high = np.where(at_zero, kernel.t[0], high)
    possible = at_zero | enough.any(-1)
    q = np.where(at_zero, 0.0, np.exp(high))
    weight_variance = np.where(possible, np.exp(-kernel.log_slope(high)), np.nan)
    return weight_variance, np.where(possible, q, np.nan)


class Limits(NamedTuple):
    """Where ever more equal layers lead."""

    q: float
    c: float
    chi_1: float
    xi_q: float
    xi_c: float
    xi_gradient: float
    phase: str | None


def limits(
    activation: str | Activation,
    weight_variance: float,
    bias_variance: float = 0.0,
    start: float = 1.0,
) -> Limits:
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
    xi_q, xi_c, xi_gradient = map(float, scales)
    return Limits(float(q), float(c), chi_1, xi_q, xi_c, xi_gradient, phase)


class PhaseDiagram(NamedTuple):
    """``[weight variances, bias variances]`` each."""

    chi_1: np.ndarray
    q: np.ndarray
    xi_gradient: np.ndarray


def phase_diagram(
    activation: str | Activation, weight_variances: ArrayLike, bias_variances: ArrayLike
) -> PhaseDiagram:
    r"""Where a start is ordered (:math:`\chi_1 < 1`) and where chaotic, at its fixed point.

    Args:
      activation: its name.
      weight_variances: ``[m]``, of sigma_w^2.
      bias_variances: ``[n]``, of sigma_b^2.

    Source: Poole et al. 2016, figure 1. Raises ValueError for a negative argument.

    >>> phase_diagram("tanh", [0.5, 3.0], [0.05]).chi_1.round(3).ravel().tolist()
    [0.432, 1.209]
    """
    (weight_variances,) = checked(weight_variances=weight_variances)
    (bias_variances,) = checked(bias_variances=bias_variances)
    for name, array in (("weight_variances", weight_variances), ("bias_variances", bias_variances)):
        if array.ndim != 1:
            raise ValueError(f"{name} must be one list of numbers, not the shape {array.shape}")
    weight_variances, bias_variances = weight_variances[:, None], bias_variances[None, :]
    kernel = kernels_of(activation)
    shape = np.broadcast_shapes(weight_variances.shape, bias_variances.shape)
    weights, biases = (np.broadcast_to(log(x), shape) for x in (weight_variances, bias_variances))
    t = _fixed_length(kernel, weights, biases, np.zeros(shape))
    log_chi = kernel.log_slope(t) + log(weight_variances)
    return PhaseDiagram(exp(log_chi), exp(t), _scale(log_chi))
