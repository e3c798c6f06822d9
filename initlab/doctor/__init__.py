"""The doctor: any JAX function of parameters and a batch, examined for how it starts."""

from initlab.doctor.examining import examine as examine
from initlab.doctor.report import Layer as Layer
from initlab.doctor.report import Report as Report
from initlab.doctor.watching import watch as watch
