"""Make the documentation's site: `python -m tools.site`, or `make docs`.

Its pages stand in `docs/`, the course in `notebooks/`, the reference in docstrings, and the
catalogue in the catalogues themselves. All are gathered in `build/site`, and from there Sphinx
makes `build/docs`, which needs no network, neither to be made nor to be read.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

from tools.site import catalogue, modules, sources

ROOT = Path(__file__).resolve().parents[2]
GATHERED = ROOT / "build" / "site"
SITE = ROOT / "build" / "docs"
_MADE_OF = ".made_of"  # the catalogue that is there: a digest of all code that it was made by


def build(gathered: Path = GATHERED, site: Path = SITE, arguments: list[str] = ()) -> int:
    """Gather all sources in one folder, and make the site in another; 0 if Sphinx warns of nothing.

    ``arguments`` are passed on to ``sphinx-build``.
    """
    # Sphinx is slow to import, and tests that only gather do not need it.
    from sphinx.cmd.build import build_main

    pages = sources.gather(ROOT) | _catalogue(gathered)
    pages["design.md"] += modules.section()
    sources.write(pages, gathered)
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    folders = [str(gathered), str(site)]
    doctrees = str(site.with_name(f"{site.name}-doctrees"))
    return build_main([*options, "-c", str(ROOT / "docs"), "-d", doctrees, *arguments, *folders])


def _catalogue(gathered: Path) -> dict[str, str | bytes]:
    """The catalogue's pages; drawing them takes most of the time, so the last ones are kept."""
    code = [path for name in ("initlab", "tools/site") for path in (ROOT / name).rglob("*.py")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(code))).hexdigest()
    mark, folder = gathered / _MADE_OF, gathered / catalogue.FOLDER
    if mark.exists() and mark.read_text("utf-8") == digest:
        files = [path for path in folder.rglob("*") if path.is_file()]
        pages = {path.relative_to(gathered).as_posix(): path.read_bytes() for path in files}
    else:
        pages = catalogue.pages()
    return pages | {_MADE_OF: digest}


def main(arguments: list[str]) -> int:
    """Build the site, and say where it is."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # pictures of small networks
    start = time.monotonic()
    status = build(arguments=arguments)
    if status == 0:
        print(f"{SITE / 'index.html'}, made in {time.monotonic() - start:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
