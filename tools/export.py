"""Make a page of a notebook, to be read without Jupyter or a network: `python -m tools.export`.

It is nbconvert's page with what that leaves out for who hears it, enlarges it, or has the keyboard
alone. ``tests/browser/test_exported.py`` holds every notebook's page to it.
"""

import html
import re
import shutil
import sys
from importlib import resources
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from tools import lab

FOLDER = lab.ROOT / "build" / "export"
MATHJAX = resources.files("jupyter_server_mathjax") / "static"
#: What of nbconvert's colours has less than 4.5:1: of code, and of the numbers of cells.
STYLE = """<style>
.highlight :is(.mi, .mf, .mh, .mo, .mb) {color: #006B00 !important}
.highlight :is(.c, .c1, .ch, .cm) {color: #2F6060 !important}
.highlight :is(.o, .ow) {color: #7A1FA0 !important}
.jp-InputPrompt, .jp-OutputPrompt {opacity: 1 !important; color: #595959 !important}
.jp-RenderedHTMLCommon a {text-decoration: underline !important}
.jp-Notebook img {max-width: 100%; height: auto}
</style>"""


def page_of(notebook: nbformat.NotebookNode, name: str) -> str:
    """The notebook as one page of HTML.

    Args:
      notebook: with its outputs.
      name: the page's title, if no heading of the notebook says one.
    """
    title = next(iter(re.findall(r"^# (.+)", notebook.cells[0].source, re.MULTILINE)), name)
    notebook = nbformat.from_dict(notebook | {"metadata": notebook.metadata | {"title": title}})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            _give_words(output)
    address = "mathjax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full,Safe"
    made, _ = HTMLExporter(mathjax_url=address).from_notebook_node(notebook)
    return _mended(made)


def _give_words(output: nbformat.NotebookNode) -> None:
    """An image with its alternative text, which nbconvert's page leaves out."""
    data, words = output.get("data", {}), output.get("metadata", {}).get("image/png", {}).get("alt")
    if words and "image/png" in data:
        source = f"data:image/png;base64,{data.pop('image/png')}"
        data["text/html"] = f'<img alt="{html.escape(words)}" src="{source}">'


def _mended(page: str) -> str:
    """The page with a style of enough contrast, and without what it would fetch from elsewhere."""
    soup = BeautifulSoup(page, "html.parser")
    soup.head.append(BeautifulSoup(STYLE, "html.parser"))
    for script in soup.select("script"):
        if "https://" in f"{script.get('src', '')}{script.string or ''}":
            script.decompose()  # require.js and mermaid, which nothing here needs
    for image in soup.select("img[src^=http]"):
        image.replace_with(image["alt"])  # badges
    return str(soup)


def export(path: Path, folder: Path = FOLDER) -> Path:
    """Write a notebook's page into the folder, and say where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "mathjax").exists():
        shutil.copytree(str(MATHJAX), folder / "mathjax")
    page = folder / f"{path.stem}.html"
    page.write_text(page_of(nbformat.read(path, as_version=4), path.stem), encoding="utf-8")
    return page


def main(arguments: list[str]) -> None:
    """Export the notebooks named, or all."""
    for path in [Path(name) for name in arguments] or sorted(
        lab.FIRST_NOTEBOOK.parent.glob("*.ipynb")
    ):
        print(export(path))


if __name__ == "__main__":
    main(sys.argv[1:])
