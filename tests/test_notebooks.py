"""Notebooks as they are stored: complete, small, and safe to show anywhere. nbval runs them."""

import statistics
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 12  # lines
LARGEST_FILE = 300_000  # bytes
FEWEST_CHECKED = 4  # cells whose output nbval compares


@pytest.fixture(params=NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_it_was_run_from_top_to_bottom_without_an_error(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output.output_type for cell in code_cells(notebook) for output in cell.outputs}
    assert "error" not in kinds
    texts = [o for cell in code_cells(notebook) for o in cell.outputs if o.get("name") == "stderr"]
    assert texts == []


def test_no_widget_state_is_stored(path, notebook):
    assert "widgets" not in notebook.metadata
    assert "widget-view" not in path.read_text()


def test_it_is_small_enough_to_read_and_to_fetch(path, notebook):
    assert path.stat().st_size <= LARGEST_FILE
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    assert max(lengths) <= LONGEST_CELL
    assert statistics.median(lengths) <= 5


def test_every_picture_has_words(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 40, cell.source


def test_results_are_compared(notebook):
    checked = [
        cell
        for cell in code_cells(notebook)
        if "nbval-check-output" in cell.metadata.get("tags", [])
    ]
    assert len(checked) >= FEWEST_CHECKED
    assert all(cell.outputs for cell in checked)


def test_it_says_what_it_is_for_and_where_it_comes_from(path, notebook):
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert text[0].startswith("# ")
    assert "**Time:**" in text[0]
    assert any(source.startswith("## You will be able to") for source in text)
    assert "## Sources" in text[-1]


def test_badges_and_set_up_lead_to_the_repository(path, notebook):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address = project["urls"]["Repository"]
    owner_and_name = address.removeprefix("https://github.com/")
    first = notebook.cells[0].source
    assert (
        f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/{path.name}"
        in first
    )
    binder = f"https://mybinder.org/v2/gh/{owner_and_name}/main?labpath=notebooks%2F{path.name}"
    assert binder in first
    assert f"git+{address}" in code_cells(notebook)[0].source
