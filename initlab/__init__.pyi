"""The public names. To add one, import it here, as itself."""

from initlab import data as data
from initlab import teaching as teaching
from initlab import theory as theory
from initlab.data import Batch as Batch
from initlab.diagnosis import Diagnosis as Diagnosis
from initlab.diagnosis import diagnose as diagnose
from initlab.draws import weights as weights
from initlab.explorer import Explorer as Explorer
from initlab.explorer import explore as explore
from initlab.figures import plot_curves as plot_curves
from initlab.figures import plot_neurons as plot_neurons
from initlab.history import History as History
from initlab.maps import plot_phases as plot_phases
from initlab.maps import plot_table as plot_table
from initlab.plots import plot as plot
from initlab.precision import predicted_overflow as predicted_overflow
from initlab.registering import register_activation as register_activation
from initlab.registering import register_initializer as register_initializer
from initlab.setting import Setting as Setting
from initlab.signals import Signals as Signals
from initlab.signals import probe as probe
from initlab.tables import activations as activations
from initlab.tables import initializers as initializers
from initlab.theory import Prediction as Prediction
from initlab.theory import predict as predict
from initlab.training import train as train
