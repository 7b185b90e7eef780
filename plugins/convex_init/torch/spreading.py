"""The setting ``threshold`` in a model that is read by running it: which layers follow one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from convex_init.torch.behaviour import Sum
from convex_init.torch.budgeting import Budgeting, Decision, before_scaling, can_take_bias
from convex_init.torch.feeding import activation_at, is_passed_on, passed_by
from convex_init.torch.recording import Node
from convex_init.torch.sites import shown
from convex_init.torch.weights import base_name
from convex_init_core import Activation, InitSettings, Normal, relu, spread_bends

_CHANGES = ("sum", "cumsum", "constant_pad_nd")
"""Operations among those that pass features on which change what a unit gets."""


def spread(budgeting: Budgeting, settings: InitSettings) -> None:
    """Give the positive layers of a chain the recipes for ``settings.threshold``, or note why they are none.

    Args:
        budgeting: that has decided on all sums, with the threshold 0.
        settings: the user's.
    """
    sums = [found for found in budgeting.reading.sums if found.positive]
    decisions = [budgeting.decisions.get(found.positive[0].product.source) for found in sums]
    known = [decision for decision in decisions if decision is not None]
    if budgeting.problems or len(known) < len(sums):
        return  # these come first
    problems = list(_objections(budgeting, sums, known))
    if not problems:
        try:
            recipes = spread_bends([each.recipe for each in known], settings, [_name(found) for found in sums])
        except ValueError as error:
            problems.append(str(error))
    if problems:
        budgeting.problems += problems
        return
    for found, decision, recipe in zip(sums, known, recipes, strict=True):
        shift = recipe.bias.mean - found.offset
        decision.recipe = replace(recipe, bias=Normal(shift, 0.0))
        carrier = budgeting.carrier.get(id(found))
        if carrier is not None:
            slot, budget = budgeting.biases[carrier]
            if budget is not None:
                budgeting.biases[carrier] = slot, before_scaling(replace(budget, bias_mean=shift), found, carrier)


def _objections(budgeting: Budgeting, sums: list[Sum], decisions: list[Decision]) -> Iterator[str]:
    before: Sum | None = None
    free = [found for found in budgeting.reading.sums if not found.positive and found.normalised is None]
    for found, decision in zip(sums, decisions, strict=True):
        why = _why_no_link(budgeting, found, decision)
        data = found.positive[0].product.data
        if not why and before is not None and not _follows(data, before.root):
            why = f"it does not follow {_name(before)} through a ReLU alone"
        if not why and before is None and not (_follows(data, None) or any(_follows(data, each.root) for each in free)):
            why = "it does not follow the free layers through a ReLU alone"
        if why:
            yield f"{_name(found)}: threshold= needs a chain of layers, and {why}; leave threshold out"
        before = found


def _why_no_link(budgeting: Budgeting, found: Sum, decision: Decision) -> str:
    """Say what keeps a sum from being a link of a chain; empty if nothing does."""
    term = found.positive[0]
    if len(found.positive) > 1:
        return "it is summed with other positive layers"
    if found.present:
        return "a residual or another value is added to it"
    if found.normalised is not None:
        return "it is normalised"
    if (term.factor.mean, term.factor.second) != (1.0, 1.0):
        return "it is scaled"
    if budgeting.uses[term.product.source] > 1:
        return "its weight is used more than once"
    if decision.shift is None:
        if not (budgeting.register_missing_bias and can_take_bias(term.product.slot)):
            return "it has no bias (register_missing_bias=True adds one to a layer that can have it)"
    elif id(found) not in budgeting.carrier:
        return "its bias belongs to other sums as well"
    else:
        carrier = budgeting.carrier[id(found)]
        others = [each for each in budgeting.reading.sums if each is not found]
        if any(source == carrier for each in others for source, _ in each.biases):
            return "its bias belongs to other sums as well"
    return ""


def _follows(data: Node, root: Node | None) -> bool:
    """Whether ``data`` is ``root`` (or, for ``None``, an input) behind ReLUs or one other activation.

    Nothing else may lie between but what reshapes or pools.
    """
    node, activations = data, list[Activation]()
    while node is not root and not (root is None and node.operation == "input"):
        found = activation_at(node)
        if found is not None:
            phi, node, _ = found  # only those that are no ReLU are scaled, and they are refused as such
            activations.append(phi)
        elif is_passed_on(node) and base_name(node) not in _CHANGES:
            node = passed_by(node)
        else:
            return False
    return len(activations) == 1 or (bool(activations) and all(phi == relu() for phi in activations))


def _name(found: Sum) -> str:
    return shown(found.positive[0].product.slot.path)
