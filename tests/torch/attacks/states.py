"""Models that change themselves, copies that are something else, and roots that are not their forward."""

from __future__ import annotations

import copy
import itertools
from types import SimpleNamespace

import torch
from torch import nn

from tests.torch.attacks.models import branch, energy

CALLS = {"number": 0}


class Counting(nn.Module):
    """Turns round after some calls."""

    def __init__(self, calls):
        super().__init__()
        self.number, self.calls = 0, calls

    def forward(self, x):
        self.number += 1
        return branch(x, self.number > self.calls)


class CountingInABuffer(nn.Module):
    def __init__(self, calls):
        super().__init__()
        self.register_buffer("number", torch.zeros(()))
        self.calls = calls

    def forward(self, x):
        self.number += 1
        return (1 - 2 * (self.number > self.calls).float()) * energy(x)


class Shrinking(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        out = self.weight * energy(x)
        with torch.no_grad():
            self.weight.sub_(0.3)
        return out


class Elsewhere(nn.Module):
    """Counts in an object that the model reaches."""

    number = 0

    def __init__(self, kind):
        super().__init__()
        self.kind, self.held, self.history = kind, SimpleNamespace(number=0), []
        self.ahead, self.forever = iter([0] * 4 + [1] * 50), itertools.count()
        self.weight = nn.Parameter(torch.ones(4))
        self.weight.number = 0
        number = 0

        def closed():
            nonlocal number
            number += 1
            return number

        self.closed = closed
        CALLS["number"] = type(self).number = 0

    def forward(self, x):
        return branch(x, getattr(self, self.kind)() > 3)

    def of_an_object(self):
        self.held.number += 1
        return self.held.number

    def of_a_list(self):
        self.history.append(1)
        return len(self.history)

    def of_an_iterator(self):
        return 9 * next(self.ahead)

    def of_a_counter(self):
        return next(self.forever)

    def of_a_closure(self):
        return self.closed()

    def of_a_global(self):
        CALLS["number"] += 1
        return CALLS["number"]

    def of_the_class(self):
        type(self).number += 1
        return type(self).number

    def of_a_parameter(self):
        self.weight.number += 1
        return self.weight.number


class Signed(nn.Module):
    """Negative, unless it is a copy that was made by one of the ways in which Python copies."""

    def __init__(self, negative=True):
        super().__init__()
        self.negative = negative

    def forward(self, x):
        return branch(x, self.negative)


class WithDeepcopy(Signed):
    def __deepcopy__(self, memo):
        return type(self)(False)


class WithReduce(Signed):
    def __reduce_ex__(self, protocol):
        return type(self), (False,)


class WithGetstate(Signed):
    def __getstate__(self):
        return self.__dict__ | {"negative": False}


class WithSetstate(Signed):
    def __setstate__(self, state):
        self.__dict__.update(state | {"negative": False})


class Attribute:
    def __init__(self, negative=True):
        self.negative = negative

    def __deepcopy__(self, memo):
        return Attribute(False)


class Holding(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.held = held

    def forward(self, x):
        return self.held(x) if isinstance(self.held, nn.Module) else branch(x, self.held.negative)


class Negated(nn.Sequential):
    def __call__(self, x):
        return -super().__call__(x)


class NegatedInside(nn.Sequential):
    def _call_impl(self, *args, **kwargs):
        return -super()._call_impl(*args, **kwargs)


class Hidden(nn.Module):
    def __getattribute__(self, name):
        return energy if name == "forward" else super().__getattribute__(name)

    def __call__(self, x):
        return -energy(x)


def layers():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Identity())


def negated(module, *args):
    return -args[-1]


def hooked(model, at=None, **how):
    (model if at is None else at(model)).register_forward_hook(
        (lambda module, args, kwargs, out: -out) if how.get("with_kwargs") else negated, **how
    )
    return model


def with_forward(name):
    model = layers()
    setattr(model, name, lambda x: -energy(x))
    return model


def compiled_part():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), torch.compile(nn.Identity()))
    return hooked(model, lambda m: m[2])


def compiled_in_place():
    model = layers()
    model.compile()
    return hooked(model)


def entered():
    model = layers()
    with torch.no_grad():
        model[0].weight.abs_()
    model.register_forward_pre_hook(lambda module, args: (-args[0].abs(),))
    return model


MODELS = {
    **{f"a counter that turns after {n}": lambda n=n: Counting(n) for n in (0, 1, 2, 3, 5, 20, 100)},
    **{f"a buffer that turns after {n}": lambda n=n: CountingInABuffer(n) for n in (0, 1, 2, 3, 20)},
    "a weight that shrinks": Shrinking,
    **{
        name.replace("_", " "): lambda name=name: Elsewhere(name)
        for name in (
            *("of_an_object", "of_a_list", "of_an_iterator", "of_a_counter", "of_a_closure", "of_a_global"),
            *("of_the_class", "of_a_parameter"),
        )
    },
    "deepcopy": WithDeepcopy,
    "reduce": WithReduce,
    "getstate": WithGetstate,
    "setstate": WithSetstate,
    "deepcopy of a part": lambda: Holding(WithDeepcopy()),
    "deepcopy of an attribute": lambda: Holding(Attribute()),
    "call": lambda: Negated(*layers()),
    "call implementation": lambda: NegatedInside(*layers()),
    "hidden forward": Hidden,
    "forward of its own": lambda: with_forward("forward"),
    "compiled call of its own": lambda: with_forward("_compiled_call_impl"),
    "hook": lambda: hooked(layers()),
    "hook with keywords": lambda: hooked(layers(), with_kwargs=True),
    "hook for every end": lambda: hooked(layers(), always_call=True),
    "hook before": entered,
    "hook of a part": lambda: hooked(layers(), lambda m: m[2]),
    "hook of a compiled model": lambda: hooked(torch.compile(layers())),
    "hook of a compiled part": compiled_part,
    "hook of one that compiles itself": compiled_in_place,
    "hook of one in parallel": lambda: hooked(nn.DataParallel(layers())),
    "hook within": lambda: nn.Sequential(hooked(layers())),
    "a copy": lambda: copy.copy(hooked(layers())),
}
