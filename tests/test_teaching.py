"""Questions and exercises: what they say to whom, in words that everybody can perceive."""

import html.parser
import re
import string
from pathlib import Path

import ipywidgets
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import teaching
from initlab.exercises import EXERCISES
from initlab.grading import grade

FEWEST_LETTERS = 40  # of feedback that says what thought leads to a wrong choice
QUESTIONS = list(teaching.questions().values())
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{name}-{number}")
    for name, exercise in EXERCISES.items()
    for number, mistake in enumerate(exercise.mistakes)
]
SAMPLE = """
[fans]
question = '''
How many terms has $\\sum_i w_i x_i$
with `fan_in` = 3?
'''
[[fans.choices]]
text = "Three, *one* for each input"
right = true
feedback = "One product for each of the inputs."
[[fans.choices]]
text = "Two, if $w_1 < w_2$"
feedback = "That counts the plus signs between the products."
"""
TWO_RIGHT = """
[odd-functions]
question = "Which of these is odd?"
right_choices = 2
choices = [
    {text = "tanh", feedback = "tanh(-z) = -tanh(z).", right = true},
    {text = "relu", feedback = "relu(-1) = 0, and relu(1) = 1: it is neither even nor odd."},
    {text = "sin", feedback = "sin(-z) = -sin(z).", right = true},
]
"""


def made(text):
    (question,) = teaching.read(text, "sample.toml")
    return teaching.Ask(question)


@pytest.fixture
def sample():
    widget = made(SAMPLE)
    yield widget
    widget.close()


class Parsed(html.parser.HTMLParser):
    """What a browser makes of a piece of HTML: elements with attributes, and text."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(source)
        assert not self._open, source

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag != "br":
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


# --- questions -------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_each_wrong_choice_is_told_why(question):
    assert sum(choice.right for choice in question.choices) == question.right_choices
    texts = [choice.text for choice in question.choices]
    assert len(set(texts)) == len(texts)
    for choice in question.choices:
        assert len(choice.feedback) >= (0 if choice.right else FEWEST_LETTERS), choice.text
    for text in (question.question, *texts, *(choice.feedback for choice in question.choices)):
        assert text.count("$") % 2 == 0 == text.count("`") % 2, text
        assert not re.search(r"(?<!\\)\t|\r|\x0c|\x07|\x08", text), "a backslash that TOML took"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_each_choice_of_each_question_gets_its_feedback(question):
    widget = teaching.ask(question.name)
    for letter, choice in zip(string.ascii_uppercase, question.choices, strict=False):
        widget.forget()
        widget.choose(letter)
        said = Parsed(widget.status.value).text
        assert said.startswith(f"{letter}: {'Right.' if choice.right else 'Not so.'}")
        assert widget.solved == (choice.right and question.right_choices == 1)
        others = {other.feedback for other in question.choices} - {choice.feedback}
        assert teaching.to_html(choice.feedback) in widget.status.value
        assert not any(teaching.to_html(other) in widget.status.value for other in others)
    widget.close()


def test_nothing_is_given_away_before_a_choice(sample):
    assert [button.description for button in sample.buttons] == ["A", "B"]
    assert Parsed(sample.status.value).text == ""
    assert not sample.solved
    assert sample.again.layout.display == "none"
    assert "✓" not in sample._markdown() and "One product" not in sample._markdown()


def test_wrong_then_right_then_back_to_the_start(sample):
    first, second = sample.buttons
    second.click()
    assert Parsed(sample.status.value).text.startswith("B: Not so. That counts the plus signs")
    assert (first.description, second.description) == ("A", "B ✗")
    first.click()
    assert sample.solved
    assert Parsed(sample.status.value).text == "A: Right. One product for each of the inputs."
    assert (first.description, second.description) == ("A ✓", "B ✗")
    second.click()  # to read it again; what was found stays found
    assert sample.solved and first.description == "A ✓"
    sample.again.click()
    assert [button.description for button in sample.buttons] == ["A", "B"]
    assert not sample.solved and sample.again.layout.display == "none"


def test_several_right_choices_are_announced_and_counted():
    widget = made(TWO_RIGHT)
    assert "(2 answers are right.)" in widget._markdown()
    widget.choose("c")
    assert not widget.solved and "1 more to find." in widget.status.value
    widget.choose("C")
    assert not widget.solved and "1 more to find." in widget.status.value
    widget.choose("A")
    assert widget.solved and "more to find" not in widget.status.value


@pytest.mark.parametrize("letter", ["C", "", "AB", "1"])
def test_a_choice_that_is_not_there(sample, letter):
    with pytest.raises(ValueError, match="the choices are A, B"):
        sample.choose(letter)


def test_it_can_be_perceived_by_keyboard_and_by_ear(sample):
    """Buttons take the keyboard; what they stand for is their title; feedback is spoken."""
    assert all(type(button) is ipywidgets.Button for button in sample.buttons)
    assert [button.tooltip for button in sample.buttons] == [
        "Three, one for each input",
        "Two, if $w_1 < w_2$",
    ]
    for press in (lambda: None, sample.buttons[0].click, sample.buttons[1].click):
        press()
        ((tag, attributes),) = [
            element for element in Parsed(sample.status.value).elements if "role" in element[1]
        ]
        assert tag == "div"
        assert (attributes["role"], attributes["aria-live"]) == ("status", "polite")
    assert [button.description[-1] for button in sample.buttons] == ["✓", "✗"]
    assert "border-left" in sample.status.value  # color is beside sign and word, never alone


def test_formulas_and_code_reach_the_page(sample):
    question, first, second = (child for child in sample.children[:3])
    assert r"\(\sum_i w_i x_i\)" in question.value and "<code>fan_in</code>" in question.value
    assert isinstance(question, ipywidgets.HTMLMath)
    assert "<i>one</i>" in first.children[1].value
    assert r"\(w_1 &lt; w_2\)" in second.children[1].value


def test_who_reads_without_a_kernel_sees_question_and_choices(sample, monkeypatch):
    shown = []
    monkeypatch.setattr(teaching, "display", lambda data, raw: shown.append(data))
    sample._ipython_display_()
    (data,) = shown
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == sample.model_id
    assert data["text/markdown"].splitlines() == [
        r"**Question.** How many terms has $\sum_i w_i x_i$ with `fan_in` = 3?",
        "",
        "- **A.** Three, *one* for each input",
        "- **B.** Two, if $w_1 < w_2$",
    ]
    assert "- B. Two" in data["text/plain"]


def test_only_widgets_that_every_platform_has(sample):
    allowed = (ipywidgets.Button, ipywidgets.HTMLMath, ipywidgets.Box)
    widgets = [*sample.children, *(w for row in sample.children[1:3] for w in row.children)]
    assert all(isinstance(widget, allowed) for widget in widgets)


def test_an_unknown_question_names_the_nearest():
    with pytest.raises(ValueError, match="unknown question 'symetry-copies': did you mean 'symme"):
        teaching.ask("symetry-copies")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[fans]", "[fans", "Expected"),
        ("[fans]", "[Fans]", "question 'Fans': .* missing"),
        ("question =", "questoin =", "unknown field 'questoin': did you mean 'question'"),
        ("right = true", "right = 1", "choice 1: right must be a bool, not 1"),
        ("right = true", "", "0 of the choices are right, where right_choices says 1"),
        ('text = "Three, *one* for each input"', "", "choice 1: text is missing or empty"),
        ("That counts the plus signs between the products.", " ", "choice 2: feedback is missing"),
        ("[[fans.choices]]", "[[fans.chioces]]", "unknown field 'chioces': did you mean 'choices'"),
        ("fans", "fan_s", "small letters, digits and single dashes"),
        (SAMPLE, "fans = 3", "a table is asked for, not 3"),
        (SAMPLE, "[fans]\nquestion='a'\nchoices=[1]", "choice 1: a table is asked for, not 1"),
        (SAMPLE, "[fans]\nquestion='a'\nchoices=[]", "choices is missing or empty"),
    ],
)
def test_a_wrong_file_says_where_and_what(old, new, message):
    assert old in SAMPLE
    with pytest.raises(ValueError, match=rf"^sample\.toml.*{message}"):
        teaching.read(SAMPLE.replace(old, new), "sample.toml")


def test_the_package_brings_its_questions():
    """As Colab installs it, without the repository beside it."""
    folder = Path(initlab.__file__).parent / "questions"
    assert {question.name for question in QUESTIONS} == {
        question.name
        for file in folder.glob("*.toml")
        for question in teaching.read(file.read_text("utf-8"), file.name)
    }


# --- exercises -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXERCISES)
def test_the_hidden_solution_is_right_whatever_the_cases(name):
    for seed in range(5):
        result = teaching.check(name, teaching.solution(name), seed)
        assert result.right and str(result) == f"{name}: right, 20 of 20 cases", (seed, result)
    assert str(teaching.check(name, EXERCISES[name].solution)) == str(result)


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_known_mistake_gets_its_feedback(exercise, mistake):
    for seed in range(2):
        result = grade(exercise, mistake.answer, seed)
        assert not result.right and result.cases == 20
        assert result.passed <= 10
        assert result.feedback == mistake.feedback
        assert f"{exercise.name}: not yet, {result.passed} of 20 cases. " in str(result)


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_feedback_is_plain_text_that_says_enough(exercise, mistake):
    assert len(mistake.feedback) >= FEWEST_LETTERS
    assert not set("$\\<>") & set(mistake.feedback)


@pytest.mark.parametrize("name", EXERCISES)
def test_cases_are_fresh(name):
    def numbers(seed):
        cases = EXERCISES[name].cases(np.random.default_rng(seed))
        return [
            leaf.__name__ if callable(leaf) else np.asarray(leaf).tolist()
            for leaf in jax.tree.leaves(cases)
            if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))
        ]

    assert numbers(0) != numbers(1)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("junk", ["text", [], {}, object(), float("nan"), [[1, 2], 3], 1j, True])
def test_any_answer_at_all_is_judged(name, junk):
    result = teaching.check(name, lambda *_: junk)
    assert not result.right and result.feedback


def test_he_scale_answered_in_the_ways_that_people_write():
    def with_jax(fan_in, fan_out):
        return jnp.sqrt(2.0 / fan_in)

    for answer in (
        with_jax,
        jax.jit(with_jax),
        lambda n, m: np.sqrt(2 / n),
        lambda *fans: (2 / fans[0]) ** 0.5,
    ):
        assert teaching.check("he-scale", answer).right


def test_overflow_depth_by_a_loop():
    def by_loop(factor, size):
        layer, value = 0, jnp.float32(size)
        while jnp.isfinite(value):
            layer, value = layer + 1, value * factor
        return layer

    assert teaching.check("overflow-depth", by_loop).right


def test_other_ways_to_break_symmetry():
    def by_counting(parameters, key):
        return [(weight, jnp.linspace(-1, 1, len(bias))) for weight, bias in parameters]

    assert teaching.check("break-symmetry", by_counting).right

    def in_place(parameters, key):
        for layer, (weight, bias) in enumerate(parameters):
            parameters[layer] = weight, bias + jax.random.uniform(key, bias.shape)
        return parameters

    assert teaching.check("break-symmetry", in_place).right


@pytest.mark.parametrize("samples", [1_000, 200_000])
def test_variance_map_by_few_and_by_many_samples(samples):
    def sampled(q, activation, weight_variance):
        z = jax.random.normal(jax.random.key(5), samples)
        return weight_variance * jnp.mean(activation(jnp.sqrt(q) * z) ** 2)

    result = teaching.check("variance-map", sampled, seed=0)
    assert result.right == (samples == 200_000)
    assert result.right or "with more samples" in result.feedback


def test_a_wrong_answer_that_nobody_foresaw_sees_a_case():
    result = teaching.check("he-scale", lambda fan_in, fan_out: 0.1, seed=0)
    assert re.fullmatch(
        r"For fan_in = \d+, fan_out = \d+: 0.1 was returned, 0\.\d+ is right\.", result.feedback
    )


def he_scale_with_a_slip(fan_in, fan_out):
    return jnp.sqrt(2 / fan_inn)  # noqa: F821


def test_an_exception_is_a_message_with_the_learners_own_line():
    result = teaching.check("he-scale", he_scale_with_a_slip)
    assert "your function raised NameError: name 'fan_inn' is not defined" in result.feedback
    assert "in the line: return jnp.sqrt(2 / fan_inn)" in result.feedback
    assert result.passed == 0 and "Traceback" not in str(result)


def test_a_stub_is_not_called_wrong():
    def empty(fan_in, fan_out): ...

    def dots(fan_in, fan_out):
        return ...

    def unwritten(fan_in, fan_out):
        raise NotImplementedError

    texts = {str(teaching.check("he-scale", stub)) for stub in (empty, dots, unwritten)}
    (text,) = texts
    assert text.startswith("he-scale: nothing returned yet. Return the standard deviation")
    assert "he_scale(fan_in, fan_out)" in text


def test_a_function_that_takes_something_else():
    text = str(teaching.check("he-scale", lambda fan_in: fan_in))
    assert text == (
        "he-scale: it will be called as he_scale(fan_in, fan_out), but what you handed over takes"
        " (fan_in)"
    )


def test_a_number_in_place_of_the_function():
    assert "hand over the function itself, he_scale" in str(teaching.check("he-scale", 0.1))


def test_an_unknown_exercise_names_the_nearest():
    with pytest.raises(ValueError, match="unknown exercise 'he-scal': did you mean 'he-sc"):
        teaching.check("he-scal", abs)
    with pytest.raises(ValueError, match="did you mean 'backward'"):
        teaching.solution("backwards")


def test_results_are_spoken_and_marked_by_a_sign():
    right = teaching.check("he-scale", teaching.solution("he-scale"))._repr_html_()
    wrong = teaching.check("he-scale", lambda fan_in, fan_out: "<b>")._repr_html_()
    for page, sign, text in ((right, "✓", "he-scale: right"), (wrong, "✗", "he-scale: not yet")):
        parsed = Parsed(page)
        assert parsed.elements[0][1]["role"] == "status"
        assert sign in parsed.text and text in parsed.text
    assert Parsed(wrong).text.count("'<b>'") == 1  # shown as text, not obeyed
    assert (
        "○" in Parsed(teaching.check("he-scale", lambda fan_in, fan_out: None)._repr_html_()).text
    )


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_is_short_and_hides_behind_a_click(name):
    solution = teaching.solution(name)
    assert len(str(solution).splitlines()) <= 8
    assert str(solution).startswith(f"def {name.replace('-', '_')}(")
    assert EXERCISES[name].call.startswith(f"{name.replace('-', '_')}(")
    page = solution._repr_html_()
    assert page.startswith("<details><summary>") and " open" not in page
    assert Parsed(page).text.endswith(str(solution))


def test_who_is_to_blame_by_ratios_and_the_dead_by_their_largest():
    def by_ratio(received, made, wanted):
        gains = [after / before / wanted for before, after in zip(received, made, strict=True)]
        return gains.index(max(gains, key=lambda gain: max(gain, 1 / gain)))

    assert teaching.check("to-blame", by_ratio).right
    assert teaching.check("dead-share", lambda z: 1 - jnp.mean(z.max(axis=0) > 0)).right
    assert teaching.check("dead-share", lambda z: (jax.nn.relu(z).sum(0) == 0).mean()).right
