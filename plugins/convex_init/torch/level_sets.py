"""Move through the inputs of a convex network while its output stays what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convex_init_core import checks

_HALVINGS = 60  # of a segment: more than the digits of a double
_ROUNDS = 400  # of the search for a minimiser
_STEPS_A_ROUND = 4
_GROWTH, _SHRINKAGE = 2.0, 0.5  # of its steps after a round that found a lower point, and after one that did not
_SHORTEST, _LONGEST = 1e-9, 64.0  # steps of that search, relative to its first one
_FINE = 1e-6  # share of a step to which the end of a flat region is found


@dataclass(frozen=True, eq=False)
class LevelSetPath:
    """Points on the level sets through the starts, from :func:`level_set_path`.

    Attributes:
        points: ``[steps + 1, batch, ...]``; the first are the starts.
        values: the output at the points, ``[steps + 1, batch]``.
        level: the output at the starts, ``[batch]``.
        minimiser: the lowest points that were found, ``[batch, ...]``; they need not be minima, if there is none or it
            is far away.
        minimum: the output there, ``[batch]``.
        at_minimum: whether nothing lower than a start was found, beyond the tolerance, ``[batch]``.
    """

    points: Tensor
    values: Tensor
    level: Tensor
    minimiser: Tensor
    minimum: Tensor
    at_minimum: Tensor

    @property
    def deviation(self) -> float:
        """Largest distance of an output along the paths from its level."""
        return float((self.values - self.level).abs().max())


def level_set_path(
    model: Callable[[Tensor], Tensor],
    start: Tensor,
    target: Tensor,
    *,
    output: int | None = None,
    steps: int = 50,
    tolerance: float = 1e-4,
    minimiser: Tensor | None = None,
    assume_convex: bool = False,
) -> LevelSetPath:
    r"""Move from ``start`` towards ``target`` on the set of inputs for which a convex output :math:`f` is as at start.

    Every step goes an equal share of the remaining way, :math:`y = x + (t - x)/k`, and back to the level set on the
    line between y and a minimiser m, where a convex function grows away from m (Nesterov et al., 2022). If y lies
    below the level, the step is first made orthogonal to a subgradient g at x: since
    :math:`f(y) \geq f(x) + g^\top (y - x)`, it then ends on the level or above, and the way back exists.

    * A target above the level: the path ends where the line from m to the target meets the level set.
    * A target below it: the path approaches a point of the level set that is nearest to the target, as far as steps
      along the set lead.
    * A start at the minimum: the path goes straight and ends where the flat region does; without one it stays.

    Args:
        model: maps ``[batch, ...]`` to ``[batch, outputs]``, ``[batch, 1]`` or ``[batch]``, each sample by itself. A
            module runs in evaluation mode, and is left in the mode that it had.
        start: ``[batch, ...]``, floating point.
        target: of the same shape, or one that broadcasts to it.
        output: which of several outputs; may be left out if there is one.
        steps: number of steps, at least 1.
        tolerance: how far the output may be from its level, in its own units. Below about 1e-6 of the output's size,
            use a model in double precision.
        minimiser: point below the level for every start, such as a minimiser that is known, of the shape of ``start``
            or one that broadcasts to it; searched for by default.
        assume_convex: whether to take the model as convex without :func:`certify`.

    Returns:
        A :class:`LevelSetPath`.

    Raises:
        ValueError: if an argument is out of range or the model cannot be certified; with the remedy.
        TypeError: if a tensor is not one, or a function is passed without ``assume_convex``.
        RuntimeError: if the output cannot be kept within the tolerance; with the remedy.

    Example:
        >>> import torch
        >>> from convex_init.torch import ICNN, level_set_path
        >>> model = ICNN(2, [16], 1).double()
        >>> start, target = torch.ones(1, 2, dtype=torch.float64), -torch.ones(1, 2, dtype=torch.float64)
        >>> path = level_set_path(model, start, target, steps=10)
        >>> tuple(path.points.shape), bool((path.values - model(start)).abs().max() < 1e-3)
        ((11, 1, 2), True)
    """
    start, target = _checked(start, target)
    steps, tolerance = checks.whole("steps", steps), checks.positive("tolerance", tolerance)
    output = None if output is None else checks.whole("output", output, -(2**31))
    assume_convex = checks.truth("assume_convex", assume_convex)
    with _evaluating(model):
        if not assume_convex:
            _certify(model, start)
        f = _Scalar(model, output)
        level = f.value(start)
        if minimiser is None:
            lowest, minimum = _descend(f, start, (target - start).flatten(1).norm(dim=1))
        else:
            lowest = _like(minimiser, start, "minimiser").clone()
            minimum = f.value(lowest)
            if bool((minimum > level + tolerance).any()):
                raise ValueError("minimiser lies above the level of its start; leave it out, and it is searched for")
        # Without a point below, the set itself is all there is to stand on: its points are looked for from the start.
        at_minimum = minimum >= level - tolerance
        lowest = torch.where(_wide(at_minimum, start), start, lowest)
        minimum = torch.where(at_minimum, level, minimum)
        points = [start]
        for left in range(steps, 0, -1):
            points.append(_step(f, points[-1], (target - points[-1]) / left, level, lowest, at_minimum, tolerance))
        path = torch.stack(points)
        values = torch.stack([f.value(x) for x in points])
    found = LevelSetPath(path, values, level, lowest, minimum, at_minimum)
    if not found.deviation <= tolerance:
        raise RuntimeError(
            f"the output left its level by {found.deviation:.3g}, more than tolerance {tolerance:g}: use a model and "
            "inputs in double precision, or a larger tolerance"
        )
    return found


def _checked(start: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if not isinstance(start, Tensor):
        raise TypeError(f"start must be a tensor, got {type(start).__name__}")
    if start.ndim < 2 or not start.is_floating_point() or not len(start):
        raise ValueError(
            f"start must be a floating-point batch [batch, ...], got {start.dtype} of shape {tuple(start.shape)}; for "
            "one input pass start[None]"
        )
    _check_tensor("start", start)
    return start.detach(), _like(target, start, "target")


def _check_tensor(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and holds no numbers")
    if tensor.is_complex() or not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} must hold finite real numbers")


def _like(tensor: Tensor, start: Tensor, name: str) -> Tensor:
    _check_tensor(name, tensor)
    try:
        return tensor.detach().to(start).broadcast_to(start.shape)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, which does not broadcast to start's {tuple(start.shape)}"
        ) from None


def _certify(model: Any, start: Tensor) -> None:
    from convex_init.torch.certificate import certify

    if not isinstance(model, nn.Module):
        raise TypeError("model is no torch.nn.Module and cannot be certified; pass assume_convex=True if it is convex")
    certificate = certify(model, start[:1])
    if not certificate:
        raise ValueError(
            f"model could not be certified as convex ({certificate}); if you know that the output is, pass "
            "assume_convex=True"
        )


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Scalar:
    """One output of the model as a function ``[batch, ...] -> [batch]``."""

    def __init__(self, model: Callable[[Tensor], Tensor], output: int | None) -> None:
        self.model, self.output = model, output

    def __call__(self, x: Tensor) -> Tensor:
        outputs = self.model(x)
        if outputs.ndim == 2 and outputs.shape[1] == 1 and self.output is None:
            outputs = outputs[:, 0]
        if outputs.ndim == 2 and self.output is not None:
            if not -outputs.shape[1] <= self.output < outputs.shape[1]:
                raise ValueError(f"output {self.output} does not exist; the model has {outputs.shape[1]}")
            outputs = outputs[:, self.output]
        if outputs.shape != x.shape[:1]:
            raise ValueError(
                f"the model returns shape {tuple(outputs.shape)} for {len(x)} inputs; one number for each is needed, "
                "or output=i to choose one of several"
            )
        return outputs

    @torch.no_grad()
    def value(self, x: Tensor) -> Tensor:
        return self(x)

    def with_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = self(x)
            gradient = torch.autograd.grad(value.sum(), x, allow_unused=True)[0]
        return value.detach(), torch.zeros_like(x) if gradient is None else gradient


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """Give ``[batch]`` the number of dimensions of ``like``."""
    return values.view(-1, *[1] * (like.ndim - 1))


def _descend(f: _Scalar, start: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Look for a minimiser by subgradient steps of one length from the best point; the length adapts, per sample.

    A round without a lower point halves the length: that converges for kinks, where a line search gets stuck, as for
    smooth functions. If there is no minimum, the length doubles; it ends when the steps are long, since any point far
    below will do.
    """
    best, lowest = start, f.value(start)
    length = torch.where(scale > 0.0, scale, torch.ones_like(scale))
    shortest, longest = _SHORTEST * length, _LONGEST * length
    for _ in range(_ROUNDS):
        searching = (length > shortest) & (length < longest)
        if not bool(searching.any()):
            break
        x, before = best, lowest
        for _ in range(_STEPS_A_ROUND):
            _, gradient = f.with_gradient(x)
            size = gradient.flatten(1).norm(dim=1)
            x = x - _wide(torch.where(size > 0.0, length / size, torch.zeros_like(size)), x) * gradient
            value = f.value(x)
            lower = (value < lowest) & searching  # false for NaN
            best, lowest = torch.where(_wide(lower, x), x, best), torch.where(lower, value, lowest)
        length = torch.where(searching, length * torch.where(lowest < before, _GROWTH, _SHRINKAGE), length)
    return best, lowest


def _step(
    f: _Scalar, x: Tensor, way: Tensor, level: Tensor, lowest: Tensor, at_minimum: Tensor, tolerance: float
) -> Tensor:
    """One step along ``way``, and back to the level."""
    _, gradient = f.with_gradient(x)
    flat = gradient.flatten(1)
    # Orthogonal to the subgradient; where it is 0, x is a minimum and every way is.
    share = (flat * way.flatten(1)).sum(1) / (flat**2).sum(1).clamp_min(torch.finfo(flat.dtype).tiny)
    along = x + way - _wide(share, x) * gradient
    below = (f.value(x + way) < level) & ~at_minimum
    there = torch.where(_wide(below, x), along, x + way)
    # At a minimum the point itself, otherwise a point below the level: the level is crossed between it and `there`.
    inner = torch.where(_wide(at_minimum, x), x, lowest)
    return _cross(f, inner, there, level, at_minimum, tolerance)


def _cross(f: _Scalar, inner: Tensor, outer: Tensor, level: Tensor, at_minimum: Tensor, tolerance: float) -> Tensor:
    """Halve the segments from ``inner`` to ``outer`` until their points are on the level.

    At a minimum that is the farthest point still on it, and else the one place where the growing function crosses it.
    """
    far, near = torch.zeros_like(level), torch.ones_like(level)  # shares of the way from `outer` to `inner`

    def gap(share: Tensor) -> Tensor:
        # From `outer`, which is near the path: `inner` may be so far that its digits would be missed there.
        difference = f.value(outer + _wide(share, outer) * (inner - outer)) - level
        # At a minimum, half the tolerance above the level counts as on it.
        return torch.where(at_minimum, (difference - 0.5 * tolerance).clamp_min(0.0), difference)

    found, smallest = far, gap(far)
    done = smallest.abs() <= 0.1 * tolerance
    for _ in range(_HALVINGS):
        if bool(done.all()):
            break
        middle = 0.5 * (far + near)
        difference = gap(middle)
        above = difference > 0.0
        far, near = torch.where(above & ~done, middle, far), torch.where(above | done, near, middle)
        better = ~done & torch.where(at_minimum, ~above, difference.abs() < smallest.abs())
        found, smallest = torch.where(better, middle, found), torch.where(better, difference, smallest)
        done = done | torch.where(at_minimum, near - far < _FINE, smallest.abs() <= 0.1 * tolerance)
    # At a minimum, where no share of the way was on the level, the point itself is.
    found = torch.where(at_minimum & (smallest > 0.0), torch.ones_like(found), found)
    return outer + _wide(found, outer) * (inner - outer)
