"""What a learner sees and does: open the first notebook, run it, drag a slider by keyboard."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

FRAME_MILLISECONDS = 30_000  # far more than a frame takes: a slow machine must not fail the test


def test_the_picture_and_its_description_follow_the_depth_slider(open_notebook, screenshot):
    page = open_notebook("00_start_here.ipynb")
    picture = page.locator("img.widget-image").first
    expect(picture).to_have_attribute("src", re.compile("."), timeout=FRAME_MILLISECONDS)
    slider = handle(page, "depth")
    status = page.get_by_role("status").filter(has_text="depth").first
    before, address = pixels(picture), picture.get_attribute("src")
    depth = int(float(slider.get_attribute("aria-valuenow")))
    picture.scroll_into_view_if_needed()
    screenshot("before", page)

    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")

    expect(slider).to_have_attribute("aria-valuenow", re.compile(rf"^{depth + 3}(\.0*)?$"))
    expect(status).to_contain_text(re.compile(rf"\b{depth + 3}\b"), timeout=FRAME_MILLISECONDS)
    # The sentence may arrive before the picture does.
    expect(picture).not_to_have_attribute("src", address, timeout=FRAME_MILLISECONDS)
    assert pixels(picture) != before
    screenshot("after", page)
    assert errors_shown(page) == []
    expect(page.get_by_text("Jupyter news")).to_have_count(0)  # as the lab's settings ask


def handle(page: Page, description: str) -> Locator:
    """The part of a slider that takes the keyboard, by the words beside the slider."""
    label = page.locator(".widget-label", has_text=re.compile(rf"^\s*{description}\s*$"))
    return page.locator(".widget-slider").filter(has=label).get_by_role("slider").first


def pixels(picture: Locator) -> str:
    """What an image on the page shows: its encoded bytes, not the address that they came under."""
    return picture.evaluate(
        """async image => {
            const bytes = await (await fetch(image.src)).arrayBuffer();
            return Array.from(new Uint8Array(bytes), b => b.toString(16)).join(' ');
        }"""
    )


def errors_shown(page: Page) -> list[str]:
    """The tracebacks and warnings that cells left on the page."""
    return page.locator(
        "[data-mime-type='application/vnd.jupyter.error'], "
        "[data-mime-type='application/vnd.jupyter.stderr']"
    ).all_inner_texts()
