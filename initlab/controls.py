"""The explorer's controls: one widget each, and the way between them and a Setting."""

import math

import ipywidgets

from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from initlab.panels import PANELS
from initlab.setting import DTYPES, Setting

CONTROLS = ("depth", "width", "gain", "bias", "activation", "initializer", "seed", "dtype")
DEFAULT_CONTROLS = CONTROLS[:-1]
WIDTHS = (16, 32, 64, 128, 256, 512)
GAINS = (0.01, 100.0)
LARGEST_BIAS = 3.0
_FIELDS = {"bias": "bias_std"}  # where a control's name is not its field's


def make(setting: Setting, max_depth: int, panels) -> dict[str, ipywidgets.Widget]:
    """One widget for each control and each button, by name, standing where the setting says."""
    wide = {"layout": ipywidgets.Layout(width="325px")}
    auto = {"layout": ipywidgets.Layout(width="auto")}
    low, high = (math.log10(gain) for gain in GAINS)
    widgets = {
        "depth": ipywidgets.IntSlider(setting.depth, 1, max_depth, **wide),
        "width": ipywidgets.SelectionSlider(options=_widths(setting), value=setting.width, **wide),
        "gain": ipywidgets.FloatLogSlider(
            setting.gain, min=low, max=high, step=0.02, readout_format=".3g", **wide
        ),
        "bias": ipywidgets.FloatSlider(
            setting.bias_std, min=0, max=LARGEST_BIAS, step=0.05, **wide
        ),
        "activation": ipywidgets.Dropdown(
            options=list(ACTIVATIONS), value=setting.activation, **wide
        ),
        "initializer": ipywidgets.Dropdown(
            options=list(INITIALIZERS), value=setting.initializer, **wide
        ),
        "seed": ipywidgets.BoundedIntText(
            setting.seed, min=0, max=2**32 - 1, layout=ipywidgets.Layout(width="190px")
        ),
        "dtype": ipywidgets.Dropdown(options=DTYPES, value=setting.dtype, **wide),
        "draw again": ipywidgets.Button(icon="refresh", **auto),
        "reset": ipywidgets.Button(icon="undo", **auto),
        "pin": ipywidgets.ToggleButton(icon="thumb-tack", **auto),
        "theory": ipywidgets.ToggleButton(True, icon="superscript", **auto),
        "choose panels": ipywidgets.ToggleButton(icon="columns", **auto),
        "copy as code": ipywidgets.ToggleButton(icon="code", **auto),
        "panels": ipywidgets.SelectMultiple(
            options=[(panel.title, name) for name, panel in PANELS.items()],
            value=panels,
            rows=len(PANELS),
            layout=ipywidgets.Layout(width="420px"),
        ),
    }
    for name, widget in widgets.items():
        widget.description = name
    return widgets


def _widths(setting: Setting) -> list[int]:
    return sorted({*WIDTHS, setting.width})


def read(widgets: dict) -> Setting:
    """The setting that the controls say."""
    values = {_FIELDS.get(name, name): widgets[name].value for name in CONTROLS}
    values["gain"] = float(f"{values['gain']:.4g}")  # a log slider stops at 0.9999999999
    values["bias_std"] = round(values["bias_std"], 4)
    return Setting(**values)


def write(widgets: dict, setting: Setting) -> None:
    """Move the controls to a setting."""
    if setting.width not in widgets["width"].options:
        widgets["width"].options = _widths(setting)
    for name in CONTROLS:
        widgets[name].value = getattr(setting, _FIELDS.get(name, name))


def check_range(setting: Setting, max_depth: int) -> None:
    """Raise ValueError for a setting that the sliders cannot show."""
    for name, value, low, high in (
        ("depth", setting.depth, 1, max_depth),
        ("gain", setting.gain, *GAINS),
        ("bias_std", setting.bias_std, 0, LARGEST_BIAS),
    ):
        if not low <= value <= high:
            raise ValueError(
                f"the {name} slider goes from {low:g} to {high:g}, not to {value:g};"
                f" the nearest is {min(max(value, low), high):g}"
            )


def explanation(setting: Setting) -> str:
    """Where the sliders stand, in words."""
    bias = f", bias {setting.bias_std:g}" if setting.bias_std else ""
    dtype = f", {setting.dtype}" if setting.dtype != "float32" else ""
    return (
        f"Depth {setting.depth}, width {setting.width}, {setting.activation},"
        f" {setting.initializer}, gain {setting.gain:.3g}{bias}{dtype}."
    )
