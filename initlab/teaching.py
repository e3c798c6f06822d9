"""Questions and exercises that answer the learner, in core ipywidgets: ask, check, solution.

A notebook's questions stand in ``initlab/questions/<notebook>.toml``, so that an installed package
has them; its exercises in :mod:`initlab.exercises`.
"""

import dataclasses
import html
import re
import string
import tomllib
from importlib import resources
from typing import Any

import ipywidgets
from IPython.display import display

from initlab.catalogue import Catalogue, nearest
from initlab.checking import short
from initlab.exercises import EXERCISES
from initlab.grading import Result, Solution, grade, spoken


@dataclasses.dataclass(frozen=True)
class Choice:
    """One answer to choose, and what to say to who chose it."""

    text: str
    feedback: str
    right: bool = False


@dataclasses.dataclass(frozen=True)
class Question:
    """A question and its choices, written in a little Markdown with LaTeX between dollar signs."""

    name: str
    question: str
    choices: tuple[Choice, ...]
    right_choices: int = 1


def ask(name: str) -> "Ask":
    """A question with choices; each answer is met with its own feedback.

    Args:
      name: the question's, as in ``initlab/questions``.

    Raises:
      ValueError: an unknown name, or a file of questions that is not as it should be.
    """
    return Ask(questions()[name])


def check(name: str, function: object, seed: int | None = None) -> Result:
    """Grade a function that was written for an exercise, over fresh random cases.

    >>> check("he-scale", lambda fan_in, fan_out: (2 / fan_in) ** 0.5)
    he-scale: right, 20 of 20 cases

    Args:
      name: the exercise's, as in ``initlab.exercises.EXERCISES``.
      function: the answer, itself and not called.
      seed: fixes the cases, for tests.

    Raises:
      ValueError: an unknown name. What the function raises becomes feedback.
    """
    return grade(EXERCISES[name], function, seed)


def solution(name: str) -> Solution:
    """An exercise's solution: shown, its source behind a click; and it can be checked itself.

    >>> check("he-scale", solution("he-scale"))
    he-scale: right, 20 of 20 cases
    """
    return Solution(EXERCISES[name])


# --- the files of questions --------------------------------------------------------------------


def questions() -> Catalogue[Question]:
    """All questions of all files, by name. Read anew each time, so that an author sees changes."""
    catalogue: Catalogue[Question] = Catalogue("question")
    files = (resources.files("initlab") / "questions").iterdir()
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith(".toml"):
            for question in read(file.read_text(encoding="utf-8"), file.name):
                catalogue.add(question)
    return catalogue


def read(text: str, file: str) -> list[Question]:
    """The questions that a file's text holds. ValueError says what is wrong with which."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: {error}") from None
    return [_question(name, table, f"{file}, question {name!r}") for name, table in tables.items()]


def _question(name: str, table: dict[str, Any], where: str) -> Question:
    kinds = {"question": str, "choices": list, "right_choices": int}
    table = _fields(table, kinds, {"question", "choices"}, where)
    kinds = {"text": str, "feedback": str, "right": bool}
    choices = tuple(
        Choice(**_fields(choice, kinds, {"text", "feedback"}, f"{where}, choice {number}"))
        for number, choice in enumerate(table["choices"], 1)
    )
    table["choices"] = choices
    question = Question(name, **table)
    right = sum(choice.right for choice in choices)
    if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"{where}: a name is small letters, digits and single dashes")
    if not 2 <= len(choices) <= len(string.ascii_uppercase):
        raise ValueError(f"{where}: {len(choices)} choices, where 2 to 26 make a question")
    if right != question.right_choices or right == 0:
        raise ValueError(
            f"{where}: {right} of the choices are right, where right_choices says"
            f" {question.right_choices}"
        )
    return question


def _fields(table: object, kinds: dict[str, type], needed: set[str], where: str) -> dict[str, Any]:
    """A table's fields, if they are those that are known and of their kinds; lines joined."""
    if not isinstance(table, dict):
        raise ValueError(f"{where}: a table is asked for, not {table!r:.40}")
    for field, value in table.items():
        if field not in kinds:
            raise ValueError(f"{where}: unknown field {field!r}{nearest(field, kinds) or '.'}")
        if type(value) is not kinds[field]:
            raise ValueError(f"{where}: {field} must be a {kinds[field].__name__}, not {value!r}")
    table = {
        field: _joined(value) if isinstance(value, str) else value for field, value in table.items()
    }
    for field in sorted(needed):
        if not table.get(field):
            raise ValueError(f"{where}: {field} is missing or empty")
    return table


def _joined(text: str) -> str:
    """Each paragraph on one line."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())


# --- the widget --------------------------------------------------------------------------------


class Ask(ipywidgets.VBox):
    """A question with a button for each choice; make one with :func:`ask`.

    Nothing is given away before a choice is made. Every choice can be made afterwards too, to
    read its feedback, and "ask again" forgets what was chosen.
    """

    def __init__(self, question: Question):
        self.question: Question = question
        self.chosen: list[int] = []  # positions of the choices made, in their order
        self.buttons: list[ipywidgets.Button] = [
            ipywidgets.Button(
                tooltip=_plain(choice.text),
                layout=ipywidgets.Layout(width="52px", flex="0 0 auto"),
            )
            for choice in question.choices
        ]
        self.again: ipywidgets.Button = ipywidgets.Button(
            description="ask again",
            icon="undo",
            layout=ipywidgets.Layout(width="auto", align_self="flex-start"),
        )
        self.status: ipywidgets.HTMLMath = ipywidgets.HTMLMath()
        for position, button in enumerate(self.buttons):
            button.on_click(lambda _, position=position: self._choose(position))
        self.again.on_click(lambda _: self.forget())
        super().__init__(
            [
                ipywidgets.HTMLMath(_paragraph(f"**Question.** {self._text()}")),
                *(self._row(*pair) for pair in zip(self.buttons, question.choices, strict=True)),
                self.status,
                self.again,
            ],
            layout=ipywidgets.Layout(max_width="900px"),
        )
        self._show()

    def _row(self, button, choice: Choice):
        text = ipywidgets.HTMLMath(
            _paragraph(choice.text), layout=ipywidgets.Layout(flex="1 1 0", width="auto")
        )
        return ipywidgets.HBox([button, text], layout=ipywidgets.Layout(align_items="center"))

    def _text(self) -> str:
        count = self.question.right_choices
        return self.question.question + (f" ({count} answers are right.)" if count > 1 else "")

    @property
    def solved(self) -> bool:
        """Whether every right choice was made."""
        return self._missing == 0

    @property
    def _missing(self) -> int:
        right = {position for position in self.chosen if self.question.choices[position].right}
        return self.question.right_choices - len(right)

    def choose(self, letter: str) -> None:
        """Choose an answer by its letter, as its button does."""
        letters = string.ascii_uppercase[: len(self.buttons)]
        if len(letter) != 1 or letter.upper() not in letters:
            raise ValueError(f"the choices are {', '.join(letters)}, not {short(letter)}")
        self._choose(letters.index(letter.upper()))

    def forget(self) -> None:
        """Return to the question as it was before the first choice."""
        self.chosen.clear()
        self._show()

    def _choose(self, position: int) -> None:
        self.chosen.append(position)
        self._show()

    def _show(self) -> None:
        """Mark the choices made, and say the last one's feedback."""
        for position, (button, choice) in enumerate(
            zip(self.buttons, self.question.choices, strict=True)
        ):
            sign = " ✓" if choice.right else " ✗"
            made = position in self.chosen
            button.description = string.ascii_uppercase[position] + (sign if made else "")
            button.style.font_weight = "bold" if made else ""
        self.again.layout.display = "" if self.chosen else "none"
        self.status.value = self._feedback()

    def _feedback(self) -> str:
        if not self.chosen:
            return spoken("")
        letter = string.ascii_uppercase[self.chosen[-1]]
        choice = self.question.choices[self.chosen[-1]]
        word = "Right." if choice.right else "Not so."
        more = f" {self._missing} more to find." if choice.right and self._missing else ""
        text = f"**{letter}: {word}** {choice.feedback}{more}"
        return spoken(to_html(text), right=choice.right)

    def _markdown(self) -> str:
        """The question for who reads without a kernel or on paper; nothing is given away."""
        lines = [
            f"- **{letter}.** {choice.text}"
            for letter, choice in zip(string.ascii_uppercase, self.question.choices, strict=False)
        ]
        return "\n".join([f"**Question.** {self._text()}", "", *lines])

    def _ipython_display_(self, **_) -> None:
        """Show the live widget, and beside it the text that stands for it."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        still = {"text/markdown": self._markdown(), "text/plain": _plain(self._markdown())}
        display(still | {"application/vnd.jupyter.widget-view+json": view}, raw=True)

    def close(self) -> None:
        """Close every widget of it."""
        for child in self.children:
            for widget in (*getattr(child, "children", ()), child):
                widget.close()
        super().close()


def _paragraph(markdown: str) -> str:
    return f"<div style='line-height:1.5;padding:2px 0'>{to_html(markdown)}</div>"


def to_html(markdown: str) -> str:
    r"""A little Markdown as HTML: paragraphs, bold, emphasis, code, and LaTeX left as it is.

    >>> to_html("**Var** of $W_1 < 2$ is `a_b`")
    '<b>Var</b> of \\(W_1 &lt; 2\\) is <code>a_b</code>'
    """
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", markdown)
    return "".join(_part(html.escape(part, quote=False)) for part in parts)


def _part(text: str) -> str:
    if len(text) > 2 and text[0] == text[-1] == "$":
        return rf"\({text[1:-1]}\)"
    if len(text) > 2 and text[0] == text[-1] == "`":
        return f"<code>{text[1:-1]}</code>"
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
    return re.sub(r"\n\s*\n", "<br><br>", text)


def _plain(markdown: str) -> str:
    """Without the signs of emphasis and code; those of LaTeX tell where a formula is."""
    return re.sub(r"(\$[^$]+\$)|\*+|`", lambda match: match[1] or "", markdown)
