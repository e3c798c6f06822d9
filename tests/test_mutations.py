"""What the notebooks' checked cells are worth: a mistake put into the package must fail some.

Each mistake goes into a copy of the package, and nbval runs a notebook on that copy.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow  # each case runs a whole notebook

ROOT = Path(__file__).parent.parent
NBVAL = (
    *("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120"),
    *("-q", "-rA", "--tb=no", "-p", "no:cacheprovider"),
)
FEW_MINUTES = 600  # seconds: a notebook that hangs must not hang the tests


def run_notebook(folder: Path, name: str, *mistakes) -> tuple[list[str], int]:
    """The sources of the cells that fail on a package with these mistakes, and how many pass.

    A mistake is ``(file, what stands there, what is to stand there)``; it has to stand there once.
    """
    package = shutil.copytree(ROOT / "initlab", folder / "initlab")
    for file, right, wrong in mistakes:
        text = (package / file).read_text(encoding="utf-8")
        assert text.count(right) == 1, f"{file} does not hold {right!r} once: name it anew here"
        (package / file).write_text(text.replace(right, wrong), encoding="utf-8")
    notebook = shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", notebook, *NBVAL],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=FEW_MINUTES,
    )
    verdicts = re.findall(r"^(PASSED|FAILED) .*::Cell (\d+)", run.stdout, re.MULTILINE)
    results = {int(cell): verdict for verdict, cell in verdicts}
    cells = [c.source for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    assert len(results) == len(cells), run.stdout + run.stderr
    failed = [cells[cell] for cell, verdict in sorted(results.items()) if verdict == "FAILED"]
    return failed, len(cells) - len(failed)


def test_without_a_mistake_every_cell_passes(tmp_path):
    failed, passed = run_notebook(tmp_path, "00_start_here")
    assert failed == []
    assert passed > 5


@pytest.mark.parametrize(
    ("name", "cell", "mistake"),
    [
        pytest.param(
            "03_gradients",
            'print("norms agree within 1%:"',
            (
                "network.py",
                "normalized(jnp.exp(log_likelihood) - classes)",
                "normalized(jnp.exp(log_likelihood) + classes)",
            ),
            id="a sign in the backward pass",
        ),
        pytest.param(
            "02_variance",
            "fan_in, fan_out = weight.shape",
            ("laws.py", "math.sqrt(2 / fan.fan_in)", "math.sqrt(2 / fan.fan_out)"),
            id="fan_out for fan_in",
        ),
        pytest.param(
            "00_start_here",
            'print(f"variance times fan_in',
            ("laws.py", "math.sqrt(2 / fan.fan_in)", "math.sqrt(1 / fan.fan_in)"),
            id="He without the 2",
        ),
    ],
)
def test_a_mistake_fails_the_cell_that_shows_it(tmp_path, name, cell, mistake):
    """And the set-up cell passes: it is the result that fails, not the import."""
    failed, passed = run_notebook(tmp_path, name, mistake)
    print(f"cells of {name} that fail:", *(f"\n{source}\n" for source in failed))
    assert any(cell in source for source in failed), failed
    assert passed > 5
    assert not any(source.startswith("import sys") for source in failed)
