"""Search for a segment on which a function lies above its chord: a counterexample to convexity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from convex_init.torch.trace.containers import copied, named_inputs
from convex_init_core.convexity.certificate import Violation
from convex_init_core.convexity.inputs.parts import Part

__all__ = ["Violation", "search_violation"]

_CLEAR = 100.0  # times the tolerance: no need to look for a clearer counterexample


def search_violation(
    function: Callable[..., Tensor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    convex_inputs: Mapping[str, Part | None],
    generator: torch.Generator,
    *,
    starts: int = 12,
    steps: int = 25,
) -> Violation | None:
    """Look for a violation by gradient ascent on the excess, from random segments of many lengths.

    Args:
        function: maps the inputs to a flat tensor of outputs.
        args: positional inputs; those that are not declared stay as they are.
        kwargs: keyword inputs.
        convex_inputs: the declared inputs, and the part of each that varies.
        generator: source of the random segments.
        starts: number of random segments.
        steps: of gradient ascent on each.

    Returns:
        The clearest violation found beyond rounding, or ``None``; ``None``, too, for a function that is not the same
        at every call.
    """
    with torch.no_grad():
        if not torch.equal(function(*args, **kwargs).nan_to_num(), function(*args, **kwargs).nan_to_num()):
            return None
    named = named_inputs(args, kwargs)
    shapes = {name: named[name].detach() for name in convex_inputs}
    fixed = {
        name: torch.from_numpy(~part.mask(name, tuple(shapes[name].shape))).to(shapes[name].device)
        for name, part in convex_inputs.items()
        if part is not None
    }

    def held(name: str, moved: Tensor) -> Tensor:
        """What is context keeps its numbers."""
        return torch.where(fixed[name], shapes[name], moved) if name in fixed else moved

    best: Violation | None = None
    for start in range(starts):
        size = 0.1 * 10.0 ** (2.0 * start / max(starts - 1, 1))  # from 0.1 to 10
        ends = []
        for base in (0.0, 1.0):
            noise = {name: _noise(tensor, generator) for name, tensor in shapes.items()}
            ends.append({name: held(name, base * tensor + size * noise[name]) for name, tensor in shapes.items()})
        found = _ascend(function, args, kwargs, ends[0], ends[1], steps, size, held)
        if found is not None and (best is None or found.clarity > best.clarity):
            best = found
        if best is not None and best.clarity > _CLEAR:
            break
    return best


def _ascend(
    function: Callable[..., Tensor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    a: dict[str, Tensor],
    b: dict[str, Tensor],
    steps: int,
    size: float,
    held: Callable[[str, Tensor], Tensor],
) -> Violation | None:
    best: Violation | None = None
    ends = [{name: tensor.detach().clone().requires_grad_() for name, tensor in end.items()} for end in (a, b)]
    for _ in range(steps):
        with torch.enable_grad():
            middle = {name: 0.5 * (ends[0][name] + ends[1][name]) for name in a}
            values = _values(function, args, kwargs, (*ends, middle))
            excess = values[2] - 0.5 * (values[0] + values[1])
            if not bool(torch.isfinite(excess).all()) or not excess.numel():
                return best
            scale = torch.stack(values).detach().abs().amax(0) + 1e-3
            tolerance = 200.0 * torch.finfo(excess.dtype).eps * scale * max(1.0, excess.numel() ** 0.25)
            clearest = int((excess.detach() / tolerance).argmax())
            level = float(excess.detach()[clearest])
            allowed = float(tolerance[clearest])
            if level > allowed and (best is None or level / allowed > best.clarity):
                found = [{name: tensor.detach().clone() for name, tensor in end.items()} for end in ends]
                best = Violation(level, allowed, found[0], found[1], clearest)
            if not excess.requires_grad or (best is not None and best.clarity > _CLEAR):
                return best
            named = [item for end in ends for item in end.items()]
            leaves = [tensor for _, tensor in named]
            try:
                gradients = torch.autograd.grad((excess / scale).amax(), leaves, allow_unused=True)
            except RuntimeError:  # a model that writes in place may have no gradient; its random segments still count
                return best
        with torch.no_grad():
            for (name, leaf), gradient in zip(named, gradients, strict=True):
                if gradient is not None and bool(torch.isfinite(gradient).all()):
                    step = 0.3 * size * gradient / (gradient.square().mean().sqrt() + 1e-12)
                    leaf.copy_(held(name, leaf + step))
    return best


def _values(
    function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any], points: Sequence[dict[str, Tensor]]
) -> list[Tensor]:
    """The outputs; without gradients for a model that fails where torch records some, say by writing into a view."""
    try:
        return [called_at(function, args, kwargs, point) for point in points]
    except RuntimeError:
        with torch.no_grad():
            plain = [{name: tensor.detach() for name, tensor in point.items()} for point in points]
            return [called_at(function, args, kwargs, point) for point in plain]


def _noise(tensor: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float32).to(tensor)


def called_at(
    function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any], point: dict[str, Tensor]
) -> Tensor:
    """Call a function with some of its inputs replaced."""

    def replaced(name: str, tensor: Tensor) -> Tensor:
        return point.get(name, tensor)

    new_args = [copied(str(i), item, replaced) for i, item in enumerate(args)]
    return function(*new_args, **{key: copied(key, item, replaced) for key, item in kwargs.items()})
