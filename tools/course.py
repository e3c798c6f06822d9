"""Make the picture of the course at a glance: `make course`.

What a notebook needs and takes is read from its first cells, so the picture says what they say.
"""

import json
import re
import textwrap
from dataclasses import dataclass

from initlab.figures import SpokenFigure
from initlab.themes import THEMES
from tools import lab

NOTEBOOKS = lab.ROOT / "notebooks"
PICTURE = lab.ROOT / "docs" / "pictures" / "course.png"
DPI = 110

# Column and row of each notebook: the common road in one line, what branches off beside it.
PLACES = {
    "00": (0, 2.5),
    "01": (1, 2.5),
    "02": (2, 2.5),
    "03": (3, 2.5),
    "04": (4, 0),
    "06": (4, 1),
    "05": (4, 2),
    "07": (4, 3),
    "09": (4, 4),
    "10": (4, 5),
    "08": (5, 0.5),
    "11": (2, 4.5),
}
ROAD = ("00", "01", "02", "03")
BOX = (0.78, 0.74)  # columns wide, rows high


@dataclass(frozen=True)
class Lesson:
    """One notebook: its name without the ending, its title, minutes, and what it needs."""

    name: str
    title: str
    minutes: int
    needs: tuple[str, ...]

    @property
    def number(self) -> str:
        """The first two characters of its name."""
        return self.name[:2]


def lessons() -> list[Lesson]:
    """All notebooks in the order of teaching, as their first cells describe them."""
    return [_lesson(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]


def _lesson(path) -> Lesson:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    head = "".join(cells[0]["source"])
    title = re.match(r"# (.*)", head)[1]
    # Behind the semicolon stands what else one should know, and what only helps.
    minutes, needs = re.search(
        r"\*\*Time:\*\* (\d+) minutes.*\*\*You need:\*\* ([^;]*)", head
    ).groups()
    return Lesson(path.stem, title, int(minutes), tuple(re.findall(r"`(\d\d_\w+)`", needs)))


def direct(lesson: Lesson, course: dict[str, Lesson]) -> list[str]:
    """What a notebook needs, without what is needed by something else that it needs."""
    behind = {far for need in lesson.needs for far in _all_before(course[need], course)}
    return [need for need in lesson.needs if need not in behind]


def _all_before(lesson: Lesson, course: dict[str, Lesson]) -> set[str]:
    return set(lesson.needs).union(*(_all_before(course[need], course) for need in lesson.needs))


def draw() -> SpokenFigure:
    """Boxes for notebooks, and an arrow to each from what it needs."""
    theme = THEMES["light"]
    course = {lesson.name: lesson for lesson in lessons()}
    figure = SpokenFigure((12.0, 5.6), dpi=DPI, facecolor=theme.paper)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set(xlim=(-0.5, 5.5), ylim=(5.5, -0.5))
    axes.axis("off")
    for lesson in course.values():
        column, row = PLACES[lesson.number]
        color = theme.blue if lesson.number in ROAD else theme.green
        axes.text(
            column,
            row,
            "\n".join(textwrap.wrap(f"{lesson.number}  {lesson.title.partition(':')[0]}", 18))
            + f"\n{lesson.minutes} minutes",
            ha="center",
            va="center",
            fontsize=11,
            color=theme.ink,
            linespacing=1.35,
            zorder=3,
        )
        corner = (column - BOX[0] / 2, row - BOX[1] / 2)
        axes.add_patch(_box(corner, color, theme.paper))
        for need in direct(lesson, course):
            _arrow(axes, PLACES[need[:2]], (column, row), theme.ghost)
    axes.text(1.5, 1.7, "the common road", ha="center", fontsize=13, color=theme.blue)
    axes.text(5, 1.7, "choose, along\nthe arrows", ha="center", fontsize=13, color=theme.green)
    figure.alternative_text = say(course)
    return figure


def _box(corner, color: str, paper: str):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, *BOX, facecolor=paper, edgecolor=color, linewidth=2, zorder=2)


def _arrow(axes, start, end, color: str) -> None:
    half = BOX[0] / 2
    axes.annotate(
        "",
        (end[0] - half, end[1]),
        (start[0] + half, start[1]),
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 1.5,
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=1,
    )


def say(course: dict[str, Lesson]) -> str:
    """The picture in words."""
    told = []
    for lesson in course.values():
        needs = " and ".join(need[:2] for need in direct(lesson, course))
        told.append(
            f"{lesson.number} {lesson.title.partition(':')[0]}, {lesson.minutes} minutes"
            + (f", after {needs}" if needs else "")
        )
    return f"{len(told)} notebooks and what each needs: {'; '.join(told)}."


def main() -> None:
    """Write the picture with its words in it, and print them."""
    figure = draw()
    figure.savefig(PICTURE, dpi=DPI, metadata={"Description": figure.alternative_text})
    print(figure.alternative_text)


if __name__ == "__main__":
    main()
