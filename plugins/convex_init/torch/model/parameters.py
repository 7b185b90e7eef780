"""The parameters of a model by the names that the tracer gives them, and what the core has to know of each."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from convex_init.torch.model.clamping_methods import kept_non_negative
from convex_init.torch.model.fans import AFFINE, caveats
from convex_init.torch.model.modules import Slot, all_modules, carrier_bound_of, hidden_parameters, source_path
from convex_init.torch.write.positivity import projected_names
from convex_init.torch.write.sharding import check_placements, is_sharded
from convex_init_core.framework import Parameter
from convex_init_core.weights.positivity import as_positivity

_PARAMETRIZED = ".parametrizations."


class Parameters:
    """All parameters of one model, those in plain lists and dicts included.

    Args:
        model: any module.
    """

    def __init__(self, model: nn.Module) -> None:
        """Find the modules once; each name is looked up in them."""
        self.model = model
        self._modules = all_modules(model)
        self._facts: dict[str, Parameter] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name, in the order of the modules; a parameter that several modules share has as many."""
        return tuple(name for name, _ in self._named)

    @cached_property
    def _named(self) -> list[tuple[str, Tensor]]:
        return [*self.model.named_parameters(remove_duplicate=False), *hidden_parameters(self.model)]

    @cached_property
    def _first(self) -> dict[int, str]:
        return {id(tensor): name for name, tensor in reversed(self._named)}

    @cached_property
    def _kept(self) -> dict[str, str]:
        return kept_non_negative(self.model, self._modules)

    def slot(self, name: str) -> Slot:
        """Return the place of a parameter: the module that it belongs to, and its name there."""
        owner, _, own = name.rpartition(".")
        if _PARAMETRIZED in f".{name}":
            owner, _, rest = f".{name}".rpartition(_PARAMETRIZED)
            owner, own = owner.lstrip("."), rest.partition(".")[0]
        module = self._modules[owner]
        is_of_layer = isinstance(module, AFFINE) and own in ("weight", "bias")
        return Slot(module, own, owner if is_of_layer else source_path(owner, own))

    def __getitem__(self, name: str) -> Parameter:
        """Return what the core has to know of a parameter."""
        if name not in self._facts:
            self._facts[name] = self._read(name)
        return self._facts[name]

    def _read(self, name: str) -> Parameter:
        slot = self.slot(name)
        module, own = slot.module, slot.name
        is_layer, is_mapped = isinstance(module, AFFINE), parametrize.is_parametrized(module, own)
        role = own if is_layer and own in ("weight", "bias") else ""
        if not is_mapped and own not in module._parameters:
            return Parameter(
                name,
                slot.path,
                role=role,
                obstacle=f"its {own} is recomputed by a hook (an old-style weight_norm or spectral_norm?), so a value "
                "written to it would be lost; remove the hook, or leave the layer out with exclude=",
            )
        if is_mapped and not hasattr(module.parametrizations[own], "original"):  # type: ignore[index]
            return Parameter(
                name,
                slot.path,
                role=role,
                obstacle=f"its {own} is made of several parameters by a parametrization (a weight_norm?); initialise "
                "it before that is put on it, or leave the layer out with exclude=",
            )
        raw = slot.raw
        obstacle = _SCRIPTED if isinstance(module, torch.jit.ScriptModule) else _obstacle(raw, own, is_layer)
        first = self._first.get(id(raw), name)
        return Parameter(
            name,
            slot.path,
            role=role,
            shape=() if isinstance(raw, UninitializedParameter) else tuple(raw.shape),
            positivity=as_positivity("projection") if own in projected_names(module) else None,
            obstacle=obstacle or self._shared(name, raw, own),
            is_frozen=not raw.requires_grad,
            carrier=carrier_bound_of(module) if role == "weight" else 0.0,
            has_numbers=raw.device.type != "meta",
            may_take_bias=is_layer and own == "weight" and getattr(module, "bias", 0) is None and not is_sharded(raw),
            caveat=caveats(module) if own == "weight" else "",
            kept_by=self._kept.get(name, ""),
            trains=raw.requires_grad,
            tied_to="" if first == name else first,
            bias=self._bias(name, module) if own == "weight" else "",
        )

    def _shared(self, name: str, raw: Tensor, own: str) -> str:
        """Why a tensor cannot be written that another one has numbers in common with."""
        near = self._by_storage.get(_storage(raw), ())
        others = [other for other, tensor in near if tensor is not raw and _meet(raw, tensor)]
        if not others:
            return ""
        return (
            f"its {own} shares memory with {others[0]!r}, another parameter, so to write one changes the other; give "
            "it a clone() of its own, or the same nn.Parameter to both"
        )

    @cached_property
    def _by_storage(self) -> dict[int, list[tuple[str, Tensor]]]:
        found: dict[int, list[tuple[str, Tensor]]] = {}
        for name, tensor in self._named:
            found.setdefault(_storage(tensor), []).append((name, tensor))
        found.pop(0, None)  # those without any
        return found

    def _bias(self, name: str, module: nn.Module) -> str:
        if "bias" not in module._parameters and not parametrize.is_parametrized(module, "bias"):
            return ""
        owner = f".{name}".rpartition(_PARAMETRIZED)[0].lstrip(".") if _PARAMETRIZED in f".{name}" else ""
        return source_path(owner or name.rpartition(".")[0], "bias")


_SCRIPTED = (
    "its module is compiled by torch.jit, and keeps no mark for the projection; initialise it before that, or leave it "
    "out with exclude="
)


def _obstacle(raw: Tensor, own: str, is_layer: bool) -> str:
    """Why a tensor cannot be written, with the remedy."""
    it = f"its {own}" if own in ("weight", "bias") else "it"
    if isinstance(raw, UninitializedParameter):
        return "it is lazy and has no shape yet; run the model once, or pass example_inputs"
    if not raw.is_floating_point():
        return not_real(it, raw)
    if is_layer and own == "weight" and raw.ndim < 2:
        return (
            f"its weight has shape {tuple(raw.shape)}, flattened by a wrapper such as FullyShardedDataParallel; "
            "initialise before wrapping, or shard with fully_shard"
        )
    if not raw.requires_grad:
        return f"{it} is frozen (requires_grad=False); unfreeze it, or leave it out with exclude="
    if raw.is_inference() and not torch.is_inference_mode_enabled():
        return f"{it} was made in inference mode, where it cannot be written; make the model outside of it"
    if _storage(raw) and _overlaps_itself(raw):
        return f"the elements of {it} share memory (it was expanded); write a clone() of it into the model"
    try:
        check_placements(raw)
    except ValueError as error:
        return str(error)
    return ""


def not_real(it: str, tensor: Tensor) -> str:
    """Return what is wrong with a tensor whose numbers are not floating-point, and the remedy."""
    if tensor.is_complex():
        return f"{it} is {tensor.dtype}, and complex numbers cannot be kept non-negative; use real ones"
    return f"{it} is {tensor.dtype}; initialise before quantising or converting"


def _storage(tensor: Tensor) -> int:
    """Where the memory of a plain tensor begins; 0 if there is none, or it is not a tensor's own business."""
    if isinstance(tensor, UninitializedParameter) or tensor.is_meta or is_sharded(tensor):
        return 0
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # of a tensor that wraps others
        return 0


def _overlaps_itself(tensor: Tensor) -> bool:
    """Return whether two elements of a tensor lie in one place, as after ``expand``."""
    if _is_plain(tensor):
        return False
    if any(size > 1 and step == 0 for size, step in zip(tensor.shape, tensor.stride(), strict=True)):
        return True
    places = _places(tensor).sort().values
    return bool((places[1:] == places[:-1]).any())


def _meet(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors of one storage have an element in common."""
    low, high = _span(one)
    start, stop = _span(other)
    if high <= start or stop <= low:
        return False
    if one.element_size() != other.element_size() or (one.is_contiguous() and other.is_contiguous()):
        return True
    return bool(torch.isin(_places(one), _places(other)).any())


def _is_plain(tensor: Tensor) -> bool:
    """Whether the strides alone say that each element has a place of its own: each axis steps over those within it."""
    within = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= within:
                return False
            within += step * (size - 1)
    return True


def _span(tensor: Tensor) -> tuple[int, int]:
    """The first byte, and the one behind the last."""
    if tensor.numel() == 0:
        return 0, 0
    last = sum(int(step) * (int(size) - 1) for step, size in zip(tensor.stride(), tensor.shape, strict=True))
    start = int(tensor.storage_offset()) * tensor.element_size()
    return start, start + (last + 1) * tensor.element_size()


def _places(tensor: Tensor) -> Tensor:
    """The place of each element, counted in elements."""
    place = torch.tensor(tensor.storage_offset())
    for step, size in zip(tensor.stride(), tensor.shape, strict=True):
        place = place[..., None] + step * torch.arange(size)
    return place.flatten()
