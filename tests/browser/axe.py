"""What axe-core finds amiss on a page for who hears it, enlarges it, or has the keyboard alone."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")


def assert_accessible(page: Page, within: str | None = None) -> None:
    """Fail, naming rule and element, where the page, or a part of it, has a grave violation."""
    found = Axe().run(page, context=within).response
    assert found["passes"], "axe-core looked at nothing"
    grave = [
        f"{violation['id']} ({violation['impact']}): {violation['help']}\n    {node['html'][:300]}"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
    assert grave == [], "\n".join(grave)
