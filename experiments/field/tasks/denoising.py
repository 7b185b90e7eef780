"""A learnt convex regulariser for denoising: images with normal noise, and a convolutional network.

It is trained so that one gradient step denoises: ``x − ∇R(x)`` is to be the clean image, which is the one-step
denoiser of Goujon et al. (2022) and the gradient-step denoiser of Hurault et al. (2022); the error is what is left of
the noise's variance. Besides, the peak signal-to-noise ratio of what it is made for: the minimum of
``½|z − x|² + λ R(z)``, λ chosen on the validation images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from experiments.experiment import Context
from experiments.field.tasks.small_images import NAMES, small_images
from experiments.field.tasks.task import Data, Drawn, Task, divided

SIZES = (1000, 100, 150)
NOISE = 0.5  # of the deviation of all pixels
WEIGHTS = (0.5, 0.8, 1.25, 2.0)
STEPS = 25


def denoising(dataset: str) -> Task:
    """Return the task for MNIST at 14 × 14 or grey CIFAR-10 at 16 × 16; pixels have mean 0 and variance 1."""

    def draw(seed: int, context: Context) -> Drawn:
        clean, _ = small_images(dataset, sum(SIZES[:2]), SIZES[2], seed, context)
        train = clean[: SIZES[0]]
        clean = (clean - train.mean()) / train.std()
        peak = (train.max() - train.min()) / train.std()
        noise = NOISE * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
        return divided((clean + noise, noise, peak.expand(len(clean), 1)), SIZES)

    name = f"{NAMES[dataset]}, noise"
    return Task(name, "regularisers", "gradient", draw, form="convolutional", effort=(200, 16), besides=_psnr)


def _psnr(stacks: Sequence[tuple[Any, list[int]]], seeds: Sequence[int], data: Data) -> dict[str, Any]:
    found: list[float] = []
    for stack, rows in stacks:
        for row in rows:
            seed = len(found)
            weight = min(WEIGHTS, key=lambda tried: _left(stack, row, data.validation, seed, tried))
            left = _left(stack, row, data.test, seed, weight)
            found.append(20.0 * math.log10(float(data.test[2][seed, 0])) - 10.0 * math.log10(left))
    return {"psnr": found}


def _left(stack: Any, row: int, parts: Sequence[torch.Tensor], seed: int, weight: float) -> float:
    """Mean square error of the restored images of a seed."""
    noisy, clean = parts[0][seed], parts[0][seed] - parts[1][seed]
    restored = noisy.clone()
    for count in range(STEPS):
        restored = restored.detach().requires_grad_()
        (slope,) = torch.autograd.grad(stack.one(row, restored).sum(), restored)
        restored = restored - 0.5 / (1.0 + 0.1 * count) * (restored - noisy + weight * slope)
    error = float((restored.detach() - clean).square().mean())
    return error if math.isfinite(error) else math.inf
