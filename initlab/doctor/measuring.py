"""A traced program, run as it is, and measured where it multiplies by its parameters.

What comes back through a site is measured by an identity whose "derivative" by a dummy argument is
the measures: so nothing is stored that a step of training would not store, inside a scan neither.
"""

import collections
import functools
import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from initlab import measures
from initlab.activations import FLAT_SHARE
from initlab.doctor.sites import Plan, Reading, inner_programs, scan_inputs

ROWS = 256  # examples or positions, by which neurons are told apart
BACKWARD = ("gradient_second_moment", "gradient_exponent", "dead_fraction")
#: from where on a gate's slope, 1 / cosh(z)^2 or 1 / (2 cosh(z / 2))^2, is flat
_FLAT = {
    "tanh": math.acosh(FLAT_SHARE**-0.5),
    "logistic": 2 * math.acosh(FLAT_SHARE**-0.5),
}


def slots(reading: Reading) -> dict[int, jax.Array]:
    """Room for what is measured backward: ``[*turns, 3]`` for each site."""
    return {
        number: jnp.zeros((*site.turns, len(BACKWARD)), jnp.float32)
        for number, site in enumerate(reading.sites)
    }


# --- what is measured --------------------------------------------------------------------------


def by_unit(x: jax.Array, units: tuple[int, ...]) -> jax.Array:
    """``[rows, units]`` of an output in float32."""
    count = math.prod(x.shape[axis] for axis in units)
    x = jnp.moveaxis(x, units, range(x.ndim - len(units), x.ndim))
    return x.astype(jnp.float32).reshape(-1, count)


def _some(rows):
    """At most ``ROWS`` of the rows, spread evenly."""
    return rows[:: -(-len(rows) // ROWS)]


def _size(x) -> dict:
    """Second moment, with its exponent apart, and whether all is finite."""
    flat = x.astype(jnp.float32).reshape(len(x) if x.ndim else 1, -1)
    near_1, exponent, finite = measures.normalized(flat)
    return {"second_moment": measures.mean(near_1**2), "exponent": exponent, "finite": finite}


def forward(
    units: tuple[int, ...], given: jax.Array, weight: jax.Array, z: jax.Array
) -> dict[str, jax.Array]:
    """Of what a site reads, of its weight, and of what it makes."""
    rows = by_unit(z, units)
    near_1, exponent, finite = measures.normalized(rows)
    some = _some(near_1)
    spread = jnp.sqrt(jnp.mean((some - jnp.mean(some, axis=0)) ** 2))
    read = {f"input_{name}": value for name, value in _size(given).items()}
    return read | {
        "second_moment": measures.mean(near_1**2),
        "exponent": exponent,
        "finite": finite,
        "distinct_neurons": measures.distinct_neurons(some, jnp.zeros_like(some)),
        # over the examples: what is left of their differences
        "spread": spread * measures.power_of_two(exponent),
        "weight_second_moment": jnp.mean(weight.astype(jnp.float32) ** 2),
    }


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _observed(units, z, slot):
    """``z``; the derivative by ``slot`` is what is measured of the derivative by ``z``."""
    return z


def _keep(units, z, slot):
    return z, None


def backward(units: tuple[int, ...], gradient: jax.Array) -> jax.Array:
    """Of the gradient by what a site makes: the measures named in ``BACKWARD``, ``[3]``."""
    rows = by_unit(gradient, units)
    near_1, exponent, _ = measures.normalized(rows)
    found = {
        "gradient_second_moment": measures.mean(near_1**2),
        "gradient_exponent": exponent,
        "dead_fraction": jnp.mean(jnp.all(near_1 == 0, axis=0)),
    }
    return jnp.stack([jnp.asarray(found[name], jnp.float32) for name in BACKWARD])


def _measure_back(units, _, gradient):
    return gradient, backward(units, gradient)


_observed.defvjp(_keep, _measure_back)


def gate(function: str, z: jax.Array) -> jax.Array:
    """The share of a gate's input that lies where it is flat."""
    return jnp.mean(jnp.abs(z) >= _FLAT[function], dtype=jnp.float32)


# --- the run -----------------------------------------------------------------------------------


def run(
    jaxpr: core.Jaxpr,
    consts: Iterable[Any],
    plan: Plan,
    reading: Reading,
    values: Iterable[Any],
    slots: dict[int, Any],
) -> tuple[list[Any], tuple[dict[int, Any], dict[int, Any]]]:
    """A program's outputs, and ``(by site, by gate)`` dicts of what was measured on the way."""
    made = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *values), strict=True))
    sites, gates = {}, {}

    def of(variable):
        return variable.val if isinstance(variable, core.Literal) else made[variable]

    for index, equation in enumerate(jaxpr.eqns):
        given = [of(variable) for variable in equation.invars]
        if index in plan.inner:
            outs, (inner_sites, inner_gates) = _run_inner(
                equation, plan.inner[index], reading, given, slots
            )
            sites, gates = sites | inner_sites, gates | inner_gates
        else:
            outs = _as_it_is(jaxpr, equation)(*given)
        if index in plan.gates:
            number = plan.gates[index]
            gates[number] = gate(reading.gates[number].function, given[0])
        if index in plan.sites:
            number = plan.sites[index]
            site = reading.sites[number]
            sites[number] = forward(site.units, given[1 - site.weight], given[site.weight], outs[0])
            outs = [_observed(site.units, outs[0], slots[number])]
        made.update(zip(equation.outvars, outs, strict=True))
    return [of(variable) for variable in jaxpr.outvars], (sites, gates)


def _as_it_is(jaxpr: core.Jaxpr, equation):
    """A function of what an equation is given: a program of that equation alone."""
    variables = [core.Var(variable.aval) for variable in equation.invars]
    alone = jaxpr.replace(
        constvars=[],
        invars=variables,
        outvars=equation.outvars,
        eqns=[equation.replace(invars=variables)],
        effects=equation.effects,
        debug_info=jaxpr.debug_info.with_unknown_names(),
    )
    return core.jaxpr_as_fun(core.ClosedJaxpr(alone, ()))


def _run_inner(equation, plans: tuple[Plan, ...], reading, given, slots):
    name, programs = equation.primitive.name, inner_programs(equation)

    def inside(place, values, slots):
        program = programs[place]
        return run(program.jaxpr, program.consts, plans[place], reading, values, slots)

    if name == "scan":
        return _scan(equation, plans[0], given, slots, functools.partial(inside, 0))
    if name == "cond":
        return _branch(plans, given, slots, inside)
    if name in ("checkpoint", "remat2"):
        policy, prevent_cse = (equation.params.get(key) for key in ("policy", "prevent_cse"))
        again = jax.checkpoint(functools.partial(inside, 0), policy=policy, prevent_cse=prevent_cse)
        return again(given, slots)
    return inside(0, given, slots)


def _scan(equation, plan: Plan, given, slots, inside):
    params, (fixed, carry, slices) = equation.params, scan_inputs(equation, given)
    carried = len(carry)
    here, _ = plan.numbers()

    def turn(carry, place):
        slices, slots = place
        outs, found = inside([*fixed, *carry, *slices], slots)
        return outs[:carried], (outs[carried:], found)

    own = {number: slots[number] for number in here}
    carry, (stacked, found) = lax.scan(
        turn,
        carry,
        (slices, own),
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*carry, *stacked], found


def _branch(plans, given, slots, inside):
    """Where a branch does not meet a site, nothing is measured there: NaN."""
    chosen, *values = given

    def of(place):
        return lambda values, slots: inside(place, values, slots)

    shapes = [jax.eval_shape(of(place), values, slots)[1] for place in range(len(plans))]
    by_site, by_gate = zip(*shapes, strict=True)
    everything = collections.ChainMap(*by_site), collections.ChainMap(*by_gate)

    def full(place):
        def branch(values, slots):
            outs, found = inside(place, values, slots)
            nothing = tuple(jax.tree.map(_nothing, dict(kind)) for kind in everything)
            return outs, tuple(none | some for none, some in zip(nothing, found, strict=True))

        return branch

    return lax.switch(chosen, [full(place) for place in range(len(plans))], values, slots)


def _nothing(like):
    empty = np.nan if jnp.issubdtype(like.dtype, jnp.floating) else 0
    return jnp.full(like.shape, empty, like.dtype)
