"""What an operation does to convexity: the names of torch's operations, sorted by the rule they follow."""

from __future__ import annotations

from convex_init.torch.rules import MOVES, WHY_NOT


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Linear with non-negative coefficients, or a mere rearrangement: convex stays convex, affine stays affine.
KEEPING = frozenset(MOVES) | _names("""
    adaptive_avg_pool3d mT type_as expand_as repeat_interleave cat concat stack tensor_split index index_select pad
    constant_pad_nd getitem
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
    **WHY_NOT,
    **dict.fromkeys(("group_norm", "instance_norm"), WHY_NOT["layer_norm"]),
    "softmax": "is attention or another softmax, which is not convex in all its outputs",
    **dict.fromkeys(("matmul", "bmm", "einsum"), "multiplies signals"),
    "prelu": "has learnt slopes, which training may take out of [0, 1]",
}
"""Why well-known operations are refused; any other is refused because nothing is known of it."""
