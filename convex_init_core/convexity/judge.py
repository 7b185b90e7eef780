"""Judge a graph: what the calculus of convexity knows of each of its nodes, and the certificate for its outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core import checks
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Value
from convex_init_core.convexity.certificate import Certificate, verdict_on
from convex_init_core.convexity.context_bounds import with_sign
from convex_init_core.convexity.inputs.dependence import dependence
from convex_init_core.convexity.inputs.names import input_names, shown_inputs
from convex_init_core.convexity.inputs.parts import Part
from convex_init_core.convexity.on_a_grid import composite
from convex_init_core.convexity.one_number.proof import proven
from convex_init_core.convexity.rules import leaves
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Graph, Kind, Node
from convex_init_core.graph.precision import bits_of

if TYPE_CHECKING:
    from convex_init_core.framework import Framework


def judge(
    graph: Graph,
    convex_inputs: Mapping[str, Part | None] | Iterable[str] | None = None,
    *,
    assume_non_negative: Collection[str] = (),
    assume_within: Mapping[str, tuple[float, float]] | None = None,
    overwritten: Collection[str] = (),
    on_a_grid: bool = False,
    framework: Framework | None = None,
    revise: Callable[[Node, Value], Value] | None = None,
) -> Values:
    """Return what is known of every node of a graph.

    Args:
        graph: of one run.
        convex_inputs: names of the inputs in which convexity is asked, jointly; by default all. The others are context,
            of which nothing is assumed. A mapping says which part of each is meant; the rest of it is context.
        assume_non_negative: names of parameters that are taken to be non-negative, whatever numbers they hold now; so
            is what is computed from them, as far as the rules carry that on.
        assume_within: likewise names of parameters, with the interval that is taken to hold their numbers.
        overwritten: names of parameters that will be drawn anew, so that NaN or infinite numbers in them, or in what is
            computed from them, say nothing.
        on_a_grid: whether element-wise functions of which the calculus knows nothing are judged by their values on a
            grid. That is no proof.
        framework: to ask for numbers of constants; without one, what needs them is not known.
        revise: is given each node but the convex inputs, with what is known of it, and returns what is to be taken for
            it: to go on behind a value of which nothing is known, or to assume more. What follows is no proof.

    Raises:
        ValueError: if a name in ``convex_inputs`` is none of the inputs, or a part has no elements.
    """
    assumed = {**dict.fromkeys(assume_non_negative, (0.0, math.inf)), **(assume_within or {})}
    values = Values(framework, assumed, overwritten)
    learn_inputs(graph, convex_inputs, values)
    order: dict[Node, int] = {}
    for node in graph:
        order[node] = len(order)
        if node in values:
            continue
        value = value_of(node, values, order, on_a_grid=on_a_grid)
        values.learn(node, value if revise is None else revise(node, value))
    return values


def learn_inputs(graph: Graph, convex_inputs: Mapping[str, Part | None] | Iterable[str] | None, values: Values) -> None:
    """Let ``values`` know the convex inputs of a graph, and what is made of context.

    Raises:
        ValueError: if a name in ``convex_inputs`` is none of the inputs, or a part has no elements.
    """
    parts = _parts(graph, convex_inputs)
    values.asked, values.extremes_drop_nan = tuple(parts), graph.extremes_drop_nan
    for name in parts:
        values.learn(graph.inputs[name], calculus.variable(name))
    values.context = _context(graph, parts, values)


def value_of(node: Node, values: Values, order: Mapping[Node, int], *, on_a_grid: bool = False) -> Value:
    """Return what is known of a node.

    Args:
        node: any but a convex input.
        values: of the nodes before it.
        order: places of the nodes in the graph.
        on_a_grid: whether element-wise functions are judged on a grid, too; that is no proof.
    """
    value = _value(node, values)
    if node in values.context and not value.is_constant:
        value = calculus.constant(value.sign, label="a part of an input that is context")
    value = with_sign(node, value, values)
    if value.curvature is Curvature.UNKNOWN and node.op.element_wise and node.kind is Kind.FLOATING:
        value = proven(node, values, order) or value
    if on_a_grid and value.curvature is Curvature.UNKNOWN:
        value = composite(node, values, order) or value
    return value


def _parts(graph: Graph, convex_inputs: Mapping[str, Part | None] | Iterable[str] | None) -> Mapping[str, Part | None]:
    """The part of each convex input; ``None`` stands for all of it."""
    named = list(graph.inputs) if convex_inputs is None else convex_inputs
    if not isinstance(named, Mapping):
        named = dict.fromkeys([named] if isinstance(named, str) else named)
    names = input_names(named, graph.inputs, graph.other_names)
    return dict(zip(names, named.values(), strict=True))


def _context(graph: Graph, parts: Mapping[str, Part | None], values: Values) -> frozenset[Node]:
    """The nodes that are made of context although they come from an input of which some elements are convex."""
    if not any(parts.values()):
        return frozenset()
    nodes = {name: graph.inputs[name] for name in parts}
    masks = {
        nodes[name]: np.ones(nodes[name].shape, bool) if part is None else part.mask(name, nodes[name].shape)
        for name, part in parts.items()
    }
    found = dependence(graph, masks, values.numbers)
    return frozenset(node for node, mask in found.items() if not node.is_fixed and not mask.any())


def _value(node: Node, values: Values) -> Value:
    if node.is_fixed:
        return leaves.fixed(node, values)
    if node.name == "input":
        return leaves.context(node, values)
    if any(part.kind is Kind.COMPLEX for part in (node, *node.inputs)):
        return leaves.refused(node, values, "has complex numbers, for which there is no rule")
    if node.kind is not Kind.FLOATING and node.inputs:
        return leaves.whole_numbers(node, values)
    if _is_narrower(node, values):
        if bits_of(node.dtype) is None:
            return leaves.refused(node, values, f"rounds to {node.dtype}, which leaves a staircase")
        note = f"{node.at} rounds to {node.dtype}; the answer holds up to that rounding"
        if note not in values.notes:
            values.notes.append(note)
    if node.op.convexity is None:
        return leaves.refused(node, values, "has no rule")
    return node.op.convexity(node, values)


def _is_narrower(node: Node, values: Values) -> bool:
    """Whether a result is rounded to a narrower type than what moves it has: by a cast, or a product that says so."""
    types = {part.dtype for part in node.inputs if part.kind is Kind.FLOATING and not values[part].is_constant}
    after = bits_of(node.dtype)
    return any(after is None or after < (bits_of(before) or 0) for before in types - {node.dtype})


def certificate_of(graph: Graph, values: Values, outputs: Iterable[str] | None = None) -> Certificate:
    """Return the certificate that the outputs of a graph earn, without a search for a counterexample.

    Args:
        graph: of one run.
        values: what :func:`judge` found, without a grid and without assumptions.
        outputs: which are asked for, by their place in the result; by default all that hold floating-point numbers.

    Raises:
        ValueError: if a named output does not exist.
    """
    names = graph.floating if outputs is None else checks.names("outputs", outputs)
    for name in names:
        if name not in graph.outputs:
            known = ", ".join(graph.outputs) or "no tensor"
            raise ValueError(f"outputs names {name!r}, but the model returns {known}")
    found = {name: values[graph.outputs[name]] for name in names}
    made = verdict_on(found, [*graph.doubts, *graph.risks], _distinct(graph.notes, values.notes))
    remedy = remedy_of(graph, values)
    return made if made or not remedy else replace(made, reasons=(*made.reasons, remedy))


def remedy_of(graph: Graph, values: Values) -> str:
    """Say what else may be asked, where a model is not known to be convex; nothing if there is nothing plain."""
    if graph.instead:
        return graph.instead
    if len(values.asked) < 2 or len(values.asked) < len(graph.inputs):
        return ""
    known = shown_inputs(values.asked, graph.other_names)
    return f"it is asked of its inputs {known} jointly: name those in which it is to be convex in convex_inputs="


def _distinct(*lists: Iterable[str]) -> Iterator[str]:
    yield from dict.fromkeys(item for part in lists for item in part)
