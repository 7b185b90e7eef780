"""Does a model do the same whenever it runs? What it leaves behind is compared from run to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from convex_init_core.graph.nodes import Graph
from convex_init_core.graph.runs import same_course
from convex_init_core.reach import Closed, changes, python_state

_RUNS = 6  # of a model that changes itself until it is settled


def doubt_of_repetition(
    first: Graph,
    again: Callable[[], Graph],
    roots: Iterable[Any],
    *,
    is_closed: Closed,
    equal: Callable[[Any, Any], bool],
) -> str:
    """Return why a model may do something else the next time; empty if nothing speaks for it.

    It runs until a run leaves nothing behind that a later one could look at, and at least three times altogether.

    Args:
        first: what the first run did.
        again: runs it once more, on other inputs.
        roots: the model, or the functions, whose Python state is watched.
        is_closed: what is not looked into there, such as arrays.
        equal: whether two arrays of the framework hold the same numbers.
    """
    watched = dict(enumerate(roots))
    state, changed = python_state(watched, is_closed), [""]
    for run in range(_RUNS):
        if not changed and run > 1:
            return ""
        try:
            graph = again()
        except Exception as error:  # whatever the model does with numbers that it was not made for
            return f"a run on other inputs, which has to do the same, ended with {type(error).__name__}: {error}"
        if not same_course(first, graph, equal):
            return (
                "two runs did different things, so the code looks at numbers or counts its calls in a way that was not "
                "recorded, or draws random numbers of its own"
            )
        before, state = state, python_state(watched, is_closed)
        changed = changes(before, state)
    return (
        f"the code changes {changed[0]!r} at every run, so that a later one may do something else; keep no count in it"
    )
