"""What the documentation's site is made of: names, pages, links, and code that is run."""

import doctest
import functools
import importlib
import inspect
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import jax
import pytest

import initlab
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from tools import course
from tools.site import catalogue, measured, modules, sources

ROOT = Path(__file__).parents[1]
REFERENCE = [
    (kind, name)
    for page in sorted((ROOT / "docs" / "reference").glob("*.rst"))
    for kind, name in re.findall(r"^\.\. auto(\w+):: (\S+)$", page.read_text("utf-8"), re.M)
]
GUIDES = sorted((ROOT / "docs" / "how_to").glob("*.md"))
PUBLIC_MODULES = ("adaptive", "data", "teaching", "theory")


@pytest.fixture(scope="module")
def gathered() -> dict[str, str | bytes]:
    return sources.gather(ROOT)


# --- the reference ---------------------------------------------------------------------------


def found(name: str):
    """The object that an entry of the reference names."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise LookupError(name)


def public_names() -> set[str]:
    """Names in ``__init__.pyi``; those of its modules are what these define or pass on."""
    stub = (ROOT / "initlab" / "__init__.pyi").read_text("utf-8")
    names = {f"initlab.{name}" for name in re.findall(r"import \w+ as (\w+)", stub)}
    for module in PUBLIC_MODULES:
        names.remove(f"initlab.{module}")
        inside = vars(importlib.import_module(f"initlab.{module}"))
        names |= {
            f"initlab.{module}.{name}"
            for name, value in inside.items()
            if not name.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__.startswith(f"initlab.{module}")
        }
    return names


def known(name: str):
    value = found(name)
    return value.__module__, value.__qualname__


def test_every_public_name_has_one_entry_in_the_reference():
    entries = [known(name) for _, name in REFERENCE]
    assert len(entries) == len(set(entries)), "an entry stands twice"
    missing = {name for name in public_names() if known(name) not in entries}
    assert missing == set()


@pytest.mark.parametrize(("kind", "name"), REFERENCE)
def test_every_entry_is_documented_and_every_public_method_of_it(kind, name):
    value = found(name)
    assert inspect.isclass(value) == (kind == "class")
    assert inspect.getdoc(value)
    if kind == "class":
        kinds = (types.FunctionType, classmethod, property, functools.cached_property)
        methods = {
            label: method
            for label, method in vars(value).items()
            if not label.startswith("_") and isinstance(method, kinds)
        }
        fields = {field.name for field in getattr(value, "__dataclass_fields__", {}).values()}
        silent = {label for label, method in methods.items() if not inspect.getdoc(method)}
        assert silent - fields == set()


# --- the catalogue ---------------------------------------------------------------------------


@pytest.fixture
def own_entries():
    initlab.register_initializer(
        "signs",
        lambda key, shape, dtype: jax.random.rademacher(key, shape, dtype) / shape[0] ** 0.5,
        law=r"W_{ij} = \pm 1/\sqrt{\mathrm{fan\_in}}",
        when="to see signs with tanh",
        source="Nobody 1999",
        variance=lambda fan_in, fan_out: 1 / fan_in,
    )
    initlab.register_activation("softsign", jax.nn.soft_sign, r"\phi(z) = z/(1 + |z|)")
    yield INITIALIZERS["signs"], ACTIVATIONS["softsign"]
    INITIALIZERS.remove("signs")
    ACTIVATIONS.remove("softsign")


def test_an_entry_that_is_added_has_its_page(own_entries, monkeypatch):
    monkeypatch.setattr(measured, "ACTIVATIONS", {"tanh": ACTIVATIONS["tanh"]})
    signs, softsign = own_entries
    pages = catalogue.initializer_page(signs)
    page = pages["catalogue/initializers/signs.md"]
    assert signs.law in page and "To see signs with tanh." in page and "Nobody 1999" in page
    setting = initlab.Setting(measured.DEPTH, measured.WIDTH, "tanh", "signs")
    assert str(initlab.diagnose(initlab.probe(setting))) in page
    pictures = [content for place, content in pages.items() if place.endswith(".png")]
    assert len(pictures) == 2 and all(one.startswith(b"\x89PNG") for one in pictures)
    assert len(re.findall(r"^:alt: \S.{30,}$", page, re.M)) == 2
    index = catalogue.index_page()
    assert "initializers/signs" in index and "activations/softsign" in index
    monkeypatch.setattr(catalogue, "INITIALIZERS", {})  # to measure them all takes long
    (page, *_) = catalogue.activation_page(softsign).values()
    assert f"- {softsign.critical_gain:.4f}\n" in page and ":alt: softsign" in page


@pytest.mark.parametrize(
    ("start", "activation"),
    [("he_normal", "relu"), ("glorot_uniform", "tanh"), ("lecun_normal", "selu")],
)
def test_a_start_is_shown_with_the_activation_that_its_words_name(start, activation):
    assert measured.made_for(INITIALIZERS[start]) == activation


# --- pages -----------------------------------------------------------------------------------


def test_links_lead_to_pages_or_to_the_repository():
    places = {"docs/a.md": "a.md", "notebooks/README.md": "course/README.md"}
    text = "[x](../notebooks/README.md#glossary) [y](../initlab/laws.py) [z](https://a.b/c)"
    assert sources.bent(text, "docs/a.md", places, ROOT) == (
        "[x](course/README.md#glossary)"
        " [y](https://github.com/initlab/initlab/blob/main/initlab/laws.py) [z](https://a.b/c)"
    )


def test_lessons_lead_to_each_other_and_to_the_glossary_and_fetch_no_badge(gathered):
    lessons = {place: text for place, text in gathered.items() if place.endswith(".ipynb")}
    assert len(lessons) == len(course.lessons())
    for place, text in lessons.items():
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
        assert "badge" not in text and "README.md#glossary" in cells[0], place
        assert "colab.research.google.com" in cells[0], place
        if not place.startswith("course/00"):
            assert re.search(r"\]\(\d\d_\w+\.ipynb\)", cells[0]), place


def test_every_stored_picture_has_words(gathered):
    for place, text in gathered.items():
        if place.endswith(".ipynb"):
            for cell in json.loads(text)["cells"]:
                if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                    assert cell["metadata"]["mystnb"]["image"]["alt"], place
        elif place.endswith(".md"):
            assert "![](" not in text, place


def test_the_picture_of_the_course_is_told_as_it_is_drawn(gathered):
    words = course.say({lesson.name: lesson for lesson in course.lessons()})
    assert f"![{words}](pictures/course.png)" in gathered["course.md"]


def test_what_is_awaited_stands_in_no_table_until_it_is_there(gathered):
    for name in sources.AWAITED:
        listed = any(
            re.search(rf"^(\.\./)?{name}$", gathered[page], re.M)
            for page in ("project.md", "how_to/index.md")
        )
        assert listed == (f"{name}.md" in gathered)


# --- guides ----------------------------------------------------------------------------------


QUICK = ("find_the_layer", "add_your_own")  # the others wait longer for compilers


@pytest.mark.parametrize(
    "guide",
    [
        pytest.param(guide, id=guide.stem, marks=() if guide.stem in QUICK else pytest.mark.slow)
        for guide in GUIDES
        if "```pycon" in guide.read_text("utf-8")
    ],
)
def test_the_code_of_a_guide_prints_what_stands_there(guide, tmp_path, monkeypatch):
    text = guide.read_text("utf-8")
    code = "\n".join(re.findall(r"```pycon\n(.*?)```", text, re.S))
    monkeypatch.chdir(tmp_path)  # some write files
    before = set(INITIALIZERS), set(ACTIVATIONS)
    test = doctest.DocTestParser().get_doctest(code, {}, guide.name, str(guide), 0)
    said = []
    try:
        doctest.DocTestRunner().run(test, out=said.append)
    finally:
        for catalog, names in zip((INITIALIZERS, ACTIVATIONS), before, strict=True):
            for name in set(catalog) - names:
                catalog.remove(name)
    assert said == []


def test_every_guide_is_listed_and_shows_code_or_a_table():
    index = (ROOT / "docs" / "how_to" / "index.md").read_text("utf-8")
    for guide in GUIDES:
        if guide.stem != "index":
            assert f"]({guide.name})" in index and f"\n{guide.stem}\n" in index
            assert re.search(r"^```(pycon|python|sh)|^\| ", guide.read_text("utf-8"), re.M)


def test_the_check_that_the_guide_on_tests_gives_tells_the_sick_from_the_healthy():
    text = (ROOT / "docs" / "how_to" / "test_in_ci.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    import_line = "from my_package.model import make_model  # returns function, params, batch\n"
    assert import_line in code
    batch = jax.random.normal(jax.random.key(0), (16, 8))
    for weight, sick in ((jax.numpy.eye(8), False), (jax.numpy.zeros((8, 8)), True)):
        names = {"make_model": lambda weight=weight: (lambda w, x: x @ w @ w, weight, batch)}
        exec(code.replace(import_line, ""), names)
        if sick:
            with pytest.raises(AssertionError):
                names["test_my_model_starts_well"]()
        else:
            names["test_my_model_starts_well"]()


# --- the design ------------------------------------------------------------------------------


def test_no_module_imports_one_to_its_right():
    order = modules.parts(modules.DESIGN.read_text("utf-8"))
    places = {part: place for place, part in enumerate(order)}
    assert len(places) > 10
    front = ("", "__main__")  # the package's own door, and the command line
    imported = {name: all_ for name, all_ in modules.imports().items() if name not in front}
    assert [name for name in imported if modules.part_of(name, order) is None] == []
    listed = {name for names in order.values() for name in names}
    assert listed <= {*imported, *(name.partition(".")[0] for name in imported)}
    wrong = [
        (name, other)
        for name, others in imported.items()
        for other in others
        if places[modules.part_of(other, order)] > places[modules.part_of(name, order)]
    ]
    assert wrong == []


# --- all of it -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_site_is_made_without_a_warning(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tools.site.__main__ import build;"
        f"sys.exit(build(Path({str(tmp_path / 'source')!r}), Path({str(tmp_path / 'site')!r})))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-5000:]
    for page in ("index", "catalogue/initializers/he_normal", "course/02_variance"):
        assert (tmp_path / "site" / f"{page}.html").exists()
