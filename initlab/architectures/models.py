"""How the networks of this package are trained; see ``initlab.models``."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.architectures.chain import Chain, ChainSetting, answer, observed_answer
from initlab.data import Batch
from initlab.models import Model, model_of, norm
from initlab.network import measure
from initlab.parameters import Weights
from initlab.signals import signals_of


@dataclasses.dataclass(frozen=True)
class _Chained(Model):
    chain: Chain
    depth: int
    fixed: tuple[str, ...]  # names of layers' arrays

    def logits(
        self, knobs: Any, parameters: Any, inputs: jax.Array, masks: Any = None
    ) -> jax.Array:
        """See :class:`Model`."""
        return answer(self.chain, knobs, self.depth, parameters, inputs)

    def trained(self, updates: Any) -> Any:
        """See :class:`Model`."""
        still = {name: jnp.zeros_like(updates.layers[name]) for name in self.fixed}
        return updates._replace(layers=updates.layers | still)

    def norms(self, parameters: Any) -> jax.Array:
        """See :class:`Model`."""
        first, layers, readout = parameters
        if self.chain.shared:
            hidden = jnp.full(self.depth, norm(layers))
        else:
            hidden = jnp.append(norm(first), jax.vmap(norm)(layers))
        return jnp.append(hidden, norm(readout))

    def first_not_finite(self, knobs: Any, parameters: Any, inputs: jax.Array) -> int:
        """See :class:`Model`."""

        def finite(state):
            return jnp.isfinite(self.chain.activation(knobs, state)).all()

        _, first, others = observed_answer(
            self.chain, knobs, self.depth, parameters, inputs, finite
        )
        return 1 + int(np.argmin(np.array([first, *others, False])))

    def measure(
        self, settings: Sequence[Any], parameters: Any, batch: Batch
    ) -> dict[str, np.ndarray]:
        """See :class:`Model`. Each start goes through the program that ``probe`` runs."""
        few = settings[0].examples
        probed = Batch(batch.inputs[:few], batch.labels[:few], batch.classes)
        signals = [
            self._signals(setting, probed, jax.tree.map(operator.itemgetter(index), parameters))
            for index, setting in enumerate(settings)
        ]
        names = "activation_variance", "gradient_second_moment", "distinct_neurons"
        return {name: np.stack([getattr(one, name) for one in signals]) for name in names}

    @staticmethod
    def _signals(setting: ChainSetting, batch: Batch, weights: Weights):
        """What ``probe`` returns; that these weights fit was checked when training began."""
        return signals_of(setting, batch, measure(setting, batch, weights))


@model_of.register
def _chained(setting: ChainSetting, features: int, classes: int):
    chain = setting.chain(features, classes)
    return _Chained(chain, setting.depth, setting.fixed), setting.knobs()
