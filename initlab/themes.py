"""Colours of a figure: light paper, or dark."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of paper, ink and curves.

    The curves' are Okabe and Ito's, told apart by the colour-blind, in shades that keep a
    contrast of 3:1 to the paper.
    """

    paper: str
    ink: str
    grid: str
    ghost: str
    blue: str
    red: str
    green: str


THEMES = {
    "light": Theme("#FFFFFF", "#222222", "#E3E3E3", "#858585", "#0072B2", "#D55E00", "#007F5C"),
    "dark": Theme("#111111", "#E8E8E8", "#3A3A3A", "#9A9A9A", "#56B4E9", "#F0883A", "#2CC298"),
}
