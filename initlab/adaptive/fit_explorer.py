"""A fit that is dragged: the network as it was after each of its steps."""

import ipywidgets
import numpy as np

from initlab.adaptive.adapted import Adapted
from initlab.checking import short
from initlab.data import Batch, digits
from initlab.diagnosis import diagnose
from initlab.figures import DPI
from initlab.live import Live
from initlab.plots import Picture
from initlab.signals import Signals, probe

_PANELS = ("variance", "gradient", "neurons")


class FitExplorer(Live[Picture]):
    """A slider over the steps of a fit; make one with :func:`initlab.explore_fit`."""

    def __init__(self, adapted: Adapted, batch: Batch):
        super().__init__("an initlab explorer of a fit")
        self.adapted: Adapted = adapted
        self.batch: Batch = batch
        self._known, self._frames = {}, {}  # step -> Signals, dpi -> Picture
        self.step: ipywidgets.IntSlider = ipywidgets.IntSlider(
            0,
            0,
            adapted.steps,
            description="step",
            layout=ipywidgets.Layout(width="600px", max_width="100%"),
        )
        self.step.observe(lambda _: self.update(), "value")
        self._arrange([self.step])
        self._fit_image()

    @property
    def signals(self) -> Signals:
        """What is measured of the network after as many steps as the slider says."""
        return self._at(self.step.value)

    @property
    def description(self) -> str:
        """The picture in words: the sentence, and what each panel shows, the start's too."""
        picture = self._frame(DPI)
        told = f"{self.sentence} {picture.describe(self.signals)}"
        return f"{told} Dotted, the start: {picture.describe(self._at(0))}"

    @property
    def sentence(self) -> str:
        """The step in words: what it changed, and how the network fares."""
        step, adapted = self.step.value, self.adapted
        told = f"Step {step} of {adapted.steps}, the start itself"
        if step:
            change = adapted.scale[step] / adapted.scale[step - 1]
            changed = np.flatnonzero(np.abs(np.log(change)) > 1e-6)
            told = f"Step {step} of {adapted.steps} changes {_named(adapted, change, changed)}"
        return f"{told}; {adapted.aim} {adapted.objective[step]:.3g}. {diagnose(self.signals)}"

    def _at(self, step: int) -> Signals:
        if step not in self._known:
            weights = self.adapted.at(step)
            self._known[step] = probe(self.adapted.setting, self.batch, weights)
        return self._known[step]

    def _measure(self) -> None:
        self._at(self.step.value)

    def _frame(self, dpi: float) -> Picture:
        if dpi not in self._frames:
            setting = self.adapted.setting
            picture = Picture(_PANELS, max(setting.depth, 2), dpi=dpi, axis=setting.axis)
            picture.pin(self._at(0))
            self._frames[dpi] = picture
        return self._frames[dpi]

    def _show(self, frame: Picture) -> None:
        frame.update(self.signals)

    def close(self) -> None:
        """Close every widget of it."""
        self.step.close()
        super().close()


def _named(adapted: Adapted, change, changed) -> str:
    """Which matrices a step changed, and by how much."""
    if len(changed) == 0:
        return "biases, or parts of a matrix"
    if len(changed) == 1:
        return f"{adapted.matrices[changed[0]]} by a factor of {change[changed[0]]:.3g}"
    low, high = change[changed].min(), change[changed].max()
    return f"{len(changed)} matrices by factors of {low:.3g} to {high:.3g}"


def explore_fit(adapted: Adapted, batch: Batch | None = None) -> FitExplorer:
    """A fit step by step: variance, gradient and neurons by layer, over those of the start.

    Args:
      adapted: what one of the functions of ``initlab.adaptive`` returned.
      batch: what the network is measured on; by default what it was fitted to, or the digits.

    Raises:
      TypeError: what is no fit, or no Batch.
      ValueError: a batch of other sizes.
    """
    if not isinstance(adapted, Adapted):
        raise TypeError(
            "explore_fit takes what a function of initlab.adaptive returns, such as"
            f" adaptive.lsuv(Setting()), not {short(adapted)}"
        )
    if batch is None:
        batch = adapted.batch or digits(adapted.setting.examples)
    if not isinstance(batch, Batch):
        raise TypeError(f"batch must be a Batch, such as Batch(inputs, labels), not {short(batch)}")
    return FitExplorer(adapted, batch)
