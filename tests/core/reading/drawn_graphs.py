"""Graphs by hand, with numbers behind their constants, as a tracer would lower the models of these tests."""

from __future__ import annotations

import math

import numpy as np

from convex_init_core.convexity.judge import judge
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.ops import OPS
from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.products_and_sums import read


class Drawing:
    """Adds nodes to a graph; constants are folded, as tracers do."""

    def __init__(self):
        self.graph, self.names = Graph(), []

    def node(self, name, /, *inputs, shape=None, array=None, **params):
        inputs = tuple(part if isinstance(part, Node) else self.literal(part) for part in inputs)
        if shape is None:
            shape = np.broadcast_shapes(*(part.shape for part in inputs))
        constant = None
        if array is None and inputs and all(part.is_fixed for part in inputs):
            array = self._folded(name, inputs, params, shape)
        if array is not None:
            names = tuple(dict.fromkeys(source for part in inputs for source in part.parameters))
            names = (params["name"],) if name == "parameter" else names
            array = np.asarray(array)
            constant = Constant(array, (float(array.min()), float(array.max())), names)
        node = Node(
            OPS[name], inputs, params, tuple(shape), "bool" if name == "compare" else "float32", Place(name), constant
        )
        self.graph.nodes.append(node)
        return node

    def _folded(self, name, inputs, params, shape):
        arrays = [part.constant.handle for part in inputs]
        op = OPS[name]
        if op.numpy is not None:
            return op.numpy(*arrays, **params)
        if name == "transpose":
            return np.transpose(arrays[0], params["axes"])
        if name == "concatenate":
            return np.concatenate(arrays, params["axis"])
        if name in ("sum", "mean", "max"):
            return getattr(np, name)(arrays[0], axis=params["axes"], keepdims=params["keepdims"])
        if name == "contract":
            return np.zeros(shape)
        if name == "opaque":
            return np.ones(shape)
        return np.broadcast_to(arrays[0], shape) if name == "broadcast" else np.reshape(arrays[0], shape)

    def input(self, *shape, name="x"):
        self.graph.inputs[name] = node = self.node("input", shape=shape, name=name)
        return node

    def parameter(self, name, *shape, low=-1.0, high=1.0):
        generator = np.random.default_rng(len(self.graph.nodes))
        return self.node("parameter", shape=shape, array=generator.uniform(low, high, shape), name=name)

    def buffer(self, name, array):
        return self.node("buffer", shape=np.shape(array), array=array, name=name)

    def literal(self, number):
        return self.node("literal", shape=(), array=float(number))

    def product(self, data, weight):
        """``data @ weight.T``, the way of linear layers."""
        shape = (*data.shape[:-1], weight.shape[0])
        axes = ((len(data.shape) - 1,), (len(weight.shape) - 1,))
        return self.node("contract", data, weight, shape=shape, axes=axes, batch=((), ()))

    def linear(self, data, name, width, bias=True, through=None):
        weight = self.parameter(f"{name}.weight", width, data.shape[-1])
        weight = weight if through is None else through(weight)
        made = self.product(data, weight)
        return self.node("add", made, self.parameter(f"{name}.bias", width)) if bias else made

    def moved(self, name, data, shape, **params):
        return self.node(name, data, shape=shape, **params)

    def reduce(self, name, data, *axes):
        axes = axes or tuple(range(len(data.shape)))
        shape = tuple(size for axis, size in enumerate(data.shape) if axis not in axes)
        return self.node(name, data, shape=shape, axes=axes, keepdims=False)

    def join(self, *parts):
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        return self.node("concatenate", *parts, shape=shape, axis=len(shape) - 1)

    def read(self, convex=None, **words):
        values = judge(self.graph, convex, on_a_grid=True)
        return read(self.graph, values, numbers=Numbers(moments), **{key: frozenset(w) for key, w in words.items()})

    def __getattr__(self, name):
        """Operations with an input or two and perhaps parameters, by their names."""
        if name not in OPS:
            raise AttributeError(name)
        return lambda *inputs, **params: self.node(name, *inputs, **params)


def moments(constant):
    return float(np.mean(constant.handle)), float(np.mean(np.square(constant.handle)))


def roles(reading):
    return {product.source: "positive" if product.positive else "free" for product in reading.products}


def terms(found):
    return [term.product.source for term in found.terms]


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
