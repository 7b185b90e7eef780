"""Tensors in containers and objects of all kinds: as outputs, and as context."""

from __future__ import annotations

import collections
import types
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from tests.torch.attacks.models import Attack, Function

GATE = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))


@dataclass
class Answer:
    y: torch.Tensor


@dataclass(slots=True)
class SlottedAnswer:
    y: torch.Tensor


class Slotted:
    __slots__ = ("y",)

    def __init__(self, y):
        self.y = y


class Plain:
    def __init__(self, y):
        self.y = y


class List(list):
    pass


class Dict(dict):
    pass


def closed(x):
    y = -x.square()
    return lambda: y


def with_attribute(holder, x):
    holder.extra = -x.square()
    return holder


OUTPUTS = {
    "names": lambda x: {"a.b": -x.square(), "a": {"b": x.square()}},
    "module": lambda x: (x.square(), Function(None, W=-x.square())),
    "attribute of a list": lambda x: with_attribute(List([x.square()]), x),
    "attribute of a dict": lambda x: with_attribute(Dict(a=x.square()), x),
    "attribute of a tensor": lambda x: with_attribute(x.square(), x),
    "ns": lambda x: (x.square(), SimpleNamespace(y=-x.square())),
    "set": lambda x: (x.square(), {-x.square()}),
    "frozenset": lambda x: (x.square(), frozenset([-x.square()])),
    "slots dc": lambda x: (x.square(), SlottedAnswer(-x.square())),
    "dc": lambda x: (x.square(), Answer(-x.square())),
    "slots": lambda x: (x.square(), Slotted(-x.square())),
    "plain": lambda x: (x.square(), Plain(-x.square())),
    "dist": lambda x: (x.square(), torch.distributions.Normal(-x.square(), 1.0)),
    "gen": lambda x: (x.square(), (v for v in [-x.square()])),
    "map": lambda x: (x.square(), map(torch.neg, [x.square()])),
    "fn": lambda x: (x.square(), lambda: -x.square()),
    "closure": lambda x: (x.square(), closed(x)),
    "partial": lambda x: (x.square(), partial(lambda v: v, -x.square())),
    "deque": lambda x: (x.square(), collections.deque([-x.square()])),
    "objarr": lambda x: (x.square(), np.array([-x.square(), None], dtype=object)),
    "nparr": lambda x: (x.square(), (-x.square()).numpy()),
    "float": lambda x: (x.square(), float(-x.square().sum())),
    "dict views": lambda x: (x.square(), {"a": -x.square()}.values()),
    "iter": lambda x: (x.square(), iter([-x.square()])),
    "zip": lambda x: (x.square(), zip([-x.square()])),
    "packed": lambda x: nn.utils.rnn.pack_padded_sequence(-x.square()[:, :, None], [4, 4, 4], batch_first=True),
    "nested depth": lambda x: (x.square(), Plain(Plain(Plain(Plain(Plain(-x.square())))))),
    "property": lambda x: (x.square(), type("P", (), {"y": -x.square()})()),
    "class attr": lambda x: (x.square(), type("P", (), {"y": -x.square()})),
    "sparse out": lambda x: (x.square(), (-x.square()).to_sparse()),
    "key tensor": lambda x: {-x.square(): x.square()},
    "enumlist": lambda x: [x.square(), [{"k": -x.square()}]],
    "str key int": lambda x: {"0": -x.square(), 0: x.square()},
    "quoted key": lambda x: {"a": {"b": x.square()}, "a.b": x.square(), "a['b']": -x.square()},
    "complex out": lambda x: (x.square(), torch.complex(-x.square(), x)),
    "userdict": lambda x: (x.square(), collections.UserDict(a=-x.square())),
    "mappingproxy": lambda x: types.MappingProxyType({"a": -x.square()}),
    "chainmap": lambda x: collections.ChainMap({"a": -x.square()}),
}
CONTEXTS = {
    "ns": (lambda: SimpleNamespace(y=GATE.clone()), lambda c: c.y),
    "set": (lambda: {GATE.clone()}, lambda c: next(iter(c))),
    "slots": (lambda: Slotted(GATE.clone()), lambda c: c.y),
    "dc": (lambda: Answer(GATE.clone()), lambda c: c.y),
    "ds": (lambda: SlottedAnswer(GATE.clone()), lambda c: c.y),
    "plain": (lambda: Plain(GATE.clone()), lambda c: c.y),
    "dist": (lambda: torch.distributions.Normal(GATE.clone(), 1.0), lambda c: c.loc),
    "list": (lambda: [GATE.clone()], lambda c: c[0]),
    "dict": (lambda: {"a": GATE.clone()}, lambda c: c["a"]),
    "nested": (lambda: Plain(Plain(Plain(Plain(Plain(GATE.clone()))))), lambda c: c.y.y.y.y.y),
    "closure": (lambda: (lambda v: lambda: v)(GATE.clone()), lambda c: c()),
    "partial": (lambda: partial(lambda v: v, GATE.clone()), lambda c: c()),
    "deque": (lambda: collections.deque([GATE.clone()]), lambda c: c[0]),
    "objarr": (lambda: np.array([GATE.clone(), None], dtype=object), lambda c: c[0]),
    "userdict": (lambda: collections.UserDict(a=GATE.clone()), lambda c: c["a"]),
    "mappingproxy": (lambda: types.MappingProxyType({"a": GATE.clone()}), lambda c: c["a"]),
    "int tensor": (lambda: torch.ones(3, 4).long(), lambda c: c.float()),
    "bool tensor": (lambda: torch.ones(3, 4).bool(), lambda c: c.float() * 2 - 1),
    "module": (lambda: Function(None, W=GATE.clone()), lambda c: c.W),
    "class": (lambda: type("P", (), {"y": GATE.clone()}), lambda c: c.y),
    "packed": (
        lambda: nn.utils.rnn.pack_padded_sequence(torch.rand(1, 12, 1), [12], batch_first=True),
        lambda c: c.data.reshape(3, 4),
    ),
    "prop": (lambda: (lambda v: type("P", (), {"y": property(lambda s: v)})())(GATE.clone()), lambda c: c.y),
}
"""How the object is made, and how the model takes its tensor."""

ATTACKS = {
    **{f"output {name}": Attack(lambda self, x, function=function: function(x)) for name, function in OUTPUTS.items()},
    **{
        f"context {name}": Attack(
            lambda self, x, c, take=take: x.square() * take(c), torch.randn(3, 4), make(), convex=0
        )
        for name, (make, take) in CONTEXTS.items()
    },
}
