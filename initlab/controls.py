"""The explorer's controls: one widget for each field of a setting, and the way between them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets

from initlab.initializers import INITIALIZERS, menu
from initlab.panels import panels_for
from initlab.setting import (
    AnySetting,
    bounded_number,
    entry_of,
    one_of,
    one_of_numbers,
    whole_number,
)

WIDTHS = (16, 32, 64, 128, 256, 512)
_DECADE = (
    1,
    1.1,
    1.2,
    1.3,
    1.4,
    1.5,
    1.6,
    1.8,
    2,
    2.2,
    2.5,
    2.8,
    3.2,
    3.6,
    4,
    4.5,
    5,
    5.6,
    6.3,
    7,
    8,
    9,
)
#: Round numbers at even distances on a logarithmic scale. A FloatLogSlider's steps miss 0.5.
GAINS = (*(float(f"{step}e{power}") for power in (-2, -1, 0, 1) for step in _DECADE), 100.0)
_WIDE = {"layout": ipywidgets.Layout(width="325px")}
_NAMES = {"bias_std": "bias"}  # where a control's name is not its field's


#: by name; ipywidgets does not tell of what type its widgets' values are
Controls = dict[str, Any]


def fields_by_control(kind: type[AnySetting]) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a kind of setting by the names of their controls: sliders, menus, then seed.

    >>> from initlab import Setting
    >>> " ".join(fields_by_control(Setting))
    'depth width gain bias activation initializer seed dtype'
    """
    places = {whole_number: 0, one_of_numbers: 0, bounded_number: 0, entry_of: 1}
    last = {"seed": 2, "dtype": 3}

    def place(field) -> int:
        return last.get(field.name, places.get(field.metadata["check"], 1))

    fields = sorted(dataclasses.fields(kind), key=place)
    return {_NAMES.get(field.name, field.name.replace("_", " ")): field for field in fields}


def default_controls(kind: type[AnySetting]) -> tuple[str, ...]:
    """The controls that are shown unless others are asked for: all but dtype."""
    return tuple(name for name in fields_by_control(kind) if name != "dtype")


def make(setting: AnySetting, largest: int, panels: Sequence[str]) -> Controls:
    """One widget for each control and each button, by name, standing where the setting says.

    ``largest`` is the last position of the slider that counts layers.
    """
    auto = {"layout": ipywidgets.Layout(width="auto")}
    offered = panels_for(type(setting))
    widgets: Controls = {
        name: _widget(field, setting, largest)
        for name, field in fields_by_control(type(setting)).items()
    }
    widgets |= {
        "draw again": ipywidgets.Button(icon="refresh", **auto),
        "reset": ipywidgets.Button(icon="undo", **auto),
        "pin": ipywidgets.ToggleButton(icon="thumb-tack", **auto),
        "theory": ipywidgets.ToggleButton(True, icon="superscript", **auto),
        "choose panels": ipywidgets.ToggleButton(icon="columns", **auto),
        "copy as code": ipywidgets.ToggleButton(icon="code", **auto),
        "panels": ipywidgets.SelectMultiple(
            options=[(panel.title, name) for name, panel in offered.items()],
            value=panels,
            rows=len(offered),
            layout=ipywidgets.Layout(width="420px"),
        ),
    }
    for name, widget in widgets.items():
        widget.description = name
        if len(name) > 11:  # longer than the room that a label has by itself
            widget.style.description_width = "initial"
    return widgets


def _widget(field: dataclasses.Field, setting: AnySetting, largest: int) -> ipywidgets.Widget:
    value, allowed = getattr(setting, field.name), field.metadata["allowed"]
    check, shown = field.metadata["check"], field.metadata["shown"]
    if field.name == "seed":
        return ipywidgets.BoundedIntText(value, *allowed, layout=ipywidgets.Layout(width="190px"))
    if check in (entry_of, one_of):
        return ipywidgets.Dropdown(options=_menu(type(setting), field), value=value, **_WIDE)
    if check is one_of_numbers:
        return ipywidgets.SelectionSlider(options=list(allowed[0]), value=value, **_WIDE)
    if field.name == "width":
        return ipywidgets.SelectionSlider(options=_widths(setting), value=value, **_WIDE)
    if shown is not None:
        low, high, step = shown
        return ipywidgets.FloatSlider(value, min=low, max=high, step=step, **_WIDE)
    if check is whole_number:
        low, high = allowed
        high = largest if field.name == setting.counted else high
        return ipywidgets.IntSlider(value, low, high, **_WIDE)
    return ipywidgets.SelectionSlider(options=_ratios(value), value=value, **_WIDE)


def _menu(kind: type[AnySetting], field: dataclasses.Field) -> list[str]:
    """The names of a menu: all that the field allows, but for starts that are slow to fit."""
    (known,) = field.metadata["allowed"]
    return menu(kind) if known is INITIALIZERS else list(known)


def _widths(setting: AnySetting) -> list[int]:
    _, highest = type(setting).limits("width")
    return sorted({*(width for width in WIDTHS if width <= highest), setting.width})


def _ratios(value: float) -> list[tuple[str, float]]:
    return [(f"{ratio:.4g}", ratio) for ratio in sorted({*GAINS, value})]


def read(widgets: Controls, kind: type[AnySetting]) -> AnySetting:
    """The setting that the controls say."""
    values = {}
    for name, field in fields_by_control(kind).items():
        value = widgets[name].value
        # a slider adds up its steps
        values[field.name] = round(value, 4) if field.metadata["shown"] else value
    return kind(**values)


def write(widgets: Controls, setting: AnySetting) -> None:
    """Move the controls to a setting."""
    for name, field in fields_by_control(type(setting)).items():
        widget, value = widgets[name], getattr(setting, field.name)
        if isinstance(widget, ipywidgets.SelectionSlider) and value not in positions(widget):
            widget.options = _widths(setting) if name == "width" else _ratios(value)
        widget.value = value


def positions(widget: Any) -> list[Any]:
    """All values that a menu or a slider of steps can take."""
    if isinstance(widget, ipywidgets.IntSlider):
        return list(range(widget.min, widget.max + 1, widget.step))
    return [option[1] if isinstance(option, tuple) else option for option in widget.options]


def check_range(setting: AnySetting, largest: int) -> None:
    """Raise ValueError for a setting that the sliders cannot show."""
    for field in fields_by_control(type(setting)).values():
        value, shown = getattr(setting, field.name), field.metadata["shown"]
        if field.metadata["allowed"] == (INITIALIZERS,) and value not in menu(type(setting)):
            raise ValueError(
                f"{field.name} {value!r} takes too long to fit for sliders; the nearest is"
                f" 'lsuv', and initlab.probe takes {value!r}, too"
            )
        if field.name == setting.counted:
            low, high = field.metadata["allowed"][0], largest
        elif shown is not None:
            low, high, _ = shown
        elif field.metadata["check"] is bounded_number:
            low, high = GAINS[0], GAINS[-1]
        else:  # a menu, or a slider of all that is allowed
            continue
        if not low <= value <= high:
            raise ValueError(
                f"the {field.name} slider goes from {low:g} to {high:g}, not to {value:g};"
                f" the nearest is {min(max(value, low), high):g}"
            )
