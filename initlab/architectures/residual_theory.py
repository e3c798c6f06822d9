r"""Mean-field theory of a residual network whose weights are independent.

A branch adds a signal that is uncorrelated with what it is added to, so second moments add up.
With :math:`V(q) = E[\phi(\sqrt q z)^2]`, :math:`S(q) = E[\phi'(\sqrt q z)^2]` and weights of
variance :math:`\sigma^2 / n`, a block without normalization makes

.. math:: q_{l+1} = q_l + \alpha^2 \sigma_o^2 V(r), \qquad
          g_l = g_{l+1} (1 + \alpha^2 \sigma_o^2 \sigma_i^2 S(r) S(q_l)), \qquad
          r = \sigma_i^2 V(q_l),

so that He's start of relu doubles both. Normalization before an activation makes its :math:`q`
1, so that the signal grows by the same amount in every block, and the gradient by a factor
:math:`1 + O(1 / q_l)`; after the sum, it divides both by what the sum has come to.

Sources: Yang & Schoenholz 2017 (arXiv 1712.08969); De & Smith 2020 (arXiv 2002.10444).

Shapes: L depth, B groups of examples by length, P groups of pairs of examples by angle.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.architectures.normalization import EPSILON
from initlab.architectures.residual import Residual
from initlab.data import Batch
from initlab.initializers import INITIALIZERS
from initlab.theory.kernels import FAR, kernels
from initlab.theory.prediction import Prediction, Table, log_mean, silent, table_of, theory_of
from initlab.theory.premises import given_by
from initlab.theory.readout import softmax_gradient

_LOG_EPSILON = np.log(EPSILON)


@theory_of.register
def _residual(setting: Residual, batch: Batch) -> Prediction:
    """Silent about patterned weights, and about the spread over networks of a finite width.

    Batch normalization makes of each unit what it is over the batch, which is not Gaussian: there
    theory speaks of second moments alone, and only where these do not depend on the form of a
    symmetric distribution, as with relu.
    """
    nothing = silent(setting)
    initializer = INITIALIZERS[setting.drawn_by]
    kernel = kernels(ACTIVATIONS[setting.activation])
    if initializer.ensemble == "patterned" or not kernel.proper:
        return nothing
    over_batch = setting.normalization == "batch"
    grid = np.linspace(-5, 5, 11)
    if over_batch and np.ptp(kernel.log_length(grid) - grid) > 1e-6:
        return nothing

    given = given_by(batch)
    fan_in, n, classes, blocks = batch.inputs.shape[1], setting.width, batch.classes, setting.blocks
    scales = setting.scales(fan_in, classes)

    def variance(scale, *fans):
        orthogonal = initializer.ensemble == "orthogonal"
        return float(scale) ** 2 / (max(fans) if orthogonal else 1)

    with np.errstate(divide="ignore", over="ignore", under="ignore"):  # logarithms of 0, and back
        readout = variance(scales.readout["weight"], n, classes)
        inner, outer = (
            np.log(n * variance(scales.layers[name][0], n, n)) for name in ("inner", "outer")
        )
        network = _Network(
            table_of(kernel),
            first=np.log(fan_in * variance(scales.first["weight"], fan_in, n)),
            inner=inner,
            outer=outer + 2 * np.log(float(scales.layers["branch_scale"][0])),
            # NumPy's logarithm of 0 is -inf
            readout=np.log(np.array([n, classes]) * readout),
            before=setting.normalization != "none" and setting.placement == "before",
            after=setting.normalization != "none" and setting.placement == "after",
        )
        t, log_gradient = network.lengths(np.log(given.length), blocks, classes)
        log_q = log_mean(t, given.share)
        q = np.exp(log_q)
        similarity = network.angles(log_q, given.angle) @ given.pair_share
        moments = {
            "activation_second_moment": np.append(given.length @ given.share, q),
            "activation_variance": np.append(given.variance, q),
            "preactivation_second_moment": q,
            "preactivation_variance": q,
        }
        if not over_batch:
            moments["gradient_second_moment"] = np.exp(log_gradient) @ given.share
            if given.examples > 1:
                cosine = np.cos(given.angle) @ given.pair_share
                moments["input_similarity"] = np.append(cosine, similarity)
    return dataclasses.replace(nothing, **moments)


class _Network(NamedTuple):
    """What theory goes by: logarithms of variances times fans, and where normalization stands."""

    table: Table  # the activation's
    first: float
    inner: float
    outer: float  # with the branch's factor
    readout: np.ndarray  # [2] by fan_in, and by fan_out
    before: bool
    after: bool

    def _block(self, q):
        """Logarithms for second moments ``e^q`` at a block's input.

        What its two activations are given, its output before normalization, and what its gradient
        is multiplied by.
        """
        given, divided = _normalized(q) if self.before else (q, 0.0)
        z = np.interp(given, self.table.t, self.table.log_length) + self.inner
        seen, divided_again = _normalized(z) if self.before else (z, 0.0)
        branch = np.interp(seen, self.table.t, self.table.log_length) + self.outer
        slope = sum(np.interp(t, self.table.t, self.table.log_slope) for t in (given, seen))
        slope += self.inner + self.outer - divided - divided_again
        return given, seen, branch, np.logaddexp(0, slope)

    def lengths(self, log_length, blocks: int, classes: int):
        """``ln q`` of each layer, and of its gradient, ``[L, B]`` each."""
        t, log_gradient = np.empty((2, blocks + 1, len(log_length)))
        here = log_length + self.first
        if self.after:
            here, _ = _normalized(here)
        for block in range(blocks):
            t[block] = here
            _, _, branch, log_gradient[block] = self._block(here)
            here = np.logaddexp(here, branch)
            if self.after:
                here, divided = _normalized(here)
                log_gradient[block] -= divided
        t[-1] = here

        given, divided = _normalized(here) if self.before else (here, 0.0)
        logits = np.interp(given, self.table.t, self.table.log_length) + self.readout[0]
        softmax = softmax_gradient(classes)
        slope = np.interp(given, self.table.t, self.table.log_slope) - divided
        log_gradient[-1] = self.readout[1] + slope
        log_gradient[-1] += np.interp(logits, softmax.t, softmax.log_gradient)
        return np.clip(t, -FAR, FAR), np.cumsum(log_gradient[::-1], axis=0)[::-1]

    def angles(self, log_q, angle):
        """Cosine of each layer's pairs, ``[L, P]``, by their angle at the input."""
        cosines = np.empty((len(log_q), len(angle)))
        cosines[0] = cosine = np.cos(angle)
        for block, q in enumerate(log_q[:-1]):
            given, seen, branch, _ = self._block(q)
            of_branch = np.arccos(cosine)
            for t in (given, seen):
                of_branch = np.interp(of_branch, self.table.angle, self.table.angles_at(t))
            share = 1 / (1 + np.exp(q - branch))  # of the sum, that comes from the branch
            cosine = (1 - share) * cosine + share * np.cos(of_branch)
            cosines[block + 1] = cosine
        return cosines


def _normalized(log_variance):
    """Logarithms: a variance after normalization, and what it was divided by."""
    divided = np.logaddexp(log_variance, _LOG_EPSILON)
    return log_variance - divided, divided
