"""Recurrent networks: how long does a network remember what it has read?

Shapes: B examples, n units (width), F input features, K classes.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from initlab.activations import ACTIVATIONS
from initlab.architectures.cells import CELLS, FEATURES_A_STEP, Cell, name_of
from initlab.architectures.chain import ChainSetting, Knobs, activation_knobs
from initlab.architectures.draws import Matrix
from initlab.initializers import INITIALIZERS
from initlab.laws import Fan
from initlab.matrices import draw_ones
from initlab.parameters import Weights
from initlab.remedy import candidates
from initlab.setting import (
    MAX_SCALE,
    MAX_SEED,
    bounded_number,
    choice,
    entry_of,
    one_of,
    whole_number,
)

MAX_STEPS = 512
MAX_UNITS = 512  # the states and gradients of so many steps fill 270 MB with an LSTM
MAX_FORGET_BIAS = 10  # sigmoid(10) forgets 1/22,000 a step


@dataclasses.dataclass(frozen=True)
class Recurrent(ChainSetting):
    r"""A recurrent network: the same weights in every time step.

    An input is read eight features a step, a digit row by row; then there is silence until the
    last step, of which the readout reads h. A shorter sequence leaves the last features unread.
    Layers are time steps, so ``gradient_second_moment`` is the gradient through time.

    Args:
      steps: time steps, 1 to 512.
      width: units, 1 to 512. Compiled in, as is the cell.
      cell: simple, lstm or gru.
      activation: of the simple cell's state; of what is written in the others.
      recurrent_initializer: how each recurrent matrix is drawn, one n x n block for each gate.
      gain: factor on the recurrent matrices' own scale.
      input_initializer: how the weights that read the input are drawn, and the readout.
      forget_bias: bias of the gate that keeps the memory, an LSTM's forget gate and a GRU's update
        gate, 0 to 10; a simple cell has none. All other biases start at 0.
      seed: which random numbers are drawn.

    ``initlab.probe`` measures, beside the usual, ``more["forget_gate"]``: in each step, the mean of
    the gate that keeps the memory, NaN in a simple cell. An LSTM's state is h and c, and its
    gradient is that with regard to both.

    Raises:
      ValueError: a value that is out of range or unknown; the message names the nearest choice.
      TypeError: a value of the wrong type.

    Sources: Elman 1990; Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000; Cho et
    al. 2014; Le, Jaitly & Hinton 2015 (identity); Jozefowicz, Zaremba & Sutskever 2015 (bias 1).

    >>> from initlab import probe
    >>> keeps = Recurrent(steps=300, width=32, activation="linear")
    >>> gradient = probe(keeps).gradient_second_moment
    >>> round(float(gradient[0] / gradient[-1]), 3)
    1.0
    """

    steps: int = choice(128, whole_number, 1, MAX_STEPS)
    width: int = choice(128, whole_number, 1, MAX_UNITS)
    cell: str = choice("simple", one_of, tuple(CELLS))
    activation: str = choice("tanh", entry_of, ACTIVATIONS)
    recurrent_initializer: str = choice("orthogonal", entry_of, INITIALIZERS)
    gain: float = choice(1.0, bounded_number, MAX_SCALE)
    input_initializer: str = choice("lecun_normal", entry_of, INITIALIZERS)
    forget_bias: float = choice(1.0, bounded_number, MAX_FORGET_BIAS, shown=(0, 6, 0.1))
    seed: int = choice(0, whole_number, 0, MAX_SEED)

    max_depth: ClassVar[int] = MAX_STEPS
    counted: ClassVar[str] = "steps"
    axis: ClassVar[str] = "time step (0 is the whole input)"
    more: ClassVar[tuple[str, ...]] = ("forget_gate",)
    compiled: ClassVar[tuple[str, ...]] = ("width", "cell")

    @property
    def depth(self) -> int:
        """Layers that are measured: the time steps."""
        return self.steps

    def chain(self, features: int, classes: int) -> Cell:
        """What is compiled."""
        activations, _ = activation_knobs(self.activation)
        return CELLS[self.cell](self.max_depth, self.width, features, classes, activations)

    def knobs(self) -> Knobs:
        """The numbers that may change without compiling."""
        return activation_knobs(self.activation)[1]

    def matrices(self, features: int, classes: int) -> Weights:
        """What is drawn."""
        n, recurrent = self.width, INITIALIZERS[self.recurrent_initializer].draw
        read = INITIALIZERS[self.input_initializer].draw
        arrays = {
            "recurrent": Matrix(recurrent, (n, n)),
            "input": Matrix(read, (FEATURES_A_STEP, n)),
            "bias": Matrix(draw_ones, (n,)),
        }
        return Weights({}, self._by_block(arrays), {"weight": Matrix(read, (n, classes))})

    def scales(self, features: int, classes: int) -> Weights:
        """What the draws are multiplied by."""
        n, cell = self.width, CELLS[self.cell]
        recurrent = INITIALIZERS[self.recurrent_initializer].scale
        read = INITIALIZERS[self.input_initializer].scale
        # a start that scales by the layer is told of three: input, recurrent, readout
        layers = self._by_block(
            {
                "recurrent": np.float32(self.gain * recurrent(Fan(n, n, 2, 2))),
                "input": np.float32(read(Fan(FEATURES_A_STEP, n, 1, 2))),
                "bias": np.float32(0.0),
            }
        )
        if cell.keeper:
            layers[name_of(cell.keeper, "bias")] = np.float32(self.forget_bias)
        return Weights({}, layers, {"weight": np.float32(read(Fan(n, classes, 3, 2)))})

    def _by_block(self, arrays: dict) -> dict:
        blocks = CELLS[self.cell].blocks
        return {name_of(block, kind): array for block in blocks for kind, array in arrays.items()}


@candidates.register
def _recurrent(setting: Recurrent) -> Iterator[Recurrent]:
    yield setting.replace(gain=1.0)
    orthogonal = setting.replace(gain=1.0, recurrent_initializer="orthogonal")
    if setting.cell == "simple":
        yield orthogonal
        yield setting.replace(gain=1.0, recurrent_initializer="identity")
        # a backward step multiplies by the mean square of the slope, which is half for relu
        yield orthogonal.replace(
            gain=round(ACTIVATIONS[setting.activation].slope_second_moment ** -0.5, 4)
        )
    else:
        # ln(steps): a gate that forgets about as slowly as the sequence is long
        for bias in (1.0, 2.0, min(round(math.log(setting.steps), 1), MAX_FORGET_BIAS)):
            yield setting.replace(forget_bias=bias)
            yield orthogonal.replace(forget_bias=bias)
    usual = orthogonal.replace(activation="tanh", input_initializer="lecun_normal")
    yield usual
    yield usual.replace(cell="lstm", forget_bias=2.0)
