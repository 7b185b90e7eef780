"""The few numbers that a graph needs which was traced without any, from the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convex_init.torch.model.inputs import numpy_of
from convex_init.torch.trace.doubts.watches import modules_of, weights_of
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.signal import small_constants


def add_small_numbers(graph: Graph, model: nn.Module) -> bool:
    """Give small constants their numbers, and return whether all that are made of small ones have them now.

    Those of a sharded model are gathered: every rank has to call it.
    """
    weights = {name: tensor for _, name, tensor in weights_of(list(modules_of(model)))}

    def leaf(node: Node) -> NDArray[np.float64] | None:
        tensor = weights[node.params["name"]] if node.params else node.constant and node.constant.handle
        return numpy_of(tensor) if isinstance(tensor, Tensor) and not (tensor.is_meta or tensor.is_complex()) else None

    return small_constants.add_small_numbers(graph, leaf, _tensor)


def _tensor(numbers: NDArray[Any], node: Node) -> Tensor:
    return torch.from_numpy(np.array(numbers)).to(getattr(torch, node.dtype))
