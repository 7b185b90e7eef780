"""Why a reading cannot be planned: weights used in two ways, scales that may turn negative, no convex result."""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import nn

from convex_init.torch.behaviour import BATCH_NORMS, Product, Reading, parameter_of
from convex_init.torch.composites import Composites
from convex_init.torch.feeding import feeding_activation
from convex_init.torch.positivity import read_positivity
from convex_init.torch.recording import Node, record
from convex_init.torch.sites import shown
from convex_init.torch.slots import slot_of
from convex_init.torch.weights import base_name


def used_in_two_ways(reading: Reading, excluded: frozenset[str]) -> list[str]:
    """Name the weights that are used several times, and not in one way."""
    problems = []
    first: dict[str, Product] = {}
    for product in reading.products:
        before = first.setdefault(product.source, product)
        name = shown(product.slot.path)
        if product.slot.path in excluded:
            continue
        if before.positive != product.positive:
            was, now = ("positive", "free") if before.positive else ("free", "positive")
            problems.append(f"{name}: its weight is used both as {was} and as {now}; untie them")
        elif product.positive and before is not product:
            a, b = feeding_activation(before.data), feeding_activation(product.data)
            if a is not None and b is not None and a != b:
                problems.append(f"{name}: its weight is fed by {a} and by {b}; untie them")
    return problems


def unkept_scales(model: nn.Module, reading: Reading, kept: Container[str]) -> list[str]:
    """Name the batch normalisations of a convex signal whose scale nothing keeps non-negative."""
    problems = []
    for node in reading.recording.nodes:
        if base_name(node) not in BATCH_NORMS or node.index or node.inputs[0].value.curvature.is_affine:
            continue
        scale = next((part for part in node.args[1:2] if isinstance(part, Node)), None)
        source = "" if scale is None else parameter_of(scale)
        if source:
            slot = slot_of(model, source)
            if read_positivity(slot.module, slot.name) is None and source not in kept:
                problems.append(
                    f"{node.at} rescales a convex signal, and nothing keeps its scale {source!r} non-negative: "
                    "call mark_projected(layer, 'weight') on it, parametrize it, or remove it"
                )
    return problems


def why_not_convex(reading: Reading) -> list[str]:
    """Say why the model would not be convex (or concave) even if its positive weights were non-negative."""
    model, entry = reading.model, reading.entry
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        return []  # there are no numbers to judge by
    with torch.no_grad():
        for product in reading.products:  # those that are excluded are their user's business
            through = product.positivity or read_positivity(product.slot.module, product.slot.name)
            if product.positive and (through is None or not through.reparametrises):
                slot_of(model, product.source).raw.abs_()
    args, kwargs = reading.inputs
    call = model if entry == "forward" else getattr(model, entry)
    outputs = record(model, args, kwargs, reading.convex_inputs, call, revise=Composites()).outputs
    reasons = []
    for name, node in outputs.items():
        curvature = node.value.curvature
        if curvature.is_convex or curvature.is_concave:
            return []  # a model may return more than its convex function
        reasons.append(f"{name} would not be convex: {node.value.reason}")
    return reasons
