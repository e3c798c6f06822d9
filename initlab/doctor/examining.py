"""Any JAX function of parameters and a batch, examined: what its start does at every layer."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.checking import short
from initlab.data import Batch
from initlab.doctor import measuring
from initlab.doctor.layers import layers_of
from initlab.doctor.report import Report
from initlab.doctor.sites import Known, Reading, read
from initlab.doctor.trees import (
    Loss,
    Tree,
    is_floating,
    no_parameters,
    not_finite,
    parameters,
    paths_of,
    said,
    values_of,
    with_values,
)

_DIRECTIONS = 0  # the seed of what an output is pulled along, where no loss is given
_OF_TRACING = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)


def examine(
    function: Callable[..., Any], params: Tree, batch: Tree, loss: Loss | None = None
) -> Report:
    """Measure, and judge, every layer of a network: one forward and one backward pass.

    A layer here is a product or convolution of a parameter with something that depends on the
    batch. They are found in the program that JAX traces of ``function``: nothing is registered,
    and no library is asked.

    Args:
      function: ``function(params, batch)`` gives the network's output, an array, or a loss, a
        number. It is called once, to be traced.
      params: a tree of arrays. Only what is of a floating-point type is a parameter.
      batch: a tree of arrays, whatever ``function`` takes.
      loss: ``loss(output, batch)`` gives a number, of which gradients are taken. By default the
        output itself, if it is one number; otherwise its product with a random normal direction
        for each example, which no label is needed for.

    Returns:
      A :class:`Report`. Where no gradient can be taken, as through a ``while`` loop, its
      ``notes`` say so, and what is measured of the backward pass is NaN.

    Raises:
      TypeError: ``function`` is none, or cannot be traced, or gives no array; ``params`` hold no
        floating-point array.
      ValueError: ``function`` fails on this batch, no layer was found in it, or a loss is no single
        number.

    Source: the thresholds are those of :mod:`initlab.failures`.

    >>> def network(weights, x):
    ...     return jnp.tanh(x @ weights[0]) @ weights[1]
    >>> report = examine(network, [np.eye(8), np.zeros((8, 3))], np.eye(4, 8))
    >>> report.healthy, report.layers[1].name
    (True, '1')
    """
    return Examination(function, params, batch, loss).report(params)


class Examination:
    """A network's program, read and compiled once, to measure any parameters of the same shapes."""

    def __init__(
        self,
        function: Callable[..., Any],
        params: Tree,
        batch: Tree,
        loss: Loss | None,
    ):
        if not callable(function):
            raise TypeError(f"examine takes a function of params and batch, not {short(function)}")
        if not (loss is None or callable(loss)):
            raise TypeError(f"loss must be a function of output and batch, not {short(loss)}")
        self.paths, leaves, rebuild = parameters(params)
        batch_leaves, batch_tree = jax.tree.flatten(batch)
        self._batch = [_array(leaf) for leaf in batch_leaves]
        self._notes = no_parameters(params)
        self._notes += not_finite("the batch's", paths_of(batch), self._batch)
        self.is_loss: bool = loss is not None

        def flat(leaves, batch_leaves):
            given = jax.tree.unflatten(batch_tree, batch_leaves)
            output, others = _one_array(_called(function, rebuild(leaves), given))
            if others:
                self._notes.append(f"the first of {others + 1} outputs is taken")
            self.is_loss |= not output.shape
            return _pulled(output, given, loss)

        try:
            self._traced = jax.make_jaxpr(flat)(leaves, self._batch)
        except _OF_TRACING as error:
            raise TypeError(
                "examine needs a function that JAX can trace, as jax.jit does; here tracing ended"
                f" in {said(error)}"
            ) from error
        if self._traced.effects:
            effects = ", ".join(sorted({type(effect).__name__ for effect in self._traced.effects}))
            self._notes.append(f"side effects ({effects}) happen in every examination")
        self.reading: Reading = Reading()
        known = [Known(frozenset([place])) for place in range(len(leaves))]
        known += [Known(data=True)] * len(self._batch)
        _, self._plan = read(self._traced.jaxpr, known, self.reading)
        self._notes += [f"{name} is not looked into" for name in sorted(self.reading.hidden)]
        self._notes += [
            f"the batch chooses parts of {self.paths[place]}, which are not looked into"
            for place in sorted(self.reading.chosen)
            if leaves[place].ndim > 2  # a table of which rows are looked up is no stack of layers
        ]
        if not self.reading.sites:
            raise ValueError(
                "no product or convolution of a parameter with the batch was found in function;"
                f" of {len(leaves)} parameters the first are {', '.join(self.paths[:5])}"
            )
        self._forward = jax.jit(self._run)
        self._both = jax.jit(jax.value_and_grad(self._run, 1, has_aux=True))

    def _run(self, leaves, slots):
        traced = self._traced
        (value,), found = measuring.run(
            traced.jaxpr, traced.consts, self._plan, self.reading, [*leaves, *self._batch], slots
        )
        return value, found

    def memory(self, params: Tree) -> int:
        """Bytes that an examination needs beside the parameters, by XLA's account, or 0."""
        lowered = self._both.lower(parameters(params)[1], measuring.slots(self.reading))
        account = lowered.compile().memory_analysis()
        return account.temp_size_in_bytes if account is not None else 0

    def values(self, params: Tree) -> list[np.ndarray]:
        """The parameters, copied."""
        return values_of(params)

    def with_values(self, params: Tree, values: list[np.ndarray]) -> Tree:
        """The same tree with other parameters."""
        return with_values(params, values)

    def report(self, params: Tree) -> Report:
        """What :func:`examine` returns, of these parameters."""
        _, leaves, _ = parameters(params)
        notes = not_finite("parameter", self.paths, leaves) + self._notes
        slots = measuring.slots(self.reading)
        try:
            (value, found), back = jax.device_get(self._both(leaves, slots))
        except (ValueError, TypeError, NotImplementedError) as error:
            notes.append(f"no gradient could be taken: {said(error)}")
            value, found = jax.device_get(self._forward(leaves, slots))
            back = jax.tree.map(lambda slot: np.full(slot.shape, np.nan), slots)
        return Report(
            layers=tuple(layers_of(self.reading, self.paths, found, back)),
            loss=float(value) if self.is_loss else math.nan,
            notes=tuple(notes),
            examination=self,
            params=params,
        )


def _array(leaf):
    if isinstance(leaf, Batch):
        raise TypeError(
            "batch must be a tree of arrays, as function takes it, not a Batch; the nearest is"
            " (batch.inputs, batch.labels)"
        )
    try:
        return jnp.asarray(leaf)
    except (TypeError, ValueError) as error:
        kind = type(leaf).__name__
        raise TypeError(f"batch must be a tree of arrays, not of {kind}: {short(leaf)}") from error


def _called(function, params, batch):
    """The network's output; where it fails, an error that says with what it was called."""
    try:
        return function(params, batch)
    except _OF_TRACING:
        raise
    except Exception as error:  # of whatever library the network is written in
        arrays = [f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(batch)]
        raise ValueError(
            f"function(params, batch) fails on a batch of {', '.join(arrays) or 'no arrays'} with"
            f" {said(error)}"
        ) from error


def _one_array(output):
    """The array that is pulled at, and how many others there are."""
    arrays = [leaf for leaf in jax.tree.leaves(output) if is_floating(leaf)]
    if not arrays:
        raise TypeError(
            "function must give an array of floating-point numbers, or a loss, not"
            f" {type(output).__name__}"
        )
    return arrays[0], len(arrays) - 1


def _pulled(output, batch, loss):
    """The number that gradients are taken of."""
    if loss is not None:
        value = jnp.asarray(loss(output, batch))
        if value.shape:
            raise ValueError(
                f"loss must give one number, not an array of shape {value.shape}; the nearest is"
                " its mean"
            )
        return value
    if not output.shape:
        return output
    return jnp.sum(output.astype(jnp.float32) * direction(output.shape)) / output.shape[0]


def direction(shape: tuple[int, ...]) -> np.ndarray:
    """What an output is pulled along, where no loss is given: one for each example."""
    return np.random.default_rng(_DIRECTIONS).standard_normal(shape).astype(np.float32)
