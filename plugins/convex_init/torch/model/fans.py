"""The layers that hold weights, and how many features each of their outputs sums."""

from __future__ import annotations

from torch import nn

from convex_init_core.weights.fans import convolution_fan_in, has_even_overlap, transposed_convolution_fan_in
from convex_init_core.weights.weight_axes import Geometry

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
AFFINE = (nn.Linear, *_CONVOLUTIONS, *_TRANSPOSED)
"""Layers with a ``weight`` that multiplies one input, and perhaps a ``bias``."""


def fan_in(module: nn.Module) -> float:
    """Return the number of features that one output of the layer sums, away from padded borders.

    Raises:
        ValueError: for a transposed convolution with a stride longer than its kernel.
        TypeError: for any other module.
    """
    if isinstance(module, nn.Linear):
        return module.in_features
    if isinstance(module, _TRANSPOSED):
        return transposed_convolution_fan_in(
            module.in_channels, module.kernel_size, module.stride, module.groups, module.dilation
        )
    if isinstance(module, _CONVOLUTIONS):
        return convolution_fan_in(module.in_channels, module.kernel_size, module.groups)
    raise TypeError(f"{type(module).__name__} has no known fan-in")


def fan_out(module: nn.Module) -> float:
    """Return the number of outputs that one feature reaches, at stride 1: fan-in with the channels exchanged."""
    if isinstance(module, nn.Linear):
        return module.out_features
    if isinstance(module, (*_CONVOLUTIONS, *_TRANSPOSED)):
        return convolution_fan_in(module.out_channels, module.kernel_size, module.groups)
    raise TypeError(f"{type(module).__name__} has no known fan-out")


def units(module: nn.Module) -> int:
    """Return the length of the layer's bias."""
    return int(module.out_features if isinstance(module, nn.Linear) else module.out_channels)  # type: ignore[arg-type]


def geometry(module: nn.Module) -> Geometry:
    """Return which axes of the layer's weight are outputs, inputs and window.

    Raises:
        TypeError: for a module without a known layout.
    """
    if isinstance(module, nn.Linear):
        return Geometry(_weight_shape(module), (0,), (1,))
    if not isinstance(module, (*_CONVOLUTIONS, *_TRANSPOSED)):
        raise TypeError(f"{type(module).__name__} has no known geometry")
    shape = _weight_shape(module)
    window, transposed = tuple(range(2, len(shape))), isinstance(module, _TRANSPOSED)
    sides = None
    if not isinstance(module.padding, str):
        sides = tuple(module.padding)
    elif module.padding == "valid":
        sides = (0,) * len(window)
    return Geometry(
        shape,
        (1,) if transposed else (0,),
        (0,) if transposed else (1,),
        window,
        module.groups,
        tuple(module.stride),
        tuple(module.dilation),
        sides,
        transposed,
    )


def geometry_of(module: nn.Module, name: str, summed: float) -> Geometry:
    """Return the axes of the weight ``name`` of any module; of a bare matrix, by the number of features it sums.

    Raises:
        ValueError: for a weight of another shape.
    """
    if isinstance(module, AFFINE) and name == "weight":
        return geometry(module)
    shape = tuple(getattr(module, name).shape)
    if len(shape) != 2 or summed not in shape:
        raise ValueError(
            f"method 'isometric' knows layers and matrices, not a weight of shape {shape}; use method 'log_normal'"
        )
    inputs = 1 if shape[1] == summed else 0  # of a square one either will do: it gets a permutation
    return Geometry(shape, (1 - inputs,), (inputs,))


def _weight_shape(module: nn.Module) -> tuple[int, ...]:
    if isinstance(module, nn.Linear):
        return module.out_features, module.in_features
    assert isinstance(module, (*_CONVOLUTIONS, *_TRANSPOSED))
    first, second = module.out_channels, module.in_channels
    if isinstance(module, _TRANSPOSED):
        first, second = second, first
    return (first, second // module.groups, *module.kernel_size)


def _pads(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> bool:
    if isinstance(module.padding, str):
        return module.padding == "same"
    return any(p > 0 for p in module.padding)


def caveats(module: nn.Module) -> str:
    """Say where the layer's outputs do not all sum the same number of features; empty if they do."""
    notes = []
    if isinstance(module, (*_CONVOLUTIONS, *_TRANSPOSED)):
        if isinstance(module, _TRANSPOSED):
            if not has_even_overlap(module.kernel_size, module.stride, module.dilation):
                notes.append("taps overlap unevenly: fan-in is an average over positions")
        elif module.padding_mode == "zeros" and _pads(module):
            notes.append("zero padding: fewer inputs at the border")
    return "; ".join(notes)
