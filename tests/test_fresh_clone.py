"""Every command of the README and of the Makefile in a fresh clone, as a reader would run it.

What is committed is cloned, so a file that was forgotten is missing here. A command that cannot be
run as it stands has an entry in `INSTEAD`: what is run in its place, and why.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml

from tests import documents
from tests.documents import ROOT

MINUTES = 30  # the most that a command may take, on two busy cores
README = documents.read(ROOT / "README.md")
PIP = "python -m pip --disable-pip-version-check --quiet"
LAB = "--no-browser --ServerApp.port={port} --IdentityProvider.token={token}"
#: Command -> what is run instead, one after the other. "serve" starts a server, and stops it when
#: it has answered. `python` is the one of the environment that `make lab` made.
INSTEAD = {
    # Without the reader's browser, and until they answer.
    "make lab": [f"serve make lab ARGS='{LAB}'"],
    "make app": ["serve make app ARGS='--readers 1 --port {port} --token {token}'"],
    'make app ARGS="--listen 0.0.0.0"': [
        "serve make app ARGS='--listen 0.0.0.0 --readers 1 --port {port} --token {token}'"
    ],
    "python -m tools.lab": [f"serve python -m tools.lab {LAB}"],
    # The clone's environment was made by naming a Python, and naming one again changes nothing.
    "make lab PYTHON=/path/to/python3.12": [f"make lab PYTHON={sys.executable} ARGS=--version"],
    # All tests are found and read, but only these are run: the others have been, beside this one.
    "make test": ["make test ARGS='--collect-only -q'", "make test ARGS=tests/test_import.py"],
    "pytest": ["pytest --collect-only -q", "pytest tests/test_import.py"],
    "python -m pytest": ["python -m pytest tests/test_packaging.py"],
    # Tests that run these very commands, or that CI runs beside this one.
    "make nightly": [],
    "make nightly-colab": [],
    "make test-colab": [],
    "make test-pythons": [],
    "make test-torch": [],
    # Hours; the parts of it that take seconds.
    "make bench": ["make bench ARGS=theory"],
    "make notebooks": ["make notebooks ARGS=notebooks/00_start_here.ipynb"],
    # Would change the pins, or take away the environment.
    "make lock": ["make --dry-run lock"],
    "make clean": ["make --dry-run clean"],
    # There is no conda here: test_what_conda_is_asked_for_can_be_installed asks pip for the same.
    "mamba env create -f environment.yml": [],
    "mamba activate initlab": [],
    # A model that exists.
    "python -m initlab examine package.module:make_model": [
        "cp tools/release_trial.py trial.py",
        "python -m initlab examine trial:make_model",
    ],
    # Fewer points.
    "python -m initlab sweep --depth 1:100:5 --initializer all --seeds 16 --store map.zarr": [
        "python -m initlab sweep --depth 1:100:99 --initializer all --seeds 2 --store map.zarr"
    ],
}
AS_IT_STANDS = re.compile(r"make [a-z-]+|python -m (initlab|tools\.\w+)( .*)?|pip install .*")


def in_posix(command: str) -> str:
    """A command of PowerShell's as another shell has it."""
    command = re.sub(r"^py -3\b", sys.executable, command)
    return command.replace(".venv\\Scripts\\", ".venv/bin/")


def commands() -> list[str]:
    """Those of the README, in its blocks for a shell and in its sentences, then the Makefile's."""
    spans = [
        span for span in README.spans() if re.match(r"(make|python -m|pip|mamba) |pytest", span)
    ]
    targets = [f"make {target}" for target in sorted(documents.make_targets())]
    posix = [command for command in README.commands() if command not in windows()]
    return list(dict.fromkeys([*posix, *spans, *targets]))


def windows() -> list[str]:
    """Those of the README's block for Windows."""
    (block,) = [block for language, block in README.blocks() if language == "powershell"]
    return documents.Text(README.path, f"```sh\n{block}```\n").commands()


class Clone:
    """A clone of what is committed."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        home = folder.with_name(f"{folder.name}-home")
        home.mkdir()
        # MAKEFLAGS has the ARGS of a make that runs this test, for all below it.
        others = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKEOVERRIDES")
        kept = {k: v for k, v in os.environ.items() if k not in others}
        self.environment = kept | {
            "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "IPYTHONDIR": str(home / "ipython"),
        }

    def run(self, command: str) -> None:
        """Run a command, which must succeed."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60 * MINUTES,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}"

    def serve(self, command: str) -> None:
        """Start a server; it must answer who has its token, and nobody else."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        token = secrets.token_hex(16)
        log = self.folder / "build" / "served.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            server = subprocess.Popen(
                command.format(port=port, token=token),
                shell=True,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 60 * MINUTES
            address = f"http://127.0.0.1:{port}"
            while (status := answer(f"{address}/?token={token}")) is None:
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(1)
            assert status == 200, log.read_text()
            assert answer(f"{address}/api/kernels") in (403, 404)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)

    def try_out(self, command: str) -> None:
        """Run a command of the README, or what stands for it."""
        for one in INSTEAD.get(command, [command]):
            if one.startswith("serve "):
                self.serve(one.removeprefix("serve "))
            else:
                self.run(one)

    def clean(self) -> None:
        """Take back what a command changed, but for what git ignores."""
        self.run("git reset --hard --quiet && git clean -d --force --quiet")


def answer(address: str) -> int | None:
    """The status by which an address answers; None if nothing is there yet."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=60) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone itself")
    return tmp_path_factory.mktemp("fresh")


@pytest.fixture(scope="module")
def made(folder):
    """A clone with the environment that make makes, before anything else is done."""
    clone = Clone(folder / "by-make")
    clone.run(f"make lab PYTHON={sys.executable} ARGS=--version")
    return clone


@pytest.fixture
def clone(made):
    yield made
    made.clean()


def test_every_command_is_covered():
    """A new one in the README runs as it stands, or needs an entry in `INSTEAD`."""
    unknown = [one for one in commands() if one not in INSTEAD and not AS_IT_STANDS.fullmatch(one)]
    assert unknown == []
    posix = [in_posix(command).replace(".venv/bin/", "") for command in windows()]
    known = {"make app", "make test-pythons", *commands(), *posix}
    assert [one for one in INSTEAD if one not in known] == []
    assert len(README.commands()) >= 9 and len(windows()) == 5


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme(clone, command):
    clone.try_out(command)


@pytest.mark.slow
def test_the_commands_for_windows(folder):
    """As another shell has them, in an environment that they make themselves."""
    clone = Clone(folder / "by-pip")
    for command in map(in_posix, windows()):
        short = command.removeprefix(".venv/bin/")  # which is the first that PATH names
        clone.try_out(short if short in INSTEAD else command)


@pytest.mark.slow
def test_what_conda_is_asked_for_can_be_installed(clone):
    """From the same file, for pip; nothing is installed."""
    asked = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    by_name = [one for one in asked if isinstance(one, str) and not one.startswith("python>")]
    wanted = " ".join(f"'{one}'" for one in by_name)
    clone.run(f"{PIP} install --dry-run --ignore-installed {wanted} .")


@pytest.mark.slow
def test_colabs_set_up_cell(clone):
    """With the clone's address in place of the one on GitHub."""
    cell = re.search(r"%pip (install .*)git\+https://\S+", README.markdown)[1]
    clone.run(f"{PIP} {cell} --target build/colab git+file://{clone.folder}")
    clone.run("cd build && PYTHONPATH=colab python -c 'import initlab; initlab.probe'")
    assert (clone.folder / "build" / "colab" / "initlab" / "questions").is_dir()
