"""Fan-in from the layer's real axes, counted by the layers themselves: a layer of ones fed with ones."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ConvexConv2D, ConvexDense, ICNNInit, kernel_fan_in
from convex_init.keras.model.fans import layer_layout
from tests.keras.arrays import array

CASES = {
    "Dense": (lambda: layers.Dense(4), (9,)),
    "ConvexDense": (lambda: ConvexDense(4), (9,)),
    "EinsumDense, heads": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (5, 7)),
    "EinsumDense, joining heads": (lambda: layers.EinsumDense("abcd,cde->abe", (None, 4), bias_axes="e"), (5, 2, 3)),
    "EinsumDense, turned": (lambda: layers.EinsumDense("ab,cb->ac", 4), (9,)),
    "EinsumDense, per channel": (lambda: layers.EinsumDense("abc,bcd->abd", (5, 4)), (5, 7)),
    "Conv1D": (lambda: layers.Conv1D(6, 3), (12, 4)),
    "Conv1D, grouped and dilated": (lambda: layers.Conv1D(6, 3, groups=2, dilation_rate=2), (12, 4)),
    "Conv2D": (lambda: layers.Conv2D(6, (3, 2), strides=2), (9, 9, 4)),
    "ConvexConv2D": (lambda: ConvexConv2D(6, (3, 2)), (9, 9, 4)),
    "Conv3D": (lambda: layers.Conv3D(6, 2), (5, 5, 5, 3)),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 4)),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D((3, 2)), (9, 9, 4)),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(6, 4, strides=2), (60, 5)),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(6, (4, 3), strides=(2, 3)), (30, 30, 5)),
    "Conv3DTranspose": (lambda: layers.Conv3DTranspose(3, 2, strides=(2, 1, 2)), (9, 9, 9, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_fan_in_is_what_the_layer_sums(case):
    make, shape = CASES[case]
    layer = make()
    layer.build((None, *shape))
    ones = keras.ops.ones(layer.kernel.shape)
    layer.kernel.assign(ones)
    if layer.bias is not None:
        layer.bias.assign(0.0 * layer.bias)
    outputs = array(layer(np.ones((1, *shape), "float32")))
    inner = outputs[0]
    for axis in range(inner.ndim - 1) if "Conv" in case else ():  # borders of a transposed convolution sum less
        inner = np.take(inner, np.arange(inner.shape[axis] // 4, inner.shape[axis] - inner.shape[axis] // 4), axis)
    assert kernel_fan_in(layer.kernel.shape, *layer_layout(layer)) == pytest.approx(inner.mean())


def test_an_ambiguous_shape_is_refused_with_the_choices():
    with pytest.raises(
        ValueError, match=r"\(3, 3, 8, 16\).*'conv'.*'conv_transpose'.*'depthwise'.*einsum.*layout=\(0, 1, 2\)$"
    ):
        ICNNInit()((3, 3, 8, 16))
    assert kernel_fan_in((3, 3, 8, 16), "conv") == 72
    assert kernel_fan_in((3, 3, 8, 16), (0, 1)) == kernel_fan_in((3, 3, 8, 16), "depthwise") == 9
    assert kernel_fan_in((3, 3, 8, 16), "conv_transpose", 3) == 16


@pytest.mark.parametrize(
    ("shape", "layout", "strides", "said"),
    [
        ((3, 4), "conv", None, "does not fit"),
        ((3, 3, 4, 4), "dense", None, "does not fit"),
        ((3, 3, 4, 4), "spiral", None, "unknown"),
        ((3, 4), (0, 5), None, "axes"),
        ((3, 4), (), None, "axes"),
        ((3, 4, 5), "ab,bc->ac", None, "2 axes, but it has 3"),
        ((4, 5), "abc,cd->ad", None, "share a weight"),
        ((2, 3, 4), "conv_transpose", 3, "kernel_size 2.*stride 3"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(shape, layout, strides, said):
    with pytest.raises(ValueError, match=said):
        kernel_fan_in(shape, layout, strides)


def test_fan_in_and_layout_must_agree():
    with pytest.raises(ValueError, match="fan_in 5 disagrees"):
        ICNNInit(layout="dense", fan_in=5)((4, 3))
    ICNNInit(layout="dense", fan_in=4)((4, 3))
