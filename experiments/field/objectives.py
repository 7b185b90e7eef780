"""What a network is asked for: a value, a gradient, a density, labels. The same number trains and tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Forward = Callable[[Tensor], Tensor]
# Outputs of all networks, and the batch ``[networks, samples, …]`` of inputs, targets and what else the task has, to
# the error of each network, ``[networks]``.
Objective = Callable[[Forward, Sequence[Tensor]], Tensor]


def value(forward: Forward, batch: Sequence[Tensor]) -> Tensor:
    """Mean square error of the output, summed over its columns."""
    x, y = batch[:2]
    return (forward(x) - y).square().sum(-1).mean(-1)


def gradient(forward: Forward, batch: Sequence[Tensor]) -> Tensor:
    """Mean square distance of the gradient in the inputs."""
    x, y = batch[:2]
    return (_gradient(forward, x) - y).square().sum(-1).mean(-1)


def stress(forward: Forward, batch: Sequence[Tensor]) -> Tensor:
    """Mean square error of ``Σ_i ∂f/∂I_i · T_i``: the batch has invariants I, stresses and the tensors T_i."""
    x, y, tensors = batch[:3]
    found = torch.einsum("nbi,nbij->nbj", _gradient(forward, x), tensors)
    return (found - y).square().sum(-1).mean(-1)


def classes(forward: Forward, batch: Sequence[Tensor]) -> Tensor:
    """Cross-entropy; targets ``[networks, samples, 1]`` are classes."""
    x, y = batch[:2]
    logits = forward(x)
    losses = functional.cross_entropy(logits.flatten(0, 1), y.flatten().long(), reduction="none")
    return losses.view(logits.shape[:2]).mean(-1)


STRONGLY = 0.01  # convex: what is added to a potential, as a half of this times |x|²
ROUNDS, SHARE = 3, 0.6


def likelihood(forward: Forward, batch: Sequence[Tensor]) -> Tensor:
    """How many nats a convex potential flow in the plane needs beyond the entropy of its data.

    The flow is ``∇f`` to the standard normal density: ``-log q(x) = |∇f|²/2 + log 2π − log det ∇²f``, exactly. The
    batch has points, points of the normal density (unused here) and the log-density of the data.
    """
    points, _, known = batch[:3]
    trained = torch.is_grad_enabled()
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        potential = forward(x)[..., 0] + 0.5 * STRONGLY * x.square().sum(-1)
        (image,) = torch.autograd.grad(potential.sum(), x, create_graph=True)
        first, second = (
            torch.autograd.grad(image[..., place].sum(), x, create_graph=trained, retain_graph=True)[0]
            for place in range(2)
        )
    determinant = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    negative = 0.5 * image.square().sum(-1) + math.log(2.0 * math.pi) - determinant.clamp(min=1e-12).log()
    return (negative + known[..., 0]).mean(-1)


def labels(forward: Forward, batch: Sequence[Tensor]) -> Tensor:
    """Cross-entropy of labels that make an energy small; labels that are no number are not known.

    The prediction is what ``ROUNDS`` damped steps of mirror descent make of ``min_y E(y, context) − entropy(y)`` over
    the cube (Amos, Xu & Kolter 2017), ``s ← s − SHARE (s + ∂E/∂y)`` with ``y = sigmoid(s)``, from s = 0. The first
    columns of the inputs, in which E is convex, are as many as there are labels.
    """
    x, y = batch[:2]
    logits = energy_minimum(forward, x, y.shape[-1])
    known = ~y.isnan()
    losses = functional.binary_cross_entropy_with_logits(logits, y.nan_to_num(), reduction="none")
    return (losses * known).sum((1, 2)) / known.sum((1, 2)).clamp(min=1)


def energy_minimum(forward: Forward, x: Tensor, count: int) -> Tensor:
    """Return the logits of :func:`labels`, ``[networks, samples, count]``; trained through if gradients are on."""
    keep = torch.is_grad_enabled()
    context = x[..., count:]
    logits = torch.zeros_like(x[..., :count])
    with torch.enable_grad():
        for _ in range(ROUNDS):
            logits = logits if logits.requires_grad else logits.requires_grad_()
            guess = torch.sigmoid(logits)
            energy = forward(torch.cat([guess, context], -1)).sum()
            (slope,) = torch.autograd.grad(energy, guess, create_graph=keep)
            logits = logits - SHARE * (logits + slope)
            logits = logits if keep else logits.detach()
    return logits


def _gradient(forward: Forward, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(forward(x).sum(), x, create_graph=torch.is_grad_enabled())
    return found


OBJECTIVES: dict[str, Objective] = {"value": value, "gradient": gradient, "stress": stress, "classes": classes}
OBJECTIVES |= {"likelihood": likelihood, "labels": labels}
HAS_VALUES = ("value",)
UNSCALED = ("classes", "likelihood", "labels")
"""Those whose numbers are in nats; the others are divided by the variance of the targets."""
