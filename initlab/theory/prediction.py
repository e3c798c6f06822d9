r"""What mean-field theory predicts for a setting, layer by layer.

Forward, a batch enters with its own lengths and angles. Backward, the gradient starts at the
readout, where the logits are Gaussian, and each layer multiplies its second moment by
:math:`\mathrm{fan\_out}\,\mathrm{Var}(W)\,E[\phi'^2]`, on the usual assumption that what comes
back is independent of what went forth (Schoenholz et al. 2017, arXiv 1611.01232).

Shapes: L depth, B groups of examples by length, P groups of pairs of examples by angle.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from initlab import quadrature
from initlab.activations import ACTIVATIONS
from initlab.checking import short
from initlab.data import Batch, digits
from initlab.initializers import INITIALIZERS
from initlab.setting import AnySetting, Setting, bounded_number, one_of
from initlab.theory.finite_width import Network, log_variances
from initlab.theory.fixed_points import Limits, limits
from initlab.theory.kernels import FAR, Kernels, kernels
from initlab.theory.premises import given_by, law_of
from initlab.theory.readout import readout_noise, softmax_gradient

MAX_DEVIATIONS = 1000.0  # of a band


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """The mean-field counterpart of ``Signals``: same names, shapes and meaning; NaN where silent.

    Theory is silent about patterned starts, such as constant and identity, and about activations
    without finite moments, such as exp, or without a slope. Orthogonal weights have the mean
    field of independent ones of the same variance, and smaller spreads.
    """

    setting: AnySetting
    activation_second_moment: np.ndarray  # [L + 1]
    activation_variance: np.ndarray  # [L + 1]
    preactivation_second_moment: np.ndarray  # [L]
    preactivation_variance: np.ndarray  # [L]
    gradient_second_moment: np.ndarray  # [L]
    input_similarity: np.ndarray  # [L + 1]
    #: [L] slope of the correlation map at 1 from each hidden layer to the next, or the readout
    chi_1: np.ndarray
    #: standard deviation, over networks of this width, of the logarithm of a second moment
    activation_log_std: np.ndarray  # [L + 1]
    activation_variance_log_std: np.ndarray  # [L + 1]
    preactivation_log_std: np.ndarray  # [L]
    gradient_log_std: np.ndarray  # [L]
    #: between hidden layers: variance of the weights times fan_in, and of the biases, gain
    #: included; None if layers differ, or theory is silent
    _hidden: tuple[float, float] | None = dataclasses.field(default=None, repr=False)

    def band(self, field: str, deviations: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
        r"""``(low, high)`` between which the network that is drawn is expected.

        The spread is taken as log-normal about the predicted mean, whose median is lower:
        :math:`m\,e^{-v/2 \pm d\sqrt v}` for d deviations.

        Raises:
          ValueError: a field whose spread is not predicted, or fewer than 0 deviations.
        """
        log_std = {
            "activation_second_moment": self.activation_log_std,
            "activation_variance": self.activation_variance_log_std,
            "preactivation_second_moment": self.preactivation_log_std,
            "preactivation_variance": self.preactivation_log_std,
            "gradient_second_moment": self.gradient_log_std,
        }
        field = one_of("field with a band", field, tuple(log_std))
        deviations = bounded_number("deviations", deviations, MAX_DEVIATIONS)
        mean, std = getattr(self, field), log_std[field]
        with np.errstate(over="ignore"):
            low, high = (mean * np.exp(-(std**2) / 2 + side * deviations * std) for side in (-1, 1))
        return low, high

    @functools.cached_property
    def limits(self) -> Limits:
        """Where ever more hidden layers would lead, from this batch's length on.

        NaN if the hidden layers differ in scale, as with ``emergence``, or theory is silent.
        """
        if self._hidden is None:
            return Limits(*[np.nan] * 6, phase=None)
        start = self.preactivation_second_moment[0]
        return limits(self.setting.activation, *self._hidden, start)

    @property
    def phase(self) -> str | None:
        """'ordered' (gradients vanish), 'critical' or 'chaotic' (they explode); None if silent."""
        return self.limits.phase


def predict(setting: AnySetting, batch: Batch | None = None) -> Prediction:
    r"""Mean-field theory of the network that :func:`initlab.probe` measures.

    .. math:: q_l = \sigma_{w,l}^2\, E[\phi(\sqrt{q_{l-1}} z)^2] + \sigma_{b,l}^2, \qquad
              g_l = n_{l+1} \mathrm{Var}(W_{l+1})\, E[\phi'(\sqrt{q_l} z)^2]\, g_{l+1}

    with :math:`q_1 = \sigma_{w,1}^2 |x|^2 / d + \sigma_{b,1}^2` of each example, and
    :math:`\sigma_{w,l}^2` the variance of a weight times its layer's fan_in.

    Args:
      setting: which network; its seed does not matter, and its dtype is not looked at.
      batch: examples and labels; by default the handwritten digits that ``probe`` takes.

    Raises:
      TypeError: if ``setting`` is no setting or ``batch`` not a Batch.

    >>> he = predict(Setting(activation="relu", initializer="he_normal", depth=10, width=512))
    >>> he.phase, float((he.activation_second_moment[-1] / he.activation_second_moment[1]).round(6))
    ('critical', 1.0)
    """
    if not isinstance(setting, AnySetting):
        raise TypeError(f"predict takes a Setting, such as Setting(depth=50), not {short(setting)}")
    batch = digits(setting.examples) if batch is None else batch
    if not isinstance(batch, Batch):
        raise TypeError(
            f"batch must be a Batch, such as Batch(inputs, labels), not {type(batch).__name__}"
        )
    return theory_of(setting, batch)


@functools.singledispatch
def theory_of(setting: AnySetting, batch: Batch) -> Prediction:
    """The prediction for a kind of network; where none is registered, theory is silent."""
    return silent(setting)


def silent(setting: AnySetting) -> Prediction:
    """What theory says where it does not hold: nothing."""
    more = (1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0)  # than depth, of Prediction's arrays
    return Prediction(
        setting, *(np.full(setting.depth + extra, np.nan) for extra in more), _hidden=None
    )


@theory_of.register
def _dense(setting: Setting, batch: Batch) -> Prediction:
    initializer, depth = INITIALIZERS[setting.initializer], setting.depth
    activation = ACTIVATIONS[setting.activation]
    if initializer.ensemble == "patterned" or not kernels(activation).proper:
        return silent(setting)
    kernel = kernels(activation)
    law = law_of(initializer, setting.width, depth, batch.inputs.shape[1], batch.classes)
    hidden = law.hidden and (
        setting.gain**2 * law.hidden[0],
        setting.bias_std**2 + law.hidden[1],
    )
    table, given = table_of(kernel), given_by(batch)
    with np.errstate(divide="ignore", over="ignore", under="ignore"):  # logarithms of 0, and back
        log_gain = 2 * np.log(setting.gain)
        log_weight, log_back = law.log_weight + log_gain, law.log_back + log_gain  # [L + 1]
        log_bias = np.log(setting.bias_std**2 + law.own_bias)  # [L + 1]

        t, log_length = _lengths(table, given, log_weight, log_bias)  # [L + 1, B] each
        log_q, log_a = log_mean(t, given.share), log_mean(log_length, given.share)  # [L + 1]
        # [L + 1] share of q; the biases have the rest
        from_weights = np.exp(log_weight + log_a - log_q)
        angle, similarity = _angles(table, given, log_q, from_weights)  # [L + 1, P], [L + 1]
        # relative to the root mean square: so that no square overflows
        relative = np.interp(t[:-1], kernel.t, kernel.relative_mean)  # [L, B]
        mean = (relative * np.exp((log_length[1:] - log_a[1:, None]) / 2)) @ given.share

        readout = softmax_gradient(batch.classes)
        log_slope = np.interp(t[:-1], table.t, table.log_slope)  # [L, B]
        log_gradient = np.cumsum((log_back[1:, None] + log_slope)[::-1], axis=0)[::-1]
        log_gradient += np.interp(t[-1], readout.t, readout.log_gradient)
        q, second_moment = np.exp(log_q[:-1]), np.exp(log_a)

        # [1 + P] pairs of examples: each with itself, then others by angle
        pair_share = np.append(1, given.pair_share * (given.examples - 1)) / given.examples
        angle = np.insert(angle, 0, 0.0, axis=1)
        same_class = np.append(True, given.same_class)
        noise = readout_noise(batch.classes, log_q[-1], angle[-1], same_class, pair_share)
        log_variance = log_variances(
            kernel,
            Network(
                width=setting.width,
                log_q=log_q,
                from_weights=from_weights,
                angle=angle[:-1],
                pair_share=pair_share,
                readout=noise,
                kept_forward=law.kept_forward,
                kept_backward=law.kept_backward,
            ),
        )
        activation_log_std, activation_variance_log_std, preactivation_log_std, gradient_log_std = (
            np.sqrt(np.maximum(variance, 0)) for variance in log_variance
        )
        return Prediction(
            setting=setting,
            activation_second_moment=second_moment,
            activation_variance=np.append(given.variance, second_moment[1:] * (1 - mean**2)),
            preactivation_second_moment=q,
            preactivation_variance=q,
            gradient_second_moment=np.exp(log_gradient) @ given.share,
            input_similarity=similarity,
            chi_1=np.exp(log_weight[1:] + np.interp(log_q[:-1], table.t, table.log_slope)),
            activation_log_std=activation_log_std,
            activation_variance_log_std=activation_variance_log_std,
            preactivation_log_std=preactivation_log_std,
            gradient_log_std=gradient_log_std,
            _hidden=hidden,
        )


class Table(NamedTuple):
    """An activation's kernels at points so dense that straight lines between them will do."""

    t: np.ndarray  # [points] ln q, with a power law's two points far outside
    log_length: np.ndarray
    log_slope: np.ndarray
    pair_t: np.ndarray  # [T]
    angle: np.ndarray  # [A], densest at 0, where depth leads
    angle_map: np.ndarray  # [T, A] angle of activations by that of preactivations

    def angles_at(self, t: np.ndarray) -> np.ndarray:
        """Rows of ``angle_map`` at ``t [...]``: ``[..., A]``."""
        row = (np.clip(t, self.pair_t[0], self.pair_t[-1]) - self.pair_t[0]) * 16
        left = np.minimum(row.astype(int), len(self.pair_t) - 2)
        right = (row - left)[..., None]
        return self.angle_map[left] * (1 - right) + self.angle_map[left + 1] * right


@functools.lru_cache(maxsize=32)
def table_of(kernel: Kernels) -> Table:
    """The table of an activation, made once."""
    t = np.concatenate([[-FAR], np.arange(-60, -25, 1 / 16), np.arange(-25, 25, 1 / 256)])
    t = np.append(t, -t[t < -25][::-1])
    reach = quadrature.PAIR_LOG_VARIANCE_REACH
    pair_t = np.linspace(-reach, reach, 641)
    angle = np.pi * np.linspace(0, 1, 129) ** 2
    angle_map = np.clip(kernel.angles(pair_t) @ quadrature.between_angles(angle).T, 0, np.pi)
    return Table(t, kernel.log_length(t), kernel.log_slope(t), pair_t, angle, angle_map)


def _lengths(table, given, log_weight, log_bias):
    """``ln q`` of each layer's preactivations, readout last, and ``ln E[a^2]`` of what feeds it."""
    t, log_length = np.empty((2, len(log_weight), len(given.share)))
    feeding = np.log(given.length)
    for layer, (weight, bias) in enumerate(zip(log_weight, log_bias, strict=True)):
        log_length[layer] = feeding
        t[layer] = here = np.logaddexp(feeding + weight, bias)
        feeding = np.interp(here, table.t, table.log_length)
    return np.clip(t, -FAR, FAR), np.clip(log_length, -FAR, FAR)


def log_mean(logs: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Logarithm of the mean over groups, ``[L + 1, B]`` to ``[L + 1]``, of numbers of any size."""
    largest = logs.max(axis=1, keepdims=True)
    return largest[:, 0] + np.log(np.exp(logs - largest) @ share)


def _angles(table, given, log_q, from_weights):
    """Angles of pairs of preactivations, readout last, and the similarity of what feeds them."""
    rows = table.angles_at(log_q)
    from_weights = np.sqrt(np.minimum(from_weights, 1))
    angles, feeding = np.empty((2, len(log_q), len(given.angle)))
    here = given.angle
    for layer, root in enumerate(from_weights.tolist()):
        feeding[layer] = here
        if root < 1:  # biases, which all examples share, close the angle
            here = 2 * np.arcsin(root * np.sin(here / 2))
        angles[layer] = here
        here = np.interp(here, table.angle, rows[layer])
    similarity = np.cos(feeding) @ given.pair_share
    return angles, similarity if given.examples > 1 else np.full(len(similarity), np.nan)
