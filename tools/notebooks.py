"""Run the notebooks and store them as they should be committed: `python -m tools.notebooks`.

A stored notebook shows its results to who only reads it, and nbval compares them. Widgets are
dead without a kernel, and their saved state breaks GitHub's view, so of each live widget only the
picture that stands beside it is kept.
"""

import base64
import io
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parent.parent
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
TIME_LIMIT = 120  # seconds a cell; a hanging client must not hang the build
LARGE_PICTURE = 30_000  # bytes
COLORS = 255  # of a large picture, when it is stored


def run(path: Path) -> None:
    """Execute a notebook from top to bottom and write it back, cleaned."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=TIME_LIMIT,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    clean(notebook)
    nbformat.write(notebook, path)


def clean(notebook) -> None:
    """Drop what does not belong into a stored notebook: widget views, their state, timings.

    Large pictures, those of dense screens, are stored with a palette.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(WIDGET_VIEW, None)
            if "image/png" in data:
                data.pop("text/html", None)  # the same picture with its words, which are kept
                data["image/png"] = compact(data["image/png"])


def compact(picture: str) -> str:
    """A PNG in base64, with few enough colors for a palette if it is large."""
    png = base64.b64decode(picture)
    if len(png) <= LARGE_PICTURE:
        return picture
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return min(picture, base64.b64encode(out.getvalue()).decode(), key=len)


def main(arguments) -> None:
    """Run the notebooks named, or all."""
    for path in [Path(name) for name in arguments] or sorted((ROOT / "notebooks").glob("*.ipynb")):
        print(f"running {path.name}", flush=True)
        run(path)


if __name__ == "__main__":
    main(sys.argv[1:])
