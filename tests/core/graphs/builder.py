"""Write a graph by hand: ``b = Builder(); x = b.input("x", (8, 5)); y = b.relu(b.linear(x, b.parameter("w", array)))``.

Every node is computed as soon as it is made, which gives its shape; what depends on no input is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.ops import OPS
from tests.core.graphs.meaning import MEANING

DEFAULTS: dict[str, dict[str, Any]] = {
    "leaky_relu": {"slope": 0.2},
    "elu": {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0},
    "softplus": {"beta": 1.0, "threshold": np.inf},
    "squareplus": {"b": 4.0},
    "threshold": {"at": 0.0, "value": 0.0},
    "huber": {"delta": 1.0},
    "opaque": {"why": "has no rule", "non_negative": False},
    "noise": {"non_negative": False},
    "contract": {"batch": ((), ())},
    "convolve": {
        "data_axes": (0, 1, 2),
        "weight_axes": (0, 1, 2),
        "strides": (1,),
        "dilation": (1,),
        "groups": 1,
        "transposed": False,
    },
    "largest": {"sorted": True, "smallest": False},
    "norm": {"order": 2.0, "keepdims": False},
    "distance": {"order": 2.0},
    "batch_norm": {"epsilon": 1e-5, "axis": 1},
    **{name: {"keepdims": False} for name in ("sum", "mean", "max", "min", "log_sum_exp", "variance")},
    "standard_deviation": {"keepdims": False},
}
Shown = Node | float | int | np.ndarray


class Builder:
    """A graph in the making; operations of the graph are methods, with numbers and arrays as literals.

    Attributes:
        graph: what was made so far.
        module: path of the module in which the next nodes are made.
    """

    def __init__(self, seed: int = 0) -> None:
        self.graph, self.module = Graph(), ""
        self.rng = np.random.default_rng(seed)
        self.samples: dict[Node, np.ndarray] = {}
        self.computed: dict[Node, Callable[..., np.ndarray]] = {}

    # Leaves

    def input(self, name: str, shape: tuple[int, ...], dtype: str = "float64") -> Node:
        node = self._leaf("input", {"name": name}, self.rng.standard_normal(shape), dtype, fixed=False)
        self.graph.inputs[name] = node
        return node

    def parameter(self, name: str, numbers: Any, dtype: str = "float64") -> Node:
        return self._leaf("parameter", {"name": name}, np.asarray(numbers, np.float64), dtype, parameters=(name,))

    def buffer(self, name: str, numbers: Any, dtype: str = "float64") -> Node:
        return self._leaf("buffer", {"name": name}, np.asarray(numbers, np.float64), dtype)

    def literal(self, numbers: Any, dtype: str = "float64") -> Node:
        return self._leaf("literal", {}, np.asarray(numbers), dtype)

    def _leaf(
        self,
        name: str,
        params: dict[str, Any],
        numbers: np.ndarray,
        dtype: str,
        parameters: tuple[str, ...] = (),
        fixed: bool = True,
    ) -> Node:
        constant = self.constant(numbers, parameters) if fixed else None
        dtype = "bool" if numbers.dtype == bool else dtype
        node = Node(OPS[name], (), params, numbers.shape, dtype, Place(name, self.module), constant)
        return self._keep(node, numbers)

    def _keep(self, node: Node, numbers: np.ndarray) -> Node:
        self.graph.nodes.append(node)
        self.samples[node] = numbers
        return node

    @staticmethod
    def constant(numbers: np.ndarray, parameters: tuple[str, ...] = ()) -> Constant:
        bounds = (float(np.min(numbers)), float(np.max(numbers))) if numbers.size else None
        return Constant(numbers, bounds, parameters)

    # Operations

    def __getattr__(self, name: str) -> Callable[..., Node]:
        if name not in OPS:
            raise AttributeError(name)
        return partial(self.op, name)

    def op(
        self,
        name: str,
        *inputs: Shown,
        run: Callable[..., np.ndarray] | None = None,
        dtype: str = "",
        at: str = "",
        **params: Any,
    ) -> Node:
        """Add a node; ``run`` is what it computes, for operations whose parameters do not say it."""
        nodes = tuple(part if isinstance(part, Node) else self.literal(part) for part in inputs)
        operation, given = OPS[name], DEFAULTS.get(name, {}) | params
        assert set(given) == set(operation.params), f"{name} takes {operation.params}"
        compute = run or operation.numpy or MEANING[name]
        if run is None and given:
            compute = partial(compute, **given)
        with np.errstate(all="ignore"):
            numbers = np.asarray(compute(*(self.samples[part] for part in nodes)))
        if not dtype:
            floating = [part.dtype for part in nodes if part.dtype.startswith(("float", "bfloat"))]
            dtype = "bool" if numbers.dtype == bool else floating[0] if floating else "float64"
        constant = None
        if nodes and all(part.is_fixed for part in nodes) and name not in ("noise", "unset", "dropout"):
            sources = dict.fromkeys(source for part in nodes for source in part.parameters)
            constant = self.constant(numbers, tuple(sources))
        place = Place(at or name, self.module)
        node = Node(operation, nodes, given, numbers.shape, dtype, place, constant)
        self.computed[node] = compute
        return self._keep(node, numbers)

    # What operations with other defaults, or without a meaning of their own, are called in tests

    def reshape(self, x: Node, shape: tuple[int, ...]) -> Node:
        return self.op("reshape", x, run=lambda a: a.reshape(shape))

    def broadcast(self, x: Node, shape: tuple[int, ...]) -> Node:
        return self.op("broadcast", x, run=lambda a: np.broadcast_to(a, shape))

    def part(self, x: Node, *where: slice) -> Node:
        """``x[where]``, without ints."""
        spans = [(*where, *[slice(None)] * len(x.shape))[axis].indices(size) for axis, size in enumerate(x.shape)]
        starts, stops, steps = zip(*spans, strict=True)
        return self.op("slice", x, starts=starts, stops=stops, steps=steps)

    def compare(self, a: Shown, relation: str, b: Shown) -> Node:
        return self.op("compare", a, b, relation=relation)

    def cast(self, x: Node, dtype: str = "float64") -> Node:
        return self.op("cast", x, dtype=dtype)

    def linear(self, x: Node, weight: Node, bias: Node | None = None, at: str = "linear") -> Node:
        """``x @ weight.T + bias``."""
        product = self.op("contract", x, weight, axes=((len(x.shape) - 1,), (1,)), at=at)
        return product if bias is None else self.op("add", product, bias, at=at)

    def matmul(self, x: Node, weight: Node, at: str = "mm") -> Node:
        """``x @ weight`` with a matrix on the right."""
        return self.op("contract", x, weight, axes=((len(x.shape) - 1,), (0,)), at=at)

    def opaque(self, *inputs: Shown, run: Callable[..., np.ndarray], **params: Any) -> Node:
        return self.op("opaque", *inputs, run=run, **params)

    def output(self, node: Node, name: str = "output") -> Node:
        self.graph.outputs[name] = node
        return node

    # Values

    def evaluate(self, inputs: Mapping[str, np.ndarray]) -> dict[Node, np.ndarray]:
        """Compute all nodes for other inputs of the same shape."""
        made = {self.graph.inputs[name]: numbers for name, numbers in inputs.items()}
        with np.errstate(all="ignore"):
            for node in self.graph:
                if node in made:
                    continue
                if node.is_fixed or node not in self.computed:
                    made[node] = self.samples[node]
                else:
                    made[node] = np.asarray(self.computed[node](*(made[part] for part in node.inputs)))
        return made


class NumpyFramework:
    """Hands out numbers of constants of a builder's graph."""

    def moments(self, constant: Constant) -> tuple[float, float]:
        return float(np.mean(constant.handle)), float(np.mean(np.square(constant.handle)))

    def numbers(self, constant: Constant) -> np.ndarray:
        return np.asarray(constant.handle, np.float64)

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float]:
        part = np.take(constant.handle, range(start, stop), axis)
        return float(part.min()), float(part.max())
