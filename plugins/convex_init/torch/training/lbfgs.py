"""L-BFGS under the constraint that some weights stay in intervals: what its closure must do for that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from convex_init.torch.write.clamps import Clamp, clamp_
from convex_init.torch.write.sharding import local


class ProjectInClosure:
    """A pre-hook of the step: L-BFGS then minimises the loss of the projected weights.

    L-BFGS takes several steps within one call and compares their gradients. Where the weights are clamped only after
    the call, gradients and steps no longer belong together, and the next call runs away. So the loss is evaluated at
    the projected weights, the weights themselves are put back for L-BFGS to go on from, and the gradient loses what
    would push a weight further out of its interval, where it changes nothing. The projection after the call then
    changes the weights, but neither loss nor gradient. A call that begins with a larger loss than the one before
    forgets what was learnt of the curvature.

    Args:
        clamps: returns what to clamp.
    """

    def __init__(self, clamps: Callable[[], Iterable[Clamp]]) -> None:
        """Remember how to find the weights; see the class."""
        self.clamps = clamps
        self._losses: WeakKeyDictionary[Optimizer, float] = WeakKeyDictionary()

    def __call__(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Put a projecting closure in the place of the given one; called by torch before the step."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None or not isinstance(optimizer, LBFGS):
            return None  # of a closure that is missing the optimizer says so itself
        held = {tensor for group in optimizer.param_groups for tensor in group["params"]}
        mine = [clamp for clamp in self.clamps() if clamp.tensor in held]
        return ((args[0], self._projecting(optimizer, closure, mine)), {}) if mine else None

    def _projecting(self, optimizer: LBFGS, closure: Callable[[], Any], clamps: list[Clamp]) -> Callable[[], Any]:
        first = True

        def projecting() -> Any:
            nonlocal first
            raw = _clamped(clamps)
            with torch.enable_grad():
                loss = closure()
            _put_back(clamps, raw)
            if first:
                first = False
                self._forget_after_a_bad_call(optimizer, float(torch.as_tensor(loss).detach()))
            return loss

        return projecting

    def _forget_after_a_bad_call(self, optimizer: LBFGS, loss: float) -> None:
        if not loss <= self._losses.get(optimizer, float("inf")):
            for state in optimizer.state.values():
                state["n_iter"] = 0  # L-BFGS then begins anew, along the gradient
        self._losses[optimizer] = loss


@torch.no_grad()
def _clamped(clamps: list[Clamp]) -> list[Tensor]:
    """Clamp the weights in place, and return what they were."""
    raw = [local(clamp.tensor).clone() for clamp in clamps]
    clamp_(clamps)
    return raw


@torch.no_grad()
def _put_back(clamps: list[Clamp], raw: list[Tensor]) -> None:
    for (tensor, low, high), before in zip(clamps, raw, strict=True):
        local(tensor).copy_(before)
        if tensor.grad is not None:
            gradient = local(tensor.grad)
            gradient.masked_fill_((before <= low) & (gradient > 0), 0.0)
            if high < math.inf:
                gradient.masked_fill_((before >= high) & (gradient < 0), 0.0)
