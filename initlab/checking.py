"""What errors show of a value that will not do, and checks that many functions share."""

from typing import Any

import numpy as np

LONGEST = 200  # characters of a value that an error shows


def short(value: object) -> str:
    """What an error shows of a value: its ``repr``, cut where it is long.

    Of what has no ``repr``, as an integer of thousands of digits, the type is shown.

    >>> short("near"), short(10**5000), len(short("far" * 1000))
    ("'near'", 'an object of type int', 200)
    """
    try:
        words = " ".join(repr(value).split())
    except Exception:  # whatever the object's own code raises
        words = f"an object of type {type(value).__name__}"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def several(name: str, value: Any, example: tuple[object, ...]) -> tuple[Any, ...]:
    """The items of ``value``. TypeError for a string, or what cannot be gone through.

    >>> several("panels", ["neurons"], ("variance", "gradient"))
    ('neurons',)
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError("one string, where several are asked for")
        return tuple(value)
    except TypeError as error:
        shown = ", ".join(map(repr, example))
        raise TypeError(f"{name} must be several, such as ({shown}), not {short(value)}") from error


def flag(name: str, value: object) -> bool:
    """``value`` as a bool. TypeError if it is anything else than True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {short(value)}")
    return bool(value)


def real_array(name: str, value: object) -> np.ndarray:
    """``value`` as an array of real numbers, of whatever type they are. TypeError if it is none."""
    if np.ma.is_masked(value):
        raise TypeError(f"{name} must have a value everywhere: fill or drop what is masked first")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # such as lists of unlike lengths
        raise TypeError(f"{name} must be an array of real numbers, not {short(value)}") from error
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"{name} must be real numbers, not an array of {array.dtype}: {short(value)}"
        )
    return array
