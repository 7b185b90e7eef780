"""Which elements of each array of a graph depend on some elements of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from convex_init_core.graph.nodes import Graph, Node

Mask = NDArray[np.bool_]
_OVER_AXES = frozenset(("sum", "mean", "max", "min", "norm", "log_sum_exp", "variance", "standard_deviation"))


def dependence(
    graph: Graph, masks: Mapping[Node, Mask], numbers: Callable[[Node], NDArray[np.float64] | None]
) -> dict[Node, Mask]:
    """Return, for each node, which of its elements may depend on the elements of the inputs that the masks mark.

    All of them, where an operation is not followed element by element.

    Args:
        graph: of one run.
        masks: for some inputs, which elements; the others have none.
        numbers: of small constants, by their nodes, for places that are looked up.
    """
    found: dict[Node, Mask] = {}
    for node in graph:
        if node in masks:
            found[node] = masks[node]
            continue
        parts = [found[part] for part in node.inputs]
        if node.is_fixed or not any(part.any() for part in parts):
            found[node] = _whole(node, marked=False)
        elif all(part.all() for part, one in zip(parts, node.inputs, strict=True) if not one.is_fixed):
            found[node] = _whole(node, marked=True)
        else:
            made = _made(node, parts, numbers)
            found[node] = made if made is not None and made.shape == node.shape else _whole(node, marked=True)
    return found


def _whole(node: Node, *, marked: bool) -> Mask:
    return np.broadcast_to(np.bool_(marked), node.shape)


def _made(node: Node, parts: list[Mask], numbers: Callable[[Node], NDArray[np.float64] | None]) -> Mask | None:
    name, params, data = node.name, node.params, parts[0]
    if node.op.element_wise or name in ("dropout", "prelu"):
        joined = np.zeros(np.broadcast_shapes(*(part.shape for part in parts)), bool)
        for part in parts:
            joined = joined | part
        return np.broadcast_to(joined, node.shape) if joined.size <= node.size else None
    if name in _OVER_AXES:
        return np.asarray(np.any(data, axis=params["axes"], keepdims=params["keepdims"]))
    if name == "concatenate":
        return np.concatenate(parts, params["axis"])
    if name == "stack":
        return np.stack(parts, params["axis"])
    if name == "pad":
        return np.pad(data, params["widths"], constant_values=bool(parts[1].any()))
    if name == "contract":
        return _contracted(node, parts)
    return _moved(node, data, numbers)


def _moved(node: Node, data: Mask, numbers: Callable[[Node], NDArray[np.float64] | None]) -> Mask | None:
    name, params = node.name, node.params
    if name == "reshape":
        return data.reshape(node.shape)
    if name == "cast":
        return data
    if name == "transpose":
        return data.transpose(params["axes"])
    if name == "broadcast":
        return np.broadcast_to(data, node.shape)
    if name == "slice":
        cuts = zip(params["starts"], params["stops"], params["steps"], strict=True)
        return data[tuple(slice(start, stop, step) for start, stop, step in cuts)]
    if name == "gather" and params["axis"] is not None:
        return _looked_up(node, data, numbers)
    return None


def _looked_up(node: Node, data: Mask, numbers: Callable[[Node], NDArray[np.float64] | None]) -> Mask | None:
    axis, index = node.params["axis"], node.inputs[1]
    places = numbers(index)
    if places is None:
        return None
    flat = places.reshape(-1)
    whole = np.flatnonzero(flat) if index.dtype.startswith("bool") else flat.astype(np.int64)
    if whole.size and not (-data.shape[axis] <= whole.min() and whole.max() < data.shape[axis]):
        return None
    return np.take(data, whole, axis)


def _contracted(node: Node, parts: list[Mask]) -> Mask:
    """A result depends on what any of the elements that it sums depends on."""
    pair = []
    for part, axes, batch in zip(parts, node.params["axes"], node.params["batch"], strict=True):
        kept = np.any(part, axis=tuple(axes), keepdims=True)
        free = [axis for axis in range(part.ndim) if axis not in (*axes, *batch)]
        pair.append((kept.transpose(*batch, *free, *axes), len(batch), len(free)))
    (first, batch, free_a), (second, _, free_b) = pair
    batched = first.shape[:batch]
    left = first.reshape(*batched, *first.shape[batch : batch + free_a], *(1,) * free_b)
    right = second.reshape(*batched, *(1,) * free_a, *second.shape[batch : batch + free_b])
    return np.asarray(left | right)
