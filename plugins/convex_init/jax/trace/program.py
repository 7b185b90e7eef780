"""A jaxpr as one flat list of steps: calls are inlined, short loops unrolled and branches that are known taken.

Whatever depends on constants alone is evaluated on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from convex_init.jax.trace.arguments import is_of_a_library, source_of
from convex_init_core.graph.nodes import Source
from convex_init_core.graph.programs.program import Program, Slot

LONGEST_LOOP = 64  # steps that are unrolled; each is a copy of the loop's body in the graph

# Primitives that run a jaxpr once, on their own arguments, with the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "composite": "jaxpr",
}

# Primitives that ask code outside of JAX, or draw from a state of their own, and say nothing of it by their effects.
_OUTSIDE = frozenset(("pure_callback", "ffi_call", "rng_uniform"))
_CHANGES = "has effects beyond its results, or runs code outside of JAX"


# Parameters that say on which device, in which order or with what promises something is computed, and nothing of what.
_TECHNICAL = {
    *("accuracy", "sharding", "out_sharding", "indices_are_sorted", "unique_indices", "is_stable", "weak_type"),
    "ctx_mesh",
}


@dataclass(frozen=True, eq=False)
class Step:
    """One primitive operation; see :class:`convex_init_core.graph.programs.program.Step`."""

    primitive: Any
    params: dict[str, Any]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    module: str
    changes: str
    source: Source | None = None

    @property
    def name(self) -> str:
        """Of the primitive."""
        return str(self.primitive.name)

    @property
    def options(self) -> set[str]:
        """Names of the parameters that may change what is computed."""
        return {key for key, value in self.params.items() if value is not None} - _TECHNICAL

    def option(self, name: str) -> Any:
        """Return a parameter."""
        return self.params.get(name)

    def evaluate(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the results for some arguments."""
        made = self.primitive.bind(*arrays, **self.params)
        return list(made) if self.primitive.multiple_results else [made]


def flat(closed: Any, numbers: Sequence[Any]) -> Program:
    """Return a closed jaxpr as one flat list of steps.

    Args:
        closed: what ``jax.make_jaxpr`` returns.
        numbers: the arguments that are the same for every input; ``None`` for others.
    """
    slots = [slot_of(var.aval, number) for var, number in zip(closed.jaxpr.invars, numbers, strict=True)]
    program = Program(slots)
    program.outputs = _inline(program, closed, slots, "", None)
    return program


def slot_of(aval: Any, number: Any = None) -> Slot:
    """Return a place for an array of this shape and dtype."""
    return Slot(tuple(aval.shape), str(aval.dtype), number)


def _inline(program: Program, closed: Any, arguments: Sequence[Slot], module: str, caller: Source | None) -> list[Slot]:
    """Add the steps of a jaxpr; those of a function of JAX count as made by its ``caller``."""
    jaxpr = closed.jaxpr
    slots: dict[Any, Slot] = dict(zip(jaxpr.invars, arguments, strict=True))
    for var, array in zip(jaxpr.constvars, closed.consts, strict=True):
        slots[var] = slot_of(var.aval, None if isinstance(array, jax.core.Tracer) else array)

    def read(atom: Any) -> Slot:
        return slot_of(atom.aval, atom.val) if isinstance(atom, Literal) else slots[atom]

    for equation in jaxpr.eqns:
        inputs = tuple(map(read, equation.invars))
        where = _joined(module, equation)
        inner = _body(equation, inputs)
        source = caller or source_of(equation)
        if inner is None:
            results = _step(program, equation, inputs, where, source)
        else:
            is_known = is_of_a_library(inner[0].jaxpr)
            results = _inline(program, *inner, where, source if is_known else caller)
        slots.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _body(equation: Any, inputs: tuple[Slot, ...]) -> tuple[Any, Sequence[Slot]] | None:
    """Return the jaxpr that an equation runs once, with its arguments; ``None`` if it is a single operation."""
    name, params = equation.primitive.name, equation.params
    if (key := _CALLS.get(name)) is not None and key in params:
        return _closed(params[key]), inputs
    if name == "scan" and params["length"] <= LONGEST_LOOP:
        return _unrolled(params, inputs), inputs
    if name == "cond" and inputs[0].number is not None:
        index = min(max(int(inputs[0].number), 0), len(params["branches"]) - 1)
        return params["branches"][index], inputs[1:]
    return None


def _closed(jaxpr: Any) -> Any:
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())


def _unrolled(params: dict[str, Any], inputs: Sequence[Slot]) -> Any:
    body, length = jaxpr_as_fun(params["jaxpr"]), params["length"]
    constants, carried = params["num_consts"], params["num_carry"]

    def run(*arrays: Any) -> list[Any]:
        fixed, carry, rows = arrays[:constants], arrays[constants:][:carried], arrays[constants + carried :]
        made: list[Any] = [None] * length
        for index in range(length - 1, -1, -1) if params["reverse"] else range(length):
            results = body(*fixed, *carry, *(row[index] for row in rows))
            carry, made[index] = results[:carried], results[carried:]
        stacked = [jnp.stack(parts) for parts in zip(*made, strict=True)]
        if not length:
            shapes = params["jaxpr"].out_avals[carried:]
            stacked = [jnp.zeros((0, *aval.shape), aval.dtype) for aval in shapes]
        return [*carry, *stacked]

    return jax.make_jaxpr(run)(*(jax.ShapeDtypeStruct(slot.shape, slot.dtype) for slot in inputs))


def _step(program: Program, equation: Any, inputs: tuple[Slot, ...], module: str, source: Source | None) -> list[Slot]:
    outputs = [slot_of(var.aval) for var in equation.outvars]
    changes = _CHANGES if equation.effects or _asks_outside(equation) else ""
    step = Step(equation.primitive, equation.params, inputs, tuple(outputs), module, changes, source)
    if outputs and not step.changes and all(slot.number is not None for slot in inputs):
        for slot, number in zip(outputs, step.evaluate([slot.number for slot in inputs]), strict=True):
            slot.number = number
    program.steps.append(step)
    return outputs


def _asks_outside(equation: Any) -> bool:
    """Whether an equation, or one inside of it, asks code outside of JAX."""
    if equation.primitive.name in _OUTSIDE:
        return True
    held = (part for value in equation.params.values() for part in (value if isinstance(value, tuple) else (value,)))
    inner = (part.jaxpr if isinstance(part, ClosedJaxpr) else part for part in held)
    return any(_asks_outside(one) for jaxpr in inner if isinstance(jaxpr, Jaxpr) for one in jaxpr.eqns)


def _joined(module: str, equation: Any) -> str:
    """Return the path of a module: names of scopes, without those of transformations such as ``vmap``."""
    stack = getattr(equation.source_info.name_stack, "stack", ())
    names = [entry.name for entry in stack if type(entry).__name__ == "Scope"]
    return ".".join(filter(None, [module, *(name.replace("/", ".") for name in names)]))
