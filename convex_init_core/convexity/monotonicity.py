"""Is a network monotone in an input? Answered beside convexity, by the same calculus and a search of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity.calculus import Monotonicity, Value
from convex_init_core.convexity.inputs.names import input_names
from convex_init_core.convexity.judge import judge
from convex_init_core.graph.nodes import Graph

if TYPE_CHECKING:
    from convex_init_core.framework import Framework

DIRECTIONS = {how.value: how for how in (Monotonicity.INCREASING, Monotonicity.DECREASING)}
"""By what the user says."""

_STARTS = 96
_SMALL = 1e-3  # added to the scale of the outputs


@dataclass(frozen=True)
class Monotone:
    """The answer for one input; prints as text and is true if it is proved.

    Attributes:
        name: of the input.
        direction: ``"non-decreasing"`` or ``"non-increasing"``, in every element of the input, whatever the others are.
        verdict: ``"proved"``, ``"not"`` (a counterexample was found) or ``"cannot tell"``.
        reasons: why not.
        step: how far an output goes the wrong way in the counterexample; 0 if there is none.
    """

    name: str
    direction: str
    verdict: str
    reasons: tuple[str, ...] = ()
    step: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as numbers and texts."""
        found = {"name": self.name, "direction": self.direction, "verdict": self.verdict, "step": self.step}
        return {**found, "reasons": list(self.reasons)}

    def __bool__(self) -> bool:
        """Whether it is proved."""
        return self.verdict == "proved"

    def __str__(self) -> str:
        """Say what is proved, separately from convexity."""
        what = f"{self.direction} in {self.name!r}"
        if self:
            return what
        if self.verdict == "not":
            return f"not {what}: an output goes {self.step:.3g} the other way between two points"
        return f"cannot tell whether {what}" + (f": {self.reasons[0]}" if self.reasons else "")


def asked_directions(
    monotone: Mapping[Any, str] | None, inputs: Iterable[str], others: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the directions that are asked for by the names of inputs.

    Args:
        monotone: from a name or a position to a direction.
        inputs: names of the inputs.
        others: other names of theirs, such as those of the signature.

    Raises:
        TypeError: if ``monotone`` is no mapping.
        ValueError: if an input or a direction does not exist, or an input is named twice.
    """
    if monotone is None:
        return {}
    if not isinstance(monotone, Mapping):
        raise TypeError(f"monotone must map names of inputs to directions, got {type(monotone).__name__}")
    names = input_names(map(str, monotone), list(inputs), others or {}, "monotone")
    found = {}
    for name, (key, direction) in zip(names, monotone.items(), strict=True):
        if direction not in DIRECTIONS:
            raise ValueError(f"monotone[{key!r}] must be {' or '.join(map(repr, DIRECTIONS))}, got {direction!r}")
        if name in found:
            raise ValueError(f"monotone[{key!r}] names the input {name!r}, which another name of it has named already")
        found[name] = direction
    return found


def monotonicity_of(
    graph: Graph, asked: Mapping[str, str], outputs: Iterable[str], framework: Framework | None = None
) -> tuple[Monotone, ...]:
    """Return what the calculus proves of each, without a search for a counterexample.

    Each input is judged by itself, with all others as context.

    Args:
        graph: of one run.
        asked: directions by the names of inputs.
        outputs: that are asked for.
        framework: to ask for numbers of constants.
    """
    found = []
    for name, direction in asked.items():
        values = judge(graph, [name], framework=framework)
        reasons = [_refusal(place, values[graph.outputs[place]], name, direction) for place in outputs]
        reasons = [*filter(None, reasons), *graph.doubts, *graph.risks]
        found.append(Monotone(name, direction, "cannot tell" if reasons else "proved", tuple(dict.fromkeys(reasons))))
    return tuple(found)


def _refusal(place: str, value: Value, name: str, direction: str) -> str:
    if not value.finite:
        return f"{place}: {value.reason or 'holds NaN or infinite values'}"
    how = value.monotone.get(name)
    if how in (None, DIRECTIONS[direction]):
        return ""
    known = (
        f"is {how.value}" if how is not None and how is not Monotonicity.ANY else "follows it in no way that is known"
    )
    return f"{place} {known}" + (f": {value.reason}" if value.reason else "")


def doubted(answers: Sequence[Monotone], reasons: Sequence[str]) -> tuple[Monotone, ...]:
    """Withdraw what was proved, since the graph may not stand for other inputs."""
    return tuple(replace(one, verdict="cannot tell", reasons=tuple(reasons)) if one else one for one in answers)


def searched(
    answers: Sequence[Monotone],
    run: Callable[[str, NDArray[np.float64]], NDArray[np.float64]],
    at: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
    epsilon: float,
) -> tuple[Monotone, ...]:
    """Look for two points, the second not below the first, between which an output goes the wrong way.

    Args:
        answers: so far; those that are proved are left alone.
        run: from the name of an input and its numbers to the outputs that are asked for, flat.
        at: the inputs; half of the points lie near them.
        rng: source of the random points.
        epsilon: of the numbers that the function computes with.
    """
    return tuple(one if one else _searched(one, run, at[one.name], rng, epsilon) for one in answers)


def _searched(
    one: Monotone,
    run: Callable[[str, NDArray[np.float64]], NDArray[np.float64]],
    at: NDArray[np.float64],
    rng: np.random.Generator,
    epsilon: float,
) -> Monotone:
    sign = 1.0 if one.direction == Monotonicity.INCREASING.value else -1.0
    for start in range(_STARTS):
        size = 0.1 * 10.0 ** (2.0 * start / (_STARTS - 1))  # from 0.1 to 10
        low = (at if start % 2 else 0.0) + size * rng.standard_normal(at.shape)
        step = size * np.abs(rng.standard_normal(at.shape))
        if start % 3 == 0:  # along one element
            step *= np.arange(step.size).reshape(step.shape) == rng.integers(max(step.size, 1))
        before, after = run(one.name, low), run(one.name, low + step)
        wrong = sign * (before - after)
        allowed = 200.0 * epsilon * (np.maximum(np.abs(before), np.abs(after)) + _SMALL)
        clear = np.isfinite(wrong) & (wrong > allowed)
        if clear.any():
            return replace(one, verdict="not", step=float(wrong[clear].max()))
    return one
