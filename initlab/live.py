"""What all live widgets share: a picture that follows the controls, and its words."""

import asyncio
import base64
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import ipywidgets
from IPython.display import display

from initlab import page
from initlab.figures import DPI
from initlab.frames import Frame
from initlab.warming import WARMER

REST_SECONDS = 0.4  # after the last move, before the picture is drawn in full sharpness
SHARPNESS = 2  # dots of a high-density screen for one of an ordinary one
ROW = {
    "flex_flow": "row wrap",
    "align_items": "center",
    "max_width": "1040px",
    "overflow": "visible",
}


Shown = TypeVar("Shown", bound=Frame)


class Live(ipywidgets.VBox, Generic[Shown]):
    """A picture that follows controls, under them, and over a sentence that says what it shows.

    Who makes one of it gives ``description``, ``_measure``, ``_frame`` and ``_show``; what is to be
    compiled first goes into ``_prepare``, and what may come while nobody moves anything into
    ``_prepare_when_idle``.

    Args:
      name: what it is, for who reads it as plain text.
      follows_theme: whether the picture is turned where the page is dark.
    """

    children: Sequence[ipywidgets.Widget]  # the box's own trait

    def __init__(self, name: str, follows_theme: bool = True):
        self._name = name
        self._measured = False
        self._resting: asyncio.TimerHandle | None = None  # the timer of the sharper picture
        self.image: ipywidgets.Image = ipywidgets.Image(format="png")
        if follows_theme:
            self.image.add_class("initlab-auto")
        self.progress: ipywidgets.IntProgress = ipywidgets.IntProgress(
            0, 0, 3, description="preparing"
        )
        self.status: ipywidgets.HTML = ipywidgets.HTML(page.status(""))
        self.style_of_page: ipywidgets.HTML = ipywidgets.HTML(page.STYLE)
        super().__init__()
        self.add_class("initlab")

    def _arrange(self, above: Iterable, below: Iterable = ()) -> None:
        """Put widgets over the picture, and under its sentence."""
        # progress stands below, so that the picture stays where it is when it goes
        picture = self.image, self.progress, self.status
        self.children = [self.style_of_page, *above, *picture, *below]

    # --- what a widget of its own says -------------------------------------------------------

    @property
    def description(self) -> str:
        """The picture in words."""
        raise NotImplementedError

    @property
    def sentence(self) -> str:
        """What is spoken when the picture changes: its words, unless they are many."""
        return self.description

    def _measure(self) -> None:
        """Compute what the controls ask for."""
        raise NotImplementedError

    def _frame(self, dpi: float) -> Shown:
        """The picture at a resolution, kept from one call to the next."""
        raise NotImplementedError

    def _show(self, frame: Shown) -> None:
        """Move a picture to what was measured."""
        raise NotImplementedError

    def _prepare(self) -> Iterable[int]:
        """Compile what the first picture needs; yield how far it is, 1 and 2."""
        return ()

    def _prepare_when_idle(self) -> None:
        """Add to ``WARMER`` what later pictures need."""

    # --- the picture -----------------------------------------------------------------------

    def update(self) -> None:
        """Measure where the controls stand, and show it. Returns when the picture is there.

        An error stands in the line under the picture, which stays as it was, and is raised.
        """
        WARMER.act()
        try:
            self._measure()
            self._draw()
            self.status.value = page.status(self.sentence)
        except Exception as error:
            self.status.value = page.status(f"{type(error).__name__}: {error}")
            raise
        self._measured = True

    def _fit_image(self) -> None:
        """Give the image the picture's size on the page, so that sharper ones do not grow."""
        width, _ = self._frame(DPI).size
        self.image.layout = ipywidgets.Layout(width=f"{width}px", max_width="100%", height="auto")
        self.image.value = self._frame(DPI).png()  # empty axes: they hold the place

    def _draw(self, dpi: float = DPI) -> None:
        frame = self._frame(dpi)
        self._show(frame)
        self.image.value = frame.png()
        self._cancel_rest()
        if dpi == DPI:
            self._draw_sharper_at_rest()

    def _draw_sharper_at_rest(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain script: nobody looks at the picture meanwhile
            return
        self._resting = loop.call_later(REST_SECONDS, self._draw, DPI * SHARPNESS)

    def _cancel_rest(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _ipython_display_(self, **_) -> None:
        """Show the live widget at once, then the picture, which also stands for it on paper."""
        handle = display(self._live, raw=True, display_id=True)
        if not self._measured:
            for done in self._prepare():
                self.progress.value = done
            self.update()
        self.progress.layout.display = "none"
        self._keep_picture(handle)
        self._prepare_when_idle()

    @property
    def _live(self) -> dict:
        """What a cell shows while there is a kernel."""
        return {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
            "text/plain": self._name,
        }

    def _keep_picture(self, handle) -> None:
        """Leave the picture and its words in the cell, for who reads without a kernel."""
        still = {
            "image/png": base64.b64encode(self.image.value).decode(),
            "text/plain": self.sentence,
        }
        alternative = {"image/png": {"alt": self.description}}
        handle.update(self._live | still, raw=True, metadata=alternative)

    def close(self) -> None:
        """Close every widget of it."""
        self._cancel_rest()
        for widget in self.children:
            widget.close()
        super().close()
