"""Fixtures that open a real JupyterLab in a real Chromium, for tests and for screenshots.

With INITLAB_SCREENSHOTS=FOLDER the pictures that tests take of the page are kept there.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.browser.explorer_page import choose, wait_for_kernel, wait_until_done
from tests.told import NO_CHROMIUM, NO_COLAB
from tools import chromium, lab

VIEWPORT = {"width": 1440, "height": 1100}
PAGE_SECONDS = 60  # for anything that is clicked or awaited, on a slow machine too
NOTEBOOK_SECONDS = 480  # for a notebook to run from top to bottom, beside another suite of tests


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = chromium.find()
    if path is None and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(NO_CHROMIUM)
    if path is None:
        pytest.skip(NO_CHROMIUM)
    return path


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=chromium.OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyter(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    """A JupyterLab that serves a copy of the notebooks, which tests may therefore change.

    It asks for the browser only so as not to start in vain where there is none.
    """
    home = tmp_path_factory.mktemp("jupyter")
    notebooks = home / "notebooks"
    shutil.copytree(
        lab.FIRST_NOTEBOOK.parent, notebooks, ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    with lab.running(notebooks, home) as server:
        yield server


@pytest.fixture
def colab(browser: Browser, tmp_path: Path) -> Iterator[lab.Lab]:
    """Notebook 6 with the versions of Google Colab, which serves an empty folder."""
    if not lab.COLAB_PYTHON.exists():
        pytest.skip(NO_COLAB)
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    with lab.running_classic(lab.COLAB_PYTHON, notebooks, tmp_path) as server:
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; an exception in its scripts fails the test."""
    page = browser.new_page(viewport=VIEWPORT)
    page.set_default_timeout(1000 * PAGE_SECONDS)
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    page.close()
    assert not errors, f"the page's own scripts failed: {errors}"


@pytest.fixture
def open_notebook(page: Page, jupyter: lab.Lab) -> Iterator[Callable[[str], Page]]:
    """A function that opens a notebook, waits for its kernel and runs all of its cells."""

    def open_notebook(name: str) -> Page:
        page.goto(jupyter.url(name))
        wait_for_kernel(page)
        # Without the outputs and numbers that it was committed with, what is shown is new.
        choose(page, "Edit", "Clear Outputs of All Cells")
        choose(page, "Run", "Run All Cells")
        wait_until_done(page, 1000 * NOTEBOOK_SECONDS)
        return page

    yield open_notebook
    jupyter.end_kernels()


@pytest.fixture
def screenshot() -> Callable[[str, Page | Locator], None]:
    """A function that keeps a picture of the page, or of a part of it, where one was asked for."""
    folder = os.environ.get("INITLAB_SCREENSHOTS")

    def screenshot(name: str, what: Page | Locator) -> None:
        if folder:
            what.screenshot(path=Path(folder) / f"{name}.png")

    return screenshot
