"""Which axes of a parameter are outputs, inputs and window, as the products that use it show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convex_init_core.weights.weight_axes import Geometry

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Graph, Node

_OUTPUT, _INPUT, _ONE = "output", "input", "one"


def axes_of_weight(graph: Graph, name: str) -> Geometry:
    """Return the axes of a parameter that is the weight of a contraction or a convolution.

    Between the two there may be what leaves each element in its place but for the order of axes: a positivity map,
    a transposition, axes of length 1.

    Args:
        graph: of the model.
        name: of the parameter.

    Raises:
        ValueError: if no product shows them.
    """
    for node in graph:
        if node.is_fixed or node.name not in ("contract", "convolve"):
            continue
        for index, weight in enumerate(node.inputs):
            if weight.is_fixed and name in weight.parameters:
                found = _followed(weight, _roles(node, index), name)
                if found is not None:
                    return _geometry(node, *found)
    raise ValueError(
        f"method 'isometric' knows layers and matrices, and no product shows which axes of {name!r} are its outputs; "
        "use method 'log_normal'"
    )


def summed_axes(node: Node, name: str) -> tuple[int, ...] | None:
    """Return the axes of a parameter over which a product sums; ``None`` where they cannot be followed."""
    for index, weight in enumerate(node.inputs):
        if weight.is_fixed and name in weight.parameters and node.name in ("contract", "convolve"):
            found = _followed(weight, _roles(node, index), name)
            if found is not None:
                return tuple(axis for axis, role in enumerate(found[1]) if role == _INPUT)
    return None


def _roles(node: Node, index: int) -> list[str | int]:
    """What each axis of a weight is: an output, an input, or a number of an axis of the window."""
    weight = node.inputs[index]
    if node.name == "convolve":
        outputs, inputs, *window = node.params["weight_axes"]
        known: dict[int, str | int] = {outputs: _OUTPUT, inputs: _INPUT, **{axis: i for i, axis in enumerate(window)}}
        return [known[axis] for axis in range(len(weight.shape))]
    if node.params["batch"][index]:
        return []
    return [_INPUT if axis in node.params["axes"][index] else _OUTPUT for axis in range(len(weight.shape))]


def _followed(weight: Node, roles: list[str | int], name: str) -> tuple[Node, list[str | int]] | None:
    """Go back to the parameter, taking what is known of the axes along."""
    while roles:
        if weight.name == "parameter":
            return (weight, roles) if weight.params["name"] == name else None
        before = next((part for part in weight.inputs if name in part.parameters), None)
        if before is None:
            return None
        if weight.name == "transpose":
            placed = dict(zip(weight.params["axes"], roles, strict=True))
            roles = [placed[axis] for axis in range(len(roles))]
        elif weight.name == "reshape":
            long = [role for role, size in zip(roles, weight.shape, strict=True) if size > 1]
            if [size for size in before.shape if size > 1] != [size for size in weight.shape if size > 1]:
                return None
            kept = iter(long)
            roles = [next(kept) if size > 1 else _ONE for size in before.shape]
        elif before.shape != weight.shape:
            return None
        weight = before
    return None


def _geometry(node: Node, weight: Node, roles: list[str | int]) -> Geometry:
    # An axis of length 1 is as good an output as an input, but for the single output or input that there must be.
    outputs = tuple(axis for axis, role in enumerate(roles) if role in (_OUTPUT, _ONE))
    inputs = tuple(axis for axis, role in enumerate(roles) if role == _INPUT)
    window = sorted((role, axis) for axis, role in enumerate(roles) if isinstance(role, int))
    if node.name == "contract":
        return Geometry(weight.shape, outputs, inputs)
    params = node.params
    kept = [role for role, _ in window]
    return Geometry(
        weight.shape,
        outputs,
        inputs,
        tuple(axis for _, axis in window),
        params["groups"],
        tuple(params["strides"][number] for number in kept),
        tuple(params["dilation"][number] for number in kept),
        transposed=params["transposed"],
    )
