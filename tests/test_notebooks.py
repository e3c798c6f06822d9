"""Notebooks as they are stored: complete, small, and safe to show anywhere. nbval runs them."""

import itertools
import re
import statistics
from pathlib import Path

import nbformat
import pytest

from initlab import teaching
from initlab.exercises import EXERCISES
from tools import addresses

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OVERTURE = "00_start_here.ipynb"  # a first look: no instructor or exercises
LONGEST_CELL = 12  # lines
MEDIAN_CELL = 5
LARGEST_FILE = 300_000  # bytes
FEWEST_CHECKED = 8  # cells whose output nbval compares
FEWEST_SLIDES = 5  # that begin with a heading
SLIDE_TYPES = {"slide", "subslide", "fragment", "notes", "skip", "-"}


@pytest.fixture(params=NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture
def lesson(path, notebook):
    """A notebook of the course proper."""
    if path.name == OVERTURE:
        pytest.skip("asked of lessons, not of the first look")
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def slide_type(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def named(function, notebook):
    """The names that a notebook's cells call a function of initlab.teaching with."""
    sources = "\n".join(cell.source for cell in code_cells(notebook))
    return re.findall(rf"\b{function}\(\s*[\"']([^\"']*)[\"']", sources)


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
    assert statistics.median(lengths) <= MEDIAN_CELL


def test_every_picture_has_words(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 40, cell.source


def test_results_are_compared(notebook):
    checked = tagged(notebook, "nbval-check-output")
    assert len(checked) >= FEWEST_CHECKED
    assert all(cell.outputs for cell in checked)


def test_it_says_what_it_is_for_and_where_it_comes_from(path, notebook):
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert text[0].startswith("# ")
    assert "**Time:**" in text[0]
    assert any(source.startswith("## You will be able to") for source in text)
    assert "## Sources" in text[-1]


def test_badges_and_set_up_lead_to_this_notebook(path, notebook):
    name = addresses.repository(ROOT)
    first = notebook.cells[0].source
    colab = "https://colab.research.google.com/github"
    assert f"{colab}/{name}/blob/main/notebooks/{path.name})" in first
    binder = f"https://mybinder.org/v2/gh/{name}/main?labpath=notebooks%2F{path.name})"
    assert binder in first
    assert f"git+https://github.com/{name}\n" in code_cells(notebook)[0].source


def test_instructors_find_their_notes_and_learners_need_not_see_them(lesson):
    notes = tagged(lesson, "instructor")
    assert notes
    for cell in notes:
        assert cell.metadata.get("jupyter", {}).get("source_hidden") is True, cell.source
        assert slide_type(cell) in ("notes", "skip"), cell.source
    assert any("45 minutes" in cell.source for cell in notes), "a plan for 45 minutes"


def test_it_is_a_slide_show_too(notebook):
    assert {slide_type(cell) for cell in notebook.cells} <= SLIDE_TYPES
    headings = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "markdown" and re.match("##? ", cell.source)
    ]
    for cell in headings:
        assert slide_type(cell) != "-", cell.source
    assert sum(slide_type(cell) == "slide" for cell in headings) >= FEWEST_SLIDES
    assert slide_type(code_cells(notebook)[0]) == "skip", "a room need not see the set-up"


def test_no_slide_shows_the_answer_beside_the_question(notebook):
    for cell, following in itertools.pairwise(notebook.cells):
        if cell.source.startswith("initlab.teaching.ask("):
            assert slide_type(following) != "-", following.source


def test_it_asks_all_of_its_questions_and_no_others(path, notebook):
    asked = named("ask", notebook)
    assert len(asked) == len(set(asked))
    assert sorted(asked) == sorted(names_of_questions(path.stem))


def test_its_exercises_can_be_checked_and_solved(notebook):
    checked = set(named("check", notebook))
    assert checked <= set(EXERCISES)
    assert set(named("solution", notebook)) >= checked, "a hidden solution for each"


def names_of_questions(stem):
    file = ROOT / "initlab" / "questions" / f"{stem}.toml"
    if not file.exists():
        return []
    return [question.name for question in teaching.read(file.read_text("utf-8"), file.name)]


@pytest.mark.parametrize("file", sorted((ROOT / "initlab" / "questions").glob("*.toml")), ids=str)
def test_every_file_of_questions_belongs_to_a_notebook(file):
    """A file that came before its notebook is skipped, so that it shows."""
    if not (ROOT / "notebooks" / f"{file.stem}.ipynb").exists():
        pytest.skip(f"there is no notebook {file.stem} yet")
