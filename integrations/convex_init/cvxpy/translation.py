"""From the graph of a model to expressions of cvxpy, node by node, in the order of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convex_init.cvxpy.looks import Looks
from convex_init.cvxpy.parts.combination import Combination, Numbers, Places, joined, missing, numbers
from convex_init.cvxpy.parts.expressions import Expressions, NotExpressibleError
from convex_init.cvxpy.parts.maps import places_of
from convex_init.cvxpy.rules.functions import FUNCTIONS, Rule, is_even, signed, size_of
from convex_init.cvxpy.rules.groups import GROUPS
from convex_init.cvxpy.rules.linear import LINEAR
from convex_init.cvxpy.rules.tamed import TAMED, logarithm
from convex_init.cvxpy.rules.written_out import written_out
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Graph, Node, Op
from convex_init_core.graph.ops import OPS

RULES: dict[str, Rule] = {**LINEAR, **FUNCTIONS, **GROUPS, **TAMED}
"""By operation; those that are missing are not expressible by themselves."""


class Translation:
    """The values of the nodes of a graph, as combinations of vectors.

    Args:
        graph: of one run on one example.
        values: what the calculus of convexity knows of its nodes.
        given: for the inputs in which it is convex, what stands for them.
        looks: for numbers, and for what the parameters of an operation do not tell.

    Attributes:
        made: of expressions.
        order: places of the nodes in the graph.
    """

    def __init__(self, graph: Graph, values: Values, given: Mapping[Node, Combination], looks: Looks) -> None:
        """Translate nothing yet."""
        self.graph, self.values, self.looks = graph, values, looks
        self.made = Expressions()
        self.order = {node: place for place, node in enumerate(graph)}
        self._found: dict[Node, Combination] = dict(given)
        self._varying: dict[Node, bool] = dict.fromkeys(given, True)
        for node in graph:
            if node not in self._varying:
                self._varying[node] = not node.is_fixed and any(map(self.is_varying, node.inputs))

    def of(self, node: Node) -> Combination:
        """Return the value of a node; one that has no form in cvxpy is a vector that says so where it is used."""
        if node not in self._found:  # in the order of the graph, so that no deep network is followed by recursion
            for before in self.graph if node in self.order else (node,):
                if before not in self._found:
                    try:
                        found = self._translated(before)
                    except NotExpressibleError as error:
                        found = missing(str(error), before.size)
                    self._found[before] = found
                    self._varying[before] = not found.is_fixed  # a part of an input that is context is fixed
                if before is node:
                    break
        return self._found[node]

    def _translated(self, node: Node) -> Combination:
        if node.inputs:
            self._varying[node] = not node.is_fixed and any(map(self.is_varying, node.inputs))
        if not self.is_varying(node):
            return self._fixed(node)
        rule = RULES.get(node.name)
        try:
            if rule is None:
                why = f": {node.params['why']}" if node.name == "opaque" else ""
                raise NotExpressibleError(f"{node.at} has no form in cvxpy{why}")
            return rule(self, node)
        except NotExpressibleError:
            found = written_out(self, node)
            if found is None:
                raise
            return found

    def _fixed(self, node: Node) -> Combination:
        found = self.looks.numbers(node)
        if found is not None:
            return numbers(found)
        if node.op.numpy is not None and node.op.element_wise:
            parts = [self.of(part).offset.reshape(part.shape) for part in node.inputs]
            with np.errstate(all="ignore"):
                return numbers(np.broadcast_to(node.op.numpy(*parts, **node.params), node.shape))
        rule = RULES.get(node.name)
        if rule is None or not node.inputs:
            raise NotExpressibleError(f"{node.at} has numbers that cannot be read")
        return rule(self, node)

    # What rules ask for

    def is_varying(self, node: Node) -> bool:
        """Whether a value depends on the variables."""
        return self._varying.get(node, False)

    def number_of(self, node: Node) -> Numbers | None:
        """Return the numbers of a value that depends on no variable."""
        return None if self.is_varying(node) else self.of(node).offset.reshape(node.shape)

    def places_in(self, part: Node, node: Node) -> Places:
        """Return where the elements of an array are found in one that is broadcast to it."""
        return np.broadcast_to(places_of(part.shape), node.shape)

    def spread_value(self, value: Combination, part: Node, node: Node) -> Combination:
        """Return a value of the shape of one array, broadcast to that of another."""
        return value if part.shape == node.shape else value.take(self.places_in(part, node))

    def spread(self, part: Node, node: Node, *, power: float | None = None) -> Combination:
        """Return the value of a node, broadcast to the shape of another.

        Args:
            part: the node.
            node: the other.
            power: to which it is raised, so that its size may do, or has to be known to be non-negative.
        """
        value = self.of(part)
        if power is not None and is_even(power):
            value = size_of(self, part)
        elif power not in (None, 0.0, 1.0) and not value.is_fixed and not value.is_affine:
            value = signed(self, part, value)
        return self.spread_value(value, part, node)

    def by_rows(
        self,
        value: Combination,
        fixed: Any,
        varying: Callable[[Combination], Combination],
        of_numbers: Callable[[Numbers], Numbers],
    ) -> Combination:
        """Apply a function to the elements that depend on a variable, and to the numbers of the others."""
        if fixed.all():
            return numbers(of_numbers(value.offset))
        still, moving = np.flatnonzero(fixed), np.flatnonzero(~fixed)
        both = joined([numbers(of_numbers(value.offset[still])), varying(value.take(moving))])
        return both.take(np.argsort(np.concatenate([still, moving])))

    def logarithm(self, node: Node) -> Combination | None:
        """Return the logarithm of a value, if it is known as a combination."""
        return logarithm(self, node)

    def rule(self, name: str) -> Rule:
        """Return the rule of an operation."""
        return RULES[name]

    def op(self, name: str) -> Op:
        """Return an operation."""
        return OPS[name]
