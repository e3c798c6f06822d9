"""What the site is made of: pages of `docs/`, notebooks, and files of the repository's root.

A page links to its neighbours as it does in the repository, where one reads it on GitHub, too. In
the site it may stand elsewhere, so links are bent to where things are: to another page, or, for
what the site does not have, such as source code, to the repository's address.
"""

import json
import os
import re
from pathlib import Path, PurePosixPath

from tools.addresses import repository

#: Files outside of `docs/` and `notebooks/` -> their pages.
ROOT_PAGES = {
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
}
#: Pages that stand in tables of contents whether or not they are written yet.
AWAITED = ("classroom", "security", "accessibility")

_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#]+)(#[^)\s]*)?\)")
_BADGES = re.compile(r"^\[!\[.*\]\(.*badge.*\)\]\(.*\)\n?", re.M)
_BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\]\(([^)]*)\)")
_NAMED = re.compile(r"(?<!\[)`(\d\d_\w+)`(?!\])")


def gather(root: Path) -> dict[str, str | bytes]:
    """All pages and pictures that stand in the repository, by their place in the site."""
    places = _places(root)
    pages = {}
    for file, place in places.items():
        path = root / file
        if path.suffix == ".md":
            pages[place] = bent(path.read_text("utf-8"), file, places, root)
        elif path.suffix == ".rst":
            pages[place] = path.read_text("utf-8")
        elif path.suffix == ".ipynb":
            pages[place] = _lesson(path, places)
        else:
            pages[place] = path.read_bytes()
    for page in ("project.md", "how_to/index.md"):
        pages[page] = _without_what_is_awaited(pages, page)
    return pages | {
        "project/licence.md": _verbatim("Licence", root / "LICENSE", "text"),
        "project/citation.md": _verbatim("How to cite", root / "CITATION.cff", "yaml"),
    }


def write(pages: dict[str, str | bytes], folder: Path) -> None:
    """Write pages into a folder that then holds nothing else; what has not changed stays as it is.

    Sphinx reads anew what is newer than what it made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for place, content in pages.items():
        path = folder / place
        new = content.encode() if isinstance(content, str) else content
        if not path.exists() or path.read_bytes() != new:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new)


def _places(root: Path) -> dict[str, str]:
    """File in the repository -> place in the site, for all that is gathered."""
    docs = root / "docs"
    pages = [
        path.relative_to(docs)
        for path in sorted(docs.rglob("*"))
        if path.suffix in (".md", ".rst", ".png", ".gif", ".svg")
    ]
    places = {f"docs/{page.as_posix()}": page.as_posix() for page in pages}
    lessons = ["README.md", *(path.name for path in sorted((root / "notebooks").glob("*.ipynb")))]
    return places | {f"notebooks/{name}": f"course/{name}" for name in lessons} | ROOT_PAGES


def bent(text: str, file: str, places: dict[str, str], root: Path) -> str:
    """A page's text, with each link to a file leading to where that is for the site's readers.

    Args:
      text: Markdown.
      file: the page's own path in the repository.
      places: path in the repository -> place in the site.
      root: of the repository.
    """
    here = PurePosixPath(places[file]).parent

    def bend(match: re.Match) -> str:
        label, target, anchor = match.groups(default="")
        if ":" in target:
            return match[0]
        meant = os.path.normpath(PurePosixPath(file).parent / target)
        if meant in places:
            return f"{label}({os.path.relpath(places[meant], here)}{anchor})"
        if not (root / meant).exists():
            return match[0]  # a generated page, or a mistake that Sphinx will tell
        return f"{label}(https://github.com/{repository(root)}/blob/main/{meant}{anchor})"

    return _LINK.sub(bend, text)


def _lesson(path: Path, places: dict[str, str]) -> str:
    """A notebook with its badges as links in words, and the lessons that it names as links, too."""
    notebook = json.loads(path.read_text("utf-8"))
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if number == 0:
                source = _BADGES.sub("", source) + "\n\n" + _ways_to_run(source, path.name)
            source = _NAMED.sub(r"[`\1`](\1.ipynb)", source)
        for output in cell.get("outputs", []):
            _give_words(cell, output)
        cell["source"] = source
    return json.dumps(notebook)


def _ways_to_run(source: str, name: str) -> str:
    ways = [f"[{words}]({address})" for words, address in _BADGE.findall(source)]
    ways.append(f"{{download}}`Download <{name}>`")
    return f"{' · '.join(ways)} · [Glossary](README.md#glossary)"


def _give_words(cell: dict, output: dict) -> None:
    """Say a stored picture's words to who does not see it, as the notebook itself does."""
    words = output.get("metadata", {}).get("image/png", {}).get("alt")
    if words:
        cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": words}


def _without_what_is_awaited(pages: dict[str, str | bytes], page: str) -> str:
    """A page, without the lines of its tables of contents that name what is not there."""
    folder = PurePosixPath(page).parent
    missing = {os.path.relpath(name, folder) for name in AWAITED if f"{name}.md" not in pages}
    lines = pages[page].splitlines(keepends=True)
    return "".join(line for line in lines if line.strip() not in missing)


def _verbatim(title: str, path: Path, language: str) -> str:
    return f"# {title}\n\n```{language}\n{path.read_text('utf-8')}```\n"
