"""Move through the inputs of a convex network while its output stays what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convex_init_core.reporting import level_sets
from convex_init_core.reporting.level_sets import LevelSetPath, Settings

__all__ = ["LevelSetPath", "level_set_path"]


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
        A :class:`LevelSetPath` of tensors, of the type and on the device of ``start``.

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
    for name, tensor in (("start", start), ("target", target), ("minimiser", minimiser)):
        if not isinstance(tensor, Tensor) and not (tensor is None and name == "minimiser"):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
        if isinstance(tensor, Tensor) and tensor.is_meta:
            raise ValueError(f"{name} is on the meta device and holds no numbers")
    settings = Settings(output, steps, tolerance, assume_convex)
    begin = level_sets.checked_start(_numbers(start), start.dtype, is_floating=start.is_floating_point())
    with _evaluating(model):
        if not assume_convex:
            _certify(model, start.detach())
        f = _Function(model, start, output)
        below = None if minimiser is None else _numbers(minimiser)
        found = level_sets.level_set_path(f, begin, _numbers(target), below, settings)
    return found.converted(lambda array: torch.from_numpy(array).to(start if array.dtype.kind == "f" else start.device))


def _numbers(tensor: Tensor) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    return np.asarray(tensor.double() if tensor.is_floating_point() else tensor)


def _certify(model: Any, start: Tensor) -> None:
    from convex_init.torch.certificate import certify

    if not isinstance(model, nn.Module):
        raise TypeError("model is no torch.nn.Module and cannot be certified; pass assume_convex=True if it is convex")
    level_sets.refuse_uncertified(certify(model, start[:1]))


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


class _Function:
    """One output of the model for the core, in the model's precision."""

    def __init__(self, model: Callable[[Tensor], Tensor], like: Tensor, output: int | None) -> None:
        self.model, self.like, self.output = model, like, output

    def __call__(self, x: Tensor) -> Tensor:
        chosen: Tensor = level_sets.one_output(self.model(x), self.output, len(x))
        return chosen

    def _tensor(self, x: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.array(x)).to(self.like)

    def value(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.no_grad():
            return _numbers(self(self._tensor(x)))

    def gradient(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.enable_grad():
            at = self._tensor(x).requires_grad_()
            (slope,) = torch.autograd.grad(self(at).sum(), at, allow_unused=True)
        return np.zeros(x.shape) if slope is None else _numbers(slope)
