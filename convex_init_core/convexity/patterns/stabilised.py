"""Log-sum-exp and softplus that are written so that nothing overflows, ``m + log Σ exp(x − m)`` with m = max(x).

Whatever m is, as long as it is the same on both sides of the sum, these are functions of x alone; of x and m, both of
which they rise with, if a small number keeps the logarithm from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, ElementWise, Value
from convex_init_core.convexity.functions import FUNCTIONS
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node

_DEPTH = 12  # of the sum's terms, and of the moves within one
_NEAR = 1e-15  # relative: of a factor and its inverse, as 0.1 and 10
_LOG_SUM_EXP = ElementWise("log-sum-exp", convex=True, increasing=True)


@dataclass(frozen=True)
class _Term:
    number: float
    node: Node


def stabilised(node: Node, values: Values) -> Value | None:
    """Return a sum in which a logarithm and another term are together a convex function; ``None`` if there are none.

    Args:
        node: a sum or a difference.
        values: of the nodes before it.
    """
    terms = list(_terms(node, values))
    for i, logarithm in enumerate(terms):
        if logarithm.number <= 0.0:
            continue
        for j, other in enumerate(terms):
            if i == j:
                continue
            made = (
                _softplus(logarithm, other, values, node)
                or _log_add_exp(logarithm, other, values, node)
                or _log_sum_exp(logarithm, other, node, values)
            )
            if made is None:
                continue
            rest = [_times(term, values, node.at) for k, term in enumerate(terms) if k not in (i, j)]
            found = calculus.add([made, *rest], node.at)
            if found.curvature is not Curvature.UNKNOWN:
                return found
    return None


def _terms(node: Node, values: Values, number: float = 1.0, depth: int = _DEPTH) -> Iterator[_Term]:
    """The terms of a sum of arrays, with what they are multiplied by."""
    factor, inner = _scaled(node, values)
    number *= factor
    if inner.name in ("add", "subtract") and depth:
        signs = 1.0, -1.0 if inner.name == "subtract" else 1.0
        for sign, part in zip(signs, inner.inputs, strict=True):
            yield from _terms(part, values, sign * number, depth - 1)
    else:
        yield _Term(number, inner)


def _scaled(node: Node, values: Values) -> tuple[float, Node]:
    """What a node is times a number; moves that move nothing are left out."""
    number = 1.0
    for _ in range(_DEPTH):
        if node.name == "negate":
            number, node = -number, node.inputs[0]
        elif node.name in ("multiply", "divide"):
            a, b = node.inputs
            of_b = values.number(b)
            of_a = values.number(a) if node.name == "multiply" else None
            if of_b and len(b.shape) <= len(a.shape):
                number, node = (number * of_b if node.name == "multiply" else number / of_b), a
            elif of_a and len(a.shape) <= len(b.shape):
                number, node = number * of_a, b
            else:
                break
        elif node.name in ("reshape", "cast", "broadcast") and _is_kept(node):
            node = node.inputs[0]
        else:
            break
    return number, node


def _is_kept(node: Node) -> bool:
    return node.shape == node.inputs[0].shape and node.dtype == node.inputs[0].dtype


def _times(term: _Term, values: Values, at: str) -> Value:
    sign = calculus.Sign.NON_NEGATIVE if term.number >= 0.0 else calculus.Sign.NON_POSITIVE
    return calculus.multiply(calculus.constant(sign), values[term.node], at)


# log(1 + exp(−β |s|)) / β + max(s, 0)


def _softplus(logarithm: _Term, other: _Term, values: Values, node: Node) -> Value | None:
    exponential = _behind_log1p(logarithm.node, values)
    if exponential is None or exponential.name != "exp" or logarithm.node.shape != node.shape:
        return None
    factor, size = _scaled(exponential.inputs[0], values)
    argument = _size_of(size, values)
    if argument is None or factor >= 0.0 or not _is_near(-factor * logarithm.number, other.number):
        return None
    positive = _positive_part(other.node, values)
    if positive is None or other.node.shape != node.shape:
        return None
    sign, base = _scaled(positive, values)
    own, inner = _scaled(argument, values)
    if abs(own) != abs(sign) or not values.are_same(inner, base):
        return None
    return calculus.apply(FUNCTIONS["softplus"], values[positive], node.at)


def _behind_log1p(node: Node, values: Values) -> Node | None:
    """What u is in ``log(1 + u)``."""
    if node.name == "log1p":
        return node.inputs[0]
    if node.name == "log" and node.inputs[0].name == "add":
        for one, u in (node.inputs[0].inputs, node.inputs[0].inputs[::-1]):
            if values.number(one) == 1.0 and u.shape == node.shape:
                return u
    return None


def _size_of(node: Node, values: Values) -> Node | None:
    return node.inputs[0] if node.name == "abs" else None


def _positive_part(node: Node, values: Values) -> Node | None:
    """The argument of ``max(s, 0)``."""
    if node.name == "relu":
        return node.inputs[0]
    if node.name == "maximum":
        for s, zero in (node.inputs, node.inputs[::-1]):
            if values.number(zero) == 0.0 and s.shape == node.shape:
                return s
    return None


def _is_near(a: float, b: float) -> bool:
    return abs(a - b) <= _NEAR * max(abs(a), abs(b))


# log(1 + exp(−β |a − b|)) / β + max(a, b)


def _log_add_exp(logarithm: _Term, other: _Term, values: Values, node: Node) -> Value | None:
    exponential = _behind_log1p(logarithm.node, values)
    if exponential is None or exponential.name != "exp" or other.node.name != "maximum":
        return None
    factor, size = _scaled(exponential.inputs[0], values)
    argument = _size_of(size, values)
    if argument is None or factor >= 0.0 or not _is_near(-factor * logarithm.number, other.number):
        return None
    own, difference = _scaled(argument, values)
    parts = other.node.inputs
    if abs(own) != 1.0 or difference.name != "subtract" or not difference.shape == other.node.shape == node.shape:
        return None
    if any(part.shape != node.shape for part in (*parts, *difference.inputs)):
        return None
    if not any(
        all(values.are_same(a, b) for a, b in zip(parts, pair, strict=True))
        for pair in (difference.inputs, difference.inputs[::-1])
    ):
        return None
    return calculus.apply(_LOG_SUM_EXP, calculus.maximum([values[part] for part in parts], node.at), node.at)


# t · log (Σ c exp((x − m) / t) + ε) + m, also with the larger of the two in place of their sum


def _log_sum_exp(logarithm: _Term, other: _Term, node: Node, values: Values) -> Value | None:
    """``ε`` is ``exp(log ε + (m − m) / t)``: one more term, which rises with m, or nothing if it is 0."""
    if other.number <= 0.0 or logarithm.node.name != "log":
        return None
    found: list[Value] = []
    constants = 0
    for part in _summands(logarithm.node.inputs[0]):
        if values[part].is_constant:
            if not values[part].sign.is_non_negative or not values[part].finite:
                return None
            constants += 1
            continue
        x = _behind_exp(part, logarithm, other, node, values)
        if x is None:
            return None
        found.append(values[x])
    if not found:
        return None
    found += [values[other.node]] if constants else []
    whole = found[0] if len(found) == 1 else calculus.maximum(found, node.at)
    return calculus.apply(_LOG_SUM_EXP, whole, node.at)


def _summands(node: Node, depth: int = _DEPTH) -> Iterator[Node]:
    """What is added up, or of what the largest is taken, element by element."""
    if node.name in ("add", "maximum") and depth:
        for part in node.inputs:
            yield from _summands(part, depth - 1)
    else:
        yield node


def _behind_exp(part: Node, logarithm: _Term, other: _Term, node: Node, values: Values) -> Node | None:
    """What x is in ``Σ c exp((x − m) / t)``, or in ``exp((x − m) / t)`` without a sum."""
    if part.shape != logarithm.node.shape:
        return None
    inner, gone = part, None
    for _ in range(_DEPTH):
        if inner.name in ("sum", "mean") and gone is None:
            gone, inner = inner, inner.inputs[0]
        elif inner.name in ("reshape", "broadcast") and _long(inner.shape) == _long(inner.inputs[0].shape):
            inner = inner.inputs[0]
        elif inner.name == "multiply" and (weighted := _weighted(inner, values)) is not None:
            inner = weighted
        else:
            break
    if inner.name != "exp":
        return None
    factor, difference = _scaled(inner.inputs[0], values)
    if difference.name != "subtract" or not _is_near(factor * logarithm.number, other.number) or factor <= 0.0:
        return None
    x, shift = difference.inputs
    if gone is None:
        shapes = {each.shape for each in (part, difference, x, shift, other.node, node)}
        return x if len(shapes) == 1 and values.are_same(_unmoved(shift), _unmoved(other.node)) else None
    if _long(inner.shape) != _long(gone.inputs[0].shape):
        return None
    if x.shape != gone.inputs[0].shape or difference.shape != x.shape:
        return None
    if not _meets_itself(shift, other.node, gone, logarithm.node, node, values):
        return None
    return x


def _weighted(node: Node, values: Values) -> Node | None:
    for constant, part in (node.inputs, node.inputs[::-1]):
        if values[constant].is_constant and values[constant].sign.is_non_negative and values[constant].finite:
            return part if part.shape == node.shape else None
    return None


def _meets_itself(shift: Node, again: Node, gone: Node, logarithm: Node, node: Node, values: Values) -> bool:
    """Whether what is subtracted before a sum is added after it, at each place the same number."""
    first, last = _unmoved(shift), _unmoved(again)
    if not (values.are_same(first, last) or _are_same_extremes(first, last, values)):
        return False
    axes = gone.params["axes"]
    before = gone.inputs[0].shape
    kept = [axis for axis, size in enumerate(before) if size > 1 and axis not in axes]
    after = [axis for axis, size in enumerate(_aligned(logarithm.shape, len(node.shape))) if size > 1]
    if [before[axis] for axis in kept] != [_aligned(logarithm.shape, len(node.shape))[axis] for axis in after]:
        return False
    at_first = [axis for axis, size in enumerate(_aligned(_short(shift), len(before))) if size > 1]
    at_last = [axis for axis, size in enumerate(_aligned(_short(again), len(node.shape))) if size > 1]
    varying = len(_long(first.shape))  # with more axes that are not 1, some are copies, and it is not known which
    if len(at_first) != varying or len(at_last) != varying:
        return False
    if any(axis not in kept for axis in at_first) or any(axis not in after for axis in at_last):
        return False
    return [kept.index(axis) for axis in at_first] == [after.index(axis) for axis in at_last]


def _are_same_extremes(a: Node, b: Node, values: Values) -> bool:
    """Whether a largest value is computed twice, once with the axis that it is taken over and once without."""
    if a.name != b.name or a.name not in ("max", "min"):
        return False
    return a.params["axes"] == b.params["axes"] and values.are_same(a.inputs[0], b.inputs[0])


def _short(node: Node) -> tuple[int, ...]:
    """The shape of a node before it was spread over other axes."""
    shape = list(node.shape)
    source = node
    while (source.name in ("broadcast", "reshape", "cast") or _is_whole(source)) and source.inputs:
        inner = source.inputs[0]
        if source.name == "broadcast":
            own = (1,) * (len(source.shape) - len(inner.shape)) + inner.shape
            shape = [1 if size == 1 else known for size, known in zip(own, shape, strict=True)]
        if _long(inner.shape) != _long(source.shape) and source.name == "reshape":
            break
        if len(inner.shape) != len(source.shape):
            break
        source = inner
    return tuple(shape)


def _unmoved(node: Node) -> Node:
    """What is behind moves that keep the order of the elements."""
    while node.inputs and (
        node.name == "broadcast"
        or (node.name == "reshape" and _long(node.shape) == _long(node.inputs[0].shape))
        or (node.name == "cast" and node.dtype == node.inputs[0].dtype)
        or _is_whole(node)
    ):
        node = node.inputs[0]
    return node


def _is_whole(node: Node) -> bool:
    """Whether a node is a slice of all, such as the one column of ``m[:, 0]``."""
    return node.name == "slice" and node.shape == node.inputs[0].shape and min(node.params["steps"], default=1) > 0


def _long(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]


def _aligned(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + shape if len(shape) <= rank else shape
