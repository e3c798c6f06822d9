"""A little Markdown with LaTeX, as HTML with MathML, which browsers typeset without a library."""

import html
import re

from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml


def formula(latex: str) -> str:
    """LaTeX without dollar signs as a MathML element; what cannot be read stays as code."""
    try:
        return tex2mathml(latex)
    except MathError:  # a command that it does not know
        return f"<code>{html.escape(latex)}</code>"


def line(markdown: str) -> str:
    """One paragraph's text, without the element around it.

    >>> line("*Equal* `a_b` < 2")
    '<em>Equal</em> <code>a_b</code> &lt; 2'
    """
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", " ".join(markdown.split()))
    return "".join(map(_part, parts))


def paragraphs(markdown: str) -> str:
    """Paragraphs, between which the text has empty lines."""
    return "".join(f"<p>{line(part)}</p>" for part in re.split(r"\n\s*\n", markdown.strip()))


def _part(text: str) -> str:
    if len(text) > 2 and text[0] == text[-1] == "$":
        return formula(text[1:-1])
    if len(text) > 2 and text[0] == text[-1] == "`":
        return f"<code>{html.escape(text[1:-1])}</code>"
    escaped = html.escape(text, quote=False)
    escaped = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", escaped)
