"""What docs/security.md promises: data is never run as code, and what is shown is escaped."""

import ast
import html.parser
import json
import pickle
import re
from pathlib import Path

import jax.numpy as jnp
import nbformat
import numpy as np
import pytest

import initlab
from initlab import page as page_of
from initlab import teaching
from initlab.initializers import INITIALIZERS
from initlab.sweeps.checks import record_of
from initlab.sweeps.grid import grid_of
from initlab.sweeps.points import CHEAP
from tools import lab

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "initlab").rglob("*.py"))
PROGRAMS = sorted(path for name in ("tools", "benchmarks") for path in (ROOT / name).rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: modules whose files or bytes can be code
CODE_IN_DATA = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
#: modules by which the package could reach the network or start a program
OUTSIDE = {"socket", "ssl", "http", "urllib", "requests", "httpx", "ftplib", "smtplib"}
OUTSIDE |= {"subprocess", "multiprocessing", "pty", "ctypes", "webbrowser"}
EVALUATING = {"eval", "exec", "compile", "__import__"}
METHODS = {"os.system", "os.popen", "os.execv", "yaml.load", "yaml.unsafe_load", "torch.load"}
METHODS |= {"np.load", "numpy.load", "jnp.load", "tempfile.mktemp", "builtins.eval"}
#: where a module is imported by a name that is no constant, and what the name is
BY_NAME = {
    "initlab/__init__.py": "of the stub of public names",
    "initlab/__main__.py": "of the reader's own model, who asks for it",
}

#: where text is evaluated, without builtins, and whose text it is
EVALUATED = {
    "benchmarks/live_page.py": "what a kernel answers that the benchmark started",
    "tools/handout.py": "the formulas that stand in the file",
}

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def imported(tree) -> set[str]:
    """The modules that a file imports, by their first name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def called(tree) -> list[tuple[str, ast.Call]]:
    """The calls of a file by their dotted names."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(call.func), call) for call in calls]


def offences(source: str, modules: set[str]) -> list[str]:
    """What a file does that none here does."""
    tree = ast.parse(source)
    found = sorted(imported(tree) & modules)
    for name, call in called(tree):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in EVALUATING | METHODS or given.get("shell") == "True" or "allow_pickle" in given:
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_package_reads_no_code_from_data_and_reaches_for_nothing(path):
    assert offences(path.read_text(encoding="utf-8"), CODE_IN_DATA | OUTSIDE) == []


def test_modules_are_imported_by_computed_names_in_these_places_alone():
    found = set()
    for path in PACKAGE:
        for name, call in called(ast.parse(path.read_text(encoding="utf-8"))):
            by_name = name.endswith("import_module") or name.startswith("runpy.")
            if by_name and not isinstance(call.args[0], ast.Constant):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == set(BY_NAME)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tools_read_no_code_from_data_and_start_no_shell(path):
    found = offences(path.read_text(encoding="utf-8"), CODE_IN_DATA)
    if path.relative_to(ROOT).as_posix() in EVALUATED:
        found = [call for call in found if not re.match(r"eval\(.*{'__builtins__': {}}", call)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import urllib.request",
        "eval('1')",
        "np.load('x', allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
        "yaml.load(text)",
        "def f():\n    import os\n    os.system('ls')",
    ],
)
def test_an_offence_is_found(source):
    assert offences(source, CODE_IN_DATA | OUTSIDE)


class Tripped:
    """What a hostile file holds: whoever unpickles it leaves a trace."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def hostile_store(folder: Path, trace: Path, record: dict) -> None:
    """A sweep's store in Zarr's older format, in which arrays may be pickled."""
    array = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "order": "C"}
    filters = [{"id": "vlen-utf8"}, {"id": "pickle"}]  # the last is undone first
    array |= {"compressor": None, "fill_value": None, "filters": filters}
    segment = folder / "segment-0000"
    for group, attributes in (
        (folder, {"sweep": record}),
        (segment, {"whole": True, "axes": {}, "fixed": {}}),
    ):
        group.mkdir()
        (group / ".zgroup").write_text(json.dumps({"zarr_format": 2}), encoding="utf-8")
        (group / ".zattrs").write_text(json.dumps(attributes), encoding="utf-8")
    for name in ("index", "done", "loss"):
        (segment / name).mkdir()
        (segment / name / ".zarray").write_text(json.dumps(array), encoding="utf-8")
        (segment / name / "0").write_bytes(pickle.dumps(Tripped(trace)))


@pytest.fixture
def unpickling(monkeypatch):
    """NumCodecs before 0.16.6, and older Zarr: they unpickle what a store says is pickled."""
    codecs = pytest.importorskip("numcodecs.pickles")
    monkeypatch.setattr(codecs, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    with pytest.importorskip("zarr").config.set({"array.allow_unsafe_pickle_decode": True}):
        yield


def test_a_store_is_data_and_never_code(unpickling, tmp_path):
    pytest.importorskip("zarr")
    record = record_of(grid_of(depth=1, width=16), CHEAP, initlab.data.digits(64))
    hostile_store(tmp_path / "map.zarr", tmp_path / "trace", record)
    with pytest.raises(ValueError, match="no store of a sweep"):
        initlab.sweep(depth=1, width=16, store=tmp_path / "map.zarr")
    assert not (tmp_path / "trace").exists()


def test_the_hostile_store_would_do_harm(unpickling, tmp_path):
    """Else the test above proved nothing."""
    zarr = pytest.importorskip("zarr")
    hostile_store(tmp_path / "hostile.zarr", tmp_path / "trace", {})
    with pytest.raises(TypeError):  # what was unpickled is no text
        zarr.open_group(tmp_path / "hostile.zarr", mode="r")["segment-0000/index"][:]
    assert (tmp_path / "trace").exists()


class Tags(html.parser.HTMLParser):
    """The tags of a page, and the attributes by which a page could run something."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.running = set(), []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            outside = re.match(r"\s*(javascript|vbscript|data:text)", value or "", re.IGNORECASE)
            if name.startswith("on") or name == "srcdoc" or outside:
                self.running.append(f"{tag} {name}={value}")


HARMFUL = {"script", "iframe", "object", "embed", "form", "base", "meta", "link", "svg"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_hold_no_scripts(path):
    """Neither in their text nor in what is stored of their results."""
    for cell in nbformat.read(path, as_version=4).cells:
        pages = [cell.source] if cell.cell_type == "markdown" else []
        for output in cell.get("outputs", ()):
            kinds = set(output.get("data", {}))
            assert kinds <= {"text/plain", "text/html", "text/markdown", "image/png"}
            pages += [output.data[kind] for kind in kinds & {"text/html", "text/markdown"}]
        for page in pages:
            found = Tags(page)
            assert not found.tags & HARMFUL and found.running == [], page


def report():
    def network(params, inputs):
        return jnp.tanh(inputs @ params[EVIL]["w"]) @ params["readout"]

    generator = np.random.default_rng(0)
    weights = {
        EVIL: {"w": generator.normal(0, 9, (64, 16))},
        "readout": generator.normal(size=(16, 10)),
    }
    return initlab.examine(network, weights, initlab.data.digits(16).inputs)


def registered():
    entry = initlab.register_initializer(
        "mine", lambda key, shape, dtype: jnp.ones(shape, dtype), law=EVIL, when=EVIL, source=EVIL
    )
    try:
        return initlab.initializers()
    finally:
        INITIALIZERS.remove(entry.name)


@pytest.mark.parametrize("make", [report, lambda: report().remedy(), registered])
def test_names_that_are_tags_are_shown_as_text(make):
    shown = make()._repr_markdown_()
    assert "onerror" in shown  # the name is there
    assert "img" not in Tags(shown).tags and "script" not in Tags(shown).tags


def test_the_explorers_sentence_and_code_are_text():
    for page in (page_of.status(EVIL), page_of.code(EVIL)):
        assert "onerror" in page and not {"img", "script"} & Tags(page).tags


@pytest.mark.slow
def test_starts_that_are_named_by_tags_are_shown_as_text():
    setting = initlab.Setting(depth=2, width=16, initializer="zeros")
    race = initlab.race({EVIL: setting}, initlab.data.digits(16), steps=4)
    pages = [initlab.early_warnings(race.wait())._repr_markdown_(), race.status.value]
    race.close()
    assert "onerror" in pages[0]
    for page in pages:
        assert not {"img", "script"} & Tags(page).tags, page


def test_answers_that_are_tags_are_shown_as_text():
    def he_scale(fan_in, fan_out):
        raise ValueError(EVIL)

    shown = teaching.check("he-scale", he_scale)._repr_html_()
    assert "onerror" in shown and not {"img", "script"} & Tags(shown).tags


def test_jupyterlab_is_started_as_it_comes_and_no_less_guarded():
    """Its defaults are a token, the loopback, and a check of where requests come from."""
    options = " ".join(lab.OPTIONS)
    for weaker in ("token", "password", "ip=", "xsrf", "allow_origin", "remote", "port"):
        assert weaker not in options.lower()
