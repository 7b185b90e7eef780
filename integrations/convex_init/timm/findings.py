"""What is found in a model: layers, learnt factors, and what is in the way of convexity."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from convex_init_core.theory.activation import Activation
from convex_init_core.weights.positivity import Positivity


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
        positivity: the map that makes its weight non-negative, as far as the model has one.
        obstacle: why its weight or bias cannot be written; empty if they can.
    """

    path: str
    module: nn.Module
    positive: bool
    fed_by: Activation | None
    normalised: bool
    positivity: Positivity | None = None
    obstacle: str = ""

    @property
    def is_projected(self) -> bool:
        """Whether its weight has to be kept non-negative, since no map of the model does it."""
        return self.positive and not (self.positivity is not None and self.positivity.reparametrises)


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
