"""Every explorer of every notebook, driven to the ends of every control that it shows."""

import ast
import io
from pathlib import Path

import ipywidgets
import matplotlib.image
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from initlab import page

pytestmark = pytest.mark.slow  # two minutes: widths up to 512, and every initializer

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
MAKERS = ("explore", "explore_fit", "explore_phases", "explore_table")
NUMBERS = (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.BoundedIntText)
UNHEARD_BY_COPIES = {"gain", "seed", "width", "activation"}  # they stay copies: that is the lesson
LEAST_INK = 1000  # pixels; axes and letters alone are more


def is_explorer(node) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in MAKERS
    )


def explorers(path):
    """The calls that show an explorer, each after all imports, and the lines of its own cell."""
    imports = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        body = ast.parse(TransformerManager().transform_cell(cell.source)).body
        imports += [line for line in body if isinstance(line, ast.Import | ast.ImportFrom)]
        if "initlab.explore" in cell.source:
            *before, last = body
            assert is_explorer(last.value), f"an explorer is not its cell's result: {cell.source}"
            yield ast.unparse([*imports, *before]), ast.unparse(last)


CASES = [
    pytest.param(before, call, id=f"{path.stem}-{number}")
    for path in NOTEBOOKS
    for number, (before, call) in enumerate(explorers(path), 1)
]


def shown(widget):
    """The controls on the page: whatever has a value to choose, without buttons."""
    if isinstance(widget, (*NUMBERS, ipywidgets.SelectionSlider, ipywidgets.Dropdown)):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from shown(child)


def extremes(control):
    if isinstance(control, NUMBERS):
        return [control.min, control.max]
    values = [option[1] if isinstance(option, tuple) else option for option in control.options]
    ends = isinstance(control, ipywidgets.SelectionSlider)
    return [values[0], values[-1]] if ends else values


def ink(png: bytes) -> int:
    """How many pixels are not paper."""
    picture = matplotlib.image.imread(io.BytesIO(png))[..., :3]
    return int((picture != picture[0, 0]).any(axis=2).sum())


def test_the_notebooks_have_explorers():
    assert len(CASES) >= 15


@pytest.mark.parametrize(("before", "call"), CASES)
def test_it_shows_something_wherever_it_is_driven(before, call):
    names = {}
    exec(before, names)
    explorer = eval(call, names)
    try:
        explorer.update()
        controls = list(shown(explorer))
        assert controls
        for control in controls:
            drive(explorer, control)
        for end in (0, -1):  # all at once, into the corners
            for control in controls:
                control.value = extremes(control)[end]
            assert_shown(explorer)
    finally:
        explorer.close()


def drive(explorer, control) -> None:
    """Take one control to its ends, or through its choices, and back."""
    start, pictures, words = control.value, set(), set()
    positions = extremes(control)
    for position in positions:
        control.value = position
        assert_shown(explorer)
        pictures.add(explorer.image.value)
        words.add(explorer.status.value)
    control.value = start
    initializer = getattr(getattr(explorer, "setting", None), "initializer", "")
    if initializer in ("zeros", "constant") and control.description in UNHEARD_BY_COPIES:
        return
    assert len(words) == len(positions), f"the sentence does not follow {control.description}"
    assert len(pictures) > 1, f"the picture does not follow {control.description}"


def assert_shown(explorer) -> None:
    assert ink(explorer.image.value) > LEAST_INK
    assert "role='status'" in explorer.status.value
    assert len(explorer.status.value) > len(page.status("")) + 20
