"""From one operation of torch to the core's operations.

A rule reads every argument; one that it does not read and that is not the default makes the result opaque, since the
graph is part of a proof.
"""

from __future__ import annotations

import torch

from convex_init.torch.trace.lowering.arithmetic import ARITHMETIC
from convex_init.torch.trace.lowering.call import Call, Rule
from convex_init.torch.trace.lowering.functions import FUNCTIONS
from convex_init.torch.trace.lowering.losses import LOSSES
from convex_init.torch.trace.lowering.moves import MOVES, SPLITS
from convex_init.torch.trace.lowering.places import PLACES
from convex_init.torch.trace.lowering.products import PRODUCTS
from convex_init.torch.trace.lowering.reductions import REDUCTIONS
from convex_init.torch.trace.lowering.statistics import (
    MADE_OF_SHAPES,
    NOISE,
    OF_ITS_INPUT,
    STATISTICS,
    noise,
)
from convex_init_core.graph.nodes import Kind, Node

__all__ = ["WHY_NOT", "has_rule", "is_part", "lower"]

_RULES: dict[str, Rule] = {
    **MOVES,
    **PLACES,
    **ARITHMETIC,
    **PRODUCTS,
    **FUNCTIONS,
    **REDUCTIONS,
    **STATISTICS,
    **LOSSES,
}
_ATTENTION = "is attention, which multiplies values by weights that are made of the input"
WHY_NOT = {
    **dict.fromkeys(
        ("native_layer_norm", "native_group_norm", "_fused_rms_norm", "layer_norm", "rms_norm"), OF_ITS_INPUT
    ),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_attention_math",
            "scaled_dot_product_attention",
            "_native_multi_head_attention",
            "_transformer_encoder_layer_fwd",
        ),
        _ATTENTION,
    ),
    **dict.fromkeys(("prod", "cumprod"), "multiplies values that depend on the input"),
    **dict.fromkeys(
        ("median", "kthvalue", "nanmedian", "mode"), "picks by rank: only sums of the largest elements are convex"
    ),
    "glu": "multiplies two values that both depend on the input",
    "upsample_bicubic2d": "interpolates with negative coefficients",
    "nan_to_num": "turns NaN into a number, where the value may not be defined",
    **dict.fromkeys(("fmax", "fmin"), "prefers a number to NaN, where the other value may not be defined"),
    "relu6": "its slope drops at 6",
}
"""Why well-known operations are refused; any other is refused because it has no rule."""

# What may have integers or truth values as its result and is still more than a number of unknown meaning.
_COMPARISONS = frozenset(("gt", "ge", "lt", "le", "eq", "ne", "greater", "greater_equal", "less", "less_equal"))
_OF_ANY_KIND = frozenset((*MOVES, *PLACES)) - {"im2col"}
_CONVERSIONS = ("_to_copy", "to", "copy")
# Of their results, all have a rule.
_ALL_RESULTS = SPLITS | {"aminmax", "var_mean", "std_mean"}


def lower(call: Call) -> Node:
    """Add the nodes of one result of an operation to the graph and return the result's."""
    count, call.builder.source = len(call.builder.graph.nodes), call.source
    found = _refusal(call) or _lowered(call)
    if isinstance(found, Node):
        unread = call.unread() if call.nodes else ""
        if not unread:
            return found
        found = f"has an argument {unread} that is not understood"
    call.builder.undo(count)
    return call.opaque(found, non_negative=call.made.dtype == torch.bool or call.signature.base == "_softmax")


def has_rule(call: Call) -> bool:
    """Whether the operation is one that is known, be it as one that is refused."""
    return call.signature.known and (call.signature.base in _RULES or call.signature.base in WHY_NOT)


def is_part(call: Call) -> bool:
    """Whether every result of the operation is a part of its first argument."""
    return call.signature.base in SPLITS


def _lowered(call: Call) -> Node | str:
    signature = call.signature
    if _is_unset(call):  # what looks empty may have been filled by a kernel that torch does not know
        call.ignore(*call.given)
        return call.varying("unset")
    if not call.nodes and not signature.random:
        return call.array()
    if {signature.name, signature.base} & NOISE:
        return noise(call)
    if signature.random and not call.nodes:
        return call.varying("noise", non_negative=False)
    rule = _RULES.get(signature.base)
    if rule is None or (signature.random and signature.base != "native_dropout"):
        return WHY_NOT.get(signature.base, "has no rule")
    return rule(call)


def _is_unset(call: Call) -> bool:
    return "empty" in call.signature.base and call.signature.known


def _refusal(call: Call) -> str:
    signature = call.signature
    if not signature.known:
        return "is a custom operation, which has no rule"
    if call.made.is_complex() or any(node.kind is Kind.COMPLEX for node in call.nodes):
        return "has complex numbers, for which there is no rule"
    if not call.made.is_floating_point() and not _keeps_meaning(call):
        return "makes whole numbers or truth values from the input"
    if signature.base.endswith("_backward"):
        return "is the derivative of an operation: the gradient of a convex function is no convex function"
    if call.index > 0 and signature.base not in _ALL_RESULTS:
        return f"has no rule for its result number {call.index}"
    return ""


def _keeps_meaning(call: Call) -> bool:
    """Whether integers or truth values are constants, moved, or those of a comparison."""
    base, varying = call.signature.base, [node for node in call.nodes if not node.is_fixed]
    if not varying or base in _COMPARISONS or base in MADE_OF_SHAPES or _is_unset(call):
        return True
    if base not in _OF_ANY_KIND or any(node.kind is Kind.FLOATING for node in varying):
        return False
    # 0 and 1 as an integer are what they were, an integer as a truth value is not.
    is_truth = call.made.dtype == torch.bool
    return not (is_truth and base in _CONVERSIONS and any(node.kind is not Kind.BOOLEAN for node in varying))
