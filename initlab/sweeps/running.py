"""Points computed piece by piece on all devices that this process has."""

import functools
import itertools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from initlab.activations import branches
from initlab.data import Batch
from initlab.draws import Scales, draws_for, scales_for
from initlab.initializers import INITIALIZERS
from initlab.setting import Setting
from initlab.signals import probe
from initlab.sweeps import kernel, points
from initlab.sweeps.kernel import Own, Program, Shared

_AXIS = "points"  # of the mesh of devices
#: of a layer's values of a piece, where caches decide: a core's second-level cache holds so many
_CACHED = 2**20
#: share of a device's memory that a piece may fill
_SHARE = 0.25
_LAYERS = 32  # room is made for layers in such steps, so that one program serves many depths
_COPIES = 16  # of a layer's values that a piece needs at once, beside one for every layer
#: points that are computed and written together, unless a device takes more at once
_CHUNK = 1024


@functools.lru_cache(maxsize=32)
def _compiled(program: Program, mesh: Mesh):
    """The kernel, each device with points of its own; shared draws are on all of them."""
    own = Spec(_AXIS)
    spread = jax.shard_map(
        functools.partial(kernel.run, program),
        mesh=mesh,
        in_specs=(own, Spec(), own),
        out_specs=(own, own),
        check_vma=False,
    )
    return jax.jit(spread, donate_argnums=0)


def order(columns: dict[str, np.ndarray]) -> np.ndarray:
    """The order in which points are computed: those next to each other that share most.

    Args:
      columns: fields of ``Setting`` at all points.
    """
    names, place = np.unique(columns["initializer"], return_inverse=True)
    draws = list(dict.fromkeys(INITIALIZERS[name].draw for name in INITIALIZERS))
    draw = np.array([draws.index(INITIALIZERS[name].draw) for name in names])[place]
    fitted = np.array([INITIALIZERS[name].fitted_by is not None for name in names])[place]
    numbers = [np.unique(columns[name], return_inverse=True)[1] for name in ("dtype", "activation")]
    keys = (columns["width"], numbers[0], fitted, draw, columns["seed"])
    # the deepest first: what is drawn for it serves all others
    keys += (-columns["depth"].astype(int), numbers[1])
    return np.lexsort(keys[::-1])


def _alike(setting: Setting):
    """What points of one piece have in common; those that are fitted are each by itself."""
    entry = INITIALIZERS[setting.initializer]
    own = setting if entry.fitted_by else None
    return (
        setting.width,
        setting.dtype,
        entry.draw,
        setting.seed,
        setting.depth,
        (
            setting.activation,
            own,
        ),
    )


@functools.lru_cache(maxsize=1024)
def _unit_scales(entry, depth: int, width: int, fan_in: int, fan_out: int) -> Scales:
    """Scales at gain 1; ``entry`` tells apart what bears one name in turn."""
    return scales_for(Setting(depth, width, initializer=entry.name), fan_in, fan_out)


class Runner:
    """Computes measures of settings on a batch.

    Args:
      batch: examples and labels.
      names: of measures by layer.
      deepest: the largest depth that will come.
      chunk: the most points to be computed at once; None leaves it to what devices have.
    """

    def __init__(self, batch: Batch, names: tuple[str, ...], deepest: int, chunk: int | None):
        self._batch, self._names, self._deepest, self._chunk = batch, names, deepest, chunk
        self._room = -(-deepest // _LAYERS) * _LAYERS  # for so many hidden layers
        self._mesh = Mesh(np.array(jax.local_devices()), (_AXIS,))
        self._scratch: tuple[Any, Any] = (None, None)  # what it is for, and the array
        self._shared: tuple[Any, Any] = (None, None)

    def chunk(self, width: int) -> int:
        """How many points are computed and written together."""
        return self._chunk or max(_CHUNK, self.piece(width))

    def piece(self, width: int) -> int:
        """The most points that are computed at once on all devices together."""
        devices = self._mesh.devices.ravel()
        layer = 4 * len(self._batch) * width  # bytes of one point's values
        statistics = devices[0].memory_stats() or {}
        if "bytes_limit" in statistics:
            most = int(_SHARE * statistics["bytes_limit"] / (layer * (self._room + _COPIES)))
        else:
            most = _CACHED // layer
        most = _power_of_four(most // 4 + 1) * len(devices)
        return most if self._chunk is None else max(1, min(most, self._chunk))

    def measure(self, settings: Iterable[Setting]) -> dict[str, np.ndarray]:
        """Arrays ``[points, …]`` by name, in the order of the settings.

        It is fast where neighbours differ by initializer, gain and bias alone; see :func:`order`.
        """
        settings = list(settings)
        found = points.empty(self._names, len(settings), self._deepest)
        launched, start = [], 0
        for _, group in itertools.groupby(settings, _alike):
            group = list(group)
            for piece in _cut(group, self.piece(group[0].width)):
                launched.append((start, piece, self._launch(piece)))
                start += len(piece)
        for start, piece, launch in launched:
            for name, values in launch().items():
                where = slice(start, start + len(piece)), *map(slice, values.shape[1:])
                found[name][where] = values
        return found

    def _launch(self, piece: list[Setting]):
        """Set going what computes a piece; returns a function that waits for the result."""
        first = piece[0]
        if first.fitted_by:
            signals = [probe(setting, self._batch) for setting in piece]
            return lambda: points.of_signals(self._names, signals[0])
        activations, chosen = branches(first.activation)
        measured = [name for name in self._names if name != "weight_norm"]
        names = tuple(dict.fromkeys([*measured, "gradient_second_moment"]))
        program = Program(activations, jnp.dtype(first.dtype), names)
        shared, norm = self._share(first, activations[chosen].flat_range, chosen)
        count, devices = len(piece), self._mesh.size
        # a power of four for each device, so that few programs serve pieces of all sizes
        padded = devices * _power_of_four(-(-count // devices))
        own = self._own(piece + [piece[-1]] * (padded - count))
        values = self._take_scratch(padded, first)
        values, out = _compiled(program, self._mesh)(values, shared, own)
        self._scratch = (values.shape, values.dtype), values
        weight_norm = own.weight[:count] * norm

        def wait():
            arrays = {name: array[:count] for name, array in jax.device_get(out).items()}
            arrays["weight_norm"] = weight_norm
            return points.told(self._names, arrays, first.depth)

        return wait

    def _own(self, piece: list[Setting]) -> Own:
        fans = self._batch.inputs.shape[1], self._batch.classes
        layers = self._room + 1
        weight = np.empty((len(piece), layers), np.float32)
        bias = np.empty((len(piece), layers, 2), np.float32)
        for place, setting in enumerate(piece):
            entry = INITIALIZERS[setting.initializer]
            scales = _unit_scales(entry, setting.depth, setting.width, *fans)
            weight[place] = setting.gain * scales.weight[:layers].astype(np.float64)
            bias[place] = scales.bias[:layers]
            bias[place, : setting.depth + 1, 0] = setting.bias_std
        return Own(weight, bias)

    def _share(self, setting: Setting, flat_range, chosen: int) -> tuple[Shared, np.ndarray]:
        """What a piece shares, on all devices, and the norms of what was drawn, by layer."""
        fans = self._batch.inputs.shape[1], self._batch.classes
        key = _alike(setting)[:-1]
        if self._shared[0] != key:
            draws = draws_for(setting, *fans)
            norm = np.array(draws.norm)
            norm[setting.depth] = norm[-1]
            parts = draws.first, draws.hidden, draws.readout, draws.bias, draws.readout_bias
            placed = jax.device_put(parts, NamedSharding(self._mesh, Spec()))
            self._shared = key, (placed, norm[: self._room + 1])
        (first, hidden, readout, bias, readout_bias), norm = self._shared[1]
        shared = Shared(
            first,
            hidden,
            readout,
            bias,
            readout_bias,
            np.int32(setting.depth),
            np.int32(chosen),
            np.asarray(flat_range, np.float32),
            self._batch.inputs,
            self._batch.labels,
        )
        return shared, norm

    def _take_scratch(self, count: int, setting: Setting):
        shape = self._room * count, len(self._batch), setting.width
        key = shape, jnp.dtype(setting.dtype)
        if self._scratch[0] == key:
            return self._scratch[1]
        self._scratch = (None, None)  # let go of the old before the new is made
        return jnp.zeros(*key, device=NamedSharding(self._mesh, Spec(_AXIS)))


def _power_of_four(least: int) -> int:
    return 4 ** (((least - 1).bit_length() + 1) // 2)


def _cut(group: list, size: int):
    for start in range(0, len(group), size):
        yield group[start : start + size]
