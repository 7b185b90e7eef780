"""Other requests for a model that was refused: part of its inputs, another method of it, a module inside."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from convex_init_core.convexity.inputs.cuts import parts_alone, written

if TYPE_CHECKING:
    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Graph
    from convex_init_core.planning.plan import Plan
    from convex_init_core.request import Request

Plans: TypeAlias = "Callable[[Framework, Request], Plan]"
"""Makes a plan; raises ValueError where none can be made."""


def that_would_do(framework: Framework, request: Request, graph: Graph, plans: Plans) -> list[str]:
    """Return, for messages, which other requests for the same model have a plan.

    Args:
        framework: of the model.
        request: what was refused.
        graph: of the model.
        plans: tries a request.
    """
    return [*_of_inputs(framework, request, graph, plans), *_of_entries(framework, request, plans)]


def _of_inputs(framework: Framework, request: Request, graph: Graph, plans: Plans) -> Iterator[str]:
    for parts in parts_alone(graph) if request.convex_inputs is None else ():
        if _has_plan(framework, replace(request, convex_inputs=parts), plans):
            text = written(parts)
            yield f"it can be initialised as convex in a part of its inputs, the rest being context: pass {text}"
            return


def _of_entries(framework: Framework, request: Request, plans: Plans) -> Iterator[str]:
    if request.entry != "forward":
        return
    for entry, what in framework.entries():
        try:
            other = framework.with_entry(entry)
        except ValueError:
            continue
        if _has_plan(other, replace(request, entry=entry), plans):
            yield f"{what} can be initialised for itself: pass entry={entry!r}"
            return


def _has_plan(framework: Framework, request: Request, plans: Plans) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return any(layer.role == "positive" for layer in plans(framework, request).layers)
        except Exception:  # a method that takes other inputs fails in its own way; it is no remedy then
            return False
