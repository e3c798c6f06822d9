"""What is released: the package whole and nothing else, and it works where nothing else is."""

import email
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import release

pytest.importorskip("build", reason="Colab's versions are for use, not for releases")

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = {
    path.relative_to(ROOT).as_posix(): path.read_bytes()
    for path in (ROOT / "initlab").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source archive."""
    return release.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(built):
    """What stands in the wheel: contents by name."""
    with zipfile.ZipFile(built[0]) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def archive(built):
    """What stands in the source archive: contents by name, without the common folder."""
    with tarfile.open(built[1]) as file:
        return {
            entry.name.partition("/")[2]: file.extractfile(entry).read()
            for entry in file.getmembers()
        }


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel[name])


def test_the_wheel_is_the_package_as_it_is_on_disk_and_nothing_else(wheel):
    beside = {name for name in wheel if ".dist-info/" in name}
    assert {name: text for name, text in wheel.items() if name not in beside} == PACKAGE
    folder = f"initlab-{PROJECT['version']}.dist-info"
    names = ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE", "top_level.txt")
    assert beside == {f"{folder}/{name}" for name in names}
    assert wheel[f"{folder}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_source_archive_has_what_builds_the_package_and_what_a_reader_looks_for(archive):
    made = {name for name in archive if name.startswith("initlab.egg-info/")}
    made |= {"PKG-INFO", "setup.cfg"}
    read = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff"}
    assert set(archive) - made == {*PACKAGE, *read, "pyproject.toml", "MANIFEST.in"}
    assert {name: archive[name] for name in PACKAGE} == PACKAGE
    for name in ("LICENSE", "CITATION.cff", "pyproject.toml"):
        assert archive[name] == (ROOT / name).read_bytes()


def test_no_trace_of_who_built_it_and_when(built):
    with tarfile.open(built[1]) as file:
        traces = {(entry.uid, entry.gid, entry.uname, entry.mtime, entry.mode) for entry in file}
    assert traces == {(0, 0, "", release.TIME, 0o644)}
    with zipfile.ZipFile(built[0]) as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_metadata_are_those_of_pyproject(metadata):
    assert metadata["Name"] == PROJECT["name"]
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == PROJECT["license"]
    asked = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    plain = {str(part) for part in asked if part.marker is None}
    assert plain == {str(Requirement(line)) for line in PROJECT["dependencies"]}
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_the_page_on_the_package_index_leads_to_what_exists(metadata):
    """An index shows README.md without the files beside it."""
    page = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"\]\(([^)\s]+)\)", page)
    assert [link for link in links if not re.match(r"https://|#", link)] == []
    own = rf"{PROJECT['urls']['Repository']}/(blob|raw)/v{re.escape(PROJECT['version'])}/(.+)"
    found = [match.groups() for link in links if (match := re.fullmatch(own, link))]
    relative = re.findall(r"\]\((?!https://|#)([^)\s]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert sorted(path for _, path in found) == sorted(relative)
    for view, path in found:
        assert (ROOT / path.partition("#")[0]).exists(), path
        assert (view == "raw") == (Path(path).suffix in (".png", ".gif")), path


@pytest.fixture
def copy(tmp_path):
    """A copy of what a release is built from, in a repository of its own."""
    for name in release.SOURCES:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("CHANGELOG.md", "## 0", "## 7.0.0, not released yet\n\n## 0"),
        ("CITATION.cff", "version: 0", "version: 7"),
        ("CHANGELOG.md", "## ", "### "),
    ],
)
def test_a_version_that_is_told_otherwise_elsewhere_is_not_built(copy, name, old, new):
    assert release.version(copy) == PROJECT["version"]
    text = (copy / name).read_text(encoding="utf-8")
    changed = text.replace(old, new, 1 if "7" in new else -1)
    (copy / name).write_text(changed, encoding="utf-8")
    with pytest.raises(
        SystemExit, match=f"^{name} has version (7|none).*write {PROJECT['version']}"
    ):
        release.build(copy / "dist", copy)
    assert not (copy / "dist").exists()


def test_what_is_not_committed_is_not_released(copy):
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    with pytest.raises(SystemExit, match=r"what is committed.*\n(.*\n)*\?\? CITATION\.cff"):
        release.main(copy)
    assert not (copy / "dist").exists()


@pytest.mark.slow
def test_it_is_built_again_byte_for_byte(tmp_path):
    """From another copy, later, with other permissions."""
    built = []
    for name, mode in (("one", 0o755), ("other", 0o700)):
        copy = tmp_path / name
        for part in release.SOURCES:
            source = ROOT if not built else tmp_path / "one"
            if (source / part).is_dir():
                shutil.copytree(source / part, copy / part, copy_function=shutil.copyfile)
            else:
                copy.mkdir(exist_ok=True)
                shutil.copyfile(source / part, copy / part)
        for path in copy.rglob("*"):
            path.chmod(mode)
        built.append(release.build(tmp_path / f"dist of {name}", copy))
    for first, again in zip(*built, strict=True):
        assert first.read_bytes() == again.read_bytes(), first.name


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1], ids=["wheel", "source archive"])
def test_it_works_in_an_empty_environment(built, which, tmp_path):
    said = release.try_out(built[which], tmp_path)
    assert "Vanishing gradients" in said  # of the trial, a tanh network at half its gain
    assert (tmp_path / "map.zarr" / "zarr.json").is_file()
