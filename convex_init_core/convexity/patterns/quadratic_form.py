"""Read quadratic forms, ``((x @ Q) * x).sum(-1)``: convex in an affine x if Q is positive semi-definite.

A linear term may stand inside, as in ``x * (x @ Q + b)``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import ElementWise, Sign, Under, Value
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import rounding_of

_MOST = 1e-3  # relative: a matrix that is rounded more than this tells nothing of its smallest eigenvalues


@dataclass(frozen=True)
class _Form:
    """``xᵀ Q x + bᵀ x``, with b only if ``is_shifted``."""

    x: Node
    matrix: Node
    is_shifted: bool


def summed_form(node: Node, axes: Collection[int], values: Values, at: str) -> Value | None:
    """Return the sum of a product's elements over axes if it is a quadratic form.

    Args:
        node: what is summed.
        axes: over which.
        values: of the nodes before it.
        at: the sum and its place, for messages.
    """
    if node.name != "multiply":
        return None
    for x, product in (node.inputs, node.inputs[::-1]):
        found = _form(x, product, values)
        if found is not None and found[1] in axes and product.shape == x.shape:
            return _judged(found[0], values, at)
    return None


def contracted_form(node: Node, values: Values) -> Value | None:
    """Return an inner product without free axes if it is such a form, as in ``einsum("bi,ij,bj->b", x, Q, x)``."""
    if node.params["axes"][0] != node.params["axes"][1] or node.params["batch"][0] != node.params["batch"][1]:
        return None
    for x, product in (node.inputs, node.inputs[::-1]):
        found = _form(x, product, values)
        if found is not None and found[1] in node.params["axes"][0] and product.shape == x.shape:
            return _judged(found[0], values, node.at)
    return None


def _form(x: Node, product: Node, values: Values) -> tuple[_Form, int] | None:
    """The form whose summands are ``x * product``, and the axis over which they are to be summed."""
    shifted, last = False, len(x.shape) - 1
    product = _kept_rows(product)
    while product.name in ("add", "subtract"):
        parts = product.inputs if product.name == "add" else product.inputs[:1]
        moving = [part for part in parts if not values[part].is_constant and part.shape == product.shape]
        if len(moving) != 1 or not all(values[part].is_constant for part in product.inputs if part is not moving[0]):
            return None
        product, shifted = _kept_rows(moving[0]), True
    if product.name != "contract" or any(map(len, product.params["batch"])):
        return None
    (of_a, of_b), (a, b) = product.params["axes"], product.inputs
    if len(of_a) != 1 or not x.shape:
        return None
    is_square = [part.is_fixed and len(part.shape) == 2 and part.shape[0] == part.shape[1] for part in (a, b)]
    # The free axis of Q must lie where the summed axis of x lay: last behind x, first before it.
    if is_square[1] and of_a[0] == len(a.shape) - 1 and values.are_same(_kept_rows(a), _kept_rows(x)):
        return _Form(x, b, shifted), last
    if is_square[0] and of_b[0] == 0 and values.are_same(b, x):
        return _Form(x, a, shifted), 0
    return None


def _kept_rows(node: Node) -> Node:
    """What is behind moves that leave the rows along the last axis, and their order, as they are."""
    while node.name == "reshape" and node.inputs[0].shape[-1:] == node.shape[-1:]:
        node = node.inputs[0]
    return node


def _judged(form: _Form, values: Values, at: str) -> Value:
    convex, concave, refusal = _definite(form.matrix, values)
    sign = Sign.NON_NEGATIVE if convex else Sign.NON_POSITIVE if concave else Sign.ANY
    under = Under.ROOT if convex else Under.NOTHING
    if form.is_shifted:
        sign, under = Sign.ANY, Under.NOTHING
    claim = ElementWise(
        "a quadratic form", convex=convex, concave=concave, sign=sign, refusal=refusal, convex_under=under
    )
    return calculus.apply(claim, values[form.x], at)


def _definite(matrix: Node, values: Values) -> tuple[bool, bool, str]:
    """Whether a matrix is positive semi-definite, negative semi-definite, and why it is neither."""
    if _is_gram(matrix, values):
        return True, False, ""
    numbers = values.numbers(matrix)
    if numbers is None or not np.isfinite(numbers).all():
        return False, False, "the numbers of its matrix are not known"
    eigenvalues = np.linalg.eigvalsh(0.5 * (numbers + numbers.T))
    low, high = float(eigenvalues[0]), float(eigenvalues[-1])
    size = max(abs(low), abs(high))
    # Each element is a sum of n terms that was rounded to the matrix' own type; the eigenvalues are in float64.
    of_type = len(numbers) * rounding_of(matrix.dtype)
    slack = size * (of_type if of_type <= _MOST else len(numbers) * rounding_of("float64"))
    if low < -slack and high > slack:
        return False, False, "its matrix has a negative eigenvalue"
    return low >= -slack, high <= slack, ""


def _is_gram(matrix: Node, values: Values) -> bool:
    """Whether a matrix is ``A Aᵀ`` by the way it is made, whatever numbers A holds."""
    if matrix.name != "contract" or any(map(len, matrix.params["batch"])):
        return False
    (a, of_a), (b, of_b) = map(_behind_transposes, matrix.inputs, matrix.params["axes"])
    return values.are_same(a, b) and of_a == of_b


def _behind_transposes(node: Node, axes: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    while node.name == "transpose":
        axes = tuple(node.params["axes"][axis] for axis in axes)
        node = node.inputs[0]
    return node, axes
