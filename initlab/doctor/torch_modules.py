"""PyTorch's modules, examined as JAX's functions are: the program that ``torch.export`` traces.

A traced module has no effect but its outputs, so the caller's stays as it is: parameters, their
gradients, running statistics and hooks. PyTorch computes; what is measured, and how a report is
made of it, is the same as for JAX.
"""

# pyright: reportMissingImports=false

import importlib.util
import warnings
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from initlab.doctor import measuring
from initlab.doctor.examining import direction
from initlab.doctor.layers import layers_of
from initlab.doctor.report import Report
from initlab.doctor.torch_graph import Program, read_graph
from initlab.doctor.trees import Loss, not_finite, said

if TYPE_CHECKING:  # PyTorch is optional, and may not be there
    import torch

_forward = jax.jit(measuring.forward, static_argnums=0)
_backward = jax.jit(measuring.backward, static_argnums=0)
_gate = jax.jit(measuring.gate, static_argnums=0)


def examine_torch(module: "torch.nn.Module", batch: Any, loss: Loss | None = None) -> Report:
    """Measure, and judge, every layer of a PyTorch module, as :func:`initlab.examine` does.

    Needs PyTorch, 2.6 or newer: ``pip install initlab[torch]``. The module is examined in the
    mode that it is in, training or evaluation, and left as it is.

    Args:
      module: a ``torch.nn.Module``. LSTM, GRU and RNN are looked into, step by step, and so is
        attention.
      batch: what the module is called with: a tensor; a tuple of arguments; or a dict of named
        ones.
      loss: ``loss(output, batch)`` gives a tensor of one number, of which gradients are taken. By
        default the output itself, if it is one number; otherwise its product with a random normal
        direction for each example, which no label is needed for.

    Returns:
      A :class:`Report`. Its ``remedy().params`` is a dict of tensors by name, for
      ``module.load_state_dict(…, strict=False)``.

    Raises:
      ImportError: PyTorch is not installed.
      TypeError: ``module`` is none, gives no tensor, or has no floating-point parameters.
      ValueError: it cannot be traced on this batch, no layer was found in it, or a loss is no
        single number.

    Source: the thresholds are those of :mod:`initlab.failures`.
    """
    if importlib.util.find_spec("torch") is None:
        raise ImportError("examine_torch needs PyTorch: pip install initlab[torch]")
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"examine_torch takes a torch.nn.Module, not {type(module).__name__}")
    examination = TorchExamination(module, batch, loss)
    # copies, so that a report stays what it was when the module is trained on
    return examination.report(
        {name: examination.parameters[name].detach().clone() for name in examination.paths}
    )


class TorchExamination:
    """A module's program, traced and read once, to measure any parameters of the same shapes."""

    def __init__(self, module: "torch.nn.Module", batch: Any, loss: Loss | None):
        self.parameters: dict[str, Any] = dict(module.named_parameters(remove_duplicate=False))
        self._batch, self._loss = batch, loss
        self._traced = _traced(module, batch)
        first = {}  # of tied parameters the name that comes first
        own = {name: first.setdefault(id(one), name) for name, one in self.parameters.items()}
        floating = {name for name, one in self.parameters.items() if one.is_floating_point()}
        self._program = read_graph(self._traced, own, floating)
        #: names of the floating-point parameters
        self.paths: list[str] = self._program.parameters
        if not self.paths:
            raise TypeError("module must have parameters of a floating-point type; it has none")
        reading = self._program.reading
        self._notes = [
            f"{name} is of {str(one.dtype).removeprefix('torch.')}, and taken as it is"
            for name, one in self.parameters.items()
            if not one.is_floating_point()
        ]
        self._notes += [f"{name} is not looked into" for name in sorted(reading.hidden)]
        if not reading.sites:
            raise ValueError(
                "no product or convolution of a parameter with the batch was found in module; of"
                f" {len(self.paths)} parameters the first are {', '.join(self.paths[:5])}"
            )
        self.is_loss: bool = False

    def values(self, params: dict[str, Any]) -> list[np.ndarray]:
        """The parameters as NumPy arrays, copied; bfloat16 as float32."""
        return [_array(params[name]).copy() for name in self.paths]

    def with_values(self, params: dict[str, Any], values: list[np.ndarray]) -> dict[str, Any]:
        """Other parameters, in the old ones' types and places; what is equal is left alone."""
        import torch

        new = dict(params)
        for name, value in zip(self.paths, values, strict=True):
            old = params[name]
            if not np.array_equal(_array(old), value):
                new[name] = torch.as_tensor(value).to(dtype=old.dtype, device=old.device)
        return new

    def report(self, params: dict[str, Any]) -> Report:
        """What :func:`examine_torch` returns, of these parameters: tensors by name."""
        import torch

        notes = not_finite("parameter", self.paths, self.values(params))
        tensors = [_array(tensor) for tensor in _tensors(self._batch)]
        names = [f"tensor {place}" for place in range(len(tensors))]
        notes += not_finite("the batch's", names, tensors)
        leaves = {
            name: params.get(name, parameter).detach().clone().requires_grad_(name in self.paths)
            for name, parameter in self.parameters.items()
        }
        # dropout draws the same each time, and the caller's generator goes on as if nothing were
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(0)
            run = _Run(self._traced, self._program)
            outputs = run(leaves, self._batch)
            output, others = _one_tensor(outputs)
            if others:
                notes.append(f"the first of {others + 1} outputs is taken")
            value = self._pulled(output)
            made = [z for site in run.made for z in site]
            gradients = iter(torch.autograd.grad(value, made, allow_unused=True))
            del made
        back = {}
        for number, site in enumerate(run.made):
            units = self._program.reading.sites[number].units
            found = [_back(units, z, next(gradients)) for z in site]
            back[number] = np.stack(found) if len(found) > 1 else found[0]
        found = {number: _together(uses) for number, uses in enumerate(run.found)}
        layers = layers_of(self._program.reading, self.paths, (found, run.gates), back)
        return Report(
            layers=tuple(layers),
            loss=float(value.detach()) if self.is_loss else float("nan"),
            notes=tuple(notes + self._notes),
            examination=self,
            params=params,
        )

    def _pulled(self, output):
        """The number that gradients are taken of."""
        import torch

        if self._loss is not None:
            value = self._loss(output, self._batch)
            if getattr(value, "shape", None) != ():
                shape = tuple(getattr(value, "shape", ()))
                told = (
                    f"a tensor of shape {shape}; the nearest is its mean" if shape else repr(value)
                )
                raise ValueError(f"loss must give a tensor of one number, not {told}")
            self.is_loss = True
            return value
        if not output.shape:
            self.is_loss = True
            return output
        along = torch.as_tensor(direction(tuple(output.shape)), device=output.device)
        return (output.float() * along).sum() / output.shape[0]


class _Run:
    """One run of a program: what its sites make, by which gradients are taken, and measures."""

    def __init__(self, traced, program: Program):
        self._traced, self._program = traced, program
        self.made = [[] for _ in program.reading.sites]  # tensors, one for each use
        self.found = [[] for _ in program.reading.sites]  # what was measured of each use
        self.gates = {}

    def __call__(self, leaves: dict, batch) -> list:
        """The module's outputs."""
        import torch

        program, values = self._program, {}
        given = {**self._traced.constants, **self._traced.state_dict, **leaves}
        inputs, graph = iter(_flat(batch)), self._traced.graph
        last_use = {one: node for node in graph.nodes for one in node.all_input_nodes}
        for node in graph.nodes:
            if node.op == "placeholder":
                name = program.names.get(node.name)
                values[node] = given[name] if name is not None else next(inputs)
            elif node.op == "get_attr":
                values[node] = getattr(self._traced.graph_module, node.target)
            elif node.op == "call_function":
                arguments = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
                values[node] = self._called(node, *arguments)
            else:  # the output, at the end
                made = {one.name: values[one] for one in node.all_input_nodes}
                return [made[name] for name in program.outputs if name in made]
            for one in node.all_input_nodes:
                if last_use[one] is node:  # what nobody asks for any more is not kept
                    del values[one]
        raise ValueError("the program that torch.export traced has no output")

    def _called(self, node, args, kwargs):
        program = self._program
        if node in program.gates:
            number = program.gates[node]
            function = program.reading.gates[number].function
            self.gates[number] = np.asarray(_gate(function, _array(args[0])))
        use = program.uses.get(node)
        if use is None:
            return node.target(*args, **kwargs)
        z, bias = use.product(node.target, args, kwargs)
        self.made[use.number].append(z)
        given, weight = _array(args[use.data]), _array(args[use.weight])
        units = program.reading.sites[use.number].units
        self.found[use.number].append(jax.device_get(_forward(units, given, weight, _array(z))))
        return z if bias is None else z + bias


def _traced(module, batch):
    """The module's program, without effects, and with recurrent networks step by step."""
    import torch
    from torch._decomp import get_decompositions

    aten = torch.ops.aten
    recurrent = [aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input]
    table, known = get_decompositions(recurrent), torch.export.default_decompositions()
    for packet in (aten.lstm_cell, aten.gru_cell, aten.rnn_tanh_cell, aten.rnn_relu_cell):
        table[packet.default] = known[packet.default]
    table |= {aten.einsum.default: known[aten.einsum.default], aten.bilinear.default: _bilinear}
    arguments = batch if isinstance(batch, tuple) else () if isinstance(batch, dict) else (batch,)
    named = batch if isinstance(batch, dict) else None
    shapes = ", ".join(
        f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
        for tensor in _tensors(batch)
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns of its own parts
            traced = torch.export.export(module, tuple(arguments), named, strict=False)
            return traced.run_decompositions(table)
    except Exception as error:  # whatever the module, or PyTorch's tracing, raises
        raise ValueError(
            "examine_torch needs a module that torch.export can trace; on a batch of"
            f" {shapes or 'no tensors'} that ended in {said(error)}"
        ) from error


def _bilinear(one, other, weight, bias=None):
    """A linear function of the products of all pairs of entries."""
    import torch

    pairs = (one.unsqueeze(-1) * other.unsqueeze(-2)).flatten(-2)
    return torch.nn.functional.linear(pairs, weight.flatten(1), bias)


def _flat(batch) -> list:
    """All that a batch holds, in the order in which a traced program asks for it."""
    from torch.utils import _pytree

    return _pytree.tree_flatten(batch)[0]


def _tensors(batch) -> list:
    return [leaf for leaf in _flat(batch) if hasattr(leaf, "is_floating_point")]


def _array(tensor) -> np.ndarray:
    """In NumPy, which knows no bfloat16: as float32 then."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _one_tensor(outputs: list):
    """The tensor that is pulled at, and how many others there are."""
    tensors = [one for one in outputs if hasattr(one, "is_floating_point") and one.requires_grad]
    if not tensors:
        raise TypeError("module must give a tensor, or a loss, that depends on its parameters")
    return tensors[0], len(tensors) - 1


def _back(units, z, gradient) -> np.ndarray:
    """What is measured of a gradient; where there is none, zeros are what passes."""
    passed = np.zeros(tuple(z.shape), np.float32) if gradient is None else _array(gradient)
    return np.asarray(_backward(units, passed))


def _together(uses: list[dict]) -> dict:
    """What was measured of each use of a weight, side by side; a single one as it is."""
    if len(uses) == 1:
        return uses[0]
    return {name: np.stack([use[name] for use in uses]) for name in uses[0]}
