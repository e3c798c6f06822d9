"""Emergence-promoting rescaling of any start, pair by pair."""

import numpy as np

from initlab.adaptive.adapted import Adapted, checked, full_precision
from initlab.adaptive.parts import parts_of, places, scaled, weights_of
from initlab.data import Batch
from initlab.draws import drawn
from initlab.laws import Fan, steps_from_pivot
from initlab.setting import AnySetting, bounded_number
from initlab.signals import probe

MOST_ALPHA = 100.0


def emergence_promoting(
    setting: AnySetting,
    batch: Batch | None = None,
    *,
    alpha: float = 1.05,
    pivot: float | None = None,
) -> Adapted:
    r"""Emergence-promoting rescaling: matrix ``n`` behind the pivot times :math:`\alpha^n`.

    What the catalogue's ``emergence`` is to He's start, for any start and for residual networks
    too, where a block has two matrices. A relu or linear network without biases or normalization
    keeps its output if as many matrices stand before the pivot as behind it: factors multiply to
    1, and what changes is how fast each matrix learns. A residual network does not keep it: what
    goes round a branch is not rescaled. The gains that are claimed for it are contested.

    Args:
      setting: the start, drawn by whatever initializer it names. A Setting or a Residual.
      batch: what the objective is measured on. By default the digits that ``probe`` takes.
      alpha: factor per matrix, above 1 in the paper: those before the pivot are divided, those
        behind it multiplied. Up to 100; below 1 it is the other way round.
      pivot: the matrix left alone, counted from 1; by default the middle of all. The paper leaves
        open what exactly is counted, hence an argument.

    Returns:
      An :class:`Adapted` whose step n rescales the matrices that are n away from the pivot. Its
      objective is the loss on the batch, which it is not meant to change.

    Raises:
      TypeError: a setting of another kind, no Batch, or a value that is no number.
      ValueError: alpha or a pivot out of range, with the nearest choice.

    Source: Li, George & Silva 2024 (arXiv 2407.19044).

    >>> from initlab import Setting
    >>> rescaled = emergence_promoting(Setting(depth=4, width=16, activation="relu"), alpha=2)
    >>> rescaled.scale[-1].tolist()
    [0.25, 0.5, 1.0, 2.0, 4.0]
    """
    batch = checked("emergence_promoting", setting, batch, ("Setting", "Residual"))
    alpha = bounded_number("alpha", alpha, MOST_ALPHA)
    if alpha == 0:
        raise ValueError(
            f"alpha must be above 0 and at most {MOST_ALPHA:g}, not 0; 1 changes nothing"
        )
    start = parts_of(drawn(full_precision(setting), batch.inputs.shape[1], batch.classes))
    labels = tuple(place.label for place in places(start))
    count = len(labels)
    if pivot is not None:
        pivot = bounded_number("pivot", pivot, count)
    away = np.array(
        [steps_from_pivot(Fan(1, 1, place, count - 1), pivot) for place in range(1, count + 1)]
    )
    farthest = np.abs(away).max()
    reached = np.abs(away) <= np.arange(farthest + 1)[:, None]  # [T + 1, P]
    scale = np.where(reached, alpha ** away.astype(np.float64), 1.0)

    def weights_at(step):
        return weights_of(setting, scaled(start, scale[step]))

    losses = [probe(setting, batch, weights_at(step)).loss for step in range(farthest + 1)]
    return Adapted(
        setting=setting,
        method="emergence_promoting",
        weights=weights_at(farthest),
        matrices=labels,
        scale=scale,
        objective=np.array(losses),
        aim="loss on the batch",
        stopped=f"all matrices are rescaled, by a factor of {alpha:g} from one to the next",
        stages=weights_at,
        batch=batch,
    )
