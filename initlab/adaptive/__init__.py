"""Starts that look at data, or at the loss: each returns weights, and how it came to them."""

from initlab.adaptive.adapted import Adapted as Adapted
from initlab.adaptive.equal_rates import data_dependent as data_dependent
from initlab.adaptive.first_step import gradinit as gradinit
from initlab.adaptive.quotient import gradient_quotient as gradient_quotient
from initlab.adaptive.quotient import metainit as metainit
from initlab.adaptive.rescaling import emergence_promoting as emergence_promoting
from initlab.adaptive.unit_variance import lsuv as lsuv
