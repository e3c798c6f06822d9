"""initlab: see, and check, how a neural network's starting weights decide whether it learns."""

from initlab import data
from initlab.data import Batch
from initlab.draws import weights
from initlab.setting import Setting
from initlab.signals import Signals, probe

__all__ = ["Batch", "Setting", "Signals", "data", "probe", "weights"]
