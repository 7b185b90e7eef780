"""Elements at places: looked up, chosen by a condition, and written."""

from __future__ import annotations

from convex_init.torch.trace.builder import name_of
from convex_init.torch.trace.lowering.call import Call, Rule, axis_of, nodes_in
from convex_init.torch.trace.memory import is_unset
from convex_init_core.graph.nodes import Node

_REDUCES = "multiplies or averages where it writes"


def _looked_up(data: str, index: str) -> Rule:
    def rule(call: Call) -> Node | str:
        source = call.operand(data)
        places = nodes_in(call[index])
        call.ignore("dim", "sparse_grad", "padding_idx", "scale_grad_by_freq", "sparse")
        return call.result("gather", source, *places, axis=None)

    return rule


def _selected(call: Call) -> Node | str:
    """``index_select``: rows along an axis."""
    source = call.operand("self")
    return call.result("gather", source, call.operand("index"), axis=axis_of(call["dim"], len(source.shape)))


def _indexed(call: Call) -> Node | str:
    """``x[:, places]`` and ``x[mask]``: an index for each axis, or none."""
    source, indices = call.operand("self"), call["indices"]
    given = [place for place, index in enumerate(indices) if index is not None]
    is_one = len(given) == 1 and len(indices[given[0]].shape) == 1
    return call.result("gather", source, *nodes_in(indices), axis=given[0] if is_one else None)


def _chosen(call: Call) -> Node | str:
    return call.result("where", call["condition"], call.operand("self"), call.operand("other"))


def _masked(call: Call) -> Node | str:
    return call.result("where", call["mask"], call.operand("value"), call.operand("self"))


def _copied(call: Call) -> Node | str:
    call.ignore("self")
    source = call.operand("src") if call.has("src") else call.operand("source")
    if source.shape != tuple(call.made.shape):
        return call.result("broadcast", source)
    return call.result("reshape" if source.dtype == name_of(call.made.dtype) else "cast", source)


def _filled(call: Call) -> Node | str:
    call.ignore("self")
    return call.result("broadcast", call.operand("value") if call.has("value") else call.literal(0.0))


def _written(call: Call, values: Node, *indices: Node) -> Node:
    """Values at places, zeros elsewhere."""
    return call.step("scatter", values, *indices, shape=call.made.shape)


def _put(call: Call) -> Node | str:
    """``index_put``: some elements are replaced, or increased."""
    call.ignore("unsafe")
    data, values, places = call.operand("self"), call.operand("values"), nodes_in(call["indices"])
    is_mask = [(place.dtype, place.shape) for place in places] == [("bool", data.shape)]
    if is_mask and values.size == 1 and not call["accumulate"] and not is_unset(data):
        return call.result("where", places[0], values, data)  # w[w < 0] = 0
    written = _written(call, values, *places)
    if call["accumulate"]:
        return call.result("add", data, written)
    return _replaced(call, data, written)


def _replaced(call: Call, data: Node, written: Node) -> Node:
    return call.result("join", *([] if is_unset(data) else [data]), written)


def _scattered(call: Call) -> Node | str:
    """``scatter``, ``index_copy``, ``index_fill``."""
    call.ignore("dim")
    if call["reduce"] is not None:
        return _REDUCES
    name = next(name for name in ("src", "source", "value") if call.has(name))
    written = _written(call, call.operand(name), call["index"])
    return _replaced(call, call.operand("self"), written)


def _scattered_onto(call: Call) -> Node | str:
    """``index_add`` and ``scatter_add``."""
    call.ignore("dim")
    source = call.operand("source" if call.has("source") else "src")
    alpha = call["alpha"] if call.has("alpha") else 1
    if alpha != 1:
        source = call.step("multiply", call.literal(alpha), source)
    return call.result("add", call.operand("self"), _written(call, source, call["index"]))


def _combined(call: Call) -> Node | str:
    """``scatter_reduce`` and ``index_reduce``: what meets at a place, with or without what was there."""
    call.ignore("dim")
    reduce, data = call["reduce"], call.operand("self")
    source = call.operand("src" if call.has("src") else "source")
    operation = {"sum": "average", "mean": "average", "amax": "window_max", "amin": "window_min"}.get(reduce)
    if operation is None:
        return _REDUCES
    call.ignore("include_self")  # elements to which nothing is written stay
    met = call.step("gather", source, call["index"], shape=data.shape, axis=None)
    return call.result(operation, call.step("join", data, met, shape=data.shape))


def _part_replaced(call: Call) -> Node | str:
    """``slice_scatter`` and others: the places are numbers."""
    call.ignore_numbers()
    return _replaced(call, call.operand("self"), call.operand("src"))


PLACES: dict[str, Rule] = {
    "index": _indexed,
    "index_select": _selected,
    **dict.fromkeys(("gather", "take", "take_along_dim"), _looked_up("self", "index")),
    "embedding": _looked_up("weight", "indices"),
    "where": _chosen,
    "masked_fill": _masked,
    "copy": _copied,
    **dict.fromkeys(("fill", "zero"), _filled),
    **dict.fromkeys(("index_put", "_index_put_impl"), _put),
    **dict.fromkeys(("scatter", "index_copy", "index_fill"), _scattered),
    **dict.fromkeys(("index_add", "scatter_add"), _scattered_onto),
    **dict.fromkeys(("scatter_reduce", "index_reduce"), _combined),
    **dict.fromkeys(("slice_scatter", "select_scatter", "diagonal_scatter"), _part_replaced),
}
"""Rules for lookups, choices and writes."""
