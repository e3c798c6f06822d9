"""Slide shows, opened from disk without a network, and stepped through by keyboard."""

import re

import nbformat
import pytest
from playwright.sync_api import Page, expect

from initlab import teaching
from tests.browser.axe import assert_accessible
from tools import slides

pytestmark = pytest.mark.browser

PROJECTOR = {"width": 1280, "height": 720}
LARGE_PROJECTOR = {"width": 1920, "height": 1080}
NAMES = [path.stem for path in sorted(slides.NOTEBOOKS.glob("*.ipynb"))]
JUDGED = (0, 3, 4)  # slides of both shows that are stepped through: a title, pictures, code
READY = "window.Reveal?.isReady?.() && Reveal.getCurrentSlide().style.fontSize"  # set to fit
OWN = ("file:", "data:", "about:")  # addresses that no network is asked for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    slides.copy_scripts(folder)
    return folder


@pytest.fixture
def open_show(browser, folder):
    """A function that opens a show, which may ask for nothing but files, and must not fail."""
    pages, amiss = [], []

    def note_request(request):
        if not request.url.startswith(OWN):
            amiss.append(request.url)

    def note_failure(request):
        # axe-core asks for style sheets by XHR, which files refuse; MathJax for a font of no glyphs
        if request.resource_type != "xhr" and request.url != "about:blank":
            amiss.append(f"{request.failure}: {request.url}")

    def open_show(name: str, viewport=PROJECTOR) -> Page:
        page = browser.new_page(viewport=viewport, offline=True, reduced_motion="reduce")
        pages.append(page)
        page.on("pageerror", lambda error: amiss.append(error))
        page.context.on("request", note_request)
        page.context.on("requestfailed", note_failure)
        page.goto((folder / f"{name}.html").as_uri())
        page.wait_for_function(READY)
        return page

    yield open_show
    for page in pages:
        page.context.close()
    assert amiss == []


def notebook(name: str):
    return nbformat.read(slides.NOTEBOOKS / f"{name}.ipynb", as_version=4)


def steps(page: Page, key: str):
    """Press a key until the show is at its end; after each new slide, its number."""
    number = 0
    yield number
    for _ in range(300):
        if page.evaluate("Reveal.isLastSlide() && !Reveal.availableFragments().next"):
            return
        page.keyboard.press(key)
        if page.evaluate("Reveal.getSlidePastCount()") != number:
            number = page.evaluate("Reveal.getSlidePastCount()")
            yield number
    raise AssertionError(f"{key} does not lead to the last slide")


def assert_legible(page: Page) -> None:
    """The slide that is shown fits, or scrolls and says so; nothing is cut at its sides."""
    found = page.evaluate(
        """() => {
            const slide = Reveal.getCurrentSlide();
            const width = slide.getBoundingClientRect().width;
            return {
                scrolls: slide.scrollHeight > slide.clientHeight + 5,
                told: document.querySelector(".more").classList.contains("shown"),
                reached: slide.tabIndex === 0,
                cut: [...slide.querySelectorAll("pre, table, img")]
                    .filter(part => part.scrollWidth > part.clientWidth + 1
                        || part.getBoundingClientRect().right > width)
                    .map(part => part.outerHTML.slice(0, 200)),
                type: parseFloat(getComputedStyle(slide).fontSize),
            };
        }"""
    )
    assert found["scrolls"] == found["told"] == found["reached"]
    assert found["cut"] == []
    assert found["type"] >= 22  # of 720: at three times a slide's height away, still 0.6 degrees


def assert_typeset(page: Page) -> None:
    """Formulas are typeset, and no dollar sign is left of them."""
    texts = page.locator(".slides .jp-RenderedMarkdown").evaluate_all(
        """parts => parts.map(part => {
            const copy = part.cloneNode(true);
            copy.querySelectorAll("script, code, pre").forEach(code => code.remove());
            return copy.textContent;
        })"""
    )
    assert [text for text in texts if "$" in text] == []
    expect(page.locator(".MathJax_Error, .MathJax .merror")).to_have_count(0)


@pytest.mark.parametrize(("name", "key"), [(NAMES[0], "Space"), (NAMES[1], "ArrowRight")])
def test_a_show_is_stepped_through_by_keyboard(open_show, folder, screenshot, name, key):
    slides.make(slides.NOTEBOOKS / f"{name}.ipynb", folder)
    page = open_show(name)
    assert page.locator(".MathJax").count() > 3
    assert_typeset(page)
    begun = [slides.slide_type(cell) in ("slide", "subslide") for cell in notebook(name).cells]
    seen = 0
    for number in steps(page, key):
        seen += 1
        assert number == seen - 1, "a slide was left out"
        assert_legible(page)
        if number in JUDGED:
            assert_accessible(page)
            screenshot(f"{name}-{number}", page)
    assert seen == sum(begun)


def test_what_a_room_need_not_see_is_not_there(open_show, folder):
    slides.make(slides.NOTEBOOKS / "01_symmetry.ipynb", folder)
    page = open_show("01_symmetry")
    text = page.locator(".slides").evaluate("slides => slides.textContent")
    for needless in ("In [", "Out[", "google.colab", "teaching.ask", "initlab.explore(", "Binder"):
        assert needless not in text
    written = [
        output.metadata["image/png"]["alt"]
        for cell in notebook("01_symmetry").cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(written) == 4
    assert page.locator("img").evaluate_all("images => images.map(image => image.alt)") == written
    link = page.get_by_role("link", name="02_variance", include_hidden=True)
    expect(link).to_have_attribute("href", "02_variance.html")


def test_the_speakers_window_has_the_plan_and_the_answers(open_show, folder, screenshot):
    slides.make(slides.NOTEBOOKS / "01_symmetry.ipynb", folder)
    page = open_show("01_symmetry")
    page.keyboard.press("Space")
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    notes = speaker.locator(".speaker-controls-notes .value")
    expect(notes).to_contain_text("Plan, 45 minutes")
    page.keyboard.press("Space")
    right = [choice.right for choice in teaching.questions()["symmetry-copies"].choices]
    letter = "ABC"[right.index(True)]
    expect(notes).to_contain_text(re.compile(rf"{letter}, right\. Equal neurons get equal"))
    zeros = page.locator("section > section", has=page.locator("h2", has_text="Zeros"))
    zeros.evaluate("slide => Reveal.slide(Reveal.getIndices(slide).h, Reveal.getIndices(slide).v)")
    expect(notes.locator("math").first).to_be_visible()  # a formula, without MathJax there
    expect(notes.locator(".MathJax, .MathJax_Preview")).to_have_count(0)
    screenshot("speaker", speaker)


def test_a_slide_that_is_taller_than_the_show_scrolls_before_the_next_comes(open_show, folder):
    page = open_written(open_show, folder, "\n".join(f"- line {i}" for i in range(60)))
    assert_legible(page)
    expect(page.locator(".more")).to_be_visible()
    assert_accessible(page)
    tops = []
    while page.evaluate("Reveal.getSlidePastCount()") == 0:
        tops.append(page.evaluate("Reveal.getCurrentSlide().scrollTop"))
        page.keyboard.press("Space")
    assert len(tops) > 2
    assert tops == sorted(set(tops)), "each key shows more"
    expect(page.locator(".more")).to_be_hidden()
    expect(page.get_by_text("the end", exact=True)).to_be_visible()


def test_a_solution_that_is_opened_can_be_read_to_its_end(open_show, folder):
    lines = "\n".join(f"line {i}\n" for i in range(30))
    page = open_written(
        open_show, folder, f"<details><summary>A solution</summary>\n\n{lines}</details>"
    )
    expect(page.locator(".more")).to_be_hidden()
    page.locator("summary").click()
    expect(page.locator(".more")).to_be_visible()
    assert_legible(page)


def open_written(open_show, folder, text: str) -> Page:
    """A show of two slides, the first of them as written."""
    cells = [f"# A title\n\n**Time:** 1 minute. {text}", "## The next\n\nthe end"]
    cells = [nbformat.v4.new_markdown_cell(source) for source in cells]
    for cell in cells:
        cell.metadata.slideshow = {"slide_type": "slide"}
    # a line under the first words, so that a list is one
    cells[0].source = cells[0].source.replace("minute. ", "minute.\n\n")
    path = folder / "written.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    slides.make(path, folder)
    return open_show("written")


def test_the_list_of_shows(open_show, folder):
    shows = [slides.make(slides.NOTEBOOKS / f"{name}.ipynb", folder) for name in NAMES[:2]]
    slides.write_contents(shows, folder)
    page = open_contents(open_show, folder)
    expect(page.get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("link").first).to_have_text(
        notebook(NAMES[0]).cells[0].source.splitlines()[0].removeprefix("# ")
    )
    expect(page.get_by_role("listitem").first).to_contain_text("20 minutes")
    assert_accessible(page)
    page.get_by_role("link").last.click()
    page.wait_for_function(READY)


def open_contents(open_show, folder) -> Page:
    page = open_show(NAMES[0])
    page.goto((folder / "index.html").as_uri())
    return page


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [PROJECTOR, LARGE_PROJECTOR], ids=["720", "1080"])
@pytest.mark.parametrize("name", NAMES)
def test_every_slide_of_every_show(open_show, folder, screenshot, name, viewport):
    slides.make(slides.NOTEBOOKS / f"{name}.ipynb", folder)
    page = open_show(name, viewport)
    assert_typeset(page)
    expect(page.locator("img:not([alt]), img[alt='']")).to_have_count(0)
    for link in page.locator("a[href]").evaluate_all("links => links.map(a => a.pathname)"):
        assert link.rpartition("/")[2].removesuffix(".html") in NAMES
    for number in steps(page, "Space"):
        assert_legible(page)
        assert_accessible(page)
        screenshot(f"{name}-{viewport['height']}-{number:02}", page)
