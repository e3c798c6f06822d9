"""Several hosts at one sweep: each computes and writes its own stretches of the same store.

Processes find each other as JAX has it, by ``jax.distributed.initialize()`` in each of them, before
anything is computed. It needs no arguments where Slurm, Kubernetes or a TPU slice launch them.
"""

from typing import TypeVar

import jax

Item = TypeVar("Item")


def together(name: str) -> None:
    """Wait until all processes have come this far."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def own(items: list[Item]) -> list[Item]:
    """This process's share: every so manieth of a list that all processes have."""
    return items[jax.process_index() :: jax.process_count()]


def first() -> bool:
    """Whether this process is the one that makes what there must be one of."""
    return jax.process_index() == 0
