"""Optimal maps with a known answer, learnt from pairs: the gradient of the network is regressed on the map.

By Brenier's theorem the gradient of a convex function is the optimal map from any density to its image. The error is
Korotin's L2-UVP as a share: the mean square distance of the maps, by the variance of the target.
"""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.tasks.task import Drawn, Task, divided

SIZES = (4000, 500, 1000)


def _normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _covariance(inputs: int, generator: torch.Generator) -> Tensor:
    """Random axes; eigenvalues from 1/4 to 4."""
    axes = torch.linalg.qr(_normal(inputs, inputs, generator=generator))[0]
    values = 4.0 ** (2.0 * torch.rand(inputs, generator=generator, dtype=torch.float64) - 1.0)
    found: Tensor = (axes * values) @ axes.T
    return found


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    found: Tensor = (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T
    return found


def gaussians(inputs: int, quadratic: bool = True) -> Task:
    """Between two Gaussians: ``T(x) = m + A x``, with A the geometric mean of the covariances (closed form)."""

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        source, target = (_covariance(inputs, generator) for _ in range(2))
        mean = _normal(inputs, generator=generator)
        root = _root(source)
        inverse = torch.linalg.inv(root)
        matrix = inverse @ _root(root @ target @ root) @ inverse
        x = _normal(sum(SIZES), inputs, generator=generator) @ root
        return divided((x.float(), (x @ matrix + mean).float()), SIZES)

    name = f"Gaussian to Gaussian, {inputs} inputs" + ("" if quadratic else ", no quadratic")
    return Task(name, "transport", "gradient", draw, quadratic)


def convex_gradient(inputs: int, quadratic: bool = True) -> Task:
    """From a normal density to its image under ``x/2 + ∇ log Σ exp(Wx + b)``, a map with many bends."""

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        slopes = 3.0 * _normal(2 * inputs, inputs, generator=generator) / inputs**0.5
        offsets = _normal(2 * inputs, generator=generator)
        x = _normal(sum(SIZES), inputs, generator=generator)
        y = 0.5 * x + torch.softmax(x @ slopes.T + offsets, -1) @ slopes
        return divided((x.float(), y.float()), SIZES)

    name = f"gradient of log-sum-exp, {inputs} inputs" + ("" if quadratic else ", no quadratic")
    return Task(name, "transport", "gradient", draw, quadratic)
