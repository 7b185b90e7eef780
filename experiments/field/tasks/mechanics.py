"""Hyperelasticity: an energy of the invariants of the deformation, learnt from stresses, in float64.

``W(I₁ − 3, I₂ − 3, J − 1)`` is convex in its three inputs for the Mooney–Rivlin and the Gent solid; Ogden's has no such
form and is only near one. The stress is the second Piola–Kirchhoff stress ``S = 2 ∂W/∂C = Σ ∂W/∂I_i · 2 ∂I_i/∂C`` (six
components); its error is what is minimised and tested.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.tasks.task import Drawn, Task, divided

SIZES = (2000, 500, 1000)
_ROWS, _COLUMNS = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)


def _invariants(c: Tensor) -> Tensor:
    """``[samples, 3]`` of right Cauchy–Green tensors ``[samples, 3, 3]``."""
    first = c.diagonal(dim1=1, dim2=2).sum(-1)
    second = 0.5 * (first.square() - (c @ c).diagonal(dim1=1, dim2=2).sum(-1))
    return torch.stack([first - 3.0, second - 3.0, torch.linalg.det(c).sqrt() - 1.0], -1)


def _mooney_rivlin(c: Tensor) -> Tensor:
    first, second, volume = _invariants(c).unbind(-1)
    return 0.5 * first + 0.2 * second + 2.0 * volume.square() - 1.8 * torch.log(volume + 1.0)


def _gent(c: Tensor) -> Tensor:
    first, _, volume = _invariants(c).unbind(-1)
    limit = 8.0
    return -0.5 * limit * torch.log(1.0 - first / limit) + 2.0 * volume.square() - torch.log(volume + 1.0)


def _ogden(c: Tensor) -> Tensor:
    stretches: Tensor = torch.linalg.eigvalsh(c).sqrt()
    volume = stretches.prod(-1)
    energy: Tensor = 0.6 * (stretches**1.5 - 1.0).sum(-1) + 0.1 * (stretches**4.0 - 1.0).sum(-1)
    return energy + 2.0 * (volume - 1.0).square() - 1.3 * torch.log(volume)


ENERGIES: dict[str, Callable[[Tensor], Tensor]] = {"Mooney-Rivlin": _mooney_rivlin, "Gent": _gent, "Ogden": _ogden}


def energy(name: str) -> Task:
    """Return the task for a solid; the stresses have variance 1."""

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(sum(SIZES), 3, 3, generator=generator, dtype=torch.float64)
        amount = 0.25 * torch.rand(sum(SIZES), 1, 1, generator=generator, dtype=torch.float64)
        f = torch.eye(3, dtype=torch.float64) + amount * noise.clamp(-1.5, 1.5)
        c = (f.transpose(1, 2) @ f).requires_grad_()
        found = _invariants(c)
        tensors = torch.stack([_stress(found[:, place], c) for place in range(3)], 1)
        stress = _stress(ENERGIES[name](c), c)
        size = stress[: SIZES[0]].std()
        return divided((found.detach(), stress / size, tensors / size), SIZES)

    return Task(f"{name} solid", "hyperelasticity", "stress", draw)


def _stress(values: Tensor, c: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(values.sum(), c, retain_graph=True)
    gradient = gradient + gradient.transpose(1, 2)
    return gradient[:, _ROWS, _COLUMNS].detach()
