"""The teaching plan says what the notebooks say; its minutes add up and its answers hold."""

import doctest
import re
from itertools import groupby

import nbformat
import pytest
from PIL import Image

from initlab.exercises import EXERCISES
from tools import course

PLAN = (course.NOTEBOOKS / "README.md").read_text("utf-8")
LESSONS = {lesson.name: lesson for lesson in course.lessons()}


def section(title):
    """What stands under one heading of the second rank."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PLAN, re.M | re.S)[1]


def rows(text):
    """The cells of all rows of tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = [number for number, line in enumerate(lines) if line.startswith(("| -", "| --"))]
    heads = {number - 1 for number in rules} | set(rules)
    kept = (line for number, line in enumerate(lines) if number not in heads)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def linked(cell):
    """The one notebook that a cell links to, or None."""
    found = re.match(r"\[`(\w+)`\]\((\w+)\.ipynb\)", cell)
    if found:
        assert found[1] == found[2]
    return found and found[1]


def cells_of(name):
    return nbformat.read(course.NOTEBOOKS / f"{name}.ipynb", as_version=4).cells


def all_that_is_read(name):
    """A notebook's sources, and the words of its stored outputs."""
    cells = cells_of(name)
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    words = [
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
    ]
    return "\n".join([cell.source for cell in cells] + words)


def headings(name):
    text = "\n".join(cell.source for cell in cells_of(name) if cell.cell_type == "markdown")
    return re.findall(r"^## (.*)$", text, re.M)


def plain(text):
    """Lower case, without emphasis, LaTeX's backslashes, and the kinds of space and stroke."""
    return re.sub(r"[\s_]+", " ", re.sub(r"[*\\]", "", text)).lower()


def exam():
    """Number, question and answer of each exam question."""
    pattern = r"^\*\*(\d+)\.\*\* (.*?)\n\n<details><summary>Answer</summary>\n(.*?)</details>"
    return re.findall(pattern, section("Exam questions"), re.M | re.S)


def test_every_link_leads_somewhere():
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PLAN, re.M)
    }
    targets = re.findall(r"\]\(([^)]+)\)", PLAN)
    assert targets
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (course.NOTEBOOKS / target).exists(), target


def test_the_table_of_notebooks_has_all_with_their_minutes():
    table = rows(section("Notebook by notebook"))
    assert {linked(row[0]): int(row[1]) for row in table} == {
        name: lesson.minutes for name, lesson in LESSONS.items()
    }
    assert all(len(row) == 5 and all(row) for row in table)


@pytest.mark.parametrize(
    ("title", "minutes"), [("One lecture, 45 minutes", 45), ("One lab, 90 minutes", 90)]
)
def test_a_route_adds_up_and_its_sections_exist(title, minutes):
    table = rows(section(title))
    assert sum(int(row[0]) for row in table) == minutes
    for _, notebook, heading, _ in table:
        assert heading in headings(linked(notebook))


def test_each_session_of_the_four_weeks_adds_up():
    table = [row for row in rows(section("Four weeks, twice 90 minutes each")) if len(row) == 5]
    sessions = {key: list(group) for key, group in groupby(table, lambda row: tuple(row[:2]))}
    assert list(sessions) == [
        (str(week), str(2 * week + half)) for week in range(1, 5) for half in (-1, 0)
    ]
    for session in sessions.values():
        assert sum(int(row[2]) for row in session) == 90


def test_the_four_weeks_have_every_notebook_after_what_it_needs():
    table = rows(section("Four weeks, twice 90 minutes each"))
    # Homework of a week is done behind both of its sessions.
    table.sort(key=lambda row: (int(row[0]), len(row) == 4))
    met = [name for row in table if (name := linked(row[3 if len(row) == 5 else 2]))]
    assert sorted(met) == sorted(LESSONS)
    for name, lesson in LESSONS.items():
        assert all(met.index(need) < met.index(name) for need in lesson.needs)


def test_exercises_that_are_named_exist():
    names = re.findall(r"`([a-z]+(?:-[a-z]+)+)`", PLAN)
    assert names
    assert set(names) <= set(EXERCISES)


def test_exam_questions_are_numbered_and_name_sections_that_exist():
    questions = exam()
    assert [int(number) for number, _, _ in questions] == list(range(1, len(questions) + 1))
    assert 15 <= len(questions) <= 20
    for _, question, _ in questions:
        name, heading = re.search(r"\(\[`(\w+)`\]\(\w+\.ipynb\), \*(.+)\*\)$", question).groups()
        assert heading in headings(name)


def test_answers_hold():
    lines = re.sub(r"^```.*$", "", PLAN, flags=re.M)
    found = doctest.DocTestParser().get_doctest(lines, {}, "plan", "README.md", 0)
    result = doctest.DocTestRunner().run(found)
    assert result.attempted > len(exam())
    assert result.failed == 0


def test_what_an_answer_says_is_what_its_code_shows():
    for number, _, answer in exam():
        told = re.match(r"\s*\*\*(.+?)\.?\*\*", answer)[1]
        shown = answer.rstrip().removesuffix("```").rstrip().splitlines()[-1]
        assert shown.strip("'") == told, number


@pytest.mark.parametrize("row", rows(section("Glossary")), ids=lambda row: row[0])
def test_a_term_occurs_in_the_notebook_that_it_links_to(row):
    term, meaning, place = row
    word = re.search(r", as \*(.+)\*$", place)
    text = plain(all_that_is_read(linked(place)))
    assert meaning.endswith(".")
    assert plain(word[1] if word else term) in text


def test_the_glossary_is_in_order():
    terms = [row[0].lower() for row in rows(section("Glossary"))]
    assert terms == sorted(terms)


def test_the_picture_is_of_the_notebooks_as_they_are():
    words = course.draw().alternative_text
    assert f"![{words}](../docs/pictures/course.png)" in PLAN
    with Image.open(course.PICTURE) as picture:
        assert picture.info["Description"] == words  # else run `make course`
