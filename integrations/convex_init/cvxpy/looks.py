"""What a graph does not tell, found by looking at runs of the model through the core's port.

The graph keeps what the calculus of convexity asks for: that an operation moves elements, or averages windows, and not
always which. So other numbers are put in the place of its input while the model runs, and what comes out of it tells:
the digits of places for moves, and for pools the elements of which each result is made. No framework is asked by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import sparse

from convex_init.cvxpy.parts.combination import Numbers, Places
from convex_init.cvxpy.parts.expressions import NotExpressibleError
from convex_init.cvxpy.parts.maps import convolving, moved, paddings
from convex_init_core.graph.nodes import Graph, Kind, Node
from convex_init_core.graph.walks import consumers_of

if TYPE_CHECKING:
    from convex_init_core.framework import Framework

_DIGIT = 64  # 1 to 64 are exact in every floating-point type
_LARGE = 2.0**14  # likewise, above and below what a pool compares with
_RUNS = 4096  # at most, for one pool

_STEPS = ("scatter", "gather", "rearrange", "reshape", "broadcast", "cast", "join", "pad")  # that move elements

Seen: TypeAlias = "Mapping[Node, Numbers]"


class Looks:
    """Numbers of one model on one example.

    Args:
        framework: of the model and the example.
        graph: of its trace.
        inputs: in which it is convex; what does not depend on them is context, whose numbers are those of the example.

    Attributes:
        varying: the inputs, and what depends on them.
    """

    def __init__(self, framework: Framework, graph: Graph, inputs: Sequence[Node]) -> None:
        """Look at nothing yet."""
        self._framework, self._graph = framework, graph
        self._consumers = consumers_of(graph)
        varying = set(inputs)
        for node in graph:
            if not node.is_fixed and any(part in varying for part in node.inputs):
                varying.add(node)
        self.varying = [node for node in varying if node.kind is Kind.FLOATING]
        self._example: dict[Node, Numbers] | None = None
        self._known: dict[Node, Any] = {}

    # Numbers

    def numbers(self, node: Node) -> Numbers | None:
        """Return the numbers of a constant, or of what is the same while the context is; ``None`` if there are none."""
        if node.constant is not None:
            found = self._framework.numbers(node.constant)
            return None if found is None else np.asarray(found, np.float64)
        return self.on_example().get(node)

    def on_example(self) -> Mapping[Node, Numbers]:
        """Return the numbers of all values on the example, as far as a run shows them."""
        if self._example is None:
            self._example = self._run([node for node in self._graph if not node.is_fixed], {})
        return self._example

    def _run(self, nodes: Sequence[Node], given: Mapping[Node, Numbers]) -> dict[Node, Numbers]:
        """Run the model with other numbers in some places; returns those that some nodes have then."""
        seen: dict[Node, Numbers] = {}

        def visit(node: Node, value: Numbers) -> Numbers | None:
            seen.setdefault(node, np.array(value, np.float64))
            return given[node].reshape(node.shape) if node in given else None

        asked = list(dict.fromkeys([*nodes, *given]))
        try:
            self._framework.run(asked, visit)
        except ValueError:  # some are steps within one operation, and have no value that can be seen
            for node in asked if not seen else ():
                try:
                    self._framework.run([node], lambda one, value: None)
                except ValueError:
                    asked = [other for other in asked if other is not node]
            if not seen:
                self._framework.run(asked, visit)
        return seen

    def _visible(self, node: Node) -> bool:
        return node in self.on_example()

    def _through(self, node: Node) -> tuple[Node, Callable[[Seen], Numbers], list[Node]]:
        """Where a value shows: itself, or behind steps that can be undone, such as the bias that is added to it.

        Returns:
            a node to look at, the value from what was seen, and what else has to be seen for that.

        Raises:
            NotExpressibleError: if it does not show.
        """
        if self._visible(node):
            return node, lambda seen: seen[node], []
        behind = self._consumers.get(node, [])
        undone = self._undone(node, behind[0]) if len(behind) == 1 else None
        if undone is None:
            raise NotExpressibleError(
                f"{node.at} is a step inside of an operation, and what it moves does not show; write it as an "
                "operation of its own"
            )
        undo, own = undone
        shown, read, more = self._through(behind[0])
        return shown, lambda seen: undo(read(seen).reshape(behind[0].shape), seen), [*more, *own]

    def _undone(self, node: Node, after: Node) -> tuple[Callable[[Numbers, Seen], Numbers], list[Node]] | None:
        """How to find a value from the one that is made of it, and what else has to be seen."""
        if after.name == "negate":
            return lambda found, seen: -found, []
        if after.name in ("reshape", "cast"):
            return lambda found, seen: found.reshape(node.shape), []
        if after.name not in ("add", "multiply") or after.shape != node.shape:
            return None
        other = after.inputs[0] if after.inputs[1] is node else after.inputs[1]
        fixed = self.numbers(other) if other.is_fixed else None
        if fixed is None and not self._visible(other):
            return None

        def undo(found: Numbers, seen: Seen) -> Numbers:
            number = seen[other] if fixed is None else fixed.reshape(other.shape)
            return found - number if after.name == "add" else found / number

        return undo, [] if fixed is not None else [other]

    def _inside(self, node: Node, steps: Container[str] = _STEPS) -> list[Node]:
        """The inputs of a node in the place of which numbers can be put: behind steps that do not show."""
        found: list[Node] = []
        for part in node.inputs:
            if part.kind is not node.kind or part.is_fixed:
                continue
            if self._visible(part) or not part.inputs:
                found.append(_writable(part))
            elif part.name in steps:
                found += self._inside(part, steps)
            else:
                raise NotExpressibleError(f"{part.at} does not show, so that what {node.at} takes of it cannot be seen")
        return list(dict.fromkeys(found))

    # Moves

    def moved(self, node: Node) -> tuple[list[Node], Places, Numbers]:
        """Return the values that a move takes, where each element is found in them (−1: nowhere), and numbers else.

        Raises:
            NotExpressibleError: if it does not move elements as they are.
        """
        if node not in self._known:
            self._known[node] = self._moved(node)
        found: tuple[list[Node], Places, Numbers] = self._known[node]
        return found

    def _moved(self, node: Node) -> tuple[list[Node], Places, Numbers]:
        shown, read, more = self._through(node)
        parts = self._inside(node)
        total = sum(part.size for part in parts)
        codes = np.split(np.arange(total), np.cumsum([part.size for part in parts])[:-1])

        def value(digit: int | None) -> Numbers:
            given = {
                part: np.zeros(part.size) if digit is None else 1.0 + (code // _DIGIT**digit) % _DIGIT
                for part, code in zip(parts, codes, strict=True)
            }
            return read(self._run([shown, *more], given)).reshape(-1)

        rest = value(None)
        found, moves = np.zeros(node.size, np.int64), np.ones(node.size, bool)
        strange = ~np.isfinite(rest)
        count = 1
        while _DIGIT**count < total:
            count += 1
        for digit in range(count):
            with np.errstate(invalid="ignore"):
                step = value(digit) - rest
            whole = np.where(np.isfinite(step), np.rint(step), -1.0)
            strange |= ~(np.abs(step - whole) <= 1e-3) | (whole < 0) | (whole > _DIGIT)
            whole = np.clip(whole, 0.0, _DIGIT).astype(np.int64)
            moves &= whole > 0
            found += (whole - 1) * _DIGIT**digit
        strange |= moves & (found >= total)
        if strange.any() and not _is_written_in_parts(node):
            raise NotExpressibleError(f"{node.at} does more than move elements")
        # Memory that nothing was written to holds other numbers at each run: NaN, which nothing that is used may be.
        moves &= ~strange
        return parts, np.where(moves, found, -1), np.where(moves, 0.0, np.where(strange, np.nan, rest))

    # Pools

    def windows(self, node: Node) -> tuple[list[Node], list[Places], Numbers]:
        """Return values, and the elements of them, side by side, that each element of a pool compares.

        Behind these places stands, for each element, the number that is compared with them, infinite where there is
        none.
        """
        if node not in self._known:
            parts = self._inside(node)
            self._known[node] = (parts, *self._windows(node, parts))
        found: tuple[list[Node], list[Places], Numbers] = self._known[node]
        return found

    def _windows(self, node: Node, parts: list[Node]) -> tuple[list[Places], Numbers]:
        sign = -1.0 if node.name == "window_min" else 1.0
        taken, value = self._taker(node, parts, lambda mask: sign * np.where(mask, _LARGE, -_LARGE))
        matrix = taken(lambda mask: sign * value(mask) == _LARGE)
        rest = sign * value(np.False_)
        rest = sign * np.where(rest > -_LARGE, rest, -np.inf)
        total = matrix.shape[1]
        places = np.split(matrix.indices.astype(np.int64), matrix.indptr[1:-1])
        return [np.append(window, total + i) for i, window in enumerate(places)], rest

    def weights(self, node: Node) -> tuple[list[Node], Any, Numbers]:
        """Return values, the weights with which a pool or average takes their elements, side by side, and a rest.

        Raises:
            NotExpressibleError: if too many runs would be needed.
        """
        if node not in self._known:
            parts = self._inside(node, (*_STEPS, "negate"))
            taken, value = self._taker(node, parts, lambda mask: np.asarray(mask, np.float64))
            base = value(np.False_)
            self._known[node] = parts, taken(lambda mask: value(mask) - base), base
        found: tuple[list[Node], Any, Numbers] = self._known[node]
        return found

    def _taker(
        self, node: Node, parts: list[Node], given: Callable[[Any], Numbers]
    ) -> tuple[Callable[[Callable[[Any], Numbers]], Any], Callable[[Any], Numbers]]:
        """What finds a matrix by asking what the elements under masks add, and what a pool makes of those under one."""
        shown, read, more = self._through(node)
        total = sum(part.size for part in parts)
        shape = parts[0].shape if len(parts) == 1 else (total,)
        ends = np.cumsum([part.size for part in parts])[:-1]

        def value(mask: Any) -> Numbers:
            flat = given(np.broadcast_to(mask, shape)).reshape(-1)
            return read(self._run([shown, *more], dict(zip(parts, np.split(flat, ends), strict=True)))).reshape(-1)

        return lambda added: _matrix(node, shape, added), value

    # Convolutions

    def padding(self, node: Node, weight: Numbers) -> tuple[int, ...]:
        """Return how many zeros a convolution puts before its data along each axis of the window.

        Raises:
            NotExpressibleError: if none fits what the model computes.
        """
        candidates = paddings(node)
        if len(candidates) == 1:
            return candidates[0]
        data = node.inputs[0]
        shown, read, more = self._through(node)
        if not self._visible(data):
            raise NotExpressibleError(f"{data.at} does not show, so that the padding of {node.at} cannot be seen")
        at = _writable(data)
        given = np.random.default_rng(0).integers(-8, 9, at.size).astype(np.float64)  # exact in every type
        seen = self._run([shown, data, *more], {at: given})
        value, sample = read(seen).reshape(-1), given if at is data else seen[data].reshape(-1)
        scale = max(1.0, float(np.abs(value).max(initial=0.0)))
        for before in candidates:
            if np.allclose(convolving(node, weight, before) @ sample, value, rtol=0.0, atol=1e-3 * scale):
                return before
        raise NotExpressibleError(f"{node.at} does not compute a convolution with zeros around its data")


def _is_written_in_parts(node: Node) -> bool:
    """Whether it is made of memory of which only parts were written to: the others hold what was there before."""
    reached, waiting = set(), [node]
    while waiting:
        one = waiting.pop()
        if one.name in ("join", "unset"):
            return True
        if one not in reached and (one is node or one.name in _STEPS):
            reached.add(one)
            waiting += one.inputs
    return False


def _writable(node: Node) -> Node:
    """The value in the place of which other numbers can be put: not one whose elements share their memory."""
    found, at = node, node
    while at.op.moves and at.inputs and moved(at) is not None:
        if at.name == "broadcast" and at.size > at.inputs[0].size:
            found = at.inputs[0]
        at = at.inputs[0]
    return found


def _matrix(node: Node, shape: Sequence[int], added: Callable[[Any], Numbers]) -> Any:
    """The weights of elements, all of one sign: halves of the array tell where those of a result lie.

    Elements that lie further apart than those of any one result are then asked for together.
    """
    grid = np.indices(shape)
    first = np.zeros((len(shape), node.size), np.int64)
    last = np.zeros_like(first)
    for axis, size in enumerate(shape):
        first[axis] = size - 1
        for place in range(size - 1, 0, -1):
            met = added(grid[axis] >= place) != 0.0
            last[axis] = np.where(met & (last[axis] == 0), place, last[axis])
            first[axis] = np.where(added(grid[axis] < place) != 0.0, place - 1, first[axis])
    lengths = np.maximum((last - first).max(1, initial=0) + 1, 1)
    if np.prod(lengths) > _RUNS:
        raise NotExpressibleError(f"{node.at} combines too many elements for their weights to be looked for")
    rows, columns, found = [], [], []
    for residue in itertools.product(*map(range, lengths)):
        at = np.all([grid[i] % lengths[i] == r for i, r in enumerate(residue)], axis=0)
        weight = np.asarray(added(at), np.float64)
        met = np.flatnonzero(weight)
        places = [first[i][met] + (r - first[i][met]) % lengths[i] for i, r in enumerate(residue)]
        rows.append(met)
        columns.append(np.ravel_multi_index(places, tuple(shape)) if places else np.zeros(met.size, np.int64))
        found.append(weight[met])
    size = int(np.prod(shape))
    matrix = sparse.coo_array(
        (np.concatenate(found), (np.concatenate(rows), np.concatenate(columns))), shape=(node.size, size)
    ).tocsr()
    matrix.sort_indices()
    return matrix
