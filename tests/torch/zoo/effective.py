"""The weights that a model multiplies with, computed from its parameters by the map that the zoo says it has."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tests.torch.zoo.entry import Row

_MAPS = {
    "projection": lambda raw: raw,
    "relu": F.relu,
    "exp": torch.exp,
    "square": torch.square,
    "abs": torch.abs,
    "softplus": F.softplus,
}
_SHOWN = re.compile(
    r"(?:(?P<scale>[\d.e-]+)·)?(?P<name>[a-z]+)(?:\(beta=(?P<beta>[\d.]+)\))?(?:\[raw(?P<offset>[+-][\d.]+)\])?"
)


def raw_of(model: nn.Module, path: str) -> Tensor:
    """The parameter to write to."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name in (path, f"{path}.weight", f"{path}.parametrizations.weight.original"):
        if name in parameters:
            return parameters[name]
    found: Any = model  # in a list that torch does not look into
    for step in path.split("."):
        found = found[int(step)] if isinstance(found, list) else getattr(found, step)
    return found.weight


@torch.no_grad()
def effective_weight(model: nn.Module, row: Row) -> Tensor:
    """The weight after its map."""
    modules = dict(model.named_modules())
    if row.path in modules and parametrize.is_parametrized(modules[row.path], "weight"):
        return modules[row.path].weight
    found = _SHOWN.fullmatch(row.through or "projection")
    assert found is not None, row.through
    raw = raw_of(model, row.path) + float(found["offset"] or 0)
    weight = F.softplus(raw, beta=float(found["beta"])) if found["beta"] else _MAPS[found["name"]](raw)
    return weight * float(found["scale"] or 1)
