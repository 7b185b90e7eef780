"""Make the nodes of a graph, with their places and what is constant about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from torch import Tensor

from convex_init.torch.trace import constants
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.ops import OPS

_LEAVES = ("input", "parameter", "buffer")
# These have the numbers of their input, all of them and no others.
_SAME_NUMBERS = ("reshape", "transpose", "broadcast")


@cache
def name_of(dtype: Any) -> str:
    """Return the name of a torch type as the graph has it: ``"float32"``."""
    return str(dtype).removeprefix("torch.")


class Builder:
    """A graph that grows.

    Attributes:
        graph: so far.
        source: file and line of the user's code that runs, where they are known.
    """

    def __init__(self, graph: Graph) -> None:
        """Start with a graph that has no nodes yet."""
        self.graph = graph
        self.source: tuple[str, int] | None = None
        self._made: Counter[tuple[str, str]] = Counter()

    def emit(
        self,
        operation: str,
        inputs: Sequence[Node] = (),
        params: Mapping[str, Any] | None = None,
        *,
        name: str,
        module: str,
        shape: Sequence[int] = (),
        dtype: str = "float32",
        tensor: Tensor | None = None,
        may_be_fixed: bool = True,
        constant: Constant | None = None,
    ) -> Node:
        """Add a node and return it; it is a constant if all of its inputs are.

        Args:
            operation: of the core.
            inputs: of the node.
            params: of the operation.
            name: of torch's operation, for the place.
            module: in which it was made.
            shape: of the array.
            dtype: its name.
            tensor: that it is, if it is one that torch made; gives shape and dtype.
            may_be_fixed: whether it is a constant if all of its inputs are.
            constant: if it is one without inputs.
        """
        if tensor is not None and tensor.is_nested:
            at = Place(name, module).shown(self.source)
            raise ValueError(
                f"{at} makes a nested tensor, which has no shape to reason with; make a padded one "
                "in its place, as torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True) does"
            )
        if tensor is not None:
            shape, dtype = tensor.shape, name_of(tensor.dtype)
        if constant is None and may_be_fixed and inputs and all(node.is_fixed for node in inputs):
            constant = _constant(operation, inputs, shape, dtype, tensor)
        ordinal = self._made[name, module]
        self._made[name, module] += 1
        made = tuple(map(int, shape))
        place, where = Place(name, module, ordinal), None if name in _LEAVES else self.source
        node = Node(OPS[operation], tuple(inputs), params or {}, made, dtype, place, constant, where)
        self.graph.nodes.append(node)
        return node

    def undo(self, count: int) -> None:
        """Take back all nodes but the first ``count``."""
        for node in self.graph.nodes[count:]:
            self._made[node.place.operation, node.place.module] -= 1
        del self.graph.nodes[count:]

    def doubt(self, reason: str) -> None:
        """Note a reason why the graph may not stand for other inputs, once."""
        if reason not in self.graph.doubts:
            self.graph.doubts.append(reason)

    def note(self, text: str) -> None:
        """Note what the graph holds for, once."""
        if text not in self.graph.notes:
            self.graph.notes.append(text)


def _constant(
    operation: str, inputs: Sequence[Node], shape: Sequence[int], dtype: str, tensor: Tensor | None
) -> Constant:
    if tensor is None:
        return constants.folded(operation, inputs, shape)
    first = inputs[0].constant
    is_same = operation in _SAME_NUMBERS and inputs[0].dtype == dtype and first is not None
    bounds = first.bounds if is_same and first is not None else None
    return constants.constant(tensor, constants.parameters_of(inputs), bounds)
