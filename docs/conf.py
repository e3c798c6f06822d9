"""How Sphinx makes the site; `python -m tools.site` gathers what it is made of, and calls it.

Whoever reads the site may have no network: scripts, fonts and mathematics are in it.
"""

import sys
import tomllib
from pathlib import Path

import jupyter_server_mathjax

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = _project["name"]
author = _project["authors"][0]["name"]
copyright = author
release = version = _project["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "myst_nb",
    "tools.site.extension",
]
exclude_patterns = ["_*"]
root_doc = "index"

# --- docstrings: Google's shape; the public names, not the modules behind them -------------------

add_module_names = False
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# names that are no part of this site: other packages', and what is inside of initlab
nitpick_ignore_regex = [
    ("py:.*", r"(?!initlab).*"),
    ("py:mod", r"initlab\..*"),
    ("py:.*", r"initlab\.(?!adaptive|data|teaching|theory)[a-z_]+\..*"),
    ("py:.*", r"initlab\.(adaptive|theory)\.[a-z_]+\..*"),
]

# --- Markdown and notebooks, as they are stored --------------------------------------------------

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
myst_update_mathjax = False  # what it would set is for a later MathJax
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # pictures stand for widgets, so no script of theirs is fetched
nb_merge_streams = True
nb_render_markdown_format = "myst"  # with mathematics
suppress_warnings = ["mystnb.unknown_mime_type"]

# --- the page ------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "initlab"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # the search would fetch pages, which files do not allow
html_copy_source = False
html_permalinks_icon = "#"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#005A8C",
        "color-brand-content": "#005A8C",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
        "font-stack--monospace": "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7CC4F0",
        "color-brand-content": "#7CC4F0",
    },
}

# --- mathematics: MathJax, from a package, with the fonts that are in it --------------------------

MATHJAX = Path(jupyter_server_mathjax.__file__).parent / "static"
mathjax_path = "mathjax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full"
mathjax2_config = {
    "tex2jax": {
        "inlineMath": [["$", "$"], ["\\(", "\\)"]],
        "processEscapes": True,
        "ignoreClass": "page",
        "processClass": "math|cell_output",
    },
    "HTML-CSS": {
        "availableFonts": [],
        "imageFont": None,
        "preferredFont": None,
        "webFont": "STIX-Web",
    },
    "showMathMenu": False,
    "messageStyle": "none",
}
