"""What enters every non-linearity of a model, seen at the operations themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# By ATen name; `amax` and `logsumexp` stand for maxima, hard and soft.
_BENDS = ("relu", "leaky_relu", "elu", "celu", "softplus", "clamp_min", "clamp", "threshold", "_prelu_kernel")
_BENDS += ("logsumexp", "amax")


class _Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__.removesuffix("_") in _BENDS:
            self.seen.append(args[0].detach().clone())
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def pre_activations(model: nn.Module, inputs: Any, others: Any, entry: str = "forward") -> list[Tensor]:
    """Return the tensors that enter a non-linearity and depend on what differs between two inputs.

    A positivity map sees a parameter and a gate sees the context: with the same context in both inputs, neither
    differs.
    """
    call = model if entry == "forward" else getattr(model, entry)
    first, second = _Watch(), _Watch()
    written_out = getattr(model, "phi", None)  # an activation of the model's own, put together of other operations
    for watch, given in ((first, inputs), (second, others)):
        if written_out is not None:
            model.phi = lambda s, watch=watch: (watch.seen.append(s.clone()), written_out(s))[1]
        try:
            with watch:
                call(*given) if isinstance(given, tuple) else call(given)
        finally:
            vars(model).pop("phi", None)
    assert len(first.seen) == len(second.seen)
    return [a for a, b in zip(first.seen, second.seen, strict=True) if not torch.equal(a, b)]


def variance(s: Tensor) -> float:
    """Over data, units and positions."""
    return float(s.double().var())


def living_share(s: Tensor) -> float:
    """The share of units that change from one sample to the next."""
    by_unit = s.double().movedim(1, 0).flatten(1) if s.ndim > 1 else s.double()[None]
    spread = by_unit.std(1)
    return float((spread > 1e-6 * (1 + by_unit.abs().mean(1))).double().mean())
