"""Sweeps over several devices, and over several processes: the same numbers."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from initlab import data, sweep

_AXES = {
    "depth": [1, 4],
    "activation": ["tanh", "relu"],
    "seed": [0, 1],
    "gain": [0.5, 1.0, 1.5],
    "width": 16,
}
_START = f"""
import sys
import jax
import numpy as np
jax.config.update("jax_platforms", "cpu")
store, out, port, place = sys.argv[1:]
if port != "0":
    jax.distributed.initialize(f"127.0.0.1:{{port}}", 2, int(place))
import initlab
found = initlab.sweep(
    initlab.data.digits(24), store=store or None, progress=False, chunk=3, **{_AXES!r}
)
np.savez(out, devices=jax.local_device_count(), processes=jax.process_count(),
         **{{name: variable.values for name, variable in found.data_vars.items()}})
"""


def start(store, out, port=0, place=0, devices=1):
    """A process that sweeps and writes what it found."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-c", _START, str(store), str(out), str(port), str(place)],
        env=os.environ | {"XLA_FLAGS": flags},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process):
    errors = process.communicate(timeout=240)[1]
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def expected():
    """What one process with one device finds."""
    return sweep(data.digits(24), chunk=3, **_AXES)


def test_two_devices_share_the_points_of_a_piece(tmp_path, expected):
    wait(start("", tmp_path / "out.npz", devices=2))
    found = np.load(tmp_path / "out.npz")
    assert found["devices"] == 2
    for name, variable in expected.data_vars.items():
        # each device has half as many rows, in which XLA may add products in another order
        room = {"rtol": 1e-5, "atol": 1e-6 if name == "input_similarity" else 0}
        assert np.allclose(found[name], variable, equal_nan=True, **room), name


def test_two_processes_share_the_stretches_of_a_store(tmp_path, expected):
    """They compute the same pieces as one process does, so that no bit differs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = tmp_path / "map.zarr"
    processes = [start(store, tmp_path / f"{place}.npz", port, place) for place in range(2)]
    for process in processes:
        wait(process)
    for place in range(2):
        found = np.load(tmp_path / f"{place}.npz")
        assert found["processes"] == 2
        for name, variable in expected.data_vars.items():
            assert np.array_equal(found[name], variable, equal_nan=True), name


def test_several_processes_need_a_store(monkeypatch):
    monkeypatch.setattr("jax.process_count", lambda: 2)
    with pytest.raises(RuntimeError, match="2 processes share one sweep through a store"):
        sweep(data.digits(24), **_AXES)
