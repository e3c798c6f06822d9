"""Write the repository's address where readers meet it: `python -m tools.addresses`.

The address stands in `pyproject.toml`, as `[project.urls]` Repository. From there it goes into
the badges and the set-up cells of all notebooks, into the README, and into CITATION.cff. Whoever
forks the project changes that one line and runs `make addresses`.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NAME = r"[\w.-]*\w"  # of an owner or of a repository
#: What stands before owner and name, wherever they stand.
_BEFORE = (
    "https://colab.research.google.com/github/",
    "https://mybinder.org/v2/gh/",
    "git+https://github.com/",
    "git clone https://github.com/",
    "repository-code: https://github.com/",
)
_PLACES = re.compile(f"({'|'.join(map(re.escape, _BEFORE))}){_NAME}/{_NAME}")


def repository(root: Path) -> str:
    """``owner/name`` of the repository that pyproject.toml names."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    address = tomllib.loads(text)["project"]["urls"]["Repository"]
    match = re.fullmatch(rf"https://github\.com/({_NAME}/{_NAME})", address)
    if match is None:
        raise SystemExit(
            "pyproject.toml: Repository must be https://github.com/OWNER/NAME, because Colab and"
            f" Binder fetch notebooks from there; it is {address!r}"
        )
    return match[1]


def files(root: Path) -> list[Path]:
    """The files in which the address may stand."""
    documents = [root / "README.md", root / "CITATION.cff"]
    return [*documents, *sorted((root / "notebooks").glob("*.ipynb"))]


def addressed(text: str, name: str) -> str:
    """The text with every badge and every set-up line leading to a repository."""
    return _PLACES.sub(lambda match: match[1] + name, text)


def main(root: Path = ROOT) -> list[Path]:
    """Bring all files up to date, and return those that changed."""
    name = repository(root)
    changed = []
    for path in files(root):
        before = path.read_bytes().decode()  # as bytes, so that line ends stay as they are
        after = addressed(before, name)
        if after != before:
            path.write_bytes(after.encode())
            changed.append(path)
            print(f"{path.relative_to(root)}: now leads to {name}")
    return changed


if __name__ == "__main__":
    if not main():
        print("all addresses are up to date", file=sys.stderr)
