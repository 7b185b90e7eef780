"""A jaxpr as one flat list of steps: calls are inlined, short loops unrolled and branches that are known taken.

Whatever depends on constants alone is evaluated on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

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


@dataclass(eq=False, slots=True)
class Slot:
    """A place for one array: an argument, a constant or a result.

    Attributes:
        aval: its shape and dtype.
        number: the array, if it is the same for every input and can be computed.
        literal: whether it stands in the code.
    """

    aval: Any
    number: Any = None
    literal: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.aval.shape)

    @property
    def dtype(self) -> str:
        """Name of the type of its elements."""
        return str(self.aval.dtype)


@dataclass(frozen=True, eq=False)
class Step:
    """One primitive operation: where its arguments are, and where its results go.

    Attributes:
        primitive: of JAX.
        params: its parameters.
        inputs: places of its arguments.
        outputs: places of its results.
        module: scope in which it stands.
        has_effects: whether its results may be others next time, for the same arguments.
    """

    primitive: Any
    params: dict[str, Any]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    module: str
    has_effects: bool

    @property
    def name(self) -> str:
        """Of the primitive."""
        return str(self.primitive.name)

    def evaluate(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the results for some arguments."""
        made = self.primitive.bind(*arrays, **self.params)
        return list(made) if self.primitive.multiple_results else [made]


@dataclass(eq=False)
class Program:
    """A function as a flat list of steps, with places for its arguments and results."""

    inputs: list[Slot]
    outputs: list[Slot] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def flat(closed: Any, numbers: Sequence[Any]) -> Program:
    """Return a closed jaxpr as one flat list of steps.

    Args:
        closed: what ``jax.make_jaxpr`` returns.
        numbers: the arguments that are the same for every input; ``None`` for others.
    """
    slots = [Slot(var.aval, number) for var, number in zip(closed.jaxpr.invars, numbers, strict=True)]
    program = Program(slots)
    program.outputs = _inline(program, closed, slots, "")
    return program


def _inline(program: Program, closed: Any, arguments: Sequence[Slot], module: str) -> list[Slot]:
    jaxpr = closed.jaxpr
    slots: dict[Any, Slot] = dict(zip(jaxpr.invars, arguments, strict=True))
    for var, array in zip(jaxpr.constvars, closed.consts, strict=True):
        slots[var] = Slot(var.aval, None if isinstance(array, jax.core.Tracer) else array, literal=True)

    def read(atom: Any) -> Slot:
        return Slot(atom.aval, atom.val, literal=True) if isinstance(atom, Literal) else slots[atom]

    for equation in jaxpr.eqns:
        inputs = tuple(map(read, equation.invars))
        where = _joined(module, equation)
        inner = _body(equation, inputs)
        results = _step(program, equation, inputs, where) if inner is None else _inline(program, *inner, where)
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

    return jax.make_jaxpr(run)(*(jax.ShapeDtypeStruct(slot.aval.shape, slot.aval.dtype) for slot in inputs))


def _step(program: Program, equation: Any, inputs: tuple[Slot, ...], module: str) -> list[Slot]:
    outputs = [Slot(var.aval) for var in equation.outvars]
    changes = bool(equation.effects) or _asks_outside(equation)
    step = Step(equation.primitive, equation.params, inputs, tuple(outputs), module, changes)
    if outputs and not step.has_effects and all(slot.number is not None for slot in inputs):
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
