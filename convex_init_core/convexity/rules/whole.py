"""Functions of several elements: norms, log-sum-exp, spreads."""

from __future__ import annotations

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import ElementWise, Sign, Value
from convex_init_core.convexity.rules.element_wise import LOG_SOFTMAX, size_of
from convex_init_core.convexity.rules.leaves import of_inputs, refused
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node

_LOG_SUM_EXP = ElementWise("log-sum-exp", convex=True, increasing=True)


def norm(node: Node, values: Values) -> Value:
    """A p-norm."""
    order = node.params["order"]
    if order >= 1.0:
        return calculus.norm(size_of(node.inputs[0], values), node.at)
    return refused(node, values, f"is no norm for order {order:g}")


def distance(node: Node, values: Values) -> Value:
    """A norm of a difference."""
    if not node.params["order"] >= 1.0:
        return refused(node, values, "is no norm")
    a, b = of_inputs(node, values)
    return calculus.norm(calculus.add([a, calculus.negate(b)], node.at), node.at)


def log_sum_exp(node: Node, values: Values) -> Value:
    """Of one array over axes, or of several element by element."""
    return calculus.apply(_LOG_SUM_EXP, calculus.side_by_side(of_inputs(node, values), node.at), node.at)


def log_softmax(node: Node, values: Values) -> Value:
    """The logarithm of shares."""
    return calculus.apply(LOG_SOFTMAX, values[node.inputs[0]], node.at)


def softmax(node: Node, values: Values) -> Value:
    """Shares: of a known sign only."""
    return refused(node, values, "is not convex in all its elements", Sign.NON_NEGATIVE)


def variance(node: Node, values: Values) -> Value:
    """A sum of squares of deviations."""
    return calculus.spread(values[node.inputs[0]], node.at, root=False)


def standard_deviation(node: Node, values: Values) -> Value:
    """Its root."""
    return calculus.spread(values[node.inputs[0]], node.at, root=True)
