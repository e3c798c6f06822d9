"""How an answer that is a function is graded: over fresh random cases, with words for mistakes.

A mistake that is known is itself a function: an answer that agrees with it in every case gets its
feedback. Any other wrong answer is told the first case that it fails.
"""

import dataclasses
import html
import inspect
import traceback
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from initlab.checking import short
from initlab.setting import MAX_SEED, whole_number
from initlab.themes import LIGHT

CASES = 20  # that an answer is tried on
_COLORS = {True: LIGHT.green, False: LIGHT.red}  # beside a sign and a word, never alone


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give, and what to say about the thought that leads there."""

    answer: Callable
    feedback: str


@dataclasses.dataclass(frozen=True)
class Exercise:
    """A function of a few lines to write, and how to tell whether it is right."""

    name: str
    task: str  # one sentence; the notebook says the rest
    solution: Callable
    cases: Callable  # NumPy's Generator -> list of tuples of arguments, fresh ones each time
    judge: Callable  # (arguments, answer) -> "", or what is wrong
    mistakes: tuple[Mistake, ...]
    tolerance: float = 1e-3  # relative, by which an answer agrees with a mistake

    @property
    def call(self) -> str:
        """How the function is called: ``he_scale(fan_in, fan_out)``."""
        return f"{self.solution.__name__}({', '.join(inspect.signature(self.solution).parameters)})"


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """What a check found. It reads well printed, in a notebook, and by a screen reader."""

    exercise: str
    passed: int
    cases: int
    feedback: str = ""

    @property
    def right(self) -> bool:
        """Whether every case passed."""
        return self.cases > 0 and self.passed == self.cases

    def __repr__(self) -> str:
        if not self.cases:
            return f"{self.exercise}: {self.feedback}"
        word = "right" if self.right else "not yet"
        count = f"{self.exercise}: {word}, {self.passed} of {self.cases} cases"
        return count if self.right else f"{count}. {self.feedback}"

    def _repr_html_(self) -> str:
        sign = "✓" if self.right else "✗" if self.cases else "○"
        return spoken(
            f"<b aria-hidden='true'>{sign}</b> {html.escape(str(self))}", right=self.right
        )


def spoken(content: str, right: bool | None = None) -> str:
    """HTML that a screen reader speaks when it changes, with a colored edge for an answer."""
    edge = "" if right is None else f"border-left:4px solid {_COLORS[right]};padding:2px 10px;"
    return (
        f"<div role='status' aria-live='polite' style='{edge}max-width:900px;line-height:1.5'>"
        f"{content}</div>"
    )


class Solution:
    """An exercise's solution: shows its source behind a click, and can be called and checked."""

    def __init__(self, exercise: Exercise):
        self.exercise: Exercise = exercise
        self.__name__: str = exercise.solution.__name__
        self.__signature__: inspect.Signature = inspect.signature(exercise.solution)
        self.source: str = inspect.getsource(exercise.solution)

    def __call__(self, *arguments: Any) -> Any:
        """What the solution returns."""
        return self.exercise.solution(*arguments)

    def __repr__(self) -> str:
        return self.source

    def _repr_html_(self) -> str:
        return (
            f"<details><summary>A solution of {html.escape(self.exercise.name)}</summary>"
            f"<pre><code>{html.escape(self.source)}</code></pre></details>"
        )


def grade(exercise: Exercise, function: object, seed: int | None = None) -> Result:
    """Call the function in fresh random cases and say how it did. Never raises for its errors."""
    if not callable(function):
        got = f"{short(function):.60}"
        return Result(
            exercise.name,
            0,
            0,
            f"hand over the function itself, {exercise.solution.__name__}, without calling it;"
            f" this was {got}",
        )
    seed = None if seed is None else whole_number("seed", seed, 0, MAX_SEED)
    cases = exercise.cases(np.random.default_rng(seed))
    misfit = _misfit(exercise, function, cases[0])
    if misfit:
        return Result(exercise.name, 0, 0, misfit)
    outcomes = [_outcome(function, case) for case in cases]
    if all(_untouched(outcome) for outcome in outcomes):
        return Result(
            exercise.name,
            0,
            0,
            f"nothing returned yet. {exercise.task} End {exercise.call} with a return.",
        )
    objections = [
        _objection(exercise, function, *pair) for pair in zip(cases, outcomes, strict=True)
    ]
    passed = objections.count("")
    if passed == len(cases):
        return Result(exercise.name, passed, passed)
    feedback = _known(exercise, cases, outcomes) or next(filter(None, objections))
    return Result(exercise.name, passed, len(cases), feedback)


def _misfit(exercise: Exercise, function, case: tuple) -> str:
    """Why the function cannot be called with a case; empty if it can."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return ""
    try:
        signature.bind(*case)
    except TypeError:
        return f"it will be called as {exercise.call}, but what you handed over takes {signature}"
    return ""


def _outcome(function, case: tuple):
    """What the function returns, or the exception it raises. It may change its copy of lists."""
    try:
        return function(*jax.tree.map(lambda leaf: leaf, case))
    except Exception as error:
        return error


def _untouched(outcome) -> bool:
    return outcome is None or outcome is ... or isinstance(outcome, NotImplementedError)


def _objection(exercise: Exercise, function, case: tuple, outcome) -> str:
    if isinstance(outcome, Exception):
        return f"{describe(exercise.solution, case)}: {_raised(function, outcome)}"
    if _untouched(outcome):
        return f"{describe(exercise.solution, case)}: nothing was returned."
    return exercise.judge(case, outcome)


def _raised(function, error: Exception) -> str:
    """An exception in one line, with the learner's own line that it comes from."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    lines = [
        frame.line
        for frame in traceback.extract_tb(error.__traceback__)
        if code and frame.filename == code.co_filename and frame.line
    ]
    where = f", in the line: {lines[-1]}" if lines else ""
    message = next(iter(str(error).splitlines()), "")
    return f"your function raised {type(error).__name__}: {message}{where}"


def _known(exercise: Exercise, cases, outcomes) -> str:
    """The feedback of the known mistake that agrees with every outcome; empty if none does."""
    for mistake in exercise.mistakes:
        if all(
            _agree(_outcome(mistake.answer, case), outcome, exercise.tolerance)
            for case, outcome in zip(cases, outcomes, strict=True)
        ):
            return mistake.feedback
    return ""


def _agree(one, other, tolerance: float) -> bool:
    if isinstance(one, Exception) or isinstance(other, Exception):
        return type(one) is type(other)
    ones, others = jax.tree.leaves(one), jax.tree.leaves(other)
    if len(ones) != len(others):
        return False
    return all(close(a, b, tolerance) for a, b in zip(ones, others, strict=True))


def close(answer: Any, wanted: Any, tolerance: float) -> bool:
    """Whether two numbers or arrays agree in shape, and in value relative to the largest entry."""
    try:
        answer, wanted = np.asarray(answer, float), np.asarray(wanted, float)
    except (TypeError, ValueError):
        return False
    if answer.shape != wanted.shape:
        return False
    scale = np.abs(wanted).max(initial=0.0)
    return bool(np.all(np.abs(answer - wanted) <= tolerance * scale))


def against(wanted: Callable, tolerance: float = 1e-3, nearly: str = "") -> Callable:
    """A judge that compares with what ``wanted`` returns, itself not the hidden solution.

    ``nearly`` is said too where an answer misses by less than five tolerances.
    """

    def judge(arguments: tuple, answer) -> str:
        right = wanted(*arguments)
        if close(answer, right, tolerance):
            return ""
        hint = f" {nearly}" if nearly and close(answer, right, 5 * tolerance) else ""
        return f"{describe(wanted, arguments)}: {_difference(answer, right, tolerance)}{hint}"

    return judge


def _difference(answer, right, tolerance: float) -> str:
    try:
        answer = np.asarray(answer, float)
    except (TypeError, ValueError):
        return f"{short(answer)} was returned, where a number or an array of numbers is asked for."
    if answer.shape != np.shape(right):
        return f"the shape {answer.shape} was returned, {np.shape(right)} is right."
    if answer.ndim == 0:
        return f"{answer:.6g} was returned, {float(right):.6g} is right."
    wrong = ~(np.abs(answer - right) <= tolerance * np.abs(right).max())
    return f"{wrong.sum()} of {answer.size} entries are wrong."


def describe(function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """The arguments of a call, with their names: ``For fan_in = 64, fan_out = 10``."""
    names = inspect.signature(function).parameters
    return "For " + ", ".join(
        f"{name} = {_short(value)}" for name, value in zip(names, arguments, strict=True)
    )


def _short(value) -> str:
    if callable(value):
        return value.__name__
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    shape = np.shape(value)
    return f"an array {list(shape)}" if shape else str(value)
