"""How numbers get into a torch model: drawn, scaled, shifted and marked, all of which can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convex_init.torch.model.fans import units
from convex_init.torch.model.parameters import Parameters
from convex_init.torch.write.clamps import Clamp, clamp_
from convex_init.torch.write.drawing import Fill as TensorFill
from convex_init.torch.write.drawing import fill_
from convex_init.torch.write.marks import ATTRIBUTES, remember_places
from convex_init.torch.write.positivity import mark_projected
from convex_init.torch.write.sharding import local
from convex_init_core.constraints.kept import Kept
from convex_init_core.framework import Fill
from convex_init_core.weights.positivity import Positivity


class Writer:
    """The part of the port that changes a model.

    Args:
        model: any module.
    """

    def __init__(self, model: nn.Module) -> None:
        """Find the parameters."""
        self.model = model
        self._parameters = Parameters(model)
        self._written: dict[str, Tensor] = {}
        self._journal: _Journal | None = None
        self._running: nn.Module | None = None  # a copy that runs while its statistics are set

    def write(self, fills: Sequence[Fill], seed: Any) -> None:
        """See :class:`convex_init_core.framework.Framework`; the seed is a generator, or ``None`` for torch's own."""
        drawn = []
        for fill in fills:
            raw = self._to_write(fill.name)
            drawn.append(TensorFill(raw, fill.law, fill.positivity))
        fill_(drawn, seed)
        with torch.no_grad():
            for fill in fills:
                if fill.positivity is not None and fill.positivity.reparametrises:
                    self._read_back(fill)

    @torch.no_grad()
    def scale(self, name: str, factor: float | NDArray[np.float64], positivity: Positivity | None) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        raw = self._to_write(name)
        by: Any = factor if isinstance(factor, float) else torch.from_numpy(factor).to(raw.device)
        if positivity is None:
            raw.mul_(by)
            return
        wide = raw.double()
        effective = positivity.value(wide, torch)
        image = positivity.inverse(effective * by, torch)
        raw.copy_(torch.where(effective > 0, image, wide).to(raw.dtype))

    @torch.no_grad()
    def shift(self, name: str, amount: float | NDArray[np.float64]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        raw = self._to_write(name)
        raw.add_(amount if isinstance(amount, float) else torch.from_numpy(amount).to(raw))

    @torch.no_grad()
    def set_statistics(self, name: str, values: NDArray[np.float64]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        buffer = self.model.get_buffer(name)
        if self._journal is not None:
            self._journal.keep(name, buffer)
        buffer.copy_(torch.from_numpy(values))
        if self._running is not None:
            self._running.get_buffer(name).copy_(buffer)

    def add_bias(self, name: str) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        slot = self._parameters.slot(name)
        weight = slot.module.weight
        assert isinstance(weight, Tensor)
        slot.module.bias = nn.Parameter(weight.new_zeros(units(slot.module)))
        if self._journal is not None:
            self._journal.added.append(slot.module)

    @torch.no_grad()
    def clip(self, name: str, low: float, high: float) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        raw = self._parameters.slot(name).raw
        if not raw.is_meta:
            clamp_([Clamp(self._to_write(name), low, high)])

    def mark(self, kept: Sequence[Kept]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        slots = {each: self._parameters.slot(each.name) for each in kept}
        if self._journal is not None:
            self._journal.keep_marks(self.model, [part for slot in slots.values() for part in (slot.module, slot.raw)])
        for each, slot in slots.items():
            mark_projected(slot.module, slot.name, low=each.low, high=each.high)
        if kept:
            remember_places(self.model)

    def snapshot(self) -> _Journal:
        """See :class:`convex_init_core.framework.Framework`; what is written from now on is kept first."""
        self._journal = _Journal()
        return self._journal

    def restore(self, snapshot: _Journal) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        snapshot.undo()
        self._journal = None

    def _to_write(self, name: str) -> Tensor:
        raw = self._parameters.slot(name).raw
        if self._journal is not None:
            self._journal.keep(name, raw)
        self._written[name] = raw
        return raw

    def _read_back(self, fill: Fill) -> None:
        """Compute the effective weight and make sure that it can be used; of a shard, every rank its own."""
        slot = self._parameters.slot(fill.name)
        held = local(slot.raw)
        if held.numel() == 0 or held.is_meta:
            return
        assert fill.positivity is not None
        low, high = torch.aminmax(fill.positivity.value(held, torch))
        if not (bool(torch.isfinite(low)) and bool(torch.isfinite(high)) and float(low) >= 0.0):
            raise RuntimeError(
                f"{slot.path!r}: effective weights between {float(low):g} and {float(high):g} came back through "
                f"positivity {fill.positivity} in {held.dtype}; use a wider dtype"
            )


class _Journal:
    """What was there before it was written, and what was added, to undo all of it."""

    def __init__(self) -> None:
        self.before: dict[str, tuple[Tensor, Tensor]] = {}
        self.added: list[nn.Module] = []
        self.marks: list[tuple[Any, str, Any]] = []

    def keep_marks(self, model: nn.Module, parts: Iterable[Any]) -> None:
        self.marks += [(part, name, getattr(part, name, None)) for part in (model, *parts) for name in ATTRIBUTES]

    @torch.no_grad()
    def keep(self, name: str, tensor: Tensor) -> None:
        if name not in self.before and not tensor.is_meta:
            self.before[name] = tensor, tensor.clone()

    @torch.no_grad()
    def undo(self) -> None:
        for tensor, values in self.before.values():
            tensor.copy_(values)
        for part, name, value in self.marks:
            if value is not None:
                setattr(part, name, value)
            elif hasattr(part, name):
                delattr(part, name)
        for module in self.added:
            module.register_parameter("bias", None)
