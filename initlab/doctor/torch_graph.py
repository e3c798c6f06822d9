"""Where a program that ``torch.export`` traced multiplies by its parameters.

The program is a flat list of calls, in which recurrent networks stand step by step. A site is a
weight, however often it is used: uses of one weight are what turns of a loop are in JAX. Sites and
gates are those of :mod:`initlab.doctor.sites`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from initlab.doctor.sites import Gate, Known, Origins, Reading, Site

_PLACES = {"linear": (0, 1, 2), "matmul": (0, 1, None), "mm": (0, 1, None), "bmm": (0, 1, None)}
_PLACES |= {
    f"conv{kind}{dimensions}d": (0, 1, 2) for kind in ("", "_transpose") for dimensions in (1, 2, 3)
}
_PLACES |= {"convolution": (0, 1, 2), "addmm": (1, 2, None)}  # a bias in addmm is part of z
_GATES = {"tanh": "tanh", "sigmoid": "logistic"}
_RIGHT_OR_LEFT = ("matmul", "mm", "bmm")
#: calls that put a matrix of parameters beside the batch, or look up its rows, and multiply nothing
_NO_PRODUCTS = ("cat", "stack", "getitem", "index", "index_select", "gather", "embedding")
_NO_PRODUCTS += ("layer_norm", "native_layer_norm", "rms_norm")


class Use(NamedTuple):
    """A call that multiplies by a weight, and the places of what it is given."""

    number: int  # of the site
    data: int
    weight: int
    bias: int | None

    def product(
        self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Any]:
        """What the call makes before its bias; and the bias, in a shape to be added, if any."""
        if self.bias is None or len(args) <= self.bias or args[self.bias] is None:
            return target(*args, **kwargs), None
        bias = args[self.bias]
        args = (*args[: self.bias], None, *args[self.bias + 1 :])
        z = target(*args, **kwargs)
        spatial = args[self.weight].dim() - 2  # of a kernel; a matrix has none
        return z, bias.reshape(-1, *[1] * spatial)


@dataclasses.dataclass
class Program:
    """What was found in a traced program, by its nodes."""

    reading: Reading
    #: names of the parameters that count; ``leaves`` of a site are places among them
    parameters: list[str]
    #: placeholder -> name of a parameter, buffer or constant
    names: dict[str, str]
    #: names of the nodes that are the module's outputs
    outputs: tuple[str, ...]
    uses: dict[Any, Use] = dataclasses.field(default_factory=dict)  # node -> Use
    gates: dict[Any, int] = dataclasses.field(default_factory=dict)  # node -> number of the gate


def read_graph(traced: Any, own: dict[str, str], trained: set[str]) -> Program:
    """Find the sites and gates of a ``torch.export.ExportedProgram``.

    ``own`` gives, for each name of a parameter, the first name of the same one: some are tied.
    ``trained`` are the names of those that count.
    """
    signature = traced.graph_signature
    kinds = {spec.arg.name: spec for spec in signature.input_specs}
    first_names = (own[name] for name in signature.inputs_to_parameters.values())
    parameters = [name for name in dict.fromkeys(first_names) if name in trained]
    names = {
        str(name): str(own.get(spec.target, spec.target))
        for name, spec in kinds.items()
        if spec.target is not None
    }
    outputs = tuple(str(name) for name in signature.user_outputs)
    program = Program(Reading(), parameters, names, outputs)
    reader = _Reader(program)
    for index, node in enumerate(traced.graph.nodes):
        if node.op == "placeholder":
            name, user = names.get(node.name), node.name in signature.user_inputs
            leaves = [parameters.index(name)] if name in parameters else []
            reader.known[node] = Known(frozenset(leaves), data=user)
        elif node.op == "call_function":
            reader.read(index, node)
    for added in program.reading.biases.values():
        added -= reader.multiplied
    return program


class _Reader:
    """What is known of each node so far."""

    def __init__(self, program: Program):
        self._program = program
        self.known = {}  # node -> Known
        self._origins = Origins()
        self._numbers = {}  # (weight's node, kind of call) -> site
        #: parameters that anything is multiplied by, be it a state of zeros: no biases
        self.multiplied = set()

    def _of(self, argument) -> Known:
        return self.known.get(argument, Known()) if hasattr(argument, "op") else Known()

    def read(self, index: int, node) -> None:
        """Take up the next call."""
        program, reading = self._program, self._program.reading
        nodes = node.all_input_nodes
        given = [self._of(one) for one in nodes]
        union = Known()
        for one in given:
            union |= one
        name = _name(node)
        use = self._use(index, node, name)
        if use is not None:
            program.uses[node] = use
            self.known[node] = Known(data=True, sites=frozenset([use.number]))
            return
        if name in _GATES and union.sites:
            program.gates[node] = len(reading.gates)
            reading.gates.append(Gate(_GATES[name], tuple(sorted(union.sites)), ()))
        elif name == "add" and not all(one.data for one in given):
            added = next(one for one in given if not one.data)
            for number in union.sites:
                reading.biases.setdefault(number, set()).update(added.leaves)
        elif _unread(node, name, nodes, given):
            reading.hidden.add(name)
        self.known[node] = union
        self._follow(node, name, nodes, given)

    def _follow(self, node, name: str, nodes: list, given: list[Known]) -> None:
        values = [one for one, its in zip(nodes, given, strict=True) if its.data]
        for number in self._origins.self_gates(values) if name == "mul" else ():
            reading = self._program.reading
            reading.gates[number] = dataclasses.replace(reading.gates[number], sites=())
            self._program.gates = {k: v for k, v in self._program.gates.items() if v != number}
        shapes = {_shape(one) for one in (*values, node)}
        if len(shapes) == 1 and None not in shapes:
            own = [self._program.gates[node]] if node in self._program.gates else []
            self._origins.follow(node, values, frozenset(own))

    def _use(self, index: int, node, name: str) -> Use | None:
        """What a call is, if it multiplies something that depends on the batch by a weight."""
        if name not in _PLACES:
            return None
        data, weight, bias = _PLACES[name]
        known = [self._of(argument) for argument in node.args]
        if name in _RIGHT_OR_LEFT and known[weight].data:
            data, weight = weight, data
        read, matrix = known[data], known[weight]
        self.multiplied |= matrix.leaves
        if matrix.data or not (read.data and matrix.leaves):
            return None
        reading = self._program.reading
        key = node.args[weight], name
        if key not in self._numbers:
            self._numbers[key] = len(reading.sites)
            reading.sites.append(_site(index, node, name, data, weight, matrix))
        number = self._numbers[key]
        site = reading.sites[number]
        turns = 1 + sum(other.number == number for other in self._program.uses.values())
        reading.sites[number] = dataclasses.replace(
            site,
            turns=() if turns == 1 else (turns,),
            sources=tuple(sorted({*site.sources, *read.sites})),
        )
        if bias is not None and len(node.args) > bias and node.args[bias] is not None:
            leaves = self.known[node.args[bias]].leaves
            reading.biases.setdefault(number, set()).update(leaves)
        return Use(number, data, weight, bias)


def _site(index: int, node, name: str, data: int, weight: int, matrix: Known) -> Site:
    z, shape = node.meta["val"], tuple(node.args[weight].meta["val"].shape)
    last = z.dim() - 1
    if name in _RIGHT_OR_LEFT:
        own = last if weight else last - 1
        units = (*range(len(shape) - 2), own) if len(shape) > 1 else ()  # a vector has one unit
    else:
        units = (last - (len(shape) - 2),)  # before a kernel's positions, if it is one
    return Site(
        operation="conv" if "conv" in name else "dot",
        leaves=tuple(sorted(matrix.leaves)),
        shape=shape,
        weight=weight,
        units=units,
        turns=(),
        order=(index,),
        stacked=False,
        size=z.numel(),
        count=math.prod(z.shape[axis] for axis in units),
        dtype=str(z.dtype).removeprefix("torch."),
        sources=(),
    )


def _unread(node, name: str, nodes: list, given: list[Known]) -> bool:
    """Whether a call may multiply by parameters in a way that is not known here."""
    if not any(one.data for one in given) or not any(one.leaves for one in given):
        return False
    if name in _NO_PRODUCTS:
        return False
    if not hasattr(node.target, "_schema"):
        return True  # a loop or a branch, with programs of its own
    matrices = (
        its.leaves and not its.data and len(_shape(one) or ()) > 1
        for one, its in zip(nodes, given, strict=True)
    )
    pointwise = any(tag.name == "pointwise" for tag in node.target.tags)
    return any(matrices) and not pointwise


def _name(node) -> str:
    """Such as ``linear`` of ``aten.linear.default``."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return getattr(packet, "__name__", str(packet))


def _shape(node):
    return getattr(node.meta.get("val"), "shape", None)
