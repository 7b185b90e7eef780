"""From the weight that an operation multiplies with, back to the parameter behind it and the map between the two."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from convex_init_core.convexity.rules.element_wise import claim_of
from convex_init_core.graph.function_of_one import FunctionOfOne, between
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.walks import parts_first
from convex_init_core.reading.factors import Numbers
from convex_init_core.weights.numerical_map import NumericalMap
from convex_init_core.weights.positivity import Positivity, Softplus, as_positivity

_COMPARED = 20.0  # up to here a map is compared with those that have a name


@dataclass(frozen=True)
class Traced:
    """What lies between a parameter and the weight.

    Attributes:
        source: the parameter's name.
        positivity: the map, ``None`` if the weight is the parameter itself.
        factor: by which the weight is multiplied outside of any map, for a weight without one.
    """

    source: str
    positivity: Positivity | None
    factor: float = 1.0


class NoMap(ValueError):
    """What lies between a parameter and a weight is no map from one raw number to one weight."""


def trace(weight: Node, numbers: Numbers | None = None) -> Traced:
    """Follow a fixed weight back to its parameter.

    Of several parameters, as in ``softplus(W) · gain``, the largest is the weight, the others are gains, which count
    with their present values. A function of single numbers that has no name is known by its values, if it is monotone
    and non-negative.

    Args:
        weight: a fixed node that is computed from parameters.
        numbers: of the gains; those that are one number each are known anyway.

    Raises:
        NoMap: if what lies between is no such map.
    """
    numbers = numbers or Numbers()
    scale, slope, offset = 1.0, 1.0, 0.0  # around the map, and inside it
    through: Positivity | None = None
    outermost = weight  # without the factors around it
    while weight.name != "parameter":
        name = weight.name
        parts = [part for part in weight.inputs if part.parameters]
        if not parts:
            raise NoMap(f"its weight is made by {_called(weight)}, which is no known positivity map")
        main = max(parts, key=lambda part: part.size)
        distinct = len(dict.fromkeys(parts))
        is_scaled = name in ("multiply", "divide") and not (len(parts) == 2 and distinct == 1)
        if is_scaled and (through is not None or _is_factor(weight, main)):
            number = _slope(weight, main) if through is not None else _gain(weight, main, numbers)
            if number is None or number <= 0.0:
                return _without_name(outermost, scale, weight)
            factor = number if name == "multiply" else 1.0 / number
            scale, slope = (scale * factor, slope) if through is None else (scale, slope * factor)
            outermost = main if through is None else outermost
        elif name in ("add", "subtract") and through is not None:
            number = _shift(weight, main)
            if number is None:
                return _without_name(outermost, scale, weight)
            offset += slope * number
        elif distinct > 1 or is_scaled:
            return _without_name(outermost, scale, weight)
        elif not weight.op.moves:
            found = _named_map(weight)
            is_again = (slope, offset) == (1.0, 0.0) and through == found
            if found is None or not (through is None or (is_again and found.name in ("relu", "abs"))):
                return _without_name(outermost, scale, weight)
            through = found
        weight = main
    source = weight.parameters[0]
    if through is None:
        return Traced(source, None, scale)
    return Traced(source, replace(through, scale=scale, slope=slope, offset=offset))


def _is_factor(weight: Node, main: Node) -> bool:
    """Whether a product or quotient scales ``main`` by what is no function of the same parameter."""
    other = _other(weight, main)
    is_upside_down = weight.name == "divide" and weight.inputs[0] is not main
    return not is_upside_down and not set(other.parameters) & set(main.parameters)


def _gain(weight: Node, main: Node, numbers: Numbers) -> float | None:
    """The positive number by which a product or quotient scales ``main``: the mean of a tensor of positive numbers."""
    other = _other(weight, main)
    if other.bounds is None or other.bounds[0] <= 0.0:
        return None
    found = numbers.of_constant(other)
    return None if found is None or found[0] <= 0.0 else found[0]


def _other(weight: Node, main: Node) -> Node:
    return weight.inputs[1] if weight.inputs[0] is main else weight.inputs[0]


def _slope(weight: Node, main: Node) -> float | None:
    """The number by which a product or quotient scales ``main`` inside a map."""
    return _other(weight, main).number if _is_factor(weight, main) else None


def _shift(weight: Node, main: Node) -> float | None:
    """The number that a sum or difference adds to ``main`` inside a map."""
    other = _other(weight, main)
    is_turned = weight.name == "subtract" and weight.inputs[0] is not main
    if other.number is None or is_turned or set(other.parameters) & set(main.parameters):
        return None
    return other.number if weight.name == "add" else -other.number


def _named_map(node: Node) -> Positivity | None:
    name = node.name
    if name in ("relu", "exp", "square", "abs"):
        return as_positivity(name)
    if name == "multiply" or (name == "power" and node.inputs[1].number == 2.0):
        return as_positivity("square")
    if name == "maximum" and any(part.number == 0.0 and not part.parameters for part in node.inputs):
        return as_positivity("relu")
    if name == "threshold" and node.params["at"] == node.params["value"] == 0.0:
        return as_positivity("relu")
    if name == "log_add_exp" and any(part.number == 0.0 and not part.parameters for part in node.inputs):
        return as_positivity("softplus")
    if name == "softplus" and claim_of(name, **node.params).convex:  # else it jumps where it becomes the identity
        return Softplus(beta=node.params["beta"])
    return None


def _without_name(outermost: Node, scale: float, at: Node) -> Traced:
    """Take what lies behind a weight by its values.

    Args:
        outermost: the weight without the factors around it.
        scale: these factors.
        at: the node from which on the named maps know no further.
    """
    leaves = _leaves(outermost)
    is_one = len(leaves) == 1
    if is_one:
        try:
            function = between(leaves[0], outermost)
        except ValueError:
            function = None
        if function is not None:
            try:
                return Traced(leaves[0].parameters[0], named_or_numerical(function, scale))
            except ValueError as error:
                raise NoMap(str(error)) from None
    if _is_normalised(outermost):
        raise NoMap(
            "its weight is normalised by a value that is made of itself, so it is no function of one raw number; "
            "initialise it yourself, and leave it out with exclude="
        )
    if not is_one:
        made_of = ", ".join(repr(name) for name in outermost.parameters)
        raise NoMap(
            f"its weight is made of {made_of} by {_called(at)}, which is not known; initialise it before that "
            "is put on it (such as a weight norm), or leave it out with exclude="
        )
    if at.name in ("multiply", "divide"):
        raise NoMap(f"its weight is scaled by {_called(at)} in a way that is not known")
    raise NoMap(f"its weight goes through {_called(at)}, which is no known positivity map")


def named_or_numerical(function: FunctionOfOne, scale: float) -> Positivity:
    """Return the map that a function is: by name, if it has the values of one that has a name."""
    grid, values = function.on_grid
    rise = float((values[-1] - values[-2]) / (grid[-1] - grid[-2]))
    kept = np.isfinite(values) & (np.abs(grid) <= _COMPARED)
    grid, values = grid[kept], values[kept]
    if grid.size and values.min() >= 0.0 and values[-1] > 0.0:
        candidates = [as_positivity(name) for name in ("relu", "exp", "square", "abs")]
        at_zero = float(function(np.zeros(1))[0])
        if at_zero > 0.0 and 0.0 < rise < math.inf:  # c · softplus(βs) is c · ln 2 / β at 0, and rises by c in the end
            candidates.append(Softplus(beta=float(f"{math.log(2.0) * rise / at_zero:.9g}")))
        for candidate in candidates:
            expected = candidate.value(grid, np)
            ratio = float(values[-1] / expected[-1]) if expected[-1] > 0.0 else 0.0
            if ratio > 0.0 and np.allclose(values, ratio * expected, rtol=1e-9, atol=1e-12):
                return candidate.scaled(scale * float(f"{ratio:.12g}"))
    return NumericalMap(scale, function=function)


def main_parameter(weight: Node) -> str:
    """Return the largest of the parameters that a weight is made of, whatever lies between."""
    return max(_leaves(weight), key=lambda leaf: leaf.size).parameters[0]


def _leaves(weight: Node) -> list[Node]:
    order = parts_first(weight, lambda node: (part for part in node.inputs if part.parameters))
    return [node for node in order if node.name == "parameter"]


def _is_normalised(weight: Node) -> bool:
    """Whether numbers of a parameter are multiplied with, or divided by, what is made of the same parameter."""
    for node in parts_first(weight, lambda node: (part for part in node.inputs if part.parameters)):
        if node.name in ("multiply", "divide") and set(node.inputs[0].parameters) & set(node.inputs[1].parameters):
            return True
    return False


def _called(node: Node) -> str:
    """What the framework calls an operation."""
    return node.place.operation or node.name
