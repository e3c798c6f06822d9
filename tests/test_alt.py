"""Words for who does not see a picture: every one has some, and their numbers are those drawn."""

import re
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

import initlab
from initlab.panel_kinds import LayerPanel
from initlab.panels import PANELS, panels_for
from initlab.race_picture import BY_LAYER
from tests.drawn_figures import CASES, FIGURES, PATHS, SMALL, fit, history, live, signals
from tools import lab

MOST_TERSE = 12  # words of a picture in prose, whose outcome may be told without a number
FEWEST_WORDS = 8  # "A picture of the gradients by layer." has seven, and no outcome
DIGITS = 5e-3  # relative: three digits are told
EXPLORERS = [name for name in FIGURES if name == "race" or name.startswith("explore")]


def assert_tells(words: str) -> None:
    """Words with an outcome: more than a name for the picture, and with a number in it."""
    assert len(words.split()) >= FEWEST_WORDS, words
    assert re.search(r"\d|\bzero\b|\b(one|two|three|all|none) of\b", words), words


# --- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "case"),
    [
        case
        for case in CASES
        if not case.values[0].startswith("explore") and case.values[0] != "race"
    ],
)
def test_a_figure_says_what_it_shows(name, case):
    if name == "plot" and case not in PATHS:
        pytest.skip("a Picture that an explorer moves; the explorer has the words")
    assert_tells(FIGURES[name][case]().alternative_text)


def test_no_two_figures_say_the_same():
    told = [make().alternative_text for make in FIGURES["plot_map"].values()]
    assert len(set(told)) == len(told) > 3


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in ("explore", "race"))) for n in EXPLORERS],
)
def test_an_explorer_says_what_it_shows(name):
    widget = live(name)
    assert_tells(widget.description)
    assert_tells(widget.sentence)
    assert widget.sentence in BeautifulSoup(widget.status.value, "html.parser").text
    widget.close()


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "panel", [name for name, one in PANELS.items() if isinstance(one, LayerPanel)]
)
def test_the_ends_of_every_curve_are_the_signals(panel):
    if panel not in panels_for(type(SMALL)):
        pytest.skip("no measure of a dense network; its words are made by the same lines")
    measured = signals(SMALL)
    words = initlab.plot(measured, panels=(panel,)).alternative_text.split(PANELS[panel].title)[1]
    for series in PANELS[panel].series:
        name = rf"{series.label} " if len(PANELS[panel].series) > 1 else ""
        found = re.search(rf"{name}from (\S+) at layer (\d) to (\S+) at layer (\d)", words)
        values = getattr(measured, series.field)
        ends = [float(found[1]), float(found[3])]
        np.testing.assert_allclose(ends, values[[0, -1]], rtol=DIGITS)
        assert int(found[2]) == measured.depth + 1 - len(values)
        assert int(found[4]) == measured.depth


def test_theory_is_told_beside_what_was_measured():
    prediction = initlab.predict(SMALL)
    words = initlab.plot(signals(SMALL), prediction, panels=("variance",)).alternative_text
    found = re.search(r"; theory from (\S+) at layer 0 to (\S+) at layer 6", words)
    expected = prediction.activation_variance[[0, -1]]
    np.testing.assert_allclose([float(found[1]), float(found[2])], expected, rtol=DIGITS)
    assert "theory" not in initlab.plot(signals(SMALL), panels=("variance",)).alternative_text


def test_what_overflows_or_is_all_the_same_is_told():
    zeros = initlab.plot(signals(PATHS["exactly zero"])).alternative_text
    assert "Gradient: second moment from 0 at layer 1 to 0 at layer 6." in zeros
    copies = initlab.plot(
        initlab.probe(SMALL.replace(initializer="constant")), panels=("correlation",)
    )
    assert "have a correlation of 1 on average" in copies.alternative_text


@pytest.mark.slow
def test_overflow_is_told_with_its_layer():
    measured = signals(PATHS["overflow"])
    words = initlab.plot(measured, panels=("variance", "histogram")).alternative_text
    assert f"overflow from layer {measured.first_overflow} on" in words
    assert f"at layer {measured.first_overflow - 1}, then not finite" in words


def test_nine_tenths_lie_where_it_is_said():
    words = initlab.plot(signals(SMALL), panels=("histogram",)).alternative_text
    low, high = map(float, re.search(r"from (\S+) to (\S+) at layer 6", words).groups())
    counts, edges = signals(SMALL).activation_histogram[6], signals(SMALL).histogram_edges
    middles = (edges[1:] + edges[:-1]) / 2
    assert 0.9 <= counts[(middles > low) & (middles < high)].sum() / counts.sum() <= 1
    narrower = (middles > low + 0.11) & (middles < high - 0.11)  # a bin is 0.1 wide
    assert counts[narrower].sum() / counts.sum() < 0.95


def test_singular_values_are_told_from_the_largest_to_the_smallest():
    words = initlab.plot(signals(SMALL), panels=("singular_values",)).alternative_text
    found = re.search(r"singular values, (\d+) of them, from (\S+) to (\S+?)[,.]( |$)", words)
    values = signals(SMALL).jacobian_singular_values()
    known = values[np.isfinite(values)]
    assert int(found[1]) == len(values)
    np.testing.assert_allclose(float(found[2]), known.max(), rtol=DIGITS)
    np.testing.assert_allclose(float(found[3]), known.min(), rtol=DIGITS)


def test_a_ghost_is_told():
    explorer = initlab.explore(depth=6, width=16, max_depth=8)
    explorer.update()
    explorer.controls["pin"].value = True
    explorer.controls["gain"].value = 0.5
    told = explorer.figure.alternative_text
    assert told == explorer.description
    now, _, pinned = told.partition("Dotted, what was pinned:")
    assert "gain 0.5." in now
    assert "gain 1." in pinned
    assert "Signal: activation variance from" in pinned
    explorer.close()


def test_neurons_and_their_largest_weight():
    weight = np.repeat(np.linspace(-0.5, 0.25, 64)[:, None], 4, axis=1)
    weight[:, 3] *= -2
    words = initlab.plot_neurons(weight).alternative_text
    assert "4 neurons" in words
    assert "2 of them differ. The largest weight is 1." in words


@pytest.mark.parametrize("by_layer", BY_LAYER)
def test_a_race_tells_the_medians_of_its_seeds(by_layer):
    words = initlab.plot_race(history(), by_layer).alternative_text
    names = list(dict.fromkeys(history().names))
    for name in names[:-1]:
        loss, accuracy = re.search(rf"{name}: loss (\S+), accuracy (\S+)%", words).groups()
        places = [place for place, other in enumerate(history().names) if other == name]
        assert float(loss) == pytest.approx(np.median(history().loss[places, -1]), rel=DIGITS)
        right = 100 * np.median(history().accuracy[places, -1])
        assert float(accuracy) == pytest.approx(right, abs=0.05)
    assert re.search(rf"{names[-1]} diverged at step \d", words)


def test_a_spectrum_tells_how_far_it_reaches():
    setting = initlab.Recurrent(width=16, gain=1.2, recurrent_initializer="lecun_normal")
    words = initlab.plot_spectrum(setting).alternative_text
    sizes = np.abs(initlab.spectrum(setting))
    size, outside = re.search(r"size (\S+), and (\d+)% lie outside", words).groups()
    assert float(size) == pytest.approx(sizes.max(), rel=DIGITS)
    assert int(outside) == round(100 * np.mean(sizes > 1))


def test_a_fit_tells_where_its_objective_went():
    words = initlab.plot_adapted(fit()).alternative_text
    first, last = re.search(r"from (\S+) to (\S+) in \d+ steps", words).groups()
    expected = fit().objective[[0, -1]]
    np.testing.assert_allclose([float(first), float(last)], expected, rtol=DIGITS)


# --- where a notebook keeps them -----------------------------------------------------------------


def exported(output) -> BeautifulSoup:
    cell = nbformat.v4.new_code_cell("figure", outputs=[output])
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    return BeautifulSoup(page, "html.parser")


def test_a_figure_keeps_its_words_in_a_page_made_of_a_notebook():
    figure = initlab.plot_curves([0, 1], {'<"a" & b>': [2.0, 1.0]}, "loss")
    data, metadata = figure._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == figure.alternative_text
    page = exported(nbformat.v4.new_output("execute_result", data, metadata=metadata))
    (image,) = page.select("img")
    assert image["alt"] == figure.alternative_text
    assert image["src"] == f"data:image/png;base64,{data['image/png']}"
    assert int(image["width"]) == 672  # CSS pixels of 7 inches


# --- pictures in prose ---------------------------------------------------------------------------


def tracked(*endings: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *(f"*{ending}" for ending in endings)],
        cwd=lab.ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [lab.ROOT / name for name in listed.stdout.splitlines()]


def prose(path: Path) -> str:
    """Markdown of a page, or of a notebook's cells, without its blocks of code."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


def images(text: str) -> list[tuple[str, str]]:
    """Alternative text and address of each image that is no badge."""
    found = [(alt, address) for alt, address in re.findall(r"!\[([^\]]*)\]\(([^)\s]*)", text)]
    for tag in BeautifulSoup(text, "html.parser").select("img"):
        found.append((tag.get("alt", ""), tag["src"]))
    return [(alt, address) for alt, address in found if "badge" not in address]


PAGES = [path for path in tracked(".md", ".ipynb") if images(prose(path))]


def test_there_are_pages_with_pictures():
    assert lab.ROOT / "README.md" in PAGES


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(lab.ROOT)))
def test_every_picture_in_prose_says_what_it_shows(path):
    for alt, address in images(prose(path)):
        assert len(alt.split()) >= MOST_TERSE, f"{address}: {alt}"


NOTEBOOKS = sorted(lab.FIRST_NOTEBOOK.parent.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_stored_picture_says_what_it_shows(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if any(kind.startswith("image/") for kind in output.get("data", {})):
                assert set(output.data) <= {"image/png", "text/plain"}
                words = output.metadata["image/png"]["alt"]
                assert_tells(words)
                assert_tells(output.data["text/plain"])  # of a live one, the sentence under it
