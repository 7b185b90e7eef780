"""What was decided for the weights and biases of a model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from convex_init_core.methods.recipe import Recipe
from convex_init_core.methods.sum_budget import Fed, forward_sum
from convex_init_core.planning.facts import Facts
from convex_init_core.reading.signals import Signals, as_factor
from convex_init_core.theory.activations import identity
from convex_init_core.weights.laws import Normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convex_init_core.reading.parts import Product, Reading, Sum, Term
    from convex_init_core.theory.moments import FeatureMoments
    from convex_init_core.theory.statistics import LayerStatistics

UNNAMED = replace(identity(), name="unnamed")
"""What stands in a plan where no single function that the theory knows feeds a layer."""

LOUD = 2.0
"""So many times the variance of its sum may a value have that no weight changes, before the plan says it."""


@dataclass(eq=False)
class Decision:
    """What is decided for one weight.

    Attributes:
        product: the use of the weight that decides.
        role: ``"free"``, ``"positive"`` or ``"skip"``.
        recipe: laws of weight and, for the layer that carries it, the shift.
        beside: paths of the (other) positive layers of its sum.
        shift: the bias that takes the sum's shift, for a positive layer; empty if none does.
        adds_bias: whether that bias is registered in the layer, which has none.
        doubt: the operation for which there is no theory, if the sum should be measured.
        reason: why it has the role.
        notes: anything else.
    """

    product: Product
    role: str
    recipe: Recipe
    beside: tuple[str, ...] = ()
    shift: str = ""
    adds_bias: bool = False
    doubt: str = ""
    reason: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Decisions:
    """What is decided for a whole reading.

    Attributes:
        facts: counts over the reading.
        of_weight: by the name of the weight.
        biases: law of each bias.
        carrier: the bias that takes the shift of each sum.
        adding: the product whose layer gets a bias for its sum.
        doubtful: sums for which there is no theory.
        problems: what could not be decided, and why.
        outputs: the sums that the model returns, which have a mean and a variance of their own.
        kinked: sums of free maps whose units bend all over the inputs.
    """

    facts: Facts
    of_weight: dict[str, Decision] = field(default_factory=dict)
    biases: dict[str, Normal] = field(default_factory=dict)
    carrier: dict[Sum, str] = field(default_factory=dict)
    adding: dict[Sum, Product] = field(default_factory=dict)
    doubtful: set[Sum] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    outputs: frozenset[Sum] = frozenset()
    kinked: set[Sum] = field(default_factory=set)

    def statistics(self, term: Term) -> LayerStatistics:
        """Return what was decided for the weight of a term."""
        return self.of_weight[term.product.source].recipe.statistics

    def settled(self, found: Sum, fed: Sequence[Fed]) -> list[FeatureMoments | None]:
        """Return what those positive layers of a sum add that are decided where they were used before; else ``None``.

        Where none is new, nothing is left to decide, and the signal counts as one at its fixed point.

        Args:
            found: the sum.
            fed: what feeds its positive layers.
        """
        known = [term.product.source in self.of_weight for term in found.positive]
        if all(known):
            return [None] * len(known)
        return [
            forward_sum([(self.statistics(term), each.features)]) if is_known else None
            for term, each, is_known in zip(found.positive, fed, known, strict=True)
        ]

    def with_settled(
        self, found: Sum, settled: Sequence[FeatureMoments | None], new: Sequence[LayerStatistics]
    ) -> tuple[LayerStatistics, ...]:
        """Return the statistics of all positive layers of a sum, from what is new and what was decided before."""
        rest = iter(new)
        terms = zip(found.positive, settled, strict=True)
        return tuple(next(rest) if moments is None else self.statistics(term) for term, moments in terms)


def add_bias(made: Decisions, found: Sum, law: Normal) -> str:
    """Let a positive layer of a sum have a new bias with this law for the sum; return its name, empty if none can."""
    for term in found.positive:
        weight, factor = made.facts.parameter(term.product.source), term.factor.mean
        if weight.may_take_bias and weight.bias not in made.biases:
            made.biases[weight.bias] = Normal(law.mean / factor, law.std / factor)
            made.carrier[found], made.adding[found] = weight.bias, term.product
            return weight.bias
    return ""


def term_notes(term: Term) -> list[str]:
    """Return what is to be said of how a free term enters its sum."""
    found = [f"squares, {term.squares:g} to a sum"] if term.squares else []
    if not term.factor.second:
        found.append("its factor starts at 0, so that nothing of it is in the sum yet")
    return found


def beside_notes(found: Sum, reading: Reading, signals: Signals, variance: float) -> list[str]:
    """Return what is to be said of the values that are added as they are.

    Args:
        found: the sum.
        reading: that it is part of.
        signals: which know the moments of what no weight changes.
        variance: that the sum is to have.
    """
    convex = [(node, factor) for node, factor in found.present if reading.is_convex(node)]
    notes = [f"beside {', '.join(node.place.operation or node.name for node, _ in convex)} as it is"] if convex else []
    fixed = [as_factor(factor, signals.of(node)[0]) for node, factor in convex if not signals.weighted.get(node, True)]
    loudest = max((moments.variance for moments in fixed), default=0.0)
    if loudest > LOUD * variance:
        notes.append(f"that has variance {loudest:.3g}, which no weight of the plan takes away")
    return notes
