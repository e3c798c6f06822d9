"""The repository's address stands in pyproject.toml, and everywhere else by `make addresses`."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tools import addresses

ROOT = Path(__file__).parent.parent
README = "README.md"


@pytest.fixture
def copy(tmp_path):
    """A copy of what holds the address."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for document in (README, "CITATION.cff"):
        shutil.copy(ROOT / document, tmp_path)
    shutil.copytree(
        ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".ipynb_*")
    )
    return tmp_path


def move(root, address):
    path = root / "pyproject.toml"
    text = re.sub(r'(?m)^Repository = ".*"$', f'Repository = "{address}"', path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("path", addresses.files(ROOT), ids=lambda path: path.name)
def test_every_address_is_the_one_of_pyproject(path):
    text = path.read_text(encoding="utf-8")
    assert text == addresses.addressed(text, addresses.repository(ROOT)), "run `make addresses`"


def test_all_follow_when_the_address_changes_and_a_second_time_nothing_does(copy, capsys):
    old, new = addresses.repository(ROOT), "some-one/init.lab_2"
    before = {path: path.read_bytes() for path in addresses.files(copy)}
    assert len(before) == 2 + len(list((ROOT / "notebooks").glob("*.ipynb")))
    assert addresses.main(copy) == []
    move(copy, f"https://github.com/{new}")
    assert addresses.main(copy) == list(before)
    said = capsys.readouterr().out
    for path, content in before.items():
        text = path.read_text(encoding="utf-8")
        assert old not in text
        least = 1 if path.name == "CITATION.cff" else 3  # Colab, Binder, pip
        assert text.count(new) == content.decode().count(old) >= least
        if path.suffix == ".ipynb":
            json.loads(text)
        assert path.name in said
    assert addresses.main(copy) == []
    move(copy, f"https://github.com/{old}")
    addresses.main(copy)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("git+https://github.com/a/b@v1", "git+https://github.com/x/y@v1"),
        ("see git+https://github.com/a/b.", "see git+https://github.com/x/y."),
        ("git+https://github.com/a/b\\n", "git+https://github.com/x/y\\n"),
        ("git clone https://github.com/a/b", "git clone https://github.com/x/y"),
        ("https://github.com/jax-ml/jax", "https://github.com/jax-ml/jax"),
        (
            "https://colab.research.google.com/assets/colab-badge.svg",
            "https://colab.research.google.com/assets/colab-badge.svg",
        ),
    ],
)
def test_only_ways_to_this_repository_are_changed(before, after):
    assert addresses.addressed(before, "x/y") == after


def test_an_address_that_colab_cannot_reach_is_refused(copy):
    move(copy, "https://example.org/a/b")
    with pytest.raises(SystemExit, match=r"github\.com/OWNER/NAME"):
        addresses.main(copy)
