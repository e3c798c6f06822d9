"""Voila with nothing but what the explorer's page needs: no code, no files, no other notebooks."""

import html
import json
import logging
import struct
from pathlib import Path

import nbformat
from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from tornado import ioloop, web
from traitlets.config import Config
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler
from voila.voila_identity_provider import VoilaIdentityProvider

from tools.app.kernels import READY_SECONDS, Kernels, OwnPython

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOK = ROOT / "app" / "explorer.ipynb"
TEMPLATE = ROOT / "app" / "template"
KERNEL = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"

# Widgets speak by these. Of all others, such as execute_request, a kernel never hears.
MESSAGES = ["comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request"]
PROTOCOL = "v1.kernel.websocket.jupyter.org"
# Channel, header, parent, metadata, content, and buffers, of which a page sends none.
MOST_PARTS = 64
MOST_BYTES = 2**20  # of a message of a reader
# Of Voila's own addresses, those of its scripts and styles. Files, contents, the tree of notebooks
# and what logs in or changes a password are left out.
ASSETS = ("/voila/templates/", "/voila/static/", "/voila/api/themes/", "/voila/labextensions/")

# Of the extensions that this machine's JupyterLab has, those that show widgets.
WIDGETS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]

FULL_SECONDS = 20  # until a page that found no place tries again
FULL = (
    "All places are taken",
    "This page tries again by itself, and shows the explorer as soon as somebody leaves.",
)
STRANGER = (
    "The address is not whole",
    "Open the address just as your teacher gave it to you: it ends with ?token= and a long word.",
)


def configure(settings) -> Config:
    """Give Voila's configuration for the settings of the command line."""
    names = "readers", "warm", "memory", "idle"
    return Config(
        Voila={
            "ip": settings.listen,
            "port": settings.port,
            "port_retries": 0,
            "open_browser": False,
            "token": settings.token,
            "identity_provider_class": VoilaIdentityProvider,  # a token, and no passwords
            "notebook_path": str(NOTEBOOK),
            "log_level": "ERROR",
            "tornado_settings": {"websocket_max_message_size": MOST_BYTES},
        },
        VoilaConfiguration={
            "multi_kernel_manager_class": Kernels,
            "kernel_spec_manager_class": OwnPython,
            "strip_sources": True,
            "show_tracebacks": False,
            "file_allowlist": [],
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "extension_allowlist": WIDGETS,
        },
        # By default a page waits four seconds for its explorer, and is then shown without one.
        VoilaExecutor={"startup_timeout": READY_SECONDS, "iopub_timeout": READY_SECONDS},
        KernelManager={"autorestart": False},  # a new kernel would not know the page's widgets
        Kernels={name: getattr(settings, name) for name in names}
        | {"folder": str(settings.folder), "explorer": code()},
    )


def code() -> str:
    """Give the notebook's only cell of code."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    (source,) = (cell.source for cell in cells if cell.cell_type == "code")
    return source


class Classroom(Voila):
    """Voila, serving one notebook to a class."""

    def load_config_file(self, *args, **kwargs):
        """Load none: what this machine's owner set for other notebooks is not for a class."""

    def setup_template_dirs(self):
        """Put the project's template before Voila's."""
        super().setup_template_dirs()
        self.template_paths.insert(0, str(TEMPLATE))

    def listen(self):
        """Say that readers may come, which the address printed before does not promise."""
        # Jupyter's milliseconds, which tornado takes for seconds and shortens; a timeout that suits
        # tornado ends every line at Jupyter's first ping.
        logging.getLogger("tornado.general").addFilter(
            lambda record: "websocket_ping_timeout" not in record.getMessage()
        )
        ioloop.IOLoop.current().add_callback(print, "It is served now.", flush=True)
        super().listen()

    def init_settings(self):
        """Let readers' messages reach their kernels only if they are of widgets."""
        settings = super().init_settings()
        self.kernel_manager.allowed_message_types = MESSAGES
        return settings

    def init_handlers(self):
        """Answer at few addresses, and at no other."""
        voila = super().init_handlers()
        base = self.server_url.rstrip("/")
        door = next(one for one in voila if one[1] is TornadoVoilaHandler)
        return [
            *(one for one in voila if one[0].startswith(tuple(base + place for place in ASSETS))),
            (rf"{base}/api/kernels/{KERNEL}/channels", Line),
            (rf"{base}/api/kernels/{KERNEL}", State),
            (rf"{base}/voila/api/shutdown/{KERNEL}", Leave),
            (rf"{base}/voila/api/ended/{KERNEL}", Ended),
            (rf"{base}/()", Door, door[2]),
            (r".*", Nothing),
        ]


class Door(TornadoVoilaHandler):
    """The one page: the explorer, or a sentence that says why it is not shown."""

    @allow_unauthenticated  # else it asks for a password, which nobody has
    async def get(self, path=None):
        """Show the explorer to who has the token, in a kernel of its own."""
        if not self.current_user:
            self.explain(403, *STRANGER)
        elif self.kernel_manager.free <= 0:
            self.explain_full()
        else:
            self.xsrf_token  # noqa: B018 - sets the cookie, without which a page that goes is not heard
            await super().get()

    def write_error(self, status_code, **kwargs):
        """Say that the last place was taken meanwhile."""
        if status_code == 503:
            self.explain_full()
        else:
            super().write_error(status_code, **kwargs)

    def explain_full(self):
        """Say that there is no place, and let the page try again."""
        self.set_header("Refresh", str(FULL_SECONDS))
        self.set_header("Retry-After", str(FULL_SECONDS))
        self.explain(503, *FULL)

    def explain(self, status: int, title: str, text: str):
        """Write a page of a heading and a sentence."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        page = (TEMPLATE / "sentence.html").read_text(encoding="utf-8")
        self.finish(page.replace("TITLE", html.escape(title)).replace("TEXT", html.escape(text)))


class Line(VoilaKernelWebsocketHandler):
    """The websocket between a page's widgets and its kernel."""

    async def pre_get(self):
        """Take Jupyter's newer protocol alone: Voila mistakes messages of the older for it."""
        if PROTOCOL not in self.request.headers.get("Sec-WebSocket-Protocol", ""):
            raise web.HTTPError(400, f"the protocol must be {PROTOCOL}")
        await super().pre_get()

    def on_message(self, ws_message):
        """Pass on what is a message, and hang up on what is none."""
        if is_message(ws_message):
            super().on_message(ws_message)
        else:
            self.close(1003, "this is no message")


def is_message(raw: str | bytes) -> bool:
    """Whether offsets stand at the beginning, as many as are announced, and in order.

    The server would else count to any number that it is given, and do nothing else meanwhile.
    """
    if not isinstance(raw, bytes) or len(raw) < 8:
        return False
    count = int.from_bytes(raw[:8], "little")
    if not 6 <= count <= MOST_PARTS or len(raw) < 8 * (count + 1):
        return False
    offsets = struct.unpack_from(f"<{count}Q", raw, 8)
    return list(offsets) == sorted(offsets) and offsets[-1] <= len(raw)


class State(KernelHandler):
    """Says to a page that its kernel is there."""

    SUPPORTED_METHODS = ("GET",)


class Leave(VoilaShutdownKernelHandler):
    """Ends the kernel of a page that is closed."""

    @web.authenticated
    async def post(self, kernel_id):
        """End it, if it is there still."""
        if kernel_id in self.kernel_manager.given:
            await ensure_async(self.kernel_manager.shutdown_kernel(kernel_id))
        self.set_status(204)
        self.finish()


class Ended(APIHandler):
    """Says to a page why its kernel is no more."""

    @web.authenticated
    def get(self, kernel_id):
        """Answer with the reason, or null while the kernel lives."""
        manager = self.kernel_manager
        lives = kernel_id in manager.given
        why = None if lives else manager.ended.get(kernel_id, "This explorer was ended.")
        self.finish(json.dumps({"why": why}))


class Nothing(web.RequestHandler):
    """Whatever else is asked for: it is not there, for any method and for anybody."""

    def prepare(self):
        """Refuse, without a word of what is asked for."""
        self.set_status(404)
        self.finish("There is only the explorer, at the root of this address.\n")
