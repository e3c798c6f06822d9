"""The code in docs/doctor.md runs, as it stands there."""

import re
from pathlib import Path

import pytest

from tests.frameworks import data

GUIDE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")
USE, TEST, LOOP = (
    next(code for code in re.findall(r"```python\n(.*?)```", GUIDE, re.S) if start in code)
    for start in ("report = initlab.examine", "def test_my_model", "initlab.watch")
)
LIBRARIES = dict(re.findall(r"### ([\w ]+)\n(?:(?!###).)*?```python\n(.*?)```", GUIDE, re.S))


def test_every_library_has_its_lines():
    assert list(LIBRARIES) == ["Flax Linen", "Flax NNX", "Equinox", "Haiku", "Keras 3", "PyTorch"]


@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "PyTorch"])
def test_its_lines_lead_to_a_report(library):
    names = {"batch": data.FEATURES}
    exec(LIBRARIES[library], names)
    params = names["params"]
    exec(USE.replace("params = cure.params", "found = cure and cure.params"), names)
    assert names["report"].healthy and names["found"] is None
    exec(TEST, names)
    names["test_my_model_starts_well"]()
    exec(LOOP, names | {"params": params})
