"""Build the wheel and the source archive, and try both: `python -m tools.release`.

What is built is what is committed, and building it again, anywhere, gives the same bytes. Each
file is then installed in an empty environment and used there, as by a reader who has no clone.
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from pathlib import Path

from tools.addresses import repository

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements.lock.txt"
SOURCES = (
    *("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"),
    *("initlab", "tests"),  # tests, so that MANIFEST.in is seen to keep them out
)
TIME = 315532800  # of every file: the start of 1980, before which a zip file knows none
SWEEP = "--depth 2:6:2 --width 64 --initializer he_normal,zeros --seeds 2 --store map.zarr"
_LINK = re.compile(r"(!?)(\[[^]]*\])\((?![a-z]+:|#)([^)\s]+)\)")


def version(root: Path = ROOT) -> str:
    """Read the version, on which pyproject.toml, the changes and the citation must agree."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    wanted = tomllib.loads(text)["project"]["version"]
    for name, pattern in (("CHANGELOG.md", r"^## ([^\s,]+)"), ("CITATION.cff", r"^version: (\S+)")):
        found = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if found is None or found[1] != wanted:
            said = found[1] if found else "none"
            raise SystemExit(f"{name} has version {said}; write {wanted} there, as pyproject.toml")
    return wanted


def build(folder: Path, root: Path = ROOT) -> tuple[Path, Path]:
    """Build the wheel and the source archive into a folder, with nothing but the sources."""
    name = f"initlab-{version(root)}"
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, name)
        _copy_sources(root, copy)
        for page in (copy / "README.md", copy / "CHANGELOG.md"):
            text = alone(page.read_text(encoding="utf-8"), repository(root), version(root))
            page.write_bytes(text.encode())
        made = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, copy],
            env=os.environ | {"SOURCE_DATE_EPOCH": str(TIME)},
            capture_output=True,
            text=True,
        )
    if made.returncode:
        raise SystemExit(f"the build failed:\n{made.stdout[-3000:]}{made.stderr[-3000:]}")
    archive = folder / f"{name}.tar.gz"
    archive.write_bytes(_anonymous(archive))
    return folder / f"{name}-py3-none-any.whl", archive


def alone(page: str, name: str, number: str) -> str:
    """Make a page's links absolute: the package index shows the README without the repository."""

    def absolute(link: re.Match) -> str:
        picture, words, path = link.groups()
        view = "raw" if picture else "blob"
        return f"{picture}{words}(https://github.com/{name}/{view}/v{number}/{path})"

    return _LINK.sub(absolute, page)


def try_out(file: Path, folder: Path, root: Path = ROOT) -> str:
    """Install a file in a new environment inside a folder and use it; returns what it printed.

    What it requires comes from pip's own index, in the versions of the lock. The lock's hashes
    are left out: with them, pip takes nothing that another package asked for.
    """
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock = (root / LOCK).read_text(encoding="utf-8").splitlines()
    pins = [line.rstrip("\\") for line in lock if not line.startswith((" ", "#"))]
    (folder / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
    shutil.copy(root / "tools" / "release_trial.py", folder / "trial.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    said = ""
    pip = ("-m", "pip", "--disable-pip-version-check")
    for command in (
        (*pip, "install", "--quiet", "--constraint", "pins.txt", f"{file.resolve()}[store]"),
        (*pip, "check"),
        ("trial.py", version(root)),
        ("-m", "initlab", "sweep", *SWEEP.split()),
        ("-m", "initlab", "examine", "trial:make_model"),
    ):
        done = subprocess.run(
            [python, *command], cwd=folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            end = done.stdout[-3000:] + done.stderr[-3000:]
            raise SystemExit(f"{file.name}: python {' '.join(command)} failed:\n{end}")
        said += done.stdout
    return said


def main(root: Path = ROOT) -> None:
    """Build both files into dist/, try them, and say what they are."""
    number = version(root)
    waiting = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    if waiting:
        raise SystemExit(f"a release is what is committed; these changes are not:\n{waiting}")
    folder = root / "dist"
    shutil.rmtree(folder, ignore_errors=True)  # nothing of another version is uploaded with it
    for file in build(folder, root):
        with tempfile.TemporaryDirectory() as scratch:
            print(f"Trying {file.name} in an empty environment", flush=True)
            try_out(file, Path(scratch), root)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f"dist/{file.name}: works, {file.stat().st_size / 1000:.0f} kB, sha256 {digest}")
    if f"## {number}, not released yet" in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
        print("CHANGELOG.md calls it not released yet: write the date there before you publish")


def _copy_sources(root: Path, copy: Path) -> None:
    """Copy them, with the same permissions whoever builds."""
    for name in SOURCES:
        for path in [root / name, *sorted((root / name).rglob("*"))]:
            if path.is_file() and "__pycache__" not in path.parts:
                target = copy / path.relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o644)


def _anonymous(archive: Path) -> bytes:
    """The archive without who made it, when, and in which order files were found."""
    written = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        gzip.GzipFile(filename="", mode="wb", fileobj=written, mtime=TIME) as packed,
        tarfile.open(fileobj=packed, mode="w") as new,
    ):
        for entry in sorted(old, key=lambda entry: entry.name):
            if entry.isfile():
                plain = tarfile.TarInfo(entry.name)
                plain.size, plain.mtime = entry.size, TIME
                new.addfile(plain, old.extractfile(entry))
    return written.getvalue()


if __name__ == "__main__":
    main()
