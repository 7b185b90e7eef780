"""Factors on the way from a term to its sum, and the numbers that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convex_init_core.graph.nodes import Constant, Node
from convex_init_core.reading.parts import Factor

if TYPE_CHECKING:
    from convex_init_core.convexity.calculus import Value
    from convex_init_core.theory.moments import FeatureMoments


@dataclass(frozen=True)
class Numbers:
    """What numbers stand behind the nodes of a graph, as far as the framework can say.

    Attributes:
        moments_of: mean and mean square of a constant; :meth:`Framework.moments`.
        measured: moments of a node on the example inputs, for those that no weight of a plan changes.
    """

    moments_of: Callable[[Constant], tuple[float, float] | None] | None = None
    measured: Callable[[Node], FeatureMoments | None] | None = None
    _known: dict[Node, tuple[float, float] | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of_constant(self, node: Node) -> tuple[float, float] | None:
        """Return mean and mean square of a fixed node; ``None`` if they cannot be read."""
        if node.number is not None:
            return node.number, node.number**2
        if node.constant is None or self.moments_of is None:
            return None
        return self.moments_of(node.constant)

    def of(self, node: Node) -> tuple[float, float] | None:
        """Return mean and mean square of a node that does not depend on the convex inputs."""
        if node not in self._known:
            self._known[node] = self._found(node)
        return self._known[node]

    def _found(self, node: Node) -> tuple[float, float] | None:
        if node.is_fixed:
            return self.of_constant(node)
        found = None if self.measured is None else self.measured(node)
        return None if found is None else (found.mean, found.second)


def scaling(node: Node, values: Mapping[Node, Value], numbers: Numbers) -> tuple[Node, Factor] | None:
    """For a product or quotient with what does not depend on the convex inputs: the other part, and the factor.

    Where the numbers are gone (on a meta device), a factor counts as 1, or as −1 if it is known not to be positive.
    """
    if node.name == "negate":
        return node.inputs[0], Factor(-1.0, 1.0, -1.0)
    if node.name not in ("multiply", "divide"):
        return None
    data, other = node.inputs
    if not values[other].is_constant and node.name == "multiply":
        data, other = other, data
    if values[data].is_constant or not values[other].is_constant:
        return None
    mean, second = numbers.of(other) or _of_sign(values[other])
    if node.name == "divide":
        if mean == 0.0:
            return None
        mean, second = 1.0 / mean, 1.0 / second
    return data, Factor(mean, second, mean if _is_literal(other) else 1.0)


def _of_sign(value: Value) -> tuple[float, float]:
    return (-1.0 if value.sign.is_non_positive else 1.0), 1.0


def _is_literal(node: Node) -> bool:
    """Whether a node is one number that is neither learnt nor dependent on context."""
    return node.number is not None and not node.parameters
