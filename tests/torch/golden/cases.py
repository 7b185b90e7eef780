"""All cases of torch, by golden file."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn

from tests.torch import certified_models, test_certificate_idioms, test_composites
from tests.torch.golden import chains
from tests.torch.golden.recording import Case, recorded
from tests.torch.zoo import REFUSED, ZOO, Entry, unlike

DEEP = ("clamped from outside", "no bias with skips", "residual blocks", "several positive", "classifier", "gated")


def _of_zoo(entry: Entry, depth: int, in_full: bool = True) -> Case:
    return Case(
        lambda: (entry.make(depth), entry.inputs(32)),
        convex_inputs=entry.convex_inputs,
        entry=entry.entry,
        outputs=entry.outputs,
        tighten=entry.tighten,
        in_full=in_full,
    )


def _zoo() -> dict[str, Case]:
    every = {**ZOO, **unlike.MODELS}
    shallow = {name: _of_zoo(entry, 3 if 3 in entry.depths else min(entry.depths)) for name, entry in every.items()}
    deep = {f"{name}, 10 layers": _of_zoo(ZOO[name], 10, in_full=False) for name in DEEP}
    refused = {f"refused, {name}": Case(make) for name, (make, *_) in REFUSED.items()}
    return {**shallow, **deep, **refused}


def _with_convex_inputs(make: Any) -> Case:
    torch.manual_seed(0)
    *_, convex_inputs = make()
    return Case(lambda: make()[:2], convex_inputs=convex_inputs)


def _certified() -> dict[str, Case]:
    convex = {f"convex, {name}": _with_convex_inputs(make) for name, make in certified_models.CONVEX.items()}
    other = {f"other, {name}": _with_convex_inputs(make) for name, (make, _) in certified_models.NOT_CONVEX.items()}
    lines = {**test_certificate_idioms.CONVEX, **{n: f for n, (f, _) in test_certificate_idioms.REFUSED.items()}}
    activations = {**test_composites.CONVEX, **test_composites.NOT_CONVEX}
    return {
        **convex,
        **other,
        **{f"one line, {name}": _line(function) for name, function in lines.items()},
        **{f"activation, {name}": _activation(function) for name, function in activations.items()},
    }


def _line(function: Any) -> Case:
    return Case(lambda: (test_certificate_idioms.Line(function), torch.randn(3, 4)))


def _activation(function: Any) -> Case:
    def made() -> tuple[nn.Module, torch.Tensor]:
        return test_composites.Net(function), torch.randn(64, 5)

    return Case(made)


FILES = {"torch_zoo": _zoo(), "torch_chains": chains.CASES, "torch_certificates": _certified()}


@cache
def found(file: str, name: str) -> dict[str, Any]:
    """What the case comes to now."""
    return recorded(FILES[file][name])
