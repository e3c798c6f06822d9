"""From a slider's event to new pixels, in JupyterLab and Chromium on this machine.

Four ways to a live picture are cells of one notebook (``live_ways`` has them) and are driven in
turn by the keyboard. Time runs in the page: from the key's own time stamp until the frame after
the new picture was decoded has been painted. Then the explorer alone: a drag with the mouse, a
thousand moves, first frames in fresh kernels, and what ``import initlab`` adds.
"""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.harness import Row, milliseconds, percentile
from benchmarks.live_page import Notebook
from tools import chromium, lab

SIZES = ((20, 128), (50, 256))  # depth, width; the targets are for the first
BLOCKS, PRESSES = 6, 12  # of keys, for each way; half of the presses go back
WAYS = ("floor", "explorer", "persistent", "usual")  # of live_ways; not imported: pyplot is slow
DRAG_EVENTS, DRAG_SECONDS = 300, 5.0
MOVES = 1000
FRESH_KERNELS = 3
IMPORTS = 5
MEBIBYTE = 2**20
VIEWPORT = {"width": 1440, "height": 1000}


def run() -> list[Row]:
    """All rows; takes about six minutes."""
    found = chromium.find()
    if found is None:
        return [Row("no Chromium was found: nothing was measured", "", "", False)]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        (home / "notebooks").mkdir()
        with lab.running(home / "notebooks", home) as server, contextlib.ExitStack() as stack:
            browser = playwright.chromium.launch(executable_path=found, args=chromium.OPTIONS)
            stack.callback(browser.close)
            page = browser.new_page(viewport=VIEWPORT)
            page.set_default_timeout(120_000)
            rows = []
            for depth, width in SIZES:
                rows += event_to_pixel(page, server, home, depth, width)
            rows += play(page, server, home)
            rows += first_frames(page, server, home)
    return rows + import_time()


# --- from event to pixel -------------------------------------------------------------------------


def event_to_pixel(page, server, home: Path, depth: int, width: int) -> list[Row]:
    """All ways at one size, in turn."""
    first = "\n".join(
        [f"import sys; sys.path.insert(0, {str(lab.ROOT)!r})", "from benchmarks import live_ways"]
    )
    cells = [first, *(f"live_ways.WAYS[{way!r}]({depth}, {width})" for way in WAYS)]
    notebook = Notebook(page, server, home, f"ways-{depth}", cells)
    notebook.run()
    notebook.ask("None", "live_ways.when_warm()")
    seconds = {way: [] for way in WAYS}
    for block in range(BLOCKS):
        for way in WAYS[:: 1 if block % 2 else -1]:
            seconds[way] += press(notebook, WAYS.index(way) + 1)
    notebook.close()
    return pixel_rows(seconds, f"depth {depth}, width {width}: ", (depth, width) == SIZES[0])


def press(notebook: Notebook, cell: int) -> list[float]:
    """Seconds from key to picture, for some steps up and as many down."""
    page, output = notebook.page, notebook.output(cell)
    output.scroll_into_view_if_needed()
    output.evaluate("(root) => initlab.watch(root, false)")
    handle = notebook.handle(cell, "gain")
    handle.focus()
    seconds = []
    for turn in range(PRESSES + 2):
        picture = page.evaluate_handle("() => initlab.next()")
        page.keyboard.press("ArrowRight" if turn % (PRESSES + 2) <= PRESSES // 2 else "ArrowLeft")
        passed = picture.evaluate("async (it) => await it.picture - initlab.keyed")
        if turn > 1:  # the first two find caches in the hands of another way
            seconds.append(passed / 1e3)
        page.wait_for_timeout(50)
    page.wait_for_timeout(1200)  # the explorer's sharper picture comes, in nobody else's time
    return seconds


def pixel_rows(seconds: dict, where: str, targets: bool) -> list[Row]:
    """Rows of one size; the targets hold at one size only."""
    ours, floor, usual = seconds["explorer"], seconds["floor"], seconds["usual"]
    median, high = (1e3 * percentile(ours, share) for share in (0.5, 0.95))
    over = statistics.median(ours) / statistics.median(floor)
    faster = statistics.median(usual) / statistics.median(ours)

    def row(what, figure, target, met):
        return Row(where + what, figure, target if targets else "", met if targets else None)

    return [
        Row(f"{where}floor, ready-made pictures", milliseconds(floor)),
        row("explorer", milliseconds(ours), "<= 65 ms (p95 110)", median <= 65 and high <= 110),
        Row(f"{where}one figure, savefig", milliseconds(seconds["persistent"])),
        Row(f"{where}usual way, interact", milliseconds(usual)),
        row("explorer / floor", f"{over:.2f}", "<= 1.3", over <= 1.3),
        row("usual way / explorer", f"{faster:.1f}", ">= 3.5", faster >= 3.5),
    ]


# --- a drag, and a thousand moves ----------------------------------------------------------------


def play(page, server, home: Path) -> list[Row]:
    """One explorer: dragged by the mouse, then moved a thousand times."""
    depth, width = SIZES[0]
    lines = [
        f"import sys; sys.path.insert(0, {str(lab.ROOT)!r})",
        "from benchmarks import live_ways",
        f"explorer = live_ways.explorer({depth}, {width})",
        "explorer",
    ]
    notebook = Notebook(page, server, home, "play", ["\n".join(lines)])
    notebook.run()
    notebook.ask("None", "explorer.warm_up(); live_ways.when_warm()")
    notebook.ask("None", "watch = live_ways.Watch(explorer)")
    rows = drag(notebook) + thousand_moves(notebook)
    notebook.close()
    return rows


def drag(notebook: Notebook) -> list[Row]:
    """Take the depth slider from one end to the other and back, at an even pace."""
    page, output = notebook.page, notebook.output(0)
    output.evaluate("(root) => initlab.watch(root, true)")
    handle = notebook.handle(0, "depth")
    track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]").bounding_box()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    began = time.perf_counter()
    for event in range(DRAG_EVENTS):
        share = 1 - abs(1 - 2 * event / DRAG_EVENTS) if event < DRAG_EVENTS - 1 else 0.15
        page.mouse.move(track["x"] + share * track["width"], y)
        ahead = began + (event + 1) * DRAG_SECONDS / DRAG_EVENTS - time.perf_counter()
        time.sleep(max(ahead, 0))
    took = time.perf_counter() - began  # longer where the browser takes moves more slowly
    page.wait_for_timeout(1500)
    page.mouse.up()
    last = int(float(handle.get_attribute("aria-valuenow")))
    shown = page.evaluate("initlab.shown")
    ended = page.evaluate("initlab.moved")
    known = match(shown, notebook.ask("watch.frames"))
    in_order = None not in known and known[-1] == last
    # the explorer draws the last position once more, sharper, when the hand rests
    final = [frame["at"] for frame, depth in zip(shown, known, strict=True) if depth == last]
    lag = min([at for at in final if at >= ended] or final[-1:] or [float("inf")]) - ended
    during = len({frame["digest"] for frame in shown if frame["at"] <= ended + 150})
    where = f"drag, {DRAG_EVENTS} events in {DRAG_SECONDS:g} s: "
    return [
        Row(f"{where}last picture after last event", f"{lag:.0f} ms", "<= 150 ms", lag <= 150),
        Row(f"{where}pictures in order, the last of the last", str(in_order), "True", in_order),
        Row(f"{where}distinct pictures shown", str(during), ">= 20", during >= 20),
        Row(f"{where}seconds that the browser took for them", f"{took:.1f}"),
    ]


def match(shown: list[dict], made: list[tuple[str, int]]) -> list[int | None]:
    """The depth that each shown picture is of; None if it was made before the one shown before."""
    depths, turn = [], 0
    for frame in shown:
        later = [index for index in range(turn, len(made)) if made[index][0] == frame["digest"]]
        depths.append(made[later[0]][1] if later else None)
        turn = later[0] + 1 if later else turn
    return depths


def thousand_moves(notebook: Notebook) -> list[Row]:
    """Move five controls at random by the keyboard; wait for each picture's sentence."""
    page, output = notebook.page, notebook.output(0)
    sliders = {name: notebook.handle(0, name) for name in ("depth", "gain", "bias")}
    choice = random.Random(0)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    status = output.get_by_role("status")
    before = None
    began = time.perf_counter()
    for move in range(MOVES + 50):
        if move == 50:  # what is drawn in the page for the first time is there by then
            filled = notebook.ask("live_ways.fill_caches(explorer)") / MEBIBYTE
            before = notebook.ask("watch.counts()")
        name = choice.choice([*sliders, "activation", "initializer"])
        sentence = status.inner_text()
        if name in sliders:
            sliders[name].focus()
            page.keyboard.press(choice.choice(["ArrowLeft", "ArrowRight", "PageUp", "PageDown"]))
        else:
            options = output.locator(".widget-dropdown", has_text=name).locator("select")
            entries = options.locator("option").all_inner_texts()
            options.select_option(choice.choice(entries))
        with contextlib.suppress(Exception):  # at the end of a slider nothing moves
            status.filter(has_not_text=sentence).wait_for(timeout=250)
        if "Error" in status.inner_text():
            problems.append(status.inner_text())
    compiled = ", ".join(notebook.ask("watch.compiled"))
    minutes = (time.perf_counter() - began) / 60
    after = notebook.ask("watch.counts()")
    grown = {name: after[name] - before[name] for name in before}
    shown = output.locator(".jp-OutputArea-child").count()
    memory = grown.pop("memory") / MEBIBYTE
    where = f"{MOVES:,} moves: "
    return [
        Row(f"{where}minutes", f"{minutes:.1f}"),
        Row(f"{where}exceptions", str(len(problems)), "0", not problems),
        Row(f"{where}caches of draws filled, before", f"{filled:.1f} MiB"),
        Row(f"{where}growth of memory", f"{memory:.1f} MiB", "< 20 MiB", memory < 20),
        Row(f"{where}compilations", compiled or "0", "0", not compiled),
        *(Row(f"{where}growth of {name}", str(n), "0", n == 0) for name, n in grown.items()),
        Row(f"{where}outputs in the cell", str(shown), "1", shown == 1),
    ]


# --- beginnings ----------------------------------------------------------------------------------


def first_frames(page, server, home: Path) -> list[Row]:
    """From running the cell to the first picture, in kernels that have imported nothing."""
    seconds = []
    for turn in range(FRESH_KERNELS):
        cell = "import initlab\n\ninitlab.explore()"
        notebook = Notebook(page, server, home, f"fresh-{turn}", [cell])
        page.locator(".jp-CodeCell .cm-content").first.click()
        began = page.evaluate("() => { initlab.began = performance.now(); return initlab.began; }")
        page.keyboard.press("Shift+Enter")
        notebook.output(0).get_by_role("status").filter(has_text="Depth").wait_for()
        seconds.append((page.evaluate("performance.now()") - began) / 1e3)
        notebook.close()
    median = statistics.median(seconds)
    listed = ", ".join(f"{one:.1f}" for one in seconds)
    return [Row("first frame, cold", f"{median:.1f} s ({listed})", "<= 4 s", median <= 4)]


def import_time() -> list[Row]:
    """What the import of initlab adds to those of JAX and matplotlib."""
    code = (
        "import time, jax, matplotlib; began = time.perf_counter(); import initlab;"
        " print(time.perf_counter() - began)"
    )
    environment = os.environ | {"PYTHONPATH": str(lab.ROOT)}
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", code], env=environment))
        for _ in range(IMPORTS)
    ]
    median = statistics.median(seconds)
    return [Row("import initlab, added", f"{median:.2f} s", "<= 0.3 s", median <= 0.3)]
