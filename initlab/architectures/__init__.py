"""Networks beyond the dense one, measured by the same ``Signals``."""

from initlab.architectures.residual import Residual

__all__ = ["Residual"]
