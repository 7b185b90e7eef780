"""Which axes of a Keras kernel are summed: a kernel's shape alone does not say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import layers

from convex_init_core.weights.fans import convolution_fan_in, transposed_convolution_fan_in
from convex_init_core.weights.weight_axes import Geometry

Layout = str | Sequence[int] | None
"""``"dense"``, ``"conv"``, ``"conv_transpose"``, ``"depthwise"``, an einsum equation, or the summed axes."""

_CONV = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
AFFINE = (layers.Dense, layers.EinsumDense, *_CONV, *_TRANSPOSED, *_DEPTHWISE)
"""Layers with one kernel and at most one bias, which the plug-in can initialise."""


def layer_layout(layer: Any) -> tuple[str, tuple[int, ...] | None]:
    """Return layout and strides of one of :data:`AFFINE`; the strides matter to transposed convolutions only."""
    if isinstance(layer, layers.Dense):
        return "dense", None
    if isinstance(layer, layers.EinsumDense):
        return str(layer.equation), None
    if isinstance(layer, _TRANSPOSED):
        return "conv_transpose", tuple(layer.strides)
    return ("depthwise", None) if isinstance(layer, _DEPTHWISE) else ("conv", None)


def layer_geometry(layer: Any) -> Geometry:
    """Return which axes of the kernel of one of :data:`AFFINE` are outputs, inputs and window."""
    layout, _ = layer_layout(layer)
    return kernel_geometry(layer.kernel.shape, layout, getattr(layer, "strides", None), getattr(layer, "groups", 1))


def layer_window(
    layer: Any, layout: Layout, strides: int | Sequence[int] | None, groups: int | None
) -> tuple[int | Sequence[int] | None, int | None]:
    """Return strides and groups of the layer whose kernel is drawn, where it has any, else those given.

    Args:
        layer: the layer, or ``None`` if it is not known.
        layout: that was given, and so were the following; ``None`` where not.
        strides: likewise.
        groups: likewise.

    Raises:
        ValueError: if what was given is not what the layer has.
    """
    if not isinstance(layer, AFFINE) or isinstance(layer, (layers.Dense, layers.EinsumDense)):
        return strides, groups
    its, _ = layer_layout(layer)
    own_strides, own_groups = tuple(layer.strides), getattr(layer, "groups", 1)
    given = (strides,) * len(own_strides) if isinstance(strides, int) else strides
    for name, one, other in (
        ("layout", layout if layout in ("conv", "conv_transpose", "depthwise") else None, its),
        ("strides", None if given is None else tuple(given), own_strides),
        ("groups", None if its == "depthwise" else groups, own_groups),
    ):
        if one is not None and one != other:
            raise ValueError(
                f"{name}={one!r} was given to the initializer, but {layer.name} ({type(layer).__name__}) has "
                f"{other!r}; leave {name} out or let them agree"
            )
    return own_strides, own_groups


def kernel_fan_in(shape: Sequence[int], layout: Layout = None, strides: int | Sequence[int] | None = None) -> float:
    """Return how many features one pre-activation sums.

    Args:
        shape: of the kernel. Keras stores ``(in, units)`` for Dense, ``(*size, in/groups, filters)`` for Conv,
            ``(*size, filters, in)`` for ConvTranspose, ``(*size, in, multiplier)`` for DepthwiseConv.
        layout: one of these by name, an einsum equation such as ``"abc,cde->abde"``, or the axes that are summed.
            ``None`` stands for Dense where the kernel has two axes.
        strides: of a transposed convolution; one number or one per dimension, default 1.

    Raises:
        ValueError: if the shape does not say, or does not fit the layout; the message lists the choices.
    """
    sizes = [int(size) for size in shape]
    if layout is None:
        if len(sizes) != 2:
            raise ValueError(
                f"a kernel of shape {tuple(sizes)} does not say which axes are summed: pass layout='conv', "
                "'conv_transpose' (with strides), 'depthwise', the einsum equation, or the summed axes such as "
                f"layout={tuple(range(max(len(sizes) - 1, 1)))}"
            )
        layout = "dense"
    if not isinstance(layout, str):
        return float(math.prod(_at(sizes, layout)))
    if "->" in layout:
        return float(math.prod(_at(sizes, _summed_axes(layout, len(sizes)))))
    if layout not in ("dense", "conv", "conv_transpose", "depthwise"):
        raise ValueError(
            f"layout {layout!r} is unknown; known are 'dense', 'conv', 'conv_transpose', 'depthwise', an einsum "
            "equation and a tuple of axes"
        )
    if (len(sizes) == 2) != (layout == "dense") or len(sizes) < 2:
        raise ValueError(f"layout {layout!r} does not fit a kernel of shape {tuple(sizes)}")
    *window, _, last = sizes
    if layout == "depthwise":
        return convolution_fan_in(1, window)
    if layout == "conv_transpose":
        steps = [strides or 1] * len(window) if isinstance(strides, int) or strides is None else list(strides)
        if len(steps) != len(window):
            raise ValueError(f"strides {tuple(steps)} must be one number, or one for each of {len(window)} dimensions")
        return transposed_convolution_fan_in(last, window, steps)
    return convolution_fan_in(sizes[-2], window)


def kernel_geometry(
    shape: Sequence[int], layout: Layout = None, strides: int | Sequence[int] | None = None, groups: int = 1
) -> Geometry:
    """Return which axes of a kernel are outputs, inputs and window; arguments and errors as for the fan-in.

    Args:
        shape: see :func:`kernel_fan_in`.
        layout: likewise.
        strides: of the convolution.
        groups: likewise; a kernel's shape does not say.
    """
    kernel_fan_in(shape, layout, strides if layout == "conv_transpose" else None)  # refuses what does not fit
    sizes = tuple(int(size) for size in shape)
    axes = tuple(range(len(sizes)))
    if layout is None or layout == "dense":
        return Geometry(sizes, (1,), (0,))
    if not isinstance(layout, str) or "->" in layout:
        summed = layout if not isinstance(layout, str) else _summed_axes(layout, len(sizes))
        inputs = tuple(sorted(axis % len(sizes) for axis in summed))
        return Geometry(sizes, tuple(axis for axis in axes if axis not in inputs), inputs)
    window, first, last = axes[:-2], axes[-2], axes[-1]
    steps = (strides,) * len(window) if isinstance(strides, int) else tuple(strides or (1,) * len(window))
    if layout == "depthwise":
        return Geometry(sizes, (first, last), (), window, groups=sizes[first], stride=steps)
    if layout == "conv_transpose":
        return Geometry(sizes, (first,), (last,), window, stride=steps, transposed=True)
    return Geometry(sizes, (last,), (first,), window, groups=groups, stride=steps)


def _at(sizes: list[int], axes: Sequence[int]) -> list[int]:
    wrong = [axis for axis in axes if not -len(sizes) <= axis < len(sizes)]
    if wrong or not axes:
        raise ValueError(f"layout {tuple(axes)} must name axes of a kernel of shape {tuple(sizes)}")
    return [sizes[axis] for axis in axes]


def _summed_axes(equation: str, rank: int) -> list[int]:
    sources, _, output = equation.replace(" ", "").partition("->")
    inputs, comma, kernel = sources.partition(",")
    if not comma or "," in kernel or "->" in output:
        raise ValueError(f"layout {equation!r} must be an equation of inputs and kernel, such as 'abc,cde->abde'")
    if len(kernel) != rank:
        raise ValueError(f"layout {equation!r} gives the kernel {len(kernel)} axes, but it has {rank}")
    lost = set(inputs) - set(kernel) - set(output) - {"."}
    summed = [axis for axis, letter in enumerate(kernel) if letter not in output]
    if lost or not summed:
        raise ValueError(
            f"layout {equation!r} sums {'inputs that share a weight' if lost else 'nothing'}: its fan-in is not that "
            "of a linear map; pass fan_in="
        )
    return summed
