"""A framework on NumPy: models are functions that build a graph, and a run is an evaluation of its nodes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convex_init_core.constraints.kept import Kept
from convex_init_core.framework import Fill, Parameter, Visit
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.ops import OPS
from convex_init_core.signal.signal_moments import measured
from convex_init_core.theory.moments import FeatureMoments
from convex_init_core.weights.laws import NumpyDraw
from convex_init_core.weights.sampling import is_structured, sample_raw
from convex_init_core.weights.weight_axes import Geometry, dense_geometry

Forward = Callable[["Builder"], Node]


class Builder:
    """Makes nodes; what a tracer does."""

    def __init__(self, arrays: dict[str, np.ndarray], buffers: dict[str, np.ndarray], inputs: dict[str, np.ndarray]):
        self.graph = Graph()
        self.arrays, self.buffers, self._inputs = arrays, buffers, inputs
        self._named: dict[str, Node] = {}
        self._made: Counter[tuple[str, str]] = Counter()

    def input(self, name: str = "x") -> Node:
        node = self.make("input", (), self._inputs[name].shape, name=name)
        self.graph.inputs[name] = node
        return node

    def parameter(self, name: str) -> Node:
        return self._constant("parameter", name, self.arrays[name], (name,))

    def buffer(self, name: str) -> Node:
        return self._constant("buffer", name, self.buffers[name], ())

    def number(self, value: float) -> Node:
        node = self.make("literal", (), ())
        node.constant = Constant(np.float64(value), (value, value))
        return node

    def _constant(self, kind: str, name: str, array: np.ndarray, parameters: tuple[str, ...]) -> Node:
        if name not in self._named:
            node = self.make(kind, (), array.shape, name=name)
            node.constant = Constant(array, (float(array.min()), float(array.max())), parameters)
            self._named[name] = node
        return self._named[name]

    def make(self, op: str, inputs: Sequence[Node], shape: tuple[int, ...], module: str = "", **params: Any) -> Node:
        place = Place(op, module, self._made[op, module])
        self._made[op, module] += 1
        node = Node(OPS[op], tuple(inputs), params, tuple(shape), "float64", place)
        if inputs and all(part.is_fixed for part in inputs):
            names = tuple(dict.fromkeys(name for part in inputs for name in part.parameters))
            values = np.asarray(evaluate(node, [part.constant.handle for part in inputs]))
            node.constant = Constant(values, (float(values.min()), float(values.max())), names)
        self.graph.nodes.append(node)
        return node

    def map(self, op: str, *inputs: Node | float, **params: Any) -> Node:
        """An element-wise operation."""
        nodes = [part if isinstance(part, Node) else self.number(part) for part in inputs]
        return self.make(op, nodes, np.broadcast_shapes(*(part.shape for part in nodes)), **params)

    def linear(self, x: Node, layer: str, through: Callable[[Node], Node] = lambda weight: weight) -> Node:
        """``x @ W.T + b``, without b if there is none."""
        weight = through(self.parameter(f"{layer}.weight"))
        return self.with_bias(self.product(x, weight, layer), layer)

    def product(self, x: Node, weight: Node, module: str = "") -> Node:
        axes = ((len(x.shape) - 1,), (1,))
        shape = (*x.shape[:-1], weight.shape[0])
        return self.make("contract", (x, weight), shape, module, axes=axes, batch=((), ()))

    def with_bias(self, product: Node, layer: str) -> Node:
        name = f"{layer}.bias"
        if name not in self.arrays:
            return product
        return self.make("add", (product, self.parameter(name)), product.shape, layer)

    def convolution(self, x: Node, layer: str) -> Node:
        """Of (batch, length, channels) with (outputs, inputs, window), without padding."""
        weight = self.parameter(f"{layer}.weight")
        shape = (x.shape[0], x.shape[1] - weight.shape[2] + 1, weight.shape[0])
        params = {"strides": (1,), "dilation": (1,), "groups": 1, "transposed": False}
        made = self.make("convolve", (x, weight), shape, layer, data_axes=(0, 2, 1), weight_axes=(0, 1, 2), **params)
        return self.with_bias(made, layer)

    def relu(self, x: Node) -> Node:
        return self.map("relu", x)


def evaluate(node: Node, values: list[np.ndarray]) -> np.ndarray:
    """What an operation makes of the values of its inputs."""
    params = dict(node.params)
    match node.name:
        case "contract" if params["batch"] == ((0,), (0,)):
            return np.einsum("noi,ni->no", *values)
        case "contract":
            return np.tensordot(values[0], values[1], params["axes"])
        case "broadcast":
            return np.broadcast_to(values[0], node.shape)
        case "convolve":
            windows = np.lib.stride_tricks.sliding_window_view(values[0], values[1].shape[2], axis=1)
            return np.einsum("nlcw,ocw->nlo", windows, values[1])
        case "sum" | "mean" | "max" | "min":
            return getattr(np, node.name)(values[0], axis=params["axes"], keepdims=params["keepdims"])
        case "reshape":
            return values[0].reshape(node.shape)
        case "concatenate":
            return np.concatenate(values, axis=params["axis"])
        case "batch_norm":
            x, scale, shift, mean, variance = values
            return (x - mean) / np.sqrt(variance + params["epsilon"]) * scale + shift
    assert node.op.numpy is not None, node
    return node.op.numpy(*values, **params)


class NumpyFramework:
    """One model: parameters by name, and a forward that builds its graph."""

    def __init__(
        self,
        forward: Forward,
        shapes: dict[str, tuple[int, ...]],
        inputs: dict[str, np.ndarray] | np.ndarray,
        *,
        buffers: dict[str, np.ndarray] | None = None,
        has_inputs: bool = True,
        seed: int = 0,
        **known: Any,
    ) -> None:
        """Make the model.

        Args:
            forward: that builds the graph and returns the output.
            shapes: of the parameters.
            inputs: by name; a single one is "x".
            buffers: by name.
            has_inputs: whether they are the user's.
            seed: of the parameters' present numbers.
            known: for each field of ``Parameter``, its value by the name of a parameter.
        """
        rng = np.random.default_rng(seed)
        self.forward, self.has_inputs = forward, has_inputs
        self.arrays = {name: 0.1 * rng.standard_normal(shape) for name, shape in shapes.items()}
        self.buffers = dict(buffers or {})
        self.inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
        self.known = known
        self.marked: set[str] = set()
        self.runs = 0

    def trace(self, *, moved: bool = False) -> Graph:
        del moved
        builder = Builder(self.arrays, self.buffers, self.inputs)
        builder.graph.outputs["output"] = self.forward(builder)
        return builder.graph

    def entries(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def with_entry(self, entry: str) -> NumpyFramework:
        raise ValueError(entry)

    def parameter(self, name: str) -> Parameter:
        owner, _, last = name.rpartition(".")
        is_layer = last in ("weight", "bias") and bool(owner)
        bias = f"{owner}.bias" if is_layer else ""
        found = Parameter(
            name,
            owner if is_layer else name,
            last if is_layer else "",
            self.arrays[name].shape if name in self.arrays else (),
            may_take_bias=last == "weight" and bool(bias) and bias not in self.arrays,
            bias=bias if last == "weight" else "",
        )
        return replace(found, **{key: values[name] for key, values in self.known.items() if name in values})

    def geometry(self, name: str, fan_in: float) -> Geometry:
        del fan_in
        return dense_geometry(*self.arrays[name].shape)

    def moments(self, constant: Constant) -> tuple[float, float] | None:
        values = np.asarray(constant.handle)
        return float(values.mean()), float(np.square(values).mean())

    def numbers(self, constant: Constant) -> np.ndarray | None:
        return np.asarray(constant.handle, np.float64)

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float]:
        part = np.take(np.asarray(constant.handle), range(start, stop), axis)
        return float(part.min()), float(part.max())

    def measured(self, node: Node) -> FeatureMoments | None:
        if node.constant is not None:
            return measured(np.asarray(node.constant.handle))
        found = self._values(self.trace(), {self._place(node)}) if self.has_inputs else {}
        return measured(found[self._place(node)]) if found else None

    def parameters(self) -> list[str]:
        return list(self.arrays)

    def run(self, nodes: Sequence[Node], visit: Visit) -> None:
        self.runs += 1
        self._values(self.trace(), set(), {self._place(node): node for node in nodes}, visit)

    def _place(self, node: Node) -> Place | str:
        return node.place if node.name != "input" else f"input {node.params['name']}"

    def _values(
        self,
        graph: Graph,
        keep: set[Any],
        nodes: dict[Any, Node] | None = None,
        visit: Visit | None = None,
    ) -> dict[Any, np.ndarray]:
        values: dict[Node, np.ndarray] = {}
        kept = {}

        def value(node: Node) -> np.ndarray:  # constants are computed anew, so that what is written is seen at once
            if node in values:
                return values[node]
            if node.name == "parameter":
                return self.arrays[node.params["name"]]
            if node.name == "buffer":
                return self.buffers[node.params["name"]]
            if node.name == "literal":
                return np.asarray(node.constant.handle)
            return evaluate(node, [value(part) for part in node.inputs])

        for node in graph:
            if node.is_fixed:
                continue
            at = self._place(node)
            made = self.inputs[node.params["name"]] if node.name == "input" else value(node)
            if nodes and visit and at in nodes:
                given = visit(nodes[at], np.asarray(made, np.float64))
                made = made if given is None else given
            values[node] = made
            if at in keep:
                kept[at] = made
        self.output = values.get(graph.outputs["output"])
        return kept

    def at(self, *places: tuple[str, int]) -> list[np.ndarray]:
        """The values of some nodes in a run of the model as it is, by operation and module."""
        wanted = {Place(op, module, 0) if isinstance(module, str) else Place(op, "", module) for op, module in places}
        found = self._values(self.trace(), wanted)
        return [found[Place(op, m, 0) if isinstance(m, str) else Place(op, "", m)] for op, m in places]

    def mean(self, name: str) -> float:
        return float(self.arrays[name].mean())

    def scale(self, name: str, factor: float, positivity: Any) -> None:
        raw = self.arrays[name]
        if positivity is None:
            raw *= factor
            return
        effective = positivity.value(raw)
        image = positivity.inverse(np.where(effective > 0.0, effective * factor, 1.0))
        raw[...] = np.where(effective > 0.0, image, raw)

    def shift(self, name: str, amount: float) -> None:
        self.arrays[name] += amount

    def set_statistics(self, name: str, values: np.ndarray) -> None:
        self.buffers[name][...] = values

    def add_bias(self, name: str) -> None:
        self.arrays[name] = np.zeros(self.arrays[f"{name.rpartition('.')[0]}.weight"].shape[0])

    def write(self, fills: Sequence[Fill], seed: Any) -> None:
        rng = np.random.default_rng(seed)
        for fill in fills:
            raw = self.arrays[fill.name]
            if is_structured(fill.law):
                from convex_init_core import as_positivity
                from convex_init_core.methods.isometric import structured_raw

                off, places, values = structured_raw(fill.law, fill.positivity or as_positivity("projection"), 0)
                raw[...] = off
                raw.flat[places] = values
            else:
                unit = math.prod(raw.shape[1:])
                draw = NumpyDraw(rng, (raw.size,))
                raw[...] = sample_raw(fill.law, fill.positivity, draw, units=unit).reshape(raw.shape)

    def clip(self, name: str, low: float, high: float) -> None:
        self.arrays[name] = self.arrays[name].clip(low, high)

    def mark(self, kept: Sequence[Kept]) -> None:
        self.marked |= {each.name for each in kept}

    def snapshot(self) -> Any:
        return (
            {name: values.copy() for name, values in self.arrays.items()},
            {name: values.copy() for name, values in self.buffers.items()},
            set(self.marked),
        )

    def restore(self, snapshot: Any) -> None:
        arrays, buffers, self.marked = snapshot
        self.arrays = {name: values.copy() for name, values in arrays.items()}
        self.buffers = {name: values.copy() for name, values in buffers.items()}
