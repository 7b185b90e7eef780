"""A tracer for one more array library, as small as one can be: NumPy functions, traced by operator overloading.

``python examples/numpy_tracer.py`` traces a network, proves that it is convex and reads its weights. CONTRIBUTING.md
says what a framework needs beyond this; ``tests/core/planning/numpy_framework.py`` has the whole port on NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.reading.products_and_sums import read


class Traced:
    """An array on the way through a model: its numbers, and the node that stands for it."""

    __array_ufunc__ = None  # so that `array @ traced` comes here, and not into NumPy's loops

    def __init__(self, values: Any, node: Node, builder: Builder) -> None:
        """Keep numbers and node together."""
        self.values, self.node, self.builder = np.asarray(values), node, builder

    def __add__(self, other: Any) -> Traced:
        """``add``."""
        return self._binary("add", np.add, other)

    def __truediv__(self, other: Any) -> Traced:
        """``divide``."""
        return self._binary("divide", np.divide, other)

    def __matmul__(self, other: Traced) -> Traced:
        """``contract`` the last axis with the first."""
        axes = ((self.values.ndim - 1,), (0,))
        made = self.values @ other.values
        return self._made("contract", "matmul", made, (self.node, other.node), axes=axes, batch=((), ()))

    def relu(self) -> Traced:
        """``relu``."""
        return self._made("relu", "relu", np.maximum(self.values, 0.0), (self.node,))

    def softplus(self) -> Traced:
        """``softplus``; every parameter of the row is given."""
        made = np.logaddexp(0.0, self.values)
        return self._made("softplus", "softplus", made, (self.node,), beta=1.0, threshold=np.inf)

    def cumprod(self) -> Traced:
        """There is no rule for it, so it is ``opaque``, with the reason."""
        why = "multiplies values that depend on the input"
        return self._made("opaque", "cumprod", self.values.cumprod(-1), (self.node,), why=why, non_negative=False)

    def _binary(self, op: str, function: Callable[..., Any], other: Any) -> Traced:
        if not isinstance(other, Traced):  # a number in the code is a node, too
            other = Traced(other, self.builder.literal(np.float64(other), (), "float64"), self.builder)
        return self._made(op, op, function(self.values, other.values), (self.node, other.node))

    def _made(self, op: str, called: str, values: Any, inputs: tuple[Node, ...], **params: Any) -> Traced:
        place = self.builder.place(called)
        node = self.builder.node(op, inputs, values.shape, "float64", place, **params)
        return Traced(values, self.builder.evaluated(node, values), self.builder)


def trace(model: Callable[..., Traced], parameters: dict[str, Any], x: Any) -> Graph:
    """Return what a model does with its parameters and one input."""
    builder = Builder(bounds=lambda a: (float(np.min(a)), float(np.max(a))), recognised=lambda node: None)
    held = {}
    for name, array in parameters.items():
        node = builder.leaf("parameter", array.shape, "float64", Place("parameter", name), name=name)
        node.constant = Constant(array, builder.bounds(array), (name,))
        held[name] = Traced(array, node, builder)
    builder.graph.inputs["x"] = builder.leaf("input", x.shape, "float64", Place("input", "x"), name="x")
    made = model(held, Traced(x, builder.graph.inputs["x"], builder))
    builder.graph.outputs["output"] = made.node
    return builder.finished()


def network(w: dict[str, Traced], x: Traced) -> Traced:
    """Two layers; the second weight is made positive by softplus(W)/n."""
    return (x @ w["first"] + w["bias"]).relu() @ (w["second"].softplus() / 8.0)


def main() -> None:
    """Trace, judge and read."""
    rng = np.random.default_rng(0)
    sizes = {"first": (4, 8), "bias": (8,), "second": (8, 1)}
    parameters = {name: rng.standard_normal(shape) for name, shape in sizes.items()}
    x = rng.standard_normal((16, 4))
    graph = trace(network, parameters, x)
    values = judge(graph)
    print(certificate_of(graph, values))
    for product in read(graph, values).products:
        role = "positive" if product.positive else "free"
        print(f"{product.source}: {role}, fan-in {product.fan_in:g}, through {product.positivity}")
    refused = trace(lambda w, x: network(w, x).cumprod(), parameters, x)
    print(certificate_of(refused, judge(refused)))


if __name__ == "__main__":
    main()
