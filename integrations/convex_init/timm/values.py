"""What the data flow knows of a value: how it depends on the network's input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from torch import nn

from convex_init_core import Activation
from convex_init_core.convexity.calculus import Curvature


@dataclass(frozen=True)
class Value:
    """One tensor (or a tuple of parts of one) in the data flow.

    Attributes:
        curvature: constant, affine or convex in the network's input; a concave one is not followed.
        parameter: dotted name, where it is a parameter as it stands.
        number: a number or tensor, where it is a constant that training does not change.
        fed_by: the activation that it has just been through; ``None`` behind anything else.
    """

    curvature: Curvature
    parameter: str = ""
    number: Any = None
    fed_by: Activation | None = None

    def plain(self) -> Value:
        """Return the value behind a linear operation."""
        return replace(self, parameter="", number=None, fed_by=None)


def joined(values: list[Value]) -> Value:
    """Return a sum or concatenation of values; the feeding activation stays if all signals in it share it."""
    signals = [value for value in values if value.curvature is not Curvature.CONSTANT]
    if not signals:
        return Value(Curvature.CONSTANT)
    fed = signals[0].fed_by if all(value.fed_by == signals[0].fed_by for value in signals) else None
    return Value(reduce(Curvature.__or__, (value.curvature for value in signals)), fed_by=fed)


@dataclass(frozen=True)
class Blocker:
    """Why a model is not, and cannot be made, input-convex; one for each offending place.

    Attributes:
        path: of the innermost module.
        kind: the class of that module.
        reason: what is wrong.
        remedy: the option of ``convexify`` that removes it; empty if there is none.
    """

    path: str
    kind: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return one line."""
        where = f"{self.path!r} ({self.kind})" if self.path else f"the model itself ({self.kind})"
        return f"{where}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, eq=False)
class FoundLayer:
    """A convolution or linear layer in the data flow.

    Attributes:
        path: of the layer.
        module: the layer.
        positive: whether it stands behind a non-linearity, so that its weight must be non-negative.
        fed_by: the activation that feeds it; ``None`` for a linear operation, and for a free layer.
        normalised: whether every way from it leads to a batch normalisation before the next non-linearity.
    """

    path: str
    module: nn.Module
    positive: bool
    fed_by: Activation | None
    normalised: bool


@dataclass(frozen=True, eq=False)
class FoundScale:
    """A batch normalisation, or another learnt factor, in the data flow.

    Attributes:
        path: of the module that owns the parameter.
        module: that module.
        name: of the parameter.
        positive: whether it must be non-negative.
        normalises: path of the layer whose output a batch normalisation takes as it is; ``""`` for none.
        shortcut: for a batch normalisation that ends in a sum: ``"identity"`` if the other summand is not normalised,
            ``"normalised"`` if it is; ``""`` if there is no sum.
    """

    path: str
    module: nn.Module
    name: str
    positive: bool
    normalises: str = ""
    shortcut: str = ""
