"""An ordinary classifier, read as the stages that the core knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from convex_init.torch.api import written
from convex_init.torch.model.activations import read_activation
from convex_init.torch.trace.doubts.watches import on_example_inputs
from convex_init_core.carrier.stages import SIGMOID, Alike, Bend, Flat, Product, Stage, Windows, scaled

CONVOLUTIONS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_MAX_POOLS: dict[type[nn.Module], int] = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ALIKE: dict[type[nn.Module], int] = {
    **{getattr(nn, f"{kind}{rank}d"): rank for rank in (1, 2, 3) for kind in ("AvgPool", "AdaptiveAvgPool", "ZeroPad")},
    **{getattr(nn, f"{kind}{rank}d"): rank for rank in (1, 2, 3) for kind in ("ReflectionPad", "ReplicationPad")},
}
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_AT_THE_END = (nn.Softmax, nn.LogSoftmax)
_REMEDY = (
    "write the classifier as nn.Sequential of Linear, Conv, BatchNorm, ReLU and its like, MaxPool, AvgPool, Flatten "
    "and Dropout, without hooks and up to its logits"
)


@torch.no_grad()
def stages_of(classifier: nn.Module, x: Tensor) -> tuple[list[Stage], Tensor]:
    """Return the stages of a classifier up to its logits, and the logits.

    Args:
        classifier: in evaluation mode; it runs, layer by layer.
        x: example inputs.

    Raises:
        ValueError: if a layer is not known, or does something else than its class; the message names it.
    """
    found: list[Stage] = []
    axis, bent, logits = -1, False, x.clone()
    leaves = list(_leaves(classifier, ""))
    behind: list[tuple[str, nn.Module]] = []  # a softmax is what the logits are for
    while leaves and _does_as(leaves[-1][1], (*_NOTHING, *_AT_THE_END)):
        behind.insert(0, leaves.pop())
    for path, layer in leaves:
        if _does_as(layer, _NOTHING):
            continue
        if _does_as(layer, _NORMS):
            _fold(found, path, layer, logits, axis)
        elif (stage := _stage(path, layer, logits, axis, bent)) is not None:
            if bent and _own_axis(layer, axis) != axis:
                raise ValueError(f"{path}: {_name(layer)} sums another axis than the layer in front; put Flatten there")
            axis = axis_behind(stage, axis)
            bent |= isinstance(stage, (Bend, Windows))
            found.append(stage)
        with on_example_inputs():
            logits = layer(logits)
    if logits.ndim != 2:
        raise ValueError(f"the classifier must return finite logits (batch, classes), got {tuple(logits.shape)}")
    if not _close(_probabilities(logits, behind), classifier(x.clone())):
        raise ValueError(f"the classifier does not do what its layers do one after another; {_REMEDY}")
    return found, logits


def check_numbers(classifier: nn.Module) -> None:
    """Refuse a classifier whose weights have no numbers.

    Raises:
        ValueError: if it is lazy, or on the meta device.
    """
    tensors = [*classifier.parameters(), *classifier.buffers()]
    if any(isinstance(tensor, UninitializedParameter) for tensor in tensors):
        raise ValueError("the classifier is lazy and has no weights yet; run it once")
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError("the classifier is on the meta device and has no numbers; load its weights first")


def _probabilities(logits: Tensor, behind: Iterable[tuple[str, nn.Module]]) -> Tensor:
    """What the layers at the end make of the logits, which has to be what a softmax over the classes does."""
    shown = logits
    for path, layer in behind:
        shown = layer(shown)
        if isinstance(layer, _AT_THE_END) and not any(_close(shown, f(logits, 1)) for f in _OVER_CLASSES):
            raise ValueError(
                f"{path}: {_name(layer)} does not make probabilities of the classes from the logits; end with one "
                "Softmax(1) or LogSoftmax(1)"
            )
    return shown


_OVER_CLASSES = (torch.softmax, torch.log_softmax)


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True)


def _leaves(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a chain, in their order."""
    module = written(module)
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"{path or 'the classifier'}: it has hooks, which may do anything; {_REMEDY}")
    if "forward" in vars(module):
        raise ValueError(f"{path or 'the classifier'}: its forward was replaced, and may do anything; {_REMEDY}")
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for name, inner in module._modules.items():
            assert inner is not None
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif _is_chain_of_ours(module):
        for name, inner in module.chain():  # type: ignore[operator]
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, module


def _is_chain_of_ours(module: nn.Module) -> bool:
    """Whether it is a network of ours, or of a class that changes nothing of what that computes."""
    methods = [getattr(type(module), name, None) for name in ("chain", "forward")]
    return all(str(getattr(each, "__module__", "")).startswith("convex_init.") for each in methods)


def _stage(path: str, layer: Any, x: Tensor, axis: int, bent: bool) -> Stage | None:
    kind = _kind(layer)
    if kind is nn.Linear or kind in CONVOLUTIONS:
        bias = layer.bias if isinstance(layer.bias, Tensor) else None
        groups = layer.groups if kind in CONVOLUTIONS else 1
        return Product(_numbers(layer.weight), None if bias is None else _numbers(bias), path, groups, layer)
    if kind in _MAX_POOLS:
        if layer.ceil_mode or layer.return_indices or _tuple(layer.dilation, 1) != (1,):
            raise ValueError(f"{path}: {_name(layer)} with ceil_mode, return_indices or dilation has no convex form")
        return Windows(path, layer)
    if kind in _ALIKE:
        if (getattr(layer, "divisor_override", None) or 1) < 0:
            raise ValueError(f"{path}: divisor_override must be above 0")
        return Alike(path, layer)
    if kind is nn.Flatten:
        if x.ndim == 2:
            return None
        if (layer.start_dim, layer.end_dim % x.ndim) != (1, x.ndim - 1):
            raise ValueError(f"{path}: Flatten must join all axes but the first, as Flatten() does")
        at_the_end = axis == -1  # of the features of a Linear, whose places are in front of them
        return Flat(int(np.prod(x.shape[1:-1] if at_the_end else x.shape[2:])), path, layer, at_the_end)
    if kind is nn.Unflatten and not bent:
        return Alike(path, layer)
    if isinstance(layer, nn.Sigmoid):
        raise ValueError(f"{path}: {SIGMOID}")
    if type(layer).__module__ == nn.ReLU.__module__ and not isinstance(layer, _AT_THE_END):
        try:
            return Bend(read_activation(layer), path, layer)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    raise ValueError(f"{path or 'the classifier'}: {_name(layer)} is no layer that as_convex knows; {_REMEDY}")


def _kind(layer: nn.Module) -> type[nn.Module] | None:
    """The class of torch whose forward a layer has; a parametrized layer, and one of ours, has its parent's."""
    known: tuple[Any, ...] = (nn.Linear, nn.Flatten, nn.Unflatten, *CONVOLUTIONS, *_MAX_POOLS, *_ALIKE)
    for kind in known:
        if isinstance(layer, kind) and type(layer).forward is kind.forward:
            return cast("type[nn.Module]", kind)
    return None


def _does_as(layer: nn.Module, kinds: Iterable[type[nn.Module]]) -> bool:
    """Whether a layer is of one of these classes, and does what that does."""
    return any(isinstance(layer, kind) and type(layer).forward is kind.forward for kind in kinds)


def axis_behind(stage: Stage, before: int) -> int:
    """Return the axis of the units behind a stage, counted from the end, given that in front of it."""
    return -1 if isinstance(stage, Flat) else _own_axis(stage.layer, before)


def _own_axis(layer: nn.Module, before: int) -> int:
    """The axis that a layer takes for that of the units."""
    kind = _kind(layer)
    if kind is nn.Linear:
        return -1
    rank = {**CONVOLUTIONS, **_MAX_POOLS, **_ALIKE}.get(kind) if kind is not None else None
    return before if rank is None else -1 - rank


def _fold(found: list[Stage], path: str, layer: nn.Module, x: Tensor, axis: int) -> None:
    """Put a normalisation with fixed statistics into the product in front of it."""
    last = found[-1] if found else None
    mean, variance = getattr(layer, "running_mean", None), getattr(layer, "running_var", None)
    assert isinstance(layer, _NORMS)
    if mean is None or variance is None:
        raise ValueError(f"{path}: {_name(layer)} has no running statistics, so its output depends on the batch")
    if not isinstance(last, Product) or x.ndim + axis != 1:
        raise ValueError(f"{path}: {_name(layer)} is known directly behind a Linear or a convolution only")
    scale = 1.0 / np.sqrt(_numbers(variance) + layer.eps)
    if layer.affine:
        scale = scale * _numbers(layer.weight)
    shift = -scale * _numbers(mean)
    found[-1] = scaled(last, scale, shift + (_numbers(layer.bias) if layer.affine else 0.0))


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return found


def _name(layer: nn.Module) -> str:
    return type(layer).__name__


def windows(layer: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return kernel, stride and padding of a layer of max pooling, by axis."""
    rank = next(rank for kind, rank in _MAX_POOLS.items() if isinstance(layer, kind))
    stride = layer.kernel_size if layer.stride is None else layer.stride
    return _tuple(layer.kernel_size, rank), _tuple(stride, rank), _tuple(layer.padding, rank)


def _tuple(value: Any, rank: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * rank
    return tuple(dict.fromkeys(value)) if rank == 1 and len(value) != 1 else tuple(value)
