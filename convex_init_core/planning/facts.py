"""What is counted once over a whole reading: depth, residuals, uses of weights, and which biases can shift a sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from convex_init_core.methods.sum_budget import Budget
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.parts import Reading, Sum, Term

if TYPE_CHECKING:
    from convex_init_core.framework import Framework, Parameter
    from convex_init_core.graph.nodes import Node


class Facts:
    """Counts over a reading, and the parameters of its model.

    Attributes:
        depth: how many sums with positive layers stand one behind the other.
        in_a_row: the same, if nothing stands beside any of them; else 0.
        with_skips: number of sums of positive layers and a free map of the input, and nothing else.
        residuals: number of sums with a convex value that is added as it is.
        uses: how often each weight is used.
        skips: weights that are free, and summed with a positive layer somewhere.
        alone: weights that are free, and in a sum without a positive layer somewhere.
        feeding: which activations stand where.
        behind: sums with a positive layer that stands behind a non-linearity.
        shifting: biases of these.
    """

    def __init__(self, reading: Reading, framework: Framework) -> None:
        """Count."""
        self.reading = reading
        self._framework = framework
        self.feeding = Feeding.of(reading.graph, reading.values)
        self._parameters: dict[str, Parameter] = {}
        self._added = {found: _factors(found) for found in reading.sums}
        positive = [found for found in reading.sums if found.positive]
        plain = [found for found in positive if not found.present and found.normalised is None]
        self.depth = _depth(reading)
        self.in_a_row = self.depth if all(not found.free for found in plain) and len(plain) == len(positive) else 0
        self.with_skips = sum(1 for found in plain if found.free)
        self.residuals = sum(1 for found in reading.sums if any(map(reading.is_convex, (n for n, _ in found.present))))
        self.uses = Counter(product.source for product in reading.products)
        self.skips = {term.product.source for found in positive for term in found.free}
        self.alone = {term.product.source for found in reading.sums if not found.positive for term in found.free}
        self.behind = {found for found in positive if any(reading.is_convex(t.product.data) for t in found.positive)}
        self.shifting = {source for found in self.behind for source, _ in found.biases}
        self.sums_of_bias = Counter(source for found in reading.sums for source in self._added[found])

    def parameter(self, name: str) -> Parameter:
        """Return what the framework knows of a parameter."""
        if name not in self._parameters:
            self._parameters[name] = self._framework.parameter(name)
        return self._parameters[name]

    def tied_layers(self, name: str) -> tuple[str, ...]:
        """Return the paths of the other layers that have the same parameter."""
        known = map(self.parameter, self._framework.parameters())
        own = self.parameter(name).layer
        return tuple(dict.fromkeys(each.layer for each in known if each.tied_to == name and each.layer != own))

    def path(self, term: Term) -> str:
        """Return the path of a term's layer."""
        return self.parameter(term.product.source).layer

    def paths(self, terms: list[Term]) -> tuple[str, ...]:
        """Return the paths of the layers of several terms, each once."""
        return tuple(dict.fromkeys(map(self.path, terms)))

    def biases(self, found: Sum) -> list[str]:
        """Return the biases of a sum, each once; one inside a term that depends on context if there is no other."""
        return list(self._added[found]) or ([found.fallback_bias] if found.fallback_bias else [])

    def factor(self, found: Sum, bias: str) -> float:
        """Return the number times which a sum adds a bias: −1 where it is subtracted, 2 where it is added twice.

        It is 0 for one that cannot shift the sum, such as a bias inside a square.
        """
        return self._added[found].get(bias, 1.0)

    def can_take_bias(self, found: Sum) -> bool:
        """Whether a bias can be registered in one of the positive layers of a sum."""
        return any(self.parameter(term.product.source).may_take_bias for term in found.positive)

    def before_scaling(self, budget: Budget, found: Sum, bias: str) -> Budget:
        """Return what a bias gets, whose sum adds it times a factor."""
        factor = self.factor(found, bias)
        return replace(budget, bias_mean=budget.bias_mean / factor, bias_variance=budget.bias_variance / factor**2)


def _factors(found: Sum) -> dict[str, float]:
    factors: dict[str, float] = {}
    for source, factor in found.biases:
        factors[source] = factors.get(source, 0.0) + factor
    return factors


def _depth(reading: Reading) -> int:
    """How many sums with positive layers stand one behind the other."""
    counted = {found.root for found in reading.sums if found.positive}
    depth: dict[Node, int] = {}
    for node in reading.graph:
        before = max((depth.get(part, 0) for part in node.inputs), default=0)
        depth[node] = before + (node in counted)
    return max(depth.values(), default=0)


def readers(reading: Reading) -> dict[str, list[Node]]:
    """Return, for each parameter, the nodes that take it (or what was computed from it) beside what depends on inputs.

    A parameter with one of them is used once in a run.
    """
    found: dict[str, list[Node]] = {}
    for node in reading.graph:
        if not node.is_fixed:
            for name in dict.fromkeys(_constants_of(node)):
                found.setdefault(name, []).append(node)
    return found


def _constants_of(node: Node) -> Iterator[str]:
    for part in node.inputs:
        yield from part.parameters


def shows_input(data: Node, *, is_scaled: bool = False) -> bool:
    """Whether a value is an input of the model, with nothing on the way that multiplies it or puts others beside it.

    Args:
        data: the value.
        is_scaled: whether a product with numbers of the code (or with buffers) may be on the way. They bring an input
            to order 1 that is of another order, which only example inputs would show.
    """
    while not data.is_fixed and data.inputs:
        moving = [part for part in data.inputs if not part.is_fixed]
        factors = [part for part in data.inputs if part.is_fixed and not part.parameters]
        is_scale = data.name == "multiply" or (data.name == "divide" and data.inputs[0] in moving)
        if data.name in _CHANGES and not (is_scaled and is_scale and len(factors) == 1):
            return False
        data = moving[0] if moving else data.inputs[0]
    return data.name == "input"


_CHANGES = ("multiply", "divide", "concatenate", "contract", "convolve")
