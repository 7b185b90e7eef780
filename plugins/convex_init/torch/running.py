"""The plan of a model that is read by running a copy of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from convex_init.torch.activations import ActivationLike
from convex_init.torch.behaviour import read_behaviour
from convex_init.torch.budgeting import Budgeting, Decision
from convex_init.torch.calibration import calibrate_
from convex_init.torch.fans import caveats
from convex_init.torch.inputs import floating_inputs
from convex_init.torch.measuring import to_measure
from convex_init.torch.objections import why_not_convex
from convex_init.torch.planning import LayerPlan, Plan, advise, check_patterns, check_weight
from convex_init.torch.reading import Selection, patterns_of
from convex_init.torch.sites import Slot, shown
from convex_init.torch.slots import hidden_parameters, slot_of
from convex_init_core import InitSettings, Normal, Positivity


def plan_by_running(
    model: nn.Module,
    example_inputs: Any,
    settings: InitSettings,
    *,
    convex_inputs: Iterable[str | int] | str | int | None,
    entry: str,
    positive: Selection | None,
    free: Selection | None,
    exclude: Selection | None,
    activation: ActivationLike | Mapping[str, ActivationLike] | None,
    positivity: Positivity | None,
    register_missing_bias: bool,
    calibrate: bool | None,
) -> Plan:
    """Return the plan of a model that was read by running a copy; see :func:`convex_init.torch.plan`.

    Raises:
        ValueError: if a weight cannot be decided, or the model would not be convex; nothing has been written.
    """
    named = frozenset() if free is None else frozenset(choose("free", free, model))
    forced = frozenset() if positive is None else frozenset(choose("positive", positive, model))
    reading = read_behaviour(model, example_inputs, convex_inputs, entry, forced, named)
    for name, tensor in floating_inputs(*reading.inputs).items():
        if tensor.numel() == 0:
            raise ValueError(f"example_inputs: input {name!r} is empty; pass a sample of real data")
        if name in reading.convex_inputs and tensor.device.type != "meta" and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"example_inputs: input {name!r} holds NaN or infinite values; pass a sample of real data")
    excluded = frozenset() if exclude is None else frozenset(choose("exclude", exclude, model))
    single = replace(settings, threshold=0.0)  # which is not for one sum, but for all of them together
    budgeting = Budgeting(model, reading, single, activation, positivity, register_missing_bias, excluded, named)
    for found in reading.sums:
        budgeting.sum(found)
    if settings.threshold > 0.0:
        from convex_init.torch.spreading import spread  # rarely needed

        spread(budgeting, settings)
    order = dict.fromkeys(product.source for product in reading.products)
    decisions = [budgeting.decisions[source] for source in order if source in budgeting.decisions]
    problems = list(budgeting.problems)
    if not decisions and not problems:
        raise ValueError(f"{type(model).__name__} has no weight to initialise: no product with a parameter was found")
    check_patterns(activation, [decision.product.slot.path for decision in decisions])
    layers = []
    for decision in decisions:
        try:
            layers.append(_layer_plan(decision, register_missing_bias))
        except ValueError as error:
            problems.append(f"{shown(decision.product.slot.path)}: {error}")
        if decision.doubt and calibrate is False:
            problems.append(
                f"{shown(decision.product.slot.path)}: there is no theory for {decision.doubt}; leave calibrate out to "
                "have its sum measured on example_inputs, or say what feeds it with activation="
            )
    for slot, _ in budgeting.biases.values():
        if not slot.raw.requires_grad:
            problems.append(
                f"{shown(slot.path)}: its bias is frozen (requires_grad=False); unfreeze it, or leave the layer out "
                "with exclude="
            )
    if not problems:
        problems += [] if named else why_not_convex(reading)  # free= is the user's word against the calculus
    if problems:
        raise ValueError("nothing was written: " + "\n".join(dict.fromkeys(problems)))
    sums = to_measure(budgeting, calibrate)
    calibration = None
    if sums and all(layer.written for layer in layers):
        inputs, convex = reading.inputs, reading.convex_inputs

        def calibration() -> None:
            calibrate_(model, entry, inputs, convex, sums, settings.variance)

    biases = tuple(
        (slot, Normal(0.0, 0.0) if budget is None else Normal(budget.bias_mean, math.sqrt(budget.bias_variance)))
        for slot, budget in budgeting.biases.values()
    )
    biases += tuple((Slot(layer.module, "bias", layer.path), layer.recipe.bias) for layer in layers if layer.add_bias)
    return Plan(tuple(layers), settings, biases, calibration, advise(settings, budgeting.in_a_row))


def choose(argument: str, selection: Selection, model: nn.Module) -> set[str]:
    """Return the paths of the weights that a selection means: layers, and parameters that belong to none.

    Raises:
        ValueError: if a pattern means nothing.
    """
    slots = [slot_of(model, name) for name, _ in (*model.named_parameters(), *hidden_parameters(model))]
    if callable(selection):
        chosen = {slot.path for slot in slots if selection(slot.path, slot.module)}
        if not chosen:
            raise ValueError(f"{argument}= accepts none of {', '.join(dict.fromkeys(slot.path for slot in slots))}")
        return chosen
    chosen = set()
    for pattern in patterns_of(argument, selection):
        found = {slot.path for slot in slots if fnmatchcase(slot.path, pattern)}
        found |= {slot.path for slot in slots if fnmatchcase(f"{slot.path}.{slot.name}", pattern)}
        if not found:
            known = ", ".join(dict.fromkeys(slot.path for slot in slots))
            raise ValueError(f"{argument}= pattern {pattern!r} matches no layer or parameter; there are: {known}")
        chosen |= found
    return chosen


def _layer_plan(decision: Decision, register_missing_bias: bool) -> LayerPlan:
    product, recipe = decision.product, decision.recipe
    slot = product.slot
    weight = check_weight(slot)
    notes = [caveats(slot.module), *decision.notes]
    on_meta = weight.device.type == "meta"
    if on_meta:
        notes.append("on the meta device: not written")
    shift_into, add_bias = "", False
    if decision.role == "positive":
        if decision.shift is not None:
            shift_into = decision.shift.path
            if shift_into != slot.path:
                notes.append(f"centring shift in the bias of {shown(shift_into)}")
        elif register_missing_bias and (recipe.bias.mean != 0.0 or recipe.bias.std != 0.0):
            shift_into, add_bias = slot.path, True
            notes.append("a bias is added for the centring shift")
    if decision.doubt:
        notes.append(f"measured on example_inputs: no theory for {decision.doubt}")
    note = "; ".join(part for part in notes if part)
    return LayerPlan(
        *(slot.path, slot.module, decision.role, recipe, decision.reason, note, shift_into, add_bias, not on_meta),
        name=slot.name,
        beside=decision.beside,
    )
