"""Networks and small helpers that several tests share."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convex_init.torch import ICNN, Positive, project_after_step, projected_parameters

MAPS = ("exp", "softplus", "square", "abs", "relu")
"""Positivity maps that reparametrise."""

PAPER = {
    "ICNN": {},
    "ICNN + skip": {"skip": True},
    "exp-ICNN": {"positivity": "exp"},
    "softplus-ICNN": {"positivity": "softplus"},
}
"""Settings of :class:`ICNN` for convex networks."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positive_linear(
    fan_in: int, fan_out: int, positivity: str = "projection", dtype: torch.dtype = torch.float32
) -> nn.Sequential:
    """One positive layer behind a ReLU, as the smallest chain."""
    layer = nn.Linear(fan_in, fan_out, dtype=dtype)
    if positivity != "projection":
        parametrize.register_parametrization(layer, "weight", Positive(positivity))
    return nn.Sequential(nn.ReLU(), layer)


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, with what else a refused call must not change: names and marks."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_untouched(model: nn.Module, before: dict[str, Tensor]) -> None:
    after = model.state_dict()
    assert list(after) == list(before)
    for name, value in before.items():
        assert torch.equal(after[name], value), f"{name} has changed"
    assert not projected_parameters(model), "a layer was marked"


def train(
    model: nn.Module, steps: int = 60, *, lr: float = 1e-2, project: bool = False, features: int = 3
) -> nn.Module:
    """Fit something that is not convex, so that only the weights' sign keeps the network convex."""
    x = 2.0 * torch.randn(256, features, generator=generator(1), dtype=next(model.parameters()).dtype)
    y = torch.sin(2.0 * x).sum(1, keepdim=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    if project:
        project_after_step(optimizer, model)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    return model


def as_numpy(model: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function of float64 arrays."""
    wide = copy.deepcopy(model).double().eval()

    def function(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return wide(torch.from_numpy(np.ascontiguousarray(x))).numpy()

    return function


def icnn(kind: str, features: int = 3, hidden: tuple[int, ...] = (24, 20, 16), **options: object) -> ICNN:
    return ICNN(features, hidden, 1, **PAPER[kind], **options)
