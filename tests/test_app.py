"""What the app for a class reads, says and refuses, without a kernel or a browser."""

import json
import re
import socket
import struct
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
import yaml
from traitlets.config import Config

from tools.app import __main__ as app
from tools.app import server


def message(*offsets: int, tail: bytes = b"", count: int | None = None) -> bytes:
    count = len(offsets) if count is None else count
    return struct.pack(f"<{len(offsets) + 1}Q", count, *offsets) + tail


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--readers 0", "'0' is not a whole number of readers from 1 to 200; the nearest is 1"),
        ("--readers 1000", "the nearest is 200"),
        ("--readers 2.5", "'2.5' is not a whole number of readers"),
        ("--memory much", "'much' is not a number of GB from 0.5 to 64"),
        ("--memory 0.1", "the nearest is 0.5"),
        ("--memory nan", "'nan' is not a number of GB"),
        ("--idle=-3", "the nearest is 0.05"),
        ("--listen example.org", "127.0.0.1 serves this machine alone"),
        ("--port 70000", "the nearest is 65535"),
        ("--token short", "8 or more letters"),
        ("--token a&b=cdefgh", "8 or more letters"),
        ("--readers 2 --warm 3", "--warm 3 is more than --readers 2"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(arguments, expected, capsys):
    with pytest.raises(SystemExit):
        app.read(arguments.split())
    assert expected in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit):
            app.read([f"--port={port}"])
    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


def test_by_default_it_serves_this_machine_alone_and_asks_for_a_token():
    settings, other = app.read([]), app.read([])
    assert settings.listen == "127.0.0.1"
    assert (settings.readers, settings.warm, settings.memory, settings.idle) == (20, 20, 1.5, 20)
    assert len(settings.token) == 32
    assert settings.token != other.token
    assert app.to_hand_out(settings) == f"http://127.0.0.1:8866/?token={settings.token}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--listen=0.0.0.0"], "who has this address in the network can open"),
        (["--listen=0.0.0.0", "--token=none"], "anybody in the network can open"),
        (["--token=none"], "without a token"),
        (["--readers=200"], "of memory are free. --readers "),
    ],
)
def test_what_to_beware_of_is_said(arguments, expected, monkeypatch):
    monkeypatch.setattr(app.psutil, "virtual_memory", lambda: type("_", (), {"available": 12e9}))
    (line,) = [line for line in app.notes(app.read(arguments)) if line.startswith("Beware")]
    assert expected in line


def test_a_class_that_fits_on_this_machine_alone_needs_no_warning(monkeypatch):
    monkeypatch.setattr(app.psutil, "virtual_memory", lambda: type("_", (), {"available": 912e9}))
    assert not [line for line in app.notes(app.read([])) if line.startswith("Beware")]


def test_only_messages_whose_offsets_are_in_order_reach_a_kernel():
    whole = message(56, 61, 61, 61, 61, 61, tail=b"shell")
    assert server.is_message(whole)
    assert not server.is_message(whole[:-1])  # it ends before its last part does
    assert not server.is_message(whole.decode("latin1"))
    assert not server.is_message(b"")
    # the server's own reader counts to this number, and would not answer anybody before it has
    assert not server.is_message(message(56, 61, 61, 61, 61, 61, tail=b"shell", count=2**62))
    assert not server.is_message(message(56, 61, 60, 61, 61, 61, tail=b"shell"))


def test_the_notebook_is_one_explorer_between_words():
    notebook = nbformat.read(server.NOTEBOOK, as_version=4)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "markdown"]
    assert server.code() == notebook.cells[1].source
    assert not notebook.cells[1].outputs
    words = json.dumps(notebook.cells[0].source)
    for control in ("depth", "activation", "initializer", "gain"):
        assert f"**{control}**" in words  # prompts speak of controls that are shown
        assert f'"{control}"' in server.code()


# --- docs/classroom.md -----------------------------------------------------------------------

GUIDE = (server.ROOT / "docs" / "classroom.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guides_excerpt_for_jupyterhub_runs_and_lets_the_culler_do_its_work():
    (source,) = blocks("python")
    config = Config()
    exec(compile(source, "jupyterhub_config.py", "exec"), {"get_config": lambda: config})
    (service,), (role,) = config.JupyterHub.services, config.JupyterHub.load_roles
    assert role["services"] == [service["name"]]
    assert config.Spawner.cpu_limit == 2


def test_the_guides_excerpt_for_kubernetes_is_read():
    (source,) = blocks("yaml")
    values = yaml.safe_load(source)
    assert values["singleuser"]["memory"] == {"guarantee": "1G", "limit": "2G"}
    assert values["cull"]["timeout"] % values["cull"]["every"] == 0


def test_the_guides_link_opens_a_notebook_of_the_repository():
    (link,) = blocks("text")
    query = parse_qs(urlsplit(link.strip()).query)
    assert query["repo"] == ["https://github.com/initlab/initlab"]
    (path,) = query["urlpath"]
    assert (server.ROOT / path.removeprefix("lab/tree/initlab/")).is_file()
    other = parse_qs(re.search(r"`(urlpath=voila\S+)`", GUIDE)[1])["urlpath"][0]
    assert (server.ROOT / other.removeprefix("voila/render/initlab/")).is_file()


def test_the_guides_options_and_defaults_are_those_of_the_command_line(capsys):
    defaults = {
        name: value for name, value in vars(app.read([])).items() if name not in ("folder", "token")
    }
    rows = re.findall(r"^\| `--(\w+) [^`]*` \| .* \| (.*) \|$", GUIDE, re.MULTILINE)
    said = {name: value.strip("`") for name, value in rows}
    assert said.pop("token") == "a new one each time"
    assert said.pop("warm") == "as many as readers"
    assert defaults.pop("warm") == defaults["readers"]
    assert {name: f"{value}" for name, value in defaults.items()} == said
