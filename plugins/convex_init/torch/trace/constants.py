"""What is kept of tensors that are the same for every input: their bounds, and the tensor itself while it is true."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convex_init_core.graph.nodes import Constant, Node

_SMALL = 4096  # elements; of a tensor that is overwritten, so many are copied
_SQUARE = 512  # rows; of a matrix that may be one of a quadratic form

# A step between two recorded operations, where everything is known.
_FOLDED: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "sqrt": torch.sqrt,
}


def bounds_of(tensor: Tensor) -> tuple[float, float] | None:
    """Return the smallest and the largest number, NaN if any is NaN; ``None`` if there are none that can be read."""
    if tensor.is_meta or tensor.numel() == 0:
        return None
    numbers = tensor.detach()
    try:
        if numbers.dtype == torch.bool:
            return float(numbers.all()), float(numbers.any())
        low, high = torch.aminmax(numbers)
        if numbers.device.type == "cpu":
            return float(low.item()), float(high.item())
        both = torch.stack((low, high)).tolist()  # in one transfer
    except (RuntimeError, NotImplementedError, TypeError):  # complex, sparse, masked, or of a type that is not ordered
        return None
    return float(both[0]), float(both[1])


def are_same(a: tuple[float, float] | None, b: tuple[float, float] | None) -> bool:
    """Whether two bounds are equal, NaN included."""
    if a is None or b is None:
        return a is b
    return all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(a, b, strict=True))


def number(value: float) -> Constant:
    """Return the constant of a number in the code."""
    return Constant(torch.tensor(value, dtype=torch.float64), (value, value))


def constant(tensor: Tensor, parameters: Sequence[str] = (), bounds: tuple[float, float] | None = None) -> Constant:
    """Return the constant that a tensor is.

    Args:
        tensor: that nothing has written to since.
        parameters: that it was computed from.
        bounds: if they are known.
    """
    # Detached: a tensor may be given other memory, as by ``w.data = …``, and the constant has to keep the old one.
    return Constant(tensor.detach(), bounds_of(tensor) if bounds is None else bounds, tuple(parameters))


def parameters_of(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the parameters that constants were computed from, in order."""
    return tuple(dict.fromkeys(name for node in nodes for name in node.parameters))


def folded(operation: str, inputs: Sequence[Node], shape: Sequence[int]) -> Constant:
    """Return the constant of a step that is no operation of torch's own, computed if it is a plain one."""
    parts: list[Any] = [None if node.constant is None else node.constant.handle for node in inputs]
    if all(isinstance(part, Tensor) for part in parts):
        if operation == "reshape":
            return constant(parts[0].reshape(tuple(shape)).clone(), parameters_of(inputs))  # of its own memory
        if operation in _FOLDED:
            return constant(_FOLDED[operation](*parts), parameters_of(inputs))
    return Constant(None, None, parameters_of(inputs))


def preserve(node: Node) -> None:
    """Let a constant keep the numbers that it has now, before its memory is written to, or forget them if many."""
    known = node.constant
    if known is None or not isinstance(known.handle, Tensor):
        return
    tensor = known.handle
    is_square = tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1] <= _SQUARE
    known.handle = tensor.clone() if tensor.numel() <= _SMALL or is_square or node.name == "literal" else None


class Numbers:
    """What the core asks of constants; a framework of torch models is one, too."""

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """Return the numbers of a small constant; ``None`` if they are gone, or too many."""
        tensor = constant.handle
        if not isinstance(tensor, Tensor) or tensor.is_meta or tensor.numel() > _SQUARE**2 or tensor.is_complex():
            return None
        found: NDArray[np.float64] = tensor.double().cpu().numpy()
        return found

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float] | None:
        """Return smallest and largest number of a part of a constant."""
        tensor = constant.handle
        return bounds_of(tensor.narrow(axis, start, stop - start)) if isinstance(tensor, Tensor) else None
