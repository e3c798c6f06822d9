"""The charts, written with Vega-Altair and compiled to Vega: the panels of the explorer.

Titles, limits, ticks and colours are those of ``initlab.panels``. Axes do not move, so curves of
unlike settings can be compared. A colour is the name of a CSS variable, so the style sheet alone
knows of light, dark and paper. ``charts.js`` fills in the data:

- ``curves``: ``layer``, ``value``, ``curve`` (what the legend calls it), ``line`` (a number)
- ``band``: ``layer``, ``low``, ``high``
- ``edges``: ``layer``, ``value``, ``curve``, ``beyond`` ("above" or "below")
"""

import math

import altair as alt
import vl_convert

from initlab.panels import DEFAULT_PANELS, PANELS
from tools.page.grid import PREDICTED, Grid

#: pixels of a plot, and on a phone, so that the hand and all charts have room on one screen; its
#: width is that of its place on the page
HEIGHTS = {"wide": 230, "narrow": 125}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_OTHERS = "other seeds"


def panels(grid: Grid) -> list[dict]:
    """What the page needs of each chart: its name, title, curves, limits, and Vega specification.

    ``series`` tells which fields are drawn, and what their curves are called.
    """
    return [_panel(name, grid) for name in DEFAULT_PANELS]


def _panel(name: str, grid: Grid) -> dict:
    panel = PANELS[name]
    alone = len(panel.series) == 1
    series = [
        {
            "field": one.field,
            "curve": "this seed" if alone else one.label,
            "others": _OTHERS if alone else f"{one.label}, {_OTHERS}",
            "pinned": "pinned" if place == 0 else f"{one.label}, pinned",
            "color": one.color,
            "dashed": one.line != "-",
        }
        for place, one in enumerate(panel.series)
    ]
    low, high = panel.limits
    if name == "neurons":
        high = 3 * grid.width  # as much room above the width as the explorer leaves
    spec = _chart(panel, (low, high), series, grid).to_dict()
    return {
        "name": name,
        "title": panel.title,
        "unit": "" if panel.unit in panel.title.lower() else _text(panel.unit),
        "limits": [low, high],
        "layers": max(grid.depths),
        "series": series,
        "heights": HEIGHTS,
        "spec": vl_convert.vegalite_to_vega(spec, vl_version=_version()),
    }


def _version() -> str:
    major, minor, *_ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    return f"{major}.{minor}"


def _chart(panel, limits, series, grid: Grid) -> alt.LayerChart:
    ticks = [tick for tick in panel.ticks if limits[0] <= tick <= limits[1]]
    x = alt.X("layer:Q", title="layer (0 is the input)").scale(
        domain=[0, max(grid.depths)], nice=False
    )
    x = x.axis(tickCount=5, format="d")
    y = {
        "scale": alt.Scale(type="log", domain=limits, nice=False),
        "axis": alt.Axis(values=ticks, labelExpr=_labels(ticks, panel.plain_ticks)),
        "title": None,  # the caption has it
    }
    styles = _styles(series)
    curve = alt.Color("curve:N").scale(
        domain=[style["curve"] for style in styles], range=[style["color"] for style in styles]
    )
    shown = [style["curve"] for style in styles if style["legend"]]
    legend = alt.Legend(values=shown, title=None)
    lines = (
        alt.Chart(alt.NamedData("curves"))
        .mark_line(clip=True, aria=False)
        .encode(
            x,
            alt.Y("value:Q", **y),
            curve.legend(legend),
            _by_curve(alt.StrokeDash, styles, "dash").legend(legend),
            _by_curve(alt.StrokeWidth, styles, "width").legend(legend),
            detail="line:N",
        )
    )
    edges = (
        alt.Chart(alt.NamedData("edges"))
        .mark_point(filled=True, size=60, opacity=1, aria=False)
        .encode(
            x,
            alt.Y("value:Q", **y),
            curve.legend(None),
            alt.Shape("beyond:N")
            .scale(domain=["above", "below"], range=["triangle-up", "triangle-down"])
            .legend(None),
        )
    )
    layers = [lines, edges]
    if series[0]["field"] in PREDICTED:
        band = (
            alt.Chart(alt.NamedData("band"))
            .mark_area(color="var(--ink)", opacity=0.13, clip=True, aria=False)
            .encode(x, alt.Y("low:Q", **y), y2="high:Q")
        )
        layers.insert(0, band)
    return (
        alt.layer(*layers)
        .properties(
            width="container",
            height=HEIGHTS["wide"],
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(background="transparent", font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            **{f"{part}Color": "var(--ink)" for part in ("label", "title", "tick", "domain")},
            gridColor="var(--grid)",
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
        .configure_legend(
            orient="bottom",
            offset=4,
            columns=alt.ExprRef("width < 330 ? 2 : 4"),  # as many as a phone has room for
            columnPadding=6,
            symbolSize=200,
            labelColor="var(--ink)",
            labelFontSize=12,
            labelLimit=0,
            aria=False,
        )
    )


def _styles(series) -> list[dict]:
    """How each kind of curve is drawn, and whether the legend has it."""
    styles, pinned = [], []
    for one in series:
        dash = [7, 3] if one["dashed"] else [1, 0]
        thick = {"color": f"var(--{one['color']})", "dash": dash, "width": 2.5}
        thin, grey = thick | {"width": 0.9}, thick | {"color": "var(--ghost)", "width": 2}
        styles += [
            {"curve": one["curve"], "legend": True, **thick},
            {"curve": one["others"], "legend": len(series) == 1, **thin},
        ]
        pinned.append({"curve": one["pinned"], "legend": one is series[0], **grey})
    theory = {"color": "var(--ink)", "dash": [4, 3], "width": 1.3}
    if series[0]["field"] in PREDICTED:
        styles.append({"curve": "theory", "legend": True, **theory})
    return [*styles, *pinned]


def _by_curve(channel, styles, key: str):
    domain, values = [style["curve"] for style in styles], [style[key] for style in styles]
    return channel("curve:N").scale(type="ordinal", domain=domain, range=values)


def _labels(ticks, plain: bool) -> str:
    """A Vega expression for the labels of a logarithmic axis: 10⁻⁴, or 16 where plain."""
    if plain:
        return "format(datum.value, 'd')"
    exponents = [str(round(math.log10(tick))).translate(_SUPERSCRIPT) for tick in ticks]
    cases = [
        f"datum.value == {tick!r} ? '10{exponent}'"
        for tick, exponent in zip(ticks, exponents, strict=True)
    ]
    return " : ".join([*cases, "''"])


def _text(unit: str) -> str:
    """The label of an axis without LaTeX, which no chart can typeset."""
    return unit.replace("$", "").replace("\\partial ", "∂").replace("\\partial", "∂")


def runtime() -> str:
    """Vega's JavaScript, for a script element: it sets ``window.vegaEmbed``."""
    return vl_convert.javascript_bundle(vl_version=_version())
