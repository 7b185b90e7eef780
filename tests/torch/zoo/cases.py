"""The zoo as parameters of a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

import convex_init.torch as ci
from convex_init_core.convexity.inputs.parts import convex_inputs_of
from tests.torch.zoo import ZOO
from tests.torch.zoo.entry import Entry


def cases() -> list[Any]:
    """Every model at each of its depths, as the arguments of a test."""
    every = [(name, depth) for name, entry in ZOO.items() for depth in entry.depths]
    return [pytest.param(name, depth, id=f"{name}-{depth}") for name, depth in every]


def initialised(name: str, depth: int, count: int) -> tuple[nn.Module, Any, Any]:
    """A model after ``apply_``, what it was shown, and another batch with the same context."""
    torch.manual_seed(0)
    entry = ZOO[name]
    model, shown, fresh = entry.make(depth), entry.inputs(count), entry.inputs(count)
    fresh = with_the_same_context(entry, shown, fresh)
    generator = torch.Generator().manual_seed(1)
    asked = {"method": "bounded_gain", "convex_inputs": entry.convex_inputs, "entry": entry.entry}
    ci.apply_(model, shown, **asked, generator=generator)
    return model, shown, fresh


def with_the_same_context(entry: Entry, shown: Any, fresh: Any) -> Any:
    """Another batch, with the context of the first."""
    if isinstance(entry.convex_inputs, Mapping):
        ((name, part),) = convex_inputs_of(entry.convex_inputs).items()
        return torch.where(torch.from_numpy(part.mask(name, tuple(shown.shape)).copy()), fresh, shown)
    if isinstance(entry.convex_inputs, int):
        return tuple(fresh[i] if i == entry.convex_inputs else shown[i] for i in range(len(shown)))
    return fresh
