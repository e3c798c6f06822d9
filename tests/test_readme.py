"""What Markdown files and notebooks name exists: targets of make, modules, files, headings."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

from tests import documents
from tests.documents import ROOT

TEXTS = documents.all_texts()
PINNED = re.findall(r"(?m)^([\w-]+)==", (ROOT / "requirements.lock.txt").read_text("utf-8"))
GENERATED = re.compile(r"(\.\./)*(reference|catalogue|project)/")  # pages that `make docs` makes


@pytest.fixture(params=TEXTS, ids=[str(text.path.relative_to(ROOT)) for text in TEXTS])
def text(request):
    return request.param


def code(text):
    """All that is marked as code, a line at a time."""
    lines = [line for _, block in text.blocks() for line in block.splitlines()]
    return [*lines, *text.spans()]


def exists(module):
    """Whether there is a module: one's own as a file, another as a package that is pinned."""
    root = module.partition(".")[0]
    if (ROOT / root).is_dir():
        return importlib.util.find_spec(module) is not None
    return root in {"pip", *sys.stdlib_module_names} or root in PINNED


def test_every_target_of_make_that_is_named_exists(text):
    named = [re.match(r"\s*(?:\$ )?make(?: -\S+)* ([a-z][a-z-]*)", line) for line in code(text)]
    assert {match[1] for match in named if match} <= documents.make_targets()


def test_every_module_that_is_run_exists(text):
    for line in code(text):
        for name in re.findall(r"python[\d.]* -m ([\w.]+)|-3 -m ([\w.]+)", line):
            module = "".join(name)
            assert exists(module), f"python -m {module}"


def test_every_link_leads_to_a_file_and_a_heading(text):
    for link in text.links():
        if re.match(r"[a-z][a-z+.-]*:|attachment:", link):
            continue
        name, _, anchor = link.partition("#")
        target = text.path if not name else text.path.parent / name
        if not target.exists() and GENERATED.match(name):
            continue
        assert target.exists(), f"{link} leads nowhere"
        assert target.resolve().is_relative_to(ROOT), f"{link} leads out of the repository"
        if anchor and target.suffix in (".md", ".ipynb"):
            assert anchor.lower() in documents.read(target).anchors(), f"no heading for {link}"


def test_links_headings_and_commands_are_found():
    """That the tests above read what they should: a sample with one of each."""
    sample = documents.Text(
        ROOT / "README.md",
        "# One `x`, two: [three](four.md)\n\n## Same\n\n## Same\n\n"
        "![a](b.png) <a href='c.md#d'>e</a>\n"
        "`[no](link.md)` and `make lab`\n\n```sh\nmake test  # all\n# none\n\npip list\n```\n\n"
        "```python\n[no](link.md)\n# no heading\n```\n",
    )
    assert sample.links() == ["four.md", "b.png", "c.md#d"]
    assert sample.anchors() == {"one-x-two-three", "same", "same-1"}
    assert sample.commands() == ["make test", "pip list"]
    assert sample.spans() == ["x", "[no](link.md)", "make lab"]
    assert len(TEXTS) >= 15 and sum(len(text.links()) for text in TEXTS) > 100


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("target", sorted(documents.make_targets()))
def test_every_target_of_make_runs_modules_and_scripts_that_exist(target):
    command = ["make", "--dry-run", "--always-make", target, "ARGS="]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    for module in re.findall(r"bin/python -m ([\w.]+)", told.stdout):
        assert exists(module), f"make {target} runs python -m {module}"
    for script in re.findall(r"\bsh ([\w/]+\.sh)", told.stdout):
        assert (ROOT / script).is_file(), f"make {target} runs {script}"
