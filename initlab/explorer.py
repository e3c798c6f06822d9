"""The live widget: sliders in, picture out. Built of core ipywidgets alone, so it runs anywhere."""

import asyncio
import base64

import ipywidgets
from IPython.display import display

from initlab import controls as control_widgets
from initlab import page, preparation
from initlab.catalogue import nearest
from initlab.controls import check_range, default_controls, fields_by_control
from initlab.data import Batch, digits
from initlab.diagnosis import Diagnosis, diagnose
from initlab.panels import DEFAULT_PANELS, panels_for
from initlab.plots import DPI, Picture
from initlab.setting import AnySetting, Setting, whole_number
from initlab.signals import Signals, probe
from initlab.theory import predict
from initlab.warming import WARMER

REST_SECONDS = 0.4  # after the last move, before the picture is drawn in full sharpness
SHARPNESS = 2  # dots of a high-density screen for one of an ordinary one
THEMES = ("auto", "light", "dark")


class Explorer(ipywidgets.VBox):
    """Sliders over a picture of one network's signals; make one with :func:`initlab.explore`.

    Nothing is computed until it is shown, or until ``signals``, ``diagnosis`` or ``figure`` is
    asked for.
    """

    def __init__(self, setting: AnySetting, batch: Batch, panels, controls, largest, theme):
        self.batch = batch
        self._start, self._largest = setting, largest
        self._theme = theme
        self._many = False  # while many controls are moved at once
        self._signals = self._prediction = self._diagnosis = self._pinned = None
        self._resting = None  # the timer of the sharper picture
        self._pictures = {}  # dpi -> Picture
        self.controls = control_widgets.make(setting, largest, panels)
        self.image = ipywidgets.Image(format="png")
        self.progress = ipywidgets.IntProgress(0, 0, 3, description="preparing")
        self.status, self.code = ipywidgets.HTML(page.status("")), ipywidgets.HTML()
        super().__init__(self._arrange(controls))
        self.add_class("initlab")
        self._fit_image()
        for name in (*fields_by_control(type(setting)), "theory"):
            self.controls[name].observe(self._on_move, "value")
        self.controls["panels"].observe(self._on_panels, "value")
        self.controls["choose panels"].observe(self._on_choose, "value")
        self.controls["pin"].observe(self._on_pin, "value")
        self.controls["copy as code"].observe(lambda _: self._show_code(), "value")
        self.controls["draw again"].on_click(lambda _: self._next_seed())
        self.controls["reset"].on_click(lambda _: self._to_start())

    def _arrange(self, controls):
        rows = ipywidgets.Layout(
            flex_flow="row wrap", align_items="center", max_width="1040px", overflow="visible"
        )
        known = fields_by_control(type(self._start))
        sliders = [name for name in known if name in controls and name != "seed"]
        seed = ["seed", "draw again"] if "seed" in controls else []
        buttons = [*seed, "reset", "pin", "theory", "choose panels", "copy as code"]
        self.controls["panels"].layout.display = "none"
        return [
            ipywidgets.HTML(page.STYLE),
            ipywidgets.Box([self.controls[name] for name in sliders], layout=rows),
            ipywidgets.Box([self.controls[name] for name in buttons], layout=rows),
            self.controls["panels"],
            self.image,
            self.progress,  # below, so that the picture stays where it is when this goes
            self.status,
            self.code,
        ]

    # --- what it shows ---------------------------------------------------------------------

    @property
    def setting(self) -> AnySetting:
        """What the controls say; assign a setting of the same kind to move them all at once."""
        return control_widgets.read(self.controls, type(self._start))

    @setting.setter
    def setting(self, setting: AnySetting) -> None:
        if type(setting) is not type(self._start):
            raise TypeError(f"this explorer shows a {type(self._start).__name__}, not {setting!r}")
        check_range(setting, self._largest)
        self._many = True
        try:
            control_widgets.write(self.controls, setting)
        finally:
            self._many = False
        self.update()

    @property
    def signals(self) -> Signals:
        """What was measured where the controls stand."""
        if self._signals is None:
            self.update()
        return self._signals

    @property
    def diagnosis(self) -> Diagnosis:
        """What the sentence under the picture is made of."""
        self.signals  # noqa: B018 - measures, if nothing was measured yet
        return self._diagnosis

    @property
    def figure(self):
        """The matplotlib Figure that is shown."""
        self.signals  # noqa: B018
        return self._picture().figure

    def _picture(self, dpi: float = DPI) -> Picture:
        """The picture at a resolution; made when first asked for, and kept."""
        if dpi not in self._pictures:
            theme = "light" if self._theme == "auto" else self._theme
            panels = self.controls["panels"].value
            layers = self._start.replace(**{self._start.counted: self._largest}).depth
            self._pictures[dpi] = Picture(panels, layers, theme, dpi, self._start.axis)
            self._pictures[dpi].pin(self._pinned)
        return self._pictures[dpi]

    def _fit_image(self) -> None:
        """Give the image the picture's size on the page, so that sharper ones do not grow."""
        width, _ = self._picture().size
        self.image.layout = ipywidgets.Layout(width=f"{width}px", max_width="100%", height="auto")
        if self._theme == "auto":
            self.image.add_class("initlab-auto")
        self.image.value = self._picture().png()  # empty axes: they hold the place

    # --- what moves it ---------------------------------------------------------------------

    def update(self) -> None:
        """Measure where the controls stand, and show it. Returns when the picture is there.

        An error stands in the line under the picture, which stays as it was, and is raised.
        """
        WARMER.act()
        try:
            setting = self.setting
            self._signals = probe(setting, self.batch)
            self._diagnosis = diagnose(self._signals)
            theory = self.controls["theory"].value and self._picture().needs_theory
            self._prediction = predict(setting, self.batch) if theory else None
            self._draw()
            self.status.value = page.status(self.description)
            self._show_code()
        except Exception as error:
            self.status.value = page.status(f"{type(error).__name__}: {error}")
            raise

    @property
    def description(self) -> str:
        """The picture in words: where the sliders stand, and which failure is seen."""
        return f"{self.setting.describe()} {self._diagnosis}"

    def _draw(self, dpi: float = DPI) -> None:
        picture = self._picture(dpi)
        picture.update(self._signals, self._prediction)
        self.image.value = picture.png()
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if dpi == DPI:
            self._draw_sharper_at_rest()

    def _draw_sharper_at_rest(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain script: nobody looks at the picture meanwhile
            return
        self._resting = loop.call_later(REST_SECONDS, self._draw, DPI * SHARPNESS)

    def _on_move(self, change) -> None:
        if not self._many:
            self.update()

    def _on_panels(self, change) -> None:
        if not change["new"]:  # a picture needs a panel
            self.controls["panels"].value = change["old"]
            return
        self._pictures.clear()
        self._fit_image()
        self.update()

    def _on_choose(self, change) -> None:
        self.controls["panels"].layout.display = "" if change["new"] else "none"

    def _on_pin(self, change) -> None:
        self._pinned = self.signals if change["new"] else None
        self.controls["pin"].description = "unpin" if change["new"] else "pin"
        for picture in self._pictures.values():
            picture.pin(self._pinned)
        self._draw()

    def _next_seed(self) -> None:
        seed = self.controls["seed"]
        seed.value = (seed.value + 1) % (seed.max + 1)

    def _to_start(self) -> None:
        self.setting = self._start

    def _show_code(self) -> None:
        """The line that makes this very picture, with a button that copies it."""
        if not self.controls["copy as code"].value:
            self.code.value = ""
            return
        setting = self.setting
        arguments = setting.changes()
        _, largest = type(setting).limits(setting.counted)
        if self._largest != largest:
            arguments["max_depth"] = self._largest
        if self.controls["panels"].value != DEFAULT_PANELS:
            arguments["panels"] = self.controls["panels"].value
        if self._theme != "auto":
            arguments["theme"] = self._theme
        words = [f"{name}={value!r}" for name, value in arguments.items()]
        if type(setting) is not Setting:
            words.insert(0, f"network=initlab.{type(setting).__name__}")
        if self.batch is not digits(setting.examples):
            words.insert(0, "batch")
        self.code.value = page.code(f"initlab.explore({', '.join(words)})")

    # --- first frame -----------------------------------------------------------------------

    def warm_up(self) -> None:
        """Compile all that this width needs, so that no control but width waits for it later."""
        preparation.prepare(self.setting, self.batch)

    def _ipython_display_(self, **_) -> None:
        """Show the live widget at once, then the picture, which also stands for it on paper."""
        live = {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
            "text/plain": "an initlab explorer",
        }
        handle = display(live, raw=True, display_id=True)
        if self._signals is None:
            for done in preparation.first_frame(self.setting, self.batch):
                self.progress.value = done
            self.update()
        self.progress.layout.display = "none"
        # who reads without a kernel, or on paper, sees this picture and its words
        still = {
            "image/png": base64.b64encode(self.image.value).decode(),
            "text/plain": self.description,
        }
        alternative = {"image/png": {"alt": self.description}}
        handle.update(live | still, raw=True, metadata=alternative)
        setting = self.setting
        others = [
            setting.replace(**{name: value})
            for name in setting.compiled
            for value in control_widgets.positions(self.controls[name])
        ]
        preparation.prepare_when_idle(setting, self.batch, others)

    def close(self) -> None:
        """Close every widget of it."""
        if self._resting is not None:
            self._resting.cancel()
        for widget in (*self.controls.values(), *self.children):
            widget.close()
        super().close()


def explore(
    batch: Batch | None = None,
    *,
    network: type[AnySetting] = Setting,
    controls=None,
    panels=DEFAULT_PANELS,
    max_depth: int | None = None,
    theme: str = "auto",
    **setting,
) -> Explorer:
    """Sliders over a live picture: what does a start do to signals, gradients and neurons?

    Args:
      batch: what the network is fed with; by default the handwritten digits that ``probe`` takes.
      network: what kind of network: ``initlab.Setting``, a dense one, or another kind of setting,
        such as ``initlab.Residual``.
      controls: which of the controls are shown; all but dtype by default. Those of a dense network
        are depth, width, gain, bias, activation, initializer, seed and dtype.
      panels: which measures are drawn; see ``initlab.panels.PANELS``.
      max_depth: the last position of the slider that counts layers, and so of the x axis; by
        default as many as the network may have.
      theme: "light", "dark", or "auto" for that of the page.
      **setting: where the sliders start: the fields of the kind of setting.

    Raises:
      ValueError, TypeError: a wrong value or name; the message names the nearest choice.
    """
    if not (isinstance(network, type) and issubclass(network, AnySetting)):
        raise TypeError(
            f"network must be a kind of setting, such as initlab.Setting, not {network!r}"
        )
    controls = default_controls(network) if controls is None else controls
    names = [("control", name, tuple(fields_by_control(network))) for name in controls]
    names += [("panel", name, tuple(panels_for(network))) for name in panels]
    for kind, name, known in (*names, ("theme", theme, THEMES)):
        if name not in known:
            raise ValueError(
                f"unknown {kind} {name!r}{nearest(str(name), known) or '.'}"
                f" Known are: {', '.join(known)}"
            )
    if batch is not None and not isinstance(batch, Batch):
        raise TypeError(f"batch must be a Batch, such as Batch(inputs, labels), not {batch!r}")
    counted, (lowest, largest) = network.counted, network.limits(network.counted)
    if max_depth is not None:
        largest = whole_number("max_depth", max_depth, lowest, largest)
    start = network().replace(**setting)
    if counted not in setting:
        start = start.replace(**{counted: min(getattr(start, counted), largest)})
    check_range(start, largest)
    batch = digits(network.examples) if batch is None else batch
    return Explorer(start, batch, tuple(panels), tuple(controls), largest, theme)
