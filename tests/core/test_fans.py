"""Fan-in, counted tap by tap."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from convex_init_core.weights.fans import convolution_fan_in, has_even_overlap, transposed_convolution_fan_in


def taps_per_output(kernel_size: int, stride: int, dilation: int) -> np.ndarray:
    """How many (input, tap) pairs reach each output of a 1-D transposed convolution, far from its ends."""
    inputs = 60
    counts = np.zeros((inputs - 1) * stride + (kernel_size - 1) * dilation + 1, dtype=int)
    for i, k in product(range(inputs), range(kernel_size)):
        counts[i * stride + k * dilation] += 1
    margin = kernel_size * dilation + stride
    periods = (counts.size - 2 * margin) // stride
    return counts[margin : margin + periods * stride]


SHAPES = list(product((1, 2, 3, 4, 5, 6), (1, 2, 3, 4), (1, 2, 3)))


@pytest.mark.parametrize(("kernel_size", "stride", "dilation"), SHAPES)
def test_transposed_fan_in_is_the_mean_count(kernel_size: int, stride: int, dilation: int) -> None:
    counts = taps_per_output(kernel_size, stride, dilation)
    arguments: Any = (6, (kernel_size,), (stride,), 2, (dilation,))
    if counts.min() == 0:
        with pytest.raises(ValueError, match=r"sum no input.*choose kernel_size >= stride"):
            transposed_convolution_fan_in(*arguments)
        return
    fan_in = transposed_convolution_fan_in(*arguments)
    assert fan_in == pytest.approx(3 * counts.mean(), rel=1e-14, abs=0.0)


@pytest.mark.parametrize(("kernel_size", "stride", "dilation"), SHAPES)
def test_even_overlap_is_an_even_count(kernel_size: int, stride: int, dilation: int) -> None:
    counts = taps_per_output(kernel_size, stride, dilation)
    assert has_even_overlap((kernel_size,), (stride,), (dilation,)) == (counts.min() == counts.max())


def test_two_dimensions_multiply() -> None:
    rows, columns = taps_per_output(3, 2, 1), taps_per_output(4, 2, 1)
    counts = np.multiply.outer(rows, columns)
    assert transposed_convolution_fan_in(5, (3, 4), (2, 2)) == pytest.approx(5 * counts.mean())
    assert not has_even_overlap((3, 4), (2, 2), (1, 1))
    assert has_even_overlap((4, 4), (2, 2), (1, 1))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_stride_equal_to_the_kernel_tiles(stride: int) -> None:
    assert transposed_convolution_fan_in(8, (stride, stride), (stride, stride)) == 8.0


@pytest.mark.parametrize(
    ("in_channels", "kernel_size", "groups", "fan_in"),
    [(784, (), 1, 784), (3, (3, 3), 1, 27), (8, (3, 3), 4, 18), (8, (5,), 8, 5), (2, (2, 3, 4), 1, 48)],
)
def test_convolution_fan_in(in_channels: int, kernel_size: tuple[int, ...], groups: int, fan_in: int) -> None:
    assert convolution_fan_in(in_channels, kernel_size, groups) == fan_in


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, (3,)), ValueError, "in_channels must be at least 1, got 0"),
        ((3.0, (3,)), TypeError, "in_channels must be a whole number"),
        ((3, (0,)), ValueError, "kernel_size must be at least 1, got 0"),
        ((3, (1.5,)), TypeError, "kernel_size must be a whole number"),
        ((3, (3,), 0), ValueError, "groups must be at least 1, got 0"),
        ((3, (3,), True), TypeError, "groups must be a whole number"),
        ((3, (3,), 2), ValueError, "in_channels 3 is not a multiple of groups 2"),
    ],
)
def test_bad_shapes(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        convolution_fan_in(*arguments)
    channels, kernel_size, *groups = arguments
    with pytest.raises(error, match=message):
        transposed_convolution_fan_in(channels, kernel_size, (1,), *groups)


@pytest.mark.parametrize(("stride", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_bad_stride(stride: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="stride must be"):
        transposed_convolution_fan_in(4, (3,), (stride,))
