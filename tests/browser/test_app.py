"""The explorer as a class gets it: in a browser, and as somebody who means harm would use it."""

import asyncio
import json
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from tornado.websocket import WebSocketClosedError

from benchmarks import classroom
from tests.browser.axe import assert_accessible
from tests.browser.explorer_page import Shown, expect
from tools.app import reader
from tools.app.server import ROOT

pytestmark = pytest.mark.browser

READERS = 2
MEBIBYTE = 2**20
READY_SECONDS, MOST_SECONDS = 240, 600
MOST_GROWTH = 20  # MiB, over 800 moves: what the project allows itself


@pytest.fixture(scope="module")
def app(chromium_path, tmp_path_factory):
    """An app for two readers, one kernel of which is ready when the first comes."""
    folder = tmp_path_factory.mktemp("app")
    with reader.running(folder, f"--readers={READERS}", "--warm=1", "--memory=1") as app:
        app.wait_for("Kernels that are ready", READY_SECONDS)
        yield app


@pytest.fixture(scope="module")
def run():
    """A function that runs coroutines in a loop of their own: Playwright has one already."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(MOST_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def guest(app, run):
    """A reader who stays from one test to the next, since each kernel takes seconds."""
    guest = reader.Reader(app.address)
    yield run(guest.open())
    run(guest.close())


def kernels(app) -> list[psutil.Process]:
    return psutil.Process(app.process.pid).children()


async def gone(guest: reader.Reader, seconds: float = 60) -> str:
    """Wait until a kernel has ended; give the sentence that its page shows."""
    for _ in range(int(seconds / 0.5)):
        why = json.loads((await guest.ask(f"/voila/api/ended/{guest.kernel}")).body)["why"]
        if why:
            return why
        await asyncio.sleep(0.5)
    raise AssertionError("the kernel is there still")


# --- a reader with a browser ---------------------------------------------------------------------


def test_a_reader_drags_by_mouse_and_keyboard_and_sees_no_code(app, page, screenshot, run):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(app.url)
    shown = Shown(page).wait("Depth 20")
    before = shown.pixels()
    shown.drag("gain", -40)
    page.mouse.up()
    shown.expect_other_pixels(before)
    expect(shown.status).not_to_contain_text("gain 1.")
    shown.press("depth", "ArrowRight", 3)
    shown.wait("Depth 23")
    assert_accessible(page)
    screenshot("app", page)
    assert "import initlab" not in page.content()
    elsewhere = [url for url in asked if not url.startswith((app.address, "data:", "blob:"))]
    assert elsewhere == []  # a class may have no network but this one
    # who leaves, frees a place at once
    mine = re.search(r'"kernelId": "([\w-]+)"', page.content())[1]
    page.goto("about:blank")
    guest = reader.Reader(app.address)
    guest.kernel = mine
    assert "was ended" in run(gone(guest))


def test_who_comes_late_is_told_to_wait_and_who_comes_without_the_token_is_told_so(
    app, page, guest, run
):
    second = run(reader.Reader(app.address).open())
    try:
        assert second.kernel != guest.kernel
        reply = page.goto(app.url)
        assert reply.status == 503
        expect(page.get_by_role("heading")).to_have_text("All places are taken")
        assert_accessible(page)
        page.context.clear_cookies()
        reply = page.goto(app.address)
        assert reply.status == 403
        expect(page.get_by_role("heading")).to_have_text("The address is not whole")
        assert_accessible(page)
    finally:
        run(second.close())


# --- a reader who means harm ---------------------------------------------------------------------

CODE = "open({!r}, 'w').write('code ran')"


def test_no_message_makes_a_kernel_run_code(guest, tmp_path, run):
    trace = tmp_path / "trace"
    code = CODE.format(str(trace))

    async def attack():
        slider = guest.widget("IntSliderModel", "depth")
        for channel in ("shell", "control", "stdin"):
            for kind, content in {
                "execute_request": {"code": code, "silent": False, "store_history": False},
                "inspect_request": {"code": code, "cursor_pos": 1, "detail_level": 1},
                "complete_request": {"code": f"{code}.", "cursor_pos": len(code) + 1},
                "history_request": {"hist_access_type": "tail", "n": 10, "raw": True},
                "is_complete_request": {"code": code},
                "debug_request": {"command": "evaluate", "arguments": {"expression": code}},
                "input_reply": {"value": code},
                "shutdown_request": {"restart": False},
                "interrupt_request": {},
            }.items():
                await guest.send(guest.message(kind, **content) | {"channel": channel})
        # comms that nobody offers, or that build widgets with anything but what they should have
        for target in ("os.system", "jupyter.widget", "matplotlib", "builtins.exec"):
            for state in (
                {"_model_name": "IntSliderModel", "value": code, "max": "many"},
                {"_model_module": "os", "_model_name": "system", "_view_name": code},
                {"_model_name": 7},
                [code],
            ):
                data = {"state": state, "buffer_paths": [["value"], [0, "x"]], "code": code}
                opened = guest.message(
                    "comm_open",
                    target_name=target,
                    target_module="os",
                    comm_id=f"{target}{len(str(state))}",
                    data=data,
                )
                await guest.send(opened | {"metadata": {"version": "2.1.0"}})
        for state in (
            {"value": code},
            {"value": 10**12, "max": 10**12},
            {"value": None, "__class__": "os", "_comm": code, "comm": {"x": 1}},
            {"layout": "IPY_MODEL_nothing", "style": code},
        ):
            await guest.set(slider, **state)
        for data in ({}, {"method": code}, {"method": "custom", "content": {"event": code}}, None):
            await guest.send(guest.message("comm_msg", comm_id=slider, data=data))
        # the kernel is alive, does what it should, and has told of nothing but widgets
        kinds = set()
        seen = await guest.set(slider, value=31, max=64)
        async for answer, _ in guest.answers():
            kinds.add(answer["header"]["msg_type"])
            mine = answer["parent_header"].get("msg_id") == seen["header"]["msg_id"]
            if mine and answer["content"].get("execution_state") == "idle":
                break
        return kinds, await guest.move(slider, 32)

    kinds, seconds = run(attack())
    assert not trace.exists()
    assert seconds > 0
    assert not {kind for kind in kinds if kind.endswith("_reply") and "comm" not in kind}


def test_what_is_no_message_harms_nobody(app, guest, run):
    async def attack():
        slider = guest.widget("IntSliderModel", "depth")
        hostile = reader.Reader(app.address)
        for raw in (
            b"\xff" * 8,  # "as many parts follow as 64 bits can count"
            b"",
            b"\x06" + bytes(7) + b"\xff" * 48,
            "text",
            json.dumps({"channel": "shell", "header": {"msg_type": "execute_request"}}),
        ):
            await hostile.connect(guest.kernel)
            await hostile.send_raw(raw)
            with pytest.raises(ConnectionError):
                async for _ in hostile.answers():
                    pass
            await guest.move(slider, 30)
            await guest.move(slider, 20)
        await hostile.hang_up()
        older = await hostile.ask(
            f"/api/kernels/{guest.kernel}/channels",
            headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        )
        assert older.code == 400  # an older protocol of Jupyter's

    run(attack())


SECRETS = [
    ("GET", "/files/explorer.ipynb"),
    ("GET", "/voila/files/explorer.ipynb"),
    ("GET", "/voila/files/template/sentence.html"),
    ("GET", "/voila/files/%2e%2e/README.md"),
    ("GET", "/explorer.ipynb"),
    ("GET", "/voila/render/explorer.ipynb"),
    ("GET", "/voila/render/%2e%2e/notebooks/00_start_here.ipynb"),
    ("GET", "/voila/tree"),
    ("GET", "/api/contents"),
    ("GET", "/api/contents/explorer.ipynb"),
    ("PUT", "/api/contents/mine.ipynb"),
    ("GET", "/voila/api/contents"),
    ("GET", "/api/terminals"),
    ("POST", "/api/terminals"),
    ("GET", "/api/kernels"),
    ("POST", "/api/kernels"),
    ("GET", "/api/sessions"),
    ("POST", "/api/sessions"),
    ("GET", "/api/kernelspecs"),
    ("GET", "/api/me"),
    ("GET", "/api/status"),
    ("POST", "/login"),
    ("GET", "/voila/execution/0-0-0-0-0"),
    ("GET", "/voila/query/0-0-0-0-0"),
    ("GET", "/static/../../README.md"),
    ("GET", "/voila/static/../../../../README.md"),
    ("GET", "/voila/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    ("GET", "/voila/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd"),
    ("GET", "/voila/static//etc/passwd"),
    ("GET", "/voila/static/%2fetc/passwd"),
    ("GET", "/voila/templates/lab/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    ("GET", "/voila/templates/%2e%2e/static/../../../../../../../../../etc/passwd"),
    ("GET", "/voila/templates/lab/static/..%2f..%2findex.html.j2"),
    ("GET", "/voila/labextensions/%2e%2e/%2e%2e/kernels/python3/kernel.json"),
    ("GET", "/voila/labextensions/..%2f..%2fkernels/python3/kernel.json"),
    ("GET", "/voila/api/themes/%2e%2e/%2e%2e/%2e%2e/kernels/python3/kernel.json"),
]


def test_there_is_nothing_to_read_or_start_but_the_explorer(app, run):
    before = len(kernels(app))

    async def attack():
        guest = reader.Reader(app.address)
        body = json.dumps({"name": "python3", "path": "../notebooks/00_start_here.ipynb"})
        return [
            (method, path, await guest.ask(path, method, body=body if method != "GET" else None))
            for method, path in SECRETS
        ]

    for method, path, answer in run(attack()):
        assert answer.code in (400, 403, 404, 405, 500), f"{method} {path}: {answer.code}"
        for secret in (b"root:", b'"cells"', b"initlab.explore", b'"argv"', b"make lab", b"{%"):
            assert secret not in (answer.body or b""), f"{method} {path}"
    assert len(kernels(app)) == before
    assert not (ROOT / "app" / "mine.ipynb").exists()
    # and what a page may ask for is what it needs
    script = run(reader.Reader(app.address).ask("/voila/static/voila.js"))
    assert script.code == 200


def test_a_reader_ends_no_kernel_but_his_own_and_chooses_no_template(app, guest, run):
    async def attack():
        hostile = await reader.Reader(app.address).open("?template=classic&theme=%2e%2e%2fdark")
        assert "theme-light" in hostile.page
        assert 'id="ended"' in hostile.page  # which the project's own template has
        place = f"/voila/api/shutdown/{guest.kernel}"
        assert (await hostile.ask(place, "POST", token=False, body="")).code in (302, 403)
        assert (await hostile.ask(f"/api/kernels/{guest.kernel}", "DELETE")).code == 405
        assert (await hostile.ask("/api/kernels")).code == 404  # whose ids he would need
        await hostile.close()
        assert "was ended" in await gone(hostile)
        assert await guest.move(guest.widget("IntSliderModel", "depth"), 30) > 0

    run(attack())


def test_a_page_says_that_its_kernel_died(app, page):
    page.goto(app.url)
    Shown(page).wait("Depth 20")
    mine = re.search(r'"kernelId": "([\w-]+)"', page.content())[1]
    (process,) = [kernel for kernel in kernels(app) if mine in " ".join(kernel.cmdline())]
    process.kill()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("ended by itself")
    assert_accessible(page)
    expect(dialog.get_by_role("button", name="Open a new one")).to_be_focused()


# --- at length -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_kernel_that_needs_too_much_memory_frees_its_place(app, run):
    async def attack():
        greedy = await reader.Reader(app.address).open()
        # what a page can do to its own kernel: widgets that are kept, a megabyte each
        for number in range(900):
            state = {
                "_model_module": "@jupyter-widgets/controls",
                "_model_module_version": "2.0.0",
                "_model_name": "HTMLModel",
                "_view_module": "@jupyter-widgets/controls",
                "_view_module_version": "2.0.0",
                "_view_name": "HTMLView",
                "value": str(number) + "x" * (MEBIBYTE - 2000),
            }
            opened = greedy.message(
                "comm_open",
                target_name="jupyter.widget",
                comm_id=f"greedy{number}",
                data={"state": state, "buffer_paths": []},
            )
            try:
                await greedy.send(opened | {"metadata": {"version": "2.1.0"}})
            except WebSocketClosedError:  # the kernel has gone meanwhile
                break
        assert "more than 1 GB" in await gone(greedy)

    run(attack())


@pytest.mark.slow
def test_who_moves_nothing_makes_room(chromium_path, tmp_path, run):
    async def sit(app):
        idle = await reader.Reader(app.address).open()
        return await gone(idle)

    with reader.running(tmp_path, "--readers=1", "--warm=0", "--idle=0.1") as app:
        assert "Nothing was moved for 0.1 minutes" in run(sit(app))


@pytest.mark.slow
def test_five_readers_drag_at_once_and_no_kernel_dies():
    with ThreadPoolExecutor() as other:  # than the thread that Playwright has a loop in
        rows = other.submit(classroom.run, readers=5, seconds=20).result()
    (died,) = [row for row in rows if "died" in row.what]
    assert died.figure == "0"


@pytest.mark.slow
def test_a_thousand_moves_leave_no_memory_behind(chromium_path, tmp_path, run):
    """From the 200th move on; before that, what is drawn and compiled once is kept."""
    chosen = random.Random(0)

    async def play(app):
        guest = await reader.Reader(app.address).open()
        names = [("IntSliderModel", "depth"), ("SelectionSliderModel", "gain")]
        names += [("FloatSliderModel", "bias")]
        names += [("DropdownModel", name) for name in ("activation", "initializer")]
        widgets = [guest.widget(*name) for name in names]
        for widget in widgets[1:2] + widgets[3:]:  # every start and activation once
            for index in range(len(guest.models[widget]["_options_labels"])):
                await guest.settle(widget, index=index)
        (process,) = [one for one in kernels(app) if guest.kernel in " ".join(one.cmdline())]
        sizes = []
        for _ in range(1000):
            widget = chosen.choice(widgets)
            state = guest.models[widget]
            if "_options_labels" in state:
                await guest.settle(widget, index=chosen.randrange(len(state["_options_labels"])))
            else:
                steps = round((state["max"] - state["min"]) / state["step"])
                await guest.settle(
                    widget, value=state["min"] + state["step"] * chosen.randrange(steps + 1)
                )
            sizes.append(process.memory_full_info().uss / MEBIBYTE)
        await guest.close()
        return sizes

    with reader.running(tmp_path, "--readers=1", "--warm=1") as app:
        app.wait_for("Kernels that are ready", READY_SECONDS)
        sizes = run(play(app))
    print([round(size) for size in sizes[::100]], round(sizes[-1]))
    assert sizes[-1] - sizes[200] < MOST_GROWTH
