"""Colours of every figure that initlab draws, as they are drawn: who sees less must see enough.

Nothing here names a colour: texts, lines, marks, hatches and maps are found in the figures.

Held to are WCAG 2.2's 1.4.3 (text, 4.5:1) and 1.4.11 (graphical objects, 3:1), against what lies
behind; and for colours that alone tell two things of one picture apart, a distance of 18 in
CAM02-UCS, as others see them and under simulated protanopia, deuteranopia and tritanopia. That is
what Petroff 2021 (arXiv 2107.02270) asks of eight colours, the most that a picture here has. All
of it holds on a light page and, but for figures that are dark themselves, on one where the
picture is turned. Bands of confidence and washes behind what is named in words are not judged.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

import initlab
from initlab.figures import rim
from tests.color_vision import VISIONS, cam02_ucs, contrast, distance, luminance, seen, turned
from tests.drawn_figures import CASES, FIGURES, draw, drawing_functions

TEXT, OBJECT, APART = 4.5, 3.0, 18.0
PACKAGE = Path(initlab.__file__).parent


def unchanged(color):
    return np.asarray(color, float)


def pages(figure: Figure) -> dict:
    """The ways that a figure is shown: as it is, and turned unless it is dark itself."""
    dark = luminance(to_rgba(figure.get_facecolor())[:3]) < 0.5
    return {"as it is": unchanged} if dark else {"light": unchanged, "turned": turned}


def paper(figure: Figure) -> np.ndarray:
    return np.array(to_rgba(figure.get_facecolor())[:3])


def pixels(figure: Figure) -> np.ndarray:
    """``[height, width, 3]``, the first row at the bottom, as display coordinates go."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255


def hidden(figure: Figure, artists) -> np.ndarray:
    """The figure's pixels without some of its artists, which keep their room."""
    before = [artist.get_alpha() for artist in artists]
    for artist in artists:
        artist.set_alpha(0)
    behind = pixels(figure)
    for artist, alpha in zip(artists, before, strict=True):
        artist.set_alpha(alpha)
    return behind


def rims(artist) -> list[np.ndarray]:
    """Colours of strokes around an artist."""
    return [
        np.array(to_rgba(effect._gc["foreground"])[:3])
        for effect in artist.get_path_effects()
        if isinstance(effect, withStroke)
    ]


# --- texts ---------------------------------------------------------------------------------------


def text_faults(figure: Figure) -> list[str]:
    texts = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    boxes = [one.get_window_extent() for one in texts]
    behind = hidden(figure, texts)
    height, width = behind.shape[:2]
    faults = []
    for text, box in zip(texts, boxes, strict=True):
        rows = slice(max(int(box.y0), 0), min(int(box.y1) + 1, height))
        columns = slice(max(int(box.x0), 0), min(int(box.x1) + 1, width))
        block = behind[rows, columns].reshape(-1, 3)
        if len(block) == 0:
            continue  # a label beyond the figure: nobody sees it
        found, counts = np.unique(block, axis=0, return_counts=True)
        usual = found[counts.argmax()]
        color = np.array(to_rgba(text.get_color())[:3])
        for page, show in pages(figure).items():
            ratio = max(contrast(show(color), show(one)) for one in (usual, *rims(text)))
            if ratio < TEXT:
                faults.append(f"{page}: {text.get_text()!r} has a contrast of {ratio:.2f}")
    return faults


# --- lines, marks and hatches --------------------------------------------------------------------


def drawn_lines(axes) -> list:
    """Lines, with or without marks, of which something is seen."""
    return [
        line
        for line in axes.lines
        if line.get_visible() and np.isfinite(line.get_xydata()).all(axis=1).any()
    ]


def has_line(line) -> bool:
    return line.get_linestyle() not in ("None", "none", "", " ") and len(line.get_xdata()) > 1


def has_marks(line) -> bool:
    return line.get_marker() not in ("None", "none", "", " ", None)


def colors_of(line) -> list[np.ndarray]:
    """All opaque colours of a line and its marks, of which one must stand out."""
    found = []
    if has_line(line):
        found.append(line.get_color())
    if has_marks(line):
        found += [line.get_markerfacecolor(), line.get_markeredgecolor()]
    rgba = [np.array(to_rgba(color, line.get_alpha())) for color in found]
    return [color[:3] for color in rgba if color[3] > 0.5]


def along(line, shape) -> np.ndarray:
    """Pixels, ``[n, 2]`` as row and column, that a line runs through, or that its marks lie on."""
    points = line.get_transform().transform(line.get_xydata())
    points = points[np.isfinite(points).all(axis=1)]
    if has_line(line) and len(points) > 1:
        parts = [
            np.linspace(one, other, 2 + min(int(np.abs(other - one).max()), 1000))
            for one, other in itertools.pairwise(points)
        ]
        points = np.concatenate(parts)
    box = line.axes.bbox.padded(-3)  # the spines are no ground
    inside = (points >= [box.x0, box.y0]).all(axis=1) & (points < [box.x1, box.y1]).all(axis=1)
    places = np.unique(points[inside].astype(int)[:, ::-1], axis=0)
    return places[(places < shape[:2]).all(axis=1)]


def line_faults(figure: Figure) -> list[str]:
    lines = [line for axes in figure.axes for line in drawn_lines(axes)]
    ticks = [part for axis in figure.findobj(Axis) for part in axis.get_gridlines()]
    behind = hidden(figure, [*lines, *figure.findobj(Text), *ticks])
    faults = []
    for line in lines:
        places = along(line, behind.shape)
        if len(places) == 0:
            continue
        back = behind[places[:, 0], places[:, 1]]
        for page, show in pages(figure).items():
            grounds = [show(back), *(np.tile(show(rim), (len(back), 1)) for rim in rims(line))]
            ratio = np.max(
                [contrast(show(one), ground) for one in colors_of(line) for ground in grounds],
                axis=0,
            ).min()
            if ratio < OBJECT:
                faults.append(f"{page}: line {line.get_label()!r} has a contrast of {ratio:.2f}")
    return faults


def hatch_faults(figure: Figure) -> list[str]:
    faults = []
    for artist in figure.findobj(lambda one: getattr(one, "get_hatch", lambda: None)()):
        edge = np.array(to_rgba(np.ravel(artist.get_edgecolor())[:4])[:3])
        face = np.array(to_rgba(np.ravel(artist.get_facecolor())[:4])[:3])
        for page, show in pages(figure).items():
            ratio = contrast(show(edge), show(face))
            if ratio < OBJECT:
                faults.append(f"{page}: hatch '{artist.get_hatch()}' has a contrast of {ratio:.2f}")
    return faults


def arrow_faults(figure: Figure) -> list[str]:
    faults = []
    for text in figure.findobj(Text):
        arrow = getattr(text, "arrow_patch", None)
        if arrow is not None:
            for page, show in pages(figure).items():
                color = np.array(arrow.get_edgecolor()[:3])
                ratio = contrast(show(color), show(paper(figure)))
                if ratio < OBJECT:
                    faults.append(f"{page}: an arrow has a contrast of {ratio:.2f}")
    return faults


# --- what is told apart --------------------------------------------------------------------------


def shape_of(line) -> tuple:
    """What of a line is seen without colour: its dashes, its marks, and whether those are full."""
    dashes = None
    if has_line(line):
        _, dashes = line._dash_pattern  # in points, whatever name they were asked for by
        dashes = None if dashes is None else tuple(np.round(np.divide(dashes, line.get_lw()), 2))
        dashes = ("line", dashes)
    full = has_marks(line) and str(line.get_markerfacecolor()) != "none"
    return dashes, line.get_marker() if has_marks(line) else None, full


def pair_faults(figure: Figure) -> list[str]:
    """Lines of one panel that neither their shape nor their colour tells apart."""
    faults = []
    for axes in figure.axes:
        looks = {}
        for line in drawn_lines(axes):
            color = tuple(np.round(colors_of(line)[0], 4))
            looks.setdefault((shape_of(line), color), line.get_label())
        for (one, label), (other, second) in itertools.combinations(looks.items(), 2):
            if one[0] != other[0]:
                continue  # told apart without colour
            for page, show in pages(figure).items():
                for vision in VISIONS:
                    apart = distance(show(one[1]), show(other[1]), vision)
                    if apart < APART:
                        faults.append(
                            f"{page}, {vision}: {label!r} and {second!r} are {apart:.1f} apart"
                        )
    return faults


# --- maps ----------------------------------------------------------------------------------------


def maps_of(figure: Figure) -> dict[str, Colormap]:
    kinds = figure.findobj(lambda one: isinstance(one, AxesImage | QuadMesh))
    found = {one.get_cmap().name: one.get_cmap() for one in kinds}
    return {name: colors for name, colors in found.items() if colors.N > 1}


def map_faults(name: str, colors: Colormap, shows: dict) -> list[str]:
    """Lightness must tell the order of values: all along, or from the middle to both ends.

    To both ends it tells how far a value is, and colour on which side: equally far from the
    middle, half of the way or more, colours must be told apart.
    """
    steps = colors(np.arange(colors.N))[:, :3]
    half = colors.N // 2
    faults = []
    for page, show in shows.items():
        for vision in VISIONS:
            lightness = cam02_ucs(seen(show(steps), vision))[:, 0]
            if is_monotone(lightness):
                continue
            left, right = lightness[:half][::-1], lightness[-half:]
            same_way = np.sign(left[-1] - left[0]) == np.sign(right[-1] - right[0])
            if not (is_monotone(left) and is_monotone(right) and same_way):
                faults.append(f"{page}, {vision}: lightness goes up and down along {name}")
                continue
            far = steps[:half][::-1][half // 2 :], steps[-half:][half // 2 :]
            apart = distance(*map(show, far), vision).min()
            if apart < APART:
                faults.append(f"{page}, {vision}: the halves of {name} are {apart:.1f} apart")
    return faults


def is_monotone(lightness) -> bool:
    change = np.diff(lightness)
    return bool((change > 0).all() or (change < 0).all())


# --- all of it -----------------------------------------------------------------------------------


def faults(figure: Figure) -> list[str]:
    found = [*line_faults(figure), *hatch_faults(figure), *arrow_faults(figure)]
    found += [*text_faults(figure), *pair_faults(figure)]
    for name, colors in maps_of(figure).items():
        found += map_faults(name, colors, pages(figure))
    return list(dict.fromkeys(found))


def test_every_function_that_draws_is_here():
    assert drawing_functions() == set(FIGURES)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_figure_can_be_read_by_who_sees_less(name, case):
    figure = draw(name, case)
    assert figure.findobj(Text)
    found = faults(figure)
    assert found == [], "\n".join(["", *found])


# --- the judges ----------------------------------------------------------------------------------


def panel(**options) -> tuple:
    figure = Figure((3, 3), facecolor="white", **options)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def judged(figure: Figure) -> str:
    figure.canvas.draw()
    return "\n".join(faults(figure))


def test_a_pale_text_is_found_on_paper_and_over_a_map():
    figure, axes = panel()
    axes.set_title("title", color="#8A8A8A")
    axes.imshow([[0, 1]], cmap="gray", vmin=0, vmax=1, aspect="auto")
    axes.text(0, 0, "pale", color="#333333", ha="center")
    axes.text(1, 0, "fine", color="#333333", ha="center")
    found = judged(figure)
    assert "light: 'title' has a contrast of 3.45" in found
    assert "light: 'pale'" in found
    assert "'fine'" not in found


def test_a_pale_line_mark_or_hatch_is_found_where_it_lies():
    figure, axes = panel()
    axes.plot([0, 1], [0.4, 0.4], color="#56B4E9", label="pale")
    axes.plot([0.5], [0.6], color="#BBBBBB", marker="o", label="mark")
    axes.axhspan(0.8, 1.2, color="#777777")
    axes.plot([0, 1], [1, 1], color="#555555", label="over a band")
    axes.plot([0, 1], [1.1, 1.1], color="#555555", label="rim", path_effects=rim("white", 4))
    axes.bar([0.2], [0.3], color="#E3E3E3", edgecolor="#858585", hatch="//")
    found = judged(figure)
    for words in ("'pale' has a contrast of 2.31", "'mark'", "'over a band'", "hatch '//'"):
        assert words in found
    assert "'rim'" not in found


def test_colours_alike_to_the_colour_blind_are_found_unless_dashes_differ():
    figure, axes = panel()
    axes.plot([0, 1], [0, 1], color="#D55E00", label="one")
    axes.plot([0, 1], [1, 0], color="#8A6D00", label="other")
    axes.plot([0, 1], [0.5, 0.5], color="#8A6D00", linestyle="--", label="dashed")
    found = judged(figure)
    assert re.search(r"light, protanopia: 'one' and 'other' are 2\.\d apart", found)
    assert "light, usual" not in found
    assert "dashed" not in found


@pytest.mark.parametrize(
    ("name", "words"),
    [("jet", "up and down"), ("coolwarm", None), ("RdYlGn", "halves"), ("viridis", None)],
)
def test_a_rainbow_and_a_traffic_light_are_found(name, words):
    found = map_faults(name, colormaps[name], {"light": unchanged})
    assert any(words in fault for fault in found) if words else found == []


def test_colours_are_told_in_one_place():
    """Colours by number, and maps by name, stand in themes.py; colours by name nowhere."""
    maps = "|".join(map(re.escape, colormaps))
    literal = re.compile(rf"#[0-9A-Fa-f]{{6}}\b|[\"'](?:{maps})[\"']|color=[\"'][a-z]+[\"']")
    told = {
        str(path.relative_to(PACKAGE)): literal.findall(path.read_text("utf-8"))
        for path in PACKAGE.rglob("*.py")
    }
    assert told.pop("themes.py")
    none = 'color="none"'
    assert {path: found for path, found in told.items() if set(found) - {none}} == {}
