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

import numpy as np
from numpy.typing import ArrayLike

from initlab import quadrature
from initlab.activations import ACTIVATIONS, Activation
from initlab.checking import real_array
from initlab.theory.kernels import Kernels, kernels


def kernels_of(activation: str | Activation) -> Kernels:
    """The kernels of an activation or of its name."""
    return kernels(activation if isinstance(activation, Activation) else ACTIVATIONS[activation])


def checked(**values: ArrayLike) -> list[np.ndarray]:
    """Values as float64 arrays that broadcast against each other.

    ValueError for one that is negative, NaN, or infinite unless lengths may be, and for shapes that
    do not fit.
    """
    arrays = []
    for name, value in values.items():
        array = real_array(name, value).astype(np.float64)
        # lengths that grow without bound are led to infinity, and may be asked about there
        fine = (array >= 0) & ((array < np.inf) | (name in ("q", "start")))
        if not fine.all():
            raise ValueError(f"{name} must be 0 or more, and finite, not {array[~fine].flat[0]:g}")
        arrays.append(array)
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError as error:
        shapes = ", ".join(
            f"{name} {array.shape}" for name, array in zip(values, arrays, strict=True)
        )
        raise ValueError(f"shapes must fit each other, not {shapes}") from error
    return arrays


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm, -inf at 0."""
    with np.errstate(divide="ignore"):
        return np.log(x)


def exp(x: np.ndarray) -> np.ndarray:
    """Exponential, inf where float64 ends."""
    with np.errstate(over="ignore"):
        return np.exp(x)


def variance_map(
    activation: str | Activation,
    q: ArrayLike,
    weight_variance: ArrayLike = 1.0,
    bias_variance: ArrayLike = 0.0,
) -> np.ndarray:
    r"""The next layer's ``q``: :math:`\sigma_w^2 E[\phi(\sqrt q z)^2] + \sigma_b^2`.

    Source: Poole et al. 2016, equation 3. Raises ValueError for a negative argument.

    >>> round(float(variance_map("tanh", 1.0)), 6)
    0.394294
    """
    q, weight_variance, bias_variance = checked(
        q=q, weight_variance=weight_variance, bias_variance=bias_variance
    )
    return weight_variance * exp(kernels_of(activation).log_length(log(q))) + bias_variance


def chi(activation: str | Activation, q: ArrayLike, weight_variance: ArrayLike = 1.0) -> np.ndarray:
    r"""Slope of the correlation map at 1: :math:`\chi_1 = \sigma_w^2 E[\phi'(\sqrt q z)^2]`.

    It is also what one layer multiplies a squared gradient by, between layers of equal width.
    Source: Schoenholz et al. 2017, equation 5. Raises ValueError for a negative argument.

    >>> round(float(chi("relu", 1.0, weight_variance=2.0)), 6)
    1.0
    """
    q, weight_variance = checked(q=q, weight_variance=weight_variance)
    return weight_variance * exp(kernels_of(activation).log_slope(log(q)))


def correlation_map(
    activation: str | Activation,
    correlation: ArrayLike,
    q: ArrayLike = 1.0,
    weight_variance: ArrayLike = 1.0,
    bias_variance: ArrayLike = 0.0,
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
    q, weight_variance, bias_variance = checked(
        q=q, weight_variance=weight_variance, bias_variance=bias_variance
    )
    correlation = real_array("correlation", correlation).astype(np.float64)
    if not (np.abs(correlation) <= 1).all():
        wrong = correlation[~(np.abs(correlation) <= 1)].flat[0]
        raise ValueError(f"a correlation must be from -1 to 1, not {wrong:g}")
    kernel, t = kernels_of(activation), log(q)
    angle = between(kernel.angles(t), np.arccos(correlation))
    return np.cos(next_angle(kernel, angle, t, log(weight_variance), log(bias_variance)))


def between(rows: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Values ``rows [..., ANGLES]`` at ``angle [...]``."""
    return (rows * quadrature.between_angles(angle)).sum(-1)


def next_angle(
    kernel: Kernels, angle: np.ndarray, t: np.ndarray, log_weight: np.ndarray, log_bias: np.ndarray
) -> np.ndarray:
    """Angle between preactivations, from that between the activations before them."""
    length = kernel.log_length(t) + log_weight
    with np.errstate(invalid="ignore"):  # zero weights and no biases: there is no angle
        share = exp(length - np.logaddexp(length, log_bias))  # of the length, from the weights
    # through the sine of the half angle, which keeps its digits where the angle is small
    return 2 * np.arcsin(np.clip(np.sqrt(share) * np.sin(angle / 2), 0, 1))
