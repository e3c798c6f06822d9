"""Make a slide show of every notebook: `python -m tools.slides`, or of those named.

Each becomes `build/slides/NAME.html`, with reveal.js and MathJax beside it, so that a show needs no
network. Notebooks say by their cells' metadata what a slide is; what a room needs less than a
learner does (badges, set-up, the calls that ask questions) is left out, and what only the speaker
should see (the instructor's plan, the answers to questions) becomes speaker notes.
"""

import re
import shutil
import string
import sys
from importlib import resources
from pathlib import Path

import jinja2
import nbformat
from nbconvert.exporters import SlidesExporter
from pygments.formatters import HtmlFormatter

from initlab import teaching

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
TEMPLATE = Path(__file__).parent / "slides_show"
OUT = ROOT / "build" / "slides"
CODE_STYLE = "vs"  # of Pygments; all of its colors can be told from the tint behind code
BADGE = re.compile(r"^\[!\[.*\n", re.MULTILINE)
ASKED = re.compile(r"""^initlab\.teaching\.ask\(["']([a-z0-9-]+)["']\)$""")
# What formulas are typeset with: no fonts of other formats, speech or languages.
NEEDLESS = shutil.ignore_patterns("a11y", "localization", "eot", "otf", "SVG")


def make(path: Path, out: Path = OUT) -> dict:
    """Write a notebook's show into a folder, and tell its name, title and time."""
    notebook = nbformat.read(path, as_version=4)
    head = notebook.cells[0].source
    show = {
        "name": path.stem,
        "title": re.match(r"# (.*)", head)[1],
        "time": re.search(r"\*\*Time:\*\* (.*?)\.", head)[1],
        "code_css": HtmlFormatter(style=CODE_STYLE).get_style_defs(".highlight"),
    }
    prepare(notebook)
    exporter = SlidesExporter(
        extra_template_basedirs=[str(TEMPLATE.parent)],
        template_name=TEMPLATE.name,
        exclude_anchor_links=True,
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"show": show})
    (out / f"{path.stem}.html").write_text(page, encoding="utf-8")
    return show


def prepare(notebook) -> None:
    """Change a notebook, in place, from what a learner works through to what a room is shown."""
    names = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            text = BADGE.sub("", cell.source)
            cell.source = re.sub(
                r"`(\w+)`", lambda code: linked(code[1]) if code[1] in names else code[0], text
            )
            if slide_type(cell) == "notes":
                cell.source = re.sub(r"</?details>|<summary>.*</summary>", "", cell.source)
        elif asked := ASKED.match(cell.source):
            cell.metadata.transient = {"remove_source": True}
            cells.append(answers(teaching.questions()[asked[1]]))
        elif cell.source.startswith("initlab.explore("):
            # what the sentence under a live picture says; the call is of no use without sliders
            cell.metadata.transient = {"remove_source": True}
            cell.metadata.explorer = True
    notebook.cells = cells


def slide_type(cell) -> str:
    """What a cell is in the show: slide, subslide, fragment, notes, skip, or - for more of it."""
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def linked(name: str) -> str:
    """A link, in Markdown, to another notebook's show."""
    return f"[`{name}`]({name}.html)"


def answers(question: teaching.Question):
    """Speaker notes on a question: its right answers, and what to say to the others."""
    lines = [
        f"- **{letter}{', right' if choice.right else ''}.** {choice.feedback}"
        for letter, choice in zip(string.ascii_uppercase, question.choices, strict=False)
    ]
    notes = nbformat.v4.new_markdown_cell("\n".join(lines))
    notes.metadata.slideshow = {"slide_type": "notes"}
    return notes


def copy_scripts(out: Path) -> None:
    """Put reveal.js, MathJax and the style sheet where the shows look for them."""
    reveal = resources.files("sphinx_revealjs") / "_static" / "revealjs"
    fonts = reveal / "dist" / "theme" / "fonts" / "source-sans-pro"
    (out / "reveal").mkdir(parents=True, exist_ok=True)
    for file in (
        reveal / "LICENSE",
        reveal / "dist" / "reveal.css",
        reveal / "dist" / "reveal.js",
        reveal / "plugin" / "notes" / "notes.js",
        *(font for font in fonts.iterdir() if font.name.endswith(".woff")),
    ):
        shutil.copy(str(file), out / "reveal")
    mathjax = resources.files("jupyter_server_mathjax") / "static"
    shutil.copytree(str(mathjax), out / "mathjax", ignore=NEEDLESS, dirs_exist_ok=True)
    for name in ("show.css", "show.js"):
        shutil.copy(TEMPLATE / name, out)


def write_contents(shows: list[dict], out: Path) -> None:
    """Write the page that lists the shows."""
    template = jinja2.Template(
        (TEMPLATE / "contents.html.j2").read_text("utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    (out / "index.html").write_text(template.render(shows=shows) + "\n", encoding="utf-8")


def main(arguments, out: Path = OUT) -> None:
    """Make the shows of the notebooks named, or of all with a page that lists them."""
    copy_scripts(out)
    paths = [Path(name) for name in arguments] or sorted(NOTEBOOKS.glob("*.ipynb"))
    shows = [make(path, out) for path in paths]
    if not arguments:
        write_contents(shows, out)
    print(f"{len(shows)} slide shows: open {out / 'index.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
