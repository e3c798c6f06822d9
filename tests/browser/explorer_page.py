"""An explorer on a page, whatever serves it: its parts, by what a reader sees of them."""

import re

import nbformat
from playwright.sync_api import Locator, Page, expect

from tools import lab

MILLISECONDS = 60_000  # far more than anything takes: a slow machine must not fail a test
expect.set_options(timeout=MILLISECONDS)


def write(server: lab.Lab, name: str, *cells: str) -> None:
    """Put a notebook of these cells into the folder that is served."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
    )
    content = {"type": "notebook", "format": "json", "content": notebook}
    server.ask(f"api/contents/{name}", "PUT", content)


def open_lab(page: Page, server: lab.Lab, name: str, *cells: str) -> None:
    """Open a notebook of these cells in JupyterLab, alone, and run them."""
    write(server, name, *cells)
    page.goto(server.url(name))
    run_all(page)


def run_all(page: Page) -> None:
    """Run all cells once the kernel is ready, and wait until they are done."""
    wait_for_kernel(page)
    choose(page, "Run", "Run All Cells")
    wait_until_done(page)


def wait_for_kernel(page: Page) -> None:
    """Wait for the words in the status bar; the circle above looks idle without a kernel, too."""
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for()


def wait_until_done(page: Page, milliseconds: int = MILLISECONDS) -> None:
    """Wait until no cell runs or waits to run: those show [ ] or [*]; an error says which do."""
    prompts = page.locator(".jp-InputPrompt", has_text=re.compile(r"\[[ *]?\]"))
    not_done = page.locator(".jp-CodeCell").filter(has=prompts)
    try:
        expect(not_done).to_have_count(0, timeout=milliseconds)
    except AssertionError as late:
        late.add_note("not done:\n" + "\n---\n".join(not_done.all_inner_texts()))
        raise


def choose(page: Page, menu: str, entry: str) -> None:
    """Choose an entry of the menu bar, where its keys may stand beside it."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    name = re.compile(rf"^{re.escape(entry)}( \w, \w)?$")
    page.get_by_role("menuitem", name=name).click()


class Shown:
    """One explorer of a page."""

    def __init__(self, page: Page, turn: int = 0):
        self.page = page
        self.root = page.locator(".initlab").nth(turn)
        self.image = self.root.locator("img.widget-image")
        self.status = self.root.get_by_role("status")
        self.buttons = self.root.get_by_role("button")

    def wait(self, text: str | re.Pattern = "Depth") -> "Shown":
        """Wait until the sentence contains a text."""
        expect(self.status).to_contain_text(text)
        return self

    def rest(self) -> "Shown":
        """Wait until the sharper picture is there, which follows when the hand stops."""
        self.page.wait_for_function(
            "image => image.naturalWidth > 1.5 * parseFloat(image.style.width)",
            arg=self.image.element_handle(),
        )
        return self

    def handle(self, name: str) -> Locator:
        """What of a slider takes keyboard and mouse."""
        label = self.page.locator(".widget-label", has_text=re.compile(rf"^\s*{name}\s*$"))
        slider = self.root.locator(".widget-slider").filter(has=label)
        return slider.locator(".noUi-handle, .ui-slider-handle")

    def button(self, name: str) -> Locator:
        """A button by what stands on it."""
        return self.root.get_by_role("button", name=name)

    def press(self, name: str, key: str, times: int = 1) -> None:
        """Move a slider by the keyboard."""
        self.handle(name).focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def drag(self, name: str, pixels: int, steps: int = 20) -> None:
        """Move a slider by the mouse, which stays down."""
        box = self.handle(name).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for step in range(1, steps + 1):
            self.page.mouse.move(x + pixels * step / steps, y)
            self.page.wait_for_timeout(16)

    def pixels(self) -> str:
        """What the picture shows: a digest of its bytes, whatever address they came under."""
        return self.image.evaluate(
            """async image => {
                const bytes = async (tries) => {
                    try {
                        return await (await fetch(image.src)).arrayBuffer();
                    } catch (error) {  // the next picture took its place, and its address
                        if (!tries) throw error;
                        await new Promise(requestAnimationFrame);
                        return bytes(tries - 1);
                    }
                };
                const digest = await crypto.subtle.digest('SHA-1', await bytes(20));
                return Array.from(new Uint8Array(digest)).join();
            }"""
        )

    def expect_other_pixels(self, before: str) -> None:
        """Wait until the picture is another one."""
        for _ in range(MILLISECONDS // 100):
            if self.pixels() != before:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError("the picture did not change")
