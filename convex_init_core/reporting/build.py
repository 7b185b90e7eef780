"""From a framework's model to its signal report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from convex_init_core import checks
from convex_init_core.collector import collector_paused
from convex_init_core.planning.build import numbers_of, read_model
from convex_init_core.planning.refusals import lacks_numbers, shown, unseen
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.signals import Signals
from convex_init_core.reporting.predict import Predictor
from convex_init_core.reporting.report import LayerSignal, SignalReport
from convex_init_core.reporting.statistics import correlations_of, rows_of, sample_of, statistics_of

if TYPE_CHECKING:
    from convex_init_core.framework import Framework, Observed
    from convex_init_core.graph.nodes import Node
    from convex_init_core.reading.parts import Reading, Sum
    from convex_init_core.request import Request

Kind = TypeVar("Kind", bound=SignalReport)


@collector_paused
def report(
    framework: Framework, request: Request, loss: Callable[[Any], Any] | None, kind: Callable[..., Kind]
) -> Kind:
    """Measure every sum of a model and return it beside what the theory says.

    Args:
        framework: of the model, with the user's inputs.
        request: of the user.
        loss: from what the model returns to a scalar; see :meth:`convex_init_core.framework.Framework.observe`.
        kind: of the report: :class:`SignalReport`, or a class that can draw it.

    Raises:
        ValueError: if no product with a weight was found, a part of the model was not recorded, or there are fewer
            than two samples.
    """
    reading, _ = read_model(framework, request)
    if hidden := unseen(reading.graph):
        raise ValueError(f"the signal cannot be followed through all of the model:{hidden}")
    if not reading.sums:
        raise ValueError("the model has no product with a weight to measure")
    if lacks_numbers(reading.graph):
        raise ValueError(
            "the model's weights have no numbers, so there is no signal to measure: they are on the meta device"
        )
    paths = [_path(found, framework) for found in reading.sums]
    for path, found in zip(paths, reading.sums, strict=True):
        if 0 in found.root.shape:
            raise ValueError(
                f"{shown(path)}: it has no units (shape {found.root.shape}), so there is no signal to measure"
            )
    axes = _unit_axes(reading)
    observed = framework.observe(list(axes), checks.scalar_loss(loss))
    samples = observed[reading.sums[0].root].value.shape[0] if reading.sums[0].root.shape else 1
    if samples < 2:
        raise ValueError(f"batch must hold at least two samples for a correlation, got {samples}")
    feeding = Feeding.of(reading.graph, reading.values)
    signals = Signals(reading, feeding, numbers_of(framework), request.settings.correlation)
    named = ((p.source, request.feeding(framework.parameter(p.source).layer)) for p in reading.products)
    chosen = {name: phi for name, phi in named if phi is not None}
    predictor = Predictor(reading, framework, feeding, signals, chosen)
    predicted = predictor.predict(observed, axes)
    feeding_next = predictor.features()
    layers = []
    for place, found in enumerate(reading.sums):
        values = observed[found.root].value
        rows = rows_of(values, axes[found.root])
        measured = statistics_of(rows)
        after = feeding_next.get(found, found.root)
        layers.append(
            LayerSignal(
                path=paths[place],
                mean=measured.mean,
                variance=measured.variance,
                correlation=measured.correlation,
                active=float((values > 0).mean()),
                gradient=_size_of_gradient(observed[found.root]),
                predicted=predicted.signals[place],
                predicted_gradient=predicted.gradients[place],
                sample=sample_of(values),
                correlations=correlations_of(rows_of(observed[after].value, axes[after])),
            )
        )
    return kind(tuple(layers))


def _path(found: Sum, framework: Framework) -> str:
    terms = found.positive or found.free
    return " + ".join(dict.fromkeys(framework.parameter(term.product.source).layer for term in terms))


def _unit_axes(reading: Reading) -> dict[Node, int]:
    """The axis of the units in each sum, and in what its layers take: the channels of a convolution, or the last."""
    axes: dict[Node, int] = {}
    for found in reading.sums:
        fields = [term.product.node for term in found.terms if term.product.node.name == "convolve"]
        axes[found.root] = fields[0].params["data_axes"][1] if fields else -1
        for term in found.terms:
            node = term.product.node
            axes.setdefault(term.product.data, node.params["data_axes"][1] if node.name == "convolve" else -1)
    return {node: axis for node, axis in axes.items() if not node.is_fixed}


def _size_of_gradient(found: Observed) -> float:
    """Root mean square for one sample: a loss that is a mean over the batch gives each its share."""
    if found.gradient is None:
        return math.nan
    return float(np.sqrt(np.square(found.gradient * found.value.shape[0]).mean()))
