"""Every colour that initlab draws with: of light paper, or dark; of curves, and of maps.

``tests/test_colours.py`` says what they are held to, and finds them in the figures by itself.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of paper, ink and curves.

    The curves' are Okabe and Ito's, in shades that keep a contrast of 3:1 to the paper. Where two
    of them meet, dashes or markers differ, too: without one kind of cone, two shades are close.
    """

    paper: str
    ink: str
    grid: str
    ghost: str  # of what was before, or is beside; 3:1 to the grid, too
    blue: str
    red: str
    green: str


LIGHT = Theme("#FFFFFF", "#222222", "#E3E3E3", "#7A7A7A", "#0072B2", "#D55E00", "#007F5C")
DARK = Theme("#111111", "#E8E8E8", "#3A3A3A", "#9A9A9A", "#56B4E9", "#F0883A", "#2CC298")
THEMES = {"light": LIGHT, "dark": DARK}

#: Colours, lines and markers: each of the three alone tells most curves apart, all three any two.
STYLES = (
    (LIGHT.blue, "-", "o"),
    (LIGHT.red, "--", "s"),
    (LIGHT.green, "-.", "^"),
    (LIGHT.ink, ":", "D"),
    ("#AA4499", (0, (6, 1)), "v"),
    ("#2A8FBD", (0, (3, 1, 1, 1)), "P"),
    ("#8A6D00", (0, (1, 1)), "X"),
    (LIGHT.ghost, (0, (8, 2, 2, 2)), "*"),
)

#: A wash behind what is named in words, pale enough for all curves to keep a contrast of 3:1.
BLAMED = "#FBE3D2"

SEQUENTIAL = "cividis"  # from little to much
SHARES = "viridis"
DIVERGING = "PuOr"  # to both sides of a middle: orange below, purple above
RATIOS = "PuOr_r"  # purple where something vanishes, orange where it explodes
