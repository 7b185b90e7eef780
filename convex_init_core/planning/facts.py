"""What is counted once over a whole reading: depth, residuals, uses of weights, and which biases can shift a sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from convex_init_core.methods.sum_budget import TIED_GAIN, Budget, gain_limit
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.parts import Reading, Sum, Term

if TYPE_CHECKING:
    from convex_init_core.framework import Framework, Parameter
    from convex_init_core.graph.nodes import Node

LONG_LOOP = 2
"""So many times is a centred signal passed on by one weight: each time less than half is left of what tells two inputs
apart. The mean of one that is not centred is passed on by a (leaky) ReLU as it is."""


class Facts:
    """Counts over a reading, and the parameters of its model.

    Attributes:
        depth: how many sums with positive layers stand one behind the other.
        in_a_row: the same, if nothing stands beside any of them; else 0.
        with_skips: number of sums of positive layers and a free map of the input, and nothing else.
        residuals: number of sums with a convex value that is added as it is.
        uses: how often each weight is used.
        used_in: the nodes that multiply it, for each weight.
        looping: weights whose product sees an earlier product with the same weight, as in a recurrent network.
        streams: those of them, to whose data an identity passes on what their last product had taken.
        alike: for each sum, all that have weights in common, itself included, in the order of the signal, as those of a
            layer that is called several times; where no weight loops and the last one has all the weights.
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
        self.used_in: dict[str, set[Node]] = {}
        for product in reading.products:
            self.used_in.setdefault(product.source, set()).add(product.node)
        self.looping = _looping(reading, self.used_in, {source for source, count in self.uses.items() if count > 1})
        self.streams = {source for source in self.looping if _is_stream(reading, source)}
        self.alike = _alike(reading, self.looping)
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
        own = self.parameter(name).layer
        return tuple(layer for layer in self._tied.get(name, ()) if layer != own)

    @cached_property
    def _tied(self) -> dict[str, dict[str, None]]:
        """For each parameter that others are tied to, their layers."""
        found: dict[str, dict[str, None]] = {}
        for each in map(self.parameter, self._framework.parameters()):
            found.setdefault(each.tied_to, {})[each.layer] = None
        return found

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

    def gain_of_loop(self, found: Sum) -> float | None:
        """Return how large ``Σ N μ`` of a sum may be whose weights see what they have made; ``None`` if none does."""
        looping = [term.product.source for term in found.positive if term.product.source in self.looping]
        streams = [self.uses[source] for source in looping if source in self.streams]
        if streams:  # each step adds to what the one before has
            return gain_limit(max(streams)) - 1.0
        if looping and self._is_all_of_loop(found):
            return gain_limit(self._steps(found)) if self.is_long_loop(found) else None
        return TIED_GAIN if looping else None

    def is_long_loop(self, found: Sum) -> bool:
        """Whether a sum has nothing but what its own weights have made, more often than a centred signal survives."""
        return self._is_all_of_loop(found) and self._steps(found) > LONG_LOOP

    def _is_all_of_loop(self, found: Sum) -> bool:
        """Whether no identity passes the signal on, and nothing else is added."""
        return not found.present and {term.product.source for term in found.terms} <= self.looping - self.streams

    def _steps(self, found: Sum) -> int:
        return max(self.uses[term.product.source] for term in found.terms)

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


def _looping(reading: Reading, used_in: Mapping[str, set[Node]], tied: set[str]) -> set[str]:
    """The tied weights that multiply what they themselves have made."""
    sources: dict[Node, set[str]] = {}
    for source in tied:
        for node in used_in[source]:
            sources.setdefault(node, set()).add(source)
    if not sources:
        return set()
    found: set[str] = set()
    behind: dict[Node, frozenset[str]] = {}
    for node in reading.graph:
        seen = frozenset().union(*(behind.get(part, frozenset()) for part in node.inputs))
        own = sources.get(node, set())
        found |= own & seen
        behind[node] = seen | own
    return found


def _is_stream(reading: Reading, source: str) -> bool:
    """Whether a weight adds to what it reads, as in ``z = z + relu(W z)``."""
    taken = {product.data for product in reading.products if product.source == source}
    for data in taken:
        stack, seen = [data], {data}
        while stack:
            node = stack.pop()
            if node.op.moves or node.name in ("add", "subtract", *_SCALES):
                ahead = [part for part in node.inputs if not part.is_fixed and part not in seen]
                if taken & set(ahead):
                    return True
                seen.update(ahead)
                stack += ahead
    return False


def _alike(reading: Reading, looping: set[str]) -> dict[Sum, list[Sum]]:
    groups: dict[str, list[Sum]] = {}  # by weight, those that share one joined
    for found in reading.sums:
        sources = dict.fromkeys(term.product.source for term in found.terms)
        before = {id(groups[source]): groups[source] for source in sources if source in groups}
        joined = [*(one for group in before.values() for one in group), found]
        for source in sources | dict.fromkeys(term.product.source for one in joined for term in one.terms):
            groups[source] = joined
    alike: dict[Sum, list[Sum]] = {}
    for group in {id(group): group for group in groups.values()}.values():
        whole = {term.product.source for found in group for term in found.terms}
        last = {term.product.source for term in group[-1].terms}
        if whole == last and not whole & looping:
            alike.update(dict.fromkeys(group, group))
    return alike


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


_SCALES = ("multiply", "divide", "negate")

_CHANGES = ("multiply", "divide", "concatenate", "contract", "convolve")
