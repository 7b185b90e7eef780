"""Products over a concatenation: a weight may be free for one part of it and non-negative for another."""

from __future__ import annotations

from typing import Any

from convex_init.torch.recording import Node, constant_of
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Value

_KEEP_THE_LAST = ("view", "_unsafe_view", "reshape", "expand", "alias", "detach", "clone", "contiguous", "_to_copy")


def contraction(operation: str, a: Node, b: Node, call: Any) -> tuple[int, int] | None:
    """Return the dimensions of the two factors that an operation sums over; ``None`` if that is not known."""
    if operation in ("mm", "addmm", "mv", "addmv", "dot"):
        return len(a.shape) - 1, 0
    if operation in ("bmm", "baddbmm"):
        return 2, 1
    if operation == "linear":
        return len(a.shape) - 1, 1
    if operation == "convolution" and call["groups"] == 1:
        return 1, 0 if call["transposed"] else 1
    return None


def product_by_blocks(a: Node, b: Node, dims: tuple[int, int], at: str) -> Value | None:
    """Return the product of ``a`` and ``b`` as a sum over the parts that one of them was concatenated from.

    ``None`` if neither is fixed with the other a concatenation.
    """
    for weight, data, over, along in ((b, a, dims[1], dims[0]), (a, b, dims[0], dims[1])):
        blocks = _blocks(data, along) if weight.fixed and weight.tensor is not None else []
        if len(blocks) > 1 and sum(size for _, size in blocks) == weight.shape[over]:
            return _summed(weight, blocks, over, at)
    return None


def _summed(weight: Node, blocks: list[tuple[Value, int]], over: int, at: str) -> Value:
    assert weight.tensor is not None
    start, terms = 0, []
    for value, size in blocks:
        label = f"{weight.value.label or 'a constant'} for inputs {start} to {start + size - 1}"
        part, _ = constant_of(weight.tensor.narrow(over, start, size), label)
        terms.append(calculus.multiply(part, value, at))
        start += size
    return calculus.add(terms, at)


def _blocks(node: Node, dim: int) -> list[tuple[Value, int]]:
    """Split a value into the parts that were concatenated along a dimension."""
    source = node.args[0] if node.args and isinstance(node.args[0], Node) else None
    last = len(node.shape) - 1
    if node.operation == "cat":
        along = node.args[1] if len(node.args) > 1 else node.keywords.get("dim", 0)
        parts = [part for part in node.args[0] if part.shape != (0,)]
        if along % len(node.shape) == dim:
            return [block for part in parts for block in _blocks(part, dim)]
    elif source is None:
        pass
    elif node.operation in _KEEP_THE_LAST and dim == last and source.shape[-1:] == node.shape[-1:]:
        return _blocks(source, len(source.shape) - 1)
    elif node.operation in ("alias", "detach", "clone", "contiguous", "_to_copy"):
        return _blocks(source, dim)
    elif node.operation == "t" and len(node.shape) == 2:
        return _blocks(source, 1 - dim)
    elif node.operation == "transpose":
        i, j = (d % len(node.shape) for d in node.args[1:3])
        return _blocks(source, {i: j, j: i}.get(dim, dim))
    elif node.operation == "permute":
        return _blocks(source, node.args[1][dim] % len(node.shape))
    elif node.operation == "unsqueeze":
        added = node.args[1] % len(node.shape)
        if added != dim:
            return _blocks(source, dim - (added < dim))
    return [(node.value, node.shape[dim])]
