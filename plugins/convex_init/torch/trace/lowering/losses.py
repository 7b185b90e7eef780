"""Losses that torch computes in one step: of logits, and of log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

from convex_init.torch.trace.lowering.call import Call, Rule
from convex_init_core.graph.nodes import Node

# In the order of torch's numbers for them
_REDUCTIONS = ("", "mean", "sum")


def _reduced(call: Call, loss: Node) -> Node:
    reduction = _REDUCTIONS[int(call["reduction"])]
    if not reduction:
        return call.result("reshape", loss)
    return call.result(reduction, loss, axes=tuple(range(len(loss.shape))), keepdims=False)


def _softplus(call: Call, node: Node) -> Node:
    return call.step("softplus", node, beta=1.0, threshold=math.inf)


def _of_logits(call: Call) -> Node | str:
    """``binary_cross_entropy_with_logits``: for targets t, ``p t softplus(−x) + (1 − t) softplus(x)``.

    Where t is not known to lie in [0, 1], it is ``(1 − t) x + (1 + (p − 1) t) softplus(−x)``, which is the same.
    """
    x, target, positive = call.operand("self"), call.operand("target"), call["pos_weight"]
    rest = call.step("subtract", call.literal(1.0), target)
    below = _softplus(call, call.step("negate", x))
    if target.is_fixed:
        share = target if positive is None else call.step("multiply", target, call.fitted(positive))
        loss = call.step("add", call.step("multiply", share, below), call.step("multiply", rest, _softplus(call, x)))
    else:
        if positive is not None:
            more = call.step("subtract", call.fitted(positive), call.literal(1.0))
            below = call.step(
                "multiply", call.step("add", call.literal(1.0), call.step("multiply", more, target)), below
            )
        loss = call.step("add", call.step("multiply", rest, x), below)
    weight = call["weight"]
    return _reduced(call, loss if weight is None else call.step("multiply", loss, call.fitted(weight)))


def _of_margins(call: Call) -> Node | str:
    """``soft_margin_loss``: ``softplus(−t x)``."""
    margin = call.step("multiply", call.operand("self"), call.operand("target"))
    return _reduced(call, _softplus(call, call.step("negate", margin)))


def _of_log_probabilities(axis: int) -> Callable[[Call], Node | str]:
    """``nll_loss``: minus the elements at the targets, weighted and averaged."""

    def rule(call: Call) -> Node | str:
        x, target, weight = call.operand("self"), call["target"], call["weight"]
        call.ignore("ignore_index")  # what is left out counts as 0
        classes = len(x.shape) - 1 if len(x.shape) == 1 else axis
        if weight is not None:
            if not isinstance(weight, Node) or weight.bounds is None or weight.bounds[0] < 0.0:
                return "has weights that are not known to be non-negative"
            shape = [1] * len(x.shape)
            shape[classes] = x.shape[classes]
            x = call.step("multiply", x, call.step("reshape", call.fitted(weight), shape=shape))
        found = call.step("gather", x, target, shape=target.shape, axis=None)
        loss = call.step("negate", call.step("join", found, call.literal(0.0), shape=target.shape))
        if not _REDUCTIONS[int(call["reduction"])]:
            return call.result("reshape", loss)
        return call.result("average", loss)  # or their sum

    return rule


LOSSES: dict[str, Rule] = {
    "binary_cross_entropy_with_logits": _of_logits,
    "soft_margin_loss": _of_margins,
    "nll_loss_forward": _of_log_probabilities(1),
    "nll_loss2d_forward": _of_log_probabilities(1),
}
"""Rules for losses."""
