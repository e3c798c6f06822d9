"""Mean-field theory: what infinitely wide networks do, and how far a finite one may stray."""

from initlab.theory.fixed_points import (
    DepthScales,
    FixedPoint,
    Limits,
    PhaseDiagram,
    critical_line,
    depth_scales,
    fixed_point,
    limits,
    phase_diagram,
)
from initlab.theory.maps import chi, correlation_map, variance_map
from initlab.theory.prediction import Prediction, predict

__all__ = [
    "DepthScales",
    "FixedPoint",
    "Limits",
    "PhaseDiagram",
    "Prediction",
    "chi",
    "correlation_map",
    "critical_line",
    "depth_scales",
    "fixed_point",
    "limits",
    "phase_diagram",
    "predict",
    "variance_map",
]
