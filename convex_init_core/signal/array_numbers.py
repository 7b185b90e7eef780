"""What the port tells of numbers, for frameworks whose arrays can be read as arrays of NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core.signal.signal_moments import measured
from convex_init_core.theory.moments import FeatureMoments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convex_init_core.framework import Visit
    from convex_init_core.graph.nodes import Constant, Node


class ArrayNumbers:
    """A part of :class:`convex_init_core.framework.Framework`; a framework adds what reads its arrays.

    Attributes:
        has_inputs: see :class:`convex_init_core.framework.Framework`.
    """

    has_inputs: bool

    def __init__(self) -> None:
        """Nothing is measured yet."""
        self._moments: dict[Node, FeatureMoments | None] = {}

    # Of the framework

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        raise NotImplementedError

    def present(self, name: str) -> NDArray[np.float64]:
        """Return the present numbers of a parameter."""
        raise NotImplementedError

    def nodes_like(self, node: Node) -> Sequence[Node]:
        """Return the nodes that a run may measure together with this one."""
        raise NotImplementedError

    def run(self, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        raise NotImplementedError

    # Of all

    def moments(self, constant: Constant) -> tuple[float, float] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        numbers = self.numbers(constant)
        if numbers is None or not numbers.size:
            return None
        return float(numbers.mean()), float(np.square(numbers).mean())

    def measured(self, node: Node) -> FeatureMoments | None:
        """See :class:`convex_init_core.framework.Framework`."""
        if node.constant is not None:
            numbers = self.numbers(node.constant)
            return None if numbers is None else measured(numbers)
        if not self.has_inputs:
            return None
        if node not in self._moments:
            nodes = self.nodes_like(node)
            self._moments |= dict.fromkeys([node, *nodes])
            self.run(nodes, self._measure)
        return self._moments[node]

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        numbers = self.numbers(constant)
        if numbers is None or stop <= start:
            return None
        part = numbers.take(range(start, stop), axis)
        return float(part.min()), float(part.max())

    def mean(self, name: str) -> float:
        """See :class:`convex_init_core.framework.Framework`."""
        return float(self.present(name).mean())

    def spread(self, name: str) -> tuple[float, float]:
        """See :class:`convex_init_core.framework.Framework`."""
        numbers = self.present(name)
        return float(numbers.mean()), float(numbers.var())

    def _measure(self, node: Node, values: NDArray[np.float64]) -> None:
        self._moments[node] = measured(values)
