"""The catalogues as tables: in a notebook with the laws typeset, elsewhere as plain text."""

import dataclasses
import html
from collections.abc import Iterator

from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text under named columns; iterating gives one dict for each row.

    The column ``law`` holds LaTeX without dollar signs.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __iter__(self) -> Iterator[dict[str, str]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return "\n".join([self.caption, *padded])

    def _repr_markdown_(self):
        """An HTML table inside Markdown.

        Notebooks typeset the mathematics of Markdown wherever they run; pure HTML they leave alone
        in some places. HTML brings the caption and the scopes that a screen reader goes by.
        """
        header = "".join(f'<th scope="col">{_escaped(name)}</th>' for name in self.columns)
        lines = ["<table>", f"<caption>{_escaped(self.caption)}</caption>"]
        lines.append(f"<thead><tr>{header}</tr></thead>")
        lines.append("<tbody>")
        for row in self:
            first, *others = (_cell(name, text) for name, text in row.items())
            cells = f'<th scope="row">{first}</th>' + "".join(f"<td>{c}</td>" for c in others)
            lines.append(f"<tr>{cells}</tr>")
        return "\n".join([*lines, "</tbody>", "</table>"])


def _escaped(text: str) -> str:
    """Text that is neither tag nor mathematics, on one line: a blank one would end the table."""
    return html.escape(" ".join(text.split())).replace("$", "<span>&#36;</span>")


def _cell(column: str, text: str) -> str:
    if column != "law" or not text:
        return _escaped(text)
    # a less-than sign could open a tag, and dollar signs end the formula
    law = text.replace("<", r"\lt ").replace(">", r"\gt ").replace("$", "")
    return f"${' '.join(law.split())}$"


def activations() -> Table:
    """The catalogue of activations, with what follows from each function at unit variance.

    >>> [row["exact gain"] for row in activations() if row["name"] == "tanh"]
    ['1.5925']
    """
    columns = ("name", "law", "φ(0) = 0", "E[φ]", "E[φ²]", "E[φ'²]", "exact gain")
    return Table(
        "Activations. Moments are for standard normal z; the exact gain, 1/√E[φ²], keeps its"
        " variance; flat is where the slope is under 1% of its largest.",
        (*columns, "flat", "when", "source"),
        tuple(
            (
                entry.name,
                entry.law,
                "yes" if entry.zero_at_zero else "no",
                f"{entry.mean:.4f}".replace("-0.0000", "0.0000"),
                f"{entry.second_moment:.4f}",
                f"{entry.slope_second_moment:.4f}",
                f"{entry.critical_gain:.4f}",
                _flat(*entry.flat_range),
                entry.when,
                entry.source,
            )
            for entry in ACTIVATIONS.values()
        ),
    )


def _flat(below: float, above: float) -> str:
    """The flat tails in words; infinite ends are tails that are not flat."""
    tails = []
    if below > -float("inf"):
        tails.append(f"z ≤ {below:g}")
    if above < float("inf"):
        tails.append(f"z ≥ {above:g}")
    return " or ".join(tails) or "nowhere"


def initializers() -> Table:
    """The catalogue of initializers.

    >>> next(iter(initializers()))["law"]
    'W = 0'
    """
    return Table(
        "Initializers, without the factor gain. Normal ones of LeCun, Glorot and He are cut at"
        " two standard deviations, as JAX draws them.",
        ("name", "synonyms", "law", "when", "source"),
        tuple(
            (
                entry.name,
                ", ".join(INITIALIZERS.synonyms(entry.name)),
                entry.law,
                entry.when,
                entry.source,
            )
            for entry in INITIALIZERS.values()
        ),
    )
