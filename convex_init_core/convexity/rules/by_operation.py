"""Which rule each operation follows."""

from __future__ import annotations

from collections.abc import Iterable

from convex_init_core.convexity.rules import (
    choices,
    element_wise,
    extremes,
    leaves,
    moves,
    products,
    sums,
    whole,
)
from convex_init_core.graph.nodes import Rule


def _all(names: Iterable[str], rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


RULES: dict[str, Rule] = {
    "input": leaves.context,
    **_all(("parameter", "buffer", "literal"), leaves.fixed),
    "noise": leaves.noise,
    "unset": leaves.unset,
    "opaque": leaves.opaque,
    **_all(("reshape", "transpose", "broadcast", "rearrange", "cast"), moves.moved),
    "slice": moves.sliced,
    "gather": moves.gathered,
    "scatter": moves.scattered,
    **_all(("concatenate", "stack", "join", "pad"), moves.side_by_side),
    **_all(("sum", "mean"), sums.summed),
    "cumulative_sum": sums.cumulated,
    "average": sums.averaged,
    "add": sums.added,
    "subtract": sums.subtracted,
    "negate": sums.negated,
    "multiply": products.multiplied,
    "divide": products.divided,
    "contract": products.contracted,
    "convolve": products.convolved,
    "dropout": products.dropped,
    "batch_norm": products.normalised,
    "compare": leaves.whole_numbers,
    "where": choices.chosen_between,
    "maximum": extremes.largest_of,
    "minimum": extremes.smallest_of,
    **_all(("max", "window_max"), extremes.largest_in),
    **_all(("min", "window_min"), extremes.smallest_in),
    **_all(("largest", "sort"), extremes.by_rank),
    "norm": whole.norm,
    "distance": whole.distance,
    **_all(("log_sum_exp", "cumulative_log_sum_exp", "log_add_exp"), whole.log_sum_exp),
    "softmax": whole.softmax,
    "log_softmax": whole.log_softmax,
    "variance": whole.variance,
    "standard_deviation": whole.standard_deviation,
    "power": element_wise.power,
    "prelu": element_wise.prelu,
    "log": element_wise.logarithm,
    "reciprocal": element_wise.reciprocal,
    **_all(element_wise.SINGLE, element_wise.function),
    "softplus": element_wise.softplus,
    "relu": element_wise.relu,
}
"""By name of the operation."""
