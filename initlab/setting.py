"""Setting: what the sliders choose, and the errors a wrong choice meets."""

import dataclasses
import numbers
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypeGuard

from initlab.activations import ACTIVATIONS
from initlab.catalogue import Catalogue, nearest
from initlab.checking import short
from initlab.initializers import INITIALIZERS, can_start

MAX_DEPTH = 128
MAX_WIDTH = 2048
MAX_SCALE = 1e6  # of gain and bias_std; far beyond use, and safe to multiply in float32
MAX_SEED = 2**32 - 1
DTYPES = ("float32", "bfloat16", "float16")


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, one of NumPy's, too, and not a truth value."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def whole_number(name: str, value: object, lowest: int, highest: int) -> int:
    """``value`` as an int. TypeError if no number, ValueError if not whole or out of range."""
    allowed = f"{name} must be a whole number from {lowest} to {highest}"
    if not is_number(value):
        raise TypeError(f"{allowed}, not {short(value)}")
    if value != value:  # NaN
        raise ValueError(f"{allowed}, not {short(value)}")
    nearest_choice = int(min(max(round(min(max(value, lowest), highest)), lowest), highest))
    if value != nearest_choice:
        raise ValueError(f"{allowed}, not {short(value)}; the nearest is {nearest_choice}")
    return nearest_choice


def bounded_number(name: str, value: object, highest: float) -> float:
    """``value`` as a float. TypeError if it is no number, ValueError if outside [0, highest]."""
    allowed = f"{name} must be a finite number from 0 to {highest:g}"
    if not is_number(value):
        raise TypeError(f"{allowed}, not {short(value)}")
    if value != value:  # NaN
        raise ValueError(f"{allowed}, not {short(value)}")
    if not 0 <= value <= highest:
        raise ValueError(
            f"{allowed}, not {short(value)}; the nearest is {min(max(value, 0), highest):g}"
        )
    return float(value) + 0.0  # no minus zero


def one_of(name: str, value: object, options: Sequence[str]) -> str:
    """``value``, if it is one of the names. TypeError if no name, ValueError if unknown."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a name such as {options[0]!r}, not {short(value)}")
    if value not in options:
        raise ValueError(
            f"unknown {name} {short(value)}{nearest(value, options) or '.'}"
            f" Known are: {', '.join(options)}"
        )
    return str(value)  # a plain one, whatever NumPy made of it


def one_of_numbers(name: str, value: object, options: tuple[int, ...]) -> int:
    """``value`` as an int. TypeError if no number, ValueError if none of the whole numbers."""
    allowed = f"{name} must be one of {', '.join(map(str, options))}"
    if not is_number(value):
        raise TypeError(f"{allowed}, not {short(value)}")
    if value != value:  # NaN
        raise ValueError(f"{allowed}, not {short(value)}")
    if value not in options:
        inside = min(max(value, options[0]), options[-1])
        hint = min(options, key=lambda option: abs(option - inside))
        raise ValueError(f"{allowed}, not {short(value)}; the nearest is {hint}")
    return int(value)


def entry_of(name: str, value: object, catalogue: Catalogue[Any]) -> str:
    """The catalogue's own name for ``value``, a name or a synonym; its errors if there is none."""
    return catalogue.canonical(value)


def _check_start(kind: type, field: str, name: str) -> None:
    """ValueError for a start that is fitted to data, and not to this kind of network."""
    entry = INITIALIZERS[name]
    if can_start(kind, entry):
        return
    nearest_choice = next(
        other.name
        for other in INITIALIZERS.values()
        if other.fitted_by is None and (other.draw, other.scale) == (entry.draw, entry.scale)
    )
    raise ValueError(
        f"{field} {name!r} is fitted to data, and so far to {' and '.join(entry.kinds)} alone, not"
        f" to {kind.__name__}; the nearest is {nearest_choice!r}"
    )


def choice(
    default: float | str,
    check: Callable[..., float | str],
    *allowed: object,
    shown: tuple[float, float, float] | None = None,
) -> Any:
    """A dataclass field of a setting: its default, and ``check(name, value, *allowed)``.

    The check is one of :func:`whole_number`, :func:`bounded_number`, :func:`one_of`,
    :func:`one_of_numbers` and :func:`entry_of`, or one like them; from it an explorer also knows
    what control to show. A number's slider is one of ratios, from 1/100 to 100, unless ``shown``
    gives its lowest position, its highest, and its step.
    """
    metadata = {"check": check, "allowed": allowed, "shown": shown}
    return dataclasses.field(default=default, metadata=metadata)


class AnySetting:
    """What all settings share: fields that are checked, and ways to vary and to tell them.

    A subclass is a frozen dataclass whose fields are made by :func:`choice`, and is a kind of
    network: :class:`Setting` the dense one, those of ``initlab.architectures`` the others. Each
    has a ``depth``, how many layers are measured, a ``width``, how many units each of them has,
    and an ``activation``.
    """

    # What a subclass has, as fields or otherwise; this class itself is no dataclass.
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    width: int
    activation: str
    seed: int
    dtype: str

    #: how many of the digits it is probed with by default
    examples: ClassVar[int] = 256
    #: the field that says how many layers there are
    counted: ClassVar[str] = "depth"
    #: what its layers are, and where they begin: the label of an axis
    axis: ClassVar[str] = "layer (0 is the input)"
    #: measures of its layers that dense networks do not have; ``Signals.more`` holds them
    more: ClassVar[tuple[str, ...]] = ()
    #: the fields that change the shape of what is computed, so that they are compiled in
    compiled: ClassVar[tuple[str, ...]] = ("width",)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = field.metadata["check"](
                field.name, getattr(self, field.name), *field.metadata["allowed"]
            )
            # by identity: mappings compare all that they hold
            if any(one is INITIALIZERS for one in field.metadata["allowed"]):
                _check_start(type(self), field.name, value)
            object.__setattr__(self, field.name, value)  # the only way into a frozen dataclass

    @property
    def depth(self) -> int:
        """How many layers are measured."""
        raise NotImplementedError

    def describe(self) -> str:
        """The setting in a sentence."""
        raise NotImplementedError

    @property
    def fitted_by(self) -> str | None:
        """The function of ``initlab.adaptive`` that fits this start to data; None if none does."""
        return None

    def replace(self, **changes: float | str) -> Self:
        """The same setting with some fields changed. TypeError for a field that does not exist."""
        unknown = changes.keys() - {field.name for field in dataclasses.fields(self)}
        if unknown:
            name = sorted(unknown)[0]
            fields = [field.name for field in dataclasses.fields(self)]
            raise TypeError(
                f"{type(self).__name__} has no field {short(name)}{nearest(name, fields) or '.'}"
                f" Its fields are: {', '.join(fields)}"
            )
        return dataclasses.replace(self, **changes)

    @classmethod
    def limits(cls, name: str) -> tuple[int, int]:
        """The lowest and the highest value of a field that is a whole number."""
        (field,) = [field for field in dataclasses.fields(cls) if field.name == name]
        return field.metadata["allowed"]

    def changes(self) -> dict[str, float | str]:
        """The fields that differ from the defaults, in order: what one types to get this setting.

        >>> Setting(depth=50, gain=2.0).changes()
        {'depth': 50, 'gain': 2.0}
        """
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }


@dataclasses.dataclass(frozen=True)
class Setting(AnySetting):
    """One position of all sliders: a dense network and its start.

    Args:
      depth: number of hidden layers, 1 to 128.
      width: units in each hidden layer, 1 to 2048.
      activation: a name in the catalogue of activations.
      initializer: a name in the catalogue of initializers, or a synonym (``xavier_normal``).
      gain: factor on the initializer's own scale; 0 or more.
      bias_std: standard deviation of the normal biases; 0 or more.
      seed: which random numbers are drawn; 0 to 2^32 - 1.
      dtype: in what precision the network computes: float32, bfloat16 or float16.

    Raises:
      ValueError: a value that is out of range or unknown; the message names the nearest choice.
      TypeError: a value of the wrong type.

    >>> Setting(depth=50).replace(initializer="xavier_normal").initializer
    'glorot_normal'
    """

    depth: int = choice(20, whole_number, 1, MAX_DEPTH)  # pyright: ignore[reportIncompatibleMethodOverride] - a field is read as a property is
    width: int = choice(128, whole_number, 1, MAX_WIDTH)
    activation: str = choice("tanh", entry_of, ACTIVATIONS)
    initializer: str = choice("glorot_normal", entry_of, INITIALIZERS)
    gain: float = choice(1.0, bounded_number, MAX_SCALE)
    bias_std: float = choice(0.0, bounded_number, MAX_SCALE, shown=(0, 3, 0.01))
    seed: int = choice(0, whole_number, 0, MAX_SEED)
    dtype: str = choice("float32", one_of, DTYPES)

    @property
    def fitted_by(self) -> str | None:
        """See :class:`AnySetting`."""
        return INITIALIZERS[self.initializer].fitted_by

    def describe(self) -> str:
        """The setting in a sentence.

        >>> Setting(depth=50, bias_std=0.1).describe()
        'Depth 50, width 128, tanh, glorot_normal, gain 1, bias 0.1.'
        """
        bias = f", bias {self.bias_std:g}" if self.bias_std else ""
        dtype = f", {self.dtype}" if self.dtype != "float32" else ""
        return (
            f"Depth {self.depth}, width {self.width}, {self.activation},"
            f" {self.initializer}, gain {self.gain:.4g}{bias}{dtype}."
        )
