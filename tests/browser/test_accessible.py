"""Explorers, questions and figures in JupyterLab, as axe-core and who hears a page find them."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from initlab import page as initlab_page
from tests.browser.axe import assert_accessible
from tests.browser.explorer_page import Shown, open_lab
from tests.color_vision import turned
from tools import lab

pytestmark = pytest.mark.browser

EXPLORER = "import initlab\n\ninitlab.explore(depth=6, width=32, max_depth=24)"
OTHERS = (
    "import initlab",
    "initlab.explore_phases()",
    "initlab.explore_table(5, 16, ('he_normal', 'zeros'), ('tanh', 'relu'))",
    "initlab.race({'one': initlab.Setting(2, 16)}, steps=20)",
    "initlab.teaching.ask('symmetry-copies')",
    "initlab.teaching.check('he-scale', lambda fan_in, fan_out: 1.0)",
    "initlab.teaching.solution('he-scale')",
    "initlab.plot_curves([0, 1], {'one': [2, 1]}, 'loss')",
)


@pytest.fixture(autouse=True)
def no_kernel_is_left(jupyter):
    yield
    jupyter.end_kernels()


def set_theme(jupyter: lab.Lab, name: str) -> None:
    path = "lab/api/settings/@jupyterlab/apputils-extension:themes"
    jupyter.ask(path, "PUT", {"raw": json.dumps({"theme": name})})


@pytest.fixture(params=["Light", "Dark"])
def theme(request, jupyter):
    set_theme(jupyter, f"JupyterLab {request.param}")
    yield request.param
    set_theme(jupyter, "JupyterLab Light")


def test_an_explorer_in_a_light_and_in_a_dark_page(page, jupyter, theme, screenshot):
    open_lab(page, jupyter, "accessible.ipynb", EXPLORER)
    shown = Shown(page).wait().rest()
    shown.button("choose panels").click()
    shown.button("copy as code").click()
    shown.press("depth", "ArrowRight")
    shown.wait("Depth 7")
    assert_accessible(page, ".initlab")
    picture = page.get_by_role("img", name=re.compile("^Depth 7, width 32, tanh"))
    expect(picture).to_have_count(1)  # its name is its sentence, and follows
    screenshot(f"accessible-{theme}", page)


@pytest.mark.slow
def test_all_that_a_notebook_shows(page, jupyter, theme, screenshot):
    open_lab(page, jupyter, "all.ipynb", *OTHERS)
    expect(page.locator(".initlab")).to_have_count(3)
    for root in page.locator(".initlab").all():
        expect(root.get_by_role("status")).to_contain_text(re.compile("[0-9]"))
    figure = page.get_by_role("img", name="loss over 1 steps: one from 2 to 1.")
    expect(figure).to_have_count(1)
    assert_accessible(page, ".jp-OutputArea-output")
    screenshot(f"all-{theme}", page)


def test_a_turned_picture_has_the_colours_that_are_judged(page: Page):
    """What tests/test_colours.py computes of the CSS filter is what a browser shows."""
    colors = np.array([[255, 255, 255], [34, 34, 34], [0, 114, 178], [213, 94, 0], [0, 127, 92]])
    boxes = "".join(
        f"<i style='background:rgb({red},{green},{blue});display:block;height:20px'></i>"
        for red, green, blue in colors
    )
    style = re.search("<style[^>]*>(.*)", initlab_page.STYLE, re.DOTALL)[1].partition("-->")[0]
    css = re.search(r"body\[data-jp-theme-light.*?\}", style, re.DOTALL)[0]
    page.set_content(
        f"<style>{css} *{{margin:0}}</style><body data-jp-theme-light='false'>"
        f"<div class='initlab-auto'>{boxes}</div>"
    )
    pixels = pixels_of(page)[10 : 20 * len(colors) : 20, 5]
    np.testing.assert_allclose(pixels, 255 * turned(colors / 255), atol=1.5)  # two roundings


def pixels_of(page: Page) -> np.ndarray:
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)
