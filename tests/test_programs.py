"""Compiled programs that are kept for the next kernel."""

import os
import subprocess
import sys

from tools import programs

_CODE = "import jax; print(jax.jit(lambda x: x * 3)(2))"


def run(environment) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    return subprocess.run(
        [sys.executable, "-c", _CODE],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_program_that_is_half_written_is_compiled_again_in_silence(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:something else")
    environment = programs.kept_in(tmp_path)
    assert run(environment).stdout == "6\n"
    kept = [path for path in tmp_path.iterdir() if path.name.endswith("-cache")]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])

    again = run(environment)
    assert (again.stdout, again.stderr) == ("6\n", "")
    loud = run(environment | {"PYTHONWARNINGS": "default"})
    assert "Error reading persistent compilation cache entry" in loud.stderr
    assert environment["PYTHONWARNINGS"].startswith("ignore:something else,")


def test_a_place_that_was_chosen_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    assert programs.kept_in(tmp_path) == {}
