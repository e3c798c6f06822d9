"""Command lines of any words: an error in words and status 2, never a traceback."""

import contextlib
import io

import pytest
from hypothesis import strategies as st

from initlab.__main__ import main
from initlab.sweeps import command
from initlab.sweeps.grid import FIELDS, MAX_VALUES
from tests.properties.strategies import holds

WORDS = (
    *("", " ", "a", "3", "-1", "0", "1:5", "1:5:2", "5:1:-1", "1:5:0", "1:2:3:4", "::", ":", "1:"),
    *("nan", "inf", "-inf", "1e309", "nan:1:1", "0:inf:1", "0:1:1e-300", "1:1000000000000", "1,,2"),
    *("tanh", "tanh,", "all", "reul", "all,all", "<script>", "ключ", "\u2028", "9" * 5000, "1_0"),
    *("x" * 10_000, "--", "--json", "-h-", "sweep", "examine", "0x10", "1j", "True", "None", "[1]"),
)
OPTIONS = (
    *(f"--{name.replace('_', '-')}" for name in FIELDS),
    *("--seeds", "--examples", "--measures", "--chunk", "--nonsense"),
)
MODELS = (
    *("", ":", "a:b", "os", "os:", ":path", "os:path", "os:getcwd", "json:dumps", "math:pi"),
    *("initlab:nothing", "..:x", ".a:b", "a b:c", "os.path:join", "\0:a", "x" * 5000, "a:b:c"),
    *("initlab.data:digits", "builtins:dict", "builtins:list", "collections:Counter", "sys:exit_"),
)


def run(arguments) -> tuple[int, str]:
    """The status, and what stands on stderr."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse's way
            status = end.code
    return status, errors.getvalue()


@holds(
    nightly=400,
    ci=25,
    counts="hostile",
    options=st.lists(st.tuples(st.sampled_from(OPTIONS), st.sampled_from(WORDS)), max_size=3),
)
def test_a_sweep_that_cannot_be_is_told(options):
    """With a width that there is not, no sweep of these can begin."""
    words = [word for option in options for word in option]
    status, errors = run(["sweep", *words, "--width", "0", "--store", "nowhere/at/all"])
    assert status == 2 and errors.strip()
    assert "Traceback" not in errors


@holds(nightly=200, ci=20, counts="hostile", model=st.sampled_from(MODELS), json=st.booleans())
def test_a_model_that_is_none_is_told(model, json):
    """What is named is missing, no function, or one that returns something else."""
    status, errors = run(["examine", model, *["--json"] * json])
    assert status == 2 and errors.strip()


@holds(nightly=200, ci=20, counts="hostile", words=st.lists(st.sampled_from(WORDS), max_size=4))
def test_a_command_that_is_none_is_told(words):
    """argparse prints how it is called."""
    status, errors = run(["unknown", *words])
    assert status == 2 and "usage: python -m initlab" in errors


@holds(
    nightly=500,
    ci=60,
    counts="hostile",
    name=st.sampled_from(sorted(FIELDS)),
    text=st.one_of(st.sampled_from(WORDS), st.text(":,-.0123456789e", max_size=12)),
)
def test_values_are_read_or_refused(name, text):
    """Source: the words between the commas; a range has no more values than an axis may."""
    try:
        found = command.values_of(name, text)
    except ValueError as error:
        assert f"--{name.replace('_', '-')} takes" in str(error) and len(str(error)) < 1000
        return
    if isinstance(FIELDS[name], str):
        assert found == (text.split(",") if "," in text else text)
    elif ":" in text:
        assert isinstance(found, list) and len(found) <= MAX_VALUES
    else:
        kind = type(FIELDS[name])
        parts = [kind(part) for part in text.split(",")]
        assert str(found) == str(parts if "," in text else parts[0])


def test_a_model_that_raises_is_not_taken_for_an_ill_one(monkeypatch):
    """Status 1 says that a network is ill; what breaks ends in 2, with the caller's own error."""
    monkeypatch.setattr("initlab.data.digits", lambda: 1 / 0)
    status, errors = run(["examine", "initlab.data:digits"])
    assert status == 2 and "ZeroDivisionError" in errors


def test_help_is_no_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0 and "usage" in capsys.readouterr().out
