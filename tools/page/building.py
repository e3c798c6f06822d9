"""The page put together: template, style, scripts, charts, stories and numbers in one file."""

import html
import importlib.metadata
import json
import re
import string
from pathlib import Path

from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from initlab.setting import Setting
from initlab.themes import THEMES
from tools import addresses
from tools.page import charts, packing, words
from tools.page.grid import Grid, Measured, is_fitted
from tools.page.stories import stories

FOLDER = Path(__file__).parent
SCRIPTS = ("numbers.js", "state.js", "charts.js", "stories.js", "page.js")
#: columns of the table of numbers
COLUMNS = (
    ("activation_variance", "variance"),
    ("activation_variance.mean", "variance, theory"),
    ("gradient_second_moment", "gradient"),
    ("gradient_second_moment.mean", "gradient, theory"),
    ("distinct_neurons", "distinct neurons"),
    ("effective_neurons", "effective neurons"),
)


def build(measured: Measured) -> str:
    """The page's HTML, of what was measured."""
    grid, packed = measured.grid, packing.pack(measured)
    numbers, verdicts = packed.pop("numbers"), packed.pop("verdicts")
    about = packed | {
        "panels": charts.panels(grid),
        "columns": [{"field": field, "label": label} for field, label in COLUMNS],
        "fitted": [name for name in grid.initializers if is_fitted(name)],
        "width": grid.width,
        "start": start(grid),
    }
    template = string.Template((FOLDER / "template.html").read_text(encoding="utf-8"))
    repository = addresses.repository(addresses.ROOT)
    return template.substitute(
        style=_colors() + (FOLDER / "page.css").read_text(encoding="utf-8"),
        vega=_inert(charts.runtime()),
        scripts="\n".join(
            f"<script>{_inert((FOLDER / name).read_text(encoding='utf-8'))}</script>"
            for name in SCRIPTS
        ),
        about=_inert(json.dumps(about)),
        numbers=numbers,
        verdicts=verdicts,
        stories=stories(),
        activations=_options(grid.activations),
        initializers=_options(grid.initializers),
        laws=_laws(grid),
        seeds=_seeds(grid),
        last_depth=len(grid.depths) - 1,
        last_gain=len(grid.gains) - 1,
        figures="\n".join(_figure(panel) for panel in about["panels"]),
        columns="".join(f'<th scope="col">{label}</th>' for _, label in COLUMNS),
        measured=_measured(measured),
        version=importlib.metadata.version("initlab"),
        repository=f"https://github.com/{repository}",
        colab=f"https://colab.research.google.com/github/{repository}",
    )


def start(grid: Grid) -> dict:
    """The setting that the page opens with: that of ``Setting()``, or the nearest there is."""
    usual = Setting(depth=50)
    return {
        "activation": _named(usual.activation, grid.activations),
        "initializer": _named(usual.initializer, grid.initializers),
        "depth": min(grid.depths, key=lambda depth: abs(depth - usual.depth)),
        "gain": min(grid.gains, key=lambda gain: abs(gain - usual.gain)),
        "seed": grid.seeds[0],
    }


def _named(name: str, names: tuple[str, ...]) -> str:
    return name if name in names else names[0]


def _inert(text: str) -> str:
    """Text for a script element, which nothing in it may end."""
    return re.sub("</(?=script)", r"<\\/", text, flags=re.IGNORECASE)


def _colors() -> str:
    """The themes as CSS variables: light, dark where a reader wants it, light again on paper."""
    light, dark = (
        "".join(f"--{name}: {color}; " for name, color in vars(THEMES[theme]).items())
        for theme in ("light", "dark")
    )
    return (
        f":root {{ color-scheme: light dark; {light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
    )


def _options(names) -> str:
    return "".join(f"<option>{html.escape(name)}</option>" for name in names)


def _laws(grid: Grid) -> str:
    """For each entry of both catalogues a line that is shown while it is chosen."""
    lines = []
    for kind, names, catalogue in (
        ("activation", grid.activations, ACTIVATIONS),
        ("initializer", grid.initializers, INITIALIZERS),
    ):
        for name in names:
            entry = catalogue[name]
            parts = [f"<code>{html.escape(name)}</code>"]
            parts += [words.formula(entry.law)] * bool(entry.law)
            parts += [html.escape(entry.when)] * bool(entry.when)
            lines.append(f'<p data-{kind}="{html.escape(name)}" hidden>{" · ".join(parts)}</p>')
    return "\n".join(lines)


def _seeds(grid: Grid) -> str:
    return "".join(
        f'<label><input type="radio" name="seed" value="{seed}"> {seed}</label>'
        for seed in grid.seeds
    )


def _figure(panel: dict) -> str:
    name, title, unit = (html.escape(panel[key]) for key in ("name", "title", "unit"))
    return (
        f'<figure><figcaption><strong>{title}</strong> <span class="unit">{unit}</span>'
        f' <span class="remark" id="remark-{name}"></span></figcaption>'
        f'<div class="chart" id="chart-{name}"></div></figure>'
    )


def _measured(measured: Measured) -> str:
    """What was measured, in sentences."""
    grid = measured.grid
    slow = [name for name, entry in INITIALIZERS.items() if not entry.quick]
    left_out = (
        f" Left out, since they are searched for in minutes: {', '.join(slow)}." if slow else ""
    )
    return html.escape(
        f"{len(measured.verdicts):,} settings of dense networks, {grid.width} neurons in each"
        f" hidden layer, in float32: {len(grid.activations)} activations, {len(grid.initializers)}"
        f" initializers, {len(grid.depths)} depths, {len(grid.gains)} gains and"
        f" {len(grid.seeds)} seeds. Each was measured by one forward and one backward pass of"
        f" {grid.examples} of the handwritten digits that scikit-learn ships, before any training,"
        f" and judged by the diagnosis of initlab. Theory is the mean field of wide networks, with"
        f" a band of two standard deviations for this width. Biases are 0, but for the starts that"
        f" bring their own. Starts that are fitted to data were measured at gain 1: their fit"
        f" takes any gain away. Numbers are kept as logarithms: those shown are within"
        f" {packing.LARGEST_ERROR:.1%} of what was measured.{left_out}"
    )
