"""What editors and type checkers are told: scripts as their writers see them, and all of ours."""

import json
import subprocess
import sys
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

import pytest

from initlab.activations import ACTIVATIONS

pytest.importorskip("basedpyright")

ROOT = Path(__file__).parents[1]

RIGHT = """
from typing import Any, assert_type

import jax
import jax.numpy as jnp
import numpy as np
import xarray
from matplotlib.figure import Figure

import initlab

setting = initlab.Setting(depth=5, activation="tanh", gain=0.5)
assert_type(setting.replace(depth=10), initlab.Setting)
assert_type(setting.changes(), dict[str, float | str])
batch = initlab.data.digits(64)
assert_type(batch.classes, int)
own_batch = initlab.Batch([[0.0, 1.0], [1.0, 0.0]], [0, 1])

signals = initlab.probe(setting, batch)
assert_type(signals, initlab.Signals)
assert_type(signals.activation_variance, np.ndarray)
assert_type(signals.first_overflow, int | None)
assert_type(signals.to_dataset(), xarray.Dataset)
diagnosis = initlab.diagnose(signals)
assert_type(diagnosis.healthy, bool)
print(diagnosis.remedy, [failure.mode.upper() for failure in diagnosis.failures])
prediction = initlab.predict(setting, batch)
assert_type(prediction.phase, str | None)
figure: Figure = initlab.plot(signals, prediction, panels=["variance"])

weights = initlab.weights(setting)
assert_type(weights, list[tuple[np.ndarray, np.ndarray]])
initlab.probe(setting, weights=[(0.5 * weight, bias) for weight, bias in weights])
initlab.probe(setting, weights=[(jnp.asarray(weight), bias) for weight, bias in weights])

deep = initlab.Residual(blocks=4, start="fixup")
assert_type(deep.replace(start="plain"), initlab.Residual)
assert_type(initlab.weights(deep).layers, dict[str, Any])
assert_type(initlab.probe(deep).depth, int)

history = initlab.train({"fixup": deep, "dense": setting}, steps=10)
assert_type(history, initlab.History)
assert_type(history.loss, np.ndarray)
assert_type(history.diverged_at, tuple[int | None, ...])
initlab.train([setting, setting.replace(gain=1.0)], initial=[weights, None], steps=5)
initlab.train(setting, steps=5, progress=lambda step, so_far: so_far.loss[-1, -1] > 0.1)
print([sign.mode for sign in initlab.early_warnings(history)[0]])
assert_type(initlab.race({"fixup": deep}, steps=20).history, initlab.History)

fit = initlab.adaptive.lsuv(setting)
initlab.probe(setting, weights=fit.weights)
assert_type(fit.to_dataset(), xarray.Dataset)

found = initlab.sweep(activation="all", depth=[2, 3], gain=np.linspace(0.5, 2, 3), seed=range(2))
assert_type(found, xarray.Dataset)
trained = initlab.train_sweep(gain=[0.5, 1.0], depth=range(2, 4), steps=20)
initlab.plot_map(trained, "loss", x="gain", y="depth").savefig("map.png")


def network(params: list[jax.Array], x: jax.Array) -> jax.Array:
    return jnp.tanh(x @ params[0]) @ params[1]


report = initlab.examine(network, [np.eye(8), np.eye(8, 3)], np.eye(4, 8))
assert_type(report, initlab.Report)
report.raise_if_unhealthy()
print([layer.gain for layer in report.layers])

explorer = initlab.explore(depth=5, activation="tanh")
assert_type(explorer.signals, initlab.Signals)
initlab.register_activation("cubed", lambda z: z**3, law="z^3")
assert_type([entry["name"] for entry in initlab.activations()], list[str])
"""

#: each line is wrong, and for what pyright calls it
WRONG = {
    'initlab.Setting(depth="fifty")': "reportArgumentType",
    "initlab.Setting(dpeth=50)": "reportCallIssue",
    "initlab.Setting().depth = 3": "reportAttributeAccessIssue",
    "initlab.Setting().dpeth": "reportAttributeAccessIssue",
    'initlab.Setting() + "deeper"': "reportOperatorIssue",
    "initlab.probe(3)": "reportArgumentType",
    "initlab.probe(initlab.Setting(), [1, 2])": "reportArgumentType",
    "initlab.probe(initlab.Setting(), weights=3)": "reportArgumentType",
    "initlab.probe(initlab.Setting()).activation_varianse": "reportAttributeAccessIssue",
    "initlab.diagnose(initlab.Setting())": "reportArgumentType",
    "initlab.plot(initlab.Setting())": "reportArgumentType",
    'initlab.Residual(blocks="many")': "reportArgumentType",
    "initlab.train([3])": "reportArgumentType",
    "initlab.train(initlab.Setting(), step=3)": "reportCallIssue",
    'initlab.examine("network", [], [])': "reportArgumentType",
    "initlab.sweep(measures=3)": "reportArgumentType",
    "initlab.explore(panels=3)": "reportArgumentType",
    "initlab.prob": "reportAttributeAccessIssue",
}


def check(folder: Path, *arguments: str) -> list[dict]:
    """What the type checker says of a folder, in errors and warnings."""
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    return json.loads(run.stdout)["generalDiagnostics"]


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, list[tuple[int, str, str]]]:
    """Line, rule and message by script, in the rules that pyright has by default."""
    folder = tmp_path_factory.mktemp("scripts")
    options = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(options))
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text("\n".join(["import initlab", *WRONG]))
    found = {"right.py": [], "wrong.py": []}
    for one in check(folder, "--pythonpath", sys.executable):
        place = one["range"]["start"]["line"], one.get("rule", ""), one["message"]
        found[Path(one["file"]).name].append(place)
    return found


def test_a_script_that_is_right_is_told_the_true_types(said):
    assert said["right.py"] == []


def test_wrong_uses_are_named_where_they_stand(said):
    found = {line: rule for line, rule, _ in said["wrong.py"] if rule != "reportUnusedExpression"}
    lines = dict(enumerate(WRONG.values(), start=1))
    assert found == lines


def holds(value: object, kind: object) -> bool:
    """Whether a value is of a type, as far as a running program can see."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(holds(value, one) for one in arguments)
    if origin is dict:
        pairs = value.items() if isinstance(value, dict) else ()
        return isinstance(value, dict) and all(
            holds(key, arguments[0]) and holds(one, arguments[1]) for key, one in pairs
        )
    if origin is tuple and arguments[-1] is not ...:
        return isinstance(value, tuple) and all(map(holds, value, arguments))
    if origin in (list, tuple):
        return isinstance(value, origin) and all(holds(one, arguments[0]) for one in value)
    return isinstance(value, int | float if kind is float else kind)


@pytest.mark.slow  # it compiles programs of many kinds
def test_what_the_script_is_told_is_so_when_it_runs(tmp_path, monkeypatch):
    told = []

    def asserted(value, kind):
        told.append(kind)
        assert holds(value, kind), f"{value!r:.200} is no {kind}"

    monkeypatch.setattr(typing, "assert_type", asserted)
    monkeypatch.chdir(tmp_path)
    try:
        exec(RIGHT, {"__name__": "script"})
    finally:
        ACTIVATIONS.remove("cubed")
    assert len(told) == RIGHT.count("assert_type(")


def test_the_package_says_that_it_is_typed():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert (ROOT / "initlab" / "py.typed").is_file()
    assert "py.typed" in data["tool"]["setuptools"]["package-data"]["initlab"]


@pytest.mark.slow  # half a minute on two cores; `make types` runs with every change
def test_all_of_the_package_is_clean():
    assert check(ROOT) == []
