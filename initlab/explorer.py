"""The live widget: sliders in, picture out. Built of core ipywidgets alone, so it runs anywhere."""

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets

from initlab import controls as control_widgets
from initlab import page, preparation
from initlab.checking import several, short
from initlab.controls import check_range, default_controls, fields_by_control
from initlab.data import Batch, digits
from initlab.diagnosis import Diagnosis, diagnose
from initlab.figures import SpokenFigure
from initlab.live import ROW, Live
from initlab.panels import DEFAULT_PANELS, PANELS, panels_for
from initlab.plots import DPI, Picture
from initlab.setting import AnySetting, Setting, one_of, whole_number
from initlab.signals import Signals, probe
from initlab.theory import Prediction, predict

THEMES = ("auto", "light", "dark")


class Explorer(Live[Picture]):
    """Sliders over a picture of one network's signals; make one with :func:`initlab.explore`.

    Nothing is computed until it is shown, or until ``signals``, ``diagnosis`` or ``figure`` is
    asked for.
    """

    def __init__(
        self,
        setting: AnySetting,
        batch: Batch,
        panels: Sequence[str],
        controls: Sequence[str],
        largest: int,
        theme: str,
    ):
        super().__init__("an initlab explorer", follows_theme=theme == "auto")
        self.batch: Batch = batch
        self._start, self._largest = setting, largest
        self._theme = theme
        self._many = False  # while many controls are moved at once
        self._prepares = False  # for other widths, once it is shown
        self._signals: Signals | None = None
        self._prediction: Prediction | None = None
        self._diagnosis: Diagnosis | None = None
        self._pinned: Signals | None = None
        self._pictures: dict[float, Picture] = {}  # by dpi
        self.controls: dict[str, Any] = control_widgets.make(setting, largest, panels)
        self._shown = frozenset(controls)
        self.code: ipywidgets.HTML = ipywidgets.HTML()
        self._arrange_controls(controls)
        self._fit_image()
        for name in (*fields_by_control(type(setting)), "theory"):
            self.controls[name].observe(self._on_move, "value")
        self.controls["panels"].observe(self._on_panels, "value")
        self.controls["choose panels"].observe(self._on_choose, "value")
        self.controls["pin"].observe(self._on_pin, "value")
        self.controls["copy as code"].observe(lambda _: self._show_code(), "value")
        self.controls["draw again"].on_click(lambda _: self._next_seed())
        self.controls["reset"].on_click(lambda _: self._to_start())

    def _arrange_controls(self, controls: Sequence[str]) -> None:
        known = fields_by_control(type(self._start))
        sliders = [name for name in known if name in controls and name != "seed"]
        seed = ["seed", "draw again"] if "seed" in controls else []
        buttons = [*seed, "reset", "pin", "theory", "choose panels", "copy as code"]
        self.controls["panels"].layout.display = "none"
        rows = [
            ipywidgets.Box([self.controls[name] for name in names], layout=ipywidgets.Layout(**ROW))
            for names in (sliders, buttons)
        ]
        self._arrange([*rows, self.controls["panels"]], [self.code])

    # --- what it shows ---------------------------------------------------------------------

    @property
    def setting(self) -> AnySetting:
        """What the controls say; assign a setting of the same kind to move them all at once."""
        return control_widgets.read(self.controls, type(self._start))

    @setting.setter
    def setting(self, setting: AnySetting) -> None:
        if type(setting) is not type(self._start):
            raise TypeError(
                f"this explorer shows a {type(self._start).__name__}, not {short(setting)}"
            )
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
        assert self._signals is not None  # by now it is measured, or an error was raised
        return self._signals

    @property
    def diagnosis(self) -> Diagnosis:
        """What the sentence under the picture is made of."""
        self.signals  # noqa: B018 - measures, if nothing was measured yet
        assert self._diagnosis is not None
        return self._diagnosis

    @property
    def figure(self) -> SpokenFigure:
        """The matplotlib Figure that is shown."""
        figure = self._frame(DPI).figure
        figure.alternative_text = self.description
        return figure

    def _frame(self, dpi: float) -> Picture:
        if dpi not in self._pictures:
            theme = "light" if self._theme == "auto" else self._theme
            panels = self.controls["panels"].value
            layers = self._start.replace(**{self._start.counted: self._largest}).depth
            self._pictures[dpi] = Picture(panels, layers, theme, dpi, self._start.axis)
            self._pictures[dpi].pin(self._pinned)
        return self._pictures[dpi]

    @property
    def description(self) -> str:
        """The picture in words: the sentence, and what each panel shows, the ghost's too."""
        picture, signals = self._frame(DPI), self.signals
        told = f"{self.sentence} {picture.describe(signals, self._prediction)}"
        if self._pinned is not None:
            pinned = self._pinned
            told += (
                f" Dotted, what was pinned: {pinned.setting.describe()} {picture.describe(pinned)}"
            )
        return told

    @property
    def sentence(self) -> str:
        """Where the sliders stand, and which failure is seen: what is spoken at every move."""
        return f"{self.setting.describe()} {self.diagnosis}"

    def _measure(self) -> None:
        setting = self.setting
        self._signals = probe(setting, self.batch)
        self._diagnosis = diagnose(self._signals)
        theory = self.controls["theory"].value and self._frame(DPI).needs_theory
        self._prediction = predict(setting, self.batch) if theory else None
        self._show_code()

    def _show(self, frame: Picture) -> None:
        frame.update(self.signals, self._prediction)

    # --- what moves it ---------------------------------------------------------------------

    def _on_move(self, change: dict[str, Any]) -> None:
        if not self._many:
            self.update()

    def _on_panels(self, change: dict[str, Any]) -> None:
        if not change["new"]:  # a picture needs a panel
            self.controls["panels"].value = change["old"]
            return
        self._pictures.clear()
        self._fit_image()
        self.update()
        if self._prepares:
            self._prepare_when_idle()

    def _on_choose(self, change: dict[str, Any]) -> None:
        self.controls["panels"].layout.display = "" if change["new"] else "none"

    def _on_pin(self, change: dict[str, Any]) -> None:
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

    def _prepare(self) -> Iterator[int]:
        return preparation.first_frame(self.setting, self.batch)

    def _prepare_when_idle(self) -> None:
        self._prepares = True
        setting = self.setting
        others = [
            setting.replace(**{name: value})
            for name in setting.compiled
            if name in self._shown  # what nobody can move need not be ready
            for value in control_widgets.positions(self.controls[name])
        ]
        chosen = [PANELS[name] for name in self.controls["panels"].value]
        details = any(getattr(panel, "measure", None) for panel in chosen)
        preparation.prepare_when_idle(setting, self.batch, others, details)

    def close(self) -> None:
        """Close every widget of it."""
        for widget in self.controls.values():
            widget.close()
        super().close()


def explore(
    batch: Batch | None = None,
    *,
    network: type[AnySetting] = Setting,
    controls: Sequence[str] | None = None,
    panels: Sequence[str] = DEFAULT_PANELS,
    max_depth: int | None = None,
    theme: str = "auto",
    **setting: float | str,
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
    kind = isinstance(network, type) and issubclass(network, AnySetting)
    if not kind or network is AnySetting:  # which itself is no kind of network
        raise TypeError(
            f"network must be a kind of setting, such as initlab.Setting, not {short(network)}"
        )
    controls = default_controls(network) if controls is None else controls
    controls = several("controls", controls, ("depth", "gain"))
    panels = several("panels", panels, DEFAULT_PANELS)
    names = [("control", name, tuple(fields_by_control(network))) for name in controls]
    names += [("panel", name, tuple(panels_for(network))) for name in panels]
    for word, name, known in (*names, ("theme", theme, THEMES)):
        one_of(word, name, known)
    if batch is not None and not isinstance(batch, Batch):
        raise TypeError(f"batch must be a Batch, such as Batch(inputs, labels), not {short(batch)}")
    counted, (lowest, largest) = network.counted, network.limits(network.counted)
    if max_depth is not None:
        largest = whole_number("max_depth", max_depth, lowest, largest)
    start = network().replace(**setting)
    if counted not in setting:
        start = start.replace(**{counted: min(getattr(start, counted), largest)})
    check_range(start, largest)
    batch = digits(network.examples) if batch is None else batch
    return Explorer(start, batch, panels, controls, largest, theme)
