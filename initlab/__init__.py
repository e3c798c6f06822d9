"""initlab: see, and check, how a neural network's starting weights decide whether it learns."""

from initlab import data, teaching
from initlab.data import Batch
from initlab.diagnosis import Diagnosis, diagnose
from initlab.draws import weights
from initlab.explorer import Explorer, explore
from initlab.figures import plot_curves, plot_neurons
from initlab.history import History
from initlab.maps import plot_phases, plot_table
from initlab.plots import plot
from initlab.precision import predicted_overflow
from initlab.registering import register_activation, register_initializer
from initlab.setting import Setting
from initlab.signals import Signals, probe
from initlab.tables import activations, initializers  # functions: they hide the submodules
from initlab.theory import Prediction, predict
from initlab.training import train

__all__ = [
    "Batch",
    "Diagnosis",
    "Explorer",
    "History",
    "Prediction",
    "Setting",
    "Signals",
    "activations",
    "data",
    "diagnose",
    "explore",
    "initializers",
    "plot",
    "plot_curves",
    "plot_neurons",
    "plot_phases",
    "plot_table",
    "predict",
    "predicted_overflow",
    "probe",
    "register_activation",
    "register_initializer",
    "teaching",
    "train",
    "weights",
]
