"""The setting ``threshold``: which layers of a model follow one another, and what their bends get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from convex_init_core.methods.bends.bend_spread import spread_bends
from convex_init_core.planning.decisions import add_bias
from convex_init_core.planning.refusals import shown
from convex_init_core.reading.fed_by import is_passed_on
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import relu
from convex_init_core.weights.laws import Normal

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Node
    from convex_init_core.planning.decisions import Decision, Decisions
    from convex_init_core.reading.parts import Reading, Sum
    from convex_init_core.request import Request

_CHANGES = ("sum", "cumulative_sum", "pad")
"""Operations among those that pass features on which change what a unit gets."""


def spread_over_chain(reading: Reading, decisions: Decisions, request: Request) -> None:
    """Give the positive layers of a chain the recipes for the setting ``threshold``, or note why they are none.

    Args:
        reading: of the model.
        decisions: on all sums, with the threshold 0; they are changed.
        request: of the user.
    """
    sums, known = _links(reading, decisions)
    if decisions.problems or len(known) < len(sums):
        return  # these come first
    chain = _Chain(reading, decisions, request.register_missing_bias)
    problems = list(chain.objections(sums, known))
    if not problems:
        try:
            names = [chain.name(found) for found in sums]
            recipes = spread_bends([each.recipe for each in known], request.settings, names)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        decisions.problems += problems
        return
    for found, decision, recipe in zip(sums, known, recipes, strict=True):
        if recipe is decision.recipe:
            continue
        mean = request.outputs.shared_mean if found in decisions.outputs else 0.0
        shift = recipe.bias.mean - found.offset + mean
        decision.recipe = replace(recipe, bias=Normal(shift, 0.0))
        if decision.shift:
            decisions.biases[decision.shift] = Normal(shift / decisions.facts.factor(found, decision.shift), 0.0)
        elif shift != 0.0:
            decision.shift, decision.adds_bias = add_bias(decisions, found, decision.recipe.bias), True


def is_chain(reading: Reading, decisions: Decisions, request: Request) -> bool:
    """Whether the positive layers of a model follow one another, each through an activation alone, with biases.

    Args:
        reading: of the model.
        decisions: on all sums.
        request: of the user.
    """
    sums, known = _links(reading, decisions)
    objections = _Chain(reading, decisions, request.register_missing_bias).objections(sums, known)
    return len(known) == len(sums) and next(objections, None) is None


def _links(reading: Reading, decisions: Decisions) -> tuple[list[Sum], list[Decision]]:
    """The sums with positive layers, and what is decided for the first of each."""
    sums = [found for found in reading.sums if found.positive]
    made = [decisions.of_weight.get(found.positive[0].product.source) for found in sums]
    return sums, [decision for decision in made if decision is not None]


class _Chain:
    """Asks whether each layer follows the one before."""

    def __init__(self, reading: Reading, decisions: Decisions, adds_biases: bool) -> None:
        self.reading, self.decisions, self.adds_biases = reading, decisions, adds_biases

    def name(self, found: Sum) -> str:
        return shown(self.decisions.facts.path(found.positive[0]))

    def objections(self, sums: list[Sum], decisions: list[Decision]) -> Iterator[str]:
        before: Sum | None = None
        free = {found.root for found in self.reading.sums if not found.positive and found.normalised is None}
        for found, decision in zip(sums, decisions, strict=True):
            why = self._why_no_link(found, decision)
            data = found.positive[0].product.data
            if not why and before is not None and not self._follows(data, {before.root}):
                why = f"it does not follow {self.name(before)} through a ReLU alone"
            if not why and before is None and not self._follows(data, free):
                why = "it does not follow the free layers through a ReLU alone"
            if why:
                yield f"{self.name(found)}: threshold= needs a chain of layers, and {why}; leave threshold out"
            before = found

    def _why_no_link(self, found: Sum, decision: Decision) -> str:
        """Say what keeps a sum from being a link of a chain; empty if nothing does."""
        term, facts = found.positive[0], self.decisions.facts
        if len(found.positive) > 1:
            return "it is summed with other positive layers"
        if found.present:
            return "a residual or another value is added to it"
        if found.normalised is not None:
            return "it is normalised"
        if found.mixed:
            return f"{found.mixed} combines its units"
        if (term.factor.mean, term.factor.second) != (1.0, 1.0):
            return "it is scaled"
        if facts.uses[term.product.source] > 1:
            return "its weight is used more than once"
        if not decision.shift:
            if self.adds_biases and facts.can_take_bias(found):
                return ""
            return "it has no bias (register_missing_bias=True adds one to a layer that can have it)"
        if self.decisions.carrier.get(found) != decision.shift or facts.sums_of_bias[decision.shift] > 1:
            return "its bias belongs to other sums as well"
        return ""

    def _follows(self, data: Node, roots: set[Node]) -> bool:
        """Whether ``data`` is one of the roots, or an input, behind ReLUs or one other activation.

        Nothing else may lie between but what reshapes or pools. The first link of a chain may follow an input.
        """
        feeding, node, activations = self.decisions.facts.feeding, data, list[Activation]()
        while node not in roots and node.name != "input":
            found = feeding.activation_at(node)
            if found is not None:
                phi, node, scale = found
                if scale != 1.0 and phi == relu():  # another activation is refused as such
                    return False
                activations.append(phi)
            elif is_passed_on(node) and node.name not in _CHANGES:
                node = feeding.passed_by(node)
            else:
                return False
        return len(activations) == 1 or (bool(activations) and all(phi == relu() for phi in activations))
