"""What a reader finds in a model: a :class:`Site` for each layer that has a weight, a :class:`Slot` for a parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from convex_init.torch.positivity import raw_parameter
from convex_init_core import Activation, Positivity

ROLES = ("free", "positive", "skip")


@dataclass(frozen=True)
class Site:
    """A layer of a model and its part in it.

    A module whose forward is not a plain chain can describe itself: give it a method ``convex_sites()`` that returns
    a list of these, in the order of the signal, with paths relative to the module. ``plan`` and ``apply_`` use it, and
    with ``threshold=`` they take the positive layers for one chain.

    Attributes:
        path: of the layer within the model, such as ``"layers.2"``.
        module: the layer.
        role: ``"free"`` (sees the input through affine maps only: weights of either sign), ``"positive"`` (behind a
            non-linearity: weights must be non-negative), or ``"skip"`` (free, and summed with a positive layer).
        activation: what feeds a positive layer; ``None`` where the reader cannot tell.
        positivity: the map that the model's forward applies to the raw weight; ``None`` for none, or for one that is
            known from the layer itself (a parametrization or a mark).
        beside: for a skip, the path of the positive layer that it is summed with, or several.
        reason: why the role is what it is, for the table.
    """

    path: str
    module: nn.Module
    role: str
    activation: Activation | None = None
    positivity: Positivity | None = None
    beside: str | tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the role; one path becomes a tuple of one."""
        if isinstance(self.beside, str):
            object.__setattr__(self, "beside", (self.beside,) if self.beside else ())
        if self.role not in ROLES:
            raise ValueError(f"role of {shown(self.path)} must be one of {', '.join(ROLES)}, got {self.role!r}")

    def below(self, prefix: str) -> Site:
        """Return the same site seen from a parent module."""
        if not prefix:
            return self
        return replace(self, path=join(prefix, self.path), beside=tuple(join(prefix, path) for path in self.beside))


@dataclass(frozen=True, eq=False)
class Slot:
    """One parameter and its place.

    Attributes:
        module: that holds it; for a parametrized one, the module that it belongs to.
        name: of the parameter in the module, such as ``"weight"`` or ``"bias"``.
        path: of the module, for the ``weight`` and ``bias`` of a layer; of the parameter itself otherwise.
    """

    module: nn.Module
    name: str
    path: str

    @property
    def raw(self) -> Tensor:
        """The tensor to write to."""
        return raw_parameter(self.module, self.name)


def join(prefix: str, path: str) -> str:
    """Join two module paths, either of which may be empty."""
    return ".".join(part for part in (prefix, path) if part)


def shown(path: str) -> str:
    """Return a path for a message; the model itself has an empty one."""
    return repr(path) if path else "the model itself"
