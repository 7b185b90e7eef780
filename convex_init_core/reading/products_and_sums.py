"""Read a graph: its products with weights, and the sums that these are part of."""

from __future__ import annotations

from collections.abc import Mapping

from convex_init_core.convexity.calculus import Value
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.graph.walks import heard, parts_first
from convex_init_core.reading.factors import Numbers, scaling
from convex_init_core.reading.fixed.behind_a_sum import whole_sum
from convex_init_core.reading.fixed.maps import fixed_map
from convex_init_core.reading.parts import Factor, Product, Reading, Sum, Term
from convex_init_core.reading.products import Products

_ADDS = ("add", "subtract")
_ROOTS = (*_ADDS, "multiply", "divide", "negate", "batch_norm")
_STATISTICS = ("mean", "max", "min", "log_sum_exp")


def read(
    graph: Graph,
    values: Mapping[Node, Value],
    *,
    positive: frozenset[str] = frozenset(),
    free: frozenset[str] = frozenset(),
    numbers: Numbers | None = None,
) -> Reading:
    """Return the products of a graph with weights, and their sums.

    Args:
        graph: of one run of a model.
        values: what the calculus knows of its nodes.
        positive: names of parameters that are positive whatever they multiply.
        free: names of parameters that are free whatever they multiply.
        numbers: what stands behind gains and factors; those that are one number each are known anyway.
    """
    numbers = numbers or Numbers()
    consumers = heard(graph)
    products = Products(graph, values, consumers, positive, free, numbers).find()
    sums = _Sums(graph, values, consumers, products, numbers).find()
    every = [product for found in products.by_node.values() for product in found]
    return Reading(graph, values, every, sums, products.problems, products.left)


class _Sums:
    """Collect the sums of one graph."""

    def __init__(
        self,
        graph: Graph,
        values: Mapping[Node, Value],
        consumers: dict[Node, list[Node]],
        products: Products,
        numbers: Numbers,
    ) -> None:
        self.graph, self.values, self.consumers, self.numbers = graph, values, consumers, numbers
        self.products, self.reduced, self.of_positions = products.by_node, products.reduced, products.of_positions
        self.order = {node: place for place, node in enumerate(graph)}
        self.inside: dict[Node, frozenset[str]] = {}

    def find(self) -> list[Sum]:
        """Return them in the order of the signal."""
        sums: list[Sum] = []
        absorbed: set[Node] = set()
        for node in reversed(self.graph.nodes):  # the outermost sum comes first and takes those inside
            if node not in absorbed and self._may_be_root(node):
                found, taken = self._sum(node)
                absorbed |= taken  # also where there was no term, so that no node is walked for each one behind it
                if found.terms:
                    sums.append(whole_sum(found, self.consumers, self.order, self.numbers))
        return sums[::-1]

    def _may_be_root(self, node: Node) -> bool:
        if node.is_fixed or self.values[node].is_constant:
            return False
        if node in self.products or node in self.reduced or node.name in _ROOTS or bool(_stacked(node)):
            return True
        return fixed_map(node, self.numbers) is not None

    def _sum(self, root: Node) -> tuple[Sum, set[Node]]:
        found, taken = Sum(root), {root}
        stack: list[tuple[Node, Factor, bool]]
        if root.name == "batch_norm":
            found.normalised = root
            stack = [(root.inputs[0], Factor(), False)]
        else:
            stack = [(root, Factor(), True)]
        while stack:
            stack += reversed(self._step(*stack.pop(), found, taken))
        if self._loses_shifts(root):
            found.cancelled |= {source for source, _ in found.biases}
        if any(source in found.cancelled for source, _ in found.biases):
            found.biases = [(source, factor) for source, factor in found.biases if source not in found.cancelled]
            found.fallback_bias = ""
        return found, taken

    def _step(
        self, node: Node, factor: Factor, outermost: bool, found: Sum, taken: set[Node]
    ) -> list[tuple[Node, Factor, bool]]:
        """Take one node of a sum, and return what it adds up."""
        if node.is_fixed:
            self._fixed(node, factor, found)
            return []
        if node in self.products and (outermost or self._belongs_to_sums(node)):
            taken.add(node)
            found.terms += [Term(product, factor) for product in self.products[node]]
            return []
        if node in self.products:
            found.present.append((node, factor))
            return []
        if (quadratic := self._quadratic(node)) is not None:
            product, squares, inside, inner, biases = quadratic
            taken |= inner
            found.terms.append(Term(product, factor.times(inside), squares))
            found.biases += [(source, 0.0) for source in biases]
            return []
        if self.values[node].is_constant:
            found.cancelled |= self._parameters_inside(node)
            found.fallback_bias = found.fallback_bias or _bias_inside(node)
            found.present.append((node, factor))
            return []
        if not outermost and len(self.consumers.get(node, ())) > 1 and not self._is_shared_layer(node):
            found.present.append((node, factor))
            return []
        ahead = self._summands(node, factor, outermost)
        if ahead:
            taken.add(node)
            if node.name in ("contract", "convolve") or node in self.of_positions:
                found.mixed = found.mixed or node.label
        else:
            found.present.append((node, factor))
        return ahead

    def _summands(self, node: Node, factor: Factor, outermost: bool) -> list[tuple[Node, Factor, bool]]:
        """What a node adds up; nothing if it is no sum."""
        if node.name in _ADDS:
            sign = 1.0 if node.name == "add" else -1.0
            first, second = node.inputs
            if first is second:
                return [(first, factor.times(Factor(1.0 + sign, (1.0 + sign) ** 2, 1.0 + sign)), False)]
            return [(first, factor, False), (second, factor.times(Factor(sign, 1.0, sign)), False)]
        if parts := _stacked(node):
            share = 1.0 if node.name == "sum" else 1.0 / len(parts)
            return [(part, factor.times(Factor(share, share**2, share)), False) for part in parts]
        if node in self.reduced:
            product, scale = self.reduced[node]
            return [(product, factor.times(scale), False)]
        scaled = scaling(node, self.values, self.numbers)
        scaled = scaled or fixed_map(node, self.numbers)
        if scaled is not None:
            return [(scaled[0], factor.times(scaled[1]), False)]
        if node.op.moves and not outermost:
            return [(node.inputs[0], factor, False)]
        return []

    def _fixed(self, node: Node, factor: Factor, found: Sum) -> None:
        source = parameter_of(node)
        if source:
            found.biases.append((source, factor.mean))
        elif node.parameters:  # its value, such as f(0) in f(x) − f(0), is not known before the weights are written
            found.cancelled |= set(node.parameters)
        elif node.number is not None:
            found.offset += factor.mean * node.number
        else:
            found.present.append((node, factor))

    def _belongs_to_sums(self, node: Node) -> bool:
        """Whether a product is a term only: it has one consumer, or is free and all of its consumers are sums."""
        consumers = self.consumers.get(node, [])
        if len(consumers) <= 1:
            return True
        is_free = not any(product.positive for product in self.products[node])
        return is_free and all(consumer.name in _ADDS for consumer in consumers)

    def _is_shared_layer(self, node: Node) -> bool:
        """Whether a node is a free product and its bias, all of whose consumers are sums."""
        if node.name != "add" or not any(part.is_fixed for part in node.inputs):
            return False
        layer = next((part for part in node.inputs if part in self.products), None)
        if layer is None or len(self.consumers[layer]) > 1 or any(p.positive for p in self.products[layer]):
            return False
        return all(consumer.name in _ADDS for consumer in self.consumers.get(node, ()))

    def _quadratic(self, node: Node) -> tuple[Product, float, Factor, set[Node], list[str]] | None:
        """Recognise ``Σ c (A x + b)²``: the product, the number of squares, c, what was walked, and biases."""
        inner, walked, factor = node, {node}, Factor()
        while inner not in self.reduced and not inner.is_fixed:
            scaled = scaling(inner, self.values, self.numbers)
            if scaled is not None:
                inner, factor = scaled[0], factor.times(scaled[1])
            elif inner.name == "mean":
                count = inner.inputs[0].size / max(inner.size, 1)
                inner, factor = inner.inputs[0], factor.times(Factor(1.0 / count, 1.0 / count**2, 1.0 / count))
            elif inner.op.moves or inner.name == "sum":
                inner = inner.inputs[0]
            else:
                break
            walked.add(inner)
        if not _is_square(inner):
            return None
        base, biases = inner.inputs[0], []
        while base not in self.products:
            walked.add(base)
            mixed = fixed_map(base, self.numbers)
            if len(self.consumers[base]) > 1 or not (base.op.moves or base.name in _ADDS or mixed):
                return None
            if mixed is not None:
                factor = factor.times(Factor(mixed[1].second, mixed[1].second ** 2, 1.0))
            biases += [source for part in base.inputs if part.is_fixed and (source := parameter_of(part))]
            ahead = [part for part in base.inputs if not part.is_fixed]
            if not ahead:
                return None
            base = ahead[0]
        product = self.products[base][0]
        if len(self.products[base]) > 1 or product.positive or len(self.consumers[base]) > 1:
            return None
        return product, inner.size / max(node.size, 1), factor, walked | {base}, biases

    def _parameters_inside(self, node: Node) -> frozenset[str]:
        """The parameters that a value is made of, which depends on context only."""
        for part in parts_first(node, lambda one: one.inputs, self.inside):
            names = part.parameters
            self.inside[part] = frozenset(names).union(*(self.inside[one] for one in part.inputs))
        return self.inside[node]

    def _loses_shifts(self, root: Node) -> bool:
        """Whether all that takes a sum subtracts a statistic of it, so that a number that is added to it is lost."""
        consumers = self.consumers.get(root, [])
        return bool(consumers) and all(self._centres(consumer, root) for consumer in consumers)

    def _centres(self, node: Node, root: Node) -> bool:
        """Whether a node is ``s − mean(s)``, or ``mean(s)`` on the way there."""
        if node.name == "subtract" and node.inputs[0] is root:
            taken = node.inputs[1]
            while taken.op.moves and taken.inputs:
                taken = taken.inputs[0]
            return taken.name in _STATISTICS and taken.inputs[0] is root
        if node.name in _STATISTICS or node.op.moves:
            ahead = self.consumers.get(node, [])
            return len(ahead) == 1 and ahead[0] is not node and self._centres(ahead[0], root)
        return False


def _is_square(node: Node) -> bool:
    if node.name == "square":
        return True
    if node.name == "power":
        return node.inputs[1].number == 2.0
    return node.name == "multiply" and node.inputs[0] is node.inputs[1]


def parameter_of(node: Node) -> str:
    """Return the parameter that a fixed node shows, moved but not changed; empty if it is something else."""
    while node.name != "parameter":
        if not node.op.moves or not node.inputs:
            return ""
        node = node.inputs[0]
    return node.parameters[0] if node.parameters else str(node.params["name"])


def _stacked(node: Node) -> tuple[Node, ...]:
    """The arrays that a node adds up, or averages, along the axis on which they were stacked for it; none else."""
    if node.name not in ("sum", "mean") or node.inputs[0].name != "stack":
        return ()
    stack = node.inputs[0]
    return stack.inputs if tuple(node.params["axes"]) == (stack.params["axis"],) else ()


def _bias_inside(node: Node) -> str:
    """A bias that is added in the last step of what makes a node from context."""
    stack = [node]
    while stack:
        part = stack.pop()
        if part.name in _ADDS:
            source = next((name for one in part.inputs if one.is_fixed and (name := parameter_of(one))), "")
            if source:
                return source
            stack += reversed(part.inputs)
        elif part.op.moves:
            stack.append(part.inputs[0])
    return ""
