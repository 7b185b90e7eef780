"""Matrix products and convolutions."""

from __future__ import annotations

from convex_init.torch.trace.lowering.arithmetic import scaled
from convex_init.torch.trace.lowering.call import Call, Rule, axes_of
from convex_init_core.graph.nodes import Node

# Axes that are summed, and axes that both have, of the two factors.
_SUMMED: dict[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "mm": (((1,), (0,)), ((), ())),
    "mv": (((1,), (0,)), ((), ())),
    "dot": (((0,), (0,)), ((), ())),
    "bmm": (((2,), (1,)), ((0,), (0,))),
    "addbmm": (((0, 2), (0, 1)), ((), ())),
    "addr": (((), ()), ((), ())),
}
_SUMMED |= {"vdot": _SUMMED["dot"], "addmm": _SUMMED["mm"], "addmv": _SUMMED["mv"], "baddbmm": _SUMMED["bmm"]}
_SUMMED |= {"ger": _SUMMED["addr"], "outer": _SUMMED["addr"], "inner": _SUMMED["dot"]}
_FACTORS = {
    **dict.fromkeys(("mm", "bmm"), ("self", "mat2")),
    **dict.fromkeys(("mv", "outer", "ger"), ("self", "vec")),
    **dict.fromkeys(("outer", "ger"), ("self", "vec2")),
    **dict.fromkeys(("dot",), ("self", "tensor")),
    **dict.fromkeys(("vdot", "inner"), ("self", "other")),
    "addmm": ("mat1", "mat2"),
    "addmv": ("mat", "vec"),
    "addr": ("vec1", "vec2"),
    **dict.fromkeys(("baddbmm", "addbmm"), ("batch1", "batch2")),
}


def _product(call: Call) -> Node | str:
    name = call.signature.base
    first, second = (call.operand(part) for part in _FACTORS[name])
    if name == "inner" and not (len(first.shape) == len(second.shape) == 1):
        return "has no rule for more than vectors"
    axes, batch = _SUMMED[name]
    return call.result("contract", first, second, axes=axes, batch=batch)


def _matrix_product(call: Call) -> Node | str:
    first, second = call.operand("self"), call.operand("other")
    sizes = len(first.shape), len(second.shape)
    if sizes[1] <= 2:
        return call.result("contract", first, second, axes=((sizes[0] - 1,), (0,)), batch=((), ()))
    if sizes == (3, 3) and first.shape[0] == second.shape[0]:
        axes, batch = _SUMMED["bmm"]
        return call.result("contract", first, second, axes=axes, batch=batch)
    return "has no rule for arrays of these shapes"


def _product_plus(call: Call) -> Node | str:
    """``beta · input + alpha · (a × b)``."""
    name = call.signature.base
    first, second = (call.operand(part) for part in _FACTORS[name])
    axes, batch = _SUMMED[name]
    product = call.step("contract", first, second, shape=call.made.shape, axes=axes, batch=batch)
    product = scaled(call, float(call["alpha"]), product)
    beta = float(call["beta"])
    if beta == 0.0:  # torch does not look at the input then
        call.ignore("self")
        return call.result("reshape", product)
    return call.result("add", product, scaled(call, beta, call.operand("self")))


def _linear(call: Call) -> Node | str:
    data = call.operand("input")
    weight, bias = call.operand("weight"), call["bias"]
    if len(weight.shape) != 2:
        return "has no rule for a weight of this shape"
    params = {"axes": ((len(data.shape) - 1,), (1,)), "batch": ((), ())}
    if not isinstance(bias, Node):
        return call.result("contract", data, weight, **params)
    product = call.step("contract", data, weight, shape=call.made.shape, **params)
    return call.result("add", product, call.fitted(bias))


def _convolution(call: Call) -> Node | str:
    data, weight, bias = call.operand("input"), call.operand("weight"), call["bias"]
    window = len(weight.shape) - 2
    if window < 1 or len(data.shape) != len(weight.shape):
        return "has no rule for an input of this shape"
    transposed = bool(call["transposed"])
    # Zeros around the input, and what a transposed convolution leaves out at its edges, change no rule.
    call.ignore("padding", "output_padding", "benchmark", "deterministic", "cudnn_enabled", "allow_tf32")
    axes = tuple(range(window + 2))
    params = {
        "data_axes": axes,
        "weight_axes": (1, 0, *axes[2:]) if transposed else axes,
        "strides": call.numbers("stride", window),
        "dilation": call.numbers("dilation", window),
        "groups": int(call["groups"]),
        "transposed": transposed,
    }
    if not isinstance(bias, Node):
        return call.result("convolve", data, weight, **params)
    product = call.step("convolve", data, weight, shape=call.made.shape, **params)
    channels = call.step("reshape", call.fitted(bias), shape=(*bias.shape, *(1,) * window))
    return call.result("add", product, channels)


def _three_products(call: Call) -> Node | str:
    """``_trilinear``: products of three arrays with new axes of length 1, some of them summed."""
    call.ignore("unroll_dim")
    parts = []
    for i in ("1", "2", "3"):
        part = call.operand(f"i{i}")
        added = [int(axis) for axis in call[f"expand{i}"]]
        shape = list(part.shape)
        for axis in sorted(added):
            shape.insert(axis, 1)
        parts.append(call.step("reshape", part, shape=shape))
    product = call.step("multiply", call.step("multiply", parts[0], parts[1]), parts[2])
    summed = call["sumdim"]
    if not summed:
        return call.result("reshape", product)
    return call.result("sum", product, axes=axes_of(summed, len(product.shape)), keepdims=False)


PRODUCTS: dict[str, Rule] = {
    **dict.fromkeys(("mm", "mv", "dot", "vdot", "inner", "bmm", "outer", "ger"), _product),
    **dict.fromkeys(("addmm", "addmv", "baddbmm", "addbmm", "addr"), _product_plus),
    "matmul": _matrix_product,
    "linear": _linear,
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    "_trilinear": _three_products,
}
"""Rules for products that sum over axes."""
