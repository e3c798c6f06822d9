"""The same explorer in Notebook 7, served by Voila, and with the versions of Google Colab."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.explorer_page import MILLISECONDS, Shown, choose, write

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # minutes, with many kernels

CELL = "import initlab\n\ninitlab.explore(depth=6, width=32, max_depth=24)"


@pytest.fixture(autouse=True)
def no_kernel_is_left(jupyter):
    yield
    jupyter.end_kernels()


@pytest.fixture
def lenient_page(browser):
    """A page that forgives exceptions in its scripts: Notebook 7.6 starts with one of its own."""
    page = browser.new_page(viewport={"width": 1440, "height": 1100})
    page.set_default_timeout(MILLISECONDS)
    yield page
    page.close()


def test_notebook_7(lenient_page, jupyter, screenshot):
    page = lenient_page
    write(jupyter, "seven.ipynb", CELL)
    page.goto(jupyter.url("seven.ipynb", "notebooks"))
    expect(page.locator(".jp-KernelName")).to_contain_text("Python 3")
    choose(page, "Run", "Run All Cells")
    play(page, screenshot, "notebook-7")
    expect(page.locator(".jp-OutputArea-child")).to_have_count(1)


def test_voila(page, jupyter, screenshot):
    write(jupyter, "served.ipynb", CELL)
    page.goto(jupyter.url("served.ipynb", "voila/render"))
    play(page, screenshot, "voila")


def test_colabs_versions(page, colab, screenshot):
    write(colab, "colab.ipynb", CELL)
    page.goto(colab.url("colab.ipynb", "notebooks"))
    page.wait_for_function("window.Jupyter?.notebook?.kernel?.widget_manager")
    page.wait_for_function("Jupyter.notebook.kernel.is_connected()")
    page.wait_for_timeout(6000)  # it looks for older widgets first, and then clears all cells
    page.evaluate("Jupyter.notebook.execute_all_cells()")
    play(page, screenshot, "colab")
    expect(page.locator(".output_area")).to_have_count(1)


def play(page: Page, screenshot, name: str) -> None:
    """Drag a slider, by mouse and by keyboard: the picture and its sentence follow."""
    shown = Shown(page).wait("Depth 6")
    before = shown.pixels()
    shown.drag("gain", -40)
    page.mouse.up()
    shown.expect_other_pixels(before)
    expect(shown.status).not_to_contain_text("gain 1.")
    shown.press("depth", "ArrowRight", 3)
    shown.wait("Depth 9")
    screenshot(name, page)
    expect(page.get_by_text("Traceback")).to_have_count(0)
