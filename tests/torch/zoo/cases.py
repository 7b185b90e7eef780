"""The zoo as parameters of a test, with what is not there yet marked as such."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import convex_init.torch as ci
from tests.torch.zoo import ZOO
from tests.torch.zoo.not_yet import NOT_YET


def cases(kind: str) -> list[Any]:
    """Every model at each of its depths, for one kind of test."""
    every = [(name, depth) for name, entry in ZOO.items() for depth in entry.depths]
    return [case(kind, f"{name}-{depth}", name, depth) for name, depth in every]


def case(kind: str, identity: str, *arguments: Any) -> Any:
    """One set of a test's arguments, expected to fail where the list says so."""
    reason = NOT_YET[kind].get(identity)
    marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
    return pytest.param(*arguments, id=identity, marks=marks)


def initialised(name: str, depth: int, count: int) -> tuple[nn.Module, Any, Any]:
    """A model after ``apply_``, what it was shown, and another batch with the same context."""
    torch.manual_seed(0)
    entry = ZOO[name]
    model, shown, fresh = entry.make(depth), entry.inputs(count), entry.inputs(count)
    if isinstance(entry.convex_inputs, int):
        fresh = tuple(fresh[i] if i == entry.convex_inputs else shown[i] for i in range(len(shown)))
    generator = torch.Generator().manual_seed(1)
    ci.apply_(model, shown, convex_inputs=entry.convex_inputs, entry=entry.entry, generator=generator)
    return model, shown, fresh
