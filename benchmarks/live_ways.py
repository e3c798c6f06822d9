"""Four ways to a live picture, as cells of a notebook show them; ``live_browser`` measures them.

Each function is one way: a slider named gain, and below it the same three measures by layer.
"""

import io

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import initlab
from benchmarks import usual
from initlab.controls import GAINS
from initlab.plots import DPI, PANEL_INCHES
from initlab.warming import WARMER

PLAYED = [gain for gain in GAINS if 0.5 <= gain <= 2.2]  # the slider's range that is measured


def gain_slider() -> ipywidgets.SelectionSlider:
    """The explorer's own slider."""
    options = [(f"{gain:.4g}", gain) for gain in GAINS]
    return ipywidgets.SelectionSlider(description="gain", options=options, value=1.0)


def explorer(depth: int, width: int) -> initlab.Explorer:
    """Ours."""
    return initlab.explore(depth=depth, width=width)


def floor(depth: int, width: int) -> None:
    """The same slider swaps ready-made pictures: what kernel and browser cost by themselves."""
    source = initlab.explore(depth=depth, width=width)
    pictures = {}
    for gain in PLAYED:
        source.setting = source.setting.replace(gain=gain)
        pictures[gain] = source.image.value
    slider, image = gain_slider(), ipywidgets.Image(value=pictures[1.0], layout=source.image.layout)
    slider.observe(lambda change: setattr(image, "value", pictures[change["new"]]), "value")
    display(ipywidgets.VBox([slider, image]))


def usual_way(depth: int, width: int) -> None:
    """A function under ``interact`` that measures with NumPy and makes a new pyplot figure."""
    measure = measurer(depth, width)

    def show(gain):
        draw(plt.subplots(1, 3, figsize=(12, 3.6))[1], measure(gain), width)

    ipywidgets.interact(show, gain=gain_slider())


def persistent(depth: int, width: int) -> None:
    """One figure whose lines move, saved anew at every move: what a careful author writes."""
    frame = saved_anew(depth, width)
    slider, image = gain_slider(), ipywidgets.Image(value=frame(1.0))
    slider.observe(lambda change: setattr(image, "value", frame(change["new"])), "value")
    display(ipywidgets.VBox([slider, image]))


WAYS = {"floor": floor, "explorer": explorer, "persistent": persistent, "usual": usual_way}


def measurer(depth: int, width: int):
    """A function of the gain that measures with NumPy; weights are drawn beforehand."""
    setting, batch = initlab.Setting(depth=depth, width=width), initlab.data.digits()
    drawn = initlab.weights(setting)

    def measure(gain):
        weights = [(np.asarray(gain * weight, np.float32), bias) for weight, bias in drawn]
        return usual.measure(weights, usual.norms(weights), setting, batch)

    return measure


def saved_anew(depth: int, width: int):
    """A function of the gain that moves the lines of one figure and saves it: its PNG."""
    measure = measurer(depth, width)
    columns, rows = 3 * PANEL_INCHES[0], PANEL_INCHES[1]
    figure = Figure((columns, rows), dpi=DPI)
    FigureCanvasAgg(figure)
    lines = draw(figure.subplots(1, 3), measure(1.0), width)
    figure.tight_layout()

    def frame(gain) -> bytes:
        for line, values in zip(lines, curves(measure(gain)), strict=True):
            line.set_ydata(values)
        png = io.BytesIO()
        figure.savefig(png, format="png")
        return png.getvalue()

    return frame


def curves(signals: dict) -> list[np.ndarray]:
    """What is drawn of all that was measured."""
    names = "activation_variance", "gradient_second_moment", "distinct_neurons", "effective_neurons"
    return [signals[name] for name in names]


def draw(axes, signals: dict, width: int) -> list:
    """Plot the curves in three panels; return the lines."""
    variance, gradient, neurons = axes
    panels = variance, gradient, neurons, neurons
    labels = None, None, "distinct", "effective"
    lines = []
    for panel, values, label in zip(panels, curves(signals), labels, strict=True):
        depth = len(signals["distinct_neurons"])
        layers = np.arange(depth + 1 - len(values), depth + 1)
        lines += panel.plot(layers, values, label=label)
    variance.set(title="Activation variance", xlabel="layer", ylim=(1e-12, 1e6), yscale="log")
    gradient.set(title="Gradient second moment", xlabel="layer", ylim=(1e-12, 1e6), yscale="log")
    neurons.set(title="Neurons", xlabel="layer", ylim=(0, width))
    neurons.legend()
    return lines


# --- what the kernel is asked about the explorer -------------------------------------------------


class Watch:
    """Keeps an eye on a kernel: compilations, memory, and things that should not pile up."""

    def __init__(self, explorer: initlab.Explorer):
        import jax.monitoring

        self.explorer, self.compiled, self.frames = explorer, [], []
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        explorer.image.observe(self._on_frame, "value")

    def _listen(self, event: str, seconds: float, **details) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.compiled.append(details.get("fun_name", "unnamed"))

    def _on_frame(self, change) -> None:
        import hashlib

        digest = hashlib.sha256(change["new"]).hexdigest()
        self.frames.append((digest, self.explorer.setting.depth))

    def counts(self) -> dict:
        """How many there are of each, and bytes of memory."""
        import gc

        import psutil
        from IPython import get_ipython

        gc.collect()
        things = gc.get_objects()
        widgets = [thing for thing in things if isinstance(thing, ipywidgets.Widget)]
        names = ("value", "description", "options", "layout", "children")
        return {
            "comms": len(get_ipython().kernel.comm_manager.comms),
            "figures": sum(isinstance(thing, Figure) for thing in things),
            "observers": sum(
                len(notifiers)
                for widget in widgets
                for name in names
                for notifiers in widget._trait_notifiers.get(name, {}).values()
            ),
            "memory": psutil.Process().memory_info().rss,
        }


def fill_caches(explorer: initlab.Explorer) -> int:
    """Bytes that are taken by drawing the deepest network of every initializer, once for all.

    What was drawn is kept, within a limit: memory that grows by it does not grow for ever.
    """
    import psutil

    before, stood = psutil.Process().memory_info().rss, explorer.setting
    deepest = explorer.controls["depth"].max
    for initializer in explorer.controls["initializer"].options:
        explorer.setting = stood.replace(initializer=initializer, depth=deepest)
    explorer.setting = stood
    return psutil.Process().memory_info().rss - before


def when_warm() -> None:
    """Return when nothing is left to be compiled in the background."""
    WARMER.wait()
