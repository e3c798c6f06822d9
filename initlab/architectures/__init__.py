"""Networks beyond the dense one, measured by the same ``Signals``."""

from initlab.architectures import convolutional_theory  # noqa: F401 - registers what it knows
from initlab.architectures.convolutional import Convolutional
from initlab.architectures.residual import Residual

__all__ = ["Convolutional", "Residual"]
