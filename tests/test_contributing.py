"""CONTRIBUTING.md, followed to the letter in a copy: what it says one gets is what one gets."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contributed import ACTIVATION, INITIALIZER

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COPIED = ("initlab", "tests", "tools", "pyproject.toml", "README.md")
_STEP = re.compile(
    r"^In `(?P<file>[\w./]+)`, (?P<place>behind|at the end of|below) `(?P<name>\w+)`[^\n]*\n\n"
    r"(?:<!-- fmt: off -->\n)?```python\n(?P<block>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def _line_after(source: str, place: str, name: str) -> int:
    """How many lines of a file stand before the place that the guide names."""
    ends = []
    for node in ast.walk(ast.parse(source)):
        match place, node:
            case "behind", ast.Call(args=[ast.Constant(value=value), *_]) if value == name:
                ends.append(node.end_lineno)
            case "at the end of", ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                ends.append(node.value.end_lineno - 1)
            case "below", (ast.AugAssign(target=ast.Name(id=target))) if target == name:
                ends.append(node.end_lineno)
    (end,) = ends
    return end


@pytest.fixture(scope="module")
def contributed(tmp_path_factory):
    """A copy of the repository, as far as it is needed, with every block put where it belongs."""
    copy = tmp_path_factory.mktemp("contributed")
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy)
    for step in _STEP.finditer(GUIDE):
        path = copy / step["file"]
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        end = _line_after("".join(lines), step["place"], step["name"])
        lines.insert(end, step["block"])
        path.write_text("".join(lines), encoding="utf-8")
    return copy


def run(copy: Path, *arguments: str) -> str:
    """What a fresh Python says in the copy."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_guide_has_every_step():
    files = [step["file"] for step in _STEP.finditer(GUIDE)]
    assert len(files) == GUIDE.count("```python") == 7
    assert {"initlab/initializers.py", "initlab/activations.py"} < set(files)


def test_new_entries_are_everywhere(contributed):
    run(contributed, str(contributed / "tests" / "contributed.py"), str(contributed))


def test_new_entries_pass_the_tests_of_the_catalogues(contributed):
    """And fail them if what they say is not so."""
    names = f"{INITIALIZER} or {ACTIVATION} or every_entry or every_activation or may_assume"
    files = ("tests/test_initializers.py", "tests/test_activations.py")
    said = run(contributed, "-m", "pytest", "-q", "-rA", *files, "-k", names)
    assert "failed" not in said
    for name, fewest in ((INITIALIZER, 3), (ACTIVATION, 4)):
        assert len(re.findall(rf"PASSED .*{name}", said)) >= fewest, said


@pytest.mark.slow
def test_new_entries_are_swept_and_raced(contributed):
    run(contributed, str(contributed / "tests" / "contributed.py"), str(contributed), "slow")


@pytest.mark.slow
def test_new_entries_pass_all_tests_that_walk_through_the_catalogues(contributed):
    names = ("initializers", "activations", "network", "diagnosis", "tables", "registering")
    names += ("pairs", "maps", "theory", "convolutional", "setting", "explorer")
    said = run(contributed, "-m", "pytest", "-q", *(f"tests/test_{name}.py" for name in names))
    assert "passed" in said
