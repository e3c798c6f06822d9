"""A reader without a browser: it opens the page and moves its widgets through their websocket.

Load is made with many of these, since twenty browsers would need more of a machine than the app;
and what a hostile reader tries is tried with one.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect

from tools.app.server import PROTOCOL, ROOT

START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 120, 30, 120
TOKEN = "read-the-explorer"


class App:
    """An app that runs: where it is, what it prints, and its process."""

    def __init__(self, address: str, process: subprocess.Popen, log: Path):
        self.address, self.process, self.log = address, process, log

    @property
    def url(self) -> str:
        """What a reader opens."""
        return f"{self.address}/?token={TOKEN}"

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until it has printed a text.

        Raises:
          RuntimeError: it has not, or it ended.
        """
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no {text!r}; the app printed:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.2)


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[App]:
    """Serve the app as `make app` does, and stop it; what it prints is kept in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "app.log"
    command = [sys.executable, "-m", "tools.app", f"--port={port}", f"--token={TOKEN}", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdout=output, stderr=subprocess.STDOUT
        )
    app = App(f"http://127.0.0.1:{port}", process, log)
    try:
        app.wait_for("is served now", START_SECONDS)
        yield app
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Reader:
    """One page that was opened, and the line to its kernel."""

    def __init__(self, address: str, token: str = TOKEN):
        self.address, self.token = address, token
        self.session = uuid.uuid4().hex
        self.page = self.kernel = ""
        self.models = {}  # id of a widget -> its state
        self._line = None

    async def ask(
        self,
        path: str,
        method: str = "GET",
        token: bool = True,
        headers: dict | None = None,
        body: str | None = None,
    ) -> HTTPResponse:
        """Ask for an address, exactly as it is written; errors are answers, too."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"token {self.token}"
        request = HTTPRequest(
            f"{self.address}{path}",
            method,
            headers,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            connect_timeout=ANSWER_SECONDS,
            request_timeout=ANSWER_SECONDS,
            body=body,
        )
        return await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)

    async def open(self, query: str = "") -> "Reader":
        """Open the page, then the line to its kernel, and learn what widgets there are."""
        page = await self.ask(f"/{query}")
        if page.code != 200:
            raise RuntimeError(f"the page was refused: {page.code} {page.reason}")
        self.page = page.body.decode()
        self.kernel = re.search(r'"kernelId": "([\w-]+)"', self.page)[1]
        await self.connect()
        control = self.message("comm_open", target_name="jupyter.widget.control", comm_id="ask")
        await self.send(control | {"metadata": {"version": "1.0.0"}})
        await self.send(self.message("comm_msg", comm_id="ask", data={"method": "request_states"}))
        async for answer, _ in self.answers():
            data = answer["content"].get("data", {})
            if data.get("method") == "update_states":
                self.models = {name: one["state"] for name, one in data["states"].items()}
                return self

    async def connect(self, kernel: str | None = None) -> None:
        """Open the line to a kernel, by default to its own."""
        await self.hang_up()
        place = f"{self.address.replace('http', 'ws', 1)}/api/kernels/{kernel or self.kernel}"
        self._line = await websocket_connect(
            HTTPRequest(
                f"{place}/channels?session_id={self.session}",
                headers={"Authorization": f"token {self.token}"},
                connect_timeout=ANSWER_SECONDS,
                request_timeout=ANSWER_SECONDS,
            ),
            subprotocols=[PROTOCOL],
            max_message_size=2**26,
        )

    async def hang_up(self) -> None:
        """Close the line."""
        if self._line is not None:
            self._line.close()
            while await asyncio.wait_for(self._line.read_message(), ANSWER_SECONDS) is not None:
                pass  # what came before it was closed
            self._line = None

    def message(self, kind: str, **content) -> dict:
        """A message of Jupyter's protocol."""
        return {
            "channel": "shell",
            "header": {
                "msg_id": uuid.uuid4().hex,
                "msg_type": kind,
                "session": self.session,
                "username": "",
                "version": "5.4",
            },
            "parent_header": {},
            "metadata": {},
            "content": content,
        }

    async def send(self, message: dict) -> None:
        """Send a message."""
        await self.send_raw(
            serialize_msg_to_ws_v1(
                message, message["channel"], lambda part: json.dumps(part).encode()
            )
        )

    async def send_raw(self, raw: str | bytes) -> None:
        """Send what may be no message."""
        await self._line.write_message(raw, binary=isinstance(raw, bytes))

    async def answers(self, seconds: float = ANSWER_SECONDS):
        """Yield what comes, as pairs of message and buffers, until nothing came for a time.

        Raises:
          TimeoutError, ConnectionError: nothing came; the line was closed.
        """
        while True:
            raw = await asyncio.wait_for(self._line.read_message(), seconds)
            if raw is None:
                self._line.close()  # its own side of it
                self._line = None
                raise ConnectionError("the line was closed")
            yield unpack(raw)

    def widget(self, kind: str, description: str = "") -> str:
        """The id of the first widget of a kind, with a name beside it if one is asked for."""
        for name, state in self.models.items():
            if state["_model_name"] == kind and description in ("", state.get("description")):
                return name
        raise LookupError(f"no {kind} {description}")

    async def set(self, widget: str, **state) -> dict:
        """Set traits of a widget, as its view does; give the message that was sent."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        message = self.message("comm_msg", comm_id=widget, data=data)
        await self.send(message)
        return message

    async def move(self, slider: str, value) -> float:
        """Move a slider; give the seconds until the new picture is here."""
        image, began, seconds = self.widget("ImageModel"), time.perf_counter(), None
        sent = (await self.set(slider, value=value))["header"]["msg_id"]
        async for answer, buffers in self.answers():
            if answer["parent_header"].get("msg_id") != sent:
                continue
            content = answer["content"]
            if content.get("comm_id") == image and buffers and seconds is None:
                seconds = time.perf_counter() - began
            # a page sends its next move only when the kernel has done with this one
            if content.get("execution_state") == "idle":
                if seconds is None:
                    raise RuntimeError(f"the picture did not change with {value!r}")
                return seconds

    async def settle(self, widget: str, **state) -> None:
        """Set traits of a widget, and wait until the kernel has done with it."""
        sent = (await self.set(widget, **state))["header"]["msg_id"]
        async for answer, _ in self.answers():
            mine = answer["parent_header"].get("msg_id") == sent
            if mine and answer["content"].get("execution_state") == "idle":
                return

    async def close(self) -> None:
        """Close the line, and say that the page is closed."""
        await self.hang_up()
        if self.kernel:
            await self.ask(f"/voila/api/shutdown/{self.kernel}", "POST", body="")


def unpack(raw: bytes) -> tuple[dict, list[bytes]]:
    """Take a message apart: its parts lie between the offsets that it begins with."""
    (count,) = struct.unpack_from("<Q", raw)
    offsets = struct.unpack_from(f"<{count}Q", raw, 8)
    channel, *parts = (raw[begin:end] for begin, end in itertools.pairwise(offsets))
    names = "header", "parent_header", "metadata", "content"
    message = {name: json.loads(part) for name, part in zip(names, parts, strict=False)}
    return message | {"channel": channel.decode()}, parts[len(names) :]
