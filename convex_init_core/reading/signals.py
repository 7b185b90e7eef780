"""Moments of every value of a graph, from those of the sums that are decided so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from convex_init_core.graph.nodes import Node
from convex_init_core.graph.walks import parts_first
from convex_init_core.reading.factors import Numbers, scaling
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.parts import Factor, Reading
from convex_init_core.signal.signal_moments import activated, added, concatenated, pre_activation, scaled
from convex_init_core.theory.moments import FeatureMoments

_JOINS = ("concatenate", "stack", "join")
_PASSED = ("dropout", "pad")


class Signals:
    """Moments of values.

    Attributes:
        decided: moments of the sums, by their roots; to be filled in the order of the signal.
        correlation: ρ* that a batch normalisation is assumed to keep.
    """

    def __init__(
        self, reading: Reading, feeding: Feeding, numbers: Numbers | None = None, correlation: float = 0.5
    ) -> None:
        """Start with nothing decided.

        Args:
            reading: whose values are asked for.
            feeding: which activations stand in it.
            numbers: that are known of its nodes.
            correlation: ρ*.
        """
        self.values, self.feeding, self.numbers = reading.values, feeding, numbers or Numbers()
        self.correlation = correlation
        self.decided: dict[Node, FeatureMoments] = {}
        self.weighted: Mapping[Node, bool] = reading.weighted()
        self._known: dict[Node, tuple[FeatureMoments, str]] = {}

    def of(self, node: Node) -> tuple[FeatureMoments, str]:
        """Return the moments of a value, and the operation that the theory does not know on the way; empty if none."""
        for part in parts_first(node, self._parts, self._known):
            if part not in self.decided:
                self._known[part] = self._computed(part)
        return self._get(node)

    def _get(self, node: Node) -> tuple[FeatureMoments, str]:
        return (self.decided[node], "") if node in self.decided else self._known[node]

    def _parts(self, node: Node) -> tuple[Node, ...]:
        """The values that are needed for that of a node."""
        if node in self.decided or self._measured(node) is not None:
            return ()
        found = self.feeding.activation_at(node)
        if found is not None:
            return (found[1],)
        if self._is_passed(node):
            return (self.feeding.passed_by(node),)
        if node.name in (*_JOINS, "add", "subtract"):
            return node.inputs
        scales = scaling(node, self.values, self.numbers)
        if scales is not None:
            return (scales[0],)
        if node.name == "batch_norm" or not node.inputs:
            return ()
        return (self.feeding.passed_by(node),)

    def _computed(self, node: Node) -> tuple[FeatureMoments, str]:
        measured = self._measured(node)
        if measured is not None:
            return measured, ""
        if node.name == "input" or node.is_fixed:
            return pre_activation(0.0, 1.0, self.correlation), ""
        found = self.feeding.activation_at(node)
        if found is not None:
            phi, taken, scale = found
            signal, doubt = self._get(taken)
            try:
                moments = activated(phi, signal)
            except ValueError:  # turns too sharp for the quadrature
                return signal, doubt or node.label
            return (moments if scale == 1.0 else scaled(moments, scale)), doubt
        if self._is_passed(node):
            return self._get(self.feeding.passed_by(node))
        if node.name in _JOINS:
            parts = [(float(part.size), *self._get(part)) for part in node.inputs]
            return concatenated([(size, moments) for size, moments, _ in parts]), _first(doubt for *_, doubt in parts)
        if node.name in ("add", "subtract"):
            return self._sum(node)
        scales = scaling(node, self.values, self.numbers)
        if scales is not None:
            signal, doubt = self._get(scales[0])
            return as_factor(scales[1], signal), doubt
        if node.name == "batch_norm":
            return pre_activation(0.0, 1.0, self.correlation), ""
        signal = self._get(self.feeding.passed_by(node))[0] if node.inputs else pre_activation()
        return signal, node.label

    @staticmethod
    def _is_passed(node: Node) -> bool:
        return bool(node.inputs) and (node.op.moves or node.name in _PASSED)

    def _sum(self, node: Node) -> tuple[FeatureMoments, str]:
        first, second = map(self._get, node.inputs)
        other = scaled(second[0], -1.0) if node.name == "subtract" else second[0]
        return added([first[0], other]), first[1] or second[1]

    def _measured(self, node: Node) -> FeatureMoments | None:
        """Moments of what no weight of a plan changes, if its numbers are known."""
        if self.weighted.get(node, True):
            return None
        if node.is_fixed:
            numbers = self.numbers.of_constant(node)
            if numbers is not None:
                mean, second = numbers
                return FeatureMoments(mean, second, max(second - mean**2, 0.0), 0.0)
        return None if self.numbers.measured is None else self.numbers.measured(node)


def as_factor(factor: Factor, signal: FeatureMoments) -> FeatureMoments:
    """Return the moments of a value times a factor."""
    return signal if factor.mean == factor.second == 1.0 else scaled(signal, factor.mean, factor.second)


def _first(doubts: Iterable[str]) -> str:
    return next((doubt for doubt in doubts if doubt), "")
