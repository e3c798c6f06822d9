"""The guided stories, as HTML: predict, observe, explain."""

import html
import string
import tomllib
from pathlib import Path

from initlab.teaching import Question, questions
from tools.page import words

FILE = Path(__file__).with_name("stories.toml")
_STORY = string.Template("""\
<details class="story" name="stories" data-setting="$setting">
<summary>$title</summary>
<div class="question">$question</div>
<fieldset><legend>Your guess</legend>
$choices
</fieldset>
<button type="button">Set the controls, and look</button>
<div class="after" hidden>
<p><strong>Observe.</strong> $observe</p>
<div class="feedback" role="status">$answers</div>
<details><summary>Explain</summary>
$explain
</details>
</div>
</details>
""")


def stories() -> str:
    """All stories, in their order."""
    told = tomllib.loads(FILE.read_text(encoding="utf-8"))["stories"]
    asked = questions()
    return "".join(
        _story(number, story, asked[story["question"]]) for number, story in enumerate(told, 1)
    )


def _story(number: int, story: dict, question: Question) -> str:
    choices, answers = [], ['<p data-choice="none">You made no guess.</p>']
    for place, choice in enumerate(question.choices):
        letter = string.ascii_uppercase[place]
        choices.append(
            f'<label><input type="radio" name="{question.name}" value="{letter}">'
            f" <span>{words.line(choice.text)}</span></label>"
        )
        verdict = "<strong>Right.</strong>" if choice.right else "<strong>Not so.</strong>"
        answers.append(f'<p data-choice="{letter}">{verdict} {words.line(choice.feedback)}</p>')
    query = "&".join(f"{name}={value}" for name, value in story["setting"].items())
    return _STORY.substitute(
        setting=html.escape(query),
        title=f"Story {number}: {html.escape(story['title'])}",
        question=words.paragraphs(question.question),
        choices="\n".join(choices),
        answers="\n".join(answers),
        observe=words.line(story["observe"]),
        explain=words.paragraphs(story["explain"]),
    )
