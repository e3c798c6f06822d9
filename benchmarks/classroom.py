"""A class at the app: ``python -m benchmarks classroom --readers 20``.

All readers come at once. Then each drags a slider for a minute: it sends the next position when
the picture of the last one is there, ten times a second at most, as a hand and a page do. Two of
them are pages in Chromium, whose own drawing is so part of it; the others speak the same protocol
without a browser, since twenty browsers would need more of this machine than the app.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from playwright.async_api import async_playwright

from benchmarks.harness import Row, milliseconds, percentile
from tools import chromium
from tools.app import reader

DRAG_SECONDS = 60
MOVE_SECONDS = 0.1  # between two moves, at least
READY_SECONDS = 900  # for all kernels, on a slow machine
PAGES = 2
DEPTHS = (*range(3, 65), *range(63, 3, -1))  # there and back
MEGABYTE = 1e6


def run(readers: int = 20, seconds: float = DRAG_SECONDS) -> list[Row]:
    """Rows for one class; takes about four minutes."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with reader.running(Path(folder), f"--readers={readers}") as app:
            app.wait_for("Kernels that are ready", READY_SECONDS)
            prepared = time.perf_counter() - began
            ready, moves, kernels = asyncio.run(attend(app, readers, seconds))
    all_moves = [move for one in moves for move in one]
    slowest = max(percentile(one, 0.95) for one in moves)
    resident, shared = zip(*kernels, strict=True)
    where = f"{readers} readers: "
    return [
        Row(f"{where}load of the machine before (1 min)", f"{load:.1f} on {os.cpu_count()} cores"),
        Row(f"{where}kernels ready after start", f"{prepared:.0f} s"),
        Row(f"{where}all come at once: explorer there for the last", f"{max(ready):.1f} s"),
        Row(f"{where}all drag for {seconds:g} s: move to new picture", milliseconds(all_moves)),
        Row(f"{where}the same, 95th percentile of the slowest reader", f"{1e3 * slowest:.0f} ms"),
        Row(f"{where}pictures a second, together", f"{len(all_moves) / seconds:.0f}"),
        Row(f"{where}a kernel's resident memory", spread(resident)),
        Row(f"{where}a kernel's share of memory (PSS)", spread(shared)),
        Row(
            f"{where}kernels died",
            str(readers - len(kernels)),
            "0",
            len(kernels) == readers,
        ),
    ]


def spread(sizes) -> str:
    """Median and largest, in MB."""
    median, largest = statistics.median(sizes) / MEGABYTE, max(sizes) / MEGABYTE
    return f"{median:.0f} MB (largest {largest:.0f})"


async def attend(app: reader.App, readers: int, seconds: float):
    """Let all come, then drag; give seconds until ready, of moves, and the kernels' memory."""
    pages = min(PAGES, readers - 1) if chromium.find() else 0
    async with async_playwright() as playwright:
        guests = [Guest(app) for _ in range(readers - pages)]
        if pages:
            browser = await playwright.chromium.launch(
                executable_path=chromium.find(), args=chromium.OPTIONS
            )
            guests += [Viewer(app, await browser.new_page()) for _ in range(pages)]
        ready = await together(guest.come() for guest in guests)
        moves = await together(drag(guest, seconds) for guest in guests)
        kernels = [memory(kernel) for kernel in psutil.Process(app.process.pid).children()]
        for guest in guests:
            await guest.leave()
        if pages:
            await browser.close()
    return ready, moves, [one for one in kernels if one[0] > 0]


async def together(works) -> list:
    """Do all at once; where one fails, stop the others, which might wait for ever."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]


def memory(process: psutil.Process) -> tuple[int, int]:
    """Resident bytes, and the share of them that other processes do not have as well."""
    if process.status() == psutil.STATUS_ZOMBIE:
        return 0, 0
    full = process.memory_full_info()
    return full.rss, getattr(full, "pss", full.uss)  # Linux alone counts shares


async def drag(guest, seconds: float) -> list[float]:
    """Move the slider there and back; give the seconds that each picture took."""
    until, moves = time.perf_counter() + seconds, []
    while time.perf_counter() < until:
        began = time.perf_counter()
        moves.append(await guest.move(DEPTHS[len(moves) % len(DEPTHS)]))
        await asyncio.sleep(max(0.0, began + MOVE_SECONDS - time.perf_counter()))
    return moves


class Guest:
    """A reader without a browser."""

    def __init__(self, app: reader.App):
        self.reader = reader.Reader(app.address)

    async def come(self) -> float:
        """Open the page; give the seconds until the explorer is there."""
        began = time.perf_counter()
        await self.reader.open()
        return time.perf_counter() - began

    async def move(self, depth: int) -> float:
        """Move the slider of depth; give the seconds until the new picture."""
        return await self.reader.move(self.reader.widget("IntSliderModel", "depth"), depth)

    async def leave(self) -> None:
        """Close the page."""
        await self.reader.close()


class Viewer:
    """A reader with a browser, which moves the slider by the keyboard."""

    def __init__(self, app: reader.App, page):
        self.app, self.page, self.depth = app, page, 20

    async def come(self) -> float:
        """Open the page; give the seconds until the explorer is there."""
        began = time.perf_counter()
        self.page.set_default_timeout(1000 * reader.ANSWER_SECONDS)
        await self.page.goto(self.app.url)
        await self.page.get_by_role("status").filter(has_text="Depth").wait_for()
        return time.perf_counter() - began

    async def move(self, depth: int) -> float:
        """Move the slider one step towards a depth; give the seconds until the new picture."""
        step = 1 if depth > self.depth else -1
        self.depth += step
        handle = self.page.locator(".widget-slider .noUi-handle").first
        await handle.focus()
        image = await self.page.query_selector(".initlab img")
        shown = await image.get_attribute("src")
        began = time.perf_counter()
        await self.page.keyboard.press("ArrowRight" if step > 0 else "ArrowLeft")
        await self.page.wait_for_function(
            "([image, shown]) => image.src !== shown && image.complete", arg=[image, shown]
        )
        return time.perf_counter() - began

    async def leave(self) -> None:
        """Close the page."""
        await self.page.close()
