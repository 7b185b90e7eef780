"""Inputs for a model whose user gave none: only structure is read from what it does with them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch.model.fans import AFFINE

_SAMPLES = 2
_SIDES = (32, 28, 64, 16, 8, *range(1, 65), 224)  # of an image; the first that the model takes
_TRIED = 6  # different numbers of features; more are no plain case


def made_inputs(model: nn.Module, entry: str, run: Callable[[Tensor], Any]) -> tuple[Tensor]:
    """Return one input that the model takes: a batch of vectors, or of images with as many channels as it asks for.

    Args:
        model: of which the first layers say how many features or channels they take.
        entry: name of the method that is called.
        run: calls it on a copy.

    Raises:
        ValueError: if it takes several inputs, or none of those that were tried; the remedy is ``example_inputs``.
    """
    if len(_required(getattr(model, entry, model))) > 1:
        names = ", ".join(_required(getattr(model, entry)))
        raise ValueError(
            f"example_inputs: {type(model).__name__} takes several inputs ({names}); pass an example of them"
        )
    tensor = next((t for t in model.parameters() if t.is_floating_point()), None)
    if tensor is None:
        raise ValueError(f"{type(model).__name__} has no weight to initialise: it has no floating-point parameter")
    generator = torch.Generator().manual_seed(0)
    error: Exception | None = None
    for shape in _shapes(model):
        x = torch.randn(shape, generator=generator).to(tensor.device, tensor.dtype)
        try:
            run(x)
        except Exception as found:  # whatever a model raises for an input of another shape
            error = error or found
        else:
            return (x,)
    tried = f" (with a guess: {type(error).__name__}: {error})" if error is not None else ""
    raise ValueError(
        f"example_inputs are needed to read {type(model).__name__}, since the shape of its input cannot be told"
        f"{tried}; pass a small batch of real inputs"
    )


def _shapes(model: nn.Module) -> Iterator[tuple[int, ...]]:
    layers = [layer for layer in model.modules() if isinstance(layer, AFFINE)]
    seen: dict[tuple[int, ...], None] = {}
    for module in model.modules():  # what begins by giving vectors the shape of images
        if isinstance(module, nn.Unflatten) and module.dim == 1:
            seen.setdefault((_SAMPLES, math.prod(module.unflattened_size)))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            seen.setdefault((_SAMPLES, layer.in_features))
        else:
            dimensions = len(layer.kernel_size)
            for side in _SIDES if dimensions < 3 else _SIDES[3:5]:
                seen.setdefault((_SAMPLES, layer.in_channels, *(side,) * dimensions))
        if len(seen) >= _TRIED * len(_SIDES):
            break
    yield from seen


def _required(call: Callable[..., Any]) -> list[str]:
    """Names of the positional parameters that a call cannot do without."""
    function = call.forward if isinstance(call, nn.Module) else call
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
