"""Which sums are measured on the example inputs, and what the calibration has to know of each."""

from __future__ import annotations

from torch import nn

from convex_init.torch.behaviour import Reading, Sum
from convex_init.torch.budgeting import Budgeting, is_convex
from convex_init.torch.calibration import Measured, Normalised, Weighted, few_samples
from convex_init.torch.recording import Node
from convex_init.torch.slots import slot_of
from convex_init_core import needs_geometry

LEFT_ALONE = 1.5
"""By this factor may the measured variance of a sum be off before its theory is overruled, by default."""


def to_measure(budgeting: Budgeting, calibrate: bool | None) -> list[Measured | Normalised]:
    """Return the sums that are to be measured, in the order of the signal.

    Args:
        budgeting: that decided on all sums.
        calibrate: ``True`` for all of them, ``False`` for none, ``None`` for those without a theory, and for those that
            are off by more than :data:`LEFT_ALONE`.
    """
    model, reading = budgeting.model, budgeting.reading
    return [
        _measured(model, reading, found, budgeting, bool(calibrate))
        if found.normalised is None
        else _normalised(model, reading, found)
        for found in _chosen(budgeting, calibrate)
    ]


def _chosen(budgeting: Budgeting, calibrate: bool | None) -> list[Sum]:
    """The sums that decide a weight, if they are to be measured."""
    if calibrate is False:
        return []
    if calibrate is None and needs_geometry(budgeting.settings):
        # An isometric signal is not centred, and has not the variance that is measured for; behind a normalisation it
        # has, once the running statistics are those of the signal.
        return [found for found in budgeting.reading.sums if found.normalised is not None and found.positive]
    deciding = {id(decision.product): decision for decision in budgeting.decisions.values()}
    few = few_samples(budgeting.reading.inputs, budgeting.reading.convex_inputs)
    tied = {source for source, count in budgeting.uses.items() if count > 1}
    return [
        found
        for found in budgeting.reading.sums
        if any(id(term.product) in deciding for term in found.terms)
        # One weight in many sums cannot be right in each of them: the first says nothing of a fixed point.
        and (
            calibrate
            or id(found) in budgeting.doubtful
            or not (any(term.product.source in tied for term in found.terms) or (few and found.normalised is None))
        )
    ]


def _normalised(model: nn.Module, reading: Reading, found: Sum) -> Normalised:
    assert found.normalised is not None
    names = [part.path for part in found.normalised.args[3:5] if isinstance(part, Node) and part.operation == "buffer"]
    buffers = dict(model.named_buffers())
    mean, variance = (buffers.get(name) for name in (*names, "", "")[:2])
    return Normalised(reading.place[id(found.normalised.inputs[0])], mean, variance)


def _measured(model: nn.Module, reading: Reading, found: Sum, budgeting: Budgeting, exactly: bool) -> Measured:
    weights: list[Weighted] = []
    for term in found.terms:
        decision = budgeting.decisions.get(term.product.source)
        if decision is not None and decision.product is term.product:
            power = 0.5 if term.squares else 1.0
            weights.append(Weighted(term.product.slot, decision.recipe.positivity, power))
    slots = [(source, slot_of(model, source), factor) for source, factor in found.biases]
    own = next(((slot, factor) for source, slot, factor in slots if budgeting.carrier.get(id(found)) == source), None)
    present = [
        (reading.place[id(node)], factor.mean, is_convex(node) and bool(found.positive))
        for node, factor in found.present
        if id(node) in reading.place
    ]
    return Measured(
        reading.place[id(found.root)],
        tuple(weights),
        own,
        tuple((slot, factor) for _, slot, factor in slots),
        tuple(present),
        1.0 if exactly or id(found) in budgeting.doubtful else LEFT_ALONE,
    )
