"""What an operation does to convexity: the names of torch's operations, sorted by the rule they follow."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Linear with non-negative coefficients, or a mere rearrangement: convex stays convex, affine stays affine.
KEEPING = _names("""
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d mean sum cumsum
    view _unsafe_view reshape flatten unflatten permute transpose t mT movedim swapaxes unsqueeze squeeze contiguous
    clone alias detach to _to_copy type_as expand expand_as repeat repeat_interleave tile cat concat stack split
    split_with_sizes chunk tensor_split unbind select slice narrow index index_select roll flip pixel_shuffle
    pixel_unshuffle channel_shuffle native_channel_shuffle unfold im2col upsample_nearest1d upsample_nearest2d
    upsample_linear1d upsample_bilinear2d pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d
    getitem lift_fresh_copy lift_fresh
    """)

# The largest of several: convex behind affine, too.
LARGEST = _names("""
    max_pool1d max_pool2d max_pool3d max_pool2d_with_indices adaptive_max_pool1d adaptive_max_pool2d amax max maximum
""")

CONVOLVING = _names("linear conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d")

# Through these, a signal still meets the normalisation that re-sets it before the next non-linearity.
LINEAR = KEEPING | _names("add sub mul div dropout max_pool2d")

# Element-wise functions that the core judges.
ELEMENTWISE = _names("""
    relu leaky_relu elu celu softplus gelu silu mish hardswish hardsigmoid sigmoid tanh relu6 hardtanh selu log_sigmoid
    hardshrink softshrink tanhshrink softsign threshold glu rrelu
    """)

REASONS = {
    "layer_norm": "divides by a statistic of its input, which is not convex",
    "native_layer_norm": "divides by a statistic of its input, which is not convex",
    "group_norm": "divides by a statistic of its input, which is not convex",
    "instance_norm": "divides by a statistic of its input, which is not convex",
    "rms_norm": "divides by a statistic of its input, which is not convex",
    "scaled_dot_product_attention": "is attention, which multiplies signals",
    "softmax": "is attention or another softmax, which is not convex in all its outputs",
    "matmul": "multiplies signals",
    "bmm": "multiplies signals",
    "einsum": "multiplies signals",
    "upsample_bicubic2d": "interpolates with negative coefficients",
    "prelu": "has learnt slopes, which training may take out of [0, 1]",
}
"""Why well-known operations are refused; any other is refused because nothing is known of it."""
