"""The explorer's controls: one widget each, and the way between them and a Setting."""

import ipywidgets

from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from initlab.panels import PANELS
from initlab.setting import DTYPES, Setting

CONTROLS = ("depth", "width", "gain", "bias", "activation", "initializer", "seed", "dtype")
DEFAULT_CONTROLS = CONTROLS[:-1]
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
LARGEST_BIAS = 3.0
_FIELDS = {"bias": "bias_std"}  # where a control's name is not its field's


def make(setting: Setting, max_depth: int, panels) -> dict[str, ipywidgets.Widget]:
    """One widget for each control and each button, by name, standing where the setting says."""
    wide = {"layout": ipywidgets.Layout(width="325px")}
    auto = {"layout": ipywidgets.Layout(width="auto")}
    widgets = {
        "depth": ipywidgets.IntSlider(setting.depth, 1, max_depth, **wide),
        "width": ipywidgets.SelectionSlider(options=_widths(setting), value=setting.width, **wide),
        "gain": ipywidgets.SelectionSlider(options=_gains(setting), value=setting.gain, **wide),
        "bias": ipywidgets.FloatSlider(
            setting.bias_std, min=0, max=LARGEST_BIAS, step=0.01, **wide
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


def _gains(setting: Setting) -> list[tuple[str, float]]:
    return [(f"{gain:.4g}", gain) for gain in sorted({*GAINS, setting.gain})]


def read(widgets: dict) -> Setting:
    """The setting that the controls say."""
    values = {_FIELDS.get(name, name): widgets[name].value for name in CONTROLS}
    values["bias_std"] = round(values["bias_std"], 4)  # a slider adds up its steps
    return Setting(**values)


def write(widgets: dict, setting: Setting) -> None:
    """Move the controls to a setting."""
    if setting.width not in widgets["width"].options:
        widgets["width"].options = _widths(setting)
    if setting.gain not in (gain for _, gain in widgets["gain"].options):
        widgets["gain"].options = _gains(setting)
    for name in CONTROLS:
        widgets[name].value = getattr(setting, _FIELDS.get(name, name))


def check_range(setting: Setting, max_depth: int) -> None:
    """Raise ValueError for a setting that the sliders cannot show."""
    for name, value, low, high in (
        ("depth", setting.depth, 1, max_depth),
        ("gain", setting.gain, GAINS[0], GAINS[-1]),
        ("bias_std", setting.bias_std, 0, LARGEST_BIAS),
    ):
        if not low <= value <= high:
            raise ValueError(
                f"the {name} slider goes from {low:g} to {high:g}, not to {value:g};"
                f" the nearest is {min(max(value, low), high):g}"
            )
