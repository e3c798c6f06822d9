"""What stands in Markdown: commands, links and headings, of files and of notebooks' cells."""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat

ROOT = Path(__file__).resolve().parent.parent
SHELLS = ("sh", "bash", "shell", "console", "powershell")

_FENCE = re.compile(r"^( *)(```+)([\w{}-]*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)|(?:src|href)=[\"']([^\"']+)[\"']")


class Text(NamedTuple):
    """Markdown, and the file that it stands in."""

    path: Path
    markdown: str

    def blocks(self) -> list[tuple[str, str]]:
        """Language and text of all fenced blocks."""
        return [(match[3], match[4]) for match in _FENCE.finditer(self.markdown)]

    def spans(self) -> list[str]:
        """What stands between single backticks."""
        return _SPAN.findall(_FENCE.sub("", self.markdown))

    def commands(self) -> list[str]:
        """The lines of blocks for a shell, without comments."""
        lines = [
            line.partition(" #")[0].strip()
            for language, block in self.blocks()
            if language in SHELLS
            for line in block.splitlines()
        ]
        return [line for line in lines if line and not line.startswith("#")]

    def links(self) -> list[str]:
        """Targets of links and pictures."""
        prose = _SPAN.sub("", _FENCE.sub("", self.markdown))
        return [first or second for first, second in _LINK.findall(prose)]

    def anchors(self) -> set[str]:
        """What GitHub makes of the headings; the second of a name gets ``-1``, and so on."""
        found = set()
        for title in re.findall(r"^#+ +(.*?)#* *$", _FENCE.sub("", self.markdown), re.MULTILINE):
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
            anchor = base = re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-")
            number = 0
            while anchor in found:
                number += 1
                anchor = f"{base}-{number}"
            found.add(anchor)
        return found


def read(path: Path) -> Text:
    """A Markdown file, or all the Markdown of a notebook."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        sources = [cell.source for cell in cells if cell.cell_type == "markdown"]
        return Text(path, "\n\n".join(sources))
    return Text(path, path.read_text(encoding="utf-8"))


def all_texts() -> list[Text]:
    """Every Markdown file of the repository, and every notebook."""
    folders = ("docs", "notebooks")
    found = [*ROOT.glob("*.md")]
    for folder in folders:
        found += [*(ROOT / folder).rglob("*.md"), *(ROOT / folder).rglob("*.ipynb")]
    return [read(path) for path in sorted(found) if ".ipynb_checkpoints" not in path.parts]


def make_targets() -> set[str]:
    """The targets of the Makefile that have a line in `make help`."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))
