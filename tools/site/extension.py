"""What the site needs of Sphinx beyond its settings: MathJax in it, and names that are public.

A docstring and a signature know an object by where it is defined, ``initlab.signals.Signals``. Its
entry in the reference has the public name, ``initlab.Signals``.
"""

import contextlib
import importlib
import io
import shutil
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from numpy.typing import ArrayLike, DTypeLike
from sphinx.util.typing import stringify_annotation

#: Parts of MathJax that no page asks for: other languages, other inputs, a voice of its own.
_MATHJAX_LEAVES_OUT = ("localization", "a11y", "SVG", "*.md")


def _copy_mathjax(app, error) -> None:
    """MathJax, next to the other scripts of the site."""
    target = Path(app.outdir) / "_static" / "mathjax"
    if error is None and app.builder.format == "html" and not target.exists():
        ignored = shutil.ignore_patterns(*_MATHJAX_LEAVES_OUT)
        shutil.copytree(app.config.MATHJAX, target, ignore=ignored)


def _resolve(app, env, node: nodes.Element, content: nodes.Element):
    """The entry that is meant, where a name is that of an inner module, or only its last part."""
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects
    last = node["reftarget"].rpartition(".")[2]
    homes = ("initlab", "initlab.adaptive", "initlab.data", "initlab.teaching", "initlab.theory")
    for name in (f"{home}.{last}" for home in homes):
        if name in objects and _is_meant(node["reftarget"], name):
            return env.get_domain("py").resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], name, node, content
            )
    return None


def _is_meant(target: str, name: str) -> bool:
    """Whether a name by which something is called leads to the object of a public one."""
    module, _, last = name.rpartition(".")
    public = getattr(importlib.import_module(module), last)
    defined = f"{getattr(public, '__module__', '')}.{getattr(public, '__qualname__', '')}"
    return target in (last, name, defined)


def _shorten(app, what, name, obj, options, signature, returned):
    """A signature with NumPy's names for its unions of all that an array can be made of."""

    def short(text: str | None) -> str | None:
        for known, union in (("ArrayLike", ArrayLike), ("DTypeLike", DTypeLike)):
            text = text and text.replace(stringify_annotation(union, "smart"), known)
        return text

    return short(signature), short(returned)


class CommandLine(Directive):
    """What ``python -m initlab … --help`` prints: ``.. command-line:: initlab sweep``."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Ask the command itself."""
        module, *words = self.arguments[0].split()
        main = importlib.import_module(f"{module}.__main__").main
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([*words, "--help"])
        shown = nodes.literal_block(printed.getvalue(), printed.getvalue())
        shown["language"] = "text"
        return [shown]


def setup(app) -> dict:
    """Sphinx calls this."""
    app.add_directive("command-line", CommandLine)
    app.add_config_value("MATHJAX", None, "html")
    app.connect("autodoc-process-signature", _shorten)
    app.connect("missing-reference", _resolve)
    app.connect("build-finished", _copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
