"""The course by the keyboard alone: every control is reached, named, seen, and can be left."""

import re

import pytest
from playwright.sync_api import Page, expect

from tools import lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # minutes a notebook

NOTEBOOKS = sorted(path.name for path in lab.FIRST_NOTEBOOK.parent.glob("*.ipynb"))
# What takes the keyboard in what cells show, and is there to be seen.
CONTROLS = (
    ".jp-OutputArea-output :is(.noUi-handle, select, button, input, summary, textarea)"
    ":not([disabled])"
)
FOCUSED = """() => {
    const element = document.activeElement, style = getComputedStyle(element);
    const labels = Array.from(element.labels ?? [], label => label.textContent);
    return {
        place: element.dataset.place ?? null,
        name: (element.ariaLabel || labels[0] || element.title || element.textContent).trim(),
        seen: style.outlineStyle !== 'none' || style.boxShadow !== 'none'
            || style.borderStyle !== 'none',
        html: element.outerHTML.slice(0, 200),
    };
}"""


def number_controls(page: Page) -> int:
    """Give every control that is visible a number, and count them."""
    return page.evaluate(
        """selector => {
            const seen = [...document.querySelectorAll(selector)].filter(e => e.checkVisibility());
            seen.forEach((element, place) => element.dataset.place = place);
            return seen.length;
        }""",
        CONTROLS,
    )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_keyboard_reaches_names_moves_and_leaves_every_control(open_notebook, name):
    page = open_notebook(name)
    reach_all(page)
    move_sliders(page)
    press_a_choice(page)


def reach_all(page: Page) -> None:
    """Every control has a name and shows its focus; from the last of a cell's, Tab leads on."""
    count = number_controls(page)
    assert count > 0
    reached = set()
    for place in range(count):
        if place in reached:
            continue
        # the first of a cell's controls; the others follow by Tab
        page.locator(f"[data-place='{place}']").focus()
        for _ in range(count + 1):
            focused = page.evaluate(FOCUSED)
            if focused["place"] is None or int(focused["place"]) in reached:
                break
            reached.add(int(focused["place"]))
            assert focused["name"], f"without a name: {focused['html']}"
            assert focused["seen"], f"nothing shows the focus: {focused['html']}"
            page.keyboard.press("Tab")
        else:
            raise AssertionError(f"Tab does not lead out of {focused['html']}")
    assert reached == set(range(count))


def move_sliders(page: Page) -> None:
    """Arrows move every slider of an explorer."""
    for slider in page.locator(".initlab .noUi-handle").all():
        before = slider.get_attribute("aria-valuetext")
        slider.focus()
        for key in ("ArrowRight", "ArrowLeft"):  # at its end a slider moves one way only
            page.keyboard.press(key)
            if slider.get_attribute("aria-valuetext") != before:
                break
        assert slider.get_attribute("aria-valuetext") != before


def press_a_choice(page: Page) -> None:
    """Space chooses an answer of the first question, which is then spoken of."""
    page.get_by_role("button", name="A", exact=True).first.focus()
    page.keyboard.press("Space")
    said = page.get_by_role("status").filter(has_text=re.compile("^A: (Right|Not so)"))
    expect(said.first).to_be_visible()
