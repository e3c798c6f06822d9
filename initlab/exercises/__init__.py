"""The exercises of the notebooks: solution, mistakes that people make, and an oracle for each.

To add one, write its solution as a learner would, an oracle that is not that solution, and the
wrong answers worth a word; the tests run them all.
"""

from initlab.catalogue import Catalogue
from initlab.exercises.blocks import FIXUP_SCALE, RESIDUAL_GROWTH
from initlab.exercises.doctor import DEAD_UNITS, TO_BLAME
from initlab.exercises.fitting import GRADIENT_QUOTIENT, UNIT_VARIANCE
from initlab.exercises.gradients import BACKWARD, GRADIENT_RATIO, OVERFLOW_DEPTH
from initlab.exercises.kernels import KERNEL_SCALE
from initlab.exercises.memory import FORGET_BIAS
from initlab.exercises.moments import CRITICAL_GAIN, VARIANCE_MAP
from initlab.exercises.races import BLIND_LOSS, PAIRED_INTERVAL, STEPS_TO
from initlab.exercises.scales import GLOROT_SCALE, HE_SCALE
from initlab.exercises.symmetry import BREAK_SYMMETRY
from initlab.grading import Exercise

EXERCISES: Catalogue[Exercise] = Catalogue("exercise")
for _exercise in (
    HE_SCALE,
    GLOROT_SCALE,
    VARIANCE_MAP,
    BREAK_SYMMETRY,
    GRADIENT_RATIO,
    BACKWARD,
    CRITICAL_GAIN,
    OVERFLOW_DEPTH,
    KERNEL_SCALE,
    FORGET_BIAS,
    RESIDUAL_GROWTH,
    FIXUP_SCALE,
    UNIT_VARIANCE,
    GRADIENT_QUOTIENT,
    BLIND_LOSS,
    STEPS_TO,
    PAIRED_INTERVAL,
    TO_BLAME,
    DEAD_UNITS,
):
    EXERCISES.add(_exercise)
