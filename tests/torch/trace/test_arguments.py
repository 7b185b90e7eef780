"""Every argument of every operation that is lowered, at unusual values: it is understood, or the result opaque.

The check knows no rule. Each operation is called with arguments of the kinds that its schema names; where the
certificate says convex, of it or its negative, random chords must lie above the operation itself.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import convex_init.torch as ci
from convex_init.torch.trace.lowering import _RULES

STORAGE = ("memory_format", "layout", "device", "dtype", "pin_memory", "non_blocking", "generator", "implicit")
NUMBERS = (-2.0, -1.0, 0.0, 0.3, 1.0, 2.5, 25.0)
WHOLE = (-1, 0, 1, 2)
TEXTS = ("none", "tanh", "floor", "trunc", "sum", "mean", "amax", "amin", "prod", "add", "multiply")
SHAPES = ((3, 4), (4, 4), (4,), (2, 3, 4), (1, 2, 4, 4))
_MOST = 60  # calls of one overload
# These check nothing that is given to them, so that torch itself ends with unusual values.
RAW = {name for name in _RULES if name.startswith("_") or "pool" in name or "upsample" in name or "norm" in name} | {
    *("as_strided", "col2im", "im2col", "convolution", "native_dropout", "nll_loss_forward", "nll_loss2d_forward"),
    *("native_channel_shuffle", "channel_shuffle", "unfold", "unfold_copy", "log_sigmoid_forward", "lift_fresh"),
}


def overloads(name):
    for base in (name, f"{name}_"):
        packet = getattr(torch.ops.aten, base, None)
        for overload in packet.overloads() if packet is not None and base == name else ():
            if overload.startswith("prim_"):  # TorchScript's, which take any number for a dtype
                continue
            found = getattr(packet, overload)
            if not found._schema.is_mutable:
                yield found


def choices(kind, shape, generator):
    """Values for an argument of a kind, the usual one first; ``None`` if there are none."""
    text = str(kind)
    if text in ("Tensor", "Optional[Tensor]"):
        weights = [torch.randn(shape, generator=generator).abs() + 0.1, torch.randn(shape, generator=generator)]
        return [*weights, *([None] if "Optional" in text else [])]
    if text == "List[Tensor]":
        return [[torch.randn(shape, generator=generator).abs() for _ in range(2)]]
    if text in ("number", "float", "Optional[number]", "Optional[float]"):
        return [1.0, *NUMBERS, *([None] if "Optional" in text else [])]
    if text in ("int", "Optional[int]"):
        return [1, *WHOLE, *([None] if "Optional" in text else [])]
    if text == "bool":
        return [False, True]
    if text in ("str", "Optional[str]"):
        return [*([None] if "Optional" in text else []), *TEXTS]
    if text in ("List[int]", "Optional[List[int]]"):
        return [[1], [0], [2, 2], [1, 1], list(shape), [], *([None] if "Optional" in text else [])]
    return [None] if text.startswith("Optional") else None


class Called(nn.Module):
    """One tensor argument of an operation varies, the others are fixed."""

    def __init__(self, operation, args, kwargs, place, sign, before):
        super().__init__()
        self.operation, self.args, self.kwargs, self.place = operation, args, kwargs, place
        self.sign, self.before = sign, before

    def forward(self, x):
        args = list(self.args)
        given = self.before(x)
        args[self.place] = [given, *args[self.place][1:]] if isinstance(args[self.place], list) else given
        found = self.operation(*args, **self.kwargs)
        first = found[0] if isinstance(found, (tuple, list)) else found
        return self.sign * first


BEFORE = {"itself": lambda x: x, "its size": torch.abs, "minus its size": lambda x: -x.abs()}


def calls(operation, generator):
    """Calls with one argument at an unusual value, and the place of the tensor that varies."""
    specs = operation._schema.arguments
    for shape in SHAPES:
        listed = [choices("Optional" if spec.name in STORAGE else spec.type, shape, generator) for spec in specs]
        if any(part is None for part in listed):
            return
        usual = [
            spec.default_value if spec.has_default_value() else part[0]
            for spec, part in zip(specs, listed, strict=True)
        ]
        tensors = [
            place for place, part in enumerate(listed) if isinstance(part[0], torch.Tensor)
            or (isinstance(part[0], list) and part[0] and isinstance(part[0][0], torch.Tensor))
        ]  # fmt: skip
        for place, unusual in itertools.product(tensors, range(len(specs))):
            for value in listed[unusual]:
                given = list(usual)
                if unusual != place:
                    given[unusual] = value
                if given[place] is None:
                    given[place] = listed[place][0]
                yield given, place


def lies_above(model, shape, generator):
    for _ in range(12):
        size = 10.0 ** float(torch.rand((), generator=generator) * 1.5 - 0.5)
        a, b = size * torch.randn(2, *shape, generator=generator)
        with torch.no_grad():
            low, high, middle = (model(point).double() for point in (a, b, 0.5 * (a + b)))
        if not low.shape == high.shape == middle.shape:
            return True
        scale = torch.stack([low, high, middle]).abs().nan_to_num(0.0, 0.0, 0.0)
        scale = scale.amax() if scale.numel() else torch.zeros(())
        above = (middle - 0.5 * (low + high)).nan_to_num(-1.0, -1.0, -1.0)
        if bool((above > 1e-3 * scale + 1e-3).any()):
            return True
    return False


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(_RULES) - RAW))
def test_each_argument_is_understood_or_makes_the_result_opaque(name):
    generator = torch.Generator().manual_seed(0)
    for operation in overloads(name):
        names = [spec.name for spec in operation._schema.arguments]
        positional = [not spec.kwarg_only for spec in operation._schema.arguments]
        done = 0
        for given, place in calls(operation, generator):
            if done >= _MOST:
                break
            args = [value for value, first in zip(given, positional, strict=True) if first]
            kwargs = {key: value for key, value, first in zip(names, given, positional, strict=True) if not first}
            tensor = given[place][0] if isinstance(given[place], list) else given[place]
            way = list(BEFORE)[done % 3]
            model = Called(operation, args, kwargs, place, 1.0 if done % 2 else -1.0, BEFORE[way])
            try:
                made = model(tensor)
            except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError):
                continue  # no call that torch takes
            if not isinstance(made, torch.Tensor) or not made.is_floating_point():
                continue
            done += 1
            if ci.certify(model, tensor, search=False):
                shown = [value if not isinstance(value, torch.Tensor) else tuple(value.shape) for value in given]
                assert not lies_above(model, tuple(tensor.shape), generator), (str(operation), way, place, shown)
