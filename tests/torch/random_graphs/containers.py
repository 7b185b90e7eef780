"""How a model is handed its context, and takes it out again."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor


class Holder:
    __slots__ = ("y",)

    def __init__(self, y: Tensor):
        self.y = y


CONTAINERS: dict[str, tuple[Callable[[Tensor], object], Callable[..., Tensor]]] = {
    "plain": (lambda y: y, lambda y: y),
    "list": (lambda y: [y], lambda held: held[0]),
    "dict": (lambda y: {"a": {"b": y}}, lambda held: held["a"]["b"]),
    "namespace": (lambda y: SimpleNamespace(y=y), lambda held: held.y),
    "slots": (lambda y: Holder(y), lambda held: held.y),
    "set": (lambda y: {y}, lambda held: next(iter(held))),
    "closure": (lambda y: lambda: y, lambda held: held()),
    "law": (lambda y: torch.distributions.Normal(y, 1.0), lambda held: held.loc),
}
