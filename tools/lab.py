"""Start JupyterLab on the first notebook: `python -m tools.lab`.

The browser tests start their JupyterLab here too, so that they see what a learner sees.
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import programs

ROOT = Path(__file__).resolve().parent.parent
FIRST_NOTEBOOK = ROOT / "notebooks" / "00_start_here.ipynb"

OPTIONS = [
    # Its overrides.json keeps JupyterLab from asking about news, and from fetching any.
    f"--LabApp.app_settings_dir={ROOT / 'tools' / 'lab_settings'}",
    # Else the list of extensions is fetched, and one can be installed by a slip.
    "--LabApp.extension_manager=readonly",
    # The address to open is printed all the same.
    "--ServerApp.log_level=WARN",
]
# JupyterLab refuses to serve the superuser, which in a container is the only user there is.
# It listens on the loopback only and asks for a token all the same.
if hasattr(os, "geteuid") and os.geteuid() == 0:
    OPTIONS.append("--allow-root")

# The versions of Google Colab, where `make test-colab` made them, or elsewhere.
COLAB_PYTHON = Path(os.environ.get("INITLAB_COLAB_PYTHON", ROOT / ".venv-colab" / "bin" / "python"))

START_SECONDS = 120
STOP_SECONDS = 30


@dataclass(frozen=True)
class Lab:
    """A server of notebooks that runs: where, and the token that it asks for."""

    address: str
    token: str

    def url(self, notebook: str, view: str = "lab/tree") -> str:
        """Give the address that opens one notebook of the folder that is served, and it alone.

        JupyterLab's server has other views of it: "notebooks" for Notebook 7, "voila/render".
        """
        # Without `reset`, JupyterLab opens again what was open before, and may run that instead.
        return f"{self.address}/{view}/{notebook}?reset&token={self.token}"

    def ask(self, path: str, method: str = "GET", data=None):
        """Call the server's interface, as its pages do, and give the answer."""
        request = urllib.request.Request(
            f"{self.address}/{path}",
            method=method,
            data=None if data is None else json.dumps(data).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: no proxy
        with direct.open(request, timeout=30) as reply:
            return json.loads(reply.read() or "null")

    def end_kernels(self, but: str = "") -> None:
        """End all kernels except one notebook's: what they compile meanwhile slows the next."""
        for session in self.ask("api/sessions"):
            if session["path"] != but:
                self.ask(f"api/sessions/{session['id']}", "DELETE")


@contextlib.contextmanager
def running(notebooks: Path, home: Path) -> Iterator[Lab]:
    """Serve a folder of notebooks, with settings and logs in `home`, nobody's own."""
    lab = _free_place()
    command = [
        *(sys.executable, "-m", "jupyterlab", *OPTIONS, "--no-browser"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={lab.address.rpartition(':')[2]}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={lab.token}",
        f"--ServerApp.root_dir={notebooks}",
    ]
    with _serving(command, lab, notebooks, home):
        yield lab


@contextlib.contextmanager
def running_classic(python: Path, notebooks: Path, home: Path) -> Iterator[Lab]:
    """Serve them by Notebook 6, as an environment with Colab's versions has it."""
    lab = _free_place()
    command = [
        *(str(python), "-m", "notebook", "--no-browser", "--allow-root"),
        "--NotebookApp.ip=127.0.0.1",
        f"--NotebookApp.port={lab.address.rpartition(':')[2]}",
        "--NotebookApp.port_retries=0",
        f"--NotebookApp.token={lab.token}",
        f"--NotebookApp.notebook_dir={notebooks}",
    ]
    with _serving(command, lab, notebooks, home):
        yield lab


def _free_place() -> Lab:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Lab(address=f"http://127.0.0.1:{port}", token=secrets.token_hex(16))


@contextlib.contextmanager
def _serving(command: list[str], lab: Lab, notebooks: Path, home: Path) -> Iterator[None]:
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    log = home / "lab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env=environment, cwd=notebooks, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_it_answers(server, lab, log)
        yield
    finally:
        server.terminate()  # on which it ends its kernels first
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_it_answers(server: subprocess.Popen, lab: Lab, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            lab.ask("api/status")
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)  # it does not listen yet
    raise RuntimeError(f"Jupyter did not start; its log ends:\n{log.read_text()[-3000:]}")


def main() -> None:
    """Open JupyterLab in the reader's browser and serve until it is stopped."""
    from jupyterlab.labapp import LabApp

    first = [
        f"--ServerApp.root_dir={FIRST_NOTEBOOK.parent}",
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK.name}",
    ]
    os.environ |= programs.kept_in(ROOT / "build" / "programs")
    LabApp.launch_instance([*OPTIONS, *first, *sys.argv[1:]])


if __name__ == "__main__":
    main()
