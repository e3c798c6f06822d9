"""Networks beyond the dense one, measured by the same ``Signals``."""

from initlab.architectures import (
    convolutional_theory,  # noqa: F401 - registers what it knows
    measuring,  # noqa: F401 - registers how they are measured
    models,  # noqa: F401 - registers how they are trained
    recurrent_theory,  # noqa: F401 - registers what it knows
    residual_theory,  # noqa: F401 - registers what it knows
)
from initlab.architectures.convolutional import Convolutional
from initlab.architectures.recurrent import Recurrent
from initlab.architectures.residual import Residual
from initlab.architectures.through_time import spectrum
from initlab.architectures.transformer import Transformer

__all__ = ["Convolutional", "Recurrent", "Residual", "Transformer", "spectrum"]
