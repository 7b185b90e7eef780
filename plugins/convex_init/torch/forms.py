"""Read quadratic forms, ``((x @ Q) * x).sum(-1)``: convex in an affine x if Q is positive semi-definite."""

from __future__ import annotations

import torch

from convex_init.torch.recording import Node

_MOVED = ("view", "_unsafe_view", "alias", "detach", "clone", "unsqueeze", "squeeze")
_ROUNDING = 1e-6  # of the largest eigenvalue


def quadratic_form(node: Node) -> tuple[Node, bool] | None:
    """Return x, and whether Q is positive semi-definite, if the sum of a node's rows is a quadratic form.

    Args:
        node: what is summed over its last dimension.
    """
    if node.operation != "mul":
        return None
    for x, product in (node.inputs[:2], node.inputs[1::-1]) if len(node.inputs) == 2 else ():
        factors = _behind(product)
        if factors is not None and _source(factors[0]) is _source(x) and product.shape == x.shape:
            return x, _is_positive(factors[1])
    return None


def _behind(node: Node) -> tuple[Node, Node] | None:
    node = _source(node)
    if node.operation in ("mm", "linear") and len(node.inputs) == 2:
        data, weight = node.inputs
        if weight.fixed and len(weight.shape) == 2 and weight.shape[0] == weight.shape[1] and not data.fixed:
            return data, weight
    return None


def _source(node: Node) -> Node:
    while node.operation in _MOVED and node.inputs and node.inputs[0].shape[-1:] == node.shape[-1:]:
        node = node.inputs[0]
    return node


def _is_positive(weight: Node) -> bool:
    if weight.tensor is None or weight.bounds is None:
        return False
    matrix = weight.tensor.detach().double()
    eigenvalues = torch.linalg.eigvalsh(matrix + matrix.T)
    return bool(eigenvalues[0] >= -_ROUNDING * eigenvalues[-1].abs())
