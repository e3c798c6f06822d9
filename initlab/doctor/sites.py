"""Where a traced program multiplies by its parameters.

A *site* is a linear operation, ``dot_general`` or ``conv_general_dilated``, of which one side is
made of parameters alone and the other depends on the batch. A *gate* is a tanh or a logistic
function of what sites made, unless it multiplies what it was made of, as in silu and gelu: those
are flat on one side by design. Reading a program finds both, inside ``jit``, ``scan``, ``cond``,
``remat`` and custom derivatives; ``measuring`` then runs it and measures there.
"""

import copy
import dataclasses
import math
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

from jax.extend import core

_GATES = ("tanh", "logistic")
_CHOICES = ("select_n", "gather", "dynamic_slice")
#: equations that hold a program, and under what name; a checkpoint was once called remat2
_HOLDS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "scan": "jaxpr",
}
_shape = operator.attrgetter("aval.shape")  # of a program's variable


class Known(NamedTuple):
    """What a program's variable is made of."""

    leaves: frozenset[int] = frozenset()  # parameters, by their place in the flat tree
    data: bool = False  # whether it depends on the batch
    stacked: bool = False  # whether it is another slice of the parameters in every turn of a scan
    sites: frozenset[int] = frozenset()  # those that it came from without passing another one
    chosen: frozenset[int] = frozenset()  # parameters of which the batch chose parts

    def __or__(self, other: "Known") -> "Known":
        return Known(
            self.leaves | other.leaves,
            self.data or other.data,
            self.stacked or other.stacked,
            self.sites | other.sites,
            self.chosen | other.chosen,
        )


@dataclasses.dataclass(frozen=True)
class Site:
    """A linear operation that touches a parameter."""

    operation: str
    leaves: tuple[int, ...]
    shape: tuple[int, ...]  # of the weight, where it is used
    weight: int  # which operand it is
    units: tuple[int, ...]  # axes of the output that count units
    turns: tuple[int, ...]  # lengths of the scans around it
    order: tuple[int | None, ...]  # equations on the way to it, and None for each scan's turn
    stacked: bool  # whether each turn has its own slice of the parameters
    size: int  # numbers in the output
    count: int  # units
    dtype: str  # of the output
    sources: tuple[int, ...]  # the sites that its input comes from


@dataclasses.dataclass(frozen=True)
class Gate:
    """A tanh or logistic function of what some sites made."""

    function: str
    sites: tuple[int, ...]
    turns: tuple[int, ...]


@dataclasses.dataclass
class Reading:
    """What was found in a program, and where: ``plans`` go beside a program's equations."""

    sites: list[Site] = dataclasses.field(default_factory=list)
    gates: list[Gate] = dataclasses.field(default_factory=list)
    hidden: set[str] = dataclasses.field(default_factory=set)  # what cannot be looked into
    #: parameters of which the batch chooses what it is multiplied by, as in a mixture of experts
    chosen: set[int] = dataclasses.field(default_factory=set)
    #: site -> parameters that are added to what it makes
    biases: dict[int, set[int]] = dataclasses.field(default_factory=dict)


class Plan(NamedTuple):
    """What is to be done at the equations of one program: by index, nothing for all others."""

    sites: dict[int, int]  # equation -> number of the site
    gates: dict[int, int]
    inner: dict[int, tuple["Plan", ...]]  # equation -> plans of the programs that it holds

    def __bool__(self) -> bool:
        return bool(self.sites or self.gates or self.inner)

    def numbers(self) -> tuple[set[int], set[int]]:
        """All sites and all gates in this program, and in those that it holds."""
        sites, gates = set(self.sites.values()), set(self.gates.values())
        for plans in self.inner.values():
            for plan in plans:
                inner_sites, inner_gates = plan.numbers()
                sites, gates = sites | inner_sites, gates | inner_gates
        return sites, gates

    def gates_at(self, index: int) -> frozenset[int]:
        """The gates of an equation, or in the programs that it holds."""
        own = {self.gates[index]} if index in self.gates else set()
        return frozenset(own.union(*(plan.numbers()[1] for plan in self.inner.get(index, ()))))

    def drop(self, gate: int) -> None:
        """Measure a gate no more."""
        for index, number in list(self.gates.items()):
            if number == gate:
                del self.gates[index]
        for plans in self.inner.values():
            for plan in plans:
                plan.drop(gate)


def inner_programs(equation: core.JaxprEqn) -> list[core.ClosedJaxpr]:
    """The programs that an equation holds, and that can be looked into."""
    name, params = equation.primitive.name, equation.params
    if name == "cond":
        return list(params["branches"])
    held = [params[_HOLDS[name]]] if name in _HOLDS else []
    return [one if isinstance(one, core.ClosedJaxpr) else core.ClosedJaxpr(one, ()) for one in held]


def scan_inputs(equation: core.JaxprEqn, given: list[Any]) -> tuple[list[Any], ...]:
    """What a scan is given: what stays, what turns hand on, and what each has a slice of."""
    turn = inner_programs(equation)[0].jaxpr  # told by shapes, since JAX 0.12 gives no counts
    whole = sum(map(operator.eq, map(_shape, equation.invars), map(_shape, turn.invars)))
    carried = sum(map(operator.eq, map(_shape, equation.outvars), map(_shape, turn.outvars)))
    return given[: whole - carried], given[whole - carried : whole], given[whole:]


class Origins:
    """Of what a value is a function entry by entry, and which gates it has passed since then."""

    def __init__(self):
        self._of = {}  # variable -> (the variable that it is a function of, gates)

    def __getitem__(self, variable: Any) -> tuple[Any, frozenset[int]]:
        return self._of.get(variable, (variable, frozenset()))

    def follow(self, out: Any, values: list[Any], gates: frozenset[int]) -> None:
        """``out`` is made entry by entry of ``values``, through gates: maybe all of one thing."""
        origins = {self[variable][0] for variable in values}
        if len(origins) == 1:
            self._of[out] = origins.pop(), gates.union(*(self[one][1] for one in values))

    def self_gates(self, factors: list[Any]) -> frozenset[int]:
        """Gates that are multiplied by what they were made of, where these are the factors."""
        if len(factors) != 2:
            return frozenset()
        (one, its), (other, others) = (self[variable] for variable in factors)
        return its ^ others if one is other else frozenset()


def read(
    jaxpr: core.Jaxpr,
    known: Iterable[Known],
    reading: Reading,
    turns: tuple[int, ...] = (),
    way: tuple[int | None, ...] = (),
) -> tuple[list[Known], Plan]:
    """Find the sites and gates of a program, of whose inputs it is known what they are made of.

    Returns what its outputs are made of, and a :class:`Plan`. ``turns`` are the lengths of the
    scans around it, ``way`` the equations that lead to it.
    """
    made, origins = dict(zip(jaxpr.invars, known, strict=True)), Origins()
    plan = Plan({}, {}, {})

    def of(variable) -> Known:
        return Known() if isinstance(variable, core.Literal) else made.get(variable, Known())

    for index, equation in enumerate(jaxpr.eqns):
        given = [of(variable) for variable in equation.invars]
        union = Known()
        for one in given:
            union |= one
        name, programs = equation.primitive.name, inner_programs(equation)
        if name in _CHOICES:
            union |= Known(chosen=_chosen(name, given))
        outs = [union] * len(equation.outvars)
        site = _site(equation, given, turns, (*way, index))
        if site is not None:
            plan.sites[index] = len(reading.sites)
            outs = [Known(data=True, sites=frozenset([len(reading.sites)]))]
            reading.sites.append(site)
        elif name == "dot_general":
            reading.chosen |= union.chosen
        elif name in _GATES and union.sites:
            plan.gates[index] = len(reading.gates)
            reading.gates.append(Gate(name, tuple(sorted(union.sites)), turns))
        elif name == "add" and not all(one.data for one in given):
            added = next(one for one in given if not one.data)
            for number in union.sites:
                reading.biases.setdefault(number, set()).update(added.leaves)
        elif programs:
            outs, plans = _read_inner(equation, programs, given, reading, turns, (*way, index))
            if any(plans):
                plan.inner[index] = plans
        elif union.data and union.leaves and name in ("while", "shard_map", "pmap"):
            reading.hidden.add(name)
        values = [one for one, its in zip(equation.invars, given, strict=True) if its.data]
        for number in origins.self_gates(values) if name == "mul" else ():
            plan.drop(number)
            reading.gates[number] = dataclasses.replace(reading.gates[number], sites=())
        shapes = {_shape(variable) for variable in (*values, *equation.outvars)}
        if site is None and len(shapes) == len(equation.outvars) == 1:
            origins.follow(equation.outvars[0], values, plan.gates_at(index))
        made.update(zip(equation.outvars, outs, strict=True))
    return [of(variable) for variable in jaxpr.outvars], plan


def _read_inner(equation, programs, given, reading, turns, way):
    if equation.primitive.name == "cond":
        outs, plans = [], []
        for program in programs:
            found, plan = read(program.jaxpr, given[1:], reading, turns, way)
            outs = [a | b for a, b in zip(outs, found, strict=True)] if outs else found
            plans.append(plan)
        return outs, tuple(plans)
    if equation.primitive.name != "scan":
        outs, plan = read(programs[0].jaxpr, given, reading, turns, way)
        return outs, (plan,)
    program, (fixed, carry, slices) = programs[0].jaxpr, scan_inputs(equation, given)
    slices = [one._replace(stacked=True) if one.leaves else one for one in slices]
    turns, way = (*turns, equation.params["length"]), (*way, None)
    while True:  # a turn's carry is made of what the turn before made of it
        inputs = [*fixed, *carry, *slices]
        outs, _ = read(program, inputs, copy.deepcopy(reading), turns, way)
        grown = [a | b for a, b in zip(carry, outs, strict=False)]
        if grown == carry:
            break
        carry = grown
    outs, plan = read(program, inputs, reading, turns, way)
    return [*carry, *outs[len(carry) :]], (plan,)


def _chosen(name: str, given: list[Known]) -> frozenset[int]:
    """The parameters of which an equation hands on what the batch chooses."""
    which, options = (given[:1], given[1:]) if name == "select_n" else (given[1:], given[:1])
    if not any(one.data for one in which):
        return frozenset()
    return frozenset().union(*(one.leaves for one in options if not one.data))


def _site(equation, given: list[Known], turns, order) -> Site | None:
    name = equation.primitive.name
    if name not in ("dot_general", "conv_general_dilated"):
        return None
    weights = [place for place in (0, 1) if given[place].leaves and not given[place].data]
    if len(weights) != 1 or not given[1 - weights[0]].data:
        return None
    weight = weights[0]
    if name == "dot_general":
        units = _product_units(equation, weight)
    else:
        if weight == 0:
            return None  # a batch of kernels over an image that is a parameter
        units = (equation.params["dimension_numbers"].out_spec[1],)
    known = given[weight]
    shape = tuple(_shape(equation.invars[weight]))
    out = equation.outvars[0].aval
    return Site(
        operation=name,
        leaves=tuple(sorted(known.leaves)),
        shape=shape,
        weight=weight,
        units=units,
        turns=turns,
        order=order,
        stacked=known.stacked,
        size=out.size,
        count=math.prod(out.shape[axis] for axis in units),
        dtype=out.dtype.name,
        sources=tuple(sorted(given[1 - weight].sites)),
    )


def _product_units(equation, weight: int) -> tuple[int, ...]:
    """The output's axes that come from the weight: those of a batch of products, and its own."""
    contracted, batched = equation.params["dimension_numbers"]
    batch = len(batched[0])
    free = [len(_shape(equation.invars[side])) - len(contracted[side]) - batch for side in (0, 1)]
    start = batch if weight == 0 else batch + free[0]
    return (*range(batch), *range(start, start + free[weight]))
