"""Small networks for tests of planning, as functions that build their graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from convex_init_core.graph.nodes import Node
from convex_init_core.planning.build import execute, plan
from convex_init_core.planning.plan import LayerPlan, Plan
from convex_init_core.request import request
from tests.core.planning.numpy_framework import Builder, NumpyFramework

FEATURES, WIDTH, SAMPLES = 20, 64, 512


def sample(*shape: int) -> np.ndarray:
    """Inputs of mean 0 and variance 1."""
    return np.random.default_rng(7).standard_normal(shape or (SAMPLES, FEATURES))


def dense(*layers: tuple[str, int, int], bias: bool = True) -> dict[str, tuple[int, ...]]:
    """Shapes of dense layers: name, inputs, outputs."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, inputs, outputs in layers:
        shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)
    return shapes


def chain(depth: int = 4, *, bias: bool = True, **known: Any) -> NumpyFramework:
    """Dense layers with ReLUs between them; ``bias``: of all but the first, which has one."""

    def forward(b: Builder) -> Node:
        x = b.linear(b.input(), "0")
        for i in range(1, depth):
            x = b.linear(b.relu(x), str(i))
        return x

    layers = [(str(i), WIDTH, WIDTH) for i in range(1, depth)]
    shapes = dense(("0", FEATURES, WIDTH)) | dense(*layers, bias=bias)
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def skips(depth: int = 3, **known: Any) -> NumpyFramework:
    """``z ← softplus(Wz z + Wx x)``."""

    def forward(b: Builder) -> Node:
        x = b.input()
        z = _softplus(b, b.linear(x, "x0"))
        for i in range(1, depth + 1):
            z = b.map("add", b.linear(z, f"z{i}"), b.linear(x, f"x{i}"))
            z = _softplus(b, z) if i < depth else z
        return z

    shapes = dense(*((f"z{i}", WIDTH, WIDTH) for i in range(1, depth + 1)))
    shapes |= dense(*((f"x{i}", FEATURES, WIDTH) for i in range(depth + 1)), bias=False)
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def residual(depth: int = 3, **known: Any) -> NumpyFramework:
    """``h ← h + W relu(h)``."""

    def forward(b: Builder) -> Node:
        h = b.linear(b.input(), "in")
        for i in range(depth):
            h = b.map("add", h, b.linear(b.relu(h), f"h{i}"))
        return h

    shapes = dense(("in", FEATURES, WIDTH), *((f"h{i}", WIDTH, WIDTH) for i in range(depth)))
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def recurrent(steps: int = 3, **known: Any) -> NumpyFramework:
    """One matrix applied again and again, the input added each time."""

    def forward(b: Builder) -> Node:
        x = b.input()
        h = b.relu(b.linear(x, "u"))
        for _ in range(steps):
            h = b.relu(b.map("add", b.linear(h, "w"), b.linear(x, "u")))
        return h

    shapes = dense(("u", FEATURES, WIDTH)) | dense(("w", WIDTH, WIDTH), bias=False)
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def _softplus(b: Builder, x: Node) -> Node:
    return b.map("softplus", x, beta=1.0, threshold=20.0)


def planned(framework: NumpyFramework, **options: Any) -> Plan:
    """Return a plan by one method, so that tests do not move with what ``"auto"`` prefers."""
    return plan(framework, request(**{"method": "bounded_gain", **options}))


def applied(framework: NumpyFramework, seed: int = 0, **options: Any) -> Plan:
    made = planned(framework, **options)
    execute(made, framework, seed)
    return made


def by_name(made: Plan) -> dict[str, LayerPlan]:
    return {layer.name: layer for layer in made.layers}
