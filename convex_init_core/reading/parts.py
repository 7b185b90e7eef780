"""The parts of a reading: products with weights, the sums that they are part of, and factors on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convex_init_core.convexity.calculus import Value
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.weights.positivity import Positivity


@dataclass(eq=False)
class Product:
    """One use of a weight.

    Attributes:
        node: the product, without a bias.
        source: name of the weight's parameter.
        data: what is multiplied.
        fan_in: number of elements of ``data`` that one result sums, from the operation itself.
        positivity: the map that makes the weight non-negative, as far as the graph shows it.
        factor: of the weight, for one without such a map.
        positive: whether ``data`` is already a non-linear function of a convex input.
        columns: the part of the parameter along its summed axis that this product uses, ``(start, stop)``, where a
            concatenation feeds it and each part has a role of its own; ``None`` for all of it.
    """

    node: Node
    source: str
    data: Node
    fan_in: float
    positivity: Positivity | None
    factor: float
    positive: bool
    columns: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Factor:
    """A factor on the way from a term to its sum.

    Attributes:
        mean: over its elements.
        second: mean square.
        literal: the part of it that is a number in the model's code, neither learnt nor dependent on context.
    """

    mean: float = 1.0
    second: float = 1.0
    literal: float = 1.0

    def times(self, other: Factor) -> Factor:
        """Return the product of two independent factors."""
        return Factor(self.mean * other.mean, self.second * other.second, self.literal * other.literal)


@dataclass(frozen=True, eq=False)
class Term:
    """A product in a sum, times a factor; or, if ``squares`` is not 0, a sum of that many squares of it."""

    product: Product
    factor: Factor
    squares: float = 0.0

    @property
    def outer_scale(self) -> float:
        """The number by which the model multiplies the product of a weight behind a map: it belongs to that map."""
        literal = self.factor.literal
        return literal if self.product.positivity is not None and literal > 0.0 else 1.0


@dataclass(eq=False)
class Sum:
    """Everything that is added up to one pre-activation.

    Attributes:
        root: the node of the whole sum.
        terms: products with weights.
        biases: parameters that are added, by name, with their factors.
        present: values that are added as they are.
        fallback_bias: a bias inside a term that only depends on context.
        cancelled: parameters that also enter the sum another way, so that a bias among them cannot shift it.
        normalised: the batch normalisation that takes the sum, if one does.
        offset: what numbers in the model's code add to the sum.
        mixed: the operation that combines its products by fixed numbers, such as a graph's neighbours; empty if none.
    """

    root: Node
    terms: list[Term] = field(default_factory=list)
    biases: list[tuple[str, float]] = field(default_factory=list)
    present: list[tuple[Node, Factor]] = field(default_factory=list)
    fallback_bias: str = ""
    cancelled: set[str] = field(default_factory=set)
    normalised: Node | None = None
    offset: float = 0.0
    mixed: str = ""

    @property
    def positive(self) -> list[Term]:
        """Terms with non-negative weights."""
        return [term for term in self.terms if term.product.positive]

    @property
    def free(self) -> list[Term]:
        """Terms with weights of either sign."""
        return [term for term in self.terms if not term.product.positive]

    @property
    def heard(self) -> list[Term]:
        """The free terms but those whose factor is 0, such as a gate that is to open in training."""
        return [term for term in self.free if term.factor.second]


@dataclass(eq=False)
class Reading:
    """What a graph shows of a model.

    Attributes:
        graph: of one run.
        values: what the calculus knows of its nodes, composites judged on a grid included.
        products: uses of weights, in the order of the signal.
        sums: likewise.
        problems: names of parameters that could not be read, and why.
        left: names of free parameters whose weights are no function of single numbers, and why they stay as they are.
    """

    graph: Graph
    values: Mapping[Node, Value]
    products: list[Product]
    sums: list[Sum]
    problems: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)

    def is_convex(self, node: Node) -> bool:
        """Whether a value is a non-linear function of a convex input."""
        return not node.is_fixed and not self.values[node].curvature.is_affine

    def weighted(self) -> dict[Node, bool]:
        """Whether each node depends on a weight that is read; only the others have numbers that will stay."""
        products = {product.node for product in self.products}
        found: dict[Node, bool] = {}
        for node in self.graph:
            found[node] = node in products or any(found.get(part, True) for part in node.inputs)
        return found
