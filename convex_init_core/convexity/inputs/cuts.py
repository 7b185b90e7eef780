"""Parts that a graph cuts out of its inputs: in which of them alone may it be convex?"""

from __future__ import annotations

from convex_init_core.convexity.inputs.parts import Part
from convex_init_core.graph.nodes import Graph, Node

_MOST = 8  # parts that are worth a try


def parts_alone(graph: Graph) -> list[dict[str, Part | None]]:
    """Return what might be asked instead of all inputs: single inputs, and parts that the model cuts out of one.

    The largest first; the rest of the inputs is context then.
    """
    found: dict[str, tuple[int, dict[str, Part | None]]] = {}
    for name, node in graph.inputs.items() if len(graph.inputs) > 1 else ():
        found[name] = node.size, {name: None}
    for node in graph:
        cut = _cut(node)
        if cut is not None:
            found.setdefault(f"{cut[0]}: {cut[1]}", (node.size, dict((cut,))))
    ranked = sorted(found.values(), key=lambda each: -each[0])
    return [parts for _, parts in ranked[:_MOST]]


def written(parts: dict[str, Part | None]) -> str:
    """Return the argument as a user would write it."""
    if all(part is None for part in parts.values()):
        names = list(parts)
        return f"convex_inputs={(names[0] if len(names) == 1 else names)!r}"
    return "convex_inputs={" + ", ".join(f"{name!r}: {part}" for name, part in parts.items()) + "}"


def _cut(node: Node) -> tuple[str, Part] | None:
    """The input and the part of it that a node is, if it cuts one axis of an input."""
    if node.name != "slice" or node.is_fixed:
        return None
    source = _source(node.inputs[0])
    if source is None:
        return None
    name, whole = str(source.params["name"]), node.inputs[0].shape
    cuts = zip(node.params["starts"], node.params["stops"], node.params["steps"], whole, strict=True)
    cut = [(axis, *rest) for axis, rest in enumerate(cuts) if tuple(rest) != (0, rest[3], 1, rest[3])]
    if len(cut) != 1 or cut[0][0] == 0:  # the first axis counts examples
        return None
    axis, start, stop, step, _ = cut[0]
    places = slice(int(start), int(stop), None if step == 1 else int(step))
    return name, Part(places, -1 if axis == len(whole) - 1 else axis)


def _source(node: Node) -> Node | None:
    """The input that a node shows, every element in its place, such as after it was standardised."""
    while node.name != "input":
        moving = [part for part in node.inputs if not part.is_fixed]
        if len(moving) != 1 or moving[0].shape != node.shape or not (node.op.element_wise or node.name == "cast"):
            return None
        node = moving[0]
    return node
