"""Normalisation by fixed statistics, random numbers, and arrays that are made of a shape."""

from __future__ import annotations

from convex_init.torch.trace.lowering.call import Call, Rule, nodes_in
from convex_init_core.graph.nodes import Node

OF_ITS_INPUT = "divides by a statistic of its own input, which no product of convex values allows, in eval() or not"
"""Why layer normalisation and its like are refused."""

_NON_NEGATIVE = frozenset(("rand", "rand_like", "bernoulli", "bernoulli_", "exponential_"))
_OF_ANY_SIGN = frozenset(
    ("randn", "randn_like", "normal", "normal_", "uniform", "uniform_", "normal_functional", "log_normal_", "cauchy_")
)
MADE_OF_SHAPES = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
"""Operations that look at the shape of an array only."""
NOISE = _NON_NEGATIVE | _OF_ANY_SIGN
"""Names of draws that depend on no value but those of their law."""


def noise(call: Call) -> Node | str:
    """Return a draw; the tensor that is overwritten, or whose shape is taken, does not matter, the law does."""
    name, base = call.signature.name, call.signature.base
    call.ignore_numbers()
    if name not in ("bernoulli", "normal") or call.signature.overload == "p":
        call.ignore("self")
        laws = nodes_in([value for key, value in call.given.items() if key != "self"])
    else:
        laws = call.nodes
    if not all(node.is_fixed for node in laws):
        return "draws from a law that depends on the input"
    return call.varying("noise", non_negative=bool({name, base} & _NON_NEGATIVE))


def _batch_norm(call: Call) -> Node | str:
    mean, variance = call["running_mean"], call["running_var"]
    if not isinstance(mean, Node) or not isinstance(variance, Node):
        return OF_ITS_INPUT
    if call.has("training") and call["training"]:
        return "divides by a statistic of the batch; call model.eval()"
    call.ignore("momentum", "exponential_average_factor")
    epsilon = float(call["eps"] if call.has("eps") else call["epsilon"])
    if not _is_positive(variance, epsilon):
        return "divides by the root of a variance that is not known to be positive"
    data = call.operand("input")
    given = [call[name] for name in ("weight", "bias")]
    scale, shift = (
        call.fitted(part) if isinstance(part, Node) else call.literal(number)
        for part, number in zip(given, (1.0, 0.0), strict=True)
    )
    if scale.is_fixed and shift.is_fixed and mean.is_fixed:
        return call.result("batch_norm", data, scale, shift, mean, variance, epsilon=epsilon, axis=1)
    shape = [1] * len(data.shape)
    shape[1] = data.shape[1]
    scale, shift, mean, variance = (
        call.step("reshape", part, shape=shape) if part.shape else part for part in (scale, shift, mean, variance)
    )
    deviation = call.step("sqrt", call.step("add", variance, call.literal(epsilon)))
    centred = call.step("divide", call.step("subtract", data, mean), deviation)
    return call.result("add", call.step("multiply", centred, scale), shift)


def _is_positive(variance: Node, epsilon: float) -> bool:
    """Whether a variance plus ε is; one without numbers, on the meta device, is let through: it proves nothing."""
    if variance.constant is None:
        return False
    if variance.bounds is None:
        return bool(getattr(variance.constant.handle, "is_meta", False))
    return variance.bounds[0] + epsilon > 0.0


def _dropout(call: Call) -> Node | str:
    """For each draw of the mask, a product with non-negative numbers."""
    train = call["train"]
    call.ignore("p")
    if train is False:
        return call.result("reshape", call.operand("input"))
    return call.varying("dropout", call.operand("input"))


def _of_a_shape(call: Call) -> Node | str:
    filled = nodes_in([value for key, value in call.given.items() if key != "self"])
    call.ignore(*call.given)
    if filled:
        return call.result("broadcast", filled[0])
    return call.array()


STATISTICS: dict[str, Rule] = {
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"), _batch_norm
    ),
    **dict.fromkeys(("cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_no_update"), _batch_norm),
    "native_dropout": _dropout,
    **dict.fromkeys(MADE_OF_SHAPES, _of_a_shape),
}
"""Rules for these."""
