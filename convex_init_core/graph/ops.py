"""The operations of the graph, one row each. A tracer lowers what its framework runs to these, and to nothing else.

An argument that a tracer does not understand makes the node ``opaque``: nothing is known of it, and the reason is kept.
Compound operations are split: a linear layer with a bias is a ``contract`` and an ``add``, a clamp a ``maximum`` and a
``minimum``. Where inputs are numbers in the model's code, they are ``literal`` nodes.
"""

from __future__ import annotations

from dataclasses import replace

from convex_init_core.convexity.rules.by_operation import RULES
from convex_init_core.graph.nodes import Op
from convex_init_core.graph.numpy_meaning import NUMPY
from convex_init_core.graph.theory_activation import ACTIVATIONS

_ROWS = (
    # Leaves. "input": an input of the model; "parameter", "buffer": by name; "literal": a number or an array in the
    # code; "noise": random numbers; "unset": memory that nothing has been written to.
    Op("input", ("name",)),
    Op("parameter", ("name",)),
    Op("buffer", ("name",)),
    Op("literal"),
    Op("noise", ("non_negative",)),
    Op("unset"),
    # What there is no rule for, with the reason; any number of inputs.
    Op("opaque", ("why", "non_negative")),
    # Elements of the first input, moved. slice: one start, stop and step (> 0) for each axis. rearrange: any other
    # move (flips, rolls, unfolding, pixel shuffles, reflected padding, repeats). broadcast: NumPy's rule.
    Op("reshape", moves=True),
    Op("transpose", ("axes",), moves=True),
    Op("broadcast", moves=True),
    Op("slice", ("starts", "stops", "steps"), moves=True),
    Op("rearrange", moves=True),
    Op("cast", moves=True),  # to node.dtype
    # (data, *indices): elements of the data at places that the indices name. axis: along which the one index, of one
    # axis, names places, where that is all; else None.
    Op("gather", ("axis",), moves=True),
    # Elements of several inputs, side by side. join: in any arrangement, such as a write to a part of an array.
    Op("concatenate", ("axis",)),
    Op("stack", ("axis",)),
    Op("join"),
    Op("pad", ("widths",)),  # (data, value); widths: (before, after) for each axis
    Op("scatter"),  # (data, *indices): elements of the data at places that the indices name, 0 elsewhere
    # Linear in one input, with non-negative constant weights. average: pooling, linear interpolation.
    Op("sum", ("axes", "keepdims"), reduces=True),
    Op("mean", ("axes", "keepdims"), reduces=True),
    Op("cumulative_sum", ("axis",), reduces=True),
    Op("average", reduces=True),
    # Products. contract: (a, b), axes of each that are summed and that are batched, results in the order batch, free
    # axes of a, free axes of b (NumPy's tensordot; jax.lax.dot_general). convolve: (data, weight), see below.
    Op("multiply", element_wise=True),
    Op("divide", element_wise=True),
    Op("contract", ("axes", "batch")),
    # data_axes, weight_axes: (batch, channel, *window), (outputs, inputs, *window). transposed: the weight's axis
    # "inputs" is that of the data's channels and the strides are those of the output, as in torch's ConvTranspose.
    Op("convolve", ("data_axes", "weight_axes", "strides", "dilation", "groups", "transposed")),
    # Sums
    Op("add", element_wise=True),
    Op("subtract", element_wise=True),
    Op("negate", element_wise=True),
    # Choices. compare: relation is one of > >= < <= == !=. where: (condition, if_true, if_false).
    Op("compare", ("relation",), element_wise=True),
    Op("where", element_wise=True),
    # Extremes. window_max, window_min: over windows (pooling) or prefixes. largest: the k largest (or smallest) along
    # an axis. sort: along an axis.
    Op("maximum", element_wise=True),
    Op("minimum", element_wise=True),
    Op("max", ("axes", "keepdims")),
    Op("min", ("axes", "keepdims")),
    Op("window_max"),
    Op("window_min"),
    Op("largest", ("k", "axis", "sorted", "smallest")),
    Op("sort", ("axis", "descending")),
    # Functions of several elements. norm, distance: order as a float (inf included). distance: of (a, b), pairwise.
    Op("norm", ("order", "axes", "keepdims")),
    Op("distance", ("order",)),
    Op("log_sum_exp", ("axes", "keepdims")),
    Op("cumulative_log_sum_exp", ("axis",)),
    Op("softmax", ("axis",)),
    Op("log_softmax", ("axis",)),
    Op("variance", ("axes", "keepdims")),
    Op("standard_deviation", ("axes", "keepdims")),
    # (x, scale, shift, mean, variance), statistics that do not depend on the input; the channels are on one axis
    Op("batch_norm", ("epsilon", "axis")),
    Op("dropout"),
    # Element-wise functions of two arrays
    Op("power", element_wise=True),  # (base, exponent)
    Op("log_add_exp", element_wise=True),
    Op("prelu", element_wise=True),  # (x, slope)
    # Element-wise functions of one array, with numbers as parameters
    Op("relu", element_wise=True),
    Op("leaky_relu", ("slope",), element_wise=True),
    Op("elu", ("alpha", "scale", "input_scale"), element_wise=True),
    Op("softplus", ("beta", "threshold"), element_wise=True),  # threshold: inf where there is none
    Op("squareplus", ("b",), element_wise=True),
    Op("sparse_plus", element_wise=True),
    Op("threshold", ("at", "value"), element_wise=True),
    Op("huber", ("delta",), element_wise=True),
    *(
        Op(name, element_wise=True)
        for name in (
            *("exp", "expm1", "log", "log1p", "square", "sqrt", "rsqrt", "reciprocal", "abs", "sign"),
            *("sigmoid", "log_sigmoid", "tanh", "sinh", "cosh", "asinh", "atan", "sin", "cos", "tan", "erf"),
            *("gelu", "silu", "mish", "selu", "hardswish", "hardsigmoid", "softsign", "softshrink", "hardshrink"),
            *("tanhshrink", "entropy", "round", "floor", "ceil", "trunc", "frac"),
        )
    ),
)

OPS: dict[str, Op] = {
    op.name: replace(op, convexity=RULES[op.name], numpy=NUMPY.get(op.name), activation=ACTIVATIONS.get(op.name))
    for op in _ROWS
}
"""Every operation by name."""
