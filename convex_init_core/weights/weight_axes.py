"""Where a weight tensor keeps its outputs, its inputs and its window, for laws that are not the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Geometry:
    """The axes of one layer's weight.

    Attributes:
        shape: of the tensor.
        outputs: the axes that count outputs, in row-major order; none for a single output.
        inputs: the axes that are summed as features or channels; none for one channel in each group.
        window: the axes of the kernel's taps; none for a dense layer.
        groups: of a convolution. The outputs' axes run over all groups and the inputs' within one, except for a
            transposed convolution, where it is the other way round.
        stride: one step per window axis, 1 by default.
        dilation: likewise.
        padding: zeros in front of the input, one number per window axis; half of the window by default.
        transposed: whether the layer is a transposed convolution.

    Raises:
        ValueError: if the axes do not make up the shape, or the groups do not divide the channels.
    """

    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    window: tuple[int, ...] = ()
    groups: int = 1
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: tuple[int, ...] | None = None
    transposed: bool = False

    def __post_init__(self) -> None:
        """Check that every axis has one part, and that the groups fit."""
        if sorted((*self.outputs, *self.inputs, *self.window)) != list(range(len(self.shape))):
            raise ValueError(
                f"geometry of a weight of shape {self.shape}: outputs {self.outputs}, inputs {self.inputs} and window "
                f"{self.window} must name every axis once"
            )
        checks.whole("groups", self.groups)
        grouped = self.inputs if self.transposed else self.outputs
        if self._size(grouped) % self.groups:
            raise ValueError(f"groups {self.groups} does not divide the {self._size(grouped)} channels of {self.shape}")

    @cached_property
    def outputs_of_group(self) -> int:
        """Output channels of one group."""
        return self._size(self.outputs) // (1 if self.transposed else self.groups)

    @cached_property
    def inputs_of_group(self) -> int:
        """Input channels of one group."""
        return self._size(self.inputs) // (self.groups if self.transposed else 1)

    @cached_property
    def fan_in(self) -> float:
        """Number of weights that one output sums, an average over positions for a transposed convolution."""
        taps = math.prod(self.shape[axis] for axis in self.window)
        return self.inputs_of_group * taps / (math.prod(self.stride or (1,)) if self.transposed else 1)

    def phases(self) -> list[tuple[int, ...]]:
        """Return the taps that together read every position of the input once (for a transposed layer: write).

        In each dimension these are as many consecutive taps as the stride has phases, beginning with the first that
        does not fall on padding, so that a window of stride 1 has its centre alone.
        """
        taps = []
        for place, axis in enumerate(self.window):
            size = self.shape[axis]
            stride = self.stride[place] if self.stride else 1
            dilation = self.dilation[place] if self.dilation else 1
            count = min(size, stride // math.gcd(stride, dilation))
            if self.padding is None:
                first = (size - count) // 2
            else:
                first = min(-(-self.padding[place] // dilation), size - count)
            taps.append(range(first, first + count))
        return [tuple(int(i) for i in index) for index in _product(taps)]

    def positions(
        self,
        group: NDArray[np.int64],
        output: NDArray[np.int64],
        source: NDArray[np.int64],
        tap: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return places in the flat (row-major) tensor.

        Args:
            group: numbers of groups.
            output: of output channels within the group.
            source: of input channels within the group.
            tap: indices of the window, with a last axis as long as the window has dimensions.
        """
        if self.transposed:
            source = group * self.inputs_of_group + source
        else:
            output = group * self.outputs_of_group + output
        place = np.zeros(np.broadcast_shapes(np.shape(output), np.shape(source)), np.int64)
        steps = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        for axes, index in ((self.outputs, output), (self.inputs, source)):
            for axis in reversed(axes):
                index, digit = np.divmod(index, self.shape[axis])
                place = place + digit * steps[axis]
        for number, axis in enumerate(self.window):
            place = place + tap[..., number] * steps[axis]
        return place

    def _size(self, axes: Sequence[int]) -> int:
        return math.prod(self.shape[axis] for axis in axes)


def dense_geometry(outputs: int, inputs: int) -> Geometry:
    """Return the geometry of a weight of shape (outputs, inputs)."""
    return Geometry((outputs, inputs), (0,), (1,))


def _product(ranges: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    if not ranges:
        return np.zeros((1, 0), np.int64)
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(ranges))
