"""The page without Python, in a browser without a network: numbers, controls, stories, address."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import initlab
from tests.browser.axe import assert_accessible
from tools.page import building, packing
from tools.page.__main__ import LARGEST
from tools.page.grid import DRAWN, PREDICTED, Grid, measure

pytestmark = pytest.mark.browser

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1440, "height": 1000}}
#: with copies, an overflow of relu, theory that speaks, and theory that is silent
SMALL = Grid(
    activations=("tanh", "relu"),
    initializers=("constant", "glorot_normal", "he_normal"),
    gains=(0.3, 1.0, 1e4),
    seeds=(0, 1),
    depths=(3, 12),
    width=16,
    examples=32,
)
OVERFLOW = "#activation=relu&initializer=he_normal&depth=12&gain=10000&seed=0"
#: half a step of packing, and what two ways to add up float32 numbers of 12 layers part by
TOLERANCE = packing.LARGEST_ERROR + 1e-3


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    """The address of a page of few settings."""
    file = tmp_path_factory.mktemp("page") / "initlab.html"
    file.write_text(building.build(measure(SMALL)), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def open_page(browser: Browser):
    """A function that opens an address without any network; what goes wrong fails the test."""
    contexts, wrong = [], []

    def open_page(address: str, size: str = "desktop", scheme: str = "light") -> Page:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
        context.set_offline(True)
        context.on("request", lambda request: _only_files(request.url, wrong))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.goto(address)
        page.locator("html[data-ready]").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _only_files(url: str, wrong: list[str]) -> None:
    if not url.startswith(("file:", "data:", "blob:")):
        wrong.append(f"asked the network for {url}")


def sentence(page: Page):
    return page.locator("#sentence")


def lines(page: Page) -> list[str]:
    """The paths of all curves that are drawn."""
    return page.locator(".chart .mark-line path").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d'))"
    )


def shown_curve(page: Page, name: str, setting: initlab.Setting) -> np.ndarray:
    """A curve of the page's own store; infinite values and missing ones travel as text."""
    keys = {key: getattr(setting, key) for key in ("activation", "initializer", "depth", "gain")}
    told = page.evaluate(
        "([name, setting]) => initlab.numbers.curve(name, setting).map(String)",
        [name, keys | {"seed": setting.seed}],
    )
    return np.array([float(value.replace("Infinity", "inf")) for value in told])


def assert_measured(page: Page, grid: Grid, place: tuple[int, ...], slack: int = 0) -> None:
    """What the page has of a setting is what probe, predict and diagnose say of it.

    ``slack`` is by how many neurons a count may differ: two that are as far apart as the bound at
    which they count as different fall on one side of it or the other by rounding.
    """
    setting, batch = grid.setting(place), grid.batch
    activation, initializer, gain, seed, depth = place
    asked = initlab.Setting(
        depth=grid.depths[depth],
        activation=grid.activations[activation],
        initializer=grid.initializers[initializer],
        gain=grid.gains[gain],
        seed=grid.seeds[seed],
    )
    signals, theory = initlab.probe(setting, batch), initlab.predict(setting, batch)
    for field in DRAWN:
        tolerance = {"atol": slack} if field in packing.COUNTS else {"rtol": TOLERANCE}
        shown, expected = shown_curve(page, field, asked), getattr(signals, field)
        tolerance = {"rtol": 0} | tolerance | {"err_msg": f"{setting} {field}"}
        np.testing.assert_allclose(shown, expected, **tolerance)
    for field in PREDICTED:
        low, high = theory.band(field)
        for end, expected in (("mean", getattr(theory, field)), ("low", low), ("high", high)):
            shown = shown_curve(page, f"{field}.{end}", asked)
            np.testing.assert_allclose(shown, expected, rtol=packing.LARGEST_ERROR + 1e-9)
    row = np.ravel_multi_index(place, grid.shape)
    verdict = page.evaluate(f"initlab.numbers.verdicts[{row}]")
    said = str(initlab.diagnose(signals))
    assert re.sub(r"[\d.e+-]+", "#", verdict) == re.sub(r"[\d.e+-]+", "#", said), setting


def test_every_number_is_what_probe_measures(small, open_page):
    page = open_page(small)
    for place in np.ndindex(SMALL.shape):
        if sum(place) % 2:  # half of them, in which each position of each control has a part
            assert_measured(page, SMALL, place)


def test_the_table_tells_the_numbers(small, open_page):
    page = open_page(f"{small}#activation=tanh&initializer=glorot_normal&depth=3&gain=0.3&seed=1")
    table = page.locator("#numbers-table")
    expect(table.locator("tbody tr")).to_have_count(0)  # nothing is filled in that nobody sees
    table.get_by_text("The numbers, as a table").click()
    expect(table.locator("tbody tr")).to_have_count(4)
    setting = initlab.Setting(3, 16, "tanh", "glorot_normal", gain=0.3, seed=1)
    signals = initlab.probe(setting, SMALL.batch)
    last = [float(text) for text in table.locator("tbody tr").last.locator("td").all_inner_texts()]
    expected = [signals.activation_variance[-1], signals.gradient_second_moment[-1]]
    # two digits: half of a tenth, of a number from 1 to 10
    np.testing.assert_allclose(last[0:4:2], expected, rtol=TOLERANCE + 0.05)
    assert last[4] == signals.distinct_neurons[-1]
    expect(table.locator("#other-verdicts")).to_contain_text("Seed 0:")


@pytest.mark.parametrize("size", SIZES)
def test_every_control_is_reached_and_moved_by_keyboard(small, open_page, size):
    page = open_page(small, size)
    page.get_by_text("Story 3").focus()
    for name, key in (
        ("activation", "ArrowDown"),
        ("initializer", "ArrowDown"),
        ("depth", "ArrowLeft"),
        ("gain", "ArrowLeft"),
        ("seed", "ArrowRight"),
        ("theory", " "),
        ("others", " "),
    ):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == name
        before, said = lines(page), sentence(page).inner_text()
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) != "none", f"nothing shows that {name} has the focus"
        page.keyboard.press(key)
        page.wait_for_function(
            "before => Array.from(document.querySelectorAll('.chart .mark-line path'),"
            " path => path.getAttribute('d')).join() !== before",
            arg=",".join(before),
        )
        if key != " ":
            expect(sentence(page)).not_to_have_text(said)
    page.keyboard.press("Tab")
    pin = page.get_by_role("button", name="Pin in grey")
    expect(pin).to_be_focused()
    page.keyboard.press("Enter")
    expect(pin).to_have_attribute("aria-pressed", "true")
    expect(sentence(page)).to_contain_text("In grey: Depth 3, width 16")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(sentence(page)).to_contain_text(
        "Depth 12, width 16, tanh, glorot_normal, gain 1, seed 0"
    )


def test_sliders_say_their_values(small, open_page):
    page = open_page(small)
    for name, value in (("Depth", "12"), ("Gain", "1")):
        slider = page.get_by_role("slider", name=name)
        expect(slider).to_have_attribute("aria-valuetext", value)
        slider.press("Home")
        expect(slider).not_to_have_attribute("aria-valuetext", value)
    assert page.locator("#depth-value").inner_text() == "3"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_accessible_and_fits_the_screen(small, open_page, screenshot, size, scheme):
    page = open_page(small + OVERFLOW, size, scheme)
    assert_accessible(page)
    for story in page.locator(".story").all():
        story.locator("summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Set the controls, and look").click()
    page.locator(".story[open]").get_by_text("Explain", exact=True).click()
    page.get_by_text("The numbers, as a table").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert_accessible(page)
    screenshot(f"page-{size}-{scheme}", page)


def test_the_page_and_its_curves_are_dark_in_the_dark(small, open_page):
    def colors(scheme: str) -> list[str]:
        return open_page(small, scheme=scheme).evaluate(
            "[getComputedStyle(document.body).backgroundColor, ...['.mark-line path',"
            " '.role-axis-label text'].map(name => document.querySelector(`.chart ${name}`))"
            ".map(mark => getComputedStyle(mark)).flatMap(style => [style.stroke, style.fill])]"
        )

    light, dark = colors("light"), colors("dark")
    assert light[0] == "rgb(255, 255, 255)" and dark[0] == "rgb(17, 17, 17)"
    assert light[1] != dark[1] and light[4] != dark[4]


def test_overflow_and_zeros_are_drawn_at_the_edge_and_named(small, open_page):
    page = open_page(small + OVERFLOW)
    first = initlab.probe(SMALL.setting((1, 2, 2, 0, 1)), SMALL.batch).first_overflow
    assert first is not None
    expect(page.locator("#remark-variance")).to_have_text(f"overflow at layer {first}")
    expect(sentence(page)).to_contain_text("Numerical overflow")
    assert page.locator("#chart-variance .mark-symbol.role-mark path").count() > 0
    # a page that is open follows its address, too
    page.evaluate("location.hash = 'activation=tanh&initializer=constant&gain=0.3&depth=12'")
    expect(page.locator("#remark-gradient")).to_have_text("exactly 0 in layers 1 to 12")
    expect(sentence(page)).to_contain_text("1 distinct neuron among 16")
    expect(sentence(page)).to_contain_text("Theory is silent here.")
    assert page.locator("#chart-gradient .mark-symbol.role-mark path").count() > 0


def test_the_address_holds_the_state(small, open_page):
    page = open_page(small)
    page.get_by_label("Initializer").select_option("he_normal")
    page.get_by_role("button", name="Pin in grey").click()
    page.get_by_role("slider", name="Gain").press("Home")
    page.get_by_role("checkbox", name="theory").uncheck()
    expect(page).to_have_url(re.compile("initializer=he_normal.*gain=0.3.*theory=off.*pinned="))
    said, drawn, address = sentence(page).inner_text(), lines(page), page.url
    again = open_page(address)
    expect(sentence(again)).to_have_text(said)
    assert lines(again) == drawn


def test_an_address_that_asks_for_what_is_not_there_gets_the_nearest_and_a_word(small, open_page):
    page = open_page(f"{small}#activation=swish&depth=10&gain=none&seed=1")
    said = sentence(page)
    expect(said).to_contain_text("There is no activation “swish” here.")
    expect(said).to_contain_text("This page has no depth 10; the nearest is 12.")
    expect(said).to_contain_text("There is no gain “none” here.")
    expect(said).to_contain_text("Depth 12, width 16, tanh, glorot_normal, gain 1, seed 1.")


def test_a_story_asks_shows_and_explains(small, open_page):
    page = open_page(small, "phone")
    story = page.locator(".story").first
    story.locator("summary").first.click()
    feedback = story.get_by_role("status")
    expect(feedback).to_be_hidden()
    question = initlab.teaching.questions()["start-copies"]
    story.get_by_label(question.choices[0].text).check()
    expect(feedback).to_be_hidden()  # the picture answers first
    story.get_by_role("button").click()
    expect(sentence(page)).to_contain_text("constant, gain 0.3")
    expect(feedback).to_contain_text("Not so. Training does move them.")
    story.get_by_label(question.choices[1].text).check()
    expect(feedback).to_contain_text("Right.")
    explanation = story.get_by_text("Two neurons of a layer read the same inputs.")
    expect(explanation).to_be_hidden()
    story.get_by_text("Explain", exact=True).click()
    expect(explanation).to_be_visible()


def test_on_paper_the_picture_is_light_and_within_the_page(small, open_page):
    page = open_page(small, scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.get_by_role("slider", name="Gain")).to_be_hidden()
    expect(sentence(page)).to_be_visible()


def milliseconds_a_move(page: Page, moves: int = 20) -> float:
    """What one move of the gain takes of the page's own thread, picture and all, on average.

    It is that thread's processor time, which other programs on the machine do not add to.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    slider = page.get_by_role("slider", name="Gain")
    slider.press("Home")
    page.wait_for_timeout(500)
    before = spent()
    for _ in range(moves):
        said = sentence(page).inner_text()
        slider.press("ArrowRight" if slider.input_value() == "0" else "ArrowLeft")
        expect(sentence(page)).not_to_have_text(said)
    return 1000 * (spent() - before) / moves


@pytest.mark.slow
def test_the_whole_page_is_small_complete_and_true(tmp_path, open_page):
    grid = Grid()
    file = tmp_path / "initlab.html"
    file.write_text(building.build(measure(grid)), encoding="utf-8")
    assert file.stat().st_size < LARGEST
    page = open_page(file.as_uri(), "phone")
    axes = json.loads(page.evaluate("JSON.stringify(initlab.numbers.axes)"))
    starts = [row["name"] for row in initlab.initializers()]
    assert set(starts) - set(axes["initializer"]) == {"metainit", "gradinit"}
    assert axes["activation"] == [row["name"] for row in initlab.activations()]
    assert page.evaluate("initlab.numbers.verdicts.length") == np.prod(grid.shape)
    assert milliseconds_a_move(page) < 50  # what still seems to be at once
    generator = np.random.default_rng(0)
    for row in generator.choice(np.prod(grid.shape), 60, replace=False):
        place = tuple(map(int, np.unravel_index(row, grid.shape)))
        assert_measured(page, grid, place, slack=4)
