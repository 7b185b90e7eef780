"""Functions of several elements: sums and pools, extremes, norms, and what is like them."""

from __future__ import annotations

import math

from convex_init.torch.trace.lowering.arithmetic import scaled
from convex_init.torch.trace.lowering.call import Call, Rule, axes_of, axis_of
from convex_init_core.graph.nodes import Node

_AVERAGES = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    upsample_linear1d upsample_bilinear2d upsample_trilinear3d
""".split()  # noqa: SIM905
_POOLS = """
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d mkldnn_max_pool2d mkldnn_max_pool3d quantized_max_pool2d
""".split()  # noqa: SIM905


def _over_axes(operation: str) -> Rule:
    def rule(call: Call) -> Node | str:
        data = call.operand("self")
        call.ignore("dtype")  # of the result, which is seen
        axes = axes_of(call["dim"], len(data.shape))
        return call.result(operation, data, axes=axes, keepdims=bool(call["keepdim"]))

    return rule


def _along_axis(operation: str) -> Rule:
    def rule(call: Call) -> Node | str:
        data = call.operand("self")
        call.ignore("dtype", "half_to_float")
        return call.result(operation, data, axis=axis_of(call["dim"], len(data.shape)))

    return rule


def _trace(call: Call) -> Node | str:
    data = call.operand("self")
    diagonal = call.step("rearrange", data, shape=(min(data.shape),))
    return call.result("sum", diagonal, axes=(0,), keepdims=False)


def _pooled(operation: str) -> Rule:
    def rule(call: Call) -> Node | str:
        data = call.operand("self" if call.has("self") else "input")
        call.ignore_numbers()
        return call.result(operation, data)

    return rule


def _averaged(call: Call) -> Node | str:
    """``avg_pool``: with a divisor, sums over the windows are divided by it."""
    data, divisor = call.operand("self"), call["divisor_override"]
    call.ignore_numbers()
    if divisor is None:
        return call.result("average", data)
    window = math.prod(call.numbers("kernel_size", call.made.ndim - 2))
    average = call.step("average", data, shape=call.made.shape)
    return call.result("multiply", call.literal(window / float(divisor)), average)


def _extreme(whole: str, of_two: str) -> Rule:
    """``max``: of all elements, along an axis with the places, or of two arrays."""

    def rule(call: Call) -> Node | str:
        if call.has("other"):
            return call.result(of_two, call.operand("self"), call.operand("other"))
        return _over_axes(whole)(call)

    return rule


def _both_extremes(call: Call) -> Node | str:
    return _over_axes(("min", "max")[call.index])(call)


def _largest(call: Call) -> Node | str:
    data = call.operand("self")
    return call.result(
        "largest",
        data,
        k=int(call["k"]),
        axis=axis_of(call["dim"], len(data.shape)),
        sorted=bool(call["sorted"]),
        smallest=not call["largest"],
    )


def _sorted(call: Call) -> Node | str:
    data = call.operand("self")
    call.ignore("stable")
    axis = axis_of(call["dim"], len(data.shape))
    return call.result("sort", data, axis=axis, descending=bool(call["descending"]))


def _norm(call: Call) -> Node | str:
    data, given = call.operand("self"), call["ord"] if call.has("ord") else call["p"]
    call.ignore("dtype")
    order = 2.0 if given is None else float(given) if isinstance(given, (int, float)) else math.nan
    if not order >= 1.0:
        return f"is no norm for order {given}"
    return call.result(
        "norm", data, order=order, axes=axes_of(call["dim"], len(data.shape)), keepdims=bool(call["keepdim"])
    )


def _norm_of_difference(call: Call) -> Node | str:
    first, second, order = call.operand("self"), call.operand("other"), float(call["p"])
    if not order >= 1.0:
        return "is no norm"
    difference = call.step("subtract", first, second)
    axes = tuple(range(len(difference.shape)))
    return call.result("norm", difference, order=order, axes=axes, keepdims=False)


def _distance(call: Call) -> Node | str:
    call.ignore("compute_mode")
    first, second, order = call.operand("x1"), call.operand("x2"), float(call["p"])
    return call.result("distance", first, second, order=order) if order >= 1.0 else "is no norm"


def _spread(operation: str, *, with_mean: bool = False) -> Rule:
    """Variances and standard deviations; the core's divide by the number of elements."""

    def rule(call: Call) -> Node | str:
        data = call.operand("self")
        axes = axes_of(call["dim"], len(data.shape))
        params = {"axes": axes, "keepdims": bool(call["keepdim"])}
        call.ignore("unbiased", "correction")
        if with_mean and call.index == 1:
            return call.result("mean", data, **params)
        correction = call["correction"] if call.has("correction") else float(bool(call["unbiased"]))
        correction = 1.0 if correction is None else float(correction)
        count = math.prod(data.shape[axis] for axis in axes)
        if count - correction <= 0.0:
            return "divides by no degrees of freedom"
        factor = count / (count - correction)
        if operation == "standard_deviation":
            factor = math.sqrt(factor)
        if factor == 1.0:
            return call.result(operation, data, **params)
        spread = call.step(operation, data, shape=call.made.shape, **params)
        return call.result("multiply", call.literal(factor), spread)

    return rule


def _log_add_exp_of_two(call: Call) -> Node | str:
    """``logaddexp2``: the same for the base 2."""
    parts = [scaled(call, math.log(2.0), call.operand(name)) for name in ("self", "other")]
    return call.result("divide", call.step("log_add_exp", *parts), call.literal(math.log(2.0)))


REDUCTIONS: dict[str, Rule] = {
    "sum": _over_axes("sum"),
    "mean": _over_axes("mean"),
    "cumsum": _along_axis("cumulative_sum"),
    "trace": _trace,
    **dict.fromkeys((*_AVERAGES, "col2im"), _pooled("average")),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _averaged),
    **dict.fromkeys(_POOLS, _pooled("window_max")),
    "cummax": _pooled("window_max"),
    "cummin": _pooled("window_min"),
    "max": _extreme("max", "maximum"),
    "min": _extreme("min", "minimum"),
    "amax": _over_axes("max"),
    "amin": _over_axes("min"),
    "aminmax": _both_extremes,
    "topk": _largest,
    "sort": _sorted,
    **dict.fromkeys(("norm", "linalg_vector_norm"), _norm),
    "dist": _norm_of_difference,
    "_cdist_forward": _distance,
    "logsumexp": _over_axes("log_sum_exp"),
    "logaddexp2": _log_add_exp_of_two,
    **dict.fromkeys(("logcumsumexp", "_logcumsumexp"), _along_axis("cumulative_log_sum_exp")),
    "_softmax": _along_axis("softmax"),
    "_log_softmax": _along_axis("log_softmax"),
    "var": _spread("variance"),
    "std": _spread("standard_deviation"),
    "var_mean": _spread("variance", with_mean=True),
    "std_mean": _spread("standard_deviation", with_mean=True),
}
"""Rules for functions of several elements."""
