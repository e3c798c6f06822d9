"""The page's numbers, text and catalogue, before any browser sees them."""

import base64
import gzip
import re

import numpy as np
import pytest

import initlab
from tools.page import charts, packing, words
from tools.page.grid import Grid
from tools.page.stories import stories


def unpacked(data: bytes, shape) -> np.ndarray:
    """The codes again, by sums of Python's whole numbers."""
    low, high = data[: len(data) // 2], data[len(data) // 2 :]
    codes = np.empty(len(low), int)
    for place in range(len(low)):
        zigzag = low[place] + 256 * high[place]
        difference = zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
        before = codes[place - 1] if place % shape[-1] else 0
        codes[place] = (before + difference + 2**15) % 2**16 - 2**15
    return codes.reshape(shape)


def test_codes_come_back_as_they_were():
    codes = np.random.default_rng(0).integers(-(2**15), 2**15, (5, 7)).astype(np.int16)
    codes[0, :4] = packing.ZERO, packing.INFINITE, packing.MISSING, packing.INFINITE
    assert (unpacked(packing.packed(codes), codes.shape) == codes).all()


def test_squeezed_text_is_gzip_in_base64_and_the_same_each_time():
    text = packing.squeezed(b"numbers" * 100)
    assert gzip.decompress(base64.b64decode(text)) == b"numbers" * 100
    assert text == packing.squeezed(b"numbers" * 100)


def test_logarithms_keep_all_that_float64_holds_within_the_error_that_is_told():
    values = np.array([5e-324, 1e-300, 3.3e-17, 0.9, 1, 64.5, 1e38, 1.7e308])
    again = 2.0 ** (packing.log_codes(values).astype(float) / packing.STEPS)
    # 1e-9: rounding of the two logarithms
    assert (np.abs(again / values - 1) <= packing.LARGEST_ERROR + 1e-9)[1:].all()
    assert packing.log_codes(values)[0] == round(-1074 * packing.STEPS)


def test_what_has_no_logarithm_has_a_code_of_its_own():
    codes = packing.log_codes(np.array([0.0, np.inf, np.nan]))
    assert codes.tolist() == [packing.ZERO, packing.INFINITE, packing.MISSING]
    assert packing.count_codes(np.array([0.0, 128.0, np.nan])).tolist() == [0, 128, packing.MISSING]


def test_the_grid_has_every_entry_of_both_catalogues_that_is_not_searched_for():
    grid = Grid()
    named = [row["name"] for row in initlab.initializers()]
    assert set(named) - set(grid.initializers) == {"metainit", "gradinit"}
    assert list(grid.activations) == [row["name"] for row in initlab.activations()]


def test_charts_name_what_the_scripts_fill_in():
    for panel in charts.panels(Grid()):
        names = {data["name"] for data in panel["spec"]["data"]}
        assert {"curves", "edges"} <= names, panel["name"]
        assert ("band" in names) == (panel["name"] != "neurons")


@pytest.mark.parametrize("table", [initlab.initializers(), initlab.activations()])
def test_every_law_is_typeset(table):
    for row in table:
        assert words.formula(row["law"]).startswith("<math"), row["name"]


def test_a_formula_that_cannot_be_read_stays_as_code():
    assert words.formula(r"\unheard{x} < 1") == r"<code>\unheard{x} &lt; 1</code>"


def test_stories_leave_no_markdown_and_no_latex():
    told = re.sub(r"<[^>]+>", "", stories())
    assert not re.search(r"[$`*\\]", told)
    assert told.count("Observe.") == 3
