"""Maps that are dragged: the pairs of initializer and activation by depth, and the phases."""

from collections.abc import Sequence

import ipywidgets

from initlab import pairs, phases, theory
from initlab.activations import ACTIVATIONS
from initlab.checking import short
from initlab.figures import DPI
from initlab.live import ROW, Live
from initlab.pairs import ACTIVATIONS_SHOWN, INITIALIZERS_SHOWN, TableMap
from initlab.phases import BIAS_VARIANCE, WEIGHT_VARIANCE, PhaseMap
from initlab.setting import Setting
from initlab.warming import WARMER

DEPTHS = (2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100)
_STEP = 0.01  # of the phase diagram's sliders


class TableExplorer(Live[TableMap]):
    """A depth slider over the table of pairs; make one with :func:`initlab.explore_table`."""

    def __init__(self, start: pairs.Table, width: int, seed: int):
        super().__init__("an initlab table of initializers and activations")
        self._width, self._seed = width, seed
        self._tables = {start.depth: start}  # depth -> Table, kept once it is measured
        self._start, self._frames = start, {}
        self.depth: ipywidgets.SelectionSlider = ipywidgets.SelectionSlider(
            options=sorted({*DEPTHS, start.depth}),
            value=start.depth,
            description="depth",
            layout=ipywidgets.Layout(width="450px"),
        )
        self.depth.observe(lambda _: self.update(), "value")
        self._arrange([self.depth])
        self._fit_image()

    @property
    def table(self) -> pairs.Table:
        """What is shown: powers of ten and health of every pair at the slider's depth."""
        return self._at(self.depth.value)

    @property
    def description(self) -> str:
        """The table in words."""
        return self.table.describe()

    @property
    def sentence(self) -> str:
        """Who is healthy with whom: thirty numbers are too many to listen to."""
        return self.table.describe_healthy()

    def _at(self, depth: int) -> pairs.Table:
        if depth not in self._tables:
            names = self._start.initializers, self._start.activations
            self._tables[depth] = pairs.measure_table(depth, self._width, *names, self._seed)
        return self._tables[depth]

    def _measure(self) -> None:
        self._at(self.depth.value)

    def _frame(self, dpi: float) -> TableMap:
        if dpi not in self._frames:
            names = self._start.initializers, self._start.activations
            self._frames[dpi] = TableMap(*names, dpi)
        return self._frames[dpi]

    def _show(self, frame: TableMap) -> None:
        frame.update(self.table)

    def _prepare_when_idle(self) -> None:
        for depth in self.depth.options:
            WARMER.add((self.model_id, depth), lambda depth=depth: self._at(depth))

    def close(self) -> None:
        """Close every widget of it."""
        self.depth.close()
        super().close()


def explore_table(
    depth: int = 30,
    width: int = 64,
    initializers: Sequence[str] = INITIALIZERS_SHOWN,
    activations: Sequence[str] = ACTIVATIONS_SHOWN,
    seed: int = 0,
) -> TableExplorer:
    """Initializers against activations, at a depth that can be dragged.

    A cell's number is the power of ten of the gradient's second moment in the first hidden layer
    over that in the last; a tick marks the starts that :func:`initlab.diagnose` finds healthy.

    Args:
      depth: where the slider starts.
      width: units in each layer.
      initializers: names, one for each row.
      activations: names, one for each column.
      seed: which random numbers are drawn.

    Raises:
      ValueError: an unknown name, a number out of range, or nothing to draw.
    """
    start = pairs.measure_table(depth, width, initializers, activations, seed)
    return TableExplorer(start, width, seed)


class PhaseExplorer(Live[PhaseMap]):
    """A star on the phase diagram and the sliders that move it; see ``explore_phases``."""

    def __init__(self, activation: str, weight_variance: float, bias_variance: float):
        super().__init__("an initlab phase diagram")
        self._frames = {}  # (activation, dpi) -> PhaseMap
        wide = {"layout": ipywidgets.Layout(width="400px"), "style": {"description_width": "110px"}}
        self.activation: ipywidgets.Dropdown = ipywidgets.Dropdown(
            options=list(ACTIVATIONS), value=activation, description="activation", **wide
        )
        self.weight_variance: ipywidgets.FloatSlider
        self.bias_variance: ipywidgets.FloatSlider
        self.weight_variance, self.bias_variance = (
            ipywidgets.FloatSlider(
                value=value, min=least, max=most, step=_STEP, description=name, **wide
            )
            for name, value, least, most in (
                ("weight variance", weight_variance, _STEP, WEIGHT_VARIANCE),
                ("bias variance", bias_variance, 0.0, BIAS_VARIANCE),
            )
        )
        self._controls = [self.activation, self.weight_variance, self.bias_variance]
        for control in self._controls:
            control.observe(lambda _: self.update(), "value")
        self._arrange([ipywidgets.Box(self._controls, layout=ipywidgets.Layout(**ROW))])
        self._fit_image()

    @property
    def setting(self) -> Setting:
        """The star as a start: Glorot's weights, with the gain and the biases that lead there."""
        activation, weight_variance, bias_variance = self._place
        return Setting(
            activation=activation,
            initializer="glorot_normal",
            gain=round(weight_variance**0.5, 6),
            bias_std=round(bias_variance**0.5, 6),
        )

    @property
    def _place(self) -> tuple[str, float, float]:
        # a slider adds up its steps
        weights, biases = (round(control.value, 6) for control in self._controls[1:])
        return str(self.activation.value), weights, biases

    @property
    def description(self) -> str:
        """The diagram in words, and the star."""
        return f"{self._frame(DPI).describe()} {self.sentence}"

    @property
    def sentence(self) -> str:
        """The star in words: its phase, and what gradients do there from layer to layer."""
        limits = theory.limits(*self._place)
        if limits.phase == "critical":
            words = "keep their size"
        else:
            verb = "shrink" if limits.phase == "ordered" else "grow"
            words = f"{verb} by a factor of e every {limits.xi_gradient:.3g} layers"
        return f"{phases.describe_point(*self._place)} Squared gradients {words}."

    def _measure(self) -> None:
        """Theory is computed where it is told; the diagram, when it is first drawn."""

    def _frame(self, dpi: float) -> PhaseMap:
        key = str(self.activation.value), dpi
        if key not in self._frames:
            self._frames[key] = PhaseMap(key[0], dpi=dpi)
        return self._frames[key]

    def _show(self, frame: PhaseMap) -> None:
        frame.update(*self._place[1:])

    def _prepare_when_idle(self) -> None:
        for name in ACTIVATIONS:
            WARMER.add(("phases", name), lambda name=name: theory.limits(name, 1.0))

    def close(self) -> None:
        """Close every widget of it."""
        for control in self._controls:
            control.close()
        super().close()


def explore_phases(setting: Setting | None = None) -> PhaseExplorer:
    """The phase diagram with a setting's own point, which sliders move.

    Args:
      setting: where the star starts: its activation, and the variances of its weights and biases.

    Raises:
      TypeError: it is no Setting.
      ValueError: its initializer is a fixed pattern or fitted to data, or it lies beyond the
        diagram.

    Source: Poole et al. 2016 (arXiv 1606.05340), figure 1.
    """
    setting = Setting() if setting is None else setting
    if not isinstance(setting, Setting):
        raise TypeError(
            f"explore_phases takes a Setting, such as Setting(gain=2), not {short(setting)}"
        )
    weight_variance, bias_variance = phases.variances(setting)
    for name, value, low, high in (
        ("weight variance", weight_variance, _STEP, WEIGHT_VARIANCE),
        ("bias variance", bias_variance, 0, BIAS_VARIANCE),
    ):
        if not low <= value <= high:
            raise ValueError(
                f"the {name} slider goes from {low:g} to {high:g}, not to {value:.3g};"
                " initlab.plot_phases draws any point"
            )
    return PhaseExplorer(setting.activation, weight_variance, bias_variance)
