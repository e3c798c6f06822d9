"""The live widget: sliders in, picture out. Built of core ipywidgets alone, so it runs anywhere."""

import base64
import html

import ipywidgets
import numpy as np
from IPython.display import display

from initlab.activations import ACTIVATIONS
from initlab.catalogue import nearest
from initlab.data import Batch, digits
from initlab.diagnosis import Diagnosis, diagnose
from initlab.draws import compile_draws
from initlab.initializers import INITIALIZERS
from initlab.plots import DEFAULT_PANELS, Picture
from initlab.setting import MAX_DEPTH, Setting, whole_number
from initlab.signals import Signals, probe

WIDTHS = (16, 32, 64, 128, 256, 512)
GAINS = (0.01, 100.0)
LARGEST_BIAS = 3.0
CONTROLS = ("depth", "width", "gain", "bias", "activation", "initializer", "seed")
_FIELDS = {"bias": "bias_std"}  # where a control's name is not its field's


class Explorer(ipywidgets.VBox):
    """Sliders over a picture of one network's signals; make one with :func:`initlab.explore`.

    Attributes:
      setting: what the controls say; assign a Setting to move them all at once.
      signals: what was measured there.
      diagnosis: what the sentence under the picture is made of.
      figure: the matplotlib Figure that is shown.
    """

    signals: Signals
    diagnosis: Diagnosis

    def __init__(self, setting: Setting, batch: Batch, panels, controls, max_depth, theme):
        self.batch = batch
        self._start = setting
        self._pinned = None
        self._moving = False  # while many controls are moved at once
        self._picture = Picture(panels, layers=max_depth, theme=theme)
        self._controls = _make_controls(setting, max_depth)
        self._redraw = _button("draw again", "another random draw: the next seed", "refresh")
        self._reset = _button("reset", "back to where the sliders stood at first", "undo")
        self._pin = ipywidgets.ToggleButton(
            description="pin", icon="thumb-tack", layout=_auto(), value=False
        )
        self._copy = ipywidgets.ToggleButton(
            description="copy as code", icon="code", layout=_auto(), value=False
        )
        self.image = ipywidgets.Image(
            format="png", layout=ipywidgets.Layout(width="100%", max_width="1040px")
        )
        self.status = ipywidgets.HTML()
        self.code = ipywidgets.HTML()
        super().__init__(self._arrange(controls))
        for control in self._controls.values():
            control.observe(self._on_move, "value")
        self._redraw.on_click(lambda _: self._next_seed())
        self._reset.on_click(lambda _: setattr(self, "setting", self._start))
        self._pin.observe(self._on_pin, "value")
        self._copy.observe(lambda _: self._show_code(), "value")
        self.update()

    def _arrange(self, controls):
        sliders = [self._controls[name] for name in CONTROLS if name in controls and name != "seed"]
        buttons = [self._reset, self._pin, self._copy]
        if "seed" in controls:
            buttons = [self._controls["seed"], self._redraw, *buttons]
        rows = ipywidgets.Layout(flex_flow="row wrap", max_width="1040px")
        return [
            ipywidgets.Box(sliders, layout=rows),
            ipywidgets.Box(buttons, layout=rows),
            self.image,
            self.status,
            self.code,
        ]

    @property
    def figure(self):
        """The matplotlib Figure that is shown."""
        return self._picture.figure

    @property
    def setting(self) -> Setting:
        """What the controls say."""
        values = {name: control.value for name, control in self._controls.items()}
        values["gain"] = float(f"{values['gain']:.4g}")  # a log slider stops at 0.9999999999
        values["bias"] = round(values["bias"], 4)
        return self._start.replace(**{_FIELDS.get(k, k): v for k, v in values.items()})

    @setting.setter
    def setting(self, setting: Setting) -> None:
        _check_range(setting, self._controls["depth"].max)
        self._moving = True
        try:
            width = self._controls["width"]
            if setting.width not in width.options:
                width.options = sorted({*width.options, setting.width})
            for name, control in self._controls.items():
                control.value = getattr(setting, _FIELDS.get(name, name))
        finally:
            self._moving = False
        self.update()

    def update(self) -> None:
        """Measure where the controls stand, and show it. Returns when the picture is there.

        An error stands in the line under the picture, which stays as it was, and is raised.
        """
        try:
            self.signals = probe(self.setting, self.batch)
            self.diagnosis = diagnose(self.signals)
            self._picture.update(self.signals)
            self.image.value = self._picture.png()
            self.status.value = _status(f"{_describe(self.setting)} {self.diagnosis}")
            self._show_code()
        except Exception as error:
            self.status.value = _status(f"{type(error).__name__}: {error}")
            raise

    def warm_up(self) -> None:
        """Compile all that this width needs, so that no control but width waits for it later."""
        features, classes = self.batch.inputs.shape[1], self.batch.classes
        for draw in dict.fromkeys(entry.draw for entry in INITIALIZERS.values()):
            compile_draws(draw, features, self.setting.width, classes)
        for activation in ACTIVATIONS.values():
            activation.flat_range  # noqa: B018 - kept once computed

    def _ipython_display_(self, **_) -> None:
        """Show the live widget, and beside it, for whoever reads without a kernel, the picture."""
        text = f"{_describe(self.setting)} {self.diagnosis}"
        data = {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
            "image/png": base64.b64encode(self.image.value).decode(),
            "text/plain": text,
        }
        display(data, metadata={"image/png": {"alt": text}}, raw=True)

    def _on_move(self, change) -> None:
        if not self._moving:
            self.update()

    def _next_seed(self) -> None:
        seed = self._controls["seed"]
        seed.value = (seed.value + 1) % (seed.max + 1)

    def _on_pin(self, change) -> None:
        pinned = change["new"]
        self._pin.description = "unpin" if pinned else "pin"
        self._picture.pin(self.signals if pinned else None)
        self.image.value = self._picture.png()

    def _show_code(self) -> None:
        """The line that makes this very picture, with a button that copies it."""
        if not self._copy.value:
            self.code.value = ""
            return
        arguments = [f"{name}={value!r}" for name, value in self.setting.changes().items()]
        if self._controls["depth"].max != MAX_DEPTH:
            arguments.append(f"max_depth={self._controls['depth'].max}")
        if self._picture.panels != DEFAULT_PANELS:
            arguments.append(f"panels={self._picture.panels}")
        if self.batch is not digits():
            arguments.append("batch=batch")
        line = f"initlab.explore({', '.join(arguments)})"
        self.code.value = (
            f"<code style='user-select:all'>{html.escape(line)}</code> "
            "<button type='button' onclick='navigator.clipboard.writeText("
            "this.previousElementSibling.textContent)'>copy</button>"
        )


def _make_controls(setting: Setting, max_depth: int) -> dict:
    """One widget a control, by name, in the order in which they are shown."""
    wide = ipywidgets.Layout(width="330px")
    log_low, log_high = np.log10(GAINS)
    return {
        "depth": ipywidgets.IntSlider(
            setting.depth, 1, max_depth, description="depth", layout=wide
        ),
        "width": ipywidgets.SelectionSlider(
            options=sorted({*WIDTHS, setting.width}),
            value=setting.width,
            description="width",
            layout=wide,
        ),
        "gain": ipywidgets.FloatLogSlider(
            setting.gain,
            min=log_low,
            max=log_high,
            step=0.02,
            description="gain",
            readout_format=".3g",
            layout=wide,
        ),
        "bias": ipywidgets.FloatSlider(
            setting.bias_std, min=0, max=LARGEST_BIAS, step=0.05, description="bias", layout=wide
        ),
        "activation": ipywidgets.Dropdown(
            options=list(ACTIVATIONS),
            value=setting.activation,
            description="activation",
            layout=wide,
        ),
        "initializer": ipywidgets.Dropdown(
            options=list(INITIALIZERS),
            value=setting.initializer,
            description="initializer",
            layout=wide,
        ),
        "seed": ipywidgets.BoundedIntText(
            setting.seed,
            min=0,
            max=2**32 - 1,
            description="seed",
            layout=ipywidgets.Layout(width="190px"),
        ),
    }


def _auto():
    return ipywidgets.Layout(width="auto")


def _button(description: str, tooltip: str, icon: str):
    return ipywidgets.Button(description=description, tooltip=tooltip, icon=icon, layout=_auto())


def _status(text: str) -> str:
    """A line that a screen reader speaks when it changes."""
    return (
        "<p role='status' aria-live='polite' style='line-height:1.4;max-width:1040px'>"
        f"{html.escape(text)}</p>"
    )


def _describe(setting: Setting) -> str:
    bias = f", bias {setting.bias_std:g}" if setting.bias_std else ""
    return (
        f"Depth {setting.depth}, width {setting.width}, {setting.activation},"
        f" {setting.initializer}, gain {setting.gain:.3g}{bias}."
    )


def _check_range(setting: Setting, max_depth: int) -> None:
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


def explore(
    batch: Batch | None = None,
    *,
    controls=CONTROLS,
    panels=DEFAULT_PANELS,
    max_depth: int = MAX_DEPTH,
    theme: str = "light",
    **setting,
) -> Explorer:
    """Sliders over a live picture: what does a start do to signals, gradients and neurons?

    Args:
      batch: what the network is fed with; 256 handwritten digits by default.
      controls: which of depth, width, gain, bias, activation, initializer and seed are shown.
      panels: which measures are drawn; see ``initlab.plots.PANELS``.
      max_depth: the last position of the depth slider, and of the x axis.
      theme: "light" or "dark".
      **setting: where the sliders start: the fields of :class:`initlab.Setting`.

    Raises:
      ValueError, TypeError: a wrong value or name; the message names the nearest choice.
    """
    unknown = [name for name in controls if name not in CONTROLS]
    if unknown:
        raise ValueError(
            f"unknown control {unknown[0]!r}{nearest(unknown[0], CONTROLS) or '.'}"
            f" Known are: {', '.join(CONTROLS)}"
        )
    max_depth = whole_number("max_depth", max_depth, 1, MAX_DEPTH)
    start = Setting().replace(**setting)
    if "depth" not in setting:
        start = start.replace(depth=min(start.depth, max_depth))
    _check_range(start, max_depth)
    return Explorer(start, digits() if batch is None else batch, panels, controls, max_depth, theme)
