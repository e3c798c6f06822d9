"""How colours are seen: contrast, distance, colour blindness, and pages that are turned dark.

Colours are sRGB, ``[..., 3]``, 0 to 1. ``test_color_vision.py`` checks what is computed here.
"""

import numpy as np

#: Linear sRGB as a dichromat sees it. Machado, Oliveira & Fernandes 2009, IEEE TVCG 15(6), with
#: severity 1.0 of the tables that stand on the authors' page.
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
VISIONS = ("usual", *DEFICIENCIES)


def linear(color) -> np.ndarray:
    """Without sRGB's transfer function: IEC 61966-2-1."""
    color = np.asarray(color, float)
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def encoded(light) -> np.ndarray:
    """With sRGB's transfer function; what no screen shows is clipped."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def seen(color, vision: str) -> np.ndarray:
    """What a dichromat sees, in the colours that others would see so."""
    if vision == "usual":
        return np.asarray(color, float)
    return encoded(linear(color) @ np.transpose(DEFICIENCIES[vision]))


def turned(color, inverted: float = 0.93) -> np.ndarray:
    """What ``filter: invert(0.93) hue-rotate(180deg)`` makes of a colour.

    Source: W3C Filter Effects Module 1, sections 9.5 and 9.8: on encoded sRGB, clipped after each.
    """
    inverse = np.asarray(color, float) * (1 - 2 * inverted) + inverted
    luma = np.array([0.213, 0.715, 0.072])
    rotation = 2 * np.tile(luma, (3, 1)) - np.eye(3)  # cosine -1, sine 0
    return np.clip(np.clip(inverse, 0, 1) @ rotation.T, 0, 1)


def luminance(color) -> np.ndarray:
    """Relative luminance as WCAG 2.2 defines it, 0 to 1."""
    return linear(color) @ np.array([0.2126, 0.7152, 0.0722])


def contrast(one, other) -> np.ndarray:
    """WCAG 2.2's contrast ratio, 1 to 21."""
    light = luminance(one), luminance(other)
    return (np.maximum(*light) + 0.05) / (np.minimum(*light) + 0.05)


# --- CAM02-UCS -----------------------------------------------------------------------------------

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_CAT02 = np.array([[0.7328, 0.4296, -0.1624], [-0.7036, 1.6975, 0.0061], [0.0030, 0.0136, 0.9834]])
_HPE = np.array([[0.38971, 0.68898, -0.07868], [-0.22981, 1.18340, 0.04641], [0.0, 0.0, 1.0]])
_WHITE = np.array([95.047, 100.0, 108.883])  # D65
#: sRGB's surround: 64 lux on a screen whose white is 5 times as bright as its grey
_ADAPTING, _BACKGROUND = 64 / np.pi / 5, 20.0


def ciecam02(xyz, white=_WHITE, adapting=_ADAPTING, background=_BACKGROUND):
    """Lightness J, colourfulness M and hue h in degrees, in an average surround.

    Source: CIE 159:2004.
    """
    xyz = np.asarray(xyz, float)
    k = 1 / (5 * adapting + 1)
    level = 0.2 * k**4 * 5 * adapting + 0.1 * (1 - k**4) ** 2 * (5 * adapting) ** (1 / 3)
    n = background / white[1]
    induction, z = 0.725 * n**-0.2, 1.48 + np.sqrt(n)
    adapted = np.clip(1 - np.exp((-adapting - 42) / 92) / 3.6, 0, 1)
    cones_white = _CAT02 @ white
    gain = adapted * white[1] / cones_white + 1 - adapted

    def response(xyz):
        cones = (xyz @ _CAT02.T * gain) @ np.linalg.inv(_CAT02).T @ _HPE.T
        power = (level * np.abs(cones) / 100) ** 0.42
        return np.sign(cones) * 400 * power / (power + 27.13) + 0.1

    def achromatic(cones):
        return (cones @ np.array([2, 1, 1 / 20]) - 0.305) * induction

    cones = response(xyz)
    a = cones @ np.array([1, -12 / 11, 1 / 11])
    b = cones @ np.array([1 / 9, 1 / 9, -2 / 9])
    hue = np.arctan2(b, a)
    eccentricity = (np.cos(hue + 2) + 3.8) / 4
    lightness = 100 * (achromatic(cones) / achromatic(response(white))) ** (0.69 * z)
    t = 50000 / 13 * induction * eccentricity * np.hypot(a, b) / (cones @ np.array([1, 1, 1.05]))
    chroma = t**0.9 * np.sqrt(lightness / 100) * (1.64 - 0.29**n) ** 0.73
    return lightness, chroma * level**0.25, np.degrees(hue) % 360


def cam02_ucs(color) -> np.ndarray:
    """J', a', b' of sRGB colours; J' is lightness, 0 to 100, and one unit just seen.

    Source: Luo, Cui & Li 2006, Color Research & Application 31(4).
    """
    lightness, colorfulness, hue = ciecam02(100 * linear(color) @ _TO_XYZ.T)
    lightness = 1.7 * lightness / (1 + 0.007 * lightness)
    colorfulness = np.log1p(0.0228 * colorfulness) / 0.0228
    hue = np.radians(hue)
    parts = lightness, colorfulness * np.cos(hue), colorfulness * np.sin(hue)
    return np.stack(parts, axis=-1)


def distance(one, other, vision: str = "usual") -> np.ndarray:
    """How far two colours are apart in CAM02-UCS for who sees so."""
    parts = cam02_ucs(seen(one, vision)) - cam02_ucs(seen(other, vision))
    return np.linalg.norm(parts, axis=-1)
