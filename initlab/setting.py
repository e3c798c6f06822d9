"""Setting: what the sliders choose, and the errors a wrong choice meets."""

import dataclasses
import numbers

from initlab.activations import ACTIVATIONS
from initlab.catalogue import nearest
from initlab.initializers import INITIALIZERS

MAX_DEPTH = 128
MAX_WIDTH = 2048
MAX_SCALE = 1e6  # of gain and bias_std; far beyond use, and safe to multiply in float32
DTYPES = ("float32", "bfloat16", "float16")


def whole_number(name: str, value, lowest: int, highest: int) -> int:
    """``value`` as an int. TypeError if no number, ValueError if not whole or out of range."""
    allowed = f"{name} must be a whole number from {lowest} to {highest}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{allowed}, not {value!r}")
    if value != value:  # NaN
        raise ValueError(f"{allowed}, not {value!r}")
    nearest_choice = int(min(max(round(min(max(value, lowest), highest)), lowest), highest))
    if value != nearest_choice:
        raise ValueError(f"{allowed}, not {value!r}; the nearest is {nearest_choice}")
    return nearest_choice


def bounded_number(name: str, value, highest: float) -> float:
    """``value`` as a float. TypeError if it is no number, ValueError if outside [0, highest]."""
    allowed = f"{name} must be a finite number from 0 to {highest:g}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{allowed}, not {value!r}")
    if value != value:  # NaN
        raise ValueError(f"{allowed}, not {value!r}")
    if not 0 <= value <= highest:
        raise ValueError(
            f"{allowed}, not {value!r}; the nearest is {min(max(value, 0), highest):g}"
        )
    return float(value)


@dataclasses.dataclass(frozen=True)
class Setting:
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

    depth: int = 20
    width: int = 128
    activation: str = "tanh"
    initializer: str = "glorot_normal"
    gain: float = 1.0
    bias_std: float = 0.0
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self):
        checked = {
            "depth": whole_number("depth", self.depth, 1, MAX_DEPTH),
            "width": whole_number("width", self.width, 1, MAX_WIDTH),
            "activation": ACTIVATIONS.canonical(self.activation),
            "initializer": INITIALIZERS.canonical(self.initializer),
            "gain": bounded_number("gain", self.gain, MAX_SCALE),
            "bias_std": bounded_number("bias_std", self.bias_std, MAX_SCALE),
            "seed": whole_number("seed", self.seed, 0, 2**32 - 1),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the only way into a frozen dataclass
        if not isinstance(self.dtype, str):
            raise TypeError(f"dtype must be a name such as 'float32', not {self.dtype!r}")
        if self.dtype not in DTYPES:
            raise ValueError(
                f"unknown dtype {self.dtype!r}{nearest(self.dtype, DTYPES) or '.'}"
                f" Known are: {', '.join(DTYPES)}"
            )

    def replace(self, **changes) -> "Setting":
        """The same setting with some fields changed. TypeError for a field that does not exist."""
        unknown = changes.keys() - {field.name for field in dataclasses.fields(self)}
        if unknown:
            name = sorted(unknown)[0]
            fields = [field.name for field in dataclasses.fields(self)]
            raise TypeError(
                f"Setting has no field {name!r}{nearest(name, fields) or '.'}"
                f" Its fields are: {', '.join(fields)}"
            )
        return dataclasses.replace(self, **changes)

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

    def changes(self) -> dict:
        """The fields that differ from the defaults, in order: what one types to get this setting.

        >>> Setting(depth=50, gain=2.0).changes()
        {'depth': 50, 'gain': 2.0}
        """
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
