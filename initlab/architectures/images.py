"""Batches whose examples are square images of one channel, as the digits are."""

import math


def image_side(features: int) -> int:
    """The side of a square image of so many pixels.

    Raises:
      ValueError: no square has so many.

    >>> image_side(64)
    8
    """
    side = math.isqrt(features)
    if side * side != features:
        nearest = min(side**2, (side + 1) ** 2, key=lambda square: abs(square - features))
        raise ValueError(
            f"the inputs must be square images, such as the digits' 64 features of 8 x 8 pixels,"
            f" not {features} features; the nearest square is {nearest}"
        )
    return side
