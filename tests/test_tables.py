import html.parser
import re

import jax
import pytest

import initlab
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from initlab.tables import Table


class Parsed(html.parser.HTMLParser):
    """What a browser reads: every cell with its tag, scope and text."""

    def __init__(self, source):
        super().__init__()
        self.cells, self.caption, self._open = [], "", []
        self.feed(source)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self._open.append(tag)
        if tag in ("th", "td"):
            self.cells.append([tag, dict(attributes).get("scope"), ""])

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "caption" in self._open:
            self.caption += data
        elif {"th", "td"} & set(self._open):
            self.cells[-1][2] += data


def test_every_entry_has_a_row_with_law_when_and_source():
    for table, catalogue in (
        (initlab.activations(), ACTIVATIONS),
        (initlab.initializers(), INITIALIZERS),
    ):
        assert [row["name"] for row in table] == list(catalogue)
        assert len(table) == len(catalogue)
        for row in table:
            assert row["law"] and row["when"] and row["source"], row["name"]
    synonyms = {row["name"]: row["synonyms"] for row in initlab.initializers()}
    assert synonyms["he_normal"] == "kaiming_normal"


def test_the_numbers_of_activations():
    """Source: Gaussian integrals in closed form; tanh by quadrature (see test_activations)."""
    rows = {row["name"]: row for row in initlab.activations()}
    relu = {"φ(0) = 0": "yes", "E[φ]": "0.3989", "E[φ²]": "0.5000", "E[φ'²]": "0.5000"}
    assert relu.items() <= rows["relu"].items()
    assert rows["relu"]["flat"] == "z ≤ 0"
    assert rows["tanh"]["exact gain"] == "1.5925"
    assert rows["tanh"]["flat"] == "z ≤ -2.994 or z ≥ 2.994"
    assert rows["linear"]["flat"] == "nowhere"
    assert rows["sigmoid"]["φ(0) = 0"] == "no"
    assert rows["selu"]["E[φ]"] == "0.0000"


@pytest.mark.parametrize("table", [initlab.activations(), initlab.initializers()])
def test_the_markup_is_one_block_with_caption_scopes_and_mathematics(table):
    markup = table._repr_markdown_()
    assert "\n\n" not in markup  # a blank line would end the block of HTML
    parsed = Parsed(markup)
    assert parsed.caption == table.caption
    columns = len(table.columns)
    assert [cell[:2] for cell in parsed.cells[:columns]] == [["th", "col"]] * columns
    for start, row in enumerate(table, start=1):
        first, *others = parsed.cells[start * columns : (start + 1) * columns]
        assert first == ["th", "row", row["name"]]
        assert {cell[0] for cell in others} == {"td"}
        texts = dict(zip(table.columns[1:], (cell[2] for cell in others), strict=True))
        law = texts.pop("law")
        assert law[0] == law[-1] == "$" and law.count("$") == 2
        assert not re.search("[<>&]", law)
        assert texts == {name: row[name] for name in texts}


def test_text_is_escaped():
    table = Table("a < b", ("name", "law"), (("<b>$1$\n\n|x|", r"z < 0 > $1"), ("plain", "")))
    markup = table._repr_markdown_()
    assert "<b>" not in markup and "\n\n" not in markup
    assert r"<td>$z \lt 0 \gt 1$</td>" in markup
    assert "<span>&#36;</span>1<span>&#36;</span> |x|" in markup
    assert markup.count("<td></td>") == 1


def test_printed_columns_stand_under_each_other():
    caption, header, *rows = repr(initlab.initializers()).splitlines()
    assert caption.startswith("Initializers")
    assert len(rows) == len(INITIALIZERS)
    for name in ("synonyms", "law", "when", "source"):
        start = header.index(name)
        assert all(row[start - 2 : start].strip() == "" for row in rows)
    assert rows[1][header.index("law") :].startswith("W_{ij} = 0.05")


def test_a_registered_entry_is_in_the_table():
    initlab.register_activation("softsign_here", jax.nn.soft_sign, when="<always>")
    try:
        assert "softsign_here" in repr(initlab.activations())
        assert "&lt;always&gt;" in initlab.activations()._repr_markdown_()
    finally:
        ACTIVATIONS.remove("softsign_here")
