"""The documentation's site, read from files: no network, mathematics, search, and for everyone."""

import warnings

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import assert_accessible
from tools.site.__main__ import build

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # the site takes minutes to be made

PAGES = (
    "index",
    "course",
    "course/README",
    "course/02_variance",
    "course/05_orthogonal_and_recurrent",
    "how_to/index",
    "how_to/find_the_layer",
    "doctor",
    "catalogue/index",
    "catalogue/initializers/he_normal",
    "catalogue/activations/tanh",
    "reference/settings",
    "reference/theory",
    "design",
    "search",
)
PHONE = 390  # CSS pixels


@pytest.fixture(scope="module")
def site(chromium_path: str, tmp_path_factory: pytest.TempPathFactory):
    """The site; what asks for the browser does not build it in vain where there is none."""
    folder = tmp_path_factory.mktemp("site")
    with warnings.catch_warnings():
        # of extensions that call what Sphinx 11 gives up; Sphinx itself fails on its warnings
        for kind in (DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", kind)
        assert build(folder / "source", folder / "site") == 0
    return folder / "site"


@pytest.fixture
def requests(page: Page) -> list[str]:
    """Addresses that the page asks for, but for what MathJax makes of nothing."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def address(site, name: str) -> str:
    return (site / f"{name}.html").as_uri()


def test_nothing_is_asked_of_the_network(page, site, requests):
    for name in PAGES:
        page.goto(address(site, name))
        page.wait_for_load_state("networkidle")
    abroad = {url for url in requests if not url.startswith(("file:", "about:", "data:"))}
    assert len(requests) > len(PAGES) and abroad == set()


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("catalogue/initializers/he_normal", "article"),
        ("reference/theory", "article"),
        ("course/02_variance", "article"),
        ("course/04_activation_and_scale", ".cell_output"),  # tables that cells made
    ],
)
def test_mathematics_is_typeset(page, site, name, within):
    page.goto(address(site, name))
    typeset = page.locator(f"{within} .MathJax").first
    expect(typeset).to_be_attached()
    page.wait_for_function("MathJax.Hub.queue.pending === 0 && !MathJax.Hub.queue.running")
    assert page.locator(".MathJax_Error, .merror").count() == 0
    raw = page.locator("article").evaluate(
        """article => {
            const copy = article.cloneNode(true);
            copy.querySelectorAll('pre, code, script, .MathJax, .MathJax_Display')
                .forEach(one => one.remove());
            return copy.textContent.match(/\\\\[(\\[]|\\$[^$]+\\$/g) ?? []
        }"""
    )
    assert raw == []


def test_search_finds_an_initializer(page, site):
    page.goto(address(site, "index"))
    box = page.get_by_placeholder("Search").first
    box.fill("he_normal")
    box.press("Enter")
    results = page.locator("#search-results a")
    expect(results.first).to_have_text("he_normal")
    results.first.click()
    expect(page.locator("h1")).to_contain_text("he_normal")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(browser: Browser, site, scheme, screenshot):
    page = browser.new_page(viewport={"width": 1300, "height": 900}, color_scheme=scheme)
    for name in PAGES:
        page.goto(address(site, name))
        page.wait_for_load_state("networkidle")
        screenshot(f"site-{name.replace('/', '-')}-{scheme}", page)
        assert_accessible(page)
    page.close()


def test_a_phone_need_not_scroll_sideways(browser: Browser, site, screenshot):
    page = browser.new_page(viewport={"width": PHONE, "height": 844})
    for name in PAGES:
        page.goto(address(site, name))
        page.wait_for_load_state("networkidle")
        screenshot(f"site-{name.replace('/', '-')}-phone", page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, name
    page.close()
