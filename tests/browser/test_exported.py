"""Notebooks as pages, from `python -m tools.export`: for who hears them, and without a network."""

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import assert_accessible
from tools import export, lab

pytestmark = pytest.mark.browser

NOTEBOOKS = sorted(lab.FIRST_NOTEBOOK.parent.glob("*.ipynb"))
QUICK = ("01_symmetry", "09_race")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem not in QUICK))
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_as_a_page(page: Page, folder, path, screenshot):
    asked = []
    page.route("http*://**", lambda route: (asked.append(route.request.url), route.abort()))
    notebook = nbformat.read(path, as_version=4)
    page.goto(export.export(path, folder).as_uri())
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    if any("$" in text for text in prose):
        expect(page.locator(".MathJax").first).to_be_visible()
    page.wait_for_function("MathJax.Hub.queue.pending === 0 && !MathJax.Hub.queue.running")
    assert_accessible(page)
    assert asked == []

    assert page.title() == notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    words = [
        output.metadata["image/png"]["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    shown = page.locator("img").evaluate_all("images => images.map(image => image.alt)")
    assert [alt for alt in shown if alt in words] == words
    assert all(shown)
    screenshot(f"exported-{path.stem}", page)
