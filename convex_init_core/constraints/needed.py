"""Which parameters convexity depends on, found by judging: nothing is known of any, and as little as possible assumed.

The graph is judged with parameters of which nothing is known. Where a value turns out to be neither convex nor concave,
although all that it is made of is known, the parameters that meet there are tried with a sign, then with an interval:
a gate must be non-negative, the slope of a PReLU lie between 0 and 1. So it does not matter which layer holds a
parameter, or how the model uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from convex_init_core.constraints.kept import ANY, NON_NEGATIVE, Interval, together
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Monotonicity, Sign, Value
from convex_init_core.convexity.judge import learn_inputs, value_of
from convex_init_core.convexity.values import Values

if TYPE_CHECKING:
    from convex_init_core.convexity.inputs.parts import Part
    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Graph, Node

_NON_POSITIVE: Interval = (-math.inf, 0.0)
_PROPORTION: Interval = (0.0, 1.0)
_EXPONENT: Interval = (1.0, math.inf)
_MOST = 64  # nodes that are looked through for what gives a value its sign


@dataclass(eq=False)
class Needed:
    """What was found.

    Attributes:
        intervals: by name of a parameter, where convexity needs it to stay.
        why: likewise, the operation that needs it.
        unsolved: why the others are not.
        convex: names of the outputs that are convex (or concave) if all parameters stay there, whatever their numbers.
        concave: those of them that are concave, and not convex.
    """

    intervals: dict[str, Interval] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    unsolved: tuple[str, ...] = ()
    convex: list[str] = field(default_factory=list)
    concave: tuple[str, ...] = ()


def needed(
    graph: Graph,
    outputs: Mapping[str, Node],
    names: Collection[str],
    *,
    convex_inputs: Mapping[str, Part | None] | Iterable[str] | None = None,
    given: Mapping[str, Interval] | None = None,
    is_mapped: Callable[[Node], bool] = lambda node: False,
    framework: Framework | None = None,
) -> Needed:
    """Return in which intervals parameters must stay, for the outputs of a graph to be convex, or concave.

    Args:
        graph: of one run.
        outputs: the nodes of which convexity is asked, by name; if some of them cannot be convex, the others count.
        names: of the parameters that may change.
        convex_inputs: names of the inputs in which convexity is asked; by default all.
        given: intervals that are settled, by name of a parameter.
        is_mapped: whether a constant is non-negative by a map that the rules do not know.
        framework: to ask for numbers of other constants.
    """
    found = Needed()
    for preferred, must_be_convex in _STRATEGIES:
        search = _Search(graph, names, given or {}, is_mapped, framework, preferred, must_be_convex)
        attempt = search.run(outputs, convex_inputs)
        if attempt.concave:  # on purpose, unless the present signs make it convex
            search = _Search(graph, names, given or {}, is_mapped, framework, _as_they_are, False)
            other = search.run(outputs, convex_inputs)
            if len(other.convex) >= len(attempt.convex) and len(other.concave) < len(attempt.concave):
                return other
        if attempt.convex:
            return attempt
        found = found if found.unsolved else attempt
    # Its user may know better, so whatever is not known counts as convex for what follows it.
    search = _Search(graph, names, given or {}, is_mapped, framework, *_STRATEGIES[0], goes_on=True)
    return replace(search.run(outputs, convex_inputs), unsolved=found.unsolved, convex=[])


_Preference: TypeAlias = "Callable[[Interval | None], tuple[Interval, Interval]]"


def _as_they_are(numbers: Interval | None) -> tuple[Interval, Interval]:
    """The sign of the present numbers first."""
    below = numbers is not None and numbers[1] <= 0.0 and numbers[0] < 0.0
    return (_NON_POSITIVE, NON_NEGATIVE) if below else (NON_NEGATIVE, _NON_POSITIVE)


_STRATEGIES: tuple[tuple[_Preference, bool], ...] = (
    (lambda numbers: (NON_NEGATIVE, _NON_POSITIVE), False),
    (_as_they_are, False),
    (_as_they_are, True),
    (lambda numbers: (_NON_POSITIVE, NON_NEGATIVE), False),
)
"""Which sign of a parameter is tried first, and whether it must make its value convex, and not concave."""


class _Search:
    """One pass over a graph."""

    def __init__(
        self,
        graph: Graph,
        names: Collection[str],
        given: Mapping[str, Interval],
        is_mapped: Callable[[Node], bool],
        framework: Framework | None,
        preferred: _Preference,
        must_be_convex: bool,
        goes_on: bool = False,
    ) -> None:
        self.graph, self.names = graph, frozenset(names)
        self.values = Values(framework, {**dict.fromkeys(names, ANY), **given})
        self.is_mapped, self.mapped = is_mapped, set[object]()
        self.preferred, self.must_be_convex, self.goes_on = preferred, must_be_convex, goes_on
        self.order: dict[Node, int] = {}
        self.numbers: dict[str, Interval | None] = {}
        self.demands: list[tuple[Node, str, Interval]] = []

    def run(
        self, outputs: Mapping[str, Node], convex_inputs: Mapping[str, Part | None] | Iterable[str] | None
    ) -> Needed:
        learn_inputs(self.graph, convex_inputs, self.values)
        for node in self.graph:
            self.order[node] = len(self.order)
            if node.name == "parameter":
                self.numbers[str(node.params["name"])] = node.bounds
            if node in self.values:
                continue
            value = self._value(node)
            if value.curvature is Curvature.UNKNOWN and self._mended(node):
                continue
            if value.curvature is Curvature.UNKNOWN and self.goes_on:
                value = Value(Curvature.CONVEX, value.sign, dict.fromkeys(value.monotone, Monotonicity.ANY))
            self.values.learn(node, value)
        return self._found(outputs)

    def _found(self, outputs: Mapping[str, Node]) -> Needed:
        behind = {name: set(_ancestors(node)) for name, node in outputs.items()}
        unknown = {name: self.values[node] for name, node in outputs.items() if self._is_unknown(node)}
        convex = [name for name in outputs if name not in unknown]
        asked: set[Node] = set().union(*(behind[name] for name in convex or behind))
        intervals: dict[str, Interval] = {}
        why: dict[str, str] = {}
        for node, name, interval in self.demands:
            if node in asked:
                before = intervals.get(name, ANY)
                intervals[name] = together(before, interval) or before
                why.setdefault(name, node.at)
        concave = tuple(name for name in convex if not self.values[outputs[name]].curvature.is_convex)
        reasons = tuple(dict.fromkeys(value.reason for value in unknown.values()))
        return Needed(intervals, why, reasons, convex, concave)

    def _is_unknown(self, node: Node) -> bool:
        return self.values[node].curvature is Curvature.UNKNOWN

    def _value(self, node: Node) -> Value:
        if node in self.mapped:
            return calculus.constant(Sign.NON_NEGATIVE)
        divisor = node.inputs[1] if node.name == "divide" else node.inputs[0] if node.name == "reciprocal" else None
        if divisor is not None and self._may_vanish(divisor):
            label = " and ".join(divisor.parameters)
            why = f"{node.at} divides by {label!r}, which a projection may set to 0; put a map such as exp on it"
            if node.is_fixed:
                return calculus.constant(Sign.ANY, reason=why)
            return calculus.unknown(why, *(self.values[part] for part in node.inputs))
        return value_of(node, self.values, self.order, on_a_grid=True)

    def _may_vanish(self, node: Node) -> bool:
        """Whether a constant is 0 where the parameters behind it are clamped."""
        confined = any(self.values.assumed.get(name, ANY) != ANY for name in node.parameters)
        low, high = self.values.context_bounds.get(node, ANY)
        return confined and low <= 0.0 <= high

    def _mended(self, node: Node) -> bool:
        """Assume what makes a value known, and learn it; whether there is such an assumption."""
        if any(map(self._is_unknown, node.inputs)):
            return False
        meeting = [part for part in node.inputs if part.is_fixed]
        if node.name == "divide":
            meeting = meeting[:0] if meeting == [node.inputs[1]] else meeting  # clamped at 0 it would divide by 0
        if self._learnt_as_mapped(meeting) and self._is_known([node]):
            return True
        names = self._free(meeting)
        ranked = zip(*(self.preferred(self.numbers.get(name)) for name in names), strict=True)
        by_sign = [dict(zip(names, intervals, strict=True)) for intervals in ranked]
        within = [dict.fromkeys(names, interval) for interval in self._within(node, names)]
        if self._mended_by(node, meeting, [*by_sign[:1], *within, *by_sign[1:]]):
            return True
        signs = list(self._what_gives_a_sign(node))
        names = self._free([part for part in signs if part.is_fixed])
        return self._mended_by(node, signs, [dict.fromkeys(names, NON_NEGATIVE)])

    def _within(self, node: Node, names: Collection[str]) -> list[Interval]:
        """Intervals with an end that is not 0, such as that of ``g − 1``; those that hold the present numbers first."""
        if node.name == "power":
            return [_EXPONENT]
        present = [numbers for name in names if (numbers := self.numbers.get(name)) is not None]
        beyond = present and all(low >= 1.0 for low, _ in present) and any(high > 1.0 for _, high in present)
        return [_EXPONENT, _PROPORTION] if beyond else [_PROPORTION]

    def _learnt_as_mapped(self, constants: Iterable[Node]) -> bool:
        """Learn what maps say of constants; whether that is more than the rules do."""
        learnt = False
        for node in constants:
            if self.values[node].sign is not Sign.ANY or not node.inputs:
                continue
            if len(node.parameters) == 1 and self.is_mapped(node):
                self.mapped.add(node)
            elif not self._learnt_as_mapped(part for part in node.inputs if part.parameters):
                continue
            self.values.learn(node, self._value(node))
            learnt = True
        return learnt

    def _free(self, constants: Iterable[Node]) -> list[str]:
        """The names of parameters of which more could be assumed."""
        found = dict.fromkeys(name for part in constants for name in part.parameters if name in self.names)
        return [name for name in found if self.values.assumed[name] != _PROPORTION]

    def _mended_by(self, node: Node, parts: list[Node], ways: list[dict[str, Interval]]) -> bool:
        """Try several ways to confine parameters that some nodes before ``node`` depend on."""
        names = list(ways[0]) if ways else []
        if not names:
            return False
        again = sorted({each for part in parts for each in self._resting_on(part, names)}, key=self._place)
        again.append(node)
        before = {name: self.values.assumed[name] for name in names}
        for way in ways:
            both = {name: together(before[name], interval) for name, interval in way.items()}
            possible = {name: interval for name, interval in both.items() if interval is not None}
            self.values.assumed.update(possible)
            if len(possible) == len(both) and self._is_known(again):
                break
            self.values.assumed.update(before)
        else:
            self._is_known(again)
            return False
        for name in names if len(names) > 1 else ():  # is each of them needed?
            now, self.values.assumed[name] = self.values.assumed[name], before[name]
            if not self._is_known(again):
                self.values.assumed[name] = now
        self._is_known(again)
        confined = [name for name in names if self.values.assumed[name] != before[name]]
        self.demands += [(node, name, self.values.assumed[name]) for name in confined]
        return True

    def _is_known(self, again: list[Node]) -> bool:
        """Judge nodes anew; whether the last one is known then."""
        value = None
        for each in again:
            value = self._value(each)
            self.values.learn(each, value)
        assert value is not None
        curvature = value.curvature
        return curvature.is_convex if self.must_be_convex else curvature is not Curvature.UNKNOWN

    def _place(self, node: Node) -> int:
        return self.order[node]

    def _resting_on(self, node: Node, names: Collection[str]) -> Iterator[Node]:
        """The constants between some parameters and a node, and the node itself unless it is an input of the model."""
        if not node.is_fixed:
            if node.inputs:
                yield node
            return
        waiting, known = [node], {node}
        while waiting:
            each = waiting.pop()
            if any(name in each.parameters for name in names):
                yield each
                for part in each.inputs:
                    if part not in known:
                        known.add(part)
                        waiting.append(part)

    def _what_gives_a_sign(self, node: Node) -> Iterator[Node]:
        """The nodes of unknown sign that make the inputs of a node be of unknown sign, constants among them.

        Nothing if one of them is not known, or an input of the model, which may be of either sign.
        """
        known: dict[Node, None] = {}
        waiting = [part for part in node.inputs if not part.is_fixed]
        while waiting:
            each = waiting.pop()
            if each in known or self.values[each].sign is not Sign.ANY:
                continue
            if not each.is_fixed and (not each.inputs or self._is_unknown(each) or len(known) > _MOST):
                return
            known[each] = None
            if not each.is_fixed:
                waiting += each.inputs
        yield from known


def _ancestors(node: Node) -> Iterator[Node]:
    waiting, known = [node], {node}
    while waiting:
        each = waiting.pop()
        yield each
        for part in each.inputs:
            if part not in known:
                known.add(part)
                waiting.append(part)
