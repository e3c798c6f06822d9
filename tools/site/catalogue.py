"""Pages of the catalogue: one for each initializer and activation, made of the catalogues alone.

An entry that is added to a catalogue has its page the next time that the site is made. What a page
says is measured when it is made: nothing is typed in.
"""

import io

from matplotlib.figure import Figure

from initlab import tables
from initlab.activations import ACTIVATIONS, Activation
from initlab.initializers import INITIALIZERS
from initlab.laws import Initializer
from tools.site import measured, pictures

FOLDER = "catalogue"
_THEORY = {
    "independent": "Entries are independent, so mean-field theory predicts this start.",
    "orthogonal": "The matrix is a random orthogonal one, whose mean field theory knows.",
    "patterned": "A pattern, or fitted to data: mean-field theory has nothing to say about it.",
}


def pages() -> dict[str, str | bytes]:
    """All pages of the catalogue and their pictures, by their place in the site."""
    made = {f"{FOLDER}/index.md": index_page()}
    for start in INITIALIZERS.values():
        made |= initializer_page(start)
    for activation in ACTIVATIONS.values():
        made |= activation_page(activation)
    return made


def initializer_page(entry: Initializer) -> dict[str, str | bytes]:
    """The page of an initializer, and its two pictures."""
    place = f"{FOLDER}/initializers/{entry.name}"
    signals, verdicts = measured.shown(entry), measured.verdicts(entry)
    across, weights = pictures.across_layers(signals), pictures.weights(signals)
    setting = signals.setting
    synonyms = ", ".join(f"`{name}`" for name in INITIALIZERS.synonyms(entry.name))
    text = f"""# {entry.name}

{_sentence(entry.when)}

{_law(entry.law)}

{_facts({"Also called": synonyms, "Source": entry.source, "Theory": _THEORY[entry.ensemble]})}

```python
initlab.Setting(initializer="{entry.name}")
```

## Through {setting.depth} layers

{_figure(across, f"{entry.name}-layers.png")}

{setting.describe()} The dashed line is what mean-field theory says, where it speaks.

## What it draws

{_figure(weights, f"{entry.name}-weights.png")}

{weights.alternative_text}

## What the diagnosis says

Of {measured.DEPTH if entry.quick else setting.depth} layers of {setting.width} units each, seed
{setting.seed}, by {{func}}`initlab.diagnose`:

{_table(("activation", "verdict"), [(_to(name), said) for name, said in verdicts.items()])}
"""
    return {
        f"{place}.md": text,
        f"{place}-layers.png": _png(across),
        f"{place}-weights.png": _png(weights),
    }


def activation_page(entry: Activation) -> dict[str, str | bytes]:
    """The page of an activation, and its picture."""
    place = f"{FOLDER}/activations/{entry.name}"
    (row,) = [row for row in tables.activations() if row["name"] == entry.name]
    curve = pictures.curve(entry)
    numbers = [
        ("exact gain, 1/√E[φ²]", row["exact gain"]),
        *((name, row[name]) for name in ("E[φ]", "E[φ²]", "E[φ'²]", "φ(0) = 0")),
        ("flat, where it saturates", row["flat"]),
    ]
    healthy = [start for start in INITIALIZERS.values() if measured.healthy(start, entry.name)]
    names = ", ".join(_to(start.name) for start in healthy) or "none"
    text = f"""# {entry.name}

{_sentence(entry.when)}

{_law(entry.law)}

{_facts({"Source": entry.source})}

{_figure(curve, f"{entry.name}-curve.png")}

{curve.alternative_text}

## In numbers

Moments are for a standard normal z. The exact gain keeps its variance, on weights of variance
1/fan_in. It is flat where the slope is under 1% of its largest.

{_table(("of φ", "is"), numbers)}

## Starts that are healthy with it

Of {measured.DEPTH} layers of {measured.WIDTH} units each, seed 0, by {{func}}`initlab.diagnose`:
{names}.

```python
initlab.Setting(activation="{entry.name}")
```
"""
    return {f"{place}.md": text, f"{place}-curve.png": _png(curve)}


def index_page() -> str:
    """The table of all entries, with links to their pages."""
    starts = [(_with_law(row), row["when"]) for row in tables.initializers()]
    functions = [(_with_law(row), row["exact gain"], row["when"]) for row in tables.activations()]
    return f"""# Catalogue

Every initializer and activation that initlab has. Each page is measured and drawn when this site
is made. [Your own](../how_to/add_your_own.md) stands in every slider and table, too, as soon as it
is registered.

## Initializers

{_table(("name and law", "when"), starts)}

## Activations

{_table(("name and law", "exact gain", "when"), functions)}

```{{toctree}}
:hidden:
:caption: Initializers

{chr(10).join(f"initializers/{name}" for name in INITIALIZERS)}
```

```{{toctree}}
:hidden:
:caption: Activations

{chr(10).join(f"activations/{name}" for name in ACTIVATIONS)}
```
"""


def _to(name: str) -> str:
    """A link to an entry's page."""
    kind = "activations" if name in ACTIVATIONS else "initializers"
    return f"[`{name}`](/{FOLDER}/{kind}/{name}.md)"


def _law(law: str) -> str:
    return f"$$\n{law}\n$$" if law else ""


def _with_law(row: dict[str, str]) -> str:
    """A table's cell of two paragraphs: a link to an entry's page, and its law."""
    return _to(row["name"]) + (f"\n\n    ${row['law']}$" if row["law"] else "")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}." if words else ""


def _facts(facts: dict[str, str]) -> str:
    return "\n".join(f"- **{name}:** {said}" for name, said in facts.items() if said)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table whose cells may hold anything, bars of a formula included."""
    lines = "\n".join(
        f"{'*' if place == 0 else ' '} - {cell}"
        for row in (columns, *rows)
        for place, cell in enumerate(row)
    )
    widths = "50 50" if len(columns) == 2 else "50 12 38"
    return f"```{{list-table}}\n:header-rows: 1\n:widths: {widths}\n\n{lines}\n```"


def _figure(figure: Figure, name: str) -> str:
    return f"```{{image}} {name}\n:alt: {figure.alternative_text}\n:class: picture\n```"


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Description": figure.alternative_text})
    return out.getvalue()
