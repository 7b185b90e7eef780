"""Densities in the plane, learnt by a convex potential flow (Huang et al. 2021) of one block.

The data are a curve with normal noise, whose density is an integral over the curve, so that the error is how many nats
the flow needs beyond the entropy of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.tasks.task import Drawn, Task, divided

SIZES = (4000, 500, 2000)
NOISE = 0.15
PLACES = 720  # on the curve, at the middles of as many equal parts


def _moons(share: Tensor) -> Tensor:
    """Two half circles that reach into each other."""
    first = share < 0.5
    angle = 2.0 * math.pi * torch.where(first, share, share - 0.5)
    upper = torch.stack([angle.cos(), angle.sin()], -1)
    lower = torch.stack([1.0 - angle.cos(), 0.5 - angle.sin()], -1)
    return torch.where(first[..., None], upper, lower) - torch.tensor([0.5, 0.25], dtype=share.dtype)


def _rings(share: Tensor) -> Tensor:
    """Two circles around one point, a third of the points on the inner one."""
    inner = share < 1.0 / 3.0
    angle = 2.0 * math.pi * torch.where(inner, 3.0 * share, 1.5 * (share - 1.0 / 3.0))
    radius = torch.where(inner, 0.7, 1.6).to(share.dtype)
    return radius[..., None] * torch.stack([angle.cos(), angle.sin()], -1)


CURVES: dict[str, Callable[[Tensor], Tensor]] = {"two moons": _moons, "two rings": _rings}


def _log_density(points: Tensor, curve: Callable[[Tensor], Tensor]) -> Tensor:
    centres = curve((torch.arange(PLACES, dtype=torch.float64) + 0.5) / PLACES)
    away = torch.cdist(points, centres).square()
    of_one = -0.5 * away / NOISE**2 - math.log(2.0 * math.pi * NOISE**2)
    found: Tensor = of_one.logsumexp(-1) - math.log(PLACES)
    return found


def flow(name: str) -> Task:
    """Return the task of a density, a name of :data:`CURVES`; the second part of its data is of the normal density."""

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        share = torch.rand(sum(SIZES), generator=generator, dtype=torch.float64)
        noise, base = torch.randn(2, sum(SIZES), 2, generator=generator, dtype=torch.float64)
        x = CURVES[name](share) + NOISE * noise
        known = _log_density(x, CURVES[name])[:, None]
        return divided((x.float(), base.float(), known.float()), SIZES)

    return Task(name, "flows", "likelihood", draw, quadratic=True, effort=(300, 64))
