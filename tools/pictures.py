"""Make the README's pictures from the explorer as it runs in JupyterLab: `make pictures`."""

import io
import re
import tempfile
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tools import chromium, lab

FOLDER = lab.ROOT / "docs" / "pictures"
VIEWPORT = {"width": 1330, "height": 900}
LARGEST = 1_500_000  # bytes together: a README must open fast
STILLS = {
    "collapse": {"initializer": "constant", "activation": "tanh", "gain": 0.3, "depth": 30},
    "vanish": {"initializer": "glorot_normal", "activation": "tanh", "gain": 0.5, "depth": 30},
    "fit": {"initializer": "he_normal", "activation": "relu", "width": 256, "depth": 30},
}
FIRST, LAST, STEP = 2, 50, 2  # depths of the animated drag
FRAME = 120  # milliseconds


def open_explorer(page: Page, server: lab.Lab, folder: Path, name: str, arguments: str) -> None:
    """Open a notebook of one cell, run it, and wait until the picture is there."""
    cell = nbformat.v4.new_code_cell(f"import initlab\n\ninitlab.explore({arguments})")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / f"{name}.ipynb")
    page.goto(server.url(f"{name}.ipynb"))
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_role("status").filter(has_text="Depth").first.wait_for()


def shoot(page: Page, depth: int) -> Image.Image:
    """The explorer's part of the page, once it shows this depth."""
    page.get_by_role("status").filter(has_text=f"Depth {depth},").first.wait_for()
    page.wait_for_timeout(700)  # until the hand has rested and the sharper picture is there
    shown = page.locator(".jp-OutputArea-output").filter(has=page.locator("img")).first
    return Image.open(io.BytesIO(shown.screenshot(animations="disabled"))).convert("RGB")


def pictures(page: Page, server: lab.Lab, folder: Path) -> None:
    """Write the stills and the animation to the folder of pictures."""
    for name, setting in STILLS.items():
        words = [f"{key}={value!r}" for key, value in setting.items()]
        open_explorer(page, server, folder, name, ", ".join(["max_depth=50", *words]))
        shoot(page, setting["depth"]).save(FOLDER / f"{name}.png", optimize=True)
    open_explorer(page, server, folder, "drag", f"depth={FIRST}, max_depth={LAST}, gain=0.7")
    frames = [shoot(page, FIRST)]
    handle = page.locator(".widget-slider").first.get_by_role("slider")
    handle.focus()
    for depth in range(FIRST + STEP, LAST + 1, STEP):
        for _ in range(STEP):
            page.keyboard.press("ArrowRight")
        frames.append(shoot(page, depth))
    # one palette for all frames: colours that changed between them would flicker
    palette = frames[-1].quantize(255, method=Image.Quantize.MAXCOVERAGE)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    first.save(
        FOLDER / "drag.gif",
        save_all=True,
        append_images=[*rest, *rest[-2::-1]],
        duration=FRAME,
        loop=0,
        optimize=True,
    )


def main() -> None:
    """Start JupyterLab and a browser, and make the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        folder = Path(home) / "notebooks"
        folder.mkdir()
        with lab.running(folder, Path(home)) as server:
            browser = playwright.chromium.launch(
                executable_path=chromium.find(), args=chromium.OPTIONS
            )
            page = browser.new_page(viewport=VIEWPORT)
            page.set_default_timeout(60_000)
            pictures(page, server, folder)
            browser.close()
    sizes = {path.name: path.stat().st_size for path in sorted(FOLDER.iterdir())}
    print(*(f"{size:9,d} {name}" for name, size in sizes.items()), sep="\n")
    if sum(sizes.values()) > LARGEST:
        raise SystemExit(f"{sum(sizes.values()):,d} bytes together, of at most {LARGEST:,d}")


if __name__ == "__main__":
    main()
