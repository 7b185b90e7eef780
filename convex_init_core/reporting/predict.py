"""What the theory says of the sums of a reading, from the moments of the weights that are there.

Along a chain, where each layer takes what the one before made and nothing else is summed, the prediction of a layer
starts from that of the layer before. Elsewhere it goes one step at a time: what a sum makes of the signal that was
measured in front of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convex_init_core.framework import Framework, Observed
from convex_init_core.graph.nodes import Node
from convex_init_core.methods.normalised import normalised_output
from convex_init_core.methods.sum_budget import forward_sum
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.parts import Reading, Sum, Term
from convex_init_core.reading.signals import Signals, as_factor
from convex_init_core.reporting.statistics import Array, gradient_statistics_of, rows_of, statistics_of
from convex_init_core.signal.prediction import UNKNOWN, Stage, is_isometric, predict_gradients, predict_signals
from convex_init_core.signal.signal_moments import activated, pre_activation
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import identity
from convex_init_core.theory.moments import FeatureMoments
from convex_init_core.theory.statistics import LayerStatistics, SignalStatistics


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is predicted for each sum: mean, variance and correlation, and the gradient's root mean square."""

    signals: list[SignalStatistics]
    gradients: list[float]


class Predictor:
    """The theory of one reading.

    Args:
        reading: of the model.
        framework: of the same.
        feeding: which activations stand in it.
        signals: moments of what no weight changes; sums are filled in as they are measured.
        chosen: the user's activation for a layer, by the name of its weight, where there is one.
    """

    def __init__(
        self,
        reading: Reading,
        framework: Framework,
        feeding: Feeding,
        signals: Signals,
        chosen: Mapping[str, Activation],
    ) -> None:
        """Find the weights of every product once."""
        self.reading, self.framework, self.feeding = reading, framework, feeding
        self.signals, self.chosen = signals, chosen
        self._layers: dict[Term, LayerStatistics] = {}

    def predict(self, observed: Mapping[Node, Observed], axes: Mapping[Node, int]) -> Predictions:
        """Return the predictions for all sums, in order.

        Args:
            observed: values and gradients of the sums, and of what the free layers take.
            axes: of the units in each of them.
        """
        sums = self.reading.sums
        links = self._links()
        if links is None:
            return Predictions([self._step(found, observed, axes) for found in sums], [math.nan] * len(sums))
        stages = [self._stage(found, links[found], observed, axes) for found in sums]
        signals = predict_signals(stages)
        last = observed[sums[-1].root].gradient
        if last is None:
            return Predictions(signals, [math.nan] * len(sums))
        # Of one sample: a loss that is a mean over the batch gives each of them its share.
        rows = rows_of(last * _samples(observed[sums[-1].root]), axes[sums[-1].root])
        return Predictions(signals, predict_gradients(stages, signals, gradient_statistics_of(rows)))

    def features(self) -> dict[Sum, Node]:
        """Return what of each sum of a chain feeds the next layer. Empty where there is no chain."""
        if self._links() is None:
            return {}
        following = ((then.positive or then.free)[0].product.data for then in self.reading.sums[1:])
        return dict(zip(self.reading.sums, following, strict=False))

    # A chain

    def _links(self) -> dict[Sum, Activation | None] | None:
        """What feeds each sum from the one before (``None`` for the first), if they are a chain."""
        links: dict[Sum, Activation | None] = {}
        before: Node | None = None
        for found in self.reading.sums:
            main = found.positive or found.free
            skips = found.free if found.positive else []
            is_plain = len(main) == 1 and len(skips) <= 1 and not found.present and found.normalised is None
            if not is_plain or found.offset or any(t.squares or t.factor.mean != 1.0 for t in found.terms):
                return None
            phi = None if before is None else self._between(main[0], before)
            if before is not None and phi is None:
                return None
            links[found] = phi
            before = found.root
        return links

    def _between(self, term: Term, before: Node) -> Activation | None:
        """The one activation between a sum and the layer that takes it; ``None`` if there is more between them."""
        node, phi = term.product.data, None
        while node is not before:
            found = self.feeding.activation_at(node)
            if found is not None and phi is None and found[2] == 1.0:
                phi, node = found[0], found[1]
            elif node.op.moves and node.inputs and len([p for p in node.inputs if not p.is_fixed]) == 1:
                node = self.feeding.passed_by(node)
            else:
                return None
        return self.chosen.get(term.product.source) or phi or identity()

    def _stage(
        self, found: Sum, phi: Activation | None, observed: Mapping[Node, Observed], axes: Mapping[Node, int]
    ) -> Stage:
        term = (found.positive or found.free)[0]
        layer = self._layer(term)
        mean, variance = self._bias(found)
        extra = 0.0
        for skip in found.free if found.positive else ():
            across = self._layer(skip)
            second = float(np.square(observed[skip.product.data].value).mean())
            extra += across.fan_in * across.weight_variance * second
        layer = LayerStatistics(layer.fan_in, layer.weight_mean, layer.weight_variance, mean, variance, extra)
        data = term.product.data
        starts = phi is None or (not term.product.positive and data in observed)
        incoming = statistics_of(rows_of(observed[data].value, axes[data])) if starts else None
        isometric = term.product.positive and self._is_isometric(term)
        return Stage(layer, phi or identity(), self._fan_out(term), incoming=incoming, independent=not isometric)

    def _fan_out(self, term: Term) -> float:
        """How many pre-activations a feature reaches, at stride 1: the weight's elements for each input unit."""
        where = self.framework.geometry(term.product.source, term.product.fan_in)
        window = math.prod(where.shape[axis] for axis in where.window)
        return float(where.outputs_of_group * window)

    # One step

    def _step(self, found: Sum, observed: Mapping[Node, Observed], axes: Mapping[Node, int]) -> SignalStatistics:
        predicted = self._predicted(found)
        measured = statistics_of(rows_of(observed[found.root].value, axes[found.root]))
        self.signals.decided[found.root] = pre_activation(measured.mean, measured.variance, measured.correlation)
        return predicted

    def _predicted(self, found: Sum) -> SignalStatistics:
        if found.normalised is not None:
            return self._behind_a_normalisation(found, found.normalised)
        if any(self._is_isometric(term) for term in found.positive):
            return UNKNOWN
        terms = [(self._layer(term), self._features(term)) for term in found.terms if not term.squares]
        present = [as_factor(factor, self.signals.of(node)[0]) for node, factor in found.present]
        mean, variance = self._bias(found)
        behind = forward_sum(terms, present, mean + found.offset, variance)
        rho = behind.covariance / behind.variance if behind.variance > 0.0 else 0.0
        return SignalStatistics(behind.mean, behind.variance, rho)

    def _behind_a_normalisation(self, found: Sum, norm: Node) -> SignalStatistics:
        """Of one layer, with statistics that are taken to be those of the batch."""
        if len(found.terms) != 1 or found.present:
            return UNKNOWN
        term = found.terms[0]
        gain, shift = (self._numbers(part) for part in norm.inputs[1:3])
        scale = 1.0 if gain is None else float(np.sqrt(np.square(gain).mean()))
        behind = normalised_output(self._features(term), self._layer(term), scale)
        if shift is None:
            return behind
        variance = behind.variance + float(shift.var())
        rho = behind.correlation * behind.variance / variance if variance > 0.0 else 0.0
        return SignalStatistics(float(shift.mean()), variance, rho)

    # Numbers

    def _features(self, term: Term) -> FeatureMoments:
        moments = self.signals.of(term.product.data)[0]
        chosen = self.chosen.get(term.product.source)
        if chosen is not None and term.product.positive:
            moments = activated(chosen, moments)
        return as_factor(term.factor, moments)

    def _bias(self, found: Sum) -> tuple[float, float]:
        mean, variance = 0.0, 0.0
        for name, factor in found.biases:
            middle, spread = self.framework.spread(name)
            mean += factor * middle
            variance += factor**2 * spread
        return mean, variance

    def _layer(self, term: Term) -> LayerStatistics:
        if term not in self._layers:
            weight = _weight(term).constant
            moments = None if weight is None else self.framework.moments(weight)
            mean, second = moments if moments is not None else (math.nan, math.nan)
            self._layers[term] = LayerStatistics(term.product.fan_in, mean, max(second - mean**2, 0.0))
        return self._layers[term]

    def _is_isometric(self, term: Term) -> bool:
        weight = _weight(term)
        numbers = self._numbers(weight)
        try:
            where = self.framework.geometry(term.product.source, term.product.fan_in)
        except ValueError:
            return False
        return numbers is not None and numbers.shape == where.shape and is_isometric(numbers, where)

    def _numbers(self, node: Node) -> Array | None:
        return None if node.constant is None else self.framework.numbers(node.constant)


def _weight(term: Term) -> Node:
    """The weight as the product takes it, traced back over moves to the axes of its parameter."""
    node = max((part for part in term.product.node.inputs if part.parameters), key=lambda part: part.size)
    while node.op.moves and node.inputs and node.size == node.inputs[0].size:
        node = node.inputs[0]
    return node


def _samples(observed: Observed) -> int:
    return observed.value.shape[0] if observed.value.ndim else 1
