"""Sweeps that are kept on a disk: broken off, resumed, extended, and refused."""

import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import initlab.sweeps.store as store_module
from initlab import __main__ as command
from initlab import data, sweep
from initlab.sweeps import checks
from initlab.sweeps.command import values_of

BATCH = data.digits(24)
AXES = {"depth": [1, 4], "activation": ["tanh", "relu"], "gain": [0.5, 1.0, 1.5]}
FIXED = {"width": 16, "measures": ["activation_variance", "weight_norm"], "chunk": 4}


def swept(store=None, **changes):
    return sweep(BATCH, store=store, **AXES | FIXED | changes)


@pytest.fixture
def computed(monkeypatch):
    """How many points each call computed."""
    counts = []
    measure = store_module.Store.write

    def write(kept, stretch, found):
        counts.append(len(stretch.indices))
        measure(kept, stretch, found)

    monkeypatch.setattr("initlab.sweeps.store.Store.write", write)
    return counts


def test_a_store_holds_what_memory_holds(tmp_path, computed):
    expected = swept()
    assert swept(tmp_path / "map.zarr").identical(expected)
    assert sum(computed) == 12
    assert swept(tmp_path / "map.zarr").identical(expected)
    assert sum(computed) == 12  # nothing more


def test_zarr_reads_what_is_there(tmp_path):
    import zarr

    swept(tmp_path / "map.zarr")
    group = zarr.open_group(tmp_path / "map.zarr", mode="r")
    assert group["segment-0000/loss"].shape == (12,)
    assert (group["segment-0000/done"][:] == 1).all()


def test_more_values_of_an_axis_compute_only_what_is_missing(tmp_path, computed):
    store = tmp_path / "map.zarr"
    first = swept(store, seed=range(2))
    assert sum(computed) == 24
    more = sweep(BATCH, store=store, seed=range(3), **AXES | FIXED | {"depth": [4, 1, 6]})
    assert sum(computed) == 3 * 3 * 2 * 3
    kept = more.sel(seed=[0, 1], depth=[1, 4], layer=slice(0, 4)).activation_variance
    assert kept.equals(first.activation_variance.transpose(*kept.dims))
    # in pieces of other sizes, products may add in another order
    expected = swept(seed=range(3), depth=[4, 1, 6]).transpose("seed", "depth", ...)
    for name in expected.data_vars:
        assert np.allclose(more[name], expected[name], rtol=1e-5, atol=1e-30, equal_nan=True), name
    # fewer are read, and none is computed
    fewer = more.sel(seed=[1], depth=[1, 4]).isel(layer=slice(0, 5), weight_layer=slice(0, 5))
    fewer = fewer.transpose("depth", "activation", "gain", "seed", ...)
    assert swept(store, seed=[1]).identical(fewer)
    assert sum(computed) == 54


def test_what_was_broken_off_goes_on_where_it_was(tmp_path, computed, monkeypatch):
    """Broken off at each write there is, by an error in the middle of it."""
    store, expected = tmp_path / "map.zarr", swept()

    class Stopped(Exception):
        pass

    from zarr.storage import LocalStore

    put, left = LocalStore.set, [0]

    async def set_some(self, key, value, *more):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        await put(self, key, value, *more)

    writes = 0
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", set_some)
        while True:
            shutil.rmtree(store, ignore_errors=True)
            left[0] = writes
            try:
                swept(store)
                break
            except Stopped:
                left[0] = 10**6
                assert swept(store).identical(expected), writes
                writes += 1
    assert writes > 20  # arrays, attributes, and three stretches of six arrays each


_SWEEP = """
import sys
import initlab
found = initlab.sweep(
    initlab.data.digits(24), store=sys.argv[1], width=16, depth=range(1, 9),
    activation=["tanh", "relu"], gain=[0.5, 1.0, 1.5], seed=range(int(sys.argv[2])), chunk=6,
    progress=False, measures=["activation_variance", "gradient_second_moment"],
)
"""


def whole(store, seeds: int):
    """The sweep above, in this process."""
    return sweep(
        BATCH,
        store=store,
        width=16,
        depth=range(1, 9),
        activation=["tanh", "relu"],
        gain=[0.5, 1.0, 1.5],
        seed=range(seeds),
        chunk=6,
        measures=["activation_variance", "gradient_second_moment"],
    )


def kill_and_resume(tmp_path, kills: int, seeds: int):
    """Kill a sweep so often, at random moments, and let it end; nothing is computed twice."""
    chance, store = random.Random(kills), tmp_path / "map.zarr"
    marks = store / "segment-0000" / "done" / "c"

    def done():
        return {mark.name: mark.stat().st_mtime_ns for mark in marks.glob("*[0-9]")}

    for kill in range(kills):
        before = len(done())
        process = subprocess.Popen([sys.executable, "-c", _SWEEP, str(store), str(seeds)])
        # the first one while the store comes into being
        while not (len(done()) > before if kill else store.exists()):
            assert process.poll() is None, "the sweep ended before it could be killed"
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the sweep ended before it could be killed"
    written = done()
    assert 0 < len(written) < seeds * 8
    found = whole(store, seeds)
    assert written.items() <= done().items()
    return found


def test_a_sweep_that_is_killed_and_resumed_is_the_one_that_was_not(tmp_path):
    expected = whole(None, seeds=12)
    assert kill_and_resume(tmp_path, kills=2, seeds=12).identical(expected)


@pytest.mark.slow
def test_killed_twenty_times(tmp_path):
    expected = whole(None, seeds=100)
    assert kill_and_resume(tmp_path, kills=20, seeds=100).identical(expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 8}, "has the fixed fields .*'width': 16"),
        ({"seed": [0]}, "has the axes .* and this sweep .*'seed'"),
        ({"measures": ["dead_fraction"]}, "has the measures .* and this sweep .*dead_fraction"),
    ],
)
def test_a_store_of_another_sweep_is_refused(tmp_path, change, words):
    store = tmp_path / "map.zarr"
    swept(store)
    with pytest.raises(ValueError, match=words):
        swept(store, **change)
    with pytest.raises(ValueError, match="another batch"):
        sweep(data.digits(25), store=store, **AXES | FIXED)


def test_a_store_of_another_version_is_refused(tmp_path, monkeypatch):
    store = tmp_path / "map.zarr"
    swept(store)
    with monkeypatch.context() as patch:
        patch.setattr(checks, "FORMAT", 2)
        with pytest.raises(ValueError, match="in format 1 of stores, and this initlab writes 2"):
            swept(store)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    with pytest.raises(ValueError, match=r"was written by initlab .*, and this is 99"):
        swept(store)


def test_places_that_are_no_store_are_refused(tmp_path):
    import zarr

    with pytest.raises(OSError, match="the store cannot be there"):  # too long a name
        swept(tmp_path / ("x" * 1000))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="a store is a folder, and this is a file"):
        swept(tmp_path / "file")
    with pytest.raises(ValueError, match="a folder of other things"):
        swept(tmp_path)
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(ValueError, match="a Zarr group, but no store of a sweep"):
        swept(tmp_path / "other.zarr")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    # whoever runs tests as root may write everywhere
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="the store cannot be written"):
        swept(tmp_path / "map.zarr")


def test_a_result_that_the_disk_has_no_room_for_is_told_in_numbers(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="100,000 points need up to 824 MB, and 100 MB are free"):
        sweep(BATCH, store=tmp_path / "map.zarr", depth=128, seed=range(100), gain=range(1000))
    assert not (tmp_path / "map.zarr").exists()


def test_a_device_that_fails_loses_nothing(tmp_path, monkeypatch):
    import jax

    from initlab.sweeps.running import Runner

    store, measure = tmp_path / "map.zarr", Runner.measure

    def fail_once(runner, settings):
        if settings[0].gain == 1.5 or len(list(store.glob("segment-0000/done/c/*"))) == 2:
            raise jax.errors.JaxRuntimeError("INTERNAL: device 0 is gone")
        return measure(runner, settings)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "measure", fail_once)
        with pytest.raises(
            RuntimeError, match=r"after .* of 12 points; what was written before is"
        ):
            swept(store)
    assert swept(store).identical(swept())


def test_zarr_is_asked_for_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match="a store needs Zarr: pip install"):
        swept(tmp_path / "map.zarr")


def test_the_command_line(tmp_path, capsys):
    store = str(tmp_path / "map.zarr")
    line = ["sweep", "--depth", "1:7:3", "--activation", "tanh,relu", "--gain", "0.5:1.5:0.5"]
    line += ["--seeds", "2", "--width", "16", "--examples", "24", "--store", store]
    assert command.main([*line, "--measures", "weight_norm"]) == 0
    printed = capsys.readouterr()
    assert "(depth: 3, activation: 2, gain: 3, seed: 2" in printed.out.replace("\n", "")
    assert "36/36" in printed.err
    axes = {"depth": [1, 4, 7], "activation": ["tanh", "relu"], "gain": [0.5, 1.0, 1.5]}
    found = sweep(BATCH, store=store, width=16, seed=range(2), measures="weight_norm", **axes)
    expected = sweep(BATCH, width=16, seed=range(2), measures="weight_norm", **axes)
    assert found.identical(expected)
    assert command.main([*line, "--measures", "los"]) == 2
    assert "unknown measure 'los'" in capsys.readouterr().err
    assert command.main(["sweep", "--depth", "1:x", "--store", store]) == 2
    assert "--depth takes int values" in capsys.readouterr().err
    assert command.main(["sweep", "--seed", "1", "--seeds", "2", "--store", store]) == 2
    assert "--seed or --seeds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("depth", "1:100:5", list(range(1, 97, 5))),
        ("depth", "3:5", [3, 4, 5]),
        ("gain", "0:0.3:0.1", [0, 0.1, 0.2, 0.3]),
        ("bias_std", "0.5", 0.5),
        ("initializer", "all", "all"),
        ("dtype", "float32,bfloat16", ["float32", "bfloat16"]),
    ],
)
def test_what_options_mean(name, text, values):
    found = values_of(name, text)
    assert found == pytest.approx(values) if name == "gain" else found == values
