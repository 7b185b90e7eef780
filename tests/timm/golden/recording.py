"""One model: what ``convexity_report`` finds in it, and its weights after ``convexify``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

import convex_init.timm as ct
from convex_init.torch import certify
from tests.golden.outcome import attempted, certified, weighed
from tests.torch.golden.recording import circumstances as circumstances_of_torch


@dataclass(frozen=True)
class Case:
    """A model of timm, the size of its images, and the options of ``convexify``."""

    make: Callable[[], nn.Module]
    size: tuple[int, ...] = (3, 64, 64)
    options: dict[str, Any] = field(default_factory=dict)


def recorded(case: Case) -> dict[str, Any]:
    """What is found in the model, and what it gets if nothing is in the way."""
    torch.manual_seed(0)
    model, example = case.make(), torch.zeros(2, *case.size)
    found = {"report": attempted(partial(_report, case, model, example))}
    if found["report"].get("in the way") == []:
        found["weights"] = attempted(partial(_weights, case, model, example))
        found["certificate"] = attempted(lambda: certified(certify(model.eval(), example, search=False)))
    return found


def _report(case: Case, model: nn.Module, example: torch.Tensor) -> dict[str, Any]:
    report = ct.convexity_report(model, example, replace=case.options.get("replace"))
    return {
        "in the way": [str(blocker) for blocker in report.blockers],
        "layers": [
            {
                "layer": layer.path,
                "positive": layer.positive,
                "fed by": str(layer.fed_by) if layer.positive else "",
                "normalised": layer.normalised,
            }
            for layer in report.layers
        ],
        "scales": [
            {
                "layer": scale.path,
                "positive": scale.positive,
                "normalises": scale.normalises,
                "shortcut": scale.shortcut,
            }
            for scale in report.scales
        ],
        "replaced": list(report.replaced),
    }


def _weights(case: Case, model: nn.Module, example: torch.Tensor) -> dict[str, Any]:
    """The weights of layers one by one; all other parameters, running statistics too, as one."""
    ct.convexify(model, example, **case.options, generator=torch.Generator().manual_seed(1))
    arrays = {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}
    drawn = {name: array for name, array in arrays.items() if array.ndim > 1}
    rest = [arrays[name].ravel() for name in sorted(arrays.keys() - drawn.keys())]
    return {"drawn": weighed({**drawn, "all others": np.concatenate(rest)})}


def circumstances(file: str) -> dict[str, str]:
    """What the models and the digits of their weights depend on."""
    return {"timm": timm.__version__, **circumstances_of_torch(file)}
