"""The core's reading of a torch model, without a plan."""

from __future__ import annotations

from convex_init.torch.trace import trace
from convex_init_core.convexity.inputs.parts import convex_inputs_of
from convex_init_core.convexity.judge import judge
from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.products_and_sums import read


def traced(model, inputs, entry):
    args, kwargs = (inputs if isinstance(inputs, tuple) else (inputs,)), {}
    return trace(model.eval(), args, kwargs, None if entry == "forward" else getattr(model, entry))


def reading_of(model, inputs, convex_inputs=None, entry="forward"):
    graph = traced(model, inputs, entry)
    return read(graph, judge(graph, convex_inputs_of(convex_inputs), on_a_grid=True), numbers=Numbers(moments))


def moments(constant):
    """Mean and mean square of the numbers of a constant."""
    numbers = constant.handle.double()
    return float(numbers.mean()), float(numbers.square().mean())
