"""The explorer in JupyterLab: what a hand, a keyboard, a reload and a broken kernel do to it."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.explorer_page import Shown, choose, open_lab, run_all
from tools import lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # minutes, with many kernels

SMALL = "import initlab\n\ninitlab.explore(depth=6, width=32, max_depth=24)"
ERRORS = (
    "[data-mime-type='application/vnd.jupyter.error'], "
    "[data-mime-type='application/vnd.jupyter.stderr']"
)


@pytest.fixture(scope="module")
def shown(browser: Browser, jupyter: lab.Lab):
    """An explorer that several tests use, one after the other."""
    page = browser.new_page(viewport={"width": 1440, "height": 1100})
    page.set_default_timeout(60_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    open_lab(page, jupyter, "shared.ipynb", SMALL)
    yield Shown(page).wait()
    page.close()
    assert not errors, f"the page's own scripts failed: {errors}"


@pytest.fixture(autouse=True)
def no_kernel_is_left(jupyter):
    yield
    jupyter.end_kernels(but="shared.ipynb")


def test_a_drag_appends_nothing_and_moves_nothing(shown):
    output = shown.page.locator(".jp-Cell-outputArea")
    children, box = output.locator(".jp-OutputArea-child").count(), output.bounding_box()
    place, before = shown.image.bounding_box(), shown.pixels()
    shown.drag("gain", 60)
    shown.expect_other_pixels(before)
    assert (output.bounding_box(), shown.image.bounding_box()) == (box, place)
    shown.page.mouse.up()
    shown.rest()  # the sharper picture is no larger than the other
    assert (output.bounding_box(), shown.image.bounding_box()) == (box, place)
    assert output.locator(".jp-OutputArea-child").count() == children
    expect(shown.page.locator(ERRORS)).to_have_count(0)
    said = float(re.search(r"gain ([\d.e-]+)", shown.status.inner_text())[1].rstrip("."))
    assert said == float(shown.root.locator(".widget-readout").nth(2).inner_text())


def test_every_control_is_reached_by_tab_named_and_its_focus_seen(shown):
    names = ["depth", "width", "gain", "bias", "activation", "initializer", "seed"]
    names += ["draw again", "reset", "pin", "theory", "choose panels", "copy as code"]
    for name in names[:4]:
        expect(shown.root.get_by_role("slider", name=name)).to_have_count(1)
    for name in names[4:6]:
        expect(shown.root.get_by_role("combobox", name=name)).to_have_count(1)
    expect(shown.root.get_by_role("spinbutton", name="seed")).to_have_count(1)
    for name in names[7:]:
        expect(shown.button(name)).to_have_count(1)

    reached = []
    shown.handle("depth").focus()
    for _ in range(2 * len(names)):
        element = shown.page.evaluate(
            """() => {
                const element = document.activeElement, style = getComputedStyle(element);
                const labels = Array.from(element.labels ?? [], label => label.textContent);
                const seen = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
                    || style.borderStyle !== 'none';
                return element.closest('.initlab') && {
                    name: (element.ariaLabel || labels[0] || element.textContent).trim(), seen};
            }"""
        )
        if element is None:
            break
        reached.append(element["name"])
        assert element["seen"], f"nothing shows that {element['name']} has the focus"
        shown.page.keyboard.press("Tab")
    assert [name for name in reached if name in names] == names


def test_arrows_move_every_slider_and_menu(shown):
    for name in ("depth", "width", "gain", "bias"):
        before = shown.handle(name).get_attribute("aria-valuetext")
        sentence = shown.status.inner_text()
        shown.press(name, "ArrowRight")
        expect(shown.handle(name)).not_to_have_attribute("aria-valuetext", before)
        expect(shown.status).not_to_have_text(sentence)
    for name in ("activation", "initializer"):
        sentence = shown.status.inner_text()
        shown.root.get_by_role("combobox", name=name).focus()
        shown.page.keyboard.press("ArrowDown")
        expect(shown.status).not_to_have_text(sentence)
    shown.button("reset").click()
    shown.wait("Depth 6, width 32, tanh, glorot_normal, gain 1.")


def test_pin_panels_and_the_line_of_code(shown):
    shown.button("reset").click()
    shown.wait("Depth 6, width 32")
    shown.press("gain", "ArrowLeft", 3)
    shown.wait("gain 0.7")
    before = shown.pixels()
    shown.button("pin").click()
    shown.expect_other_pixels(before)
    shown.button("unpin").click()

    shown.button("copy as code").click()
    code = shown.root.locator("code")
    expect(code).to_have_text("initlab.explore(depth=6, width=32, gain=0.7, max_depth=24)")

    height = shown.image.bounding_box()["height"]
    shown.button("choose panels").click()
    menu = shown.root.get_by_role("listbox", name="panels")
    menu.select_option(["Neurons that differ", "Every neuron against every other"])
    expect(code).to_contain_text("panels=('neurons', 'correlation')")
    assert shown.image.bounding_box()["height"] == height
    shown.button("choose panels").click()
    expect(menu).to_be_hidden()


def test_an_error_is_named_under_the_picture_which_stays(page, jupyter):
    broken = "\n".join(
        [
            "import initlab",
            "from initlab.activations import ACTIVATIONS, Activation",
            "def fail(z):",
            "    raise FloatingPointError('no such thing as phi')",
            "ACTIVATIONS.add(Activation('broken', fail))",
            "initlab.explore(depth=3, width=16, max_depth=24)",
        ]
    )
    open_lab(page, jupyter, "broken.ipynb", broken)
    shown = Shown(page).wait().rest()
    before = shown.pixels()
    shown.root.get_by_role("combobox", name="activation").select_option("broken")
    shown.wait("FloatingPointError: no such thing as phi")
    assert shown.pixels() == before
    expect(page.locator(".jp-OutputArea-child")).to_have_count(1)
    shown.root.get_by_role("combobox", name="activation").select_option("relu")
    shown.wait("relu")


def test_two_explorers_on_one_page_share_nothing(page, jupyter):
    open_lab(page, jupyter, "two.ipynb", SMALL, SMALL)
    first, second = Shown(page, 0).wait().rest(), Shown(page, 1).wait().rest()
    before, sentence = second.pixels(), second.status.inner_text()
    first.press("depth", "ArrowRight", 5)
    first.button("pin").click()
    first.wait("Depth 11")
    assert (second.pixels(), second.status.inner_text()) == (before, sentence)
    expect(second.button("pin")).to_have_count(1)
    second.press("depth", "ArrowLeft", 2)
    second.wait("Depth 4")
    first.wait("Depth 11")


def test_a_reload_shows_the_current_state(page, jupyter):
    open_lab(page, jupyter, "reload.ipynb", SMALL)
    shown = Shown(page).wait()
    shown.press("depth", "ArrowRight", 3)
    shown.wait("Depth 9").rest()
    before = shown.pixels()
    page.keyboard.press("Control+s")  # the slider, which has the focus, leaves it to JupyterLab
    expect(page.locator(".jp-mod-dirty")).to_have_count(0)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    shown = Shown(page).wait("Depth 9")
    expect(shown.handle("depth")).to_have_attribute("aria-valuenow", re.compile(r"^9(\.0*)?$"))
    assert shown.pixels() == before
    shown.press("depth", "ArrowRight")
    shown.wait("Depth 10")
    shown.expect_other_pixels(before)


def test_a_kernel_interrupted_or_restarted_in_mid_drag(page, jupyter):
    open_lab(page, jupyter, "fault.ipynb", SMALL)
    shown = Shown(page).wait()
    shown.drag("gain", 40)
    page.mouse.up()
    with page.expect_response(re.compile("/interrupt")):  # lest it hits the next run
        choose(page, "Kernel", "Interrupt Kernel")
    run_all(page)
    still_works(page)
    Shown(page).drag("gain", 40)
    page.mouse.up()
    choose(page, "Kernel", "Restart Kernel and Run All Cells…")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    still_works(page)


def still_works(page: Page) -> None:
    """The cell was run again: a new explorer stands at its start, and follows."""
    shown = Shown(page).wait("Depth 6, width 32, tanh, glorot_normal, gain 1.")
    shown.press("depth", "ArrowRight")
    shown.wait("Depth 7")
    expect(page.locator(ERRORS)).to_have_count(0)


def test_in_a_dark_page_the_picture_is_dark(page, jupyter):
    def set_theme(name: str) -> None:
        path = "lab/api/settings/@jupyterlab/apputils-extension:themes"
        jupyter.ask(path, "PUT", {"raw": f'{{"theme": "{name}"}}'})

    set_theme("JupyterLab Dark")
    try:
        open_lab(page, jupyter, "dark.ipynb", SMALL)
        assert brightness(Shown(page).wait()) < 80
    finally:
        set_theme("JupyterLab Light")
    open_lab(page, jupyter, "light.ipynb", SMALL)
    assert brightness(Shown(page).wait()) > 200


def brightness(shown: Shown) -> float:
    """The median grey of what the page shows of the picture, 0 to 255."""
    shown.rest()
    seen = Image.open(io.BytesIO(shown.image.screenshot())).convert("L")
    histogram, half = seen.histogram(), seen.width * seen.height / 2
    return next(grey for grey in range(256) if sum(histogram[: grey + 1]) >= half)
