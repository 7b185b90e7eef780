"""Measure a sum on example inputs, and set the scale of its weights and its shift by what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convex_init.torch.inputs import floating_inputs
from convex_init.torch.recording import record
from convex_init.torch.sites import Slot
from convex_init_core import Positivity

_ENOUGH = 32  # numbers for a variance; below, the theory's estimate is the better one
_SAMPLES = 32  # what all units share varies from sample to sample only, so few of them do not overrule the theory
_CLOSE = 1e-3  # what is this close to its target is left alone, so that a second calibration changes nothing
_LIMIT = 1e4


@dataclass(frozen=True, eq=False)
class Weighted:
    """One weight of a measured sum: its slot, its map, and the power with which its scale enters the sum."""

    slot: Slot
    positivity: Positivity | None
    power: float = 1.0


@dataclass(frozen=True, eq=False)
class Measured:
    """One sum to be measured.

    Attributes:
        root: place of the sum among the recorded nodes.
        weights: that are scaled together.
        bias: that takes the shift, with its factor; ``None`` if there is none.
        biases: all that are added, with their factors.
        present: places of the values that are added as they are, with their factors, and whether their mean is kept.
        tolerance: ratio of variances, above 1, within which the sum is left as the theory has it.
    """

    root: int
    weights: tuple[Weighted, ...]
    bias: tuple[Slot, float] | None
    biases: tuple[tuple[Slot, float], ...]
    present: tuple[tuple[int, float, bool], ...]
    tolerance: float = 1.0


@dataclass(frozen=True, eq=False)
class Normalised:
    """What a batch normalisation takes, and its running statistics, which are set by it as a step of training would.

    Attributes:
        root: place of the value that is normalised among the recorded nodes.
        mean: running mean by channel; ``None`` if there is none.
        variance: likewise.
    """

    root: int
    mean: Tensor | None
    variance: Tensor | None


@torch.no_grad()
def calibrate_(
    model: nn.Module,
    entry: str,
    inputs: tuple[tuple[object, ...], dict[str, object]],
    convex_inputs: Sequence[str],
    sums: Sequence[Measured | Normalised],
    variance: float,
) -> None:
    """Scale and shift each sum in the order of the signal, so that it has mean 0 and the given variance on the inputs.

    The mean of a residual identity is kept. The model runs once for each sum, in evaluation mode, as far as that sum.
    Nothing is drawn, and a second call changes nothing. If a run fails, the model is as it was.

    Raises:
        ValueError: if a sum is not finite, or does not vary at all.
    """
    before = {id(raw): (raw, raw.clone()) for found in sums for raw in _written(found)}
    others = [(raw, raw.clone()) for raw in (*model.parameters(), *model.buffers()) if id(raw) not in before]
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for found in sums:
            _restore(others)  # a model may set itself by the first batch that it sees, and do other things afterwards
            if isinstance(found, Normalised):
                _set_statistics(model, entry, inputs, convex_inputs, found)
            else:
                _calibrate(model, entry, inputs, convex_inputs, found, variance)
    except BaseException:
        for raw, values in before.values():
            raw.copy_(values)
        raise
    finally:
        _restore(others)
        for module, mode in training.items():
            module.training = mode


def _restore(values: list[tuple[Tensor, Tensor]]) -> None:
    for raw, kept in values:
        if raw.device.type != "meta" and not torch.equal(raw, kept):
            raw.copy_(kept)


def _written(found: Measured | Normalised) -> list[Tensor]:
    if isinstance(found, Normalised):
        return [tensor for tensor in (found.mean, found.variance) if tensor is not None]
    return [*(weight.slot.raw for weight in found.weights), *(slot.raw for slot, _ in found.biases)]


def _set_statistics(
    model: nn.Module,
    entry: str,
    inputs: tuple[tuple[object, ...], dict[str, object]],
    convex_inputs: Sequence[str],
    found: Normalised,
) -> None:
    if found.mean is None or found.variance is None:
        return
    call = model if entry == "forward" else getattr(model, entry)
    value = record(model, *inputs, convex_inputs, call, keep=[found.root], stop=True).nodes[found.root].kept
    assert value is not None
    rows = value.double().movedim(1, -1).flatten(0, -2)
    if rows.shape[0] >= _ENOUGH:
        found.mean.copy_(rows.mean(0))
        found.variance.copy_(rows.var(0))


def _calibrate(
    model: nn.Module,
    entry: str,
    inputs: tuple[tuple[object, ...], dict[str, object]],
    convex_inputs: Sequence[str],
    found: Measured,
    variance: float,
) -> None:
    places = {found.root, *(place for place, *_ in found.present)}
    call = model if entry == "forward" else getattr(model, entry)
    nodes = record(model, *inputs, convex_inputs, call, keep=places, stop=True).nodes
    total = nodes[found.root].kept
    assert total is not None
    total = total.double()
    path = ", ".join(weight.slot.path or "(model)" for weight in found.weights)
    if not bool(torch.isfinite(total).all()):
        raise ValueError(f"{path}: the sum is not finite on example_inputs; nothing was written")
    fixed = torch.zeros_like(total)
    kept = 0.0
    for place, factor, stays in found.present:
        value = nodes[place].kept
        if value is not None and value.numel() == total.numel():
            fixed = fixed + factor * value.double().reshape(total.shape)
            kept += factor * float(value.double().mean()) if stays else 0.0
    whole = float(total.var(correction=0))
    if found.tolerance > 1.0:
        if total.numel() < _ENOUGH:
            return
        off = max(whole / variance, variance / whole) if whole > 0.0 else math.inf
        if off <= found.tolerance and abs(float(total.mean()) - kept) <= math.sqrt(variance * (found.tolerance - 1.0)):
            return
    shift = sum(factor * float(slot.raw.double().mean()) for slot, factor in found.biases)
    branch = total - fixed - shift
    scale = _scale(branch, fixed, variance)
    if abs(scale - 1.0) > _CLOSE:
        for weight in found.weights:
            _scale_weight(weight, scale)
    else:
        scale = 1.0
    if found.bias is not None:
        slot, factor = found.bias
        target = kept - (scale * float(branch.mean()) + float(fixed.mean()))
        if abs(target - shift) > _CLOSE * math.sqrt(variance):
            slot.raw.add_((target - shift) / factor)


def few_samples(inputs: tuple[tuple[object, ...], dict[str, object]], convex_inputs: Sequence[str]) -> bool:
    """Whether the inputs are too few for a measurement to overrule a theory."""
    named = floating_inputs(*inputs)
    return min((named[name].shape[0] for name in convex_inputs if named[name].ndim), default=1) < _SAMPLES


def _scale(branch: Tensor, fixed: Tensor, variance: float) -> float:
    """The c > 0 for which ``c · branch + fixed`` has the variance; 1 if the fixed part alone has it already."""
    if branch.numel() < _ENOUGH:
        return 1.0
    own, other = float(branch.var(correction=0)), float(fixed.var(correction=0))
    if own <= 0.0:
        return 1.0
    if other >= variance:
        return 1.0
    cross = float(((branch - branch.mean()) * (fixed - fixed.mean())).mean())
    scale = (math.sqrt(max(cross**2 + own * (variance - other), 0.0)) - cross) / own
    return min(max(scale, 1.0 / _LIMIT), _LIMIT)


def _scale_weight(weight: Weighted, scale: float) -> None:
    raw, factor = weight.slot.raw, scale**weight.power
    if weight.positivity is None:
        raw.mul_(factor)
        return
    wide = raw.double()
    effective = weight.positivity.value(wide, torch)
    image = weight.positivity.inverse(effective * factor, torch)
    raw.copy_(torch.where(effective > 0, image, wide).to(raw.dtype))
