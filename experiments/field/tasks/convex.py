"""Regression on convex functions, as users of convex regression have them: values, perhaps with noise."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.tasks.task import Drawn, Task

SIZES = (4000, 500, 1000)
Function = Callable[[Tensor], Tensor]


def _normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _max_affine(inputs: int, generator: torch.Generator) -> Function:
    slopes = _normal(4 * inputs, inputs, generator=generator)
    offsets = _normal(4 * inputs, generator=generator)
    return lambda x: (x @ slopes.T + offsets).amax(-1)


def _log_sum_exp(inputs: int, generator: torch.Generator) -> Function:
    slopes = 2.0 * _normal(2 * inputs, inputs, generator=generator) / inputs**0.5
    offsets = _normal(2 * inputs, generator=generator)
    return lambda x: (x @ slopes.T + offsets).logsumexp(-1)


def _norms(inputs: int, generator: torch.Generator, shift: float) -> Function:
    matrices = _normal(4, inputs, inputs, generator=generator) / inputs**0.5
    centres = shift * _normal(4, inputs, generator=generator)
    return lambda x: torch.linalg.vector_norm(torch.einsum("kij,nkj->nki", matrices, x[:, None] - centres), dim=-1).sum(
        -1
    )


def _quadratic(inputs: int, generator: torch.Generator) -> Function:
    root = _normal(inputs, inputs, generator=generator) / inputs**0.5
    slope = _normal(inputs, generator=generator)
    return lambda x: 0.5 * (x @ root.T).square().sum(-1) + x @ slope


def _support(inputs: int, generator: torch.Generator) -> Function:
    """Of the sum of an ellipsoid, not around the origin, and a polytope."""
    root = _normal(inputs, inputs, generator=generator) / inputs**0.5
    centre = 0.5 * _normal(inputs, generator=generator)
    corners = _normal(2 * inputs, inputs, generator=generator) / inputs**0.5
    return lambda x: torch.linalg.vector_norm(x @ root.T, dim=-1) + x @ centre + 2.0 * (x @ corners.T).amax(-1)


FUNCTIONS: dict[str, Callable[[int, torch.Generator], Function]] = {
    "max-affine": _max_affine,
    "log-sum-exp": _log_sum_exp,
    "norms": functools.partial(_norms, shift=0.0),
    "norms shifted": functools.partial(_norms, shift=1.0),
    "quadratic": _quadratic,
    "support": _support,
}


def convex(function: str, inputs: int, *, centred: bool = True, noise: float = 0.0, raw: bool = False) -> Task:
    """Return the task of learning a function of normal inputs.

    Args:
        function: a name of :data:`FUNCTIONS`; another one for every seed.
        inputs: how many.
        centred: whether the network sees the standard normal inputs, or ones with means of 1 to 4 and deviations of
            0.5 to 2.
        noise: deviation of what is added to training and validation targets, in deviations of the function.
        raw: whether the targets have mean 10 and deviation 4, or are standardised.
    """
    more = [f"{inputs} inputs"]
    more += [] if centred else ["not centred"]
    more += [f"noise {noise:g}"] if noise else []
    more += ["raw targets"] if raw else []

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        of_task = FUNCTIONS[function](inputs, generator)
        x = _normal(sum(SIZES), inputs, generator=generator)
        y = of_task(x)[:, None]
        y = (y - y[: SIZES[0]].mean()) / y[: SIZES[0]].std()
        known = sum(SIZES[:2])
        y[:known] += noise * _normal(known, 1, generator=generator)
        if raw:
            y = 10.0 + 4.0 * y
        if not centred:
            x = x * (0.5 + 1.5 * torch.rand(inputs, generator=generator, dtype=torch.float64))
            x = x + 1.0 + 3.0 * torch.rand(inputs, generator=generator, dtype=torch.float64)
        x, y = x.float(), y.float()
        parts = [torch.split(each, list(SIZES)) for each in (x, y)]
        train, validation, test = zip(*parts, strict=True)
        return Drawn(train, validation, test)

    return Task(f"{function}, {', '.join(more)}", "convex regression", "value", draw)
